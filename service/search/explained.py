"""Why one document has its score in a search, also when it is not among the hits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lsr.errors import NotFoundError, QueryError
from lsr.index.collection.reader import CollectionReader
from lsr.retrieval.asked import checked_query
from lsr.retrieval.explanation import Explanation, explain
from lsr.retrieval.hybrid import HybridQuery, HybridResult, Notice
from lsr.retrieval.plan import SearchPlan
from lsr.sparse import SparseVector
from lsr.stopwatch import Deadline

__all__ = ["Explained", "explained"]


@dataclass(frozen=True)
class Explained:
    """Report on one document.

    Attributes:
        rank, score: among the hits of the search, from 1; None where it is not among them.
        explanation: of its score; for a document that is not found, of what the sparse side alone
            would give it; None when that is nothing.
        dense_score: raw score of the dense side for a document that is not found.
    """

    collection: str
    generation: int
    doc_id: str
    rank: int | None
    score: float | None
    passes_filter: bool
    explanation: Explanation | None
    dense_score: float | None
    plan: SearchPlan
    warnings: tuple[Notice, ...]


def explained(
    name: str,
    collection: CollectionReader,
    doc_id: str,
    query: tuple[str, SparseVector | None, NDArray[np.float32] | None],
    plan: SearchPlan,
    allowed: NDArray[np.bool_] | None,
    deadline: Deadline | None,
) -> Explained:
    """Explain a document's score in full.

    Args:
        name: of the collection, for messages.
        query: text, sparse and dense vector.
        allowed: bool, shape (n_rows,), of the search's filter; None where there is none.

    Raises:
        NotFoundError: there is no such document.
        QueryError: see `CollectionReader.search`.
    """
    row = collection.store.row(doc_id)
    if row is None:
        raise NotFoundError(f"there is no document {doc_id!r} in collection {name}")
    asked = checked_query(*query, collection.dense if "dense" in collection.modes else None)
    full = replace(plan, explain="full")
    outcome = collection.hybrid.search(asked, full, allowed, deadline=deadline)
    passes = allowed is None or bool(allowed[row])
    place = _place(outcome, row)
    dense_score = None
    if place is not None:
        told = explain(collection.hybrid, outcome, place, place + 1, collection.segment.doc_ids)
        explanation: Explanation | None = told[0]
        score: float | None = float(outcome.scores[place])
    else:
        explanation, score = _sparse_alone(collection, outcome.query, row), None
        dense_score = _dense_score(collection, outcome.query, row)
    return Explained(
        name,
        collection.manifest.generation,
        doc_id,
        None if place is None else place + 1,
        score,
        passes,
        explanation,
        dense_score,
        outcome.plan,
        outcome.notices,
    )


def _place(outcome: HybridResult, row: int) -> int | None:
    """Place of a row among the hits, from 0."""
    rows = outcome.rows
    if outcome.plan.mode == "hybrid":
        rows = rows[: outcome.plan.window]
    places = np.flatnonzero(rows == row)
    return int(places[0]) if len(places) else None


def _sparse_alone(collection: CollectionReader, query: HybridQuery, row: int) -> Explanation | None:
    if query.sparse is None:
        return None
    alone = np.zeros(collection.segment.n_rows, bool)
    alone[row] = True
    plan = SearchPlan(mode="sparse", window=1, explain="full")
    try:
        outcome = collection.hybrid.search(HybridQuery(query.text, query.sparse), plan, alone)
    except QueryError:
        return None
    if len(outcome.rows) == 0:
        return None
    return explain(collection.hybrid, outcome, 0, 1, collection.segment.doc_ids)[0]


def _dense_score(collection: CollectionReader, query: HybridQuery, row: int) -> float | None:
    if query.dense is None:
        return None
    rows = np.array([row], np.int32)
    if not collection.dense.has_vector(rows)[0]:
        return None
    return float(collection.dense.score(query.dense, rows)[0])
