"""Means over collections, and one table of everything in three formats."""

from __future__ import annotations

import csv
import io

import pytest

from lsr.evaluation.comparison import Comparison
from lsr.evaluation.evaluate import SystemResult
from lsr.evaluation.report import CollectionReport, as_json, mean_report
from lsr.evaluation.reports.single_table import single_table
from lsr.evaluation.reports.tables import mean_table, table


def result(
    name: str, metrics: dict[str, float], p_holm: float | None = None, terms: float | None = None
) -> SystemResult:
    against = {}
    if p_holm is not None:
        against = {metric: Comparison(p_holm / 2, 3, 2, 1, p_holm) for metric in metrics}
    flops = None if terms is None else terms / 100
    return SystemResult(
        name,
        metrics,
        {},
        None if name == "given" else 1.5,
        None if name == "given" else 2.5,
        None if name == "given" else 4_000_000,
        {},
        against_baseline=against,
        terms=terms,
        flops=flops,
    )


def report(name: str, split: str, results: list[SystemResult]) -> CollectionReport:
    return CollectionReport(name, split, 10, 6, 1000, results, baseline="bm25")


REPORTS = [
    report(
        "a_1",
        "test",
        [
            result("bm25", {"nDCG@10": 0.5, "R(rel=2)@1000": 0.25}, terms=40),
            result("x", {"nDCG@10": 0.75, "R(rel=2)@1000": 0.5}, 0.04, terms=100),
            result("given", {"nDCG@10": 0.5, "R(rel=2)@1000": 0.5}, 0.06),
        ],
    ),
    report(
        "b",
        "",
        [
            result("bm25", {"nDCG@10": 0.25, "RR@10": 1.0}, terms=20),
            result("x", {"nDCG@10": 0.2, "RR@10": 1.0}, 1.0, terms=50),
        ],
    ),
]


def test_the_mean_is_of_what_every_collection_has() -> None:
    mean = mean_report(REPORTS)
    assert mean.n_collections == 2
    assert mean.metrics == ["nDCG@10"]
    assert mean.left_out == ["given"]
    bm25, x = mean.systems
    assert bm25.metrics == {"nDCG@10": pytest.approx(0.375)}
    assert (bm25.terms, bm25.wins) == (30, {})
    assert bm25.flops == pytest.approx(0.3)
    assert x.metrics == {"nDCG@10": pytest.approx(0.475)}
    assert (x.wins, x.ties, x.losses) == ({"nDCG@10": 1}, {"nDCG@10": 0}, {"nDCG@10": 1})
    assert mean_table(mean) == (
        ["system", "nDCG@10", "terms", "FLOPS", "wins/ties/losses"],
        [["bm25", "0.3750", "30.0", "0.30", ""], ["x", "0.4750", "75.0", "0.75", "1/0/1"]],
    )
    assert as_json(REPORTS)["mean"]["left_out"] == ["given"]
    assert "mean" not in as_json(REPORTS[:1])


def test_a_star_is_for_the_corrected_p() -> None:
    _, lines = table(REPORTS[0])
    assert [line[1] for line in lines] == ["0.5000", "0.7500*", "0.5000"]
    assert lines[2][3:] == ["", "", "", "", ""]


def test_markdown() -> None:
    header, rule, *lines = single_table(REPORTS, "markdown").splitlines()
    assert header == (
        "| collection | system | nDCG@10 | R(rel=2)@1000 | RR@10 | terms | FLOPS "
        "| wins/ties/losses | p (Holm) |"
    )
    assert rule == "|" + " --- |" * 9
    assert lines[1] == "| a_1 (test) | x | 0.7500* | 0.5000* |  | 100.0 | 1.00 | 3/2/1 | 0.04 |"
    assert lines[4] == "| b | x | 0.2000 |  | 1.0000 | 50.0 | 0.50 | 3/2/1 | 1 |"
    assert lines[6] == "| mean of 2 | x | 0.4750 |  |  | 75.0 | 0.75 | 1/0/1 |  |"


def test_latex() -> None:
    lines = single_table(REPORTS, "latex").splitlines()
    assert lines[0] == r"\begin{tabular}{llrrrrrrr}"
    assert lines[2].startswith(r"collection & system & nDCG@10 & R(rel=2)@1000 & RR@10 & terms")
    assert (
        lines[5]
        == r"a\_1 (test) & x & 0.7500$^{*}$ & 0.5000$^{*}$ &  & 100.0 & 1.00 & 3/2/1 & 0.04 \\"
    )
    assert lines.count(r"\midrule") == 3
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]


def test_csv_is_in_full() -> None:
    rows = list(csv.DictReader(io.StringIO(single_table(REPORTS, "csv"))))
    assert len(rows) == 7
    assert rows[1]["nDCG@10 p"] == "0.02"
    assert rows[1]["nDCG@10 p_holm"] == "0.04"
    assert (rows[2]["median_ms"], rows[0]["median_ms"]) == ("", "1.5")
    assert (rows[0]["RR@10"], rows[3]["RR@10"]) == ("", "1.0")
    assert rows[6]["collection"] == "mean"
    assert float(rows[6]["nDCG@10"]) == pytest.approx(0.475)
    assert rows[6]["nDCG@10 wins"] == "1"
