"""The plan that suits a collection: tuned on judged queries, with its evidence."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import numpy as np

from lsr.errors import InputError
from lsr.evaluation.evaluate import judged_queries
from lsr.evaluation.tuning import Tuner, TuningResult, spread
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.tuned_plan import TunedPlan
from lsr.progress import Progress, no_progress
from lsr.retrieval.plan import SearchPlan
from lsr.types import Qrels, Query

__all__ = ["tune_collection"]


def tune_collection(
    reader: CollectionReader,
    queries: Iterable[Query],
    qrels: Qrels,
    *,
    metric: str = "nDCG@10",
    folds: int = 5,
    max_queries: int = 500,
    sparse_feedback: bool = False,
    base: SearchPlan | None = None,
    progress: Progress = no_progress,
) -> tuple[TuningResult, TunedPlan]:
    """Choose fusion weight and feedback by cross-validation. Nothing is stored.

    Args:
        queries: those with judgements are used.
        qrels: judgements by query_id and doc_id.
        metric: what to improve, as ir_measures writes it.
        folds: parts that are held out in turn, at least 2.
        max_queries: judged queries used, spread evenly; 0 for all.
        sparse_feedback: whether feedback to the sparse query is tuned too.
        base: what is not tuned; default: the default plan.

    Returns:
        What was found, and the plan to `save` in the collection's folder.

    Raises:
        InputError: no or too few judged queries, no dense side, or a measure that ranx lacks.
        UnavailableError: ranx or ir_measures is not installed.
    """
    judged = judged_queries(list(queries), qrels)
    if not judged:
        raise InputError("no query has judgements; check that the ids of queries and qrels match")
    tuner = Tuner(
        reader.hybrid,
        reader.segment.doc_ids,
        spread(judged, max_queries),
        qrels,
        metric=metric,
        base=base,
        sparse_feedback=sparse_feedback,
        progress=progress,
    )
    found = tuner.tune(folds=folds)
    manifest = reader.manifest
    tuned_plan = TunedPlan(
        plan=found.plan_to_keep,
        sparse=manifest.sparse,
        dense=manifest.dense,
        generation=manifest.generation,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        evidence=_evidence(tuner, found, folds),
    )
    return found, tuned_plan


def _evidence(tuner: Tuner, found: TuningResult, folds: int) -> dict[str, Any]:
    """Figures by candidate, as plain values: measure, test and cost."""
    candidates = {}
    for name, candidate in found.candidates.items():
        cost = tuner.cost_ms(candidate.plan)
        against = candidate.against
        candidates[name] = {
            "dev": candidate.dev,
            "held_out": candidate.held_out,
            "p_value": against.p_value if against else None,
            "wins_ties_losses": [against.wins, against.ties, against.losses] if against else None,
            "median_ms": float(np.median(cost)),
            "p95_ms": float(np.percentile(cost, 95)),
            "plan": candidate.plan.as_dict(),
        }
    return {
        "metric": tuner.metric,
        "n_queries": tuner.n_queries,
        "folds": folds,
        "chosen": found.chosen,
        "candidates": candidates,
    }
