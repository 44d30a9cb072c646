"""Filters over metadata: what passes is what a plain reading of the filter says."""

from __future__ import annotations

import math
import random
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.errors import IndexCorruptError, QueryError
from lsr.index.metadata.collection_metadata import CollectionMetadata
from lsr.index.metadata.field_types import field_types
from lsr.index.metadata.segment_metadata import SegmentMetadata
from lsr.index.storage.document_store import DocumentStore
from lsr.index.storage.document_store_writer import StoreWriter
from lsr.retrieval.filter import Filter, both, parse_filter
from lsr.retrieval.scalar import canonical, flat_values, scalar_of
from lsr.types import Document
from tests.naive import metadata as naive


def stored(path: Path, metadata: Sequence[Mapping[str, object]]) -> DocumentStore:
    writer = StoreWriter(path)
    for _ in writer.add_documents(Document(f"{i}", "", "", m) for i, m in enumerate(metadata)):
        pass
    writer.close()
    return DocumentStore(path)


class InMemory:
    """A store that is no database: columns need no more than this of one."""

    def __init__(self, metadata: Sequence[Mapping[str, object]], *, flat: bool = True) -> None:
        self._metadata = metadata
        self._flat = flat
        self.n_documents = len(metadata)
        self._lines: dict[str, dict[str, list[str]]] = {}
        for row, values in enumerate(metadata):
            plain = values if flat else {k: v for k, v in values.items() if not isinstance(v, dict)}
            for field, value in flat_values(plain):
                key = canonical(value)
                of_value = self._lines.setdefault(field, {}).setdefault(key, [])
                if f"{row}" not in of_value:
                    of_value.append(f"{row}")
        self.fields = tuple(self._lines)

    def field_values(self, field: str) -> list[tuple[str, str]]:
        values = self._lines[field]
        return [(v, ",".join(values[v])) for v in sorted(values, key=str.encode)]

    def nested_metadata(self) -> Iterator[tuple[int, dict[str, Any]]]:
        if not self._flat:
            for row, values in enumerate(self._metadata):
                if any(isinstance(value, dict) for value in values.values()):
                    yield row, dict(values)


def rows(metadata: CollectionMetadata, where: Mapping[str, object] | Filter) -> list[int]:
    mask = metadata.mask(where)
    assert mask.dtype == np.bool_
    assert mask.shape == (metadata.n_rows,)
    assert not mask.flags.writeable
    return [int(row) for row in np.flatnonzero(mask)]


def of(*documents: Mapping[str, object]) -> CollectionMetadata:
    return CollectionMetadata([SegmentMetadata(InMemory(documents))])


SCALARS: list[Any] = [
    0,
    1,
    2,
    2.0,
    2.5,
    -1,
    True,
    False,
    "2",
    "2.50",
    "2.5",
    "true",
    "é",
    "x",
    "01",
]
SCALARS += [10**30, 1e30, 2**53 + 1, 2.0**53, 2**63, "1e1", 10, "", "2020-05", "2020-05-31"]
SCALARS += ["2020-05-31T23:59:59.5Z", "2020-06-01 00:30+01:00", "2020-02-30", "null"]
NUMBERS: list[Any] = [
    0,
    1,
    2,
    2.5,
    "2",
    "2.50",
    -1e400,
    2**53 + 1,
    2**63,
    10**30,
    -(10**400),
    "1e1",
]
NUMBERS = [number for number in NUMBERS if not isinstance(number, float) or math.isfinite(number)]
DATES: list[Any] = [
    "2020-05",
    "2020-05-31",
    "2020-06-01",
    "2020-05-31T22:00",
    "2020-05-31 23:59:59Z",
]

scalars = st.sampled_from(SCALARS)
values = st.one_of(
    scalars,
    st.none(),
    st.lists(scalars | st.none(), max_size=3),
    st.dictionaries(st.sampled_from("bc"), scalars | st.lists(scalars, max_size=2), max_size=2),
)
documents = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "a.b", "a.c"]), values, max_size=3), max_size=8
)
ranges = st.one_of(
    *(
        st.dictionaries(st.sampled_from(pair), st.sampled_from(bounds), min_size=1)
        for pair in (("gte", "lte"), ("gt", "lt"), ("gte", "lt"), ("gt", "lte"))
        for bounds in (NUMBERS, DATES)
    )
)
any_of = st.fixed_dictionaries({"any": st.lists(scalars | st.none(), max_size=3)})
conditions = st.one_of(
    scalars,
    st.none(),
    any_of,
    ranges,
    st.fixed_dictionaries({"exists": st.booleans()}),
    st.fixed_dictionaries({"not": scalars | st.none() | any_of}),
)
leaves = st.dictionaries(st.sampled_from(["a", "b", "a.b"]), conditions, min_size=1, max_size=2)
filters = st.recursive(
    leaves,
    lambda inner: st.dictionaries(
        st.sampled_from(["must", "should", "must_not"]),
        st.lists(inner, min_size=1, max_size=2),
        min_size=1,
    ),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(documents=documents, where=filters, cut=st.integers(0, 8), flat=st.booleans())
def test_a_filter_means_what_it_says(
    documents: list[dict[str, Any]], where: dict[str, Any], cut: int, flat: bool
) -> None:
    """Against the plain twin, over two segments, one of which may be of an old database."""
    parts = [documents[:cut], documents[cut:]]
    metadata = CollectionMetadata(
        [SegmentMetadata(InMemory(parts[0], flat=flat)), SegmentMetadata(InMemory(parts[1]))]
    )
    parsed = both(Filter(), parse_filter(where))  # without the check that fields are known
    expected = [i for i, document in enumerate(documents) if naive.passes(where, document)]
    assert rows(metadata, parsed) == expected
    assert rows(metadata, parsed) == expected, "and again, from what was kept"
    again = parse_filter(parsed.as_json())
    assert rows(metadata, both(Filter(), again)) == expected, "written back, it means the same"


@settings(max_examples=60, deadline=None)
@given(documents=documents)
def test_a_database_has_the_same_columns(
    documents: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("store") / "s.sqlite"
    store = stored(path, documents)
    plain = InMemory(documents)
    assert set(store.fields) == set(plain.fields)
    for field in plain.fields:
        ours = [(value, sorted(found.split(","))) for value, found in store.field_values(field)]
        theirs = [(value, sorted(found.split(","))) for value, found in plain.field_values(field)]
        assert ours == theirs
    store.close()


def test_filters_by_example() -> None:
    metadata = of(
        {"year": 2, "tags": ["red", "blue", 5]},
        {"year": 2.0, "tags": "red"},
        {"year": "2", "größe": "groß 😀"},
        {"year": True, "tags": []},
        {"year": 2.5, "author": {"name": "Kim", "born": 1980}},
        {"year": 10**30, "nothing": None},
        {"year": "02", "author.name": "Lee", "author": {"name": "not this one"}},
    )
    for two in (2, 2.0, "2"):
        assert rows(metadata, {"year": two}) == [0, 1, 2]
    assert rows(metadata, {"year": "2.0"}) == [0, 1], "the number that it writes, no other text"
    assert rows(metadata, {"year": "02"}) == [6]
    assert rows(metadata, {"year": True}) == rows(metadata, {"year": "true"}) == [3]
    assert rows(metadata, {"year": 1}) == []
    assert rows(metadata, {"year": 10**30}) == [5]
    assert rows(metadata, {"year": 1e30}) == [], "the float next to it is another number"
    assert rows(metadata, {"tags": "blue", "year": 2}) == [0]
    assert rows(metadata, {"tags": {"exists": False}}) == [2, 3, 4, 5, 6]
    assert rows(metadata, {"tags": None}) == [2, 3, 4, 5, 6]
    assert rows(metadata, {"tags": {"any": ["blue", None]}}) == [0, 2, 3, 4, 5, 6]
    assert rows(metadata, {"tags": {"not": "blue"}}) == [1, 2, 3, 4, 5, 6]
    assert rows(metadata, {"year": {"gt": 2}}) == [4, 5]
    assert rows(metadata, {"year": {"gte": "2", "lt": 3}}) == [0, 1, 2, 4]
    assert rows(metadata, {"author.name": "Kim"}) == [4]
    assert rows(metadata, {"author.name": {"any": ["Lee", "not this one"]}}) == [6]
    assert rows(metadata, {"author": {"exists": True}}) == [4, 6]
    assert rows(metadata, {"größe": "groß 😀"}) == [2]
    assert rows(metadata, {}) == list(range(7))
    assert rows(metadata, {"should": [{"year": 1}, {"tags": 5}], "must_not": [{"tags": "x"}]}) == [
        0
    ]


def test_types_of_fields(tmp_path: Path) -> None:
    store = stored(
        tmp_path / "s.sqlite",
        [
            {
                "n": 1,
                "t": "a",
                "csv": "1.10",
                "at": "2020-05",
                "b": True,
                "mixed": 1,
                "a": {"b": 2},
            },
            {
                "n": -2.5,
                "t": "2",
                "csv": "7",
                "at": "2020-05-31T10:00",
                "mixed": "x",
                "tags": ["a"],
            },
            *({"t": f"{i:04}", "many": f"{i}"} for i in range(500)),
        ],
    )
    segments = [SegmentMetadata(store), SegmentMetadata(InMemory([{"n": False}]))]
    assert field_types(CollectionMetadata(segments)) == {
        "a.b": "number",
        "at": "text of dates",
        "b": "boolean",
        "csv": "text of numbers",
        "many": "text of numbers",
        "mixed": "number, text",
        "n": "boolean, number",
        "t": "text",
        "tags": "text",
    }
    store.close()


def test_dates() -> None:
    metadata = of(
        {"at": "2020-05"},
        {"at": "2020-05-31"},
        {"at": "2020-05-31T23:59:59.999Z"},
        {"at": "2020-06-01T00:30:00+01:00"},
        {"at": "2020-06-01"},
        {"at": "May 2020"},
        {"at": 2020},
    )
    assert rows(metadata, {"at": {"lte": "2020-05-31"}}) == [0, 1, 2, 3], "the whole day"
    assert rows(metadata, {"at": {"lte": "2020-05"}}) == [0, 1, 2, 3], "the whole month"
    assert rows(metadata, {"at": {"gt": "2020-05-31"}}) == [4]
    assert rows(metadata, {"at": {"gte": "2020-05-31", "lt": "2020-06"}}) == [1, 2, 3]
    assert rows(metadata, {"at": {"gte": 2020}}) == [6], "a year alone is a number"


def test_two_values_of_a_list_do_not_make_a_range() -> None:
    metadata = of({"n": [1, 10]}, {"n": [5]})
    assert rows(metadata, {"n": {"gte": 4, "lte": 6}}) == [1]


def test_unknown_fields() -> None:
    metadata = of({"year": 1, "größe": 2, "a": {"b": 1}})
    with pytest.raises(
        QueryError, match="no document has a metadata field 'colour'; fields: a.b, größe, year"
    ):
        metadata.mask({"must_not": [{"colour": 1}]})
    with pytest.raises(QueryError, match="'year'; fields: none"):
        of({}, {}).mask({"year": 1})
    assert rows(metadata, both(parse_filter({"year": 1}), parse_filter({"tenant": "x"}))) == []
    with pytest.raises(QueryError, match="'colour'"):
        metadata.mask(both(parse_filter({"colour": 1}), parse_filter({"year": 1})))
    assert rows(metadata, {"a": {"exists": True}}) == [0], "an object is a field, by its parts"


def test_what_is_made_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    store = InMemory([{"a": 1}, {"a": 2}, {"b": 3}])
    asked: list[str] = []
    read = store.field_values

    def reading(field: str) -> list[tuple[str, str]]:
        asked.append(field)
        return read(field)

    monkeypatch.setattr(store, "field_values", reading)
    segment = SegmentMetadata(store)
    one = CollectionMetadata([segment])
    first = one.mask({"a": 1})
    assert one.mask({"a": 1.0}) is first, "the same clause, the same mask"
    other = SegmentMetadata(InMemory([{"a": 1}]))
    two = CollectionMetadata([segment, other])  # a later generation with this segment in it
    assert rows(two, {"a": 1}) == [0, 3]
    assert rows(two, {"a": {"gte": 2}}) == [1]
    assert asked == ["a"]
    assert one.mask({"a": 1}) is first


def test_masks_are_bounded() -> None:
    segment = SegmentMetadata(InMemory([{"n": i} for i in range(100)]), mask_bytes=1_000)
    for i in range(100):
        (row,) = np.flatnonzero(segment.mask(parse_filter({"n": i})))
        assert row == i
    assert len(segment._masks) == 10
    small = SegmentMetadata(InMemory([{"n": 1}] * 100), mask_bytes=1)
    assert small.mask(parse_filter({"n": 1})).all()
    assert len(small._masks) == 1


def test_many_threads(tmp_path: Path) -> None:
    store = stored(tmp_path / "s.sqlite", [{"n": i, "t": f"{i % 7}"} for i in range(2_000)])
    metadata = CollectionMetadata([SegmentMetadata(store, mask_bytes=10_000)])
    wrong: list[object] = []

    def ask(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(50):
            low, t = draw.randrange(2_000), draw.randrange(7)
            found = rows(metadata, {"n": {"gte": low}, "t": t})
            if found != [i for i in range(low, 2_000) if i % 7 == t]:
                wrong.append((low, t))

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    store.close()


def test_an_old_database_and_a_copy_of_it(tmp_path: Path) -> None:
    """Version 0.1 stored no nested fields: they are read from the JSON, and copied on a merge."""
    documents: list[dict[str, object]] = [
        {"a": {"b": 1, "c": [2, {"d": "x"}]}, "plain": 1},
        {"plain": 2, "text": "{"},
        {"a.b": 1},
    ]
    path = tmp_path / "s.sqlite"
    stored(path, documents).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 0")
        connection.execute("DELETE FROM metadata WHERE field LIKE '%.%' AND row = 0")
    connection.close()
    old = DocumentStore(path)
    assert set(old.fields) == {"plain", "text", "a.b"}
    metadata = CollectionMetadata([SegmentMetadata(old)])
    assert rows(metadata, {"plain": 1}) == [0]
    assert rows(metadata, {"a.c.d": "x"}) == [0]
    assert rows(metadata, {"a.b": 1}) == [0, 2]
    assert rows(metadata, {"a": {"exists": True}}) == [0, 2]
    writer = StoreWriter(tmp_path / "new.sqlite")
    assert list(writer.copy(old, np.array([0, 2], np.int32), sparse=False, dense=False)) == [2]
    writer.close()
    new = DocumentStore(tmp_path / "new.sqlite")
    assert new.is_flat
    assert set(new.fields) == {"plain", "a.b", "a.c", "a.c.d"}
    assert rows(CollectionMetadata([SegmentMetadata(new)]), {"a.b": 1}) == [0, 1]
    old.close()
    new.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE metadata SET row = 99",
        "UPDATE metadata SET row = -1",
        "UPDATE metadata SET row = 'x'",
        "UPDATE metadata SET value = x'00'",
        "UPDATE metadata SET value = 'tru'",
    ],
)
def test_a_damaged_database(damage: str, tmp_path: Path) -> None:
    stored(tmp_path / "s.sqlite", [{"a": 1}]).close()
    with sqlite3.connect(tmp_path / "s.sqlite") as connection:
        connection.execute(damage)
    connection.close()
    store = DocumentStore(tmp_path / "s.sqlite")
    with pytest.raises(IndexCorruptError, match="metadata field 'a'"):
        SegmentMetadata(store).mask(parse_filter({"a": {"gte": 0}}))
    store.close()


@given(st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False))
def test_canonical_forms_are_read_back(value: str | int | float | bool) -> None:
    assert scalar_of(canonical(value)) == value


def test_canonical() -> None:
    assert canonical(2) == canonical(2.0) == "2"
    assert canonical(-0.0) == canonical(0) == "0"
    assert len({canonical(value) for value in (1, "1", True, "true", 1.5, "1.5")}) == 6
