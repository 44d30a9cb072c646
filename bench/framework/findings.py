"""The paper's three findings, as signs that are computed from pairs of measured methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.framework.methods import (
    COMPONENTS,
    DOCUMENT_EXPANSION,
    DOCUMENT_WEIGHTING,
    PAIRS,
    QUERY_EXPANSION,
    QUERY_WEIGHTING,
    Pair,
)

__all__ = ["Effect", "Finding", "effects", "findings"]

_WITHOUT_DOCUMENTS, _WITH_DOCUMENTS = "4b*", "4a"
"""Rows of query expansion, over documents without and with expansion of their own."""


@dataclass(frozen=True)
class Effect:
    """A pair, and by how much nDCG@10 is higher after than before; None where one is missing."""

    pair: Pair
    difference: float | None


@dataclass(frozen=True)
class Finding:
    """A statement of the paper.

    Attributes:
        differences: what it is computed from, by name.
        holds: whether its sign is as stated; None where something was not measured.
    """

    statement: str
    differences: dict[str, float | None]
    holds: bool | None


def effects(ndcg: Mapping[str, float]) -> list[Effect]:
    """The effect of each pair.

    Args:
        ndcg: mean nDCG@10 by method; what failed or was not asked for is missing.
    """
    return [
        Effect(
            pair,
            ndcg[pair.after] - ndcg[pair.before]
            if pair.before in ndcg and pair.after in ndcg
            else None,
        )
        for pair in PAIRS
    ]


def findings(found: Sequence[Effect]) -> list[Finding]:
    """The three findings.

    Document weighting matters most: its mean effect is above 0 and above that of the other
    components of encoders. Query weighting matters little: its mean effect is nearer to 0 than that
    of document weighting. Expansions cancel: query expansion brings less where documents are
    expanded than where they are not.
    """
    means = {component: _mean(found, component) for component in COMPONENTS}
    weighting, little = means[DOCUMENT_WEIGHTING], means[QUERY_WEIGHTING]
    encoders = {
        name: means[name]
        for name in (DOCUMENT_WEIGHTING, QUERY_WEIGHTING, DOCUMENT_EXPANSION, QUERY_EXPANSION)
    }
    others = [value for name, value in encoders.items() if name != DOCUMENT_WEIGHTING]
    known = [value for value in others if value is not None]
    most = None
    if weighting is not None and len(known) == len(others):
        most = weighting > max(0.0, *known)
    small = None
    if weighting is not None and little is not None:
        small = abs(little) < abs(weighting)
    by_row = {each.pair.row: each.difference for each in found}
    without, beside = by_row[_WITHOUT_DOCUMENTS], by_row[_WITH_DOCUMENTS]
    cancel = None if without is None or beside is None else beside < without
    return [
        Finding("document weighting matters most", encoders, most),
        Finding(
            "query weighting matters little",
            {QUERY_WEIGHTING: little, DOCUMENT_WEIGHTING: weighting},
            small,
        ),
        Finding(
            "query expansion and document expansion cancel",
            {
                "query expansion, documents not expanded": without,
                "query expansion, documents expanded": beside,
            },
            cancel,
        ),
    ]


def _mean(found: Sequence[Effect], component: str) -> float | None:
    """Mean effect of a component; None unless all its pairs were measured."""
    values = [each.difference for each in found if each.pair.component == component]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
