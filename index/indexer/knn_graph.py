"""The graph of nearest documents, found with the block index itself (SeismicWave, CIKM 2024)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.config import SearchParams
from lsr.index.blocks.layout import ARRAYS, HEAD_LENGTH, pack
from lsr.index.blocks.neighbours import pack_neighbours
from lsr.index.search.block_searcher import BlockSearcher
from lsr.progress import Progress, no_progress
from lsr.sparse import CSR

__all__ = ["with_neighbours"]

QUERY_TERMS = 32
"""Number of its heaviest terms with which a document asks for its neighbours …"""

PARAMS = SearchParams(query_cut=6, heap_factor=1.0, strategy="approximate")
"""… and few lists, so that the graph takes little longer than the index."""

CHUNK = 4_096


def with_neighbours(
    index: BlockIndex,
    documents: CSR,
    *,
    n_threads: int = 1,
    progress: Progress = no_progress,
) -> BlockIndex:
    """The same index with the nearest documents of each, as many as its config says."""
    n = index.n_documents
    wanted = index.config.n_neighbours
    neighbours = np.repeat(np.arange(n, dtype=np.int32)[:, None], wanted, axis=1)
    searcher = BlockSearcher(index)
    k = min(wanted + 1, n)
    params = replace(PARAMS, k=max(k, 1))
    for start in range(0, n, CHUNK):
        stop = min(start + CHUNK, n)
        queries = documents.take(range(start, stop)).top_terms(QUERY_TERMS)
        found = searcher.search_batch(queries, params, n_threads=n_threads).rows
        rows = np.arange(start, stop, dtype=np.int32)
        _others(found, rows, neighbours[start:stop])
        progress("neighbours", stop, n)
    parts = {name: index.array(name) for name in ARRAYS}
    parts["neighbours"] = pack_neighbours(neighbours)
    shape = (n, int(index.layout[HEAD_LENGTH]), index.n_terms, index.scale)
    return BlockIndex(*pack(parts, *shape, n_neighbours=wanted), index.config)


def _others(found: NDArray[np.int32], rows: NDArray[np.int32], out: NDArray[np.int32]) -> None:
    """Put found rows that are not the asking row itself into `out`, which holds that row."""
    others = (found != rows[:, None]) & (found >= 0)
    order = np.argsort(~others, axis=1, kind="stable")[:, : out.shape[1]]
    kept = np.take_along_axis(others, order, axis=1)
    width = order.shape[1]
    out[:, :width] = np.where(kept, np.take_along_axis(found, order, axis=1), rows[:, None])
