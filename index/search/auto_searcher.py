"""Search of one segment's block index by the parameters that were calibrated for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.config import SearchParams
from lsr.index.search.batch import check_k
from lsr.index.search.block_searcher import BlockSearcher
from lsr.index.search.costs import Costs
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR, SparseVector

__all__ = ["AutoSearcher"]

MORE_HITS = 10
"""Parameters say little about the recall of more than this many times the hits they are for."""


class AutoSearcher:
    """A `BlockSearcher` with parameters of its own, asked for `k` hits like any `Searcher`.

    Args:
        blocks: what is searched.
        tie_order: int32, shape (n_documents,): place of each row among equal scores.
        params: how to search; default: exactly.
        costs: measured by `calibrate`; default: typical ones.

    Raises:
        ValueError: there is not one place for each document.
    """

    def __init__(
        self,
        blocks: BlockIndex,
        tie_order: NDArray[np.int32],
        params: SearchParams | None = None,
        costs: Costs | None = None,
    ) -> None:
        self.blocks = BlockSearcher(blocks, tie_order, costs)
        self.params = params or SearchParams(strategy="exact")

    def search_batch(
        self,
        queries: CSR,
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        *,
        n_threads: int = 1,
    ) -> Ranking:
        """As `ExactSearcher.search_batch`, in the strategy of `params`.

        For many more hits than `params` were made for, the strategy is exact.
        """
        check_k(k)
        strategy = self.params.strategy if k <= MORE_HITS * self.params.k else "exact"
        params = replace(self.params, k=k, filter=allowed, strategy=strategy)
        return self.blocks.search_batch(queries, params, n_threads=n_threads)

    def score(self, query: SparseVector, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """As `ExactSearcher.score`."""
        return self.blocks.score(query, rows)

    def passage_scores(
        self, query: SparseVector, passages: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """As `score`: every document is its one passage."""
        return self.score(query, passages)

    def document_weights(
        self, terms: NDArray[np.int32], rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """As `ExactSearcher.document_weights`."""
        return self.blocks.document_weights(terms, rows)

    def warm_up(self) -> None:
        """Compile, or load from Numba's cache, what the first query needs."""
        self.blocks.warm_up()
