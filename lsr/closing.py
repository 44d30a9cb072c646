"""The end of a collection's handle: what is asked of it afterwards is refused, not half done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

from lsr.errors import IndexStateError

if TYPE_CHECKING:
    from lsr.index.collection.reader import CollectionReader

__all__ = ["closed", "told_models", "told_size"]


def closed(reader: CollectionReader) -> CollectionReader:
    """Close a reader; what stands for it from now on. One that is closed already stays so."""
    if isinstance(reader, _ClosedReader):
        return reader
    reader.close()
    return cast("CollectionReader", _ClosedReader(reader.path))


def told_size(reader: CollectionReader) -> str:
    """The number of documents in words, or that it is closed."""
    if isinstance(reader, _ClosedReader):
        return "closed"
    n_documents = reader.n_documents
    return f"{n_documents:,} document{'' if n_documents == 1 else 's'}"


def told_models(reader: CollectionReader) -> list[str]:
    """The models of each side, in words; none of a collection that is closed."""
    if isinstance(reader, _ClosedReader):
        return []
    sides = (("sparse", reader.manifest.sparse), ("dense", reader.manifest.dense))
    return [f"{side} {model.name}" for side, model in sides if model is not None]


class _ClosedReader:
    """Stands for a reader that is closed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getattr__(self, name: str) -> NoReturn:
        raise IndexStateError(f"the collection {self._path} is closed; open it again")
