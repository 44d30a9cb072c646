"""The `Retriever` protocol: text queries in, a `Run` out.

Evaluation speaks to this and knows nothing of engines. BM25, a dense model, and later the hybrid
of both are all one of these, and all pass the contract suite in `tests/test_retriever_contract.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lsr.types import Query, Run

__all__ = ["Retriever"]


@runtime_checkable
class Retriever(Protocol):
    """Ranks the documents of one collection."""

    @property
    def name(self) -> str: ...

    def retrieve(
        self, queries: Sequence[Query], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Run:
        """The `k` best documents of each query, in the order of `queries`.

        Args:
            queries: a query that says nothing to this retriever gets an empty list.
            k: how many at most; fewer come back where fewer match.
            allowed: bool, shape (n_documents,); rows that are False are not returned.

        Returns:
            Hits by score descending, equal scores by doc_id ascending.

        Raises:
            QueryError: `k` is below 1, or `allowed` has another length than the collection.
        """
        ...
