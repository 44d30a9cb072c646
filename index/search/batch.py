"""A batch of queries: what is asked for is checked, and the work is shared out among threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import NDArray

from lsr.errors import QueryError
from lsr.retrieval.retriever import Ranking

__all__ = ["check_k", "check_mask", "plain", "share_out", "unfilled"]

ROW, SCORE = np.dtype(np.int32), np.dtype(np.float32)
"""Made once: NumPy looks a type up with every call."""


def check_k(k: int) -> None:
    """Raise QueryError when fewer hits than one are asked for."""
    if k < 1:
        raise QueryError(f"k is {k}; ask for at least 1")


def check_mask(allowed: NDArray[np.bool_], n_rows: int) -> None:
    """Raise QueryError when a filter is not of shape (n_rows,)."""
    if allowed.shape != (n_rows,):
        raise QueryError(
            f"the filter has shape {allowed.shape}; one flag for each of {n_rows} documents is "
            "needed"
        )


def plain(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself if it is of the one type kernels are compiled for, else such a copy."""
    if type(array) is ndarray and array.flags.carray:  # contiguous, aligned and writable
        return array
    return np.array(array)


def share_out(
    search: Callable[..., None], n_queries: int, n_threads: int, arguments: tuple[Any, ...]
) -> None:
    """Call `search(first, last, *arguments)` for even parts of the queries, each on a thread.

    One query, or one thread, is searched on the caller's own. The kernels hold no lock.

    Args:
        search: called with the first query of a part, and the one after its last.

    Raises:
        QueryError: `n_threads` is below 1; and whatever `search` raises.
    """
    if n_threads < 1:
        raise QueryError(f"{n_threads} threads; at least 1 is needed")
    if n_threads == 1 or n_queries < 2:
        search(0, n_queries, *arguments)
        return
    edges = np.linspace(0, n_queries, n_threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(n_threads) as pool:
        for done in [pool.submit(search, a, b, *arguments) for a, b in pairwise(edges)]:
            done.result()


def unfilled(n_queries: int, k: int) -> Ranking:
    """A ranking for a kernel to fill."""
    shape = (n_queries, k)
    return Ranking(np.empty(shape, ROW), np.empty(shape, SCORE))
