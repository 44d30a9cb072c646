"""`lsr index build --postings …`: the settings of blocks, what refuses them, what tells of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lsr.index.blocks.config import (
    BlockSettings,
    BuildConfig,
    ClusteredBlocks,
    EnergySummary,
    GlobalPruning,
    ListPruning,
)
from lsr.index.collection.reader import CollectionReader
from lsr.index.storage.manifest import Manifest
from tests.support.command_line import done, refused

SEISMIC = ("--postings", "4000", "--centroids", ".1", "--summary", ".4", "--neighbours", "10")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    lines = [json.dumps({"_id": f"d{i}", "text": f"keys rotate word{i % 7}"}) for i in range(40)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def config_of(index: Path) -> BuildConfig:
    (part,) = CollectionReader.open(index).readers
    assert part.blocks is not None
    return part.blocks.config


def test_the_settings_of_seismic(corpus: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    done("index", "build", corpus, index, "--sparse", "bm25", *SEISMIC)
    wanted = BuildConfig(GlobalPruning(4000), ClusteredBlocks(0.1), EnergySummary(0.4), "f32", 10)
    assert config_of(index) == wanted
    assert Manifest.read(index).blocks == BlockSettings(4000, False, 0.1, 0.4, 10).to_dict()
    told = done("index", "info", index)
    assert "postings 4000, centroids 0.1, summary 0.4, neighbours 10" in told
    assert "blocks: GlobalPruning, n_postings 4000" in told
    described = json.loads(done("index", "info", index, "--json"))
    assert described["blocks"]["neighbours"] == 10
    assert described["segments"][0]["blocks"] == wanted.to_dict()
    more = corpus.with_name("more.jsonl")
    more.write_text('{"_id": "new", "text": "locks"}')
    done("index", "add", index, more)
    done("index", "merge", index)
    assert config_of(index) == wanted


def test_postings_of_each_list(corpus: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    done("index", "build", corpus, index, "--sparse", "bm25", "--postings", "list:30")
    assert config_of(index).pruning == ListPruning(30)
    assert "postings 30, per_list True" in done("index", "info", index)


def test_an_index_without_blocks_says_so(corpus: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    done("index", "build", corpus, index, "--sparse", "bm25")
    told = done("index", "info", index)
    assert "blocks         none" in told
    assert "blocks:" not in told


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--postings", "0"), "--postings is 0; it must be a whole number from 1"),
        (("--postings", "many"), "--postings is 'many'; give a whole number"),
        (("--postings", "list:"), "--postings is 'list:'"),
        (("--centroids", "2"), "--centroids is 2.0; it must be a number from 0.0 to 1.0"),
        (("--summary", "-0.1"), "--summary is -0.1; it must be a number from 0.0 to 1.0"),
        (("--summary", "nan"), "--summary is nan"),
        (("--neighbours", "300"), "--neighbours is 300; it must be a whole number from 0 to 255"),
        (
            ("--blocks", "never", "--neighbours", "0"),
            "--neighbours says how blocks are made, and --blocks never makes none",
        ),
    ],
)
def test_what_is_refused(
    options: tuple[str, ...], sentence: str, corpus: Path, tmp_path: Path
) -> None:
    told = refused("index", "build", corpus, tmp_path / "i", "--sparse", "bm25", *options)
    assert sentence in told
    assert not (tmp_path / "i").exists()
