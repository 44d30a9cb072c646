"""Visiting blocks: which documents are scored, in which order, and what is left behind."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lsr.index.blocks import layout as at
from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.config import BuildConfig, EnergySummary, FixedBlocks, NoPruning
from lsr.index.indexer.block_builder import build_blocks
from lsr.index.kernels import block_visits as module
from lsr.index.kernels.block_estimates import estimate, falling
from lsr.index.kernels.block_visits import LAG, TAIL_FACTOR, TAIL_LAG, _dot, _raise_least, visit
from lsr.index.kernels.sparse_dot import FEW_TERMS, LANES, match_dot
from lsr.index.kernels.top_k import keep_best
from lsr.sparse import CSR
from tests.naive import exact as naive
from tests.naive import visits as naivevisits
from tests.naive.visits import Opened, Visited
from tests.support.block_indexes import (
    NARROW,
    WIDE,
    both_ways,
    brief,
    collections,
    configs,
    interpreted,
    likes,
    random_collection,
    random_queries,
)

pytestmark = pytest.mark.kernel

LAGS = (LAG, TAIL_FACTOR, TAIL_LAG)
assert (naivevisits.LAG, naivevisits.TAIL_FACTOR, naivevisits.TAIL_LAG) == LAGS

KERNELS = (visit, _dot, _raise_least)


class Visits:
    """All blocks that a query estimates, visited by the kernel and by its twin."""

    def __init__(self, index: BlockIndex, query: dict[int, np.float32]) -> None:
        self.index = index
        self.opened = Opened(index)
        self.codes = naivevisits.query_codes({t: w for t, w in query.items() if t < index.n_terms})
        self.table = np.zeros(index.n_terms, np.uint8)
        for term, code in self.codes.items():
            self.table[term] = code

    @property
    def head_length(self) -> int:
        return int(self.index.layout[at.HEAD_LENGTH])

    def short(self, few: bool) -> tuple[NDArray[Any], NDArray[np.uint16]]:
        """Terms and codes of the query where it is `few`, else none."""
        codes = self.codes if few else {}
        terms = np.array(list(codes), self.index.types["samples"])
        return terms, np.array(list(codes.values()), np.uint16)

    def estimates(self, everything: bool) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        terms = np.array(list(self.codes), np.int32)
        places = np.arange(len(terms))
        like = likes(self.index)[:2]
        found = (self.index.blob, self.index.layout, *like, terms, self.table, places, everything)
        blocks, totals = estimate(*found)
        return blocks, totals

    def run(
        self,
        k: int,
        heap_factor: float,
        blocked: frozenset[int] = frozenset(),
        *,
        n_final: int = 1_000,
        room: int = 2_000,
        given: tuple[list[int], int] | None = None,
        few: bool = False,
    ) -> Visited:
        """What the kernel gives; checks the bits of the rows seen, and the counts.

        Args:
            few: the query is given as a short one, too.
            given: estimates of all blocks in the order in which they lie, and the bits of a step.
        """
        index = self.index
        n = index.n_documents
        blocks, estimates = self.estimates(heap_factor == 0)
        order, shift = falling(estimates)
        if given is not None:
            estimates, shift = np.array(given[0], np.int32), given[1]
            order = np.arange(len(estimates), dtype=np.int32)
        visited = np.zeros(n // 8 + 1, np.uint8)
        for row in blocked:
            visited[row // 8] |= 1 << row % 8
        seen, counters = np.full(n, -1, np.int32), np.zeros(4, np.int64)
        candidates = np.zeros(room, np.uint64)
        n_seen, n_candidates = module.visit(
            *(index.blob, index.layout, likes(index)[0], self.table, *self.short(few)),
            *(blocks, estimates, order),
            *(shift, heap_factor, np.zeros(k, np.int32), visited, seen, candidates),
            *(n_final, counters),
        )
        rows = seen[:n_seen].tolist()
        bits = np.flatnonzero(np.unpackbits(visited, bitorder="little")).tolist()
        assert bits == sorted({*rows, *blocked})
        assert counters.tolist()[::2] == [0, n_seen]
        if n_candidates < n_final:
            assert counters[3] == n_candidates
        n_candidates = keep_best(candidates, n_candidates, n_final)
        found = [(int(key >> np.uint64(32)), int(key) & 0xFFFFFFFF) for key in candidates]
        return Visited(rows, found[:n_candidates], int(counters[1]))

    def expected(
        self, k: int, heap_factor: float, blocked: frozenset[int] = frozenset()
    ) -> Visited:
        blocks, totals = self.estimates(heap_factor == 0)
        found = list(zip(blocks.tolist(), totals.tolist(), strict=True))
        twin = naivevisits.visit(self.opened, self.codes, found, heap_factor, k, blocked)
        return twin._replace(candidates=sorted(twin.candidates))


factors = st.sampled_from([0.0, 0.5, 0.9, 1.0, 1.3, 2.0])


each_width = pytest.mark.parametrize("widths", [NARROW, WIDE], ids=["narrow", "wide"])
each_length = pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
"""Heads of up to 16 entries, and of 32 or a multiple of it where there are terms enough."""


@each_width
@each_length
@brief
@given(st.integers(0, 99), factors, st.data())
def test_visits_are_the_twins(
    widths: tuple[int, ...], long: bool, seed: int, heap_factor: float, data: st.DataObject
) -> None:
    """By the table, and by comparing where the query is short: they find the same."""
    documents = data.draw(collections(max_rows=40, widths=widths, long=long))
    index = build_blocks(documents, data.draw(configs()))
    k = data.draw(st.sampled_from([1, 2, 5, 100]))
    some_rows = st.frozensets(st.integers(0, documents.n_rows - 1), max_size=9)
    blocked = data.draw(some_rows) if documents.n_rows else frozenset()
    for query in naive.rows_of(random_queries(documents, seed, kind="few", most=20)):
        visits = Visits(index, query)
        expected = visits.expected(k, heap_factor, blocked)
        for few in {False, len(visits.codes) <= FEW_TERMS}:
            assert visits.run(k, heap_factor, blocked, few=few) == expected
            with pytest.MonkeyPatch.context() as patch:
                for kernel in KERNELS:
                    patch.setattr(module, kernel.__name__, interpreted(kernel))
                assert visits.run(k, heap_factor, blocked, few=few) == expected


@pytest.mark.parametrize("n_query", [1, FEW_TERMS, FEW_TERMS + 8])
@pytest.mark.parametrize("n_entries", [20, 70, 130, 150, 190])
@pytest.mark.parametrize("n_terms", [200, 70_000])
def test_heads_are_compared_only_where_they_fill_vectors(
    n_terms: int, n_entries: int, n_query: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only for short queries; a document is scored one way or the other, all the same."""
    documents = random_collection(6, [n_entries] * 90, n_terms, n_pool=200)
    index = build_blocks(documents, BuildConfig(NoPruning(), FixedBlocks(3), EnergySummary(1.0)))
    terms = np.unique(documents.terms)[:: 200 // (n_query + 1)][:n_query].tolist()
    visits = Visits(index, {term: np.float32(1 + i) for i, term in enumerate(terms)})
    assert len(visits.codes) == n_query
    compared: list[int] = []

    def recorded(*arguments: Any) -> Any:
        compared.append(int(arguments[4]))
        return match_dot(*arguments)

    for kernel in KERNELS:
        monkeypatch.setattr(module, kernel.__name__, interpreted(kernel))
    monkeypatch.setattr(module, "match_dot", recorded)
    for few in (False, True):
        found = visits.run(5, 0.9, few=few)
        assert found == visits.expected(5, 0.9)
        wanted = len(found.seen) if few and visits.head_length % LANES == 0 else 0
        assert compared == [visits.head_length] * wanted
    assert bool(compared) == (n_entries > 20)


def many(summary: EnergySummary = EnergySummary(1.0), n_entries: int = 14) -> Visits:
    documents = random_collection(9, [n_entries] * 400, 40 if n_entries < 40 else 120, "any", 150)
    index = build_blocks(documents, BuildConfig(NoPruning(), FixedBlocks(3), summary))
    weights = np.random.default_rng(2).lognormal(0, 1, 12).astype(np.float32)
    return Visits(index, {3 * i: weight for i, weight in enumerate(weights)})


@pytest.mark.parametrize("heap_factor", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("k", [1, 10])
@pytest.mark.parametrize("n_entries", [14, 80])
def test_many_documents(n_entries: int, k: int, heap_factor: float) -> None:
    """Enough documents for blocks and tails to be passed over."""
    visits = many(EnergySummary(0.5), n_entries)
    assert (visits.head_length % LANES == 0) == (n_entries == 80)
    found = visits.run(k, heap_factor)
    assert visits.run(k, heap_factor, few=True) == found
    assert found == visits.expected(k, heap_factor)
    n_blocks = len(visits.estimates(False)[0])
    if heap_factor > 0:
        assert 0 < found.n_blocks < n_blocks
        assert len(found.candidates) < len(found.seen) < 400


@pytest.mark.parametrize(("n_final", "room"), [(5, 6), (5, 30), (1, 2), (40, 41)])
def test_candidates_that_do_not_fit_are_the_worst(n_final: int, room: int) -> None:
    visits = many()
    whole = visits.run(5, 0.0).candidates
    assert len(whole) > 300
    found = visits.run(5, 0.0, n_final=n_final, room=room).candidates
    assert found == whole[-n_final:]


def test_nothing_is_skipped_with_a_heap_factor_of_0() -> None:
    """Every document of a visited list is scored whole, also where the estimate is 0."""
    visits = many(EnergySummary(0.0))
    assert not visits.estimates(True)[1].any()
    found = visits.run(1, 0.0)
    rows = {row for block in visits.estimates(True)[0] for row in visits.opened.blocks[block]}
    assert set(found.seen) == {row for _, row in found.candidates} == rows


def test_best_documents_are_found_under_whole_summaries() -> None:
    """With summaries that bound, a factor of 1 loses only documents whose heads are too light."""
    visits = many()
    scores = sorted(visits.run(10, 0.0).candidates, reverse=True)
    found = {row for _, row in visits.run(10, 1.0).candidates}
    heads = {
        row: sum(visits.codes.get(e.term, 0) * e.code for e in visits.opened.vectors[row][0])
        for _, row in scores
    }
    best = [row for _, row in scores[:10]]
    assert all(row in found or heads[row] <= TAIL_FACTOR * scores[9][0] for row in best)
    assert len(found.intersection(best)) > 7


def singles(weights: list[float]) -> Visits:
    """Documents of one term, each in a block of its own, heaviest first; codes are the weights."""
    documents = CSR.from_rows([{0: weight} for weight in weights])
    config = BuildConfig(NoPruning(), FixedBlocks(1), EnergySummary(1.0), "f32")
    return Visits(build_blocks(documents, config), {0: np.float32(1)})


def test_an_estimate_below_the_threshold_ends_nothing_while_its_step_reaches_it() -> None:
    """Order within a step is any: a block of it may be passed over and the next one not."""
    n = LAG + TAIL_LAG + 2  # all but one are fetched before the first score is known
    visits = singles([255.0] * n + [1.0] * 4)
    best = 255 * 255
    after = [best - 1, best, best - 1, 64 * 1024 - 513]
    found = visits.run(1, 1.0, given=([70_000] * n + after, 8))
    assert found.seen == [*range(n), n + 1]
    # a step further down nothing can reach it, whatever the estimates say
    after = [(best >> 8 << 8) - 1, best]
    found = visits.run(1, 1.0, given=([70_000] * n + after + [0, 0], 8))
    assert found.seen == list(range(n))


def test_a_head_of_just_the_share_is_not_enough() -> None:
    n = TAIL_LAG + 1  # heads are scored before the first score is known
    visits = singles([255.0] * n + [204.0] * 3 + [205.0] * 2)
    assert TAIL_FACTOR * 255 * 255 == 255 * 204
    found = visits.run(1, 0.1)
    assert sorted(row for _, row in found.candidates) == [*range(n), n + 3, n + 4]
    assert sorted(found.seen) == list(range(n + 5))


@both_ways
@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
@brief
@given(
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 255)), max_size=40),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_dot(
    way: Any,
    dtype: type[np.generic],
    entries: list[tuple[int, int]],
    first_term: int,
    first_code: int,
) -> None:
    """Of the entries at these places, and of nothing around them."""
    entries += [(0, 0)] * (len(entries) % 2)
    table = np.arange(156, 256).astype(np.uint8)
    terms = np.full(first_term + len(entries) + 3, 99, dtype)
    codes = np.full(first_code + len(entries) + 3, 255, np.uint8)
    for i, (term, code) in enumerate(entries):
        terms[first_term + i] = term
        codes[first_code + i] = code
    expected = sum((156 + term) * code for term, code in entries)
    assert way(_dot)(table, terms, codes, first_term, first_code, len(entries)) == expected


def test_dot_of_the_largest_sums() -> None:
    n = 33_024  # two sums of this many halves stay below 2 ** 31
    table, terms = np.full(1, 255, np.uint8), np.zeros(n, np.uint16)
    assert _dot(table, terms, np.full(n, 255, np.uint8), 0, 0, n) == n * 255 * 255


@both_ways
@brief
@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.lists(st.integers(0, 9)))
def test_raise_least_keeps_a_heap(way: Any, numbers: list[int], more: list[int]) -> None:
    heap = np.array(sorted(numbers), np.int32)
    expected = sorted(numbers)
    for number in more:
        way(_raise_least)(heap, number)
        heapq.heapreplace(expected, number)
        assert sorted(heap.tolist()) == sorted(expected)
        assert heap[0] == expected[0]
