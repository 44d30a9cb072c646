"""`lsr idf`, through the parser, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lsr.cli.commands.idf import idf
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.errors import DataError, InputError, LsrError
from tests.support.tiny_models import tiny_tokenizer
from tests.training.export.test_idf_table import query_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return query_model(tmp_path / "model")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.csv"
    path.write_text("key,words\n1,cat dog\n2,cat\n3,heart\n")
    return path


def run(*words: object) -> str:
    app = typer.Typer()
    app.command()(idf)
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and isinstance(result.exception, LsrError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_table_as_a_file(tmp_path: Path, model: Path, corpus: Path) -> None:
    before = ModelFolder.open(str(model)).sha256()
    out = tmp_path / "idf.json"
    told = run(corpus, model, "--out", out, "--columns", "doc_id=key,text=words", "--strength", 0)
    n_terms = len(tiny_tokenizer())
    assert told == f"{out}: 3 documents, 3 of {n_terms} terms seen\n"
    table = json.loads(out.read_text("utf-8"))
    assert table["cat"] < table["dog"] == table["heart"] == table["bird"] < 7
    assert "[SEP]" not in table
    assert ModelFolder.open(str(model)).sha256() == before


def test_a_table_put_into_the_model(model: Path, corpus: Path) -> None:
    told = run(corpus, model, "--in-place", "--columns", "doc_id=key,text=words", "--json")
    report = json.loads(told)
    assert report["documents"] == report["terms_seen"] == 3
    assert report["strength"] == 500
    (file,) = report["files"]
    assert Path(file).is_relative_to(model)
    opened = ModelFolder.open(str(model))
    weights = opened.query_weights({})
    assert 6.9 < weights.max() < 7


def test_what_is_refused_leaves_the_model_as_it_was(
    tmp_path: Path, model: Path, corpus: Path
) -> None:
    before = ModelFolder.open(str(model)).sha256()
    columns = ("--columns", "doc_id=key,text=words")
    with pytest.raises(InputError, match="nowhere to write"):
        run(corpus, model, *columns)
    with pytest.raises(InputError, match="--in-place needs a model in a folder"):
        run(corpus, "some/model", "--in-place", *columns)
    with pytest.raises(DataError, match="no such file or folder"):
        run(tmp_path / "absent", model, "--in-place")
    corpus.write_text("key,words\n")
    with pytest.raises(InputError, match="holds no documents"):
        run(corpus, model, "--in-place", *columns)
    with pytest.raises(InputError, match="holds no model"):
        run(corpus, tmp_path, "--out", tmp_path / "x", *columns)
    assert not (tmp_path / "x").exists()
    assert ModelFolder.open(str(model)).sha256() == before
