"""Fusion of a sparse and a dense ranking into one.

Pure functions over arrays of candidates: the documents that either side lists, each with both raw
scores where they are known.

- Convex combination (Bruch et al., TOIS 2023): `w * norm(sparse) + (1 - w) * norm(dense)`. With
  the theoretical min-max norm, `(s - floor) / (best - floor)`, and the exact score of a document
  on a side that does not list it, the fused score of a document does not depend on how deep the
  lists are, so pages are stable. The floor is 0 for sparse scores and -1 for cosines; inner
  products of vectors of any length have none, and the least of the list stands for it.
- Reciprocal rank fusion (Cormack et al., SIGIR 2009): `1 / (k + rank)`, summed over both lists.

The weight is always the sparse side's. It cannot be carried from one norm to another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsr.options import check_options, option
from lsr.retrieval.retriever import TieOrder

__all__ = ["DEFAULT_WEIGHTS", "Fused", "Fusion", "SideScores", "fuse", "fused_order", "normalise"]

Method = Literal["convex", "rrf"]
Norm = Literal["tmm", "minmax", "max", "zscore", "none"]
Missing = Literal["exact", "zero"]

DEFAULT_WEIGHTS = {"tmm": 0.3, "minmax": 0.5, "max": 0.5, "zscore": 0.5, "none": 0.5, "rrf": 0.5}
"""The sparse side's weight by norm, and for RRF."""


@dataclass(frozen=True, slots=True)
class Fusion:
    """Fusion of two rankings into one. See the module for the formulas.

    Under RRF the weights of both sides sum to 2, so that at 0.5 each rank counts `1 / (k + rank)`.

    Raises:
        QueryError: a value is out of its range.
    """

    method: Method = option("convex", "How rankings are combined.", choices=("convex", "rrf"))
    norm: Norm = option(
        "tmm",
        "What makes scores of two sides comparable; tmm is min-max from the theoretical minimum, "
        "where there is one.",
        choices=("tmm", "minmax", "max", "zscore", "none"),
    )
    missing: Missing = option(
        "exact",
        "Score of a document on a side that does not list it: exact (computed), or zero.",
        choices=("exact", "zero"),
    )
    weight_sparse: float | None = option(
        None,
        "Share of the sparse side; default: 0.3 for tmm, 0.5 for others; 0 or 1 is one side alone.",
        low=0.0,
        high=1.0,
        optional=True,
    )
    rrf_k: int = option(60, "The constant of RRF.", low=1, high=1000)

    def __post_init__(self) -> None:
        check_options(self, "fusion.")

    @property
    def default_weight(self) -> float:
        """The weight that stands for None."""
        return DEFAULT_WEIGHTS["rrf" if self.method == "rrf" else self.norm]


class SideScores(NamedTuple):
    """One side's scores of all candidates.

    Attributes:
        raw: float32, shape (n,); 0 where unknown.
        rank: int32, shape (n,): place in the side's list from 1; 0 where it is not listed.
        known: bool, shape (n,): whether `raw` is a score, from the list or computed.
        floor: the smallest score there can be in theory, or None when there is none.
    """

    raw: NDArray[np.float32]
    rank: NDArray[np.int32]
    known: NDArray[np.bool_]
    floor: float | None


class Fused(NamedTuple):
    """Scores of all candidates; index 0 is the sparse side, 1 the dense side.

    Attributes:
        score: float64, shape (n,): the sum of contributions.
        norm: float64, shape (2, n): normalised scores; under RRF 1 / (k + rank).
        contribution: float64, shape (2, n).
        weights: of the two sides.
    """

    score: NDArray[np.float64]
    norm: NDArray[np.float64]
    contribution: NDArray[np.float64]
    weights: tuple[float, float]


def normalise(
    raw: NDArray[np.float32], listed: NDArray[np.bool_], norm: Norm, floor: float | None
) -> NDArray[np.float64]:
    """Map scores of one side to its norm, by the scores of its list.

    Args:
        raw: shape (n,), finite.
        listed: shape (n,): which of them are in the list.
        norm: tmm, minmax, max, zscore or none.
        floor: the theoretical minimum, for tmm, which is minmax where there is none.

    Returns:
        Shape (n,), always finite. When the list is empty: zeros. When no listed score is above
        the floor (tmm) or zero (max): zeros. When all listed scores are equal: for minmax 1 from
        that score on and 0 below, for zscore zeros.
    """
    scores = raw.astype(np.float64)
    if norm == "none":
        return scores
    if norm == "tmm" and floor is None:
        norm = "minmax"
    inside = scores[listed]
    if len(inside) == 0:
        return np.zeros_like(scores)
    best = float(inside.max())
    if norm in ("tmm", "max"):
        least = floor if norm == "tmm" and floor is not None else 0.0
        if best <= least:
            return np.zeros_like(scores)
        return (scores - least) / (best - least)
    worst = float(inside.min())
    if norm == "minmax":
        if best == worst:
            return (scores >= best).astype(np.float64)
        return (scores - worst) / (best - worst)
    if best == worst:
        return np.zeros_like(scores)
    mean = math.fsum(inside) / len(inside)  # exact sums, which do not depend on the order
    deviation = math.sqrt(math.fsum((inside - mean) ** 2) / len(inside))
    return (scores - mean) / deviation


def fuse(sparse: SideScores, dense: SideScores, fusion: Fusion, weight_sparse: float) -> Fused:
    """Fuse two sides' scores of the same candidates.

    A score that is not known counts 0 after normalising; so does, when `fusion.missing` is zero,
    one that is not of the list.

    Args:
        weight_sparse: the share of the sparse side, which stands above `fusion.weight_sparse`.
    """
    sides = (sparse, dense)
    norm = np.zeros((2, len(sparse.raw)), np.float64)
    if fusion.method == "rrf":
        weights = (2 * weight_sparse, 2 * (1 - weight_sparse))
        for i, side in enumerate(sides):
            np.divide(1.0, fusion.rrf_k + side.rank, out=norm[i], where=side.rank > 0)
    else:
        weights = (weight_sparse, 1 - weight_sparse)
        for i, side in enumerate(sides):
            if weights[i] == 0:
                continue
            listed = side.rank > 0
            counted = listed if fusion.missing == "zero" else side.known
            norm[i] = normalise(side.raw, listed, fusion.norm, side.floor)
            norm[i][~counted] = 0.0
    contribution = norm * np.array(weights)[:, None]
    return Fused(contribution[0] + contribution[1], norm, contribution, weights)


def fused_order(
    score: NDArray[np.float64],
    dense_raw: NDArray[np.float32],
    rows: NDArray[np.int32],
    tie_order: TieOrder,
) -> NDArray[np.intp]:
    """Candidates best first: by score, then by dense raw score, then by the order of their rows."""
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    if (ranked[1:] == ranked[:-1]).any():
        return np.lexsort((tie_order[rows], -dense_raw, -score))
    return order
