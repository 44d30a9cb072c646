"""Tombstones: which rows of a segment are deleted, a bit for each row, in a file of its own.

A segment's other files never change. A deletion writes a new file of tombstones beside them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.errors import IndexCorruptError
from lsr.index.storage.arrays_file import Opener, mapped, npy_array

__all__ = ["load_tombstones", "save_tombstones"]


def save_tombstones(path: Path, deleted: NDArray[np.bool_]) -> None:
    """Write the flags as packed bits, the first row in the lowest bit of the first byte.

    Args:
        deleted: shape (n_rows,).
    """
    np.save(path, np.packbits(deleted, bitorder="little"))


def load_tombstones(
    path: Path, n_rows: int, n_deleted: int, read: Opener = mapped
) -> NDArray[np.bool_]:
    """Read what `save_tombstones` wrote.

    Args:
        read: gives the bytes of the file.

    Returns:
        Which rows are deleted, shape (n_rows,).

    Raises:
        IndexCorruptError: the file is missing, or these are not the tombstones of such a segment.
    """
    try:
        packed = npy_array(read(path))
        if packed.dtype != np.uint8 or packed.shape != ((n_rows + 7) // 8,):
            raise ValueError(f"{packed.dtype} of shape {packed.shape}, for {n_rows} rows")
        deleted = np.unpackbits(packed, count=n_rows, bitorder="little").view(bool)
        if int(deleted.sum()) != n_deleted:
            raise ValueError(f"{int(deleted.sum())} rows are deleted and {n_deleted} should be")
    except (OSError, EOFError, ValueError) as error:
        raise IndexCorruptError(
            f"{path} cannot be read ({error}); restore it from a copy, or build the index again"
        ) from error
    return deleted
