"""Collections and configs to test block indexes with, and search as the kernel does it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lsr.index.blocks import layout as at
from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.config import (
    Blocking,
    BuildConfig,
    ClusteredBlocks,
    EnergySummary,
    FixedBlocks,
    FixedSummary,
    GlobalPruning,
    ListPruning,
    NoPruning,
    Pruning,
    StoredValues,
    Summary,
)
from lsr.index.blocks.neighbours import pack_neighbours
from lsr.index.kernels.block_search import search_blocks
from lsr.index.kernels.scratch import COUNTERS, scratch_bytes
from lsr.index.storage.segment import frozen
from lsr.sparse import CSR

__all__ = [
    "NARROW",
    "WIDE",
    "both_ways",
    "brief",
    "collections",
    "compiled",
    "configs",
    "interpreted",
    "likes",
    "pairs",
    "random_collection",
    "random_queries",
    "search",
    "skewed_collection",
    "tables",
    "with_neighbours",
]

if numba.config.DISABLE_JIT:
    np.seterr(over="ignore")  # hashes wrap around; compiled code says nothing of it

NARROW, WIDE = (1, 3, 40, 65_536), (65_537, 70_000)
"""Numbers of terms for which components have 16 and 32 bits."""

WEIGHTS = ("few", "capped", "any", "outliers", "tiny")
brief = settings(
    max_examples=10 if os.environ.get("NUMBA_BOUNDSCHECK") == "1" else 30,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
)


def as_is(kernel: Any) -> Any:
    """The compiled kernel."""
    return kernel


def interpreted(kernel: Any) -> Any:
    """The kernel as Python runs it; what it calls stays compiled."""
    return getattr(kernel, "py_func", kernel)


compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="runs without a compiler")
both_ways = pytest.mark.parametrize("way", [as_is, interpreted], ids=["compiled", "interpreted"])


def random_weights(rng: np.random.Generator, n: int, kind: str) -> NDArray[np.float32]:
    """Weights above 0: few different ones, capped ones, any, and some far above or below others."""
    if kind == "few":
        return rng.choice(np.array([0.25, 0.5, 1.0, 3.0], np.float32), n)
    weights = rng.lognormal(0, 1, n).astype(np.float32)
    if kind == "capped":
        return np.minimum(weights, np.float32(1.0))
    if kind == "outliers":
        weights[rng.random(n) < 0.02] *= np.float32(1e6)
    if kind == "tiny":
        weights *= np.float32(1e-40)
    return np.maximum(weights, np.float32(2.0**-149))


def random_collection(
    seed: int, sizes: list[int], n_terms: int, kind: str = "any", n_pool: int = 40
) -> CSR:
    """Documents of so many terms each, out of `n_pool` terms that include the first and last."""
    rng = np.random.default_rng(seed)
    ends = {0, min(65_535, n_terms - 1), n_terms - 1}
    pool = np.array(sorted(ends | set(rng.integers(0, n_terms, n_pool).tolist())))
    if n_terms <= n_pool:
        pool = np.arange(n_terms)
    rows = []
    for size in sizes:
        terms = rng.choice(pool, min(size, len(pool)), replace=False).tolist()
        weights = random_weights(rng, len(terms), kind).tolist()
        rows.append(dict(zip(terms, weights, strict=True)))
    return CSR.from_rows(rows, n_terms)


def skewed_collection(n: int, mean: int, seed: int, n_terms: int) -> CSR:
    """Rows of up to `mean` terms, the first ones of which are by far the most frequent."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        terms = np.unique((rng.random(mean) ** 3 * n_terms).astype(int))
        rows.append({int(term): float(rng.lognormal()) for term in terms})
    return CSR.from_rows(rows, n_terms)


@st.composite
def collections(
    draw: st.DrawFn,
    *,
    n_terms: int | None = None,
    max_rows: int = 24,
    kind: str | None = None,
    widths: tuple[int, ...] = (*NARROW, *WIDE),
    long: bool = False,
) -> CSR:
    """Narrow and wide ones, with empty documents, single terms and whole vocabularies.

    Where the vocabulary allows it, heads of `long` documents have 32 entries or a multiple of it.
    """
    width = draw(st.sampled_from(widths)) if n_terms is None else n_terms
    lengths = [36, 50, 80, 110, 150] if long else [0, 1, 2, 7, 9, 14, 25, 40]
    sizes = st.lists(st.sampled_from(lengths), max_size=max_rows)
    return random_collection(
        draw(st.integers(0, 2**32 - 1)),
        draw(sizes),
        width,
        draw(st.sampled_from(WEIGHTS[:4])) if kind is None else kind,
        n_pool=160 if long else 40,
    )


def random_queries(documents: CSR, seed: int, n: int = 3, kind: str = "any", most: int = 12) -> CSR:
    """Queries of the documents' terms and of some that no document has; the last one is empty.

    Args:
        most: terms of a query.
    """
    rng = np.random.default_rng(seed)
    width = documents.n_terms
    pool = np.unique(np.append(documents.terms, [0, width - 1, width, width + 9]))
    rows: list[dict[int, float]] = []
    for _ in range(n):
        terms = rng.choice(pool, rng.integers(1, min(len(pool), most) + 1), replace=False).tolist()
        weights = random_weights(rng, len(terms), kind).tolist()
        rows.append(dict(zip(terms, weights, strict=True)))
    return CSR.from_rows([*rows, {}], width + 10)


@st.composite
def configs(
    draw: st.DrawFn,
    *,
    pruning: Pruning | None = None,
    summary: Summary | None = None,
    values: StoredValues | None = None,
) -> BuildConfig:
    """Any strategies, with small numbers."""
    prunings: st.SearchStrategy[Pruning] = st.one_of(
        st.just(NoPruning()),
        st.builds(GlobalPruning, st.integers(1, 9), st.sampled_from([1.0, 1.5, 4.0])),
        st.builds(ListPruning, st.integers(1, 9)),
    )
    blockings: st.SearchStrategy[Blocking] = st.one_of(
        st.builds(
            ClusteredBlocks,
            st.sampled_from([0.0, 0.1, 0.3, 1.0]),
            st.integers(0, 3),
            st.sampled_from([1, 4, 15]),
        ),
        st.builds(FixedBlocks, st.integers(1, 5)),
    )
    summaries: st.SearchStrategy[Summary] = st.one_of(
        st.builds(EnergySummary, st.sampled_from([0.0, 0.25, 0.40625, 1.0])),
        st.builds(FixedSummary, st.sampled_from([1, 3, 1_000])),
    )
    return BuildConfig(
        draw(prunings) if pruning is None else pruning,
        draw(blockings),
        draw(summaries) if summary is None else summary,
        draw(st.sampled_from(["u16", "f32"])) if values is None else values,
        seed=draw(st.integers(0, 3)),
    )


def likes(index: BlockIndex) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Empty arrays of the types of components, entries and rest, as kernels take them."""
    terms, entries, rest = (
        frozen(np.zeros(0, index.types[name])) for name in ("samples", "entries", "rest")
    )
    return terms, entries, rest


def tables(n_terms: int, query: Mapping[int, Any]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A query by term, as kernels look it up: above 0 where it has the term, and its weights."""
    codes_of, weights_of = np.zeros(n_terms, np.uint8), np.zeros(n_terms, np.float32)
    for term, weight in query.items():
        codes_of[term], weights_of[term] = 1, weight
    return codes_of, weights_of


def search(
    index: BlockIndex,
    queries: CSR,
    k: int = 10,
    *,
    query_cut: int = 8,
    heap_factor: float = 0.9,
    n_knn: int = 0,
    allowed: NDArray[np.bool_] | None = None,
    tie_order: NDArray[np.int32] | None = None,
    scratch: NDArray[np.uint8] | None = None,
    kernel: Any = search_blocks,
) -> list[list[tuple[int, float]]]:
    """Hits of each query; checks that padding is as it should, and that `scratch` is left zero."""
    n = index.n_documents
    ties = np.arange(n, dtype=np.int32) if tie_order is None else tie_order
    blocked = np.zeros(0, np.uint8)
    if allowed is not None:
        blocked = np.packbits(~allowed, bitorder="little")
    if scratch is None:
        scratch = np.zeros(scratch_bytes(n, index.n_terms), np.uint8)
    rows = np.full((queries.n_rows, k), 99, np.int32)
    scores = np.full((queries.n_rows, k), 99, np.float32)
    kernel(
        *(queries.indptr, queries.terms, queries.weights, 0, queries.n_rows),
        *(index.blob, index.layout, *likes(index)),
        *(frozen(ties), frozen(np.argsort(ties).astype(np.int32)), frozen(blocked)),
        *(query_cut, heap_factor, n_knn, scratch, rows, scores),
    )
    assert not scratch[4 * n : -8 * len(COUNTERS)].any()
    return pairs(rows, scores)


def pairs(rows: NDArray[np.int32], scores: NDArray[np.float32]) -> list[list[tuple[int, float]]]:
    """Hits of each query; checks that padding is at the end, and is -1 and 0."""
    result = []
    for line, values in zip(rows.tolist(), scores.tolist(), strict=True):
        n = sum(row >= 0 for row in line)
        assert line[n:] == [-1] * (len(line) - n)
        assert values[n:] == [0.0] * (len(line) - n)
        result.append(list(zip(line[:n], values[:n], strict=True)))
    return result


def with_neighbours(index: BlockIndex, rows: NDArray[np.int32]) -> BlockIndex:
    """The index with these neighbours, shape (n_documents, n_neighbours)."""
    parts = {name: index.array(name) for name in at.ARRAYS}
    parts["neighbours"] = pack_neighbours(rows)
    blob, layout = at.pack(
        parts,
        index.n_documents,
        int(index.layout[at.HEAD_LENGTH]),
        index.n_terms,
        float(index.layout[at.SCALE : at.SCALE + 1].view(np.float64)[0]),
        rows.shape[1],
    )
    return BlockIndex(blob, layout, index.config)
