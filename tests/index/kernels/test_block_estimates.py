"""Estimates of blocks are inner products with summaries, and bound what blocks hold."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.config import (
    BuildConfig,
    EnergySummary,
    FixedBlocks,
    FixedSummary,
    NoPruning,
    Summary,
)
from lsr.index.blocks.summaries import SAMPLE
from lsr.index.indexer.block_builder import build_blocks
from lsr.index.kernels import block_estimates as module
from lsr.index.kernels.block_estimates import _add_matches, _last_below, estimate, falling, heaviest
from lsr.sparse import CSR
from tests.naive import exact as naive
from tests.naive import visits as naivevisits
from tests.naive.visits import Opened
from tests.support.block_indexes import (
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


def estimates_of(
    index: BlockIndex, query: dict[int, np.float32], places: list[int], everything: bool
) -> list[tuple[int, int]]:
    """Blocks and their estimates."""
    table = np.zeros(index.n_terms, np.uint8)
    for term, code in naivevisits.query_codes(query).items():
        table[term] = code
    blocks, totals = module.estimate(
        *(index.blob, index.layout, *likes(index)[:2]),
        *(np.array(list(query), np.int32), table, np.array(places, np.int64), everything),
    )
    assert (blocks.dtype, totals.dtype) == (np.int32, np.int32)
    return list(zip(blocks.tolist(), totals.tolist(), strict=True))


def known(index: BlockIndex, query: dict[int, np.float32]) -> dict[int, np.float32]:
    return {term: weight for term, weight in query.items() if term < index.n_terms}


@brief
@given(collections(), configs(), st.integers(0, 99), st.data())
def test_estimates_are_the_twins(
    documents: CSR, config: BuildConfig, seed: int, data: st.DataObject
) -> None:
    index = build_blocks(documents, config)
    opened = Opened(index)
    for query in (known(index, q) for q in naive.rows_of(random_queries(documents, seed))):
        terms = list(query)
        places = data.draw(st.permutations(range(len(query))))[:4]
        for everything in (False, True):
            expected = naivevisits.estimate(
                opened, naivevisits.query_codes(query), [terms[i] for i in places], everything
            )
            assert estimates_of(index, query, places, everything) == expected
            with pytest.MonkeyPatch.context() as patch:
                for kernel in (estimate, _last_below, _add_matches):
                    patch.setattr(module, kernel.__name__, interpreted(kernel))
                assert estimates_of(index, query, places, everything) == expected


untruncated: st.SearchStrategy[Summary] = st.sampled_from(
    [EnergySummary(1.0), FixedSummary(100_000)]
)


@brief
@given(collections(max_rows=60), st.data(), st.integers(0, 99))
def test_estimates_of_whole_summaries_bound_documents(
    documents: CSR, data: st.DataObject, seed: int
) -> None:
    """Untruncated, a summary's inner product is that of the block's best document, or more."""
    index = build_blocks(documents, data.draw(configs(summary=data.draw(untruncated))))
    opened = Opened(index)
    for query in naive.rows_of(random_queries(documents, seed)):
        codes = naivevisits.query_codes(known(index, query))
        places = list(range(len(codes)))
        for block, total in estimates_of(index, known(index, query), places, True):
            best = max(
                sum(codes.get(e.term, 0) * e.code for part in opened.vectors[row] for e in part)
                for row in opened.blocks[block]
            )
            assert total >= best
            if len(opened.blocks[block]) == 1:
                assert total == best


@pytest.mark.parametrize("n_terms", [6, 70_000])
def test_lists_of_many_groups(n_terms: int) -> None:
    """More than 512 blocks of one document each, of which 256 are in a group."""
    documents = random_collection(4, [8] * 600, n_terms, "few", n_pool=6)
    index = build_blocks(documents, BuildConfig(NoPruning(), FixedBlocks(1), EnergySummary(1.0)))
    opened = Opened(index)
    lists = naive.transpose(documents)
    assert max(len(opened.list_blocks(term)) for term in range(n_terms)) > 512
    query = {int(term): np.float32(1) for term in np.unique(documents.terms)}
    for i, term in enumerate(query):
        found = estimates_of(index, query, [i], True)
        assert [row for block, _ in found for row in opened.blocks[block]] == sorted(
            lists[term], key=lambda row: (-lists[term][row], row)
        )
        for block, total in found:
            (row,) = opened.blocks[block]
            assert total == sum(255 * e.code for part in opened.vectors[row] for e in part)


numbers = st.sampled_from([0.25, 0.5, 1.0, 3.0]) | st.floats(2.0**-149, 2.0**127, width=32)


@both_ways
@brief
@given(st.lists(numbers, max_size=12), st.integers(1, 14))
def test_heaviest_is_the_twin(way: Any, weights: list[float], cut: int) -> None:
    chosen = np.full(cut, 99, np.int64)
    n = way(heaviest)(np.array(weights, np.float32), chosen)
    assert chosen[:n].tolist() == naivevisits.heaviest(weights, cut)


@both_ways
@brief
@given(st.lists(st.integers(0, 12), max_size=20), st.integers(0, 13), st.data())
def test_last_below(way: Any, found: list[int], term: int, data: st.DataObject) -> None:
    samples = np.array(sorted(found), np.uint16)
    begin = data.draw(st.integers(0, len(found)))
    end = data.draw(st.integers(begin, len(found)))
    below = [i for i in range(begin, end) if samples[i] < term]
    assert way(_last_below)(samples, begin, end, np.int32(term)) == max(below, default=begin)


@both_ways
@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
@brief
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 255)), max_size=120), st.data())
def test_matches_are_added(
    way: Any, dtype: type[np.generic], found: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Runs of one component longer than a sample's stride, and none at all; `begin` as sampled."""
    top = data.draw(st.sampled_from([65_526, 99_990])) if dtype == np.uint64 else 65_526
    entries = sorted({(top + term, block) for term, block in found})
    packed = np.array([(t << 16) | (b << 8) | (b % 255 + 1) for t, b in entries], dtype)
    term = top + data.draw(st.integers(0, 9))
    samples = (packed[::SAMPLE] >> dtype(16)).astype(np.uint32)
    begin = _last_below(samples, 0, len(samples), np.int32(term)) * SAMPLE
    table = np.zeros(top + 10, np.uint8)
    table[term] = 7
    sums = np.zeros(256, np.int32)
    way(_add_matches)(packed, begin, len(packed), np.int32(term), table, sums)
    blocks = [block for t, block in entries if t == term]
    assert {block: int(sums[block]) for block in np.flatnonzero(sums).tolist()} == {
        block: 7 * (block % 255 + 1) for block in blocks
    }


@both_ways
@brief
@given(st.lists(st.integers(0, 511) | st.integers(0, 2**31 - 1), max_size=40))
def test_falling_is_the_twin(way: Any, estimates: list[int]) -> None:
    order, shift = way(falling)(np.array(estimates, np.int32))
    assert order.dtype == np.int32
    assert (order.tolist(), shift) == naivevisits.falling(estimates)
    in_order = [estimates[place] for place in order]
    assert all(a + (1 << shift) > b for a, b in pairwise(in_order))
    if max(estimates, default=0) < 512:
        assert in_order == sorted(estimates, reverse=True)
