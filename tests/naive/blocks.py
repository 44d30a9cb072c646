"""Plain twins of the kernels that build a block index: slow, obvious, and equal to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks.config import GlobalPruning, ListPruning, Pruning
from lsr.sparse import CSR
from tests.naive.exact import rows_of

__all__ = [
    "Entry",
    "block_list",
    "code",
    "heaviest_terms",
    "kept_evenly",
    "lay_out",
    "maxima",
    "pack_neighbours",
    "prune",
    "read_vectors",
    "record",
    "step",
    "summarise",
]

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15
FEW = 24
MAX_CLUSTERS = 4_096


class Entry(NamedTuple):
    """A document's weight of a term, and its 8-bit code."""

    term: int
    code: int
    weight: float


Vector = tuple[list[Entry], list[Entry]]
"""A document's head and tail."""


def step(weight: Any, scale: Any) -> int:
    """The 16-bit value of a weight."""
    with np.errstate(over="ignore"):
        steps = np.rint(np.float32(weight) / np.float32(scale) * np.float32(256))
    return int(min(steps, np.float32(65_407)))


def code(weight: Any, scale: Any) -> int:
    """The 8-bit code of a weight."""
    return (step(weight, scale) + 128) // 256


def lay_out(documents: CSR, head_length: int, scale: float) -> list[Vector]:
    """Heads of the entries with the largest codes, and tails of the others; terms ascend."""
    vectors = []
    for row in rows_of(documents):
        entries = [Entry(term, code(weight, scale), float(weight)) for term, weight in row.items()]
        entries.sort(key=lambda entry: (-entry.code, entry.term))
        vectors.append((sorted(entries[:head_length]), sorted(entries[head_length:])))
    return vectors


def record(entries: Sequence[Entry], length: int, dtype: Any) -> bytes:
    """The components, then the codes, each filled up with zeros."""
    spare = [0] * (length - len(entries))
    terms = np.array([entry.term for entry in entries] + spare, dtype)
    codes = np.array([entry.code for entry in entries] + spare, np.uint8)
    return terms.tobytes() + codes.tobytes()


def read_vectors(
    head: NDArray[np.uint8],
    tail: NDArray[np.uint8],
    tail_start: NDArray[np.int64],
    rest: NDArray[Any],
    head_length: int,
    scale: float,
    dtype: Any,
) -> list[Vector]:
    """What a forward index holds. Entries of weight 0 are left out, and so is what fills up."""
    n = len(tail_start) - 1
    width = np.dtype(dtype).itemsize

    def read(part: NDArray[np.uint8], first: int, length: int, low: NDArray[Any]) -> list[Entry]:
        begin = first * (width + 1)
        terms = np.frombuffer(part[begin : begin + length * width].tobytes(), dtype).tolist()
        codes = part[begin + length * width : begin + length * (width + 1)].tolist()
        weights = low.astype(np.float32)
        if low.dtype == np.int8:
            steps = np.array(codes, np.int32) * 256 + low
            weights = steps.astype(np.float32) * np.float32(scale / 256)
        entries = map(Entry, terms, codes, weights.tolist())
        return [entry for entry in entries if entry.weight > 0]

    vectors = []
    for row in range(n):
        first, last = int(tail_start[row]), int(tail_start[row + 1])
        low = rest[row * head_length : (row + 1) * head_length]
        tail_low = rest[n * head_length + first : n * head_length + last]
        heavy = read(head, row * head_length, head_length, low)
        vectors.append((heavy, read(tail, first, last - first, tail_low)))
    return vectors


def heaviest_terms(vector: Vector, cut: int) -> list[tuple[int, int]]:
    """Terms and codes of the heaviest entries of the head; equal ones by term."""
    present = [entry for entry in vector[0] if entry.code > 0]
    present.sort(key=lambda entry: (-entry.code, entry.term))
    return [(entry.term, entry.code) for entry in present[:cut]]


def kept_evenly(n: int, n_kept: int) -> list[bool]:
    """Which of `n` stay so that of the first i always i * n_kept / n stay, rounded down."""
    return [(i + 1) * n_kept // n > i * n_kept // n for i in range(n)]


def prune(documents: CSR, pruning: Pruning) -> list[dict[int, np.float32]]:
    """The postings of each term: row to weight."""
    entries = [
        (row, term, weight, int(weight.view(np.int32)) >> 12)
        for row, terms in enumerate(rows_of(documents))
        for term, weight in terms.items()
    ]
    longest = len(entries)
    if isinstance(pruning, GlobalPruning):
        n_kept = min(len(entries), documents.n_terms * pruning.n_postings)
        longest = max(1, int(pruning.n_postings * pruning.max_fraction))
        levels = sorted((level for *_, level in entries), reverse=True)
        cut = levels[n_kept - 1] if entries else 0
        n_above = sum(level > cut for level in levels)
        evenly = iter(kept_evenly(levels.count(cut), n_kept - n_above))
        entries = [e for e in entries if e[3] > cut or (e[3] == cut and next(evenly))]
    elif isinstance(pruning, ListPruning):
        longest = pruning.n_postings
    lists: list[dict[int, np.float32]] = []
    for term in range(documents.n_terms):
        postings = [(row, weight) for row, t, weight, _ in entries if t == term]
        heaviest = sorted(postings, key=lambda posting: (-posting[1], posting[0]))[:longest]
        lists.append(dict(sorted(heaviest)))
    return lists


def random_numbers(seed: int, term: int) -> Iterator[int]:
    """SplitMix64."""
    state = (seed * GOLDEN + term) & MASK
    while True:
        state = (state + GOLDEN) & MASK
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
        yield mixed ^ (mixed >> 31)


def block_list(
    postings: dict[int, np.float32],
    vectors: Sequence[Vector],
    term: int,
    seed: int,
    fraction: float,
    smallest: int,
    size: int,
    doc_cut: int,
) -> list[list[int]]:
    """The blocks of one list, as rows."""
    by_weight = sorted(postings, key=lambda row: (-postings[row], row))
    n = len(postings)
    n_clusters = min(max(1, int(fraction * n)), MAX_CLUSTERS)
    if n <= FEW or fraction == 0 or n_clusters == 1:
        return [by_weight[i : i + size] for i in range(0, n, size)]
    centroids: list[dict[int, int]] = []
    for i, (row, number) in enumerate(zip(postings, random_numbers(seed, term), strict=False)):
        if number % (n - i) < n_clusters - len(centroids):
            centroids.append({entry.term: entry.code for entry in vectors[row][0]})
    alive = list(range(n_clusters))
    nearest = {row: _nearest(vectors[row], centroids, alive, doc_cut) for row in postings}
    members = list(nearest.values())
    alive = [c for c in alive if members.count(c) > smallest] or alive
    for row, cluster in nearest.items():
        if cluster not in alive:
            nearest[row] = _nearest(vectors[row], centroids, alive, doc_cut)
    blocks = [[row for row in by_weight if nearest[row] == c] for c in alive]
    return [block for block in blocks if block]


def _nearest(
    vector: Vector, centroids: Sequence[dict[int, int]], alive: Sequence[int], doc_cut: int
) -> int:
    """The first of the clusters with the largest inner product."""
    top = heaviest_terms(vector, doc_cut)
    return max(alive, key=lambda c: sum(code * centroids[c].get(term, 0) for term, code in top))


def maxima(vectors: Sequence[Vector]) -> dict[int, int]:
    """The largest code of each term, in the order in which terms come up."""
    largest: dict[int, int] = {}
    for head, tail in vectors:
        for entry in [*head, *tail]:
            if entry.code > 0:
                largest[entry.term] = max(largest.get(entry.term, 0), entry.code)
    return largest


def summarise(largest: dict[int, int], energy: float, most: int) -> dict[int, int]:
    """The fewest of the heaviest entries that hold the share `energy`, but no more than `most`."""
    wanted = energy * sum(largest.values())
    kept: dict[int, int] = {}
    for term in sorted(largest, key=lambda term: -largest[term]):  # equal ones as they came up
        if sum(kept.values()) >= wanted or len(kept) == most:
            break
        kept[term] = largest[term]
    return kept


def pack_neighbours(rows: NDArray[np.int32]) -> bytes:
    """All row numbers in as few bits each as the largest takes, and 8 spare bytes."""
    bits = max(1, (len(rows) - 1).bit_length())
    number = sum(row << (i * bits) for i, row in enumerate(rows.ravel().tolist()))
    return number.to_bytes((rows.size * bits + 7) // 8 + 8, "little")
