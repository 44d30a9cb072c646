"""The benchmark of conditions: its parts measure what they say, on a small collection."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest

from bench.conditions import filters, first_query, neighbours, overhead, strategies, threads
from bench.conditions.setup import Setup, prepared
from bench.conditions.targets import Chapter, Target
from bench.engine.generator import make
from bench.engine.run import Progress

N_DOCUMENTS, N_QUERIES = 400, 30
KINDS = ["long", "short"]


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    made = make(N_DOCUMENTS, 2 * N_QUERIES, seed=2)
    return prepared(
        made.documents,
        {"long": made.queries_long, "short": made.queries_short},
        tmp_path_factory.mktemp("conditions"),
        passes=1,
        seconds=0.0,
        reuse=True,
        say=Progress(),
    )


def check_table(part: Chapter, rows: Sequence[object]) -> None:
    """A line for each row below the heads, and figures that JSON can hold."""
    lines = list(part.lines())
    assert len(lines) >= len(rows) + 1
    assert [line for line in lines if line.startswith(("long", "short"))] == lines[-len(rows) :]
    json.dumps(asdict(part))


@pytest.mark.parametrize(
    ("bound", "value", "verdict"),
    [
        (Target(1.05), 1.05, "met"),
        (Target(1.05), 1.06, "missed"),
        (Target(1.9, 1.7, least=True), 2.0, "met"),
        (Target(1.9, 1.7, least=True), 1.7, "floor"),
        (Target(1.9, 1.7, least=True), 1.6, "missed"),
        (Target(0.2, 0.5, strict=True), 0.1, "met"),
        (Target(0.2, 0.5, strict=True), 0.2, "floor"),
        (Target(0.2, 0.5, strict=True), 0.5, "missed"),
    ],
)
def test_a_bound_says_whether_it_is_met(bound: Target, value: float, verdict: str) -> None:
    assert bound.verdict(value) == verdict


def test_a_bound_names_its_target_and_floor() -> None:
    assert str(Target(1.05)) == "target ≤ 1.05"
    assert str(Target(1.9, 1.7, least=True)) == "target ≥ 1.9, floor ≥ 1.7"


def test_queries_to_calibrate_with_are_not_those_measured(setup: Setup) -> None:
    for kind in KINDS:
        measured, sample = setup.work.queries[kind], setup.samples[kind]
        assert measured.n_rows == sample.n_rows == N_QUERIES == len(setup.singles[kind])
        assert measured.terms.tobytes() != sample.terms.tobytes()


def test_modes(setup: Setup) -> None:
    part = strategies.measure(setup, settings=[(5, 0.9)], recalls=[0.9])
    assert [(row.kind, row.costs) for row in part.rows] == [
        (kind, costs) for kind in KINDS for costs in ("typical", "0.9")
    ]
    for row in part.rows:
        assert 0 <= row.approximately <= 1
        assert 0 < row.recall <= 1
        assert row.ratio == row.auto_us / min(row.approximate_us, row.exact_us)
    check_table(part, part.rows)


def test_threads(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    part = threads.measure(setup)
    assert [(row.kind, row.strategy) for row in part.rows] == [
        (kind, strategy) for kind in KINDS for strategy in ("approximate", "exact")
    ]
    assert all(row.ratio == row.two / row.one > 0 for row in part.rows)
    check_table(part, part.rows)


def test_one_core_is_too_few_for_threads(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    part = threads.measure(setup)
    assert part.rows == []
    assert "one core only" in "\n".join(part.lines())


def test_overhead(setup: Setup) -> None:
    part = overhead.measure(setup)
    assert [row.kind for row in part.rows] == ["long"] * 3 + ["short"] * 3
    assert all(row.overhead_us == row.single_us - row.batch_us for row in part.rows)
    check_table(part, part.rows)


def test_first_query_of_a_process(setup: Setup) -> None:
    one = replace(setup, singles={"long": setup.singles["long"]})
    part = first_query.measure(one, strategies=["approximate"], runs=1)
    assert [(row.kind, row.strategy) for row in part.rows] == [("long", "approximate")]
    for row in part.rows:
        assert row.compiled >= 0
        assert row.first_seconds == row.open_seconds + row.search_seconds > 0
    check_table(part, part.rows)


def test_a_process_that_fails_is_told(setup: Setup) -> None:
    unknown: list[Any] = ["no such strategy"]
    with pytest.raises(RuntimeError, match="strategy is 'no such strategy'"):
        first_query.measure(setup, strategies=unknown, runs=1)


def test_filters_and_exact_search_finds_everything(setup: Setup) -> None:
    part = filters.measure(setup, recalls=[0.9])
    passing = [400, 200, 40, 4, 320]
    assert [row.n_passing for row in part.rows] == 4 * passing
    for row in part.rows:
        assert 0 <= row.recall <= 1
        assert row.lost == 0 or row.condition != "none"
        if row.calibrated == filters.EXACT:
            assert row.recall == 1
    check_table(part, part.rows)


def test_neighbours(setup: Setup) -> None:
    knobs = {kind: [{"query_cut": cut, "heap_factor": 0.7} for cut in (4, 43)] for kind in KINDS}
    part = neighbours.measure(setup, knobs, n_knn=[5])
    assert [(row.kind, row.target) for row in part.rows] == [
        (kind, target) for kind in KINDS for target in (0.95, 0.97, 0.99)
    ]
    assert part.graph.graph_bytes >= part.graph.plain_bytes + part.graph.neighbour_bytes > 0
    for row in part.rows:
        assert not row.plain or row.plain["n_knn"] == 0
        assert not row.knn or row.knn["n_knn"] == 5
    check_table(part, part.rows)
