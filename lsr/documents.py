"""Documents as callers give them: records, a table, a source; and the encoder that reads them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping

from lsr.datasets.frames import Frame, FrameRows, row_documents
from lsr.datasets.open import Corpus, open_corpus, reading_of
from lsr.datasets.reading import Reading, ReadOptions
from lsr.datasets.records import Columns
from lsr.datasets.text_folder import TextFolder
from lsr.encoders.language import AUTO, chosen_language, listened, not_read, sampled
from lsr.encoders.protocols import DenseEncoder, Encoder, TokenizedEncoder
from lsr.encoders.registry import open_sparse
from lsr.errors import InputError
from lsr.passages.passage import PassageSettings
from lsr.types import Document

__all__ = ["Documents", "ReadDocuments", "chosen_passages", "opened_for", "read_documents"]

_log = logging.getLogger(__name__)

Documents = Iterable[Document | Mapping[str, object]] | Frame | str | os.PathLike[str]
"""Documents or dicts, a DataFrame, or a source as `lsr index build` takes it: a path, `irds:ID`."""


class ReadDocuments:
    """Documents of whatever callers give: an iterable that is read each time it is gone through.

    Attributes:
        source: as it was given; empty for what is in memory.
        corpus: what the source is; None for what is in memory.

    Example:
        >>> import lsr
        >>> documents: lsr.ReadDocuments = lsr.read_documents([{"doc_id": "a", "text": "Keys."}])
        >>> [document.text for document in documents], documents.reading.n_documents
        (['Keys.'], 1)
    """

    def __init__(
        self, given: Documents, options: ReadOptions, columns: Mapping[str, str] | None
    ) -> None:
        self.source = ""
        self.corpus: Corpus | None = None
        self._columns = None if columns is None else _columns(columns)
        self._skip_bad = options.skip_bad
        self._reading = Reading()
        if isinstance(given, str | os.PathLike):
            self.source = os.fspath(given)
            self.corpus = open_corpus(self.source, self._columns, options)
            return
        if options.encoding is not None or options.delimiter is not None:
            raise InputError(
                "encoding and delimiter are of files, and these documents are in memory; leave "
                "them out"
            )
        self._rows = FrameRows.of(given) or _iterable(given)

    @property
    def reading(self) -> Reading | None:
        """The account of what was read and passed over; None where there is none (ir_datasets)."""
        return self._reading if self.corpus is None else reading_of(self.corpus)

    def __iter__(self) -> Iterator[Document]:
        if self.corpus is not None:
            return self.corpus.documents()
        self._reading = Reading()
        return row_documents(self._rows, self._columns, self._reading, self._skip_bad)


def read_documents(
    documents: Documents | ReadDocuments,
    *,
    encoding: str | None = None,
    skip_bad: int = 0,
    delimiter: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> ReadDocuments:
    """Documents of a source, as `lsr index build` reads it, or of what is in memory.

    Dicts and rows of a DataFrame (of pandas, polars or pyarrow) have their ids in `doc_id` (or
    `_id`, `docid`, `id`, `docno`), their texts in `text`, titles in `title`; what else they have is
    metadata, but for what is missing.

    Args:
        encoding: of all text of a source; default: UTF-8, UTF-16, or what it looks like.
        skip_bad: records or rows that may be wrong: up to this number they are passed over, and
            named in `reading`; the next one stops.
        delimiter: between the fields of a CSV file; default: the one of its header.
        columns: other names, as `{"doc_id": "PMID", "text": "abstract"}`.

    Raises:
        DataError: the source cannot be read; when iterating, a record is wrong.
        InputError: an option does nothing for these documents, or they are none.

    Example:
        >>> import lsr, pathlib
        >>> _ = pathlib.Path("notes.jsonl").write_text('{"_id": "a", "text": "Keys rotate."}')
        >>> [document.doc_id for document in lsr.read_documents("notes.jsonl")]
        ['a']
        >>> rows = [{"doc_id": "a", "text": "Keys rotate.", "year": 2026}, {"text": "no id"}]
        >>> documents = lsr.read_documents(rows, skip_bad=1)
        >>> [(document.doc_id, document.metadata) for document in documents]
        [('a', {'year': 2026})]
        >>> documents.reading.lines()[1].partition(" (document 2")[0]
        '  1 record: bad records, skipped'
    """
    if isinstance(documents, ReadDocuments):
        if (encoding, skip_bad, delimiter, columns) != (None, 0, None, None):
            raise InputError(
                "these documents are read already; give the options where their source is named"
            )
        return documents
    return ReadDocuments(documents, ReadOptions(encoding, skip_bad, delimiter), columns)


def chosen_passages(
    corpus: Corpus | None,
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
    is_split = isinstance(corpus, TextFolder) if passages is None else passages
    return PassageSettings() if is_split else None


def _columns(names: Mapping[str, str]) -> Columns:
    for part in names:
        if part not in ("doc_id", "text", "title"):
            raise InputError(f"there is no column {part!r} to name; choose doc_id, text or title")
    return Columns(**names)


def _iterable(given: object) -> Iterable[object]:
    if isinstance(given, Mapping):
        raise InputError(
            "the documents are one dict; give a list of dicts, as "
            "[{'doc_id': 'a', 'text': 'Keys rotate.'}]"
        )
    if not isinstance(given, Iterable) or isinstance(given, bytes):
        raise InputError(
            f"the documents are a {type(given).__name__}; give a list of lsr.Document or of dicts, "
            "a DataFrame, or the path of a source"
        )
    return given


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
