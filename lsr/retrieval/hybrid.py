"""`HybridSearcher`: carries a `SearchPlan` out over a sparse and a dense side.

    encode ─ search both ─ fuse ─ pick feedback ─ move the query ─ search again ─ fuse

One path for every plan. What a plan does not need is not done: a side without weight is not
searched, the sparse list is computed once unless sparse feedback is on, and nothing is encoded
twice. The conditions come from Li et al., SIGIR 2022.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from lsr.errors import (
    IndexStateError,
    LsrError,
    ModelError,
    QueryError,
    RetrieverError,
    UnavailableError,
)
from lsr.retrieval.candidates import FusedList, SideList, first_of_each, fused_list, side_list
from lsr.retrieval.feedback import Expanded, Feedback
from lsr.retrieval.plan import MODES, Mode, SearchPlan, resolved
from lsr.retrieval.retriever import DenseSide, SparseSide, TieOrder
from lsr.sparse import CSR, SparseVector
from lsr.stopwatch import Deadline, Stopwatch

__all__ = ["HybridQuery", "HybridResult", "HybridSearcher", "Notice", "PrfOutcome"]

SPARE_FEEDBACK = 4
"""Candidates looked at beyond the feedback's depth, in case some repeat others."""

Mask = NDArray[np.bool_]
SparseList = SideList[SparseVector]
DenseList = SideList[NDArray[np.float32]]
Vector = TypeVar("Vector", SparseVector, NDArray[np.float32])


class HybridQuery(NamedTuple):
    """A query as text, or with vectors of its own that override those of the encoders."""

    text: str
    sparse: SparseVector | None = None
    dense: NDArray[np.float32] | None = None


class Notice(NamedTuple):
    """Something about an answer that its reader should know; `code` is stable."""

    code: str
    detail: str


@dataclass(frozen=True)
class PrfOutcome:
    """Outcome of feedback.

    Attributes:
        reason: why it was not applied: off, no_feedback_documents, no_direction, search_failed,
            late; else None.
        rows, scores: documents learned from, best first, and their scores in the first list.
        dense, sparse: the new queries, or None where a side kept its own.
    """

    applied: bool
    reason: str | None
    rows: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    dense: Expanded[Any] | None = None
    sparse: Expanded[Any] | None = None


@dataclass(frozen=True)
class HybridResult:
    """A search carried out.

    Attributes:
        plan: resolved.
        query: with the vectors of the first round; None where a side was not searched.
        final: the result.
        unfed: what the result would be without feedback; None when it was not applied, or the
            plan explains nothing.
        took_ms: milliseconds by stage.
    """

    plan: SearchPlan
    query: HybridQuery
    final: FusedList
    unfed: FusedList | None
    prf: PrfOutcome
    notices: tuple[Notice, ...]
    took_ms: dict[str, float]

    @property
    def rows(self) -> NDArray[np.int32]:
        """Ranked rows, best first."""
        return self.final.rows[self.final.order]

    @property
    def scores(self) -> NDArray[np.float64]:
        """Scores of `rows`."""
        return self.final.fused.score[self.final.order]


class HybridSearcher:
    """Both sides of a collection behind one `search`.

    Args:
        sparse, dense: the sides; `dense` None when the collection has no dense vectors.
        tie_order: of all documents.
        dense_feedback, sparse_feedback: stand in place of the plan's `prf.dense`, `prf.sparse`.
    """

    def __init__(
        self,
        sparse: SparseSide,
        dense: DenseSide | None,
        tie_order: TieOrder,
        *,
        dense_feedback: Feedback[NDArray[np.float32]] | None = None,
        sparse_feedback: Feedback[CSR] | None = None,
    ) -> None:
        self.sparse = sparse
        self.dense = dense
        self.tie_order = tie_order
        self.has_floors = dense is None or dense.floor is not None
        self.dense_feedback = dense_feedback
        self.sparse_feedback = sparse_feedback

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that a plan may have here; the first is the default."""
        return ("sparse",) if self.dense is None else MODES

    def search(
        self,
        query: HybridQuery,
        plan: SearchPlan,
        allowed: Mask | None = None,
        *,
        reach: int = 1,
        deadline: Deadline | None = None,
    ) -> HybridResult:
        """Rank the candidates of the plan's windows.

        Args:
            allowed: bool, shape (n_documents,); other rows are neither found nor learned from.
            reach: hits that will be looked at. Fusion never looks beyond its window; a single
                mode, whose order does not depend on it, lists this many when they are more.
            deadline: a side or a feedback that has not begun by then is left out, with a notice;
                one side is always searched.

        Raises:
            QueryError: the plan does not fit the collection.
            ModelError: an encoder gave numbers that are not finite.
            RetrieverError: a side failed, and the plan does not allow partial answers.
        """
        plan = resolved(plan, self.modes, self.has_floors)
        window = max(plan.window, 1 if plan.mode == "hybrid" else reach)
        window = max(1, min(window, len(self.tie_order)))
        return _Search(self, plan, query, allowed, window, deadline).result()


class _Search:
    """One search on its way."""

    def __init__(
        self,
        searcher: HybridSearcher,
        plan: SearchPlan,
        query: HybridQuery,
        allowed: Mask | None,
        window: int,
        deadline: Deadline | None = None,
    ) -> None:
        self.deadline = deadline
        self.plan = plan
        self.query = query
        self.allowed = allowed
        self.window = window
        self.sparse, self.dense = searcher.sparse, searcher.dense
        self.tie_order = searcher.tie_order
        floor = None if self.dense is None else self.dense.floor
        self.feed_dense = searcher.dense_feedback or plan.prf.dense.above(floor)
        self.feed_sparse = searcher.sparse_feedback or plan.prf.sparse
        self.moves_dense = plan.may_move_dense and not self.feed_dense.is_off
        self.moves_sparse = plan.may_move_sparse and not self.feed_sparse.is_off
        self.watch = Stopwatch()
        self.notices: list[Notice] = []

    def result(self) -> HybridResult:
        """Carry the plan out."""
        weights, feeds = self.plan.weights, self.moves_dense or self.moves_sparse
        shares = (weights.first, weights.final, weights.unfed) if feeds else (weights.unfed,)
        sparse = self._round("sparse", self._first_sparse) if max(shares) > 0 else None
        dense = None
        counts = sparse is not None and weights.unfed > 0
        if min(shares) < 1 and not (counts and self._is_late("dense_late", "dense side")):
            dense = self._round("dense", self._first_dense)
        if not feeds:
            off = PrfOutcome(False, "off")
            return self._done(sparse, dense, self._fuse(sparse, dense, weights.unfed), None, off)
        first = self._fuse(sparse, dense, weights.first)
        prf = PrfOutcome(False, "late")
        if not self._is_late("feedback_late", "feedback round"):
            prf = self._feed(first, sparse, dense)
        unfed = first if weights.first == weights.unfed else None
        if unfed is None and (self.plan.explain != "none" or not prf.applied):
            unfed = self._fuse(sparse, dense, weights.unfed)
        if not prf.applied:
            return self._done(sparse, dense, unfed or first, None, prf)
        again = self._round_again(sparse, dense, prf)
        if again is None:
            unfed = unfed or self._fuse(sparse, dense, weights.unfed)
            return self._done(sparse, dense, unfed, None, PrfOutcome(False, "search_failed"))
        final = self._fuse(*again, weights.final, "fuse_again")
        return self._done(sparse, dense, final, unfed, prf)

    def _is_late(self, code: str, what: str) -> bool:
        """Whether the time is over; then a notice says that the part is left out."""
        if self.deadline is None or not self.deadline.is_over:
            return False
        detail = f"the {what} is left out: {self.deadline.milliseconds:g} ms were over"
        self.notices.append(Notice(code, detail))
        return True

    def _done(
        self,
        sparse: SparseList | None,
        dense: DenseList | None,
        final: FusedList,
        unfed: FusedList | None,
        prf: PrfOutcome,
    ) -> HybridResult:
        query = HybridQuery(
            self.query.text,
            sparse.query if sparse is not None else None,
            dense.query if dense is not None else None,
        )
        notices = tuple(self.notices)
        return HybridResult(self.plan, query, final, unfed, prf, notices, self.watch.took_ms)

    def _round(self, name: str, search: Callable[[], SideList[Vector]]) -> SideList[Vector] | None:
        """A side's first round; None when it fails and the plan allows an answer without it."""
        try:
            found = search()
        except (LsrError, RuntimeError, OSError) as error:
            unfed = self.plan.weights.unfed
            other_counts = unfed < 1 if name == "sparse" else unfed > 0
            failed_before = any(notice.code.endswith("_failed") for notice in self.notices)
            self._failed(name, error, "is left out", other_counts and not failed_before)
            return None
        if len(found.rows) == 0:
            code, detail = f"{name}_no_hits", f"the {name} side found nothing"
            if found.is_mute:
                code, detail = f"{name}_empty", f"the query says nothing to the {name} side"
            self.notices.append(Notice(code, detail))
        return found

    def _round_again(
        self, sparse: SparseList | None, dense: DenseList | None, prf: PrfOutcome
    ) -> tuple[SparseList | None, DenseList | None] | None:
        """Both sides' lists after feedback; None when one fails and the plan allows for it."""
        name = "sparse"
        try:
            if prf.sparse is not None:
                sparse = self._search_sparse(prf.sparse.vector, "search_sparse_again")
            name = "dense"
            if prf.dense is not None:
                dense = self._search_dense(prf.dense.vector, "search_dense_again")
        except (LsrError, RuntimeError, OSError) as error:
            self._failed(name, error, "so there is no feedback", True)
            return None
        return sparse, dense

    def _failed(self, name: str, error: Exception, outcome: str, can_do_without: bool) -> None:
        """Note that a side failed, where the answer can do without it, or raise."""
        if isinstance(error, QueryError):
            raise error
        if self.plan.allow_partial and can_do_without:
            detail = f"the {name} side failed and {outcome} ({error})"
            self.notices.append(Notice(f"{name}_failed", detail))
            return
        if isinstance(error, ModelError | UnavailableError | IndexStateError):
            raise error
        raise RetrieverError(
            f"the {name} side failed ({error}); try again, search the other side, or set "
            "allow_partial"
        ) from error

    def _first_sparse(self) -> SparseList:
        vector = self.query.sparse
        if vector is None:
            vector = self.sparse.encode([self.query.text]).row(0)
        self._check(vector.weights, "sparse", self.sparse.name)
        self.watch.lap("encode_sparse")
        return self._search_sparse(vector, "search_sparse")

    def _first_dense(self) -> DenseList:
        vector = self.query.dense
        if vector is None:
            vector = self._dense_side.encode([self.query.text])[0]
        self._check(vector, "dense", self._dense_side.name)
        self.watch.lap("encode_dense")
        return self._search_dense(vector, "search_dense")

    @property
    def _dense_side(self) -> DenseSide:
        if self.dense is None:
            raise QueryError("the collection has no dense vectors; search sparse")
        return self.dense

    @staticmethod
    def _check(numbers: NDArray[np.float32], side: str, model: str) -> None:
        if not np.isfinite(numbers).all():
            raise ModelError(
                f"the {side} model {model!r} gave numbers that are not finite for this query; "
                "check the model, or search the other side"
            )

    def _search_sparse(self, vector: SparseVector, stage: str) -> SparseList:
        ranking = self.sparse.search(vector.as_matrix(), self.window, self.allowed)
        found = side_list(ranking, vector, "sparse")
        self.watch.lap(stage)
        return found

    def _search_dense(self, vector: NDArray[np.float32], stage: str) -> DenseList:
        ranking = self._dense_side.search(vector[None, :], self.window, self.allowed)
        found = side_list(ranking, vector, "dense")
        self.watch.lap(stage)
        return found

    def _fuse(
        self, sparse: SparseList | None, dense: DenseList | None, weight: float, stage: str = "fuse"
    ) -> FusedList:
        sides = (self.sparse, self.dense)
        fused = fused_list(sparse, dense, sides, self.plan.fusion, weight, self.tie_order)
        self.watch.lap(stage)
        return fused

    def _feed(
        self, first: FusedList, sparse: SparseList | None, dense: DenseList | None
    ) -> PrfOutcome:
        """Move the queries of the sides that count in the result and have not failed."""
        to_dense = dense is not None and self.moves_dense
        to_sparse = sparse is not None and self.moves_sparse
        if not to_dense and not to_sparse:
            return PrfOutcome(False, "off")
        places, dense_documents, sparse_documents = self._pick(
            first, dense if to_dense else None, sparse if to_sparse else None
        )
        new_dense = new_sparse = None
        if len(places) and to_dense and dense is not None:
            new_dense = self.feed_dense.expand(dense.query, dense_documents, self.sparse.may_feed)
        if len(places) and to_sparse and sparse is not None:
            new_sparse = self.feed_sparse.expand(
                sparse.query, sparse_documents, self.sparse.may_feed
            )
        self.watch.lap("feedback")
        if len(places) == 0:
            return PrfOutcome(False, "no_feedback_documents")
        if (to_dense and new_dense is None) or (to_sparse and new_sparse is None):
            side = "dense" if to_dense and new_dense is None else "sparse"
            detail = f"query and feedback documents cancel out; the {side} query stays as it is"
            self.notices.append(Notice("feedback_without_direction", detail))
        if new_dense is None and new_sparse is None:
            return PrfOutcome(False, "no_direction")
        scores = first.fused.score[places]
        return PrfOutcome(True, None, first.rows[places], scores, new_dense, new_sparse)

    def _pick(
        self, first: FusedList, dense_list: DenseList | None, sparse_list: SparseList | None
    ) -> tuple[NDArray[np.intp], NDArray[np.float32], CSR]:
        """The best documents that have a vector, each text once; and their vectors."""
        order, depth, least = first.order, self.plan.prf.depth, self.plan.prf.min_score
        if least is not None:
            order = order[first.fused.score[order] >= least]
        dense, sparse = np.zeros((0, 0), np.float32), CSR.empty(0, 0)
        size = depth + SPARE_FEEDBACK
        while True:
            rows = first.rows[order[:size]]
            fit = np.ones(len(rows), bool)
            if sparse_list is not None:
                sparse = self.sparse.vectors(rows, sparse_list.query)
                fit = np.diff(sparse.indptr) > 0
            if dense_list is not None:
                dense = self._dense_side.vectors(rows, dense_list.query)
                fit &= dense.any(axis=1)
            kept = first_of_each(sparse if dense_list is None else dense, fit, depth)
            if len(kept) == depth or size >= len(order):
                break
            size *= 8
        sparse = sparse if sparse_list is None else sparse.take(kept.tolist())
        return order[kept], dense if dense_list is None else dense[kept], sparse
