"""What commands do unless another sparse encoder is named: the index built, and the demo."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lsr.cli.app import app
from lsr.errors import StorageError
from tests.support.command_line import refused

LIBRARY = Path(__file__).resolve().parents[2] / "data" / "library"
BM25 = ("--sparse", "bm25")


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_documents_are_encoded_with_the_model_that_comes_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    build = ("index", "build", LIBRARY, index, "--precision", "int8")
    with monkeypatch.context() as patch:
        patch.setattr("lsr.index.collection.segment_writer.SegmentWriter.finish", _full)
        assert "no space is left" in refused(*build)
    assert not index.exists()
    with monkeypatch.context() as patch:  # what was encoded is not encoded again
        patch.setattr("lsr.encoders.learned.onnx_network.OnnxNetwork.encode", _full)
        assert run(*build).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    assert "doc-mini" in run("index", "info", index).stdout
    assert "repair" in run("search", index, "damaged paper", "-k", "1").stdout
    assert "cataloguing" in run("search", index, "novel").stdout  # no document has the word


def _full(*_given: object, **_named: object) -> None:
    raise StorageError("no space is left")


def test_demo_builds_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lsr.datasets.docstrings.DEFAULT_PACKAGES", ("typer",))
    folder = tmp_path / "demo"
    demo = ("demo", "--folder", folder, "--build-only", *BM25)
    first = run(*demo)
    assert first.exit_code == 0, first.output
    assert "docstrings in" in first.stderr
    answer = json.loads(run("search", folder, "run a typer app", "--json").stdout)
    assert answer["hits"][0]["metadata"]["package"] == "typer"
    again = run(*demo)
    assert (again.exit_code, again.stderr) == (0, "")
    assert "docstrings in" in run(*demo, "--rebuild").stderr


def test_demo_encodes_the_best_known_docstrings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsr.datasets.docstrings.DEFAULT_PACKAGES", ("typer",))
    demo = ("demo", "--folder", tmp_path / "demo", "--build-only")
    assert "indexed 4 docstrings" in run(*demo, "--limit", 4).stderr
    info = json.loads(run("index", "info", tmp_path / "demo", "--json").stdout)
    assert info["sparse"]["name"] == "doc-mini"
    hits = json.loads(run("search", tmp_path / "demo", "typer", "--json").stdout)["hits"]
    assert {hit["doc_id"].count(".") for hit in hits} <= {0, 1}
    assert (run(*demo, "--limit", 4).stderr, [*tmp_path.iterdir()]) == ("", [tmp_path / "demo"])
