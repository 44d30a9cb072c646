"""Texts of rows that hold ids: a collection's file is read once, and what is wanted of it kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lsr.datasets.lines import numbered_lines, plain_suffix
from lsr.datasets.records import ID_NAMES, TEXT_NAMES, TITLE_NAMES, parse_json_object
from lsr.errors import DataError
from lsr.progress import Progress, no_progress
from lsr.training.data.row_layouts import Passage, Row, Where

__all__ = ["TextsById", "wanted_texts"]

_LINES_BETWEEN_REPORTS = 100_000


def wanted_texts(path: Path, wanted: set[str], progress: Progress = no_progress) -> dict[str, str]:
    """Texts of these ids, as far as the file has them.

    Args:
        path: TSV of id and text (no field names are needed), or JSON lines with an id, a text and
            perhaps a title; also `.gz` and `.zst`.

    Raises:
        DataError: the file cannot be read, or a line is of another layout; names the line.
    """
    as_json = plain_suffix(path) in (".jsonl", ".ndjson")
    if not as_json and plain_suffix(path) not in (".tsv", ".txt"):
        raise DataError("texts by id are read from .tsv or .jsonl", path=path)
    found: dict[str, str] = {}
    for number, line in numbered_lines(path):
        if number % _LINES_BETWEEN_REPORTS == 0:
            progress("read", number, None)
        if not line.strip():
            continue
        key, text = (_object if as_json else _fields)(line, path, number)
        if key in wanted and text.strip() and found.setdefault(key, text) != text:
            raise DataError(f"id {key!r} has another text further up", path=path, line=number)
    return found


def _fields(line: str, path: Path, number: int) -> tuple[str, str]:
    fields = line.split("\t")
    if len(fields) != 2:
        raise DataError(
            f"a line is an id and a text, with a tab between; this one has {len(fields)} fields",
            path=path,
            line=number,
        )
    return fields[0].strip(), fields[1]


def _object(line: str, path: Path, number: int) -> tuple[str, str]:
    record = parse_json_object(line, path, number)

    def first(names: tuple[str, ...]) -> object:
        return next((record[name] for name in names if name in record), None)

    key, text, title = first(("query_id", *ID_NAMES)), first(TEXT_NAMES), first(TITLE_NAMES) or ""
    if not isinstance(key, str | int) or not isinstance(text, str) or not isinstance(title, str):
        raise DataError("a record needs an id and a text", path=path, line=number)
    return str(key), f"{title} {text}".strip()


class TextsById:
    """Files of queries and documents, for rows that hold their ids.

    Args:
        queries, documents: see `wanted_texts`.
    """

    def __init__(self, queries: Path, documents: Path) -> None:
        self._queries, self._documents = queries, documents

    def rows(
        self, rows: list[tuple[Row, str, Where]], progress: Progress = no_progress
    ) -> list[tuple[Row, str, Where]]:
        """The rows with texts in place of ids; their documents keep the ids.

        Raises:
            DataError: a file lacks an id (names the row's line), or see `wanted_texts`.
        """
        query_ids = {row.query for row, _, _ in rows}
        document_ids = {
            passage.text
            for row, _, _ in rows
            for passage in (*row.positives, *row.negatives, *row.scored)
        }
        queries = wanted_texts(self._queries, query_ids, progress)
        documents = wanted_texts(self._documents, document_ids, progress)

        def text_of(texts: Mapping[str, str], key: str, path: Path, where: Where) -> str:
            if key not in texts:
                raise where(f"id {key!r} has no text in {path}")
            return texts[key]

        def filled(passages: tuple[Passage, ...], where: Where) -> tuple[Passage, ...]:
            texts = (text_of(documents, each.text, self._documents, where) for each in passages)
            return tuple(
                Passage(text, each.doc_id) for text, each in zip(texts, passages, strict=True)
            )

        return [
            (
                replace(
                    row,
                    query=text_of(queries, row.query, self._queries, where),
                    query_id=row.query,
                    positives=filled(row.positives, where),
                    negatives=filled(row.negatives, where),
                    scored=filled(row.scored, where),
                ),
                name,
                where,
            )
            for row, name, where in rows
        ]
