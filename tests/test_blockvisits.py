"""Visiting blocks: which documents are scored, in which order, and what is left behind."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lsr.index import blockvisits as module
from lsr.index.blockbuilder import build_blocks
from lsr.index.blockestimates import estimate, falling
from lsr.index.blockindex import BlockIndex
from lsr.index.blockvisits import LAG, TAIL_FACTOR, _dot, _raise_least, visit
from lsr.index.config import BuildConfig, EnergySummary, FixedBlocks, NoPruning
from lsr.index.kernels import keep_best
from lsr.sparse import CSR
from tests import naive, naivevisits
from tests.blockcases import (
    both_ways,
    brief,
    collections,
    configs,
    interpreted,
    likes,
    random_collection,
    random_queries,
)
from tests.naivevisits import Opened, Visited

assert (naivevisits.LAG, naivevisits.TAIL_FACTOR) == (LAG, TAIL_FACTOR)

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
    ) -> Visited:
        """What the kernel gives; checks the bits of the rows seen, and the counts.

        Args:
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
            *(index.blob, index.layout, likes(index)[0], self.table, blocks, estimates, order),
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


@brief
@given(collections(max_rows=40), configs(), st.integers(0, 99), factors, st.data())
def test_visits_are_the_twins(
    documents: CSR, config: BuildConfig, seed: int, heap_factor: float, data: st.DataObject
) -> None:
    index = build_blocks(documents, config)
    k = data.draw(st.sampled_from([1, 2, 5, 100]))
    some_rows = st.frozensets(st.integers(0, documents.n_rows - 1), max_size=9)
    blocked = data.draw(some_rows) if documents.n_rows else frozenset()
    for query in naive.rows_of(random_queries(documents, seed, kind="few")):
        visits = Visits(index, query)
        expected = visits.expected(k, heap_factor, blocked)
        assert visits.run(k, heap_factor, blocked) == expected
        with pytest.MonkeyPatch.context() as patch:
            for kernel in KERNELS:
                patch.setattr(module, kernel.__name__, interpreted(kernel))
            assert visits.run(k, heap_factor, blocked) == expected


def many(summary: EnergySummary = EnergySummary(1.0)) -> Visits:
    documents = random_collection(9, [14] * 400, 40, "any")
    index = build_blocks(documents, BuildConfig(NoPruning(), FixedBlocks(3), summary))
    weights = np.random.default_rng(2).lognormal(0, 1, 12).astype(np.float32)
    return Visits(index, {3 * i: weight for i, weight in enumerate(weights)})


@pytest.mark.parametrize("heap_factor", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("k", [1, 10])
def test_many_documents(k: int, heap_factor: float) -> None:
    """Enough documents for blocks and tails to be passed over."""
    visits = many(EnergySummary(0.5))
    found = visits.run(k, heap_factor)
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
    visits = singles([255.0] * 10 + [1.0] * 4)
    best = 255 * 255
    after = [best - 1, best, best - 1, 64 * 1024 - 513]
    found = visits.run(1, 1.0, given=([70_000] * 10 + after, 8))
    assert found.seen == [*range(10), 11]
    # a step further down nothing can reach it, whatever the estimates say
    after = [(best >> 8 << 8) - 1, best]
    found = visits.run(1, 1.0, given=([70_000] * 10 + after + [0, 0], 8))
    assert found.seen == list(range(10))


def test_a_head_of_just_the_share_is_not_enough() -> None:
    visits = singles([255.0] + [204.0] * 3 + [205.0] * 2)
    assert TAIL_FACTOR * 255 * 255 == 255 * 204
    found = visits.run(1, 0.1)
    assert sorted(row for _, row in found.candidates) == [0, 4, 5]
    assert sorted(found.seen) == list(range(6))


@both_ways
@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
@brief
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 255)), max_size=40))
def test_dot(way: Any, dtype: type[np.generic], entries: list[tuple[int, int]]) -> None:
    entries += [(0, 0)] * (len(entries) % 2)
    table = np.arange(156, 256).astype(np.uint8)
    terms = np.array([term for term, _ in entries], dtype)
    codes = np.array([code for _, code in entries], np.uint8)
    expected = sum((156 + term) * code for term, code in entries)
    assert way(_dot)(table, terms, codes) == expected


def test_dot_of_the_largest_sums() -> None:
    n = 33_024  # two sums of this many halves stay below 2 ** 31
    table, terms = np.full(1, 255, np.uint8), np.zeros(n, np.uint16)
    assert _dot(table, terms, np.full(n, 255, np.uint8)) == n * 255 * 255


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
