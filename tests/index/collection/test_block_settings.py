"""Settings of a collection's blocks: what they change, and that every later segment keeps them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import lsr
import lsr.index.live.live_collection
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import InputError
from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.config import (
    BlockSettings,
    BuildConfig,
    ClusteredBlocks,
    EnergySummary,
    GlobalPruning,
    ListPruning,
    SearchParams,
)
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.update import add_documents, delete_documents, merge_segments
from lsr.index.indexer.block_builder import build_blocks
from lsr.index.live.live_collection import LiveCollection
from lsr.index.live.operation import Operation
from lsr.index.search.block_searcher import BlockSearcher
from lsr.index.search.calibrate import recall_of
from lsr.index.storage.manifest import Manifest
from lsr.sparse import CSR
from lsr.types import Document
from tests.support.live import ThreadWorker

WORDS = [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(200)]
SETTINGS = BlockSettings(postings=20, centroids=0.2, summary=0.6, neighbours=4)
CONFIG = BuildConfig(GlobalPruning(20), ClusteredBlocks(0.2), EnergySummary(0.6), "f32", 4)


def made(n: int, seed: int, prefix: str = "d") -> list[Document]:
    rng = np.random.default_rng(seed)
    topics = [rng.choice(WORDS, 20) for _ in range(10)]
    return [
        Document(f"{prefix}{i}", " ".join([*rng.choice(topics[i % 10], 14), *rng.choice(WORDS, 6)]))
        for i in range(n)
    ]


def built(path: Path, settings: BlockSettings | bool, n: int = 400) -> BlockIndex:
    build_collection(made(n, 0), path, sparse=Bm25Encoder(), blocks=settings)
    return only(path)


def only(path: Path) -> BlockIndex:
    (blocks,) = blocks_of(path)
    assert blocks is not None
    return blocks


def blocks_of(path: Path) -> list[BlockIndex | None]:
    reader = CollectionReader.open(path)
    return [part.blocks for part in reader.readers]


def vectors_of(path: Path) -> CSR:
    reader = CollectionReader.open(path)
    (part,) = reader.readers
    return part.store.sparse_vectors(range(part.segment.n_rows), part.segment.n_terms)


def list_lengths(index: BlockIndex) -> NDArray[np.int64]:
    starts = index.array("block_postings")[index.array("group_blocks")[index.array("list_groups")]]
    lengths: NDArray[np.int64] = np.diff(starts)
    return lengths


def test_blocks_are_those_of_the_build_config(tmp_path: Path) -> None:
    index = built(tmp_path / "a", SETTINGS)
    assert index.config == CONFIG
    wanted = build_blocks(vectors_of(tmp_path / "a"), CONFIG)
    assert index.blob.tobytes() == wanted.blob.tobytes()


@pytest.mark.parametrize(
    ("settings", "config"),
    [
        (BlockSettings(postings=7, per_list=True), {"pruning": ListPruning(7)}),
        (BlockSettings(centroids=0), {"blocking": ClusteredBlocks(0)}),
        (BlockSettings(summary=0), {"summary": EnergySummary(0)}),
        (BlockSettings(neighbours=0), {"n_neighbours": 0}),
        (BlockSettings(), {}),
    ],
)
def test_what_is_left_out_stays(settings: BlockSettings, config: dict[str, object]) -> None:
    base = BuildConfig(GlobalPruning(3, 2.0), summary=EnergySummary(0.25), n_neighbours=9)
    assert settings.over(base) == BuildConfig(**{**vars(base), **config})
    assert BlockSettings(**settings.to_dict()) == settings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"postings": 0}, "postings is 0; it must be a whole number from 1"),
        ({"centroids": 1.5}, "centroids is 1.5; it must be a number from 0.0 to 1.0"),
        ({"summary": float("nan")}, "summary is nan"),
        ({"neighbours": 256}, "neighbours is 256; it must be a whole number from 0 to 255"),
        ({"per_list": True}, "give postings too"),
    ],
)
def test_settings_out_of_range(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BlockSettings(**wrong)  # type: ignore[arg-type]


def test_each_setting_changes_the_index(tmp_path: Path) -> None:
    base = built(tmp_path / "base", BlockSettings(postings=20, centroids=0.1, summary=0.3))
    few = built(tmp_path / "few", BlockSettings(postings=5, centroids=0.1, summary=0.3))
    own = built(
        tmp_path / "own", BlockSettings(postings=20, per_list=True, centroids=0.1, summary=0.3)
    )
    fine = built(tmp_path / "fine", BlockSettings(postings=20, centroids=0.5, summary=0.3))
    wide = built(tmp_path / "wide", BlockSettings(postings=20, centroids=0.1, summary=0.9))
    assert list_lengths(own).max() == 20
    assert list_lengths(base).max() > 20
    assert few.n_postings < base.n_postings
    assert fine.n_blocks > base.n_blocks
    assert len(wide.blob) > len(base.blob) > len(few.blob)


def test_pruning_and_summaries_cost_recall_and_neighbours_win_it_back(tmp_path: Path) -> None:
    plenty = built(tmp_path / "plenty", BlockSettings(postings=400, summary=1.0), 600)
    scarce = built(tmp_path / "scarce", BlockSettings(postings=5, summary=0.1, neighbours=8), 600)
    assert (plenty.n_neighbours, scarce.n_neighbours) == (0, 8)
    texts = [" ".join(each.text.split()[:6]) for each in made(100, 1)]
    queries = CollectionReader.open(tmp_path / "plenty").encoder.encode_queries(texts)

    def recall(index: BlockIndex, n_knn: int) -> float:
        searcher = BlockSearcher(index)
        exact = searcher.search_batch(queries, SearchParams(strategy="exact"))
        params = SearchParams(query_cut=3, n_knn=n_knn, strategy="approximate")
        return recall_of(searcher.search_batch(queries, params), exact.scores)

    assert recall(scarce, 0) < recall(plenty, 0) - 0.05
    assert recall(scarce, 8) > recall(scarce, 0) + 0.02
    assert recall(plenty, 8) == recall(plenty, 0)  # none are stored


def test_additions_and_merges_keep_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "index"
    built(path, SETTINGS)
    add_documents(path, made(5, 2, "new"))
    assert [each and each.config for each in blocks_of(path)] == [CONFIG, None]
    delete_documents(path, ["d0"])
    merge_segments(path)
    merged = only(path)
    assert merged.config == CONFIG
    assert merged.n_documents == 404
    assert merged.n_neighbours == 4
    delete_documents(path, [f"d{i}" for i in range(1, 300)])
    add_documents(path, [Document("last", "the last one")])  # rewrites the segment with holes
    rewritten = only(path)
    assert rewritten.config == CONFIG
    assert Manifest.read(path).blocks == SETTINGS.to_dict()


def test_a_publication_of_the_log_keeps_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lsr.index.live.live_collection, "Worker", ThreadWorker)
    path = tmp_path / "index"
    built(path, SETTINGS)
    delete_documents(path, [f"d{i}" for i in range(300)])
    with LiveCollection.open(path) as live:
        live.write([Operation.put(each) for each in made(3, 3, "new")])
        live.publish()
    assert Manifest.read(path).blocks == SETTINGS.to_dict()
    rewritten = only(path)
    assert rewritten.n_documents == 103
    assert rewritten.config == CONFIG


def test_a_new_build_forgets_them(tmp_path: Path) -> None:
    built(tmp_path / "index", SETTINGS)
    typical = built(tmp_path / "index", True)
    assert typical.config.n_neighbours == 0
    assert Manifest.read(tmp_path / "index").blocks is None


def test_the_front_door_takes_them(tmp_path: Path) -> None:
    with lsr.build(made(50, 0), tmp_path / "i", sparse="bm25", blocks=SETTINGS) as index:
        index.add(made(3, 2, "new"))
        index.merge()
        (part,) = index.reader.readers
        assert part.blocks is not None
        assert part.blocks.config == CONFIG
