"""Test collections in the folder layout of BEIR (Thakur et al. 2021).

`corpus.jsonl` and `queries.jsonl` hold one object a line with `_id`, `text` and, for documents,
`title`; `qrels/SPLIT.tsv` holds query id, document id and grade under a header line. Each file may
be compressed (`.gz`, `.zst`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from lsr.datasets.judgements import add_judgement, is_header, whole_grade
from lsr.datasets.lines import COMPRESSED, numbered_lines
from lsr.datasets.records import JsonLines, parse_json_object
from lsr.errors import DataError, InputError
from lsr.types import Document, Qrel, Qrels, Query

__all__ = ["BeirFolder", "read_qrels", "read_queries", "write_beir"]


class BeirFolder:
    """A test collection on disk.

    Raises:
        DataError: the folder or its corpus file is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.resolve().name
        self.corpus = JsonLines(_find(path, "corpus.jsonl"))

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the folder looks like one of these."""
        return any((path / f"corpus.jsonl{suffix}").is_file() for suffix in ("", *COMPRESSED))

    def documents(self) -> Iterator[Document]:
        """Yield documents in file order; a bad line raises DataError naming it."""
        return self.corpus.documents()

    def queries(self) -> Iterator[Query]:
        """Yield queries in file order.

        Raises:
            DataError: names the line without `_id` or `text`, or with an id seen before.
        """
        return read_queries(_find(self.path, "queries.jsonl"))

    def qrels(self, split: str) -> Qrels:
        """Judgements of a split, with grades of 0 kept.

        Raises:
            DataError: there is no such split (names those there are), or a line is wrong.
        """
        return read_qrels(self._split(split))

    def splits(self) -> list[str]:
        """Names of the sets of judgements, sorted."""
        return sorted({file.name.split(".")[0] for file in (self.path / "qrels").glob("*.tsv*")})

    def _split(self, split: str) -> Path:
        folder = self.path / "qrels"
        try:
            return _find(folder, f"{split}.tsv")
        except DataError:
            raise DataError(
                f"no judgements for split {split!r}; there are: "
                f"{', '.join(self.splits()) or 'none'}",
                path=folder,
            ) from None


def read_queries(path: Path) -> Iterator[Query]:
    """Yield the queries of a `queries.jsonl`, whatever its name, in file order.

    Raises:
        DataError: names the line without `_id` or `text`, or with an id seen before.
    """
    seen: set[str] = set()
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        record = parse_json_object(line, path, number)
        query_id, text = record.get("_id"), record.get("text")
        if (
            isinstance(query_id, bool)
            or not isinstance(query_id, str | int)
            or query_id == ""
            or not isinstance(text, str)
        ):
            raise DataError("a query needs _id and text", path=path, line=number)
        if str(query_id) in seen:
            raise DataError(f"query {query_id!r} was seen before", path=path, line=number)
        seen.add(str(query_id))
        yield Query(str(query_id), text)


def read_qrels(path: Path) -> Qrels:
    """Judgements of a `qrels/SPLIT.tsv`, with grades of 0 kept.

    Three columns with tabs between, or blanks where the first line has no tab, perhaps under a
    header line.

    Raises:
        DataError: names the line that is wrong, or judges a document a second time otherwise.
    """
    qrels: Qrels = {}
    has_tabs: bool | None = None
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        has_tabs = "\t" in line if has_tabs is None else has_tabs
        fields = line.rstrip("\r\n").split("\t") if has_tabs else line.split()
        if number == 1 and is_header(fields):
            continue
        if len(fields) != 3:
            raise DataError(
                "a judgement is query id, document id and whole-number grade, with tabs between",
                path=path,
                line=number,
            )
        query_id, doc_id, grade = fields
        add_judgement(qrels, Qrel(query_id, doc_id, whole_grade(grade, path, number)), path, number)
    return qrels


def write_beir(
    folder: Path, documents: Iterable[Document], queries: Iterable[Query], qrels: dict[str, Qrels]
) -> None:
    """Write a collection in this layout; `qrels` maps split names to judgements.

    Raises:
        InputError: a judged id holds a tab or a line end, which `qrels/SPLIT.tsv` cannot say.
    """
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as stream:
        for document in documents:
            record = {
                "_id": document.doc_id,
                "title": document.title,
                "text": document.text,
                "metadata": dict(document.metadata),
            }
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as stream:
        for query in queries:
            record = {"_id": query.query_id, "text": query.text}
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")
    for split, judgements in qrels.items():
        lines = ["query-id\tcorpus-id\tscore\n"]
        for query_id, grades in judgements.items():
            for identifier in (query_id, *grades):
                if "\t" in identifier or "\n" in identifier:
                    raise InputError(
                        f"{identifier!r} holds a tab or a line end; qrels/{split}.tsv cannot say it"
                    )
            lines += [f"{query_id}\t{doc_id}\t{grade}\n" for doc_id, grade in grades.items()]
        (folder / "qrels" / f"{split}.tsv").write_text("".join(lines), encoding="utf-8")


def _find(folder: Path, name: str) -> Path:
    for suffix in ("", *COMPRESSED):
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    raise DataError(f"no {name} here (nor .gz, .zst)", path=folder)
