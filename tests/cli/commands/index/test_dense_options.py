"""Options of dense models on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command_line import done, refused
from tests.support.dense_models import dense_model_folder

pytest.importorskip("sentence_transformers")
pytest.importorskip("faiss")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "notes.jsonl"
    texts = ["cat dog", "star sea", "king and queen"]
    lines = [json.dumps({"_id": text[0], "text": text}) for text in texts]
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_an_index_is_built_and_searched_as_asked(notes: Path, tmp_path: Path) -> None:
    model = dense_model_folder(tmp_path, "plain")
    index = tmp_path / "ix"
    words = ["index", "build", notes, index, "--sparse", "bm25", "--dense", model]
    words += ["--dense-pooling", "cls", "--dense-similarity", "dot", "--dense-dimensions", "20"]
    words += ["--dense-query-prompt", "find ", "--dense-document-prompt", "the "]
    words += ["--dense-max-tokens", "16", "--json"]
    assert json.loads(done(*words))["dense"]["parameters"] == {
        "dimension": 20,
        "max_tokens": 16,
        "similarity": "dot",
        "pooling": "cls",
        "query_prompt": "find ",
        "document_prompt": "the ",
    }
    found = json.loads(done("search", index, "the cat dog", "--mode", "dense", "--json"))
    scores = [hit["score"] for hit in found["hits"]]
    assert max(map(abs, scores)) > 2, "inner products of long vectors"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dense-pooling", "cls"], "pooling of a dense model without one; name it, or leave"),
        (
            ["--dense", "x", "--dense-similarity", "l2"],
            "no similarity 'l2'; choose cosine",
        ),
        (["--dense", "x", "--dense-pooling", "sum"], "there is no pooling 'sum'; choose cls"),
        (["--dense", "x", "--dense-dimensions", "0"], "--dense-dimensions is 0; give a whole"),
        (["--dense", "x", "--dense-max-tokens", "-3"], "--dense-max-tokens is -3; give a whole"),
    ],
)
def test_options_that_cannot_be(
    notes: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    said = refused("index", "build", notes, tmp_path / "ix", "--sparse", "bm25", *words)
    assert message in said
    assert not (tmp_path / "ix").exists()


def test_an_evaluation_without_a_dense_system(tmp_path: Path) -> None:
    said = refused("eval", tmp_path, "--systems", "bm25", "--dense-query-prompt", "query: ")
    assert "--dense-query-prompt is of systems like dense, and there is none among bm25" in said
