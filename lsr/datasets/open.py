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
from lsr.datasets.files.records import JsonArray, ParquetTable
from lsr.datasets.lines import numbered_lines, plain_suffix
from lsr.datasets.reading import Reading, ReadOptions
from lsr.datasets.records import Columns, JsonLines, Table
from lsr.datasets.text_folder import TextFolder, is_read_alone
from lsr.datasets.trec import read_qrels as read_trec_qrels
from lsr.errors import DataError, InputError, UnavailableError
from lsr.types import Document, Qrels, Query

__all__ = [
    "IRDS_PREFIX",
    "Corpus",
    "CountedCorpus",
    "IrDataset",
    "JudgedCorpus",
    "open_corpus",
    "open_judged_corpus",
    "open_qrels",
    "open_queries",
    "reading_of",
]

IRDS_PREFIX = "irds:"


@runtime_checkable
class Corpus(Protocol):
    """A named stream of documents that can be read more than once."""

    name: str

    def documents(self) -> Iterator[Document]: ...


@runtime_checkable
class CountedCorpus(Corpus, Protocol):
    """A corpus that keeps an account of what it read."""

    reading: Reading


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
        except (OSError, RuntimeError) as error:  # the latter when no address of it answers
            why = error.args[0] if isinstance(error, RuntimeError) and error.args else error
            raise DataError(f"could not be fetched or read ({why})", path=self._id) from error


def open_corpus(
    source: str, columns: Columns | None = None, options: ReadOptions | None = None
) -> Corpus:
    """Find out what `source` is.

    Args:
        source: a BEIR folder, a folder of files, a `.jsonl`, `.json`, `.csv` or `.tsv` file (each
            also `.gz` or `.zst`), a `.parquet` file, one file of a kind that is read in folders, or
            `irds:ID` for the ir_datasets catalogue.
        columns: which fields of a record file hold id, text and title.
        options: encoding, delimiter, and how many bad records are skipped.

    Raises:
        DataError: nothing is there, or it is none of these.
        InputError: columns or options are given for a source that has no use for them.
    """
    options = options or ReadOptions()
    if source.startswith(IRDS_PREFIX):
        _refuse(source, columns, encoding=options.encoding, skip_bad=options.skip_bad)
        _refuse(source, None, delimiter=options.delimiter)
        return IrDataset(source.removeprefix(IRDS_PREFIX))
    path = Path(source)
    kind = plain_suffix(path)
    if kind not in (".csv",) or path.is_dir():
        _refuse(source, None, delimiter=options.delimiter)
    if path.is_dir():
        if BeirFolder.recognises(path):
            _refuse(source, columns)
            beir = BeirFolder(path)
            beir.corpus = JsonLines(beir.corpus.path, options=options)
            return beir
        _refuse(source, columns, skip_bad=options.skip_bad)
        folder = TextFolder(path, options)
        folder.check()
        return folder
    if not path.exists():
        raise DataError("no such file or folder; check the path", path=path)
    if kind in (".jsonl", ".ndjson"):
        return JsonLines(path, columns, options)
    if kind in (".csv", ".tsv"):
        return Table(path, columns, options)
    if kind == ".json":
        return JsonArray(path, columns, options)
    if path.suffix.lower() == ".parquet":
        _refuse(source, None, encoding=options.encoding)
        return ParquetTable(path, columns, options)
    if is_read_alone(path):
        _refuse(source, columns, skip_bad=options.skip_bad)
        file = TextFolder(path, options)
        file.check()
        return file
    raise DataError(
        "cannot tell what this is; give a folder, a .jsonl, .json, .csv, .tsv or .parquet file, or "
        "a text, PDF or other file of a kind that lsr index build reads in folders",
        path=path,
    )


def _refuse(
    source: str,
    columns: Columns | None,
    *,
    encoding: str | None = None,
    skip_bad: int = 0,
    delimiter: str | None = None,
) -> None:
    """Refuse options that would do nothing."""
    lacks = {
        "columns to choose": columns not in (None, Columns()),
        "encoding to choose": encoding is not None,
        "records to skip": skip_bad > 0,
        "delimiter to choose": delimiter is not None,
    }
    for name, given in lacks.items():
        if given:
            raise InputError(f"{source} has no {name}; leave the option out")


def reading_of(corpus: Corpus) -> Reading | None:
    """The account of what was read of a corpus; None where it has none (ir_datasets)."""
    if isinstance(corpus, BeirFolder):
        return corpus.corpus.reading
    return corpus.reading if isinstance(corpus, CountedCorpus) else None


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
