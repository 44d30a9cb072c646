"""Documents as callers give them: records, or a source that is read; and what reads these."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from lsr.datasets.open import Corpus, open_corpus
from lsr.datasets.text_folder import TextFolder
from lsr.encoders.language import AUTO, chosen_language, listened, not_read, sampled
from lsr.encoders.protocols import DenseEncoder, Encoder, TokenizedEncoder
from lsr.encoders.registry import open_sparse
from lsr.errors import InputError
from lsr.passages.passage import PassageSettings
from lsr.types import Document

__all__ = ["Documents", "chosen_passages", "opened_for", "read_documents", "source_name"]

_log = logging.getLogger(__name__)

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


def chosen_passages(
    documents: Documents | Corpus | None,
    passages: PassageSettings | bool | None,
    encoder: Encoder,
    dense: DenseEncoder | None,
) -> PassageSettings | None:
    """Settings of how long documents are split: as given; by default, of a folder of files alone.

    Records and test collections stay one vector a document unless asked, so that figures compare;
    so do documents that no model reads in passages, as with BM25 alone.
    """
    if isinstance(passages, PassageSettings):
        return passages
    reads = any(isinstance(each, TokenizedEncoder) for each in (encoder, dense))
    if passages is None and not reads:
        return None
    if passages is None and isinstance(documents, (str, Path)):
        documents = open_corpus(str(documents))
    is_split = isinstance(documents, TextFolder) if passages is None else passages
    return PassageSettings() if is_split else None


def opened_for(
    documents: Iterable[Document], sparse: str | Encoder | None, language: str | None
) -> tuple[Encoder, Iterable[Document]]:
    """A sparse encoder, by name or as it is, in a language; and all of the documents.

    A language that is found in the documents is logged, and so is one that the encoder does not
    read.

    Raises:
        InputError: there is no such model or language, or one is given of an encoder that is open.
    """
    if sparse is not None and not isinstance(sparse, str):
        if language is not None:
            raise InputError(
                f"language {language!r} cannot be chosen of an encoder that is open; name the "
                "encoder, or leave the language out"
            )
        return sparse, documents
    if language == AUTO:
        texts, documents = sampled(documents)
        language, told = chosen_language(texts)
        _log.warning(told)
        return open_sparse(sparse, language=language), documents
    encoder = open_sparse(sparse, language=language)
    if language is not None:
        return encoder, documents

    def tell(texts: list[str]) -> None:
        if sentence := not_read(encoder, texts):
            _log.warning(sentence)

    return encoder, listened(documents, tell)


def source_name(documents: Documents) -> str:
    """The source as it was given; empty for records."""
    return str(documents) if isinstance(documents, (str, Path)) else ""
