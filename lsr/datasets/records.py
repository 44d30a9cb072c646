"""Documents from record files: JSON lines, CSV and TSV, one document a record.

Field names are found by themselves when they are among the usual ones, or given as `Columns`.
Whatever is not id, title or text becomes metadata.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lsr.datasets.lines import numbered_lines, plain_suffix
from lsr.errors import DataError, InputError
from lsr.types import Document

__all__ = ["Columns", "JsonLines", "Table", "parse_json", "parse_json_object"]

ID_NAMES = ("_id", "doc_id", "docid", "id")
TEXT_NAMES = ("text", "contents", "content", "body", "abstract")
TITLE_NAMES = ("title", "headline", "name")


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


class JsonLines:
    """A file with one JSON object a line (`.jsonl`, also `.gz` and `.zst`)."""

    def __init__(self, path: Path, columns: Columns | None = None) -> None:
        self.path = path
        self.name = path.name.split(".")[0]
        self._columns = columns or Columns()

    def documents(self) -> Iterator[Document]:
        """Yield documents in file order; blank lines are passed over.

        Raises:
            DataError: names the line that does not parse, lacks an id or repeats one.
        """
        first_line: dict[str, int] = {}
        for number, line in numbered_lines(self.path):
            if line.strip():
                record = parse_json_object(line, self.path, number)
                yield _document(record, self._columns, first_line, self.path, number)


class Table:
    """A CSV or TSV file with a header line (also `.gz` and `.zst`).

    CSV may quote fields; in TSV a quote is a character like any other.
    """

    def __init__(self, path: Path, columns: Columns | None = None) -> None:
        self.path = path
        self.name = path.name.split(".")[0]
        self._columns = columns or Columns()

    def documents(self) -> Iterator[Document]:
        """Yield documents in file order.

        Raises:
            DataError: names the line with too many or too few fields, or without a usable id.
        """
        csv.field_size_limit(sys.maxsize)
        lines = (f"{line}\n" for _, line in numbered_lines(self.path))
        if plain_suffix(self.path) == ".tsv":
            reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        else:
            reader = csv.reader(lines, strict=True)
        first_line: dict[str, int] = {}
        header: list[str] | None = None
        try:
            for fields in reader:
                if not fields:
                    continue
                if header is None:
                    header = [name.strip() for name in fields]
                    self._check_header(header)
                    continue
                if len(fields) != len(header):
                    raise DataError(
                        f"{len(fields)} fields where the header has {len(header)}",
                        path=self.path,
                        line=reader.line_num,
                    )
                record = dict(zip(header, fields, strict=True))
                yield _document(record, self._columns, first_line, self.path, reader.line_num)
        except csv.Error as error:
            raise DataError(str(error), path=self.path, line=reader.line_num) from error

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


def parse_json(line: str, path: Path, number: int) -> object:
    """The value on one line.

    Raises:
        DataError: the line is not JSON.
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


def _document(
    record: Mapping[str, object],
    columns: Columns,
    first_line: dict[str, int],
    path: Path,
    number: int,
) -> Document:
    id_name = _column(record, columns.doc_id, ID_NAMES)
    text_name = _column(record, columns.text, TEXT_NAMES)
    title_name = _column(record, columns.title, TITLE_NAMES)
    doc_id = record.get(id_name) if id_name else None
    if isinstance(doc_id, bool) or not isinstance(doc_id, str | int) or doc_id == "":
        wanted = columns.doc_id or ", ".join(ID_NAMES)
        raise DataError(f"a document needs an id in field {wanted}", path=path, line=number)
    doc_id = str(doc_id)
    if doc_id in first_line:
        raise DataError(
            f"doc_id {doc_id!r} was seen before, on line {first_line[doc_id]}; ids must be unique",
            path=path,
            line=number,
        )
    first_line[doc_id] = number
    if text_name is None and title_name is None:
        wanted = columns.text or ", ".join(TEXT_NAMES)
        raise DataError(f"document {doc_id!r} has no field {wanted}", path=path, line=number)
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


def _column(record: Mapping[str, object], asked: str | None, usual: tuple[str, ...]) -> str | None:
    names = (asked,) if asked is not None else usual
    return next((name for name in names if name in record), None)


def _string(
    record: Mapping[str, object], name: str | None, doc_id: str, path: Path, number: int
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
