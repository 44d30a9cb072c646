"""The recalls that an engine benchmark compares at: in its table, its JSON and its plot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.engine.build import Build
from bench.engine.methods import METHODS
from bench.engine.report import plot, rows, show, write_json
from bench.engine.run import TARGETS, Outcome
from bench.engine.timing import Setting


def outcome(targets: tuple[float, ...]) -> Outcome:
    kind = METHODS["lsr"]
    method = kind(kind.configs(20_000)[0], 10)
    settings = []
    for recall, us in ((0.901, 10.0), (0.913, 20.0), (0.96, 30.0), (0.99, 40.0)):
        setting = Setting(method, "long", {"query_cut": 4}, [], lambda query: query)
        setting.recall = recall
        setting.passes = [np.full(5, us), np.full(5, us + 1)]
        settings.append(setting)
    about = {
        "documents": 20_000,
        "terms_per_document": 119.0,
        "queries": {"long": {"n": 5, "terms": 43.0, "postings": 9.0}},
        "k": 10,
        "passes": 2,
        "cpu": "a processor",
        "load_average_before": (0.0,),
        "load_average_after": (0.0,),
        "accuracy": list(targets),
    }
    builds = {method.build_label: Build(1.0, 1.0, 1_000_000, {}, 2_000_000, 1_000_000)}
    return Outcome(about, targets, settings, builds)


def test_each_target_has_its_fastest_setting() -> None:
    found = [(row.target, row.undisturbed_us) for row in rows(outcome((0.9, 0.91, 0.92, 0.97)))]
    assert found == [(0.9, 10.0), (0.91, 20.0), (0.92, 30.0), (0.97, 40.0)]


def test_a_grid_is_shown_as_one_line_a_method(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = (0.9, 0.91, 0.92, 0.999)
    show(outcome(targets))
    told = capsys.readouterr().out.splitlines()
    (place,) = (i for i, line in enumerate(told) if "undisturbed µs by recall" in line)
    assert told[place + 1].split() == ["method", "90", "91", "92", "99.9"]
    assert told[place + 2].split() == ["lsr", "10.0", "20.0", "30.0", "–"]
    write_json(outcome(targets), tmp_path / "report.json")
    content = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert content["about"]["accuracy"] == list(targets)
    assert [row["target"] for row in content["rows"]] == [0.9, 0.91, 0.92]
    assert all(path.stat().st_size for path in plot(outcome(targets), tmp_path))


def test_the_usual_targets_have_no_grid(capsys: pytest.CaptureFixture[str]) -> None:
    show(outcome(TARGETS))
    assert "by recall in percent" not in capsys.readouterr().out
