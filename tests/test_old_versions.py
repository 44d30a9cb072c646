"""What lsr 0.1.0 wrote is opened, searched to the bit, and continued. See `fixtures/README.md`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.encoders.learned.encoder import LearnedOptions, open_learned
from lsr.index.blocks.config import SearchParams
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.segment_reader import SegmentReader
from lsr.index.collection.update import add_documents, delete_documents, merge_segments
from lsr.index.search.auto_searcher import AutoSearcher
from lsr.index.sparse_index import SparseIndex
from lsr.sparse import CSR
from lsr.types import Document
from tests.support.command_line import done, refused

OLD = Path(__file__).parent / "fixtures" / "v0_1"
EXPECTED: dict[str, Any] = json.loads((OLD / "expected.json").read_text("utf-8"))
INDEXES = ("bm25", "learned", "given")
MODELS = ("stock", "mlp", "epic", "anchored", "cls")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of everything, as on a disk of that time."""
    return Path(shutil.copytree(OLD, tmp_path / "old"))


def _answers(index: Path, name: str, **how: Any) -> None:
    collection = CollectionReader.open(index)
    for case in EXPECTED[name]:
        hits = collection.search(case["query"], k=5, **how).hits
        assert [hit.document.doc_id for hit in hits] == case["doc_ids"]
        assert [float(hit.score).hex() for hit in hits] == case["scores"]
    collection.close()


@pytest.mark.parametrize(
    ("name", "how"), [("bm25", {"mode": "sparse"}), ("learned", {}), ("given", {})]
)
def test_an_index_answers_as_before_to_the_bit(old: Path, name: str, how: dict[str, Any]) -> None:
    _answers(old / name, name, **how)


def test_a_hybrid_index_ranks_as_before(old: Path) -> None:
    """The dense model may differ in the last bits on another processor, so scores may too."""
    collection = CollectionReader.open(old / "bm25")
    for case in EXPECTED["bm25 hybrid"]:
        hits = collection.search(case["query"], k=5).hits
        scores = [float.fromhex(score) for score in case["scores"]]
        assert np.allclose([hit.score for hit in hits], scores, atol=1e-5)
    collection.close()


def test_the_tuned_plan_and_the_calibration_are_still_used(old: Path) -> None:
    told = json.loads(done("index", "info", old / "bm25", "--json"))
    assert told["tuned_plan"].startswith("2026-11-30")
    assert told["calibration"].startswith("recall 0.9 wanted")
    collection = CollectionReader.open(old / "bm25")
    assert collection.tuned_plan is not None
    assert collection.default_plan == collection.tuned_plan.plan
    collection.close()
    assert isinstance(
        SegmentReader.open(
            old / "bm25", collection.manifest, collection.manifest.segments[0]
        ).open_searcher(),
        AutoSearcher,
    )


@pytest.mark.parametrize("name", INDEXES)
def test_encoders_are_known_by_the_same_hash(old: Path, name: str) -> None:
    collection = CollectionReader.open(old / name)
    assert collection.encoder.identity.sha256 == collection.manifest.sparse.sha256
    assert collection.encoder.identity.kind == collection.manifest.sparse.kind
    collection.close()


@pytest.mark.parametrize("name", ["profile.json", "tuned.json"])
def test_a_damaged_file_of_the_old_name_is_refused(old: Path, name: str) -> None:
    path = old / "bm25" / name
    path.write_text(path.read_text().replace("0.", "1.", 1))
    assert f"{name} " in refused("search", old / "bm25", "heron")


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_is_continued(old: Path, name: str) -> None:
    index = old / name
    before = CollectionReader.open(index)
    n_before = before.n_documents
    before.close()
    vectors = CSR.from_rows([{0: 1.0}], 4) if name == "given" else None
    add_documents(index, [Document("new", "A newcomer about herons.")], vectors=vectors)
    delete_documents(index, ["new"])
    add_documents(index, [Document("new", "A newcomer about herons.")], vectors=vectors)
    merge_segments(index)
    after = CollectionReader.open(index)
    assert after.n_documents == n_before + 1
    query = '{"cat": 1}' if name == "given" else "newcomer herons"
    assert "new" in [hit.document.doc_id for hit in after.search(query, mode="sparse").hits]
    after.close()


def test_vectors_alone_are_found_as_before(old: Path) -> None:
    case = EXPECTED["vectors"]
    rows = [{int(term): weight for term, weight in row.items()} for row in case["queries"]]
    index = SparseIndex.open(old / "vectors")
    found = index.search_batch(CSR.from_rows(rows, 64), SearchParams(k=5, strategy="exact"))
    assert found.rows.tolist() == case["rows"]
    assert [[float(score).hex() for score in row] for row in found.scores] == case["scores"]
    index.save(old / "again")
    again = SparseIndex.open(old / "again")
    assert again.search_batch(CSR.from_rows(rows, 64), SearchParams(k=5)).rows.shape == (8, 5)


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_encodes_as_before(old: Path, kind: str) -> None:
    case = EXPECTED[f"model {kind}"]
    options = LearnedOptions(lexical_weight=0.0) if kind == "stock" else None
    encoder = open_learned(str(old / "models" / kind), options)
    for vectors, expected in (
        (encoder.encode_documents(case["documents"]), case["document_vectors"]),
        (encoder.encode_queries(case["queries"]), case["query_vectors"]),
    ):
        for row, weights in enumerate(expected):
            found = vectors.row(row)
            dense = dict(zip(found.terms.tolist(), found.weights.tolist(), strict=True))
            every = {int(term) for term in weights} | set(dense)
            for term in every:
                assert dense.get(term, 0.0) == pytest.approx(weights.get(str(term), 0.0), abs=1e-4)


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_is_trained_further(old: Path, kind: str, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        f"""
output: {tmp_path / "run"}
encoder: {{base: "{old / "models" / kind}", max_document_tokens: 32}}
guard: {{max_spread: 1.0e+9}}
stages:
  - data: {{sources: [{{path: "{OLD / "run" / "pairs.jsonl"}"}}]}}
    losses: [{{kind: infonce}}]
    optim: {{steps: 1, queries: 4, precision: fp32}}
"""
    )
    outcome = json.loads(done("train", config, "--json"))
    assert outcome["steps"] == 1
    modules = [json.loads(path.read_text()) for path in Path(outcome["model"]).glob("modules.json")]
    assert modules


def test_an_interrupted_run_goes_on_to_the_same_weights(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.numpy import load_file

    monkeypatch.chdir(old / "run")
    outcome = json.loads(done("train", "config.yaml", "--json"))
    assert outcome["steps"] == 4
    ended = load_file(old / "run/run/model/document_0_Transformer/model.safetensors")
    wanted = load_file(old / "run" / "finished.safetensors")
    assert ended.keys() == wanted.keys()
    for name, values in wanted.items():
        assert np.allclose(ended[name], values, atol=1e-5), name
