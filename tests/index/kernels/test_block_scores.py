"""Scores by stored weights are exact search's, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.config import BuildConfig, StoredValues
from lsr.index.blocks.forward_index import stored_value, stored_weights
from lsr.index.indexer.block_builder import build_blocks
from lsr.index.kernels import block_scores as module
from lsr.index.kernels.block_scores import (
    _fetch,
    _fill_keys,
    _matches,
    forward_views,
    put_hits,
    room_for_places,
    score_rows_stored,
    score_stored,
    search_rows,
    stored_keys,
)
from lsr.index.kernels.scratch import clear_query, put_query, scratch_bytes, scratch_parts
from lsr.index.kernels.top_k import SPARE_KEYS
from lsr.index.storage.segment import frozen
from lsr.sparse import CSR
from tests.naive import exact as naive
from tests.support.block_indexes import (
    both_ways,
    brief,
    collections,
    interpreted,
    likes,
    pairs,
    random_collection,
    random_queries,
    tables,
)

pytestmark = pytest.mark.kernel

KERNELS = (
    *(score_stored, stored_keys, score_rows_stored, search_rows, stored_value, put_hits),
    *(_fetch, _fill_keys, _matches, forward_views, room_for_places),
    *(clear_query, put_query, scratch_parts),
)
overflows = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
values = st.sampled_from(["u16", "f32"])


def as_stored(documents: CSR, index: BlockIndex) -> CSR:
    """The documents with their weights as `index` gives them back."""
    if index.config.values == "f32":
        return documents
    return documents._replace(weights=stored_weights(documents.weights, index.scale))


def scratch_of(index: BlockIndex) -> NDArray[np.uint8]:
    return np.zeros(scratch_bytes(index.n_documents, index.n_terms), np.uint8)


def row_scores(index: BlockIndex, queries: CSR, rows: list[int]) -> list[list[float]]:
    """Scores of rows for each query; checks that working memory is left zero."""
    found = []
    scratch = scratch_of(index)
    for i in range(queries.n_rows):
        query = queries.row(i)
        scores = np.full(len(rows), 9, np.float32)
        module.score_rows_stored(
            *(np.array(query.terms), np.array(query.weights), np.array(rows, np.int32)),
            *(index.blob, index.layout, *likes(index)[::2], scratch, scores),
        )
        assert not scratch.any()
        found.append(scores.tolist())
    return found


def interpret(patch: pytest.MonkeyPatch) -> None:
    for kernel in KERNELS:
        patch.setattr(module, kernel.__name__, interpreted(kernel))


@overflows
@brief
@given(
    collections() | collections(kind="tiny") | collections(long=True), values, st.integers(0, 99)
)
def test_scores_are_those_of_the_stored_weights(
    documents: CSR, values: StoredValues, seed: int
) -> None:
    """Merging heads and tails with a query adds the same products in the same order."""
    index = build_blocks(documents, BuildConfig(values=values))
    queries = random_queries(documents, seed, most=60)
    rows = [*range(documents.n_rows), *range(documents.n_rows)[::-2]]
    expected = [
        [float(score) for score in line]
        for line in naive.score_rows(queries, as_stored(documents, index), rows)
    ]
    assert row_scores(index, queries, rows) == expected
    with pytest.MonkeyPatch.context() as patch:
        interpret(patch)
        assert row_scores(index, queries, rows) == expected


@brief
@given(collections(), values, st.integers(0, 99), st.data())
def test_keys_are_in_the_order_of_hits(
    documents: CSR, values: StoredValues, seed: int, data: st.DataObject
) -> None:
    """The upper half of what comes in is not looked at, and goes."""
    n = documents.n_rows
    index = build_blocks(documents, BuildConfig(values=values))
    query = random_queries(documents, seed, kind="few").row(0)
    ties = np.array(data.draw(st.permutations(range(n))), np.int32)
    rows = np.arange(n, dtype=np.uint64)
    (known,) = naive.rows_of(CSR.from_vectors([query], documents.n_terms + 10))
    known = {term: weight for term, weight in known.items() if term < documents.n_terms}
    (scores,) = naive.score_rows(
        CSR.from_vectors([query], documents.n_terms + 10), as_stored(documents, index), range(n)
    )
    expected = sorted(range(n), key=lambda row: (-float(scores[row]), ties[row]))

    def check() -> None:
        keys = rows | (rows + np.uint64(77) << np.uint64(32))
        places = module.room_for_places(index.layout, len(known))
        module.stored_keys(
            *(index.blob, index.layout, *likes(index)[::2]),
            *(*tables(index.n_terms, known), places, frozen(ties), keys),
        )
        assert np.argsort(keys)[::-1].tolist() == expected
        bits = (keys >> np.uint64(32)).astype(np.int32)
        assert bits.view(np.float32).tolist() == [float(score) for score in scores]

    check()
    with pytest.MonkeyPatch.context() as patch:
        interpret(patch)
        check()


def chosen_hits(
    index: BlockIndex, queries: CSR, rows: list[int], k: int, ties: list[int]
) -> list[list[tuple[int, float]]]:
    tie_order = np.array(ties, np.int32)
    scratch = scratch_of(index)
    found = np.full((queries.n_rows, k), 9, np.int32), np.full((queries.n_rows, k), 9, np.float32)
    module.search_rows(
        *(queries.indptr, queries.terms, queries.weights, 0, queries.n_rows),
        *(np.array(rows, np.int32), index.blob, index.layout, *likes(index)[::2]),
        *(frozen(tie_order), frozen(np.argsort(tie_order).astype(np.int32)), scratch, *found),
    )
    assert not scratch.any()
    return pairs(*found)


@brief
@given(collections(), values, st.integers(0, 99), st.data())
def test_search_among_rows_is_exact(
    documents: CSR, values: StoredValues, seed: int, data: st.DataObject
) -> None:
    n = documents.n_rows
    index = build_blocks(documents, BuildConfig(values=values))
    queries = random_queries(documents, seed, kind="few")
    ties = data.draw(st.permutations(range(n)))
    doc_ids = [f"{tie:04}" for tie in ties]
    allowed = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    rows = data.draw(st.permutations([row for row in range(n) if allowed[row]]))
    k = data.draw(st.sampled_from([1, 2, 7, 50]))
    expected = [
        [(row, float(score)) for row, score in hits]
        for hits in naive.scan_batch(queries, as_stored(documents, index), doc_ids, k, allowed)
    ]
    assert chosen_hits(index, queries, rows, k, ties) == expected
    with pytest.MonkeyPatch.context() as patch:
        interpret(patch)
        assert chosen_hits(index, queries, rows, k, ties) == expected


def test_more_rows_than_the_buffer_of_keys() -> None:
    n = SPARE_KEYS + 200
    documents = random_collection(1, [3] * n, 6, "few", n_pool=6)
    index = build_blocks(documents, BuildConfig(values="f32"))
    queries = random_queries(documents, 3, n=4, kind="few")
    ids = [f"{row:04}" for row in range(n)]
    expected = [
        [(row, float(score)) for row, score in hits]
        for hits in naive.scan_batch(queries, documents, ids, 5)
    ]
    assert chosen_hits(index, queries, list(range(n)), 5, list(range(n))) == expected


@both_ways
@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
@brief
@given(st.lists(st.integers(0, 9), max_size=30), st.data())
def test_matches_are_the_places_of_the_querys_terms(
    way: Any, dtype: type[np.generic], terms: list[int], data: st.DataObject
) -> None:
    """They stand behind those that were there; the query's codes may be any."""
    codes_of = np.array([0, 1, 0, 255, 128, 0, 0, 7, 1, 0], np.uint8)
    begin = data.draw(st.integers(0, len(terms)))
    length = data.draw(st.integers(0, len(terms) - begin))
    n_before = data.draw(st.integers(0, 3))
    places = np.full(n_before + length + 1, 99, np.int32)
    n = way(_matches)(codes_of, np.array(terms, dtype), begin, length, places, n_before)
    found = [i for i in range(length) if codes_of[terms[begin + i]] > 0]
    assert n == n_before + len(found)
    assert places[:n].tolist() == [99] * n_before + found


@both_ways
@pytest.mark.parametrize("n_room", [1, 3, 5])
def test_hits_are_written_best_first(way: Any, n_room: int) -> None:
    """Documents that score 0 are no hits, and nothing is left of what stood there."""
    row_at_tie = np.array([3, 1, 0, 2], np.int32)
    scores = np.array([0.0, 0.5, 0.5, 2.0**-149], np.float32).view(np.int32).tolist()
    found = [(scores[3], 0), (scores[1], 1), (scores[2], 2), (scores[0], 3)]
    keys = np.array(sorted(score << 32 | (2**32 - 1 - tie) for score, tie in found), np.uint64)
    rows, bits = np.full(n_room, 9, np.int32), np.full(n_room, 9, np.int32)
    way(put_hits)(keys, frozen(row_at_tie), rows, bits)
    assert rows.tolist() == [1, 0, 3, -1, -1][:n_room]
    assert bits.view(np.float32).tolist() == [0.5, 0.5, 2.0**-149, 0, 0][:n_room]


@both_ways
@given(st.integers(0, 255), st.integers(-128, 127), st.floats(2.0**-100, 2.0**100, width=32))
def test_values(way: Any, code: int, rest: int, step: float) -> None:
    steps = np.float32(256 * code + rest)
    expected = steps * np.float32(step)
    assert way(stored_value)(np.uint8(code), np.int8(rest), np.float32(step), False) == expected
    assert way(stored_value)(np.uint8(code), np.float32(step), np.float32(3), True) == np.float32(
        step
    )
