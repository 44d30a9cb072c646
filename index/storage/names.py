"""Names of what a collection folder holds; `index/storage/manifest.py` says what each of them is.

Folders and files are numbered by the generation that wrote them, and no number is used twice.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = [
    "ARRAYS_FILE",
    "DELETED",
    "ENCODER",
    "GRAPH_FILE",
    "SEGMENT",
    "STORE_FILE",
    "TIE_ORDER",
    "building_folder",
    "highest_number",
    "is_ours",
    "kept_folder",
    "numbered",
]

SEGMENT = "segment"
ENCODER = "encoder"
DELETED = "deleted"
TIE_ORDER = "tie_order"

ARRAYS_FILE = "arrays.bin"
"""Arrays of a segment, in its folder."""

STORE_FILE = "documents.sqlite"
"""In a segment's folder, beside its arrays."""

GRAPH_FILE = "vectors.hnsw"
"""Graph in a segment's folder, where its dense vectors are enough to need one."""

_OURS = re.compile(r"(?:segment|encoder|tie_order|generation)-(\d{6,})(?:\.npy|\.bin)?")
"""`generation-000001` is of format 1."""


def numbered(kind: str, generation: int) -> str:
    """The name of what a generation wrote: `segment-000003`."""
    return f"{kind}-{generation:06d}"


def is_ours(name: str) -> bool:
    """Whether something in a collection's folder is named like a part of a generation."""
    return _OURS.fullmatch(name) is not None


def highest_number(collection: Path) -> int:
    """The largest generation that anything in the folder is named after; 0 when nothing is."""
    found = (_OURS.fullmatch(path.name) for path in collection.iterdir())
    return max((int(match[1]) for match in found if match), default=0)


def building_folder(target: Path) -> Path:
    """Folder where a collection is written before it is published: beside it."""
    return target.parent / f".{target.name}.building"


def kept_folder(target: Path) -> Path:
    """The part of it where finished parts survive an interruption."""
    return building_folder(target) / "kept"
