"""Suites against the registry of the installed ir_datasets, and names that are refused."""

from __future__ import annotations

from pathlib import Path

import ir_datasets
import pytest

from lsr.errors import InputError
from lsr.evaluation.evaluate import DEFAULT_METRICS, parse_metrics
from lsr.evaluation.suites import SUITES, members


@pytest.mark.parametrize("name", SUITES)
def test_every_id_is_registered_and_judged(name: str) -> None:
    suite = SUITES[name]
    assert len(set(suite.dataset_ids)) == len(suite.dataset_ids)
    for dataset_id in suite.dataset_ids:
        dataset = ir_datasets.load(dataset_id)  # reads the registry; nothing is fetched
        has = (dataset.has_docs(), dataset.has_queries(), dataset.has_qrels())
        assert has == (True, True, True), dataset_id
    assert list(parse_metrics(suite.metrics)) == list(suite.metrics)


def test_the_suites_are_those_of_the_papers() -> None:
    assert len(SUITES["beir13"].dataset_ids) == 13
    nano = {each.partition("/")[2] for each in SUITES["nano-beir"].dataset_ids}
    assert nano == {
        each.partition("/")[2]
        for each in ir_datasets.registry._registered
        if each.startswith("nano-beir/")
    }
    assert SUITES["dl19"].metrics == ("nDCG@10", "MAP(rel=2)", "R(rel=2)@1000")
    assert SUITES["msmarco-dev"].metrics[0] == "RR@10"


def test_a_suite_stands_for_its_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    found = members(["mine", "dl19", "dl20"])
    assert [member.source for member in found] == [
        "mine",
        "irds:msmarco-passage/trec-dl-2019/judged",
        "irds:msmarco-passage/trec-dl-2020/judged",
    ]
    assert [member.metrics for member in found] == [DEFAULT_METRICS, *[SUITES["dl19"].metrics] * 2]


def test_names_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="beir14: no such file or folder, and no suite; .* beir13"):
        members(["beir14"])
    with pytest.raises(InputError, match="irds:beir/nq is to be measured twice"):
        members(["beir13", "irds:beir/nq"])
    (tmp_path / "dl19").mkdir()
    with pytest.raises(InputError, match=r"dl19 is a suite and a folder here; write \./dl19"):
        members(["dl19"])
    assert [member.source for member in members(["./dl19"])] == ["./dl19"]
