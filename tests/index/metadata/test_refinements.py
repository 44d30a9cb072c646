"""Facets, orders by field, and groups: over segments, as plain dicts and lists have them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.errors import QueryError
from lsr.index.metadata.collection_metadata import CollectionMetadata
from lsr.index.metadata.facets import facet_counts
from lsr.index.metadata.field_order import sorted_rows
from lsr.index.metadata.groups import Groups
from lsr.index.metadata.listing import Listing
from lsr.index.metadata.segment_metadata import SegmentMetadata
from lsr.index.storage.doc_ids import DocIds
from lsr.retrieval.refinement import Facet, SortKey, parse_facets
from tests.index.metadata.test_filters import InMemory, documents
from tests.naive import metadata as naive

FIELDS = ["a", "b", "a.b"]
KNOWN: dict[str, Any] = {"a": 1, "b": "x", "a.b": True}
"""A document whose fields are known, so that none of those asked for is an error."""


def split(found: Sequence[dict[str, Any]], cuts: tuple[int, int]) -> CollectionMetadata:
    first, second = sorted(cuts)
    parts = [found[:first], found[first:second], found[second:]]
    return CollectionMetadata([SegmentMetadata(InMemory(part)) for part in parts])


corpora = st.tuples(
    documents.map(lambda d: [*d, KNOWN]),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
)


@settings(max_examples=100, deadline=None)
@given(
    corpus=corpora, field=st.sampled_from(FIELDS), limit=st.integers(1, 4), seed=st.integers(0, 9)
)
def test_facets(
    corpus: tuple[list[dict[str, Any]], tuple[int, int]], field: str, limit: int, seed: int
) -> None:
    found, cuts = corpus
    matches = np.random.default_rng(seed).random(len(found)) < 0.7
    chosen = [document for document, there in zip(found, matches, strict=True) if there]
    counts = facet_counts(split(found, cuts), Facet(field, limit, stats=True), matches)
    values, n_values, n_missing = naive.facet(chosen, field, limit)
    ours = [(each.value, each.count) for each in counts.values]
    assert [(str(value), n) for value, n in ours] == [(str(value), n) for value, n in values]
    assert (counts.n_values, counts.n_missing) == (n_values, n_missing)
    keys = [naive.order_key(v) for document in chosen for v in naive.values_of(document, field)]
    numbers = [key[1] for key in keys if key[0] == 1]
    assert (counts.least is None) == (not numbers)
    if numbers:
        assert float(counts.least or 0) == float(min(numbers))
        assert float(counts.greatest or 0) == float(max(numbers))


@settings(max_examples=100, deadline=None)
@given(corpus=corpora, field=st.sampled_from(FIELDS), seed=st.integers(0, 9))
def test_facets_by_range(
    corpus: tuple[list[dict[str, Any]], tuple[int, int]], field: str, seed: int
) -> None:
    found, cuts = corpus
    matches = np.random.default_rng(seed).random(len(found)) < 0.7
    given_ranges: list[dict[str, Any]] = [{"to": 2}, {"from": 2, "to": 2.5}, {"from": "2020-05-31"}]
    (asked,) = parse_facets([{"field": field, "ranges": given_ranges}])
    counts = facet_counts(split(found, cuts), asked, matches)
    assert counts.values == ()
    for bounds, counted in zip(given_ranges, counts.ranges, strict=True):
        assert (counted.low, counted.high) == (bounds.get("from"), bounds.get("to"))
        where = {field: {{"from": "gte", "to": "lt"}[k]: v for k, v in bounds.items()}}
        expected = sum(
            naive.passes(where, document)
            for document, there in zip(found, matches, strict=True)
            if there
        )
        assert counted.count == expected


sort_keys = st.lists(
    st.builds(SortKey, st.sampled_from(FIELDS), st.booleans(), st.booleans()),
    min_size=1,
    max_size=3,
)


@settings(max_examples=120, deadline=None)
@given(corpus=corpora, keys=sort_keys, seed=st.integers(0, 99), most=st.integers(1, 40))
def test_orders_by_field(
    corpus: tuple[list[dict[str, Any]], tuple[int, int]],
    keys: list[SortKey],
    seed: int,
    most: int,
) -> None:
    found, cuts = corpus
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(rng.random(len(found)) < 0.8).astype(np.int32)
    scores = rng.integers(0, 3, len(rows)).astype(np.float32)
    ties = rng.permutation(len(found)).astype(np.int32)
    most = min(most, max(1, len(rows)))
    order = sorted_rows(split(found, cuts), keys, rows, scores, ties, most)
    expected = naive.ordered(
        [found[row] for row in rows],
        [(key.field, key.descending, key.missing_first) for key in keys],
        scores.tolist(),
        ties[rows].tolist(),
    )
    assert order.tolist() == expected[:most]


@settings(max_examples=100, deadline=None)
@given(
    corpus=corpora,
    field=st.sampled_from(FIELDS),
    seed=st.integers(0, 99),
    inner=st.integers(0, 3),
    size=st.integers(1, 4),
)
def test_groups(
    corpus: tuple[list[dict[str, Any]], tuple[int, int]],
    field: str,
    seed: int,
    inner: int,
    size: int,
) -> None:
    found, cuts = corpus
    rows = np.random.default_rng(seed).permutation(len(found)).astype(np.int32)
    rows = rows[: max(0, len(rows) - seed % 3)]
    groups = Groups(split(found, cuts), field, rows)
    expected = naive.grouped([found[row] for row in rows], field, range(len(rows)))
    assert len(groups) == len(expected)
    pages = [groups.page(i, i + size, inner) for i in range(0, len(expected) + 1, size)]
    for ours, theirs in zip(itertools.chain(*pages), expected, strict=True):
        assert ours.n_rows == len(theirs)
        assert list(ours.places) == theirs[: inner + 1]
        values = naive.values_of(found[rows[theirs[0]]], field)
        assert ours.value in values if values else ours.value is None


def test_many_values() -> None:
    """More values than are listed, all alike: the first in order come."""
    metadata = split([{"n": i, "t": f"t{i}"} for i in range(500)], (200, 200))
    matches = np.ones(500, bool)
    counts = facet_counts(metadata, Facet("n", 3), matches)
    assert [each.value for each in counts.values] == [0, 1, 2]
    assert counts.n_values == 500
    one = CollectionMetadata([SegmentMetadata(InMemory([{"n": i} for i in range(500)]))])
    assert [each.value for each in facet_counts(one, Facet("n", 3), matches).values] == [0, 1, 2]
    assert facet_counts(one, Facet("n", 3), ~matches).values == ()
    for metadata_ in (metadata, one):
        with pytest.raises(QueryError, match="no document has a metadata field 'x'; fields: n"):
            facet_counts(metadata_, Facet("x"), matches)


@settings(max_examples=100, deadline=None)
@given(
    ids=st.lists(st.text(min_size=1, max_size=3), unique=True, min_size=1, max_size=300),
    after=st.none() | st.text(max_size=3),
    limit=st.integers(1, 300),
    seed=st.integers(0, 9),
)
def test_pages_by_doc_id(ids: list[str], after: str | None, limit: int, seed: int) -> None:
    ids = [doc_id for doc_id in ids if doc_id.isprintable()] or ["a"]
    order = DocIds.build(ids)
    rng = np.random.default_rng(seed)
    alive, allowed = (rng.random(len(ids)) < 0.6 for _ in range(2))
    for masks in ((None, None), (alive, None), (alive, allowed)):
        keep = [all(mask is None or mask[row] for mask in masks) for row in range(len(ids))]
        listing = Listing(order.tie_order, order.of, masks[0])
        expected = sorted(
            doc_id
            for doc_id, there in zip(ids, keep, strict=True)
            if there and (after is None or doc_id > after)
        )
        found = order.of(listing.after(after, limit, masks[1]))
        assert found == expected[:limit]
