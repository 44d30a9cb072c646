"""Explanations of scores: each hit's score taken apart, so that the parts add up to it.

For every hit (1e-5, float32):

- the contributions of both sides add up to the score;
- the values of terms, `other` included, add up to the sparse raw score;
- `dense_query` and the values by feedback document add up to the dense raw score.

The records are not frozen: a frozen one takes three times as long to make, and a page has hundreds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lsr.retrieval.fusion import SideScores
from lsr.retrieval.hybrid import HybridResult, HybridSearcher
from lsr.retrieval.retriever import SparseSide
from lsr.sparse import SparseVector

__all__ = [
    "Explanation",
    "FeedbackValue",
    "PrfPart",
    "QueryTerm",
    "SidePart",
    "TermPart",
    "explain",
    "explain_rows",
    "query_terms",
]

MOST_TERMS = 10
"""Terms of a hit that are told one by one; the rest is their sum."""

Origin = Literal["query", "model", "feedback"]
DocIds = Callable[[NDArray[np.int32]], list[str]]


@dataclass(slots=True)
class SidePart:
    """One side's part in a hit's score: `contribution = weight * norm`.

    Attributes:
        rank: place in the side's list from 1, or None.
        source: list, completed (scored on its own), or absent (norm 0).
    """

    raw: float
    norm: float
    weight: float
    contribution: float
    rank: int | None
    source: Literal["list", "completed", "absent"]


@dataclass(slots=True)
class QueryTerm:
    """A term of the sparse query: of its text, added by the model, or by feedback."""

    term: str
    weight: float
    origin: Origin


@dataclass(slots=True)
class TermPart:
    """A term's part in the sparse raw score: `value = query_weight * doc_weight`."""

    term: str
    query_weight: float
    doc_weight: float
    value: float
    origin: Origin


@dataclass(slots=True)
class FeedbackValue:
    """A feedback document's part in the dense raw score."""

    doc_id: str
    value: float


@dataclass(slots=True)
class PrfPart:
    """The dense raw score after feedback, by what the query is made of.

    Attributes:
        dense_query: the part of the query as it was asked.
        dense_feedback: the part of all feedback documents, in sum.
    """

    dense_query: float
    dense_feedback: float
    by_feedback: tuple[FeedbackValue, ...]


@dataclass(slots=True)
class Explanation:
    """Why a hit has its score.

    Attributes:
        sparse, dense: None for a side that was not searched.
        rank_before_prf: place in the result without feedback; None where it was not there, or
            there was no feedback.
        prf: only in full, after dense feedback, for hits whose dense source is not absent.
        terms: only in full; the best ten by value; none when the sparse source is absent. None
            when the sparse side was not searched.
        other: the sum of the values of all other terms.
    """

    score: float
    sparse: SidePart | None
    dense: SidePart | None
    rank_before_prf: int | None
    prf: PrfPart | None = None
    terms: tuple[TermPart, ...] | None = None
    other: float = 0.0


def explain(
    searcher: HybridSearcher, outcome: HybridResult, first: int, last: int, doc_ids: DocIds
) -> list[Explanation]:
    """Explain the hits from place `first` (counted from 0) to before `last`.

    Args:
        searcher: what the outcome comes from.
        doc_ids: identifiers of rows.
    """
    return _explained(searcher, outcome, outcome.final.order[first:last], doc_ids)


def explain_rows(
    searcher: HybridSearcher, outcome: HybridResult, rows: NDArray[np.int32], doc_ids: DocIds
) -> list[Explanation | None]:
    """Explain rows in any order; None for those that are not among the candidates."""
    known = outcome.final.rows
    places = np.searchsorted(known, rows)
    there = np.zeros(len(rows), bool)
    inside = places < len(known)
    there[inside] = known[places[inside]] == rows[inside]
    told = iter(_explained(searcher, outcome, places[there], doc_ids))
    return [next(told) if each else None for each in there.tolist()]


def _explained(
    searcher: HybridSearcher, outcome: HybridResult, places: NDArray[np.intp], doc_ids: DocIds
) -> list[Explanation]:
    final = outcome.final
    full = outcome.plan.explain == "full"
    sides = [
        _side_parts(outcome, i, places) if query is not None else [None] * len(places)
        for i, query in enumerate((outcome.query.sparse, outcome.query.dense))
    ]
    before = _ranks_before(outcome, final.rows[places])
    prf = _prf_parts(searcher, outcome, places, doc_ids) if full else [None] * len(places)
    terms = _term_parts(searcher.sparse, outcome, places) if full else [(None, 0.0)] * len(places)
    return [
        Explanation(
            score=score,
            sparse=sides[0][i],
            dense=sides[1][i],
            rank_before_prf=before[i],
            prf=prf[i],
            terms=terms[i][0],
            other=terms[i][1],
        )
        for i, score in enumerate(final.fused.score[places].tolist())
    ]


def query_terms(sparse: SparseSide, outcome: HybridResult) -> list[QueryTerm]:
    """The terms of the sparse query as it was last searched, heaviest first."""
    vector = _sparse_query(outcome)
    if vector is None:
        return []
    order = np.argsort(-vector.weights, kind="stable")
    origins = _origins(sparse, outcome, vector)
    return [
        QueryTerm(sparse.term(int(vector.terms[i])), float(vector.weights[i]), origins[i])
        for i in order.tolist()
    ]


def _side_parts(
    outcome: HybridResult, side: int, places: NDArray[np.intp]
) -> list[SidePart | None]:
    scores: SideScores = (outcome.final.sparse, outcome.final.dense)[side]
    fused = outcome.final.fused
    return [
        SidePart(
            raw,
            norm,
            fused.weights[side],
            contribution,
            rank or None,
            "list" if rank else "completed" if known else "absent",
        )
        for raw, norm, contribution, rank, known in zip(
            scores.raw[places].tolist(),
            fused.norm[side][places].tolist(),
            fused.contribution[side][places].tolist(),
            scores.rank[places].tolist(),
            scores.known[places].tolist(),
            strict=True,
        )
    ]


def _ranks_before(outcome: HybridResult, rows: NDArray[np.int32]) -> Sequence[int | None]:
    before = outcome.unfed
    if before is None or len(before.rows) == 0:
        return [None] * len(rows)
    rank = np.empty(len(before.rows), np.int64)
    rank[before.order] = np.arange(1, len(before.rows) + 1)
    places = np.minimum(np.searchsorted(before.rows, rows), len(before.rows) - 1)
    there = before.rows[places] == rows
    return [
        place if known else None
        for place, known in zip(rank[places].tolist(), there.tolist(), strict=True)
    ]


def _prf_parts(
    searcher: HybridSearcher, outcome: HybridResult, places: NDArray[np.intp], doc_ids: DocIds
) -> Sequence[PrfPart | None]:
    expanded, query = outcome.prf.dense, outcome.query.dense
    if expanded is None or query is None or searcher.dense is None:
        return [None] * len(places)
    if expanded.document_shares is None:
        return [None] * len(places)
    hits = searcher.dense.vectors(outcome.final.rows[places], expanded.vector).astype(np.float64)
    documents = searcher.dense.vectors(outcome.prf.rows, query).astype(np.float64)
    # not @, whose last digit depends on how many hits are explained at a time
    own = np.einsum("hd,d->h", hits, query.astype(np.float64)) * expanded.query_share
    by_document = np.einsum("hd,kd->hk", hits, documents) * expanded.document_shares
    names = doc_ids(outcome.prf.rows)
    known = outcome.final.dense.known[places].tolist()
    return [
        PrfPart(
            mine,
            sum(values),
            tuple(FeedbackValue(*pair) for pair in zip(names, values, strict=True)),
        )
        if there
        else None
        for there, mine, values in zip(known, own.tolist(), by_document.tolist(), strict=True)
    ]


def _term_parts(
    sparse: SparseSide, outcome: HybridResult, places: NDArray[np.intp]
) -> Sequence[tuple[tuple[TermPart, ...] | None, float]]:
    vector = _sparse_query(outcome)
    if vector is None:
        return [(None, 0.0)] * len(places)
    origins = _origins(sparse, outcome, vector)
    weights = sparse.document_weights(vector, outcome.final.rows[places])
    weights[~outcome.final.sparse.known[places]] = 0
    values = weights * vector.weights.astype(np.float64)
    order = np.argsort(-values, axis=1, kind="stable")
    rest = np.take_along_axis(values, order[:, MOST_TERMS:], 1).sum(axis=1).tolist()
    shown = order[:, :MOST_TERMS].tolist()
    names = {j: sparse.term(int(vector.terms[j])) for j in set().union(*shown)}
    asked = vector.weights.tolist()
    parts = []
    for best, mine, value, other in zip(
        shown, weights.tolist(), values.tolist(), rest, strict=True
    ):
        terms = [
            TermPart(names[j], asked[j], mine[j], value[j], origins[j])
            for j in best
            if value[j] > 0
        ]
        parts.append((tuple(terms), other))
    return parts


def _sparse_query(outcome: HybridResult) -> SparseVector | None:
    if outcome.prf.sparse is not None:
        vector: SparseVector = outcome.prf.sparse.vector
        return vector
    return outcome.query.sparse


def _origins(sparse: SparseSide, outcome: HybridResult, vector: SparseVector) -> list[Origin]:
    first, text = outcome.query.sparse, outcome.query.text
    asked = set(vector.terms.tolist() if first is None else first.terms.tolist())
    written = sparse.surface_terms(text) if text.strip() else None
    own = asked if written is None else set(written.tolist())
    return [
        "query" if term in own else "model" if term in asked else "feedback"
        for term in vector.terms.tolist()
    ]
