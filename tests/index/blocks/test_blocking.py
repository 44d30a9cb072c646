"""Blocks partition their lists, are the twin's, and depend on the list and the seed alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.index.blocks import blocking as module
from lsr.index.blocks.blocking import (
    FEW,
    MAX_CLUSTERS,
    _block_lists,
    _nearest,
    _next_random,
    block_lists,
    heaviest_terms,
)
from lsr.index.blocks.config import Blocking, ClusteredBlocks, FixedBlocks, NoPruning
from lsr.index.blocks.forward_index import ForwardIndex, component_dtype
from lsr.index.blocks.pruning import PrunedLists, prune
from lsr.sparse import CSR
from tests.naive import blocks as naiveblocks
from tests.naive import exact as naive
from tests.support.block_indexes import (
    both_ways,
    brief,
    collections,
    interpreted,
    random_collection,
)

pytestmark = pytest.mark.kernel

assert (naiveblocks.FEW, naiveblocks.MAX_CLUSTERS) == (FEW, MAX_CLUSTERS)

clustered = st.builds(
    ClusteredBlocks,
    st.sampled_from([0.0, 0.02, 0.1, 0.3, 1.0]),
    st.integers(0, 4),
    st.sampled_from([1, 3, 15]),
)
fixed = st.builds(FixedBlocks, st.integers(1, 9))


@st.composite
def long_lists(draw: st.DrawFn) -> CSR:
    """Collections with lists long enough to be clustered, and some short and empty ones."""
    seed = draw(st.integers(0, 2**32 - 1))
    sizes = np.random.default_rng(seed).choice(
        [0, 1, 5, 9, 12], draw(st.sampled_from([20, 60, 100, 150]))
    )
    return random_collection(
        seed,
        sizes.tolist(),
        draw(st.sampled_from([2, 12, 70_000])),
        draw(st.sampled_from(["few", "capped", "any", "outliers"])),
        n_pool=12,
    )


class Blocked:
    """The blocks of all lists of a collection, and what they are made of."""

    def __init__(self, documents: CSR, blocking: Blocking, seed: int = 0) -> None:
        self.documents = documents
        self.blocking = blocking
        self.seed = seed
        self.forward = ForwardIndex.build(documents, "u16")
        self.dtype = component_dtype(documents.n_terms)
        self.lists = prune(documents, NoPruning())
        self.starts = np.zeros(len(self.lists.rows), np.bool_)
        cut = blocking.doc_cut if isinstance(blocking, ClusteredBlocks) else 1
        self.cut = min(cut, self.forward.head_length)
        self.top_terms = np.zeros((documents.n_rows, self.cut), self.dtype)
        self.top_codes = np.zeros((documents.n_rows, self.cut), np.uint8)
        self.fill_top(heaviest_terms)
        self.vectors = naiveblocks.lay_out(documents, self.forward.head_length, self.forward.scale)

    def fill_top(self, kernel: Any) -> None:
        head, length = self.forward.head, self.forward.head_length
        kernel(head, length, self.top_terms, self.top_codes)

    def run(self, first: int = 0, last: int | None = None) -> None:
        last = self.documents.n_terms if last is None else last
        top: Any = (self.top_terms, self.top_codes, self.forward.head, self.documents.n_terms)
        arguments: Any = (*self.lists, *top, self.starts)
        block_lists(self.blocking, self.seed, first, last, *arguments)

    def blocks(self, term: int) -> list[list[int]]:
        part = slice(self.lists.indptr[term], self.lists.indptr[term + 1])
        starts = np.flatnonzero(self.starts[part])
        return [block.tolist() for block in np.split(self.lists.rows[part], starts)[1:]]

    def expected(self, term: int, postings: dict[int, np.float32]) -> list[list[int]]:
        fraction, smallest = 0.0, 0
        if isinstance(self.blocking, ClusteredBlocks):
            fraction = self.blocking.centroid_fraction
            smallest = self.blocking.min_cluster_size
            size = max(1, round(1 / fraction)) if fraction else MAX_CLUSTERS
        else:
            size = self.blocking.size
        return naiveblocks.block_list(
            postings, self.vectors, term, self.seed, fraction, smallest, size, self.cut
        )


def lists_of(documents: CSR) -> dict[int, dict[int, np.float32]]:
    """The lists that are not empty, by term."""
    return {term: postings for term, postings in enumerate(naive.transpose(documents)) if postings}


@brief
@given(long_lists(), clustered | fixed, st.integers(0, 5))
def test_blocks_are_the_twins(documents: CSR, blocking: Blocking, seed: int) -> None:
    blocked = Blocked(documents, blocking, seed)
    blocked.run()
    for term, postings in lists_of(documents).items():
        assert blocked.blocks(term) == blocked.expected(term, postings)


@brief
@given(long_lists(), clustered | fixed)
def test_interpreted_kernels_make_the_same_blocks(documents: CSR, blocking: Blocking) -> None:
    compiled, plain = Blocked(documents, blocking), Blocked(documents, blocking)
    compiled.run()
    with pytest.MonkeyPatch.context() as patch, np.errstate(over="ignore"):
        for kernel in (_block_lists, _nearest, _next_random):
            patch.setattr(module, kernel.__name__, interpreted(kernel))
        plain.run()
    assert np.array_equal(compiled.starts, plain.starts)
    assert np.array_equal(compiled.lists.rows, plain.lists.rows)
    assert np.array_equal(compiled.lists.weights, plain.lists.weights)


@brief
@given(long_lists(), clustered | fixed)
def test_blocks_partition_their_lists(documents: CSR, blocking: Blocking) -> None:
    """Every posting is in one block, with its weight, and the heaviest of a block comes first."""
    blocked = Blocked(documents, blocking)
    before = PrunedLists._make(part.copy() for part in blocked.lists)
    blocked.run()
    indptr, rows, weights = blocked.lists
    assert np.array_equal(indptr, before.indptr)
    filled = np.flatnonzero(np.diff(indptr))
    assert blocked.starts[indptr[filled]].all()
    for begin, end in zip(indptr[filled].tolist(), indptr[filled + 1].tolist(), strict=True):
        order = np.argsort(rows[begin:end])
        assert np.array_equal(rows[begin:end][order], before.rows[begin:end])
        assert np.array_equal(weights[begin:end][order], before.weights[begin:end])
        rises = np.flatnonzero(np.diff(weights[begin:end]) > 0) + 1
        assert blocked.starts[begin:end][rises].all()


@brief
@given(long_lists(), st.integers(1, 6))
def test_small_clusters_are_dissolved(documents: CSR, smallest: int) -> None:
    """Unless all are small."""
    blocked = Blocked(documents, ClusteredBlocks(0.3, smallest))
    blocked.run()
    for term, postings in lists_of(documents).items():
        if len(postings) > FEW:
            sizes = [len(block) for block in blocked.blocks(term)]
            assert min(sizes) > smallest or max(sizes) <= smallest


def test_all_clusters_stay_when_all_are_small() -> None:
    documents = random_collection(3, [12] * 60, 12, n_pool=12)
    blocked = Blocked(documents, ClusteredBlocks(0.3, 1_000))
    blocked.run()
    kept = Blocked(documents, ClusteredBlocks(0.3, 0))
    kept.run()
    assert len(blocked.blocks(0)) > 1
    assert blocked.blocks(0) == kept.blocks(0)


def test_like_documents_are_in_one_block() -> None:
    """Two topics that share a term fall apart, whichever documents are drawn."""
    topics = [{0: 1.0, 1: 3.0, 2: 3.0}, {0: 1.0, 3: 3.0, 4: 3.0}]
    documents = CSR.from_rows([topics[i % 2] for i in range(80)], 5)
    for seed in range(5):
        blocked = Blocked(documents, ClusteredBlocks(0.2, 2), seed)
        blocked.run()
        assert len(blocked.blocks(0)) > 1
        assert all(len({row % 2 for row in block}) == 1 for block in blocked.blocks(0))


@brief
@given(long_lists(), clustered, st.data())
def test_lists_do_not_depend_on_each_other(
    documents: CSR, blocking: Blocking, data: st.DataObject
) -> None:
    whole, parts = Blocked(documents, blocking, 7), Blocked(documents, blocking, 7)
    whole.run()
    edge = data.draw(st.integers(0, documents.n_terms))
    parts.run(edge, documents.n_terms)
    parts.run(0, edge)
    assert np.array_equal(whole.starts, parts.starts)
    assert np.array_equal(whole.lists.rows, parts.lists.rows)


def test_seeds_draw_other_centroids() -> None:
    documents = random_collection(3, [10] * 90, 12, n_pool=12)
    orders = set()
    for seed in range(6):
        blocked = Blocked(documents, ClusteredBlocks(), seed)
        blocked.run()
        orders.add(blocked.lists.rows.tobytes())
    assert len(orders) > 3


@both_ways
@brief
@given(long_lists() | collections(), st.sampled_from([1, 2, 8, 15]))
def test_heaviest_terms_are_the_twins(way: Any, documents: CSR, cut: int) -> None:
    blocked = Blocked(documents, ClusteredBlocks(doc_cut=cut))
    blocked.top_terms[:] = 0
    blocked.top_codes[:] = 0
    blocked.fill_top(way(heaviest_terms))
    for row, vector in enumerate(blocked.vectors):
        expected = naiveblocks.heaviest_terms(vector, blocked.cut)
        spare = [0] * (blocked.cut - len(expected))
        assert blocked.top_terms[row].tolist() == [term for term, _ in expected] + spare
        assert blocked.top_codes[row].tolist() == [code for _, code in expected] + spare


@both_ways
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@given(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_random_numbers_are_splitmix(way: Any, seed: int, term: int) -> None:
    state = (seed * naiveblocks.GOLDEN + term) % 2**64
    numbers = naiveblocks.random_numbers(seed, term)
    for _ in range(3):
        state = (state + naiveblocks.GOLDEN) % 2**64
        assert int(way(_next_random)(np.uint64(state))) == next(numbers)


def test_splitmix_of_the_literature() -> None:
    """The first numbers of Vigna's splitmix64.c from state 1234567."""
    numbers = naiveblocks.random_numbers(0, 1_234_567)
    assert [next(numbers) for _ in range(3)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]
