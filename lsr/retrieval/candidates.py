"""Candidates: what two sides list, brought together, scored on both, and put in order."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from lsr.errors import ModelError
from lsr.retrieval.fusion import Fused, Fusion, SideScores, fuse, fused_order
from lsr.retrieval.retriever import DenseSide, Ranking, SparseSide, TieOrder
from lsr.sparse import CSR, SparseVector

__all__ = ["FusedList", "SideList", "first_of_each", "fused_list", "side_list"]

SAME_VECTOR = 1e-6
"""Documents whose vectors are closer than this are one for feedback: half the squared distance, as
a share of the longer one's squared length; of unit vectors, 1 − cosine."""

_NOTHING = np.zeros(0, np.int32)
Vector = TypeVar("Vector", SparseVector, NDArray[np.float32])


class SideList(NamedTuple, Generic[Vector]):
    """A side's hits, best first, and the query that found them.

    Attributes:
        rows: int32, shape (n,).
        scores: float32, shape (n,).
        query: a `SparseVector`, or float32 (dimension,).
    """

    rows: NDArray[np.int32]
    scores: NDArray[np.float32]
    query: Vector

    @property
    def is_mute(self) -> bool:
        """Whether the query says nothing to its side."""
        if isinstance(self.query, SparseVector):
            return len(self.query.terms) == 0
        return not self.query.any()


class FusedList(NamedTuple):
    """Two lists made one. Arrays run over candidates; `order` puts them best first.

    Attributes:
        rows: int32, shape (n,), ascending.
        order: shape (n,): places in `rows`.
    """

    rows: NDArray[np.int32]
    sparse: SideScores
    dense: SideScores
    fused: Fused
    order: NDArray[np.intp]


def side_list(ranking: Ranking, query: Vector, name: str) -> SideList[Vector]:
    """The one line of a ranking without its padding.

    Raises:
        ModelError: a score is not a finite number.
    """
    n = int(np.count_nonzero(ranking.rows[0] >= 0))
    scores = ranking.scores[0, :n]
    if not np.isfinite(scores).all():
        raise ModelError(
            f"a score of the {name} side is not a finite number; check its model, and build the "
            "index again"
        )
    return SideList(ranking.rows[0, :n], scores, query)


def fused_list(
    sparse: SideList[SparseVector] | None,
    dense: SideList[NDArray[np.float32]] | None,
    sides: tuple[SparseSide, DenseSide | None],
    fusion: Fusion,
    weight_sparse: float,
    tie_order: TieOrder,
) -> FusedList:
    """Fuse two lists. A side without weight adds no candidates.

    Args:
        sparse, dense: None where a side was not searched, or failed.
        sides: they give the scores that lists lack, when `fusion.missing` is exact.
        tie_order: of all documents.
    """
    if sparse is not None and dense is None and weight_sparse == 1 and fusion.norm == "none":
        floors = (sides[0].floor, sides[1].floor if sides[1] else None)
        if fusion.method == "convex" and _is_ordered(sparse, tie_order):
            return _sparse_alone(sparse, floors)
    shares = ((sparse, weight_sparse), (dense, 1 - weight_sparse))
    lists = [found.rows for found, share in shares if found is not None and share > 0]
    rows = _union(lists)
    scores = []
    for found, side in ((sparse, sides[0]), (dense, sides[1])):
        listed = _scores(rows, found, side.floor if side else None)
        if fusion.missing == "exact" and 0 < weight_sparse < 1 and side and found:
            _complete(rows, listed, found, side)
        scores.append(listed)
    fused = fuse(scores[0], scores[1], fusion, weight_sparse)
    dense_raw = scores[1].raw if weight_sparse < 1 else np.zeros_like(scores[1].raw)
    order = fused_order(fused.score, dense_raw, rows, tie_order)
    return FusedList(rows, scores[0], scores[1], fused, order)


def _is_ordered(found: SideList[SparseVector], tie_order: TieOrder) -> bool:
    """Whether a list is in the order of its fusion: by score, and equal ones by `tie_order`."""
    scores = found.scores
    falls = scores[1:] < scores[:-1]
    if falls.all():
        return True
    places = tie_order[found.rows]
    return bool((falls | ((scores[1:] == scores[:-1]) & (places[1:] > places[:-1]))).all())


def _sparse_alone(
    found: SideList[SparseVector], floors: tuple[float | None, float | None]
) -> FusedList:
    """What `fused_list` makes of one list of raw scores, to the bit, without the work for two."""
    n = len(found.rows)
    by_row = found.rows.argsort()
    order = np.empty(n, np.intp)
    order[by_row] = np.arange(n)
    raw = found.scores[by_row]
    rank = (by_row + 1).astype(np.int32)
    norm = np.zeros((2, n))
    norm[0] = raw
    none = SideScores(np.zeros(n, np.float32), np.zeros(n, np.int32), np.zeros(n, bool), floors[1])
    sparse = SideScores(raw, rank, np.ones(n, bool), floors[0])
    fused = Fused(norm[0].copy(), norm, norm.copy(), (1.0, 0.0))
    return FusedList(found.rows[by_row], sparse, none, fused, order)


def _union(lists: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    """All rows of the lists, each once, ascending."""
    rows = np.concatenate([_NOTHING, *lists])
    rows.sort()
    first = np.ones(len(rows), bool)
    np.not_equal(rows[1:], rows[:-1], out=first[1:])
    return rows[first]


def _scores(
    rows: NDArray[np.int32], found: SideList[Any] | None, floor: float | None
) -> SideScores:
    raw = np.zeros(len(rows), np.float32)
    rank = np.zeros(len(rows), np.int32)
    if found is not None and len(rows) and len(found.rows):
        places = rows.searchsorted(found.rows)
        there = slice(None)
        if places.max() == len(rows) or not np.array_equal(rows[places], found.rows):
            places = np.minimum(places, len(rows) - 1)
            there = rows[places] == found.rows  # the side has no weight, and lists others too
            places = places[there]
        raw[places] = found.scores[there]
        rank[places] = np.arange(1, len(found.rows) + 1, dtype=np.int32)[there]
    return SideScores(raw, rank, rank > 0, floor)


def _complete(
    rows: NDArray[np.int32],
    scores: SideScores,
    found: SideList[Any],
    side: SparseSide | DenseSide,
) -> None:
    """Fill in the scores of candidates that the side has a vector of and does not list."""
    if found.is_mute:
        return
    places = np.flatnonzero(~scores.known)
    places = places[side.has_vector(rows[places])]
    scores.raw[places] = side.score(found.query, rows[places])
    scores.known[places] = True


def first_of_each(
    vectors: NDArray[np.float32] | CSR, fit: NDArray[np.bool_], most: int
) -> NDArray[np.intp]:
    """Places of the first `most` documents that fit and repeat none of those, ascending.

    Args:
        vectors: of n documents.
        fit: shape (n,).
    """
    kept: list[int] = []
    lengths = np.zeros(0) if isinstance(vectors, CSR) else np.vecdot(vectors, vectors)
    seen: set[tuple[bytes, bytes]] = set()
    for i in np.flatnonzero(fit).tolist():
        if len(kept) == most:
            break
        if isinstance(vectors, CSR):
            row = vectors.row(i)
            key = (row.terms.tobytes(), row.weights.tobytes())
            repeats = key in seen
            seen.add(key)
        else:
            least = (1 - SAME_VECTOR) * np.maximum(lengths[kept], lengths[i])
            repeats = bool(((vectors[kept] @ vectors[i] >= least) & (least > 0)).any())
        if not repeats:
            kept.append(i)
    return np.array(kept, np.intp)
