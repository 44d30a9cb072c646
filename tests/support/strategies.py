"""Hypothesis strategies for matrices, identifiers, filters and plans."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from lsr.retrieval.feedback import DenseFeedback, SparseFeedback
from lsr.retrieval.fusion import Fusion
from lsr.retrieval.plan import MODES, Prf, SearchPlan
from lsr.sparse import CSR

__all__ = [
    "blankless_ids",
    "doc_id_lists",
    "fusions",
    "masks",
    "matrices",
    "plans",
    "texts",
    "weights",
]

FEW_WEIGHTS = [0.25, 0.5, 1.0, 3.0]
"""Few values, exact in float32, so that many sums are equal."""


def weights(*, few: bool) -> st.SearchStrategy[float]:
    """Weights that often make equal scores, or any that float32 can hold, tiny ones too."""
    if few:
        return st.sampled_from(FEW_WEIGHTS)
    return st.floats(2.0**-149, 2.0**127, width=32)


@st.composite
def matrices(
    draw: st.DrawFn,
    *,
    n_rows: int | None = None,
    n_terms: int | None = None,
    max_rows: int = 24,
    few: bool | None = None,
) -> CSR:
    """Matrices of 0 to `max_rows` rows, narrow or wide, with empty rows also at the end."""
    height = draw(st.integers(0, max_rows)) if n_rows is None else n_rows
    width = draw(st.sampled_from([1, 3, 8, 1_000])) if n_terms is None else n_terms
    weight = weights(few=draw(st.booleans()) if few is None else few)
    row = st.dictionaries(st.integers(0, width - 1), weight, max_size=6)
    n_filled = draw(st.integers(0, height))
    rows = draw(st.lists(row, min_size=n_filled, max_size=n_filled))
    return CSR.from_rows([*rows, *({} for _ in range(height - n_filled))], width)


def texts(max_size: int = 40) -> st.SearchStrategy[str]:
    """Text that UTF-8 can hold."""
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=max_size)


@st.composite
def doc_id_lists(draw: st.DrawFn, n: int) -> list[str]:
    """`n` different ids: short ones, so that one begins another, with odd characters."""
    odd = st.text(st.sampled_from("aAbé文😀 \x00\n\"'\\/."), min_size=1, max_size=3)
    free = texts(6).filter(bool)
    return draw(st.lists(odd | free, min_size=n, max_size=n, unique=True))


def blankless_ids() -> st.SearchStrategy[str]:
    """Ids that a TREC file can hold: it cannot start with a byte-order mark."""
    character = st.characters(exclude_categories=["Cs"]).filter(lambda c: not c.isspace())
    return st.text(character, min_size=1, max_size=8).filter(lambda i: not i.startswith("\ufeff"))


@st.composite
def masks(draw: st.DrawFn, n: int) -> NDArray[np.bool_] | None:
    """No filter, one that lets nothing pass, one that lets all pass, or any."""
    kind = draw(st.sampled_from(["absent", "none", "all", "any"]))
    if kind == "absent":
        return None
    if kind == "any":
        return np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), np.bool_)
    return np.full(n, kind == "all")


def shares() -> st.SearchStrategy[float]:
    """Numbers from 0 to 1, often both ends."""
    return st.sampled_from([0.0, 0.3, 0.5, 1.0]) | st.floats(0, 1)


def fusions() -> st.SearchStrategy[Fusion]:
    """Every method, norm and way with what is missing."""
    return st.builds(
        Fusion,
        method=st.sampled_from(["convex", "convex", "rrf"]),
        norm=st.sampled_from(["tmm", "minmax", "max", "zscore", "none"]),
        missing=st.sampled_from(["exact", "zero"]),
        weight_sparse=st.none() | shares(),
        rrf_k=st.sampled_from([1, 2, 60, 1000]),
    )


@st.composite
def plans(draw: st.DrawFn, *, max_window: int = 10_000) -> SearchPlan:
    """Any plan whose parts go together."""
    mode = draw(st.sampled_from([None, None, *MODES]))
    conditions = ["none", "pre", "post", "both", "dense_only"]
    if mode in ("sparse", "dense"):
        conditions = ["none"] if mode == "sparse" else ["none", "dense_only"]
    dense = st.builds(
        DenseFeedback,
        method=st.sampled_from(["rocchio", "average"]),
        alpha=st.sampled_from([0.4, 0.8, 2.0]),
        beta=st.sampled_from([0.0, 0.2, 0.6, 2.0]),
    )
    sparse = st.builds(
        SparseFeedback,
        enabled=st.booleans(),
        terms=st.sampled_from([1, 3, 10, 200]),
        alpha=st.sampled_from([0.5, 1.0]),
        beta=st.sampled_from([0.0, 0.2, 1.5]),
        max_df=st.sampled_from([0.0, 0.3, 1.0]),
    )
    prf = st.builds(
        Prf,
        interpolate=st.sampled_from(conditions),
        depth=st.sampled_from([0, 1, 3, 20]),
        weight_sparse_pre=st.none() | shares(),
        min_score=st.none() | shares(),
        dense=dense,
        sparse=sparse,
    )
    return SearchPlan(
        mode=mode,
        window=draw(st.integers(1, max_window)),
        fusion=draw(fusions()),
        prf=draw(prf),
        explain=draw(st.sampled_from(["none", "scores", "full"])),
        allow_partial=draw(st.booleans()),
    )
