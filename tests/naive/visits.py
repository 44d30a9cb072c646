"""Plain twins of the kernels that search a block index: slow, obvious, and equal to them."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from lsr.index.blocks import layout as at
from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.neighbours import neighbour
from lsr.sparse import SparseVector
from tests.naive import blocks as naiveblocks
from tests.naive import exact as naive

__all__ = ["Opened", "Visited", "estimate", "falling", "heaviest", "query_codes", "visit"]

LAG = 8
TAIL_FACTOR = 0.8
TAIL_LAG = 8
BUCKETS = 512
Summary = dict[int, int]


class Opened:
    """What a block index holds, as lists and dicts.

    Attributes:
        vectors: head and tail of each document.
        weights: each document's stored weights by term.
        blocks: rows of each block.
        summaries: codes by term of each block.
        neighbours: of each row.
    """

    def __init__(self, index: BlockIndex) -> None:
        self.n_documents = index.n_documents
        self.vectors = naiveblocks.read_vectors(
            index.array("head"),
            index.array("tail"),
            index.array("tail_start"),
            index.array("rest"),
            int(index.layout[at.HEAD_LENGTH]),
            float(index.layout[at.SCALE : at.SCALE + 1].view(np.float64)[0]),
            index.types["samples"],
        )
        self.weights = [
            {entry.term: np.float32(entry.weight) for entry in [*head, *tail]}
            for head, tail in self.vectors
        ]
        edges = index.array("block_postings").tolist()
        rows = index.array("postings").tolist()
        self.blocks = [rows[a:b] for a, b in pairwise(edges)]
        self.summaries: list[Summary] = [{} for _ in self.blocks]
        entries = index.array("entries").tolist()
        begins, self._firsts = index.array("group_entries"), index.array("group_blocks").tolist()
        for group, first in enumerate(self._firsts[:-1]):
            for entry in entries[begins[group] : begins[group + 1]]:
                self.summaries[first + (entry >> 8 & 255)][entry >> 16] = entry & 255
        self._groups = index.array("list_groups").tolist()
        n = index.n_neighbours
        self.neighbours = [
            [
                int(neighbour(index.array("neighbours"), self.n_documents, row * n + j))
                for j in range(n)
            ]
            for row in range(self.n_documents)
        ]

    def list_blocks(self, term: int) -> range:
        """The blocks of a list."""
        first, last = self._groups[term], self._groups[term + 1]
        return range(self._firsts[first], self._firsts[last])

    def score(self, query: Mapping[int, np.float32], row: int) -> np.float32:
        """By stored weights."""
        return naive.score(query, self.weights[row])


def heaviest(weights: Sequence[float], cut: int) -> list[int]:
    """The places of the `cut` largest, falling, the first of equals first."""
    return sorted(range(len(weights)), key=lambda i: (-weights[i], i))[:cut]


def query_codes(query: Mapping[int, np.float32]) -> dict[int, int]:
    """Weights as codes of which the largest is 255; none is 0."""
    largest = max(query.values(), default=np.float32(1))
    half, top = np.float32(0.5), np.float32(255)
    return {term: max(1, int(weight / largest * top + half)) for term, weight in query.items()}


def estimate(
    opened: Opened, codes: Mapping[int, int], lists: Sequence[int], everything: bool
) -> list[tuple[int, int]]:
    """Blocks of the lists and their estimates; those of 0 are left out unless `everything`."""
    found = []
    for term in lists:
        for block in opened.list_blocks(term):
            summary = opened.summaries[block]
            total = sum(code * summary.get(term, 0) for term, code in codes.items())
            if total > 0 or everything:
                found.append((block, total))
    return found


def falling(estimates: Sequence[int]) -> tuple[list[int], int]:
    """Places by falling estimates, told apart in at most 512 steps, and the bits of a step."""
    shift = max(0, max(estimates, default=0).bit_length() - BUCKETS.bit_length() + 1)
    return sorted(range(len(estimates)), key=lambda i: -(estimates[i] >> shift)), shift


class Visited(NamedTuple):
    """What visiting blocks gives.

    Attributes:
        seen: rows in the order in which they came up.
        candidates: score and row of those scored whole.
        n_blocks: blocks visited.
    """

    seen: list[int]
    candidates: list[tuple[int, int]]
    n_blocks: int


def visit(
    opened: Opened,
    codes: Mapping[int, int],
    found: Sequence[tuple[int, int]],
    heap_factor: float,
    k: int,
    blocked: Collection[int] = (),
) -> Visited:
    """Score documents of blocks in falling order.

    8 are fetched ahead of the one whose head is scored, and 8 lie between a head and its tail.
    """
    waiting = deque(found[place] for place in falling([total for _, total in found])[0])
    fetched: deque[int] = deque()
    heads: deque[tuple[int, int] | None] = deque([None] * TAIL_LAG)  # scores and rows
    seen: list[int] = []
    best: list[int] = []
    candidates: list[tuple[int, int]] = []
    n_blocks = 0
    while True:
        full = len(best) == k and heap_factor > 0
        while waiting and len(fetched) <= LAG:
            block, total = waiting.popleft()
            if full and total < int(best[-1] * heap_factor):
                continue
            n_blocks += 1
            new = [row for row in opened.blocks[block] if row not in seen and row not in blocked]
            seen += new
            fetched += new
        if not fetched and not any(heads):
            return Visited(seen, candidates, n_blocks)
        new_head = None
        if fetched:
            row = fetched.popleft()
            score = sum(codes.get(entry.term, 0) * entry.code for entry in opened.vectors[row][0])
            if not full or score > best[-1] * TAIL_FACTOR:
                new_head = score, row
        heads.append(new_head)
        old_head = heads.popleft()
        if old_head is None:
            continue
        score, row = old_head
        score += sum(codes.get(entry.term, 0) * entry.code for entry in opened.vectors[row][1])
        candidates.append((score, row))
        best = sorted([*best, score], reverse=True)[:k]


def search(
    opened: Opened,
    vector: SparseVector,
    n_terms: int,
    k: int,
    query_cut: int,
    heap_factor: float,
    n_knn: int = 0,
    blocked: Collection[int] = (),
    tie_order: Sequence[int] | None = None,
) -> list[tuple[int, float]]:
    """The hits of one query: rows and scores."""
    terms, weights = vector.terms.tolist(), vector.weights
    query = {term: weights[i] for i, term in enumerate(terms) if term < n_terms}
    codes = query_codes(query)
    known = list(query)
    lists = [known[i] for i in heaviest(list(map(float, query.values())), query_cut)]
    found = estimate(opened, codes, lists, heap_factor == 0)
    seen, candidates, _ = visit(opened, codes, found, heap_factor, k, blocked)
    if heap_factor > 0:
        candidates = sorted(candidates, reverse=True)[: k + k // 4 + 10]
    ties = range(opened.n_documents) if tie_order is None else tie_order

    def ranked(rows: Sequence[int]) -> list[tuple[int, np.float32]]:
        hits = [(row, opened.score(query, row)) for row in rows]
        return sorted(hits, key=lambda hit: (-float(hit[1]), ties[hit[0]]))[:k]

    hits = ranked([row for _, row in candidates])
    known_rows = set(seen) | set(blocked)
    near = [row for hit, _ in hits for row in opened.neighbours[hit][:n_knn]]
    hits = ranked(
        [*(row for row, _ in hits), *dict.fromkeys(r for r in near if r not in known_rows)]
    )
    return [(row, float(score)) for row, score in hits if score > 0]
