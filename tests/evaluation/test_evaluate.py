"""Measures against hand arithmetic, comparisons, and the corner cases of judged collections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from lsr.errors import InputError
from lsr.evaluation.evaluate import SystemRun, evaluate, judged_queries, parse_metrics
from lsr.evaluation.report import CollectionReport, as_json
from lsr.evaluation.reports.markdown import as_markdown
from lsr.progress import Progress
from lsr.types import Query, Run, ScoredDoc

QUERIES = [Query("q1", "one"), Query("q2", "two"), Query("q3", "three")]
QRELS = {"q1": {"a": 2, "b": 1, "x": 0}, "q2": {"c": 1}, "q3": {"d": 1}}


@dataclass(frozen=True)
class Fixed:
    """A system that knows its answers."""

    name: str
    answers: dict[str, list[str]]
    size_bytes: int = 1_000_000

    def answer(self, queries: Sequence[Query], k: int, progress: Progress) -> SystemRun:
        run: Run = {
            query.query_id: [
                ScoredDoc(query.query_id, doc_id, 1.0)
                for doc_id in self.answers.get(query.query_id, [])[:k]
            ]
            for query in queries
        }
        return SystemRun(run, [1.0, 2.0, 30.0])


GOOD = Fixed("good", {"q1": ["a", "b"], "q2": ["z", "c"], "q3": []})
BAD = Fixed("bad", {"q1": ["b", "a"], "q2": ["z", "y"], "q3": ["d"]})


def test_measures_by_hand() -> None:
    (result,) = evaluate([GOOD], QUERIES, QRELS, ["nDCG@10", "R@100", "MAP", "MRR@10"])
    second = 1 / math.log2(3)
    assert result.by_query["nDCG@10"] == pytest.approx({"q1": 1.0, "q2": second, "q3": 0.0})
    assert result.metrics["nDCG@10"] == pytest.approx((1 + second) / 3)
    assert result.metrics["R@100"] == pytest.approx(2 / 3)
    assert result.metrics["MAP"] == pytest.approx((1 + 0.5) / 3)
    assert result.metrics["MRR@10"] == pytest.approx((1 + 0.5) / 3)
    assert result.median_ms == 2.0
    assert result.p95_ms == pytest.approx(27.2)


def test_rankings_are_measured_as_they_stand() -> None:
    """All scores are equal above; an order by doc_id would make these two the same."""
    good, bad = evaluate([GOOD, BAD], QUERIES[:1], {"q1": QRELS["q1"]}, ["nDCG@10"])
    swapped = (1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3))
    assert good.metrics["nDCG@10"] == pytest.approx(1.0)
    assert bad.metrics["nDCG@10"] == pytest.approx(swapped)


def test_comparison_with_the_first_system() -> None:
    good, bad = evaluate([GOOD, BAD], QUERIES, QRELS, ["R@100"])
    assert good.against_baseline == {}
    comparison = bad.against_baseline["R@100"]
    assert (comparison.wins, comparison.ties, comparison.losses) == (1, 1, 1)
    assert comparison.p_value == pytest.approx(1.0)
    _, same = evaluate([GOOD, Fixed("same", GOOD.answers)], QUERIES, QRELS, ["R@100"])
    assert same.against_baseline["R@100"].p_value == 1.0


def test_the_query_itself_is_not_a_hit() -> None:
    system = Fixed("self", {"q1": ["q1", "a"]})
    asked = (QUERIES[:1], {"q1": {"a": 1}}, ["MRR@10"])
    (result,) = evaluate([system], *asked, depth=1, itself={"q1"})
    assert result.metrics["MRR@10"] == 1.0
    assert [hit.doc_id for hit in result.run["q1"]] == ["a"]
    (other,) = evaluate([system], *asked, depth=2)
    assert other.metrics["MRR@10"] == 0.5  # a document that only has the same id


def test_judged_queries_need_judgements_and_text() -> None:
    queries = [*QUERIES, Query("q4", "not judged"), Query("q5", "  ")]
    assert judged_queries(queries, {**QRELS, "q5": {"a": 1}, "q6": {"a": 1}}) == QUERIES


def test_refusals() -> None:
    with pytest.raises(InputError, match="no query has judgements"):
        evaluate([GOOD], [], QRELS)
    with pytest.raises(InputError, match="not a measure: nonsense, nDCG@"):
        parse_metrics(["nDCG@10", "nonsense", "nDCG@"])
    with pytest.raises(InputError, match="MAP and AP are the same measure; leave one out"):
        parse_metrics(["MAP", "nDCG@10", "AP"])


def test_a_judged_query_that_is_not_asked_counts_as_0() -> None:
    qrels = {**QRELS, "q4": {"a": 1}, "q5": {}}
    (result,) = evaluate([GOOD], QUERIES, qrels, ["MAP"])
    assert result.by_query["MAP"]["q4"] == 0
    assert "q5" not in result.by_query["MAP"]
    assert result.metrics["MAP"] == pytest.approx((1 + 0.5) / 4)
    assert result.notes == ("good: 1 judged query (q3) without hits, counted as 0",)


def test_reports_hold_every_figure() -> None:
    results = evaluate([GOOD, BAD], QUERIES, QRELS, ["R@100"])
    report = CollectionReport(
        "tiny",
        "test",
        5,
        3,
        1000,
        results,
        {"gone": "install it"},
        ["one judged document is odd"],
        baseline="good",
    )
    text = as_markdown([report])
    assert "## tiny (test)" in text
    assert "| good | 0.6667 | 2.00 | 27.20 | 1.0 |" in text
    assert "1/1/1" in text
    assert "- gone: not available. install it" in text
    assert "- Warning: one judged document is odd" in text
    (collection,) = as_json([report])["collections"]
    assert collection["systems"][1]["against_baseline"]["R@100"]["losses"] == 1
    assert collection["systems"][0]["by_query"]["R@100"]["q3"] == 0.0
