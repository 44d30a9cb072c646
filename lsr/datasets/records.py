"""Documents from record files: JSON lines, CSV and TSV, one document a record.

Field names are found by themselves when they are among the usual ones, or given as `Columns`.
Whatever is not id, title or text becomes metadata.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from lsr.datasets.lines import numbered_lines, plain_suffix
from lsr.datasets.reading import Reading, ReadOptions
from lsr.errors import DataError, InputError
from lsr.files import is_text
from lsr.types import Document

__all__ = [
    "BadRecords",
    "Columns",
    "JsonLines",
    "Table",
    "parse_json",
    "parse_json_object",
    "record_document",
]

ID_NAMES = ("_id", "doc_id", "docid", "id", "docno")
TEXT_NAMES = ("text", "contents", "content", "body", "abstract")
TITLE_NAMES = ("title", "headline", "name")
_DELIMITERS = (",", ";", "\t", "|")
_SEP = re.compile(r"sep=(.)\n", re.IGNORECASE)
_MOST_SHOWN = 200  # characters of a header in a message


@dataclass(frozen=True)
class Columns:
    """Names of the fields that hold each value; None: look for the usual names."""

    doc_id: str | None = None
    text: str | None = None
    title: str | None = None

    @classmethod
    def parse(cls, text: str) -> Columns:
        """Read `doc_id=PMID,text=abstract,title=headline`; each part may be left out.

        Raises:
            InputError: a part is not `name=column`, or the name is another one.
        """
        found: dict[str, str] = {}
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            name, equals, column = part.partition("=")
            if not equals or name not in ("doc_id", "text", "title") or not column:
                raise InputError(
                    f"{part!r} is not a column; write doc_id=COLUMN, text=COLUMN or title=COLUMN"
                )
            found[name] = column
        return cls(**found)


class BadRecords:
    """Records that are passed over, as long as there are not too many.

    Args:
        limit: so many are counted in `reading`, each with its message; the next one stops.
    """

    def __init__(self, reading: Reading, limit: int) -> None:
        self._reading = reading
        self._limit = limit
        self._n = 0

    def skip(self, error: DataError) -> None:
        """Count a record.

        Raises:
            DataError: that of the record, where none may be skipped or too many were.
        """
        self._n += 1
        if self._n > self._limit:
            if self._limit:
                error.args = (
                    f"{error} (record {self._n:,} of those that are bad; at most "
                    f"{self._limit:,} are skipped)",
                )
            raise error
        self._reading.pass_over(
            str(error), "record", "bad records, skipped", unit="record", examples=self._limit
        )


class JsonLines:
    """A file with one JSON object a line (`.jsonl`, also `.gz` and `.zst`).

    Attributes:
        reading: the account of what `documents` read and passed over.
    """

    def __init__(
        self, path: Path, columns: Columns | None = None, options: ReadOptions | None = None
    ) -> None:
        self.path = path
        self.name = path.name.split(".")[0]
        self.reading = Reading()
        self._columns = columns or Columns()
        self._options = options or ReadOptions()

    def documents(self) -> Iterator[Document]:
        """Yield documents in file order; blank lines are passed over.

        Raises:
            DataError: names the line that does not parse, lacks an id or repeats one, where the
                options do not say to skip it.
        """
        self.reading = reading = Reading()
        return self._documents(reading)

    def _documents(self, reading: Reading) -> Iterator[Document]:
        bad = BadRecords(reading, self._options.skip_bad)
        first_line: dict[str, int] = {}
        lines = numbered_lines(
            self.path, self._options.encoding, keep_bad=self._options.skip_bad > 0
        )
        reading.n_read = 1
        for number, line in lines:
            if not line.strip():
                continue
            try:
                _check_text(line, self.path, number)
                record = parse_json_object(line, self.path, number)
                document = record_document(record, self._columns, first_line, self.path, number)
            except DataError as error:
                bad.skip(error)
                continue
            reading.n_documents += 1
            yield document


class Table:
    """A CSV or TSV file with a header line (also `.gz` and `.zst`).

    CSV may quote fields; in TSV a quote is a character like any other. The delimiter of CSV is the
    one that the options or a first line `sep=;` say, otherwise the comma, or else the one of
    semicolon, tab and bar with which the header has an id.

    Attributes:
        reading: the account of what `documents` read and passed over.
    """

    def __init__(
        self, path: Path, columns: Columns | None = None, options: ReadOptions | None = None
    ) -> None:
        self.path = path
        self.name = path.name.split(".")[0]
        self.reading = Reading()
        self._columns = columns or Columns()
        self._options = options or ReadOptions()

    def documents(self) -> Iterator[Document]:
        """Yield documents in file order.

        Raises:
            DataError: names the line with too many or too few fields, or without a usable id,
                where the options do not say to skip it.
        """
        self.reading = reading = Reading()
        return self._documents(reading)

    def _documents(self, reading: Reading) -> Iterator[Document]:
        csv.field_size_limit(sys.maxsize)
        bad = BadRecords(reading, self._options.skip_bad)
        reader, before = self._reader()
        first_line: dict[str, int] = {}
        header: list[str] | None = None
        reading.n_read = 1
        while True:
            try:
                fields = next(reader, None)
                number = before + reader.line_num
                if fields is None:
                    return
                if not fields:
                    continue
                if header is None:
                    header = [name.strip() for name in fields]
                    self._check_header(header)
                    continue
                document = self._record(fields, header, first_line, number)
            except csv.Error as error:
                number = before + reader.line_num
                wrong = DataError(str(error), path=self.path, line=number)
                if header is None:
                    raise wrong from error
                bad.skip(wrong)
                continue
            except DataError as error:
                if header is None or error.line in (None, 1):
                    raise
                bad.skip(error)
                continue
            reading.n_documents += 1
            yield document

    def _reader(self) -> tuple[Any, int]:
        """A reader of the lines from the header on, and how many come before."""
        options = self._options
        lines = (
            f"{line}\n"
            for _, line in numbered_lines(
                self.path, options.encoding, keep_bad=options.skip_bad > 0
            )
        )
        if plain_suffix(self.path) == ".tsv":
            return csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE), 0
        first = next(lines, "")
        said = _SEP.fullmatch(first)
        if said:
            delimiter = options.delimiter or said[1]
            return csv.reader(lines, delimiter=delimiter, strict=True), 1
        delimiter = options.delimiter or self._delimiter(first)
        return csv.reader(chain([first], lines), delimiter=delimiter, strict=True), 0

    def _delimiter(self, header: str) -> str:
        wanted = (self._columns.doc_id,) if self._columns.doc_id else ID_NAMES
        for delimiter in _DELIMITERS:
            names = [name.strip().strip('"') for name in header.split(delimiter)]
            if len(names) > 1 and any(name in wanted for name in names):
                return delimiter
        return _DELIMITERS[0]

    def _record(
        self, fields: list[str], header: list[str], first_line: dict[str, int], number: int
    ) -> Document:
        if len(fields) != len(header):
            raise DataError(
                f"{len(fields)} fields where the header has {len(header)}",
                path=self.path,
                line=number,
            )
        for each in fields:
            _check_text(each, self.path, number)
        record = dict(zip(header, fields, strict=True))
        return record_document(record, self._columns, first_line, self.path, number)

    def _check_header(self, header: list[str]) -> None:
        twice = next((name for name in header if header.count(name) > 1), None)
        if twice is not None:
            raise DataError(f"the header names column {twice!r} twice", path=self.path, line=1)
        asked = (self._columns.doc_id, self._columns.text, self._columns.title)
        for column in filter(None, asked):
            if column not in header:
                raise DataError(
                    f"no column {column!r}; the header has {', '.join(header)}", path=self.path
                )


def _check_text(line: str, path: Path, number: int) -> None:
    if not is_text(line):
        raise DataError("the line is not UTF-8", path=path, line=number)


def parse_json_object(line: str, path: Path, number: int) -> dict[str, object]:
    """The object on one line.

    Raises:
        DataError: the line is not JSON, or is another kind of value.
    """
    record = parse_json(line, path, number)
    if not isinstance(record, dict):
        raise DataError(
            f"a JSON object is needed and this is a {type(record).__name__}", path=path, line=number
        )
    return record


def parse_json(line: str, path: Path, number: int | None) -> object:
    """The value on one line, or of a whole file where `number` is None.

    Raises:
        DataError: it is not JSON.
    """
    try:
        value: object = json.loads(line, parse_constant=_no_constant)
    except ValueError as error:
        raise DataError(f"not valid JSON ({error})", path=path, line=number) from error
    except RecursionError as error:
        raise DataError("JSON nested too deeply", path=path, line=number) from error
    return value


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON value")


def record_document(
    record: Mapping[str, object],
    columns: Columns,
    first_line: dict[str, int],
    path: Path | str,
    number: int | None,
) -> Document:
    """The document that a record is; its id is added to `first_line`.

    Raises:
        DataError: it has no id, no text, another kind of value, or an id that `first_line` has;
            names line `number` of `path`.
    """
    id_name = _column(record, columns.doc_id, ID_NAMES)
    text_name = _column(record, columns.text, TEXT_NAMES)
    title_name = _column(record, columns.title, TITLE_NAMES)
    doc_id = record.get(id_name) if id_name else None
    if isinstance(doc_id, bool) or not isinstance(doc_id, str | int) or doc_id == "":
        wanted = columns.doc_id or ", ".join(ID_NAMES)
        got = f"{id_name} is {doc_id!r}" if id_name else f"the fields are: {_shown(record)}"
        raise DataError(f"a document needs an id in field {wanted}; {got}", path=path, line=number)
    doc_id = str(doc_id)
    if doc_id in first_line:
        raise DataError(
            f"doc_id {doc_id!r} was seen before, on {'line' if number else 'record'} "
            f"{first_line[doc_id]}; ids must be unique",
            path=path,
            line=number,
        )
    first_line[doc_id] = number or len(first_line) + 1
    if text_name is None and title_name is None:
        wanted = columns.text or ", ".join(TEXT_NAMES)
        raise DataError(
            f"document {doc_id!r} has no field {wanted}; its fields are: {_shown(record)}",
            path=path,
            line=number,
        )
    metadata = {
        name: value
        for name, value in record.items()
        if name not in (id_name, text_name, title_name, "metadata") and value is not None
    }
    nested = record.get("metadata")
    if isinstance(nested, Mapping):
        metadata |= nested
    elif nested is not None:
        metadata["metadata"] = nested
    return Document(
        doc_id,
        _string(record, text_name, doc_id, path, number),
        _string(record, title_name, doc_id, path, number),
        metadata,
    )


def _shown(record: Mapping[str, object]) -> str:
    names = ", ".join(record)
    return names if len(names) <= _MOST_SHOWN else f"{names[:_MOST_SHOWN]}…"


def _column(record: Mapping[str, object], asked: str | None, usual: tuple[str, ...]) -> str | None:
    names = (asked,) if asked is not None else usual
    return next((name for name in names if name in record), None)


def _string(
    record: Mapping[str, object],
    name: str | None,
    doc_id: str,
    path: Path | str,
    number: int | None,
) -> str:
    value = record.get(name) if name is not None else None
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(
            f"field {name} of document {doc_id!r} must be text and is a {type(value).__name__}",
            path=path,
            line=number,
        )
    return value
