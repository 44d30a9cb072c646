"""Costs of exact and of approximate search, by which the automatic strategy chooses.

Exact search adds up the postings of a query's lists and looks over all documents. Approximate
search estimates the blocks of the heaviest lists and visits documents until blocks no longer
matter; how many, the heap factor decides. Each cost is a straight line in what can be counted
before the search.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lsr.index.storage.segment import frozen

__all__ = ["Costs", "typical_costs"]

EXACT_QUERY_US = 3.0
EXACT_DOCUMENT_NS = 0.25
EXACT_POSTING_NS = 1.4
APPROXIMATE_QUERY_US = 25.0
APPROXIMATE_BLOCK_NS = 45.0
VISIT_NS = 90.0
ROW_NS = 300.0
"""Scoring a chosen document by its stored weights."""

VISITS = 200.0
"""Documents visited for ten hits at a heap factor of 1 …"""

VISITS_GROW = 6.5
"""… and how fast they become more below it."""


@dataclass(frozen=True)
class Costs:
    """Times of one query, in microseconds, and per unit of work in nanoseconds.

    Attributes:
        exact_query_us, exact_posting_ns: of exact search, by postings of all lists.
        approximate_query_us, approximate_block_ns: of approximate search, by blocks of the lists
            visited.
    """

    exact_query_us: float
    exact_posting_ns: float
    approximate_query_us: float
    approximate_block_ns: float

    def as_array(self) -> NDArray[np.float64]:
        """The four numbers, for kernels; read-only, as all that they are compiled for once."""
        return frozen(np.array(astuple(self), np.float64))


@cache
def typical_costs(n_documents: int, k: int, heap_factor: float) -> Costs:
    """Costs as measured where this was written; `calibrate` measures them where it runs."""
    visits = VISITS * math.exp(VISITS_GROW * (1 - heap_factor)) * math.sqrt(k / 10)
    return Costs(
        EXACT_QUERY_US + EXACT_DOCUMENT_NS * n_documents / 1e3,
        EXACT_POSTING_NS,
        APPROXIMATE_QUERY_US + VISIT_NS * min(visits, n_documents) / 1e3,
        APPROXIMATE_BLOCK_NS,
    )
