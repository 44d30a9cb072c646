"""Learned sparse models from the command line: build, search, add, eval, encode."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.learned.encoder import (
    AnyLearned,
    LearnedEncoder,
    LearnedOptions,
    open_learned,
)
from lsr.index.collection.reader import CollectionReader
from tests.support.command_line import done, refused
from tests.support.learned_models import inference_free, symmetric

DOCUMENTS = {
    "cat": "The cat sleeps by the lake.",
    "wolf": "A wolf and a bear run in the forest.",
    "star": "The star, the moon and the sun.",
    "none": "",
}
OPTIONS = ("--precision", "fp32")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inference_free(tmp_path_factory.mktemp("free"))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return _corpus(tmp_path / "corpus.jsonl", DOCUMENTS)


def _corpus(path: Path, documents: dict[str, str]) -> Path:
    records = ({"_id": doc_id, "text": text} for doc_id, text in documents.items())
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path


def _found(index: Path, text: str) -> list[tuple[str, float]]:
    answer = json.loads(done("search", index, text, "--json"))
    return [(hit["doc_id"], hit["score"]) for hit in answer["hits"]]


def _expected(encoder: AnyLearned, texts: dict[str, str], query: str) -> dict[str, float]:
    documents = to_scipy(encoder.encode_documents(list(texts.values()))).toarray()
    scores = documents @ to_scipy(encoder.encode_queries([query])).toarray()[0]
    return {doc_id: s for doc_id, s in zip(texts, scores.tolist(), strict=True) if s > 0}


def test_build_search_add_and_merge(model: Path, corpus: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    done("index", "build", corpus, index, "--sparse", model, *OPTIONS)
    encoder = open_learned(str(model), LearnedOptions("fp32"))
    found = dict(_found(index, "the wolf"))
    assert found == pytest.approx(_expected(encoder, DOCUMENTS, "the wolf"), abs=1e-4)
    assert "learned" in done("index", "info", index, "--json")
    more = {"deer": "A deer drinks water.", "cat": "The cat is awake."}
    done("index", "add", index, _corpus(tmp_path / "more.jsonl", more))
    both = DOCUMENTS | more
    assert dict(_found(index, "deer cat")) == pytest.approx(
        _expected(encoder, both, "deer cat"), abs=1e-4
    )
    done("index", "merge", index)
    assert len(_found(index, "deer cat")) == 4


def test_searching_loads_no_torch(model: Path, corpus: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    done("index", "build", corpus, index, "--sparse", model, *OPTIONS)
    shutil.rmtree(tmp_path / "gone", ignore_errors=True)
    code = f"""
import sys
from pathlib import Path
from lsr.index.collection.reader import CollectionReader
assert CollectionReader.open(Path({str(index)!r})).search("the wolf").hits
print(*{{"torch", "transformers", "sentence_transformers"}} & set(sys.modules))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "\n"


def test_a_changed_model_is_refused_and_the_index_stays(corpus: Path, tmp_path: Path) -> None:
    folder, index = inference_free(tmp_path / "m"), tmp_path / "index"
    done("index", "build", corpus, index, "--sparse", folder, *OPTIONS)
    before = _found(index, "the wolf")
    manifest = (index / "manifest.json").read_bytes()
    config = next(folder.glob("document_1_*/config.json"))
    config.write_text(config.read_text().replace("relu", "log1p_relu"))
    more = _corpus(tmp_path / "more.jsonl", {"deer": "A deer."})
    assert "is not the one it was" in refused("index", "add", index, more)
    shutil.rmtree(folder)
    assert "not at" in refused("index", "add", index, more)
    assert (index / "manifest.json").read_bytes() == manifest
    assert _found(index, "the wolf") == before


def test_idf_of_the_corpus_grows_with_it(model: Path, corpus: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    done("index", "build", corpus, index, "--sparse", model, "--idf", "corpus", *OPTIONS)
    first = _weights(index)
    done("index", "add", index, _corpus(tmp_path / "more.jsonl", {"deer": "A deer, the deer."}))
    second = _weights(index)
    assert not np.array_equal(first, second)
    own = open_learned(str(model), LearnedOptions("fp32", idf="corpus"))
    own.encode_corpus([[*DOCUMENTS.values(), "A deer, the deer."]])
    assert own.query_weights is not None
    assert np.array_equal(second, own.query_weights)


def _weights(index: Path) -> np.ndarray:
    collection = CollectionReader.open(index)
    assert isinstance(collection.encoder, LearnedEncoder)
    weights = collection.encoder.query_weights
    collection.close()
    assert weights is not None
    return weights


def test_symmetric_models_search_through_the_network(corpus: Path, tmp_path: Path) -> None:
    folder, index = symmetric(tmp_path / "m"), tmp_path / "index"
    done("index", "build", corpus, index, "--sparse", folder, *OPTIONS)
    encoder = open_learned(str(folder), LearnedOptions("fp32"))
    assert dict(_found(index, "wolf")) == pytest.approx(
        _expected(encoder, DOCUMENTS, "wolf"), abs=1e-3
    )


def test_encoded_files_are_indexed_with_the_models_queries(
    model: Path, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "vectors"
    done("encode", corpus, model, out, *OPTIONS, "--shard-documents", 3, "--max-active", 20)
    assert sorted(path.name for path in out.glob("*")) == [
        ".lsr-encode.json",
        "shard-00000.jsonl",
        "shard-00001.jsonl",
    ]
    again = json.loads(
        done("encode", corpus, model, out, *OPTIONS, "--shard-documents", 3, "--max-active", 20,
             "--json")
    )  # fmt: skip
    assert (again["n_shards_kept"], again["n_entries"]) == (2, 0)
    index, whole = tmp_path / "index", tmp_path / "whole"
    done("index", "build", corpus, index, "--vectors", out, "--sparse", model, *OPTIONS)
    done("index", "build", corpus, whole, "--sparse", model, *OPTIONS, "--max-active", 20)
    assert _found(index, "the wolf") == pytest.approx(_found(whole, "the wolf"))
    done("index", "build", tmp_path / "alone", "--vectors", out)
    query = json.dumps({"wolf": 1.0})
    assert {doc_id for doc_id, _ in _found(tmp_path / "alone", query)} <= set(DOCUMENTS)
    other = inference_free(tmp_path / "other", seed=1)
    assert "another model or other options" in refused("encode", corpus, other, out, *OPTIONS)


def test_queries_and_one_file(model: Path, corpus: Path, tmp_path: Path) -> None:
    queries = tmp_path / "queries.jsonl"
    queries.write_text('{"_id": "q1", "text": "the cat"}\n{"_id": "q2", "text": "wolf"}\n')
    done("encode", queries, model, tmp_path / "q", "--queries")
    line = json.loads((tmp_path / "q" / "shard-00000.jsonl").read_text().splitlines()[0])
    assert line["id"] == "q1"
    assert set(line["vector"]) == {"the", "cat"}
    done("encode", corpus, model, tmp_path / "all.npz", *OPTIONS)
    assert (tmp_path / "all.npz.ids.txt").read_text().splitlines() == list(DOCUMENTS)
    from scipy.sparse import load_npz

    matrix = load_npz(tmp_path / "all.npz")
    expected = open_learned(str(model), LearnedOptions("fp32")).encode_documents(
        list(DOCUMENTS.values())
    )
    assert np.allclose(matrix.toarray(), to_scipy(expected).toarray(), atol=1e-6)
    assert not (tmp_path / "all.npz.shards").exists()


def test_evaluated_beside_bm25(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    _corpus(folder / "corpus.jsonl", DOCUMENTS)
    _corpus(folder / "queries.jsonl", {"q1": "wolf forest", "q2": "moon"})
    (folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\twolf\t1\nq2\tstar\t1\n"
    )
    words = ("eval", folder, "--systems", "bm25", "--sparse", model, *OPTIONS)
    report = json.loads(done(*words, "--json", "-"))
    text = json.dumps(report)
    assert '"learned"' in text
    assert '"bm25"' in text
    assert "terms a document" in text


def test_what_does_not_go_together_is_refused(model: Path, corpus: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    bm25 = refused("index", "build", corpus, index, "--sparse", "bm25", "--idf", "corpus")
    assert "bm25 takes no" in bm25
    wrong = refused("index", "build", corpus, index, "--sparse", tmp_path)
    assert "holds no model" in wrong
    ratio = refused("index", "build", corpus, index, "--sparse", model, "--prune-ratio", 2)
    assert "prune ratio" in ratio
    assert "no precision" in refused("encode", corpus, model, index, "--precision", "int4")
    assert "no format" in refused("export", model, index, "--format", "pdf")
    assert "--corpus" in refused("export", model, index, "--format", "anserini")
    assert not index.exists()
    vectors = tmp_path / "v.jsonl"
    vectors.write_text('{"id": "cat", "contents": "", "vector": {"nosuchtoken": 1}}\n')
    wrong = refused("index", "build", index, "--vectors", vectors, "--sparse", model, *OPTIONS)
    assert "'nosuchtoken'" in wrong
