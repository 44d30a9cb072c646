"""Tables that are in memory: DataFrames of pandas and polars, tables of pyarrow, dicts in a list.

None of these packages is imported: a table is known by what it can do. Rows become mappings of
plain values, and rows become documents and queries. What is missing (None, NaN, NaT) is left out of
metadata, and is refused where an id or a text belongs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from lsr.datasets.cells import is_missing, plain_cell
from lsr.datasets.reading import Reading
from lsr.datasets.records import (
    ID_NAMES,
    TEXT_NAMES,
    TITLE_NAMES,
    BadRecords,
    Columns,
    record_document,
)
from lsr.errors import DataError, InputError
from lsr.types import Document, Query

__all__ = ["Frame", "FrameRows", "frame_queries", "row_documents"]

QUERY_ID_NAMES = ("qid", "query_id", *ID_NAMES)
QUERY_NAMES = ("query", "text")
_MOST_SHOWN = 200  # characters


class Columned(Protocol):
    """A DataFrame of pandas, or of polars."""

    @property
    def columns(self) -> Any: ...


class ColumnNamed(Protocol):
    """A table or a batch of records of pyarrow."""

    @property
    def column_names(self) -> Any: ...


Frame = Columned | ColumnNamed
"""A table in memory."""


@dataclass(frozen=True)
class FrameRows:
    """Rows of a table as mappings, in order. They may be read more than once.

    Attributes:
        kind: the name of the table's type, for messages.
        names: of the columns, all text and all different.
    """

    kind: str
    names: tuple[str, ...]
    table: Any

    @classmethod
    def of(cls, value: object) -> FrameRows | None:
        """The rows of a table, an index with names among its columns; None if it is no table.

        Raises:
            InputError: a column's name is no text or comes twice, an index has values and no name,
                or the table is computed later.
        """
        table: Any = value
        kind = type(value).__name__
        if hasattr(table, "collect_schema") and not hasattr(table, "iter_rows"):
            raise InputError(f"the {kind} has no rows yet; give what its collect() returns")
        if hasattr(table, "itertuples") and hasattr(table, "reset_index"):
            table = _with_index(table, kind)
            names = list(table.columns)
        elif hasattr(table, "iter_rows") and hasattr(table, "columns"):
            names = list(table.columns)
        elif hasattr(table, "to_pylist") and hasattr(table, "column_names"):
            names = list(table.column_names)
        else:
            return None
        for place, name in enumerate(names):
            if not isinstance(name, str):
                raise InputError(
                    f"column {place} of the {kind} is named {name!r}; names of columns must be text"
                )
            if name in names[:place]:
                raise InputError(f"the {kind} has two columns {name!r}; rename one")
        return cls(kind, tuple(names), table)

    def __iter__(self) -> Iterator[dict[str, object]]:
        if hasattr(self.table, "itertuples"):
            for row in self.table.itertuples(index=False, name=None):
                yield dict(zip(self.names, row, strict=True))
        elif hasattr(self.table, "iter_rows"):
            yield from self.table.iter_rows(named=True)
        else:
            whole = hasattr(self.table, "to_batches")
            for batch in self.table.to_batches() if whole else [self.table]:
                yield from batch.to_pylist()

    def column(self, usual: tuple[str, ...], asked: str | None, what: str) -> str:
        """The column of that name, or of the first of the usual ones.

        Args:
            what: it holds, for the message.

        Raises:
            DataError: there is none.
        """
        wanted = usual if asked is None else (asked,)
        found = next((name for name in wanted if name in self.names), None)
        if found is not None:
            return found
        index = ", or name its index so, as with rename_axis()" * hasattr(self.table, "itertuples")
        raise DataError(
            f"has no column of {what}; name it {' or '.join(wanted)}{index} (its columns are: "
            f"{_shown(self.names)})",
            path=f"the {self.kind}",
        )


def row_documents(
    rows: Iterable[object] | FrameRows,
    columns: Columns | None = None,
    reading: Reading | None = None,
    skip_bad: int = 0,
) -> Iterator[Document]:
    """Documents of a table, or of an iterable of dicts and documents; documents are handed on.

    Args:
        columns: which columns, or keys of dicts, hold id, text and title; default: usual names.
        reading: counts what is read and passed over.
        skip_bad: so many bad rows are passed over.

    Raises:
        DataError: a row has no id or text, or one that cannot be; names row and column.
    """
    columns, reading = columns or Columns(), reading or Reading()
    place, word, first = "document {} of the source", "document", 1
    if isinstance(rows, FrameRows):
        rows.column(ID_NAMES, columns.doc_id, "ids")
        if not any(name in rows.names for name in (columns.title, *TITLE_NAMES)):
            rows.column(TEXT_NAMES, columns.text, "texts")
        place, word, first = f"row {{}} of the {rows.kind}, counted from 0", "row", 0
    bad = BadRecords(reading, skip_bad)
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=first):
        if not isinstance(row, Mapping):
            reading.n_documents += 1
            yield cast(Document, row)  # whatever it is: what is no document is refused when stored
            continue
        try:
            document = _document(row, columns, place.format(number))
            if document.doc_id in seen:
                raise DataError(
                    f"doc_id {document.doc_id!r} was seen before, as {word} "
                    f"{seen[document.doc_id]}; ids must be unique",
                    path=place.format(number),
                )
        except DataError as error:
            bad.skip(error)
            continue
        seen[document.doc_id] = number
        reading.n_documents += 1
        yield document


def frame_queries(rows: FrameRows) -> Iterator[Query]:
    """Queries of a table with columns of ids (`qid`) and texts (`query`); others are left alone.

    Raises:
        DataError: a row has no id or text, or one that cannot be; names row and column.
    """
    id_name = rows.column(QUERY_ID_NAMES, None, "query ids")
    text_name = rows.column(QUERY_NAMES, None, "queries")
    for number, row in enumerate(rows):
        place = f"row {number} of the {rows.kind}, counted from 0"
        query_id, text = (_plain(row, name, place) for name in (id_name, text_name))
        if isinstance(query_id, bool) or not isinstance(query_id, str | int) or query_id == "":
            raise DataError(
                f"{id_name!r} is {query_id!r}; a query's id is text or a whole number", path=place
            )
        if not isinstance(text, str):
            raise DataError(f"{text_name!r} is {text!r}; a query is text", path=place)
        yield Query(str(query_id), text)


def _document(row: Mapping[str, object], columns: Columns, place: str) -> Document:
    record: dict[str, object] = {}
    for name in row:
        if not isinstance(name, str):
            raise DataError(f"has a field named {name!r}; names must be text", path=place)
        record[name] = _plain(row, name, place)
    wanted = (columns.text,) if columns.text else TEXT_NAMES
    text_name = next((name for name in wanted if name in record), None)
    if text_name is not None and record[text_name] is None:
        raise DataError(
            f"{text_name!r} is {row[text_name]!r}; fill in a text, if only an empty one, or leave "
            "the document out",
            path=place,
        )
    return record_document(record, columns, {}, place, None)


def _plain(row: Mapping[str, object], name: str, place: str) -> object:
    """A cell as a plain value; None where it is missing."""
    value = row[name]
    if is_missing(value):
        return None
    try:
        return plain_cell(value)
    except ValueError as error:
        raise DataError(f"{name!r} holds {error}", path=place) from error


def _with_index(table: Any, kind: str) -> Any:
    """A DataFrame of pandas whose index, if it says anything, is among the columns."""
    index = table.index
    names = list(index.names)
    if names == [None] and index.inferred_type in ("integer", "empty"):
        return table  # numbers of rows, or what is left of them
    if None in names:
        raise InputError(
            f"the index of the {kind} has values, such as {index[0]!r}, and no name; name it, as "
            "with rename_axis('doc_id'), or drop it with reset_index(drop=True)"
        )
    for name in names:
        if name in table.columns:
            raise InputError(
                f"the {kind} has an index and a column named {name!r}; rename one, or drop the "
                "index with reset_index(drop=True)"
            )
    return table.reset_index()


def _shown(names: tuple[str, ...]) -> str:
    told = ", ".join(names) or "none"
    return told if len(told) <= _MOST_SHOWN else f"{told[:_MOST_SHOWN]}…"
