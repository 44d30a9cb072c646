"""Suites: collections that papers report together, and the measures that they report on them.

Ids are those of ir_datasets. TripClick's test judgements are not public, so the suite is its
validation queries: head with judgements by the click model DCTR, torso and tail with raw ones
(Rekabsaz et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lsr.datasets.open import IRDS_PREFIX
from lsr.errors import InputError
from lsr.evaluation.evaluate import DEFAULT_METRICS

__all__ = ["SUITES", "Suite", "SuiteMember", "members"]

_BEIR = ("nDCG@10", "R@100")
_DEEP_LEARNING = ("nDCG@10", "MAP(rel=2)", "R(rel=2)@1000")


@dataclass(frozen=True)
class Suite:
    """Collections measured together.

    Attributes:
        dataset_ids: of ir_datasets.
        metrics: as ir_measures writes them.
    """

    dataset_ids: tuple[str, ...]
    metrics: tuple[str, ...]


SUITES: dict[str, Suite] = {
    "beir13": Suite(
        (
            "beir/trec-covid",
            "beir/nfcorpus/test",
            "beir/nq",
            "beir/hotpotqa/test",
            "beir/fiqa/test",
            "beir/arguana",
            "beir/webis-touche2020/v2",
            "beir/dbpedia-entity/test",
            "beir/scidocs",
            "beir/fever/test",
            "beir/climate-fever",
            "beir/scifact/test",
            "beir/quora/test",
        ),
        _BEIR,
    ),
    "nano-beir": Suite(
        tuple(
            f"nano-beir/{name}"
            for name in (
                "arguana",
                "climate-fever",
                "dbpedia-entity",
                "fever",
                "fiqa",
                "hotpotqa",
                "msmarco",
                "nfcorpus",
                "nq",
                "quora",
                "scidocs",
                "scifact",
                "webis-touche2020",
            )
        ),
        _BEIR,
    ),
    "dl19": Suite(("msmarco-passage/trec-dl-2019/judged",), _DEEP_LEARNING),
    "dl20": Suite(("msmarco-passage/trec-dl-2020/judged",), _DEEP_LEARNING),
    "msmarco-dev": Suite(("msmarco-passage/dev/small",), ("RR@10", "R@1000")),
    "tripclick": Suite(
        ("tripclick/val/head/dctr", "tripclick/val/torso", "tripclick/val/tail"),
        ("nDCG@10", "RR@10", "R@1000"),
    ),
}
"""Name to suite."""


@dataclass(frozen=True)
class SuiteMember:
    """A source to be measured, and the measures that it is measured by unless others are named."""

    source: str
    metrics: tuple[str, ...]


def members(names: Sequence[str]) -> list[SuiteMember]:
    """The sources that names stand for: those of suites, BEIR folders, `irds:ID`.

    Raises:
        InputError: a name is neither, or both a suite and a folder, or a source comes twice.
    """
    found: dict[str, SuiteMember] = {}
    for name in names:
        for member in _members(name):
            if member.source in found:
                raise InputError(f"{member.source} is to be measured twice; name it once")
            found[member.source] = member
    return list(found.values())


def _members(name: str) -> list[SuiteMember]:
    is_there = Path(name).exists()
    if name in SUITES and is_there:
        raise InputError(f"{name} is a suite and a folder here; write ./{name} for the folder")
    if name in SUITES:
        suite = SUITES[name]
        return [SuiteMember(f"{IRDS_PREFIX}{each}", suite.metrics) for each in suite.dataset_ids]
    if not name.startswith(IRDS_PREFIX) and not is_there:
        raise InputError(
            f"{name}: no such file or folder, and no suite; give a BEIR folder, irds:ID, or one "
            f"of {', '.join(SUITES)}"
        )
    return [SuiteMember(name, DEFAULT_METRICS)]
