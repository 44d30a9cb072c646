"""The report on a learned model: its intervals, its tables, what it tells `lsr models`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.relevance.encoder_report import Measured, _of, interval, report, summary


def _measured(values: list[float], **more: Any) -> Measured:
    by_query = {str(n): value for n, value in enumerate(values)}
    mean = float(np.mean(values))
    return Measured({"nDCG@10": mean, "R@100": mean / 2}, by_query, 1.0, **more)


def _systems() -> dict[str, Measured]:
    return {
        "bm25": _measured([0.2, 0.4, 0.6]),
        "dense": _measured([0.5, 0.5, 0.5]),
        "hybrid": _measured([0.6, 0.6, 0.6]),
        "learned": _measured([0.4, 0.6, 0.8], terms=201.26, flops=1.256),
        "learned:hybrid": _measured([0.7, 0.7, 0.7]),
    }


def test_an_interval_is_of_paired_differences() -> None:
    systems = _systems()
    assert interval(systems["learned"], systems["bm25"]) == "+0.2000 (+0.200 to +0.200)"
    assert interval(systems["learned"], systems["dense"]).startswith("+0.1000 (-0.100 to +0.300")


def test_the_tables() -> None:
    measured = {"scifact": _systems(), "time": _systems()}
    del measured["time"]["dense"].metrics["R@100"]
    text = report(measured)
    assert "| nDCG@10 | scifact | time | mean |" in text
    assert "| learned | 0.6000 | 0.6000 | 0.6000 |" in text
    assert "| dense | 0.2500" not in text, "no mean without all collections"
    assert "| time * | +0.2000 (+0.200 to +0.200)" in text
    assert "| +0.1000 (+0.100 to +0.100) | 201 | 1.26 | 1.00 |" in text


def test_what_lsr_models_shows() -> None:
    found = summary({"scifact": _systems()})
    assert found == {"terms": 201.3, "flops": 1.26, "ndcg@10": {"scifact": 0.6}}


@pytest.mark.parametrize(
    "notes", [[], ["learned: m (x 1), 201.3 terms a document, retrieval FLOPS 1.26"]]
)
def test_costs_are_read_from_the_notes(notes: list[str]) -> None:
    system = {"name": "learned", "metrics": {}, "by_query": {"nDCG@10": {}}, "median_ms": 1.0}
    found = _of({"notes": notes, "systems": [system]}, {"learned": "plain"})["plain"]
    assert (found.terms, found.flops) == ((201.3, 1.26) if notes else (None, None))
