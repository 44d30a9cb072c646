"""`Refiner`: what is asked of the matches of a search beyond the best of them.

The true matches of a sparse search are the rows with a score above 0; those of a dense search the
rows with a vector; those of a hybrid search the union of both. In each case they are not deleted
and pass the filter. All of them are scored where a sparse or dense search is sorted or collapsed; a
fused score is known of the candidates of the windows alone, and is 0 for other matches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.index.metadata.collection_metadata import CollectionMetadata
from lsr.index.metadata.facets import facet_counts
from lsr.index.metadata.field_order import sorted_rows
from lsr.index.metadata.groups import Groups
from lsr.index.search.all_scores import all_scores
from lsr.index.storage.segment import Segment
from lsr.retrieval.answer import FacetCounts
from lsr.retrieval.hybrid import HybridResult
from lsr.retrieval.refinement import Refinement
from lsr.retrieval.retriever import DenseSide

__all__ = ["Refined", "Refiner"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Refined:
    """A search with what was asked of its matches.

    Attributes:
        rows: ranked; all that can be paged through, or as far as was asked.
        scores: of `rows`.
        total: rows, or groups, that can be paged through.
        n_matches: None where nothing that was asked needs it.
        groups: of `rows`, where they are collapsed.
    """

    rows: NDArray[np.int32]
    scores: NDArray[Any]
    total: int
    n_matches: int | None
    facets: tuple[FacetCounts, ...]
    groups: Groups | None


class Refiner:
    """The rows of a collection, as refinements need them.

    Args:
        metadata, segments: of all rows.
        alive: which rows are not deleted, shape (n_rows,); None when all are alive.
        tie_order: int32, shape (n_rows,).
        dense: the dense side, if there is one.
    """

    def __init__(
        self,
        metadata: CollectionMetadata,
        segments: Sequence[Segment],
        alive: Mask | None,
        tie_order: NDArray[np.int32],
        dense: DenseSide | None,
    ) -> None:
        self._metadata = metadata
        self._segments = segments
        self._alive = alive
        self._tie_order = tie_order
        self._dense = dense

    def refine(
        self, outcome: HybridResult, allowed: Mask | None, asked: Refinement, last: int
    ) -> Refined:
        """Do what is asked, and nothing else.

        Args:
            outcome: the search carried out.
            allowed: the filter that it was carried out under.
            last: hits that are looked at, those left out at the front included.

        Raises:
            QueryError: no document has a field that is asked for.
        """
        for field in asked.fields:
            self._metadata.check(field)
        is_hybrid = outcome.plan.mode == "hybrid"
        beyond = bool(asked.sort) or (asked.collapse is not None and not is_hybrid)
        matches: Mask | None = None
        scores: NDArray[Any] | None = None
        if beyond or asked.facets or asked.count:
            needs_scores = beyond or asked.min_score is not None
            matches, scores = self._matches(outcome, allowed, needs_scores)
            if asked.min_score is not None and scores is not None:
                matches &= scores >= asked.min_score
        if beyond and matches is not None and scores is not None:
            rows, ranked, total = self._ranked(matches, scores, asked, last)
        else:
            rows, ranked = outcome.rows, outcome.scores
            if is_hybrid:
                rows, ranked = rows[: outcome.plan.window], ranked[: outcome.plan.window]
            if asked.min_score is not None:
                n = int(np.count_nonzero(ranked >= asked.min_score))
                rows, ranked = rows[:n], ranked[:n]
            total = len(rows)
        groups = None
        if asked.collapse is not None:
            groups = Groups(self._metadata, asked.collapse.field, rows)
            total = len(groups)
        return Refined(
            rows,
            ranked,
            total,
            None if matches is None else int(np.count_nonzero(matches)),
            tuple(facet_counts(self._metadata, facet, matches) for facet in asked.facets)
            if matches is not None
            else (),
            groups,
        )

    def _ranked(
        self, matches: Mask, scores: NDArray[Any], asked: Refinement, last: int
    ) -> tuple[NDArray[np.int32], NDArray[Any], int]:
        """Matching rows in the order asked for, their scores, and how many there are."""
        rows = np.flatnonzero(matches).astype(np.int32)
        own = scores[rows]
        most = max(1, len(rows) if asked.collapse is not None else last)
        if asked.sort:
            order = sorted_rows(
                self._metadata, asked.sort, rows, own, self._tie_order, min(most, max(1, len(rows)))
            )
        else:
            order = np.lexsort((self._tie_order[rows], -own))[:most]
        return rows[order], own[order], len(rows)

    def _matches(
        self, outcome: HybridResult, allowed: Mask | None, needs_scores: bool
    ) -> tuple[Mask, NDArray[Any] | None]:
        """The true matches, and, if needed, a score for each row."""
        weights = outcome.plan.weights
        share = weights.final if outcome.prf.applied else weights.unfed
        sparse = outcome.query.sparse if share > 0 else None
        dense = outcome.query.dense if share < 1 else None
        if sparse is not None and outcome.prf.sparse is not None:
            sparse = outcome.prf.sparse.vector
        if dense is not None and outcome.prf.dense is not None:
            dense = outcome.prf.dense.vector
        n_rows = self._metadata.n_rows
        matches = np.zeros(n_rows, bool)
        scores: NDArray[Any] | None = None
        if sparse is not None:
            scores = all_scores(self._segments, sparse)
            matches |= scores > 0
        if dense is not None and self._dense is not None and dense.any():
            matches |= self._dense.has_vector(np.arange(n_rows, dtype=np.int32))
        for mask in (allowed, self._alive):
            if mask is not None:
                matches &= mask
        if not needs_scores or (outcome.plan.mode == "sparse" and scores is not None):
            return matches, scores
        scores = np.zeros(n_rows, np.float64)
        if outcome.plan.mode == "dense" and dense is not None and self._dense is not None:
            rows = np.flatnonzero(matches).astype(np.int32)
            scores[rows] = self._dense.score(dense, rows)
        else:
            scores[outcome.final.rows] = outcome.final.fused.score
        return matches, scores
