"""A collection whose model brings code along: served where its user trusted that code."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.dense_recipe import DenseOptions
from lsr.encoders.registry import load_encoder, open_dense
from lsr.index.collection.build import build_collection
from lsr.types import Document
from tests.support.dense_models import dense_with_own_code
from tests.support.model_zoo import with_own_code
from tests.support.rest_service import serving


@pytest.fixture
def root(tmp_path: Path) -> Path:
    encoder = load_encoder(str(with_own_code(tmp_path / "m")), trust_remote_code=True)
    (tmp_path / "root").mkdir()
    documents = [Document("a", "the cat eats fish"), Document("b", "a tree by the river")]
    build_collection(documents, tmp_path / "root" / "zoo", sparse=encoder)
    return tmp_path / "root"


@pytest.fixture
def dense_root(tmp_path: Path) -> Path:
    model = open_dense(
        str(dense_with_own_code(tmp_path / "d")), DenseOptions(trust_remote_code=True)
    )
    (tmp_path / "root").mkdir()
    documents = [Document("a", "the cat eats fish"), Document("b", "a tree by the river")]
    build_collection(documents, tmp_path / "root" / "deep", sparse=Bm25Encoder(), dense=model)
    return tmp_path / "root"


def test_a_dense_model_is_served_where_it_is_trusted(
    dense_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"text": "a tree by the river", "mode": "dense"}
    path = "collections/deep/search"
    with serving(dense_root) as rest:
        assert len(rest.ask("POST", path, json=body)["hits"]) == 2
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another-user"))
    with serving(dense_root, is_ready=False) as rest:
        told = rest.refused("POST", path, 503, "unavailable", json=body)
        assert "runs code of its own, which you have not trusted on this machine" in told
        assert rest.ask("POST", path, json=body | {"mode": "sparse"})["hits"]


def test_it_is_served_and_changed_where_it_is_trusted(root: Path) -> None:
    with serving(root) as rest:
        assert rest.found("zoo", "cat fish")[0] == "a"
        rest.put("zoo", {"c": "whale and shark"})
        assert "c" in rest.found("zoo", "whale shark")


def test_elsewhere_it_is_searched_and_documents_wait(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Queries run no code; a document waits, and the collection says what for."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another-user"))
    with serving(root) as rest:
        assert rest.found("zoo", "cat fish")[0] == "a"
        body = {"documents": [{"doc_id": "c", "text": "whale and shark"}]}
        rest.ask("POST", "collections/zoo/documents", json=body)
        for _ in range(600):
            told = rest.ask("GET", "collections/zoo")
            if told["error"] is not None:
                break
            threading.Event().wait(0.05)
        assert "runs code of its own, which you have not trusted on this machine" in told["error"]
        assert told["n_pending"] == 1
        assert "c" not in rest.found("zoo", "whale shark")
