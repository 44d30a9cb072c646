"""Layout of a block index in memory and on disk: one array of bytes, and each part's place in it.

Kernels are given the bytes and the layout instead of a dozen arrays, because every array of a call
costs as much as visiting a document.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks.config import StoredValues
from lsr.index.jit import kernel

__all__ = ["ALIGNMENT", "ARRAYS", "bytes_by_part", "dtypes", "pack", "part", "view"]

ALIGNMENT = 64
ARRAYS = (
    "head",
    "tail",
    "tail_start",
    "rest",
    "list_groups",
    "group_entries",
    "group_samples",
    "group_blocks",
    "block_postings",
    "postings",
    "entries",
    "samples",
    "scan_starts",
    "scan_rows",
    "scan_codes",
    "scan_steps",
    "scan_errors",
    "scan_lengths",
    "neighbours",
)
(
    HEAD,
    TAIL,
    TAIL_START,
    REST,
    LIST_GROUPS,
    GROUP_ENTRIES,
    GROUP_SAMPLES,
    GROUP_BLOCKS,
    BLOCK_POSTINGS,
    POSTINGS,
    ENTRIES,
    SAMPLES,
    SCAN_STARTS,
    SCAN_ROWS,
    SCAN_CODES,
    SCAN_STEPS,
    SCAN_ERRORS,
    SCAN_LENGTHS,
    NEIGHBOURS,
) = range(len(ARRAYS))
N_DOCUMENTS, HEAD_LENGTH, N_TERMS, SCALE, N_NEIGHBOURS = range(2 * len(ARRAYS), 2 * len(ARRAYS) + 5)
LAYOUT_LENGTH = 2 * len(ARRAYS) + 5


def dtypes(n_terms: int, values: StoredValues) -> dict[str, type[np.generic]]:
    """The type of each part for a vocabulary and a kind of stored values."""
    wide = n_terms > 1 << 16
    return {
        "head": np.uint8,
        "tail": np.uint8,
        "tail_start": np.int64,
        "rest": np.int8 if values == "u16" else np.float32,
        "list_groups": np.int32,
        "group_entries": np.int64,
        "group_samples": np.int64,
        "group_blocks": np.int32,
        "block_postings": np.int64,
        "postings": np.int32,
        "entries": np.uint64 if wide else np.uint32,
        "samples": np.uint32 if wide else np.uint16,
        "scan_starts": np.int64,
        "scan_rows": np.uint16,
        "scan_codes": np.uint8,
        "scan_steps": np.float32,
        "scan_errors": np.float32,
        "scan_lengths": np.int32,
        "neighbours": np.uint8,
    }


def pack(
    parts: dict[str, NDArray[Any]],
    n_documents: int,
    head_length: int,
    n_terms: int,
    scale: float,
    n_neighbours: int,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All parts in one array, each at a multiple of 64 bytes, and the layout that finds them.

    Args:
        parts: by name; emptied one by one, so that few are in memory twice.

    Returns:
        uint8, read-only, and int64: begin and end of each part, then the numbers given here, the
        scale as the bits of a float64.
    """
    layout = np.zeros(LAYOUT_LENGTH, np.int64)
    end = 0
    for i, name in enumerate(ARRAYS):
        layout[2 * i] = end
        layout[2 * i + 1] = end + parts[name].nbytes
        end = -(-layout[2 * i + 1] // ALIGNMENT) * ALIGNMENT
    layout[N_DOCUMENTS] = n_documents
    layout[HEAD_LENGTH] = head_length
    layout[N_TERMS] = n_terms
    layout[SCALE : SCALE + 1].view(np.float64)[0] = scale
    layout[N_NEIGHBOURS] = n_neighbours
    blob = aligned(end)
    for i, name in enumerate(ARRAYS):
        blob[layout[2 * i] : layout[2 * i + 1]] = parts.pop(name).view(np.uint8)
        gap = slice(layout[2 * i + 1], layout[2 * i + 2] if i + 1 < len(ARRAYS) else end)
        blob[gap] = 0  # equal indexes are equal to the byte
    blob.flags.writeable = False
    layout.flags.writeable = False
    return blob, layout


def aligned(n_bytes: int) -> NDArray[np.uint8]:
    """Bytes that start at a cache line."""
    room = np.empty(n_bytes + ALIGNMENT, np.uint8)
    skip = -room.ctypes.data % ALIGNMENT
    return room[skip : skip + n_bytes]


def view(blob: NDArray[np.uint8], layout: NDArray[np.int64], part: int, dtype: Any) -> NDArray[Any]:
    """One part as an array."""
    return blob[layout[2 * part] : layout[2 * part + 1]].view(dtype)


part = kernel(view)
"""The same for kernels, which take it in."""


def bytes_by_part(layout: NDArray[np.int64]) -> dict[str, int]:
    """Bytes of each part."""
    return {name: int(layout[2 * i + 1] - layout[2 * i]) for i, name in enumerate(ARRAYS)}
