"""Tables in memory: rows of pandas, polars and pyarrow as documents and queries."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import lsr
from lsr.datasets.cells import is_missing, plain_cell
from lsr.datasets.frames import FrameRows, frame_queries, row_documents
from lsr.datasets.reading import Reading
from lsr.errors import DataError, InputError
from lsr.types import Document, Query

COLUMNS = {
    "doc_id": ["a", "b", "c"],
    "text": ["Keys rotate.", "Backups run.", ""],
    "title": ["Keys", None, "Doors"],
    "year": [2024, 2025, 2026],
    "score": [0.5, None, 1.5],
    "day": [dt.date(2026, 1, 2), None, dt.date(2026, 3, 4)],
    "tags": [["x", "y"], [], None],
}
EXPECTED = [
    Document("a", "Keys rotate.", "Keys", {"year": 2024, "score": 0.5, "day": "2026-01-02"}),
    Document("b", "Backups run.", "", {"year": 2025}),
    Document("c", "", "Doors", {"year": 2026, "score": 1.5, "day": "2026-03-04"}),
]


def read(table: Any) -> list[Document]:
    rows = FrameRows.of(table)
    assert rows is not None
    assert list(row_documents(rows)) == list(row_documents(rows)), "a table is read twice alike"
    return list(row_documents(rows))


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(COLUMNS),
        pl.DataFrame(COLUMNS),
        pa.table(COLUMNS),
        pa.RecordBatch.from_pydict(COLUMNS),
    ],
    ids=["pandas", "polars", "arrow", "batch"],
)
def test_every_kind_of_table_gives_the_same_documents(table: Any) -> None:
    found = read(table)
    tags = [document.metadata.get("tags") for document in found]
    assert tags == [["x", "y"], [], None]
    for document, expected in zip(found, EXPECTED, strict=True):
        rest = {name: value for name, value in document.metadata.items() if name != "tags"}
        assert Document(document.doc_id, document.text, document.title, rest) == expected
        assert [type(value) for value in rest.values()] == [
            type(value) for value in expected.metadata.values()
        ]


def test_ids_are_text_or_whole_numbers() -> None:
    frame = pd.DataFrame({"id": np.array([7, 8]), "text": ["x", "y"]})
    assert [document.doc_id for document in read(frame)] == ["7", "8"]
    frame = pd.DataFrame({"docno": ["d1"], "text": ["x"]})
    assert [document.doc_id for document in read(frame)] == ["d1"]


def test_an_index_with_a_name_is_a_column() -> None:
    frame = pd.DataFrame({"doc_id": ["a", "b"], "text": ["x", "y"]}).set_index("doc_id")
    assert read(frame) == [Document("a", "x"), Document("b", "y")]
    frame = pd.DataFrame({"doc_id": ["a"], "text": ["x"]}, index=pd.Index([3], name="page"))
    assert read(frame) == [Document("a", "x", "", {"page": 3})]
    levels = pd.MultiIndex.from_tuples([("a", 1)], names=["doc_id", "part"])
    assert read(pd.DataFrame({"text": ["x"]}, levels)) == [Document("a", "x", "", {"part": 1})]


def test_an_index_of_rows_that_are_left_says_nothing() -> None:
    frame = pd.DataFrame({"doc_id": ["a", "b"], "text": ["x", "y"]})
    assert read(frame[frame.text == "y"]) == [Document("b", "y")]
    assert read(frame[:0]) == []


ROW = {"doc_id": "b", "text": "y"}


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (
            {"doc_id": None},
            "row 1 of the DataFrame, counted from 0: a document needs an id in .*; ",
        ),
        ({"doc_id": float("nan")}, "row 1 .* doc_id is None"),
        ({"doc_id": 1.0}, "row 1 .*: a document needs an id in field .*; doc_id is 1.0"),
        ({"doc_id": True}, "row 1 .*doc_id is True"),
        ({"doc_id": ""}, "row 1 .*doc_id is ''"),
        ({"doc_id": "a"}, "row 1 .*: doc_id 'a' was seen before, as row 0; ids must be unique"),
        ({"text": None}, "row 1 .*: 'text' is None; fill in a text, if only an empty one, or"),
        ({"text": float("nan")}, "row 1 .*: 'text' is nan; fill in"),
        ({"text": pd.NaT}, "row 1 .*: 'text' is NaT; fill in"),
        ({"text": pd.NA}, "row 1 .*: 'text' is <NA>; fill in"),
        ({"text": 7}, "row 1 .*: field text of document 'b' must be text and is a int"),
        ({"title": 7}, "row 1 .*: field title of document 'b' must be text and is a int"),
        ({"price": float("inf")}, "row 1 .*: 'price' holds inf, which is not a finite number"),
        ({"price": Decimal("1.5")}, "row 1 .*: 'price' holds a Decimal, which is no text, number"),
        ({"photo": b"JPEG"}, "row 1 .*: 'photo' holds a bytes, which is no text"),
        ({"tags": ["x", float("nan")]}, "row 1 .*: 'tags' holds nan, which is not a finite number"),
    ],
)
def test_a_wrong_cell_is_named_by_row_and_column(second: dict[str, Any], said: str) -> None:
    frame = pd.DataFrame([{"doc_id": "a", "text": "x"}, {**ROW, **second}], dtype=object)
    with pytest.raises(DataError, match=said):
        read(frame)
    rows = FrameRows.of(frame)
    assert rows is not None
    reading = Reading()
    assert [d.doc_id for d in row_documents(rows, None, reading, skip_bad=1)] == ["a"]
    (passed,) = reading.passed.values()
    assert passed.n == 1
    assert re.search("row 1", passed.examples[0])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pd.DataFrame({"text": ["x"]}), "has no column of ids; name it _id or doc_id.*rename_axis"),
        (pl.DataFrame({"text": ["x"]}), r"ids; name it .* or docno \(its columns are: text\)"),
        (pd.DataFrame({"doc_id": ["a"]}), "has no column of texts; name it text or contents"),
        (pd.DataFrame(), "has no column of ids.*its columns are: none"),
        (pd.DataFrame({"doc_id": ["a"], 0: ["x"]}), "column 1 of the DataFrame is named 0; names"),
        (pd.DataFrame([["a", "b"]], columns=["id", "id"]), "has two columns 'id'; rename one"),
        (
            pd.DataFrame({"doc_id": ["a"], "text": ["x"]}, index=["p"]),
            "the index of the DataFrame has values, such as 'p', and no name; name it, as with",
        ),
        (
            pd.DataFrame({"doc_id": ["a"], "text": ["x"]}, index=pd.Index([1], name="text")),
            "has an index and a column named 'text'; rename one",
        ),
        (
            pl.LazyFrame(COLUMNS),
            r"the LazyFrame has no rows yet; give what its collect\(\) returns",
        ),
    ],
)
def test_a_table_without_what_it_needs(table: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(table)


def test_other_names_of_columns() -> None:
    frame = pd.DataFrame({"PMID": [1], "abstract": ["x"], "id": ["kept"]})
    names = {"doc_id": "PMID", "text": "abstract"}
    (document,) = lsr.read_documents(frame, columns=names)
    assert document == Document("1", "x", "", {"id": "kept"})
    with pytest.raises(DataError, match="the DataFrame: has no column of ids; name it nobody"):
        list(lsr.read_documents(frame, columns={"doc_id": "nobody"}))
    with pytest.raises(InputError, match="no column 'body' to name; choose doc_id, text or title"):
        lsr.read_documents(frame, columns={"body": "abstract"})


def test_dicts_are_read_as_rows_are() -> None:
    documents = [{"_id": "a", "text": "x", "n": np.int64(3)}, Document("b", "y")]
    assert list(row_documents(documents)) == [Document("a", "x", "", {"n": 3}), documents[1]]
    with pytest.raises(DataError, match="document 2 of the source: doc_id 'a' was seen before, as"):
        list(row_documents([documents[0], documents[0]]))
    with pytest.raises(DataError, match="document 1 of the source: has a field named 3; names"):
        list(row_documents([{3: "x"}]))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"doc_id": "a", "text": "x"}, "the documents are one dict; give a list of dicts, as"),
        (lsr.Document("a", "x"), "the documents are a Document; give a list of lsr.Document"),
        (7, "the documents are a int; give a list"),
        (b"path", "the documents are a bytes; give a list"),
    ],
)
def test_what_is_no_documents(given: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        lsr.read_documents(given)


def test_options_that_do_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="encoding and delimiter are of files"):
        lsr.read_documents([Document("a", "x")], encoding="utf-8")
    once = lsr.read_documents([Document("a", "x")])
    assert lsr.read_documents(once) is once
    with pytest.raises(InputError, match="read already; give the options where their source"):
        lsr.read_documents(once, skip_bad=1)


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"qid": [1, 2], "query": ["keys", "doors"], "split": ["x", "y"]}),
        pd.DataFrame({"query": ["keys", "doors"]}, index=pd.Index(["1", "2"], name="qid")),
        pl.DataFrame({"query_id": ["1", "2"], "text": ["keys", "doors"]}),
        pa.table({"_id": ["1", "2"], "text": ["keys", "doors"]}),
    ],
)
def test_queries_of_a_table(table: Any) -> None:
    rows = FrameRows.of(table)
    assert rows is not None
    assert list(frame_queries(rows)) == [Query("1", "keys"), Query("2", "doors")]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"query": ["keys"]}, "has no column of query ids; name it qid or query_id"),
        ({"qid": ["q"]}, "has no column of queries; name it query or text"),
        ({"qid": ["q", None], "query": ["x", "y"]}, "row 1 .*: 'qid' is None; a query's id is te"),
        ({"qid": ["q", "r"], "query": ["x", None]}, "row 1 .*: 'query' is None; a query is text"),
        ({"qid": [0.5], "query": ["x"]}, "row 0 .*: 'qid' is 0.5; a query's id is text or a whole"),
    ],
)
def test_wrong_queries_of_a_table(table: Any, said: str) -> None:
    rows = FrameRows.of(pd.DataFrame(table))
    assert rows is not None
    with pytest.raises(DataError, match=said):
        list(frame_queries(rows))


def test_cells() -> None:
    for missing in (None, float("nan"), np.nan, np.float32("nan"), pd.NaT, pd.NA):
        assert is_missing(missing)
    there: list[Any] = [
        "",
        0,
        False,
        [],
        [float("nan")],
        np.array([np.nan]),
        {},
        np.datetime64("2026"),
    ]
    for value in there:
        assert not is_missing(value)
    assert plain_cell(np.bool_(True)) is True
    assert plain_cell(np.float32(0.5)) == 0.5
    assert type(plain_cell(np.float64(0.5))) is float
    assert plain_cell(np.array([[1, 2]])) == [[1, 2]]
    assert plain_cell({"a": (np.int8(1),)}) == {"a": [1]}
    assert plain_cell(pd.Timestamp("2026-01-02 03:04")) == "2026-01-02T03:04:00"
    assert plain_cell(np.datetime64("2026-01-02")) == "2026-01-02"
    assert plain_cell(dt.time(3, 4)) == "03:04:00"
    with pytest.raises(ValueError, match="a set, which is no text"):
        plain_cell({"x"})
