"""Vectors that the engine benchmark is given: one vocabulary, and nothing left out in silence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from bench.engine.__main__ import accuracies, options
from bench.engine.data import given
from lsr.datasets.vectors.open import write_vectors
from lsr.errors import InputError
from lsr.sparse import CSR

DOCUMENTS = [{"cat": 2.0, "dog": 1.0}, {"dog": 3.0}, {"eel": 0.5, "cat": 1.0}]
QUERIES = [{"dog": 1.0, "owl": 9.0, "cat": 2.0}, {"newt": 4.0, "eel": 1.0}, {"cat": 1.0}]


def lines(path: Path, vectors: list[dict[str, float]], name: str) -> Path:
    rows = [{"id": str(i), name: "", "vector": v} for i, v in enumerate(vectors)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def naive_tops(queries: list[dict[str, float]], k: int) -> list[list[float]]:
    def dot(query: Mapping[str, float], document: Mapping[str, float]) -> float:
        return sum(weight * document.get(term, 0.0) for term, weight in query.items())

    return [sorted((dot(q, d) for d in DOCUMENTS), reverse=True)[:k] for q in queries]


@pytest.mark.parametrize("name", ["contents", "content"])  # Anserini's and Seismic's
def test_terms_by_name_have_one_vocabulary(name: str, tmp_path: Path) -> None:
    said: list[str] = []
    work = given(
        lines(tmp_path / "documents.jsonl", DOCUMENTS, name),
        {"long": lines(tmp_path / "queries.jsonl", QUERIES, name)},
        2,
        2,
        say=said.append,
    )
    assert work.documents.n_terms == 3
    assert work.queries["long"].n_rows == 2
    assert work.queries["long"].nnz == 3
    work.queries["long"].validate()
    assert np.allclose(work.tops["long"], naive_tops(QUERIES[:2], 2))
    (sentence,) = said
    assert "2 of 5 terms of the queries are in no document" in sentence


@pytest.mark.parametrize("suffix", [".npz", ".bin", ".csr"])
def test_terms_by_number(suffix: str, tmp_path: Path) -> None:
    documents = CSR.from_rows([{0: 1.0, 3: 2.0}, {1: 1.0}], n_terms=4)
    queries = CSR.from_rows([{0: 1.0, 2: 5.0}, {3: 1.0}], n_terms=4)
    for name, matrix in (("documents", documents), ("queries", queries)):
        ids = [str(row) for row in range(matrix.n_rows)]
        write_vectors(tmp_path / f"{name}{suffix}", None, ids, matrix)
    said: list[str] = []
    files = {"short": tmp_path / f"queries{suffix}"}
    work = given(tmp_path / f"documents{suffix}", files, 9, 1, say=said.append)
    assert work.tops["short"].tolist() == [[1.0], [2.0]]
    assert "1 of 3 terms" in said[0]


def test_what_is_refused(tmp_path: Path) -> None:
    named = lines(tmp_path / "named.jsonl", DOCUMENTS, "contents")
    strange = lines(tmp_path / "strange.jsonl", [{"owl": 1.0}], "contents")
    wide, narrow = tmp_path / "wide.npz", tmp_path / "narrow.npz"
    write_vectors(wide, None, ["a"], CSR.from_rows([{0: 1.0}], n_terms=9))
    write_vectors(narrow, None, ["a"], CSR.from_rows([{0: 1.0}], n_terms=5))
    for documents, queries, sentence in (
        (named, {"long": wide}, "has numbers for terms and .* has names"),
        (wide, {"long": named}, "has names for terms and .* has numbers"),
        (wide, {"long": narrow}, "5 columns and .* 9; both must have one for each term"),
        (named, {"long": strange}, "no queries that share a term"),
        (named, {}, "give --queries-long"),
    ):
        with pytest.raises(InputError, match=sentence):
            given(documents, queries, 9, 1, say=lambda _: None)
    with pytest.raises(InputError, match="no vector format 'csv'"):
        given(named, {"long": named}, 9, 1, "csv")


def test_accuracies() -> None:
    assert accuracies("90:97") == (0.9, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97)
    assert accuracies("99,90,95.5") == (0.9, 0.955, 0.99)
    for wrong in ("", "97:90", "90:", "0:3", "90,101", "ninety", "90,nan"):
        with pytest.raises(ValueError, match="give percents"):
            accuracies(wrong)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--queries-long", "q.npz"], "--queries-long is not looked at without --vectors"),
        (["--vector-format", "scipy"], "--vector-format is not looked at without --vectors"),
        (["--vectors", "v.npz", "--documents", "9"], "--documents is not looked at beside"),
        (["--curve", "--accuracy", "90:97"], "--accuracy is not looked at by --curve"),
        (["--accuracy", "97:90"], "--accuracy is '97:90'; give percents"),
    ],
)
def test_options_that_would_not_be_looked_at(
    words: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["bench.engine", *words])
    with pytest.raises(SystemExit):
        options()
    assert sentence in capsys.readouterr().err
