"""Documents as callers give them: records, or a source that is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lsr.datasets.open import open_corpus
from lsr.types import Document

__all__ = ["Documents", "read_documents", "source_name"]

Documents = Iterable[Document] | str | Path
"""Documents, or a source of them as `lsr index build` takes it: a folder, a file, `irds:ID`."""


def read_documents(documents: Documents) -> Iterable[Document]:
    """Documents of a source, as `lsr index build` reads it; documents are handed on.

    Raises:
        DataError: the source cannot be read.

    Example:
        >>> import lsr, pathlib
        >>> _ = pathlib.Path("notes.jsonl").write_text('{"_id": "a", "text": "Keys rotate."}')
        >>> [document.doc_id for document in lsr.read_documents("notes.jsonl")]
        ['a']
    """
    if isinstance(documents, (str, Path)):
        return open_corpus(str(documents)).documents()
    return documents


def source_name(documents: Documents) -> str:
    """The source as it was given; empty for records."""
    return str(documents) if isinstance(documents, (str, Path)) else ""
