"""Sources of documents: one call that opens every kind of source.

A source is named by a path or by `irds:ID`. Each becomes an object with `documents()`; those with
judged queries are `JudgedCorpus`s as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from lsr.datasets.beir import BeirFolder, read_queries
from lsr.datasets.beir import read_qrels as read_beir_qrels
from lsr.datasets.lines import numbered_lines, plain_suffix
from lsr.datasets.records import Columns, JsonLines, Table
from lsr.datasets.text_folder import TextFolder
from lsr.datasets.trec import read_qrels as read_trec_qrels
from lsr.errors import DataError, InputError, UnavailableError
from lsr.types import Document, Qrels, Query

__all__ = [
    "IRDS_PREFIX",
    "Corpus",
    "IrDataset",
    "JudgedCorpus",
    "open_corpus",
    "open_judged_corpus",
    "open_qrels",
    "open_queries",
]

IRDS_PREFIX = "irds:"


@runtime_checkable
class Corpus(Protocol):
    """A named stream of documents that can be read more than once."""

    name: str

    def documents(self) -> Iterator[Document]: ...


@runtime_checkable
class JudgedCorpus(Corpus, Protocol):
    """A corpus with queries and relevance judgements."""

    def queries(self) -> Iterator[Query]: ...

    def splits(self) -> list[str]:
        """Names of the sets of judgements; empty where there is just one, whatever its name."""
        ...

    def qrels(self, split: str) -> Qrels: ...


class IrDataset:
    """A collection of the ir_datasets catalogue, for example `beir/scifact/test`.

    Its split is part of the id, so `qrels` takes any split name and ignores it.

    Raises:
        UnavailableError: the package ir_datasets is not installed.
        DataError: there is no such id.
    """

    def __init__(self, dataset_id: str) -> None:
        try:
            import ir_datasets
        except ImportError as error:
            raise UnavailableError(
                "ir_datasets is not installed; run: pip install 'lsr-search[eval]'"
            ) from error
        self.name = dataset_id.replace("/", "-")
        try:
            self._dataset: Any = ir_datasets.load(dataset_id)
        except KeyError as error:
            raise DataError(
                "no such id in ir_datasets; its catalogue lists them", path=dataset_id
            ) from error
        self._id = dataset_id

    def documents(self) -> Iterator[Document]:
        """Yield documents; title and text apart where the collection has them apart.

        Raises:
            DataError: the collection has no documents, or could not be fetched.
        """
        for record in self._iterate("docs"):
            title = getattr(record, "title", "") or ""
            text = getattr(record, "text", None)
            yield Document(record.doc_id, record.default_text() if text is None else text, title)

    def queries(self) -> Iterator[Query]:
        for record in self._iterate("queries"):
            yield Query(record.query_id, record.default_text())

    def splits(self) -> list[str]:
        """None: a split is part of the id."""
        return []

    def qrels(self, split: str) -> Qrels:  # noqa: ARG002
        qrels: Qrels = {}
        for record in self._iterate("qrels"):
            qrels.setdefault(record.query_id, {})[record.doc_id] = record.relevance
        return qrels

    def _iterate(self, kind: str) -> Iterator[Any]:
        if not getattr(self._dataset, f"has_{kind}")():
            raise DataError(f"this collection has no {kind}", path=self._id)
        try:
            yield from getattr(self._dataset, f"{kind}_iter")()
        except OSError as error:
            raise DataError(f"could not be fetched or read ({error})", path=self._id) from error


def open_corpus(source: str, columns: Columns | None = None) -> Corpus:
    """Find out what `source` is.

    Args:
        source: a BEIR folder, a folder of text or Markdown files, a `.jsonl`, `.csv` or `.tsv`
            file (each also `.gz` or `.zst`), or `irds:ID` for the ir_datasets catalogue.
        columns: which fields of a record file hold id, text and title.

    Raises:
        DataError: nothing is there, or it is none of these.
        InputError: columns are given for a source without columns.
    """
    if source.startswith(IRDS_PREFIX):
        corpus: Corpus = IrDataset(source.removeprefix(IRDS_PREFIX))
    else:
        path = Path(source)
        if path.is_dir():
            if BeirFolder.recognises(path):
                corpus = BeirFolder(path)
            else:
                corpus = folder = TextFolder(path)
                folder.check()
        elif not path.exists():
            raise DataError("no such file or folder; check the path", path=path)
        elif plain_suffix(path) in (".jsonl", ".ndjson"):
            return JsonLines(path, columns)
        elif plain_suffix(path) in (".csv", ".tsv"):
            return Table(path, columns)
        else:
            raise DataError(
                "cannot tell what this is; give a folder, or a .jsonl, .csv or .tsv file", path=path
            )
    if columns not in (None, Columns()):
        raise InputError(f"{source} has no columns to choose; leave the option out")
    return corpus


def open_queries(path: Path) -> list[Query]:
    """Queries of a file: BEIR's JSON lines (`.jsonl`), or id and text with a tab between.

    Raises:
        DataError: there is no such file, it holds no queries, or a line is wrong.
    """
    if not path.is_file():
        raise DataError("no such file; check the path", path=path)
    if plain_suffix(path) in (".jsonl", ".ndjson"):
        queries = list(read_queries(path))
    else:
        queries = []
        for number, line in numbered_lines(path):
            query_id, tab, text = line.rstrip("\r\n").partition("\t")
            if line.strip() and (not tab or not query_id):
                raise DataError("a query is its id, a tab and its text", path=path, line=number)
            if line.strip():
                queries.append(Query(query_id, text))
    if not queries:
        raise DataError("holds no queries", path=path)
    return queries


def open_qrels(path: Path) -> Qrels:
    """Judgements of a file: BEIR's three columns, or TREC's four; a header line is passed over.

    Raises:
        DataError: there is no such file, it holds no judgements, or a line is wrong.
    """
    if not path.is_file():
        raise DataError("no such file; check the path", path=path)
    first = next((line for _, line in numbered_lines(path) if line.strip()), "")
    is_beir = 3 in (len(first.split("\t")), len(first.split()))
    qrels = read_beir_qrels(path) if is_beir else read_trec_qrels(path)
    if not qrels:
        raise DataError("holds no judgements", path=path)
    return qrels


def open_judged_corpus(source: str) -> JudgedCorpus:
    """Like `open_corpus`, for evaluation.

    Raises:
        DataError: the source has no judged queries.
    """
    corpus = open_corpus(source)
    if not isinstance(corpus, JudgedCorpus):
        raise DataError(
            "evaluation needs queries and judgements: a BEIR folder or irds:ID", path=source
        )
    return corpus
