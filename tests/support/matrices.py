"""Matrices compared entry by entry, with their types."""

from __future__ import annotations

import numpy as np

from lsr.sparse import CSR

__all__ = ["same"]


def same(a: CSR, b: CSR) -> bool:
    """Whether two matrices have equal arrays of equal types, and one width."""
    return (
        all(
            np.array_equal(x, y) and x.dtype == y.dtype
            for x, y in zip(a[:3], b[:3], strict=True)
            if isinstance(x, np.ndarray) and isinstance(y, np.ndarray)
        )
        and a.n_terms == b.n_terms
    )
