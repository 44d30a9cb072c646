"""The identifiers of documents by row, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsr.errors import IndexCorruptError

__all__ = ["DocIds"]


class DocIds(NamedTuple):
    """Identifiers, and their order.

    Attributes:
        tie_order: int32, shape (n_documents,): place of each row when doc_ids are sorted.
        indptr: int64, shape (n_documents + 1,), and
        text: uint8: the doc_ids in UTF-8, one after the other.
    """

    tie_order: NDArray[np.int32]
    indptr: NDArray[np.int64]
    text: NDArray[np.uint8]

    @classmethod
    def build(cls, doc_ids: Sequence[str]) -> DocIds:
        """Of one id for each row."""
        n = len(doc_ids)
        encoded = [doc_id.encode() for doc_id in doc_ids]
        tie_order = np.empty(n, np.int32)
        tie_order[sorted(range(n), key=doc_ids.__getitem__)] = np.arange(n, dtype=np.int32)
        indptr = np.zeros(n + 1, np.int64)
        np.cumsum([len(part) for part in encoded], out=indptr[1:])
        return cls(tie_order, indptr, np.frombuffer(b"".join(encoded), np.uint8))

    def of(self, rows: NDArray[np.int32]) -> list[str]:
        """The identifiers of rows, in their order."""
        starts = self.indptr[rows].tolist()
        ends = self.indptr[rows + 1].tolist()
        text = self.text.data
        return [str(text[start:end], "utf-8") for start, end in zip(starts, ends, strict=True)]

    def save(self, folder: Path) -> None:
        """Write one `.npy` file for each array into `folder`, which exists."""
        for name, array in self._asdict().items():
            np.save(folder / f"ids_{name}.npy", array)

    @classmethod
    def load(cls, folder: Path) -> DocIds:
        """Read what `save` wrote.

        Raises:
            IndexCorruptError: a file is missing or is not such an array.
        """
        arrays = []
        for name in cls._fields:
            path = folder / f"ids_{name}.npy"
            try:
                arrays.append(np.load(path, allow_pickle=False))
            except (OSError, EOFError, ValueError) as error:
                raise IndexCorruptError(
                    f"{path} cannot be read ({error}); save the index again"
                ) from error
        return cls(*arrays)
