"""Profiles: what tuning found is kept beside a collection, and used as long as it fits."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import IndexCorruptError, StorageError
from lsr.files import checksum
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.tuned_plan import TUNED_PLAN_FILE, TunedPlan
from lsr.index.storage.manifest import Manifest
from lsr.retrieval.feedback import DenseFeedback
from lsr.retrieval.fusion import Fusion
from lsr.retrieval.plan import Prf, SearchPlan
from lsr.types import Document, EncoderIdentity
from tests.support.counted_index import TEXTS, Opened, build, codes, ids
from tests.support.search_sides import Compass
from tests.support.strategies import plans, texts

pytest.importorskip("faiss")

TUNED = SearchPlan(
    fusion=Fusion(weight_sparse=0.45),
    prf=Prf("both", 2, weight_sparse_pre=0.6, dense=DenseFeedback(alpha=0.7, beta=0.3)),
)
EVIDENCE = {"measure": "ndcg@10", "queries": 30, "held_out": [0.5, 0.25], "folds": {"0": None}}


def tuned_plan(manifest: Manifest, plan: SearchPlan = TUNED, **more: Any) -> TunedPlan:
    made = TunedPlan(
        plan=plan,
        sparse=manifest.sparse,
        dense=manifest.dense,
        generation=manifest.generation,
        created="2026-01-01T00:00:00+00:00",
        evidence=EVIDENCE,
    )
    return replace(made, **more)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return build(tmp_path / "index")


@pytest.fixture
def opened(index: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    made = Opened(index, monkeypatch)
    yield made
    made.collection.close()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | texts(5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(3), inner, max_size=3),
    max_leaves=5,
)
identities = st.builds(
    EncoderIdentity,
    kind=texts(5),
    name=texts(5),
    sha256=texts(5),
    parameters=st.dictionaries(texts(3), texts(3) | st.floats(0, 1) | st.booleans(), max_size=3),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.builds(
        TunedPlan,
        plan=plans(),
        sparse=identities,
        dense=st.none() | identities,
        generation=st.integers(1, 10**6),
        created=texts(),
        evidence=st.dictionaries(texts(4), json_values, max_size=3),
    )
)
def test_what_is_saved_is_read(tmp_path: Path, made: TunedPlan) -> None:
    path = made.save(tmp_path)
    assert path == tmp_path / TUNED_PLAN_FILE
    assert TunedPlan.read(tmp_path) == made
    assert [each.name for each in tmp_path.iterdir()] == [TUNED_PLAN_FILE], (
        "nothing unfinished is left"
    )


def test_no_profile(tmp_path: Path) -> None:
    assert TunedPlan.read(tmp_path) is None
    assert TunedPlan.read(tmp_path / "absent") is None


def test_a_folder_that_cannot_be_written_to(index: Path, tmp_path: Path) -> None:
    made = tuned_plan(Manifest.read(index))
    message = "plan.json cannot be written .*; nothing was changed"
    with pytest.raises(StorageError, match=message):
        made.save(tmp_path / "absent")
    made.save(index)
    before = (index / TUNED_PLAN_FILE).read_bytes()
    (index / f".{TUNED_PLAN_FILE}.{os.getpid()}.unfinished").mkdir()
    with pytest.raises(StorageError, match=message):
        replace(made, created="later").save(index)
    assert (index / TUNED_PLAN_FILE).read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        b"{}",
        b"[]",
        b"3",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"checksum": "x"}',
        "weight",
        "version",
        "extra",
        "short",
        "folder",
    ],
)
def test_a_damaged_profile(index: Path, content: bytes | str) -> None:
    """One sentence says which file, and that it can be deleted. Deleting it helps."""
    path = tuned_plan(Manifest.read(index)).save(index)
    text = path.read_text("utf-8")
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "folder":
        path.unlink()
        path.mkdir()
    else:
        changed = {
            "weight": text.replace("0.45", "0.46"),
            "version": text.replace('"version": 1', '"version": 2'),
            "extra": text.replace('"created"', '"more": 1, "created"'),
            "short": text[: len(text) // 2],
        }[content]
        assert changed != text
        path.write_text(changed, "utf-8")
    advice = "delete it to go on without, then run lsr tune again"
    message = rf"^{re.escape(str(path))} is damaged \(.*\); {advice}$"
    for read in (lambda: TunedPlan.read(index), lambda: CollectionReader.open(index)):
        with pytest.raises(IndexCorruptError, match=message):
            read()
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()
    CollectionReader.open(index).close()


@pytest.mark.parametrize("wrong", [{"window": 0}, {"fusion": {"weight": 1}}, {"prf": 3}, [], None])
def test_a_plan_of_another_time(index: Path, wrong: Any) -> None:
    """The checksum is right, and this version knows no such plan."""

    path = tuned_plan(Manifest.read(index)).save(index)
    content = json.loads(path.read_text("utf-8"))
    del content["checksum"]
    content["plan"] = wrong
    path.write_text(json.dumps({**content, "checksum": checksum(content)}))
    with pytest.raises(
        IndexCorruptError, match="delete it to go on without, then run lsr tune again"
    ):
        TunedPlan.read(index)


def test_a_profile_fits_its_models(index: Path) -> None:
    manifest = Manifest.read(index)
    assert manifest.dense is not None
    made = tuned_plan(manifest)
    assert made.fits(manifest)
    assert replace(made, generation=77, created="x", evidence={}).fits(manifest)
    dense = manifest.dense
    assert not replace(made, dense=None).fits(manifest)
    assert not replace(made, dense=replace(dense, sha256="other")).fits(manifest)
    assert replace(made, dense=replace(dense, name="moved")).fits(manifest), "the hash counts"
    without = replace(manifest, dense=None)
    assert not made.fits(without)
    assert replace(made, dense=None).fits(without)


def test_bm25_is_known_by_its_options_and_others_by_their_hash(index: Path) -> None:
    manifest = Manifest.read(index)
    sparse = manifest.sparse
    assert sparse.kind == "bm25"
    assert tuned_plan(manifest, sparse=replace(sparse, sha256="more documents")).fits(manifest)
    for name, value in (("k1", 1.2), ("b", 0.75), ("language", "german")):
        other = replace(sparse, parameters={**sparse.parameters, name: value})
        assert not tuned_plan(manifest, sparse=other).fits(manifest)
    assert not tuned_plan(manifest, sparse=replace(sparse, kind="splade")).fits(manifest)
    learned = replace(manifest, sparse=EncoderIdentity("splade", "s", "one"))
    assert tuned_plan(learned).fits(learned)
    assert not tuned_plan(learned, sparse=EncoderIdentity("splade", "s", "two")).fits(learned)


def test_it_is_the_default_plan(opened: Opened, index: Path, monkeypatch: Any) -> None:
    assert opened.collection.tuned_plan is None
    assert opened.collection.default_plan == SearchPlan()
    before = opened.collection.search("north tower harbour")
    tuned_plan(opened.collection.manifest).save(index)
    tuned = Opened(index, monkeypatch)
    assert tuned.collection.tuned_plan is not None
    assert tuned.collection.default_plan == TUNED
    answer = tuned.collection.search("north tower harbour")
    assert answer.plan == TUNED.resolved(tuned.collection.modes)
    assert answer.plan.weights.first == 0.6
    assert answer.prf.applied
    assert len(answer.prf.feedback) == 2
    assert "tuned_plan_stale" not in codes(answer)
    own = tuned.search("north tower harbour", SearchPlan())
    assert [hit.score for hit in own.hits] == [hit.score for hit in before.hits], "own plans count"
    tuned.collection.close()


@pytest.mark.parametrize("mode", ["sparse", "dense", "hybrid"])
def test_a_mode_can_be_chosen_beside_a_tuned_plan(
    index: Path, monkeypatch: pytest.MonkeyPatch, mode: Any
) -> None:
    """Feedback between two rankings steps back, where there is one ranking."""
    tuned_plan(Manifest.read(index)).save(index)
    opened = Opened(index, monkeypatch)
    answer = opened.collection.search("north tower", mode=mode)
    assert answer.mode == mode
    expected = opened.search("north tower", TUNED if mode == "hybrid" else SearchPlan(mode=mode))
    assert [hit.score for hit in answer.hits] == [hit.score for hit in expected.hits]
    opened.collection.close()


class OtherCompass(Compass):
    identity = EncoderIdentity("dense", "compass", "another")


@pytest.mark.parametrize("change", ["dense", "no dense", "sparse"])
def test_one_that_does_not_fit_is_not_used(
    index: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    tuned_plan(Manifest.read(index)).save(index)
    documents = [Document(doc_id, text) for doc_id, text in TEXTS.items()]
    sparse = Bm25Encoder(k1=1.5) if change == "sparse" else Bm25Encoder()
    dense = {"dense": OtherCompass(), "no dense": None, "sparse": Compass()}[change]
    build_collection(documents, index, sparse=sparse, dense=dense)
    collection = CollectionReader.open(index)
    assert collection.tuned_plan is not None
    assert collection.default_plan == SearchPlan()
    answer = collection.search("north tower", mode="sparse")
    assert codes(answer) == ["tuned_plan_stale"]
    assert "run lsr tune again" in answer.warnings[0].detail
    assert ids(answer)
    collection.close()


def test_it_outlives_a_new_build_with_the_same_models(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tuned_plan(Manifest.read(index))
    made.save(index)
    documents = [Document("new", "north harbour"), Document("more", "south")]
    manifest = build_collection(documents, index, sparse=Bm25Encoder(), dense=Compass())
    assert manifest.generation == 2
    assert manifest.sparse.sha256 != made.sparse.sha256, "BM25 has other statistics now"
    opened = Opened(index, monkeypatch)
    assert opened.collection.tuned_plan == made
    assert opened.collection.default_plan == TUNED
    answer = opened.collection.search("north")
    assert codes(answer) == []
    assert answer.plan.weights.final == 0.45
    assert np.isfinite([hit.score for hit in answer.hits]).all()
    opened.collection.close()


def test_a_reader_keeps_the_profile_it_was_opened_with(opened: Opened, index: Path) -> None:
    tuned_plan(opened.collection.manifest).save(index)
    assert opened.collection.default_plan == SearchPlan()
    (index / TUNED_PLAN_FILE).write_text("nonsense")
    assert opened.collection.search("north").hits
