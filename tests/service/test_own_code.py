"""A collection whose model brings code along: served where its user trusted that code."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lsr.encoders.registry import load_encoder
from lsr.index.collection.build import build_collection
from lsr.types import Document
from tests.support.model_zoo import with_own_code
from tests.support.rest_service import serving


@pytest.fixture
def root(tmp_path: Path) -> Path:
    encoder = load_encoder(str(with_own_code(tmp_path / "m")), trust_remote_code=True)
    (tmp_path / "root").mkdir()
    documents = [Document("a", "the cat eats fish"), Document("b", "a tree by the river")]
    build_collection(documents, tmp_path / "root" / "zoo", sparse=encoder)
    return tmp_path / "root"


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
