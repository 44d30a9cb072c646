"""Build configs and search parameters: stored and read again, and what they refuse."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given

from lsr.errors import InputError, QueryError
from lsr.index.blocks.config import (
    BuildConfig,
    ClusteredBlocks,
    EnergySummary,
    FixedBlocks,
    FixedSummary,
    GlobalPruning,
    ListPruning,
    SearchParams,
)
from tests.support.block_indexes import brief, configs


@brief
@given(configs())
def test_configs_survive_json(config: BuildConfig) -> None:
    text = json.dumps(config.to_dict())
    assert BuildConfig.from_dict(json.loads(text)) == config


def test_strategies_are_named() -> None:
    content = BuildConfig(ListPruning(7), FixedBlocks(3), FixedSummary(9), "f32", 5, 1).to_dict()
    assert content == {
        "pruning": {"kind": "ListPruning", "n_postings": 7},
        "blocking": {"kind": "FixedBlocks", "size": 3},
        "summary": {"kind": "FixedSummary", "n_terms": 9},
        "values": "f32",
        "n_neighbours": 5,
        "seed": 1,
    }
    assert BuildConfig.from_dict({}) == BuildConfig()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"pruning": {"kind": "Halving"}}, "there is no strategy 'Halving'; choose NoPruning"),
        ({"pruning": {}}, "there is no strategy None"),
        ({"pruning": {"kind": []}}, "there is no strategy []"),
        ({"pruning": {"kind": "EnergySummary"}}, "pruning is EnergySummary"),
        ({"blocking": {"kind": "NoPruning"}}, "it must be one of ClusteredBlocks, FixedBlocks"),
        ({"summary": 0.4}, "summary is 0.4; it must be one of EnergySummary, FixedSummary"),
        ({"blocking": {"kind": "FixedBlocks", "size": 0}}, "size is 0; it must be a whole number"),
        ({"blocking": {"kind": "FixedBlocks", "sizes": 1}}, "argument 'sizes'"),
        ({"values": "u8"}, "values is 'u8'; choose u16, f32"),
        ({"seed": -1}, "seed is -1; it must be a whole number from 0 to 2,147,483,647"),
        ({"seed": 1.5}, "seed is 1.5; it must be a whole number"),
        ({"n_neighbours": 256}, "n_neighbours is 256"),
        ({"sed": 1}, "argument 'sed'"),
        ([], "'list' object"),
        (None, "'NoneType' object"),
    ],
)
def test_contents_that_are_not_known_are_refused(content: Any, message: str) -> None:
    with pytest.raises(InputError, match="^a build config that cannot be read: ") as caught:
        BuildConfig.from_dict(content)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def made(kind: Any, **values: Any) -> Any:
    return lambda: kind(**values)


@pytest.mark.parametrize(
    "make",
    [
        made(GlobalPruning, n_postings=0),
        made(GlobalPruning, max_fraction=0.5),
        made(GlobalPruning, max_fraction=math.nan),
        made(ListPruning, n_postings=2**31),
        made(ClusteredBlocks, centroid_fraction=-0.1),
        made(ClusteredBlocks, centroid_fraction=1.1),
        made(ClusteredBlocks, min_cluster_size=-1),
        made(ClusteredBlocks, doc_cut=0),
        made(FixedBlocks, size=65_536),
        made(EnergySummary, fraction=1.01),
        made(FixedSummary, n_terms=0),
        made(FixedSummary, n_terms=True),
        made(BuildConfig, values="U16"),
        made(BuildConfig, pruning=FixedBlocks()),
        made(BuildConfig, blocking=None),
        made(BuildConfig, summary=EnergySummary),
    ],
)
def test_build_options_out_of_range_are_refused(make: Any) -> None:
    with pytest.raises(InputError, match=r"^\w+ is .+; (it must be|choose) ") as caught:
        make()
    assert caught.value.code == "invalid_input"


@pytest.mark.parametrize(
    "make",
    [
        made(SearchParams, k=0),
        made(SearchParams, k=2.0),
        made(SearchParams, query_cut=0),
        made(SearchParams, heap_factor=-0.1),
        made(SearchParams, heap_factor=math.nan),
        made(SearchParams, heap_factor=math.inf),
        made(SearchParams, n_knn=-1),
        made(SearchParams, n_knn=256),
        made(SearchParams, strategy="fast"),
    ],
)
def test_search_params_out_of_range_are_refused(make: Any) -> None:
    with pytest.raises(QueryError, match=r"^\w+ is .+; (it must be|choose) "):
        make()


def test_ends_of_ranges_are_in_them() -> None:
    ends = BuildConfig(
        GlobalPruning(1, 1.0), ClusteredBlocks(0.0, 0, 1), EnergySummary(0.0), "u16", 255, 2**31 - 1
    )
    assert BuildConfig.from_dict(ends.to_dict()) == ends
    BuildConfig(ListPruning(2**31 - 1), FixedBlocks(65_535), FixedSummary(2**31 - 1))
    assert SearchParams(1, 1, 0.0, 0, "exact").heap_factor == 0
    assert SearchParams(2**31 - 1, 2**31 - 1, 2.0, 255).n_knn == 255
