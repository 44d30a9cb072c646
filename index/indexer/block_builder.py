"""Document vectors in, a block index out: prune, block, summarise, pack."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError
from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.blocking import block_lists, heaviest_terms
from lsr.index.blocks.config import (
    BuildConfig,
    ClusteredBlocks,
    EnergySummary,
    GlobalPruning,
    StoredValues,
)
from lsr.index.blocks.forward_index import (
    ForwardIndex,
    component_dtype,
    stored_weights,
    usual_largest,
)
from lsr.index.blocks.layout import dtypes, pack
from lsr.index.blocks.pruning import PrunedLists, prune
from lsr.index.blocks.scan_lists import ScanLists
from lsr.index.blocks.summaries import GROUP_BLOCKS, SAMPLE, Summaries, summarise_lists
from lsr.index.indexer.knn_graph import with_neighbours
from lsr.progress import Progress, no_progress
from lsr.sparse import CSR

__all__ = ["build_blocks", "typical_config"]

PART_POSTINGS = 1 << 17
"""Lists are shared out among threads in parts of about so many postings. The parts do not depend on
the number of threads, and so the result does not."""

FAR = 20.0
"""Weights so many times the usual largest leave 12 bits for those."""

KEPT_SHARE, KEPT_FALLS = 0.5, 0.52
"""Entries that static pruning keeps of 100,000 documents, and how the share falls with more."""


def build_blocks(
    documents: CSR,
    config: BuildConfig | None = None,
    *,
    n_threads: int = 1,
    max_memory: int | None = None,
    progress: Progress = no_progress,
) -> BlockIndex:
    """Build the block index of `documents`; equal input gives equal bytes for any `n_threads`.

    Args:
        documents: a row for each document.
        config: by default `typical_config`.
        max_memory: bytes that the build may take beside `documents`.
        progress: called with a stage, how much of it is done, and of how much.

    Raises:
        InputError: the vectors are not valid, there are more than can be numbered, `n_threads` is
            below 1, or `max_memory` is too small; the message says how much is needed.
    """
    if n_threads < 1:
        raise InputError(f"{n_threads} threads; at least 1 is needed")
    documents.validate()
    _refuse_too_many(documents)
    config = config or typical_config(documents)
    stages = _Stages(documents, config, n_threads, _Budget(max_memory), progress)
    forward, lists = stages.vectors_and_lists()
    block_postings = stages.blocks(forward, lists)
    groups = _Groups(lists, block_postings)
    summaries = stages.summaries(forward, lists, block_postings, groups)
    scan = stages.exact_lists(forward)
    index = stages.packed(forward, lists, block_postings, groups, summaries, scan)
    del forward, lists, scan
    if config.n_neighbours:
        index = with_neighbours(index, documents, n_threads=n_threads, progress=progress)
    return index


def typical_config(documents: CSR, values: StoredValues | None = None) -> BuildConfig:
    """A config that suits a collection of this size.

    Args:
        values: as in `BuildConfig`; by default "u16", but "f32" where the largest weight is so far
            above all but a few that steps up to it would be too coarse for the others.

    Static pruning keeps half of the entries of 100,000 documents and a seventh of a million's: the
    more documents there are, the heavier are the entries that make the first ten.
    """
    if values is None:
        largest = float(documents.weights.max(initial=0.0))
        some = documents.weights[:: 1 + documents.nnz // 1_000_000]
        values = "u16" if largest <= FAR * usual_largest(some) else "f32"
    n = max(documents.n_rows, 1)
    share = min(1.0, KEPT_SHARE * (n / 100_000) ** -KEPT_FALLS)
    n_postings = max(1, math.ceil(share * documents.nnz / max(documents.n_terms, 1)))
    longest = max(8 * n_postings, 6 * math.isqrt(n))
    return BuildConfig(
        pruning=GlobalPruning(n_postings, longest / n_postings),
        summary=EnergySummary(0.25),
        values=values,
    )


class _Stages:
    """The stages of one build, in their order. Each takes what those before it gave."""

    def __init__(
        self,
        documents: CSR,
        config: BuildConfig,
        n_threads: int,
        budget: _Budget,
        progress: Progress,
    ) -> None:
        self._documents = documents
        self._config = config
        self._n_threads = n_threads
        self._budget = budget
        self._progress = progress
        self._term_type: NDArray[Any] = np.zeros(0, component_dtype(documents.n_terms))

    def vectors_and_lists(self) -> tuple[ForwardIndex, PrunedLists]:
        """Documents' vectors by row, and the entries of each list that become postings."""
        documents, config = self._documents, self._config
        self._progress("forward index", 0, documents.n_rows)
        self._budget.take("documents' vectors", _forward_bytes(documents, config))
        self._budget.take("lists of exact search", ScanLists.n_bytes(documents))
        forward = ForwardIndex.build(documents, config.values)
        lists = prune(documents, config.pruning)
        self._budget.take("postings", 16 * len(lists.rows))
        return forward, lists

    def blocks(self, forward: ForwardIndex, lists: PrunedLists) -> NDArray[np.int64]:
        """Order each list by blocks, in place; the posting at which each block starts, and the end.

        int64, shape (n_blocks + 1,).
        """
        blocking, n = self._config.blocking, self._documents.n_rows
        cut = 1
        if isinstance(blocking, ClusteredBlocks):
            cut = min(blocking.doc_cut, forward.head_length)
        self._budget.take("heaviest terms", n * cut * (self._term_type.itemsize + 1))
        top_terms = np.zeros((n, cut), self._term_type.dtype)
        top_codes = np.zeros((n, cut), np.uint8)
        heaviest_terms(forward.head, forward.head_length, top_terms, top_codes)
        starts = np.zeros(len(lists.rows), np.bool_)
        jobs = [
            partial(
                block_lists,
                blocking,
                self._config.seed,
                first,
                last,
                *lists,
                top_terms,
                top_codes,
                forward.head,
                self._documents.n_terms,
                starts,
            )
            for first, last in pairwise(_shares(lists.indptr))
        ]
        for done, _ in enumerate(_results(jobs, self._n_threads), 1):
            self._progress("blocks", done, len(jobs))
        return np.append(np.flatnonzero(starts), len(starts)).astype(np.int64)

    def summaries(
        self,
        forward: ForwardIndex,
        lists: PrunedLists,
        block_postings: NDArray[np.int64],
        groups: _Groups,
    ) -> list[Summaries]:
        """Summaries of all blocks, a share of the groups each, in order."""
        jobs = [
            partial(
                summarise_lists,
                self._config.summary,
                groups.ends[first - 1] if first else 0,
                groups.ends[last - 1],
                groups.ends[first:last],
                block_postings,
                lists.rows,
                forward.head,
                forward.tail,
                forward.tail_start,
                self._term_type,
                self._documents.n_terms,
            )
            for first, last in pairwise(_group_shares(groups, block_postings))
        ]
        shares: list[Summaries] = []
        for done, share in enumerate(_results(jobs, self._n_threads), 1):
            shares.append(share)
            n_bytes = 2 * sum(each.entries.nbytes for each in shares)
            self._budget.expect("summaries", n_bytes, done / len(jobs))
            self._progress("summaries", done, len(jobs))
        return shares

    def exact_lists(self, forward: ForwardIndex) -> ScanLists:
        """The lists of exact search."""
        weights = _as_stored(self._documents, forward, self._config)
        scan = ScanLists(self._documents, weights)
        jobs = list(scan.jobs())
        for done, _ in enumerate(_results(jobs, self._n_threads), 1):
            self._progress("exact lists", done, len(jobs))
        return scan

    def packed(
        self,
        forward: ForwardIndex,
        lists: PrunedLists,
        block_postings: NDArray[np.int64],
        groups: _Groups,
        summaries: list[Summaries],
        scan: ScanLists,
    ) -> BlockIndex:
        """All arrays in one; `summaries` is emptied, so that they are not held twice."""
        self._progress("pack", 0, None)
        n_terms, config = self._documents.n_terms, self._config
        none = np.zeros(0, dtypes(n_terms, config.values)["entries"])
        entries = np.concatenate([none, *(each.entries for each in summaries)])
        sizes = np.concatenate([np.zeros(0, np.int64), *(each.group_sizes for each in summaries)])
        summaries.clear()
        group_entries = _offsets(sizes)
        arrays: dict[str, NDArray[Any]] = {
            "head": forward.head,
            "tail": forward.tail,
            "tail_start": forward.tail_start,
            "rest": forward.rest,
            "list_groups": groups.of_lists,
            "group_entries": group_entries,
            "group_samples": _offsets(-(-sizes // SAMPLE)),
            "group_blocks": np.concatenate([[0], groups.ends]).astype(np.int32),
            "block_postings": block_postings,
            "postings": lists.rows,
            "entries": entries,
            "samples": _samples(entries, sizes, group_entries, self._term_type.dtype),
            **scan.finish(),
            "neighbours": np.zeros(0, np.uint8),
        }
        shape = (self._documents.n_rows, forward.head_length, n_terms, forward.scale)
        return BlockIndex(*pack(arrays, *shape, n_neighbours=0), config)


class _Groups:
    """Groups of blocks of one list whose summaries are stored together.

    Attributes:
        of_lists: int32, shape (n_terms + 1,): groups of list t are `[t]` to `[t + 1] - 1`.
        ends: int64: the block at which each group ends.
    """

    def __init__(self, lists: PrunedLists, block_postings: NDArray[np.int64]) -> None:
        first_block = np.searchsorted(block_postings[:-1], lists.indptr)
        n_blocks = np.diff(first_block)
        n_groups = -(-n_blocks // GROUP_BLOCKS)
        self.of_lists = _offsets(n_groups).astype(np.int32)
        place = np.arange(self.of_lists[-1]) - np.repeat(self.of_lists[:-1], n_groups) + 1
        ends = np.repeat(first_block[:-1], n_groups) + place * GROUP_BLOCKS
        self.ends = np.minimum(ends, np.repeat(first_block[1:], n_groups)).astype(np.int64)


class _Budget:
    """Bytes that a build takes, held against what it may take."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._taken = 0

    def take(self, what: str, n_bytes: int) -> None:
        self._taken += n_bytes
        self._check(what, self._taken)

    def expect(self, what: str, n_bytes: int, share: float) -> None:
        """Refuse early when the whole, of which a share takes `n_bytes`, cannot fit."""
        self._check(what, self._taken + int(n_bytes / share))

    def _check(self, what: str, needed: int) -> None:
        if self._limit is not None and needed > self._limit:
            rounded_up = math.ceil(needed / 1e5) / 10
            raise InputError(
                f"building takes {rounded_up:,.1f} MB with the {what} and max_memory is "
                f"{self._limit / 1e6:,.1f} MB; allow more, prune more, or build smaller segments"
            )


def _refuse_too_many(documents: CSR) -> None:
    if documents.n_rows >= 2**31:
        raise InputError(
            f"{documents.n_rows:,} documents, and a segment holds {2**31 - 1:,} at most; "
            "split the collection"
        )


def _as_stored(documents: CSR, forward: ForwardIndex, config: BuildConfig) -> NDArray[np.float32]:
    """The weights that searches read."""
    if config.values == "f32":
        return documents.weights
    return stored_weights(documents.weights, forward.scale)


def _forward_bytes(documents: CSR, config: BuildConfig) -> int:
    record = component_dtype(documents.n_terms)().itemsize + 1
    return documents.nnz * (record + (1 if config.values == "u16" else 4)) * 5 // 4


def _offsets(sizes: NDArray[Any]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _samples(
    entries: NDArray[Any], sizes: NDArray[np.int64], begins: NDArray[np.int64], dtype: Any
) -> NDArray[Any]:
    """The component of every `SAMPLE`-th entry of each group."""
    counts = -(-sizes // SAMPLE)
    place = np.arange(int(counts.sum())) - np.repeat(_offsets(counts)[:-1], counts)
    sampled = np.repeat(begins[:-1], counts) + place * SAMPLE
    components: NDArray[Any] = (entries[sampled] >> entries.dtype.type(16)).astype(dtype)
    return components


def _shares(indptr: NDArray[np.int64]) -> list[int]:
    """Lists cut into parts of about `PART_POSTINGS` postings."""
    wanted = np.arange(0, indptr[-1], PART_POSTINGS)
    edges = np.searchsorted(indptr, wanted, side="right") - 1
    return sorted({0, *edges.tolist(), len(indptr) - 1})


def _group_shares(groups: _Groups, block_postings: NDArray[np.int64]) -> list[int]:
    """Groups cut into parts of about `PART_POSTINGS` postings."""
    if len(groups.ends) == 0:
        return [0]
    return _shares(np.concatenate([[0], block_postings[groups.ends]]))


def _results(jobs: Sequence[Callable[[], Any]], n_threads: int) -> Iterator[Any]:
    """Results of the jobs, in their order. Left early, it starts no more of them."""
    if n_threads == 1:
        for job in jobs:
            yield job()
        return
    pool = ThreadPoolExecutor(n_threads)
    try:
        yield from pool.map(lambda job: job(), jobs)
    finally:
        pool.shutdown(cancel_futures=True)
