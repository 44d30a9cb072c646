"""Summaries: maxima of blocks, cut to a share of their mass, sorted by component in each group."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lsr.index.blocks import summaries as module
from lsr.index.blocks.config import EnergySummary, FixedSummary, Summary
from lsr.index.blocks.forward_index import ForwardIndex, component_dtype
from lsr.index.blocks.summaries import (
    GROUP_BLOCKS,
    Summaries,
    _cut,
    _sort_by_component,
    _summarise,
    _take_maxima,
    summarise_lists,
)
from lsr.sparse import CSR
from tests.naive import blocks as naiveblocks
from tests.support.block_indexes import (
    both_ways,
    brief,
    collections,
    interpreted,
    random_collection,
)

pytestmark = pytest.mark.kernel

shares = [0.0, 0.125, 0.40625, 0.5, 0.875, 1.0]  # so that a share of a mass is exact
kinds = st.one_of(
    st.builds(EnergySummary, st.sampled_from(shares)),
    st.builds(FixedSummary, st.sampled_from([1, 2, 5, 1_000])),
)


class Blocks(NamedTuple):
    """Documents in blocks, blocks in groups; a document may be in several."""

    documents: CSR
    rows: NDArray[np.int32]
    block_starts: NDArray[np.int64]
    group_ends: NDArray[np.int64]

    def summarise(self, summary: Summary, first_group: int = 0) -> Summaries:
        forward = ForwardIndex.build(self.documents, "u16")
        return summarise_lists(
            summary,
            int(self.group_ends[first_group - 1]) if first_group else 0,
            int(self.group_ends[-1]) if len(self.group_ends) else 0,
            self.group_ends[first_group:],
            *(self.block_starts, self.rows, forward.head, forward.tail, forward.tail_start),
            np.zeros(0, component_dtype(self.documents.n_terms)),
            self.documents.n_terms,
        )

    def expected(self, summary: Summary) -> tuple[list[int], list[int]]:
        """Entries and group sizes."""
        forward = ForwardIndex.build(self.documents, "u16")
        vectors = naiveblocks.lay_out(self.documents, forward.head_length, forward.scale)
        share = summary.fraction if isinstance(summary, EnergySummary) else 1.0
        most = 10**9 if isinstance(summary, EnergySummary) else summary.n_terms
        entries: list[int] = []
        sizes = []
        first = 0
        for end in self.group_ends.tolist():
            group = []
            for block in range(first, end):
                part = self.rows[self.block_starts[block] : self.block_starts[block + 1]]
                maxima = naiveblocks.maxima([vectors[row] for row in part.tolist()])
                kept = naiveblocks.summarise(maxima, share, most)
                group += [(t << 16) | (block - first) << 8 | code for t, code in kept.items()]
            entries += sorted(group)
            sizes.append(len(group))
            first = end
        return entries, sizes


@st.composite
def blocks(draw: st.DrawFn, documents: CSR | None = None) -> Blocks:
    """Any blocks of any documents."""
    if documents is None:
        documents = draw(collections(max_rows=12))
    rows = st.lists(st.integers(0, documents.n_rows - 1), min_size=1, max_size=5)
    parts = draw(st.lists(rows, max_size=9)) if documents.n_rows else []
    inner = draw(st.sets(st.integers(1, len(parts)))) if parts else set()
    return Blocks(
        documents,
        np.array([row for part in parts for row in part], np.int32),
        np.cumsum([0, *map(len, parts)]).astype(np.int64),
        np.array(sorted(inner | ({len(parts)} if parts else set())), np.int64),
    )


@brief
@given(blocks(), kinds)
def test_summaries_are_the_twins(blocks: Blocks, summary: Summary) -> None:
    entries, sizes = blocks.expected(summary)
    found = blocks.summarise(summary)
    wide = blocks.documents.n_terms > 65_536
    assert found.entries.dtype == (np.uint64 if wide else np.uint32)
    assert found.entries.tolist() == entries
    assert found.group_sizes.tolist() == sizes
    with pytest.MonkeyPatch.context() as patch:
        for kernel in (_summarise, _take_maxima, _cut, _sort_by_component):
            patch.setattr(module, kernel.__name__, interpreted(kernel))
        plain = blocks.summarise(summary)
    assert plain.entries.tolist() == entries
    assert plain.group_sizes.tolist() == sizes


@brief
@given(blocks(), st.data())
def test_groups_do_not_depend_on_each_other(blocks: Blocks, data: st.DataObject) -> None:
    if len(blocks.group_ends) > 0:
        first = data.draw(st.integers(0, len(blocks.group_ends) - 1))
        whole, part = blocks.summarise(EnergySummary()), blocks.summarise(EnergySummary(), first)
        assert part.group_sizes.tolist() == whole.group_sizes[first:].tolist()
        assert np.array_equal(part.entries, whole.entries[whole.group_sizes[:first].sum() :])


def test_more_entries_than_there_is_room_for_at_first() -> None:
    documents = random_collection(5, [300] * 80, 2_000, n_pool=2_000)
    group = Blocks(
        documents,
        np.arange(240, dtype=np.int32) % 80,
        np.arange(241, dtype=np.int64),
        np.array([100, 240]),
    )
    entries, sizes = group.expected(EnergySummary(1.0))
    assert len(entries) > 1 << 16
    found = group.summarise(EnergySummary(1.0))
    assert found.entries.tolist() == entries
    assert found.group_sizes.tolist() == sizes


def test_a_block_of_more_entries_than_twice_the_room() -> None:
    n_terms = 140_000
    terms = np.arange(n_terms, dtype=np.int32)
    weights = np.tile(np.array([1, 2, 3, 255], np.float32), n_terms // 4)
    documents = CSR(np.array([0, n_terms], np.int64), terms, weights, n_terms)
    ends = np.array([1], np.int64)
    block = Blocks(documents, np.zeros(1, np.int32), np.array([0, 1], np.int64), ends)
    entries = block.summarise(EnergySummary(1.0)).entries
    expected = terms.astype(np.uint64) << np.uint64(16) | weights.astype(np.uint64)
    assert np.array_equal(entries, expected)


def test_the_last_block_of_a_full_group() -> None:
    documents = random_collection(2, [2] * 300, 3, n_pool=3)
    rows, ends = np.arange(300, dtype=np.int32), np.array([GROUP_BLOCKS, 300])
    group = Blocks(documents, rows, np.arange(301, dtype=np.int64), ends)
    found = group.summarise(EnergySummary(1.0))
    assert found.entries.tolist() == group.expected(EnergySummary(1.0))[0]
    first = found.entries[: found.group_sizes[0]]
    assert int(((first >> np.uint32(8)) & np.uint32(255)).max()) == 255


codes = st.lists(st.sampled_from([1, 2, 3, 7, 200, 255]) | st.integers(1, 255), max_size=40)


def cut(way: Any, largest: list[int], energy: float, most: int) -> dict[int, int]:
    """Terms and codes that `_cut` keeps of maxima that came up from the last term to the first."""
    maxima = np.array(largest, np.uint8)
    touched = np.arange(len(largest) - 1, -1, -1).astype(np.int32)
    code, n_ties = way(_cut)(maxima, touched, energy, most, np.full(256, 9, np.int64))
    tied = [term for term in touched.tolist() if largest[term] == code]
    assert 0 <= n_ties <= len(tied)
    kept = [t for t in touched.tolist() if largest[t] > code or t in tied[:n_ties]]
    return {term: largest[term] for term in kept}


@both_ways
@brief
@given(codes, st.sampled_from(shares), st.sampled_from([1, 2, 5, 1_000]))
def test_cut_is_the_twin(way: Any, largest: list[int], energy: float, most: int) -> None:
    falling = dict(enumerate(largest))
    came_up = {term: falling[term] for term in reversed(falling)}
    assert cut(way, largest, energy, most) == naiveblocks.summarise(came_up, energy, most)


@both_ways
@brief
@given(codes, st.floats(0, 1))
def test_energy_keeps_the_fewest_of_the_heaviest(
    way: Any, largest: list[int], energy: float
) -> None:
    kept = list(cut(way, largest, energy, 1_000).values())
    assert sorted(kept) == sorted(largest)[len(largest) - len(kept) :]
    wanted = energy * sum(largest)
    assert sum(kept) >= wanted - 1e-9
    if kept:
        assert sum(kept) - min(kept) < wanted + 1e-9


def test_a_summary_of_everything_and_of_nothing() -> None:
    assert cut(interpreted, [255] * 600, 1.0, 1_000) == dict.fromkeys(range(600), 255)
    assert cut(interpreted, [3, 2, 1], 0.0, 1_000) == {}


@both_ways
@brief
@given(
    st.sampled_from([1, 256, 257, 65_536, 65_537, 70_000, 2**24 + 1]),
    st.lists(st.tuples(st.integers(0, 2**24), st.integers(0, 65_535)), max_size=50),
)
def test_sort_by_component_is_stable(
    way: Any, n_terms: int, numbers: list[tuple[int, int]]
) -> None:
    numbers = [(term % n_terms, low) for term, low in [*numbers, (n_terms - 1, 0)]]
    entries = np.array(
        [(term << 16) | low for term, low in numbers],
        np.uint32 if n_terms <= 65_536 else np.uint64,
    )
    way(_sort_by_component)(entries, n_terms)
    expected = sorted(numbers, key=lambda number: number[0])
    assert entries.tolist() == [(term << 16) | low for term, low in expected]


@both_ways
@brief
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 255)), max_size=20))
def test_maxima_are_taken(way: Any, entries: list[tuple[int, int]]) -> None:
    """Terms with a code of 0 are not there; the others are listed once, as they come up."""
    maxima, touched = np.zeros(10, np.uint8), np.zeros(11, np.int32)
    halves = (entries[: len(entries) // 2], entries[len(entries) // 2 :])
    n = 0
    for half in halves:
        terms = np.array([term for term, _ in half], np.uint16)
        n = way(_take_maxima)(terms, np.array([c for _, c in half], np.uint8), maxima, touched, n)
    expected = naiveblocks.maxima([([naiveblocks.Entry(t, c, 1.0) for t, c in entries], [])])
    assert touched[:n].tolist() == list(expected)
    assert [expected.get(term, 0) for term in range(10)] == maxima.tolist()
