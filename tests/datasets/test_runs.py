"""Runs in all forms are one run; what is no run is refused in a sentence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lsr.datasets.runs import made_run, open_run
from lsr.datasets.trec import write_run
from lsr.errors import DataError, UnavailableError
from lsr.types import Run, ScoredDoc

SCORES = {"q1": {"b": 2.5, "a": 2.5, "c": 7.0}, "q2": {"a": -1.0}}
RUN: Run = {
    "q1": [ScoredDoc("q1", "c", 7.0), ScoredDoc("q1", "a", 2.5), ScoredDoc("q1", "b", 2.5)],
    "q2": [ScoredDoc("q2", "a", -1.0)],
}


def test_every_form_is_the_same_run(tmp_path: Path) -> None:
    write_run(tmp_path / "run.trec", RUN, "t")
    packed = gzip.compress((tmp_path / "run.trec").read_bytes())
    (tmp_path / "run.txt.gz").write_bytes(packed)
    (tmp_path / "run.json").write_text(json.dumps(SCORES))
    (tmp_path / "run.json.gz").write_bytes(gzip.compress(json.dumps(SCORES).encode()))
    for path in tmp_path.iterdir():
        assert open_run(path) == RUN, path.name
    assert made_run(SCORES, "mine") == made_run(RUN, "mine") == RUN


def test_what_ranx_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CBOR in a frame in a frame, as `ranx.Run.save` writes it."""
    cbor2, frame = pytest.importorskip("cbor2"), pytest.importorskip("lz4.frame")
    path = tmp_path / "run.lz4"
    path.write_bytes(frame.compress(frame.compress(cbor2.dumps(SCORES))))
    assert open_run(path) == RUN
    path.write_bytes(frame.compress(b"x"))
    with pytest.raises(DataError, match="is not what ranx saves"):
        open_run(path)
    monkeypatch.setitem(__import__("sys").modules, "cbor2", None)
    with pytest.raises(UnavailableError, match="come with ranx and are not installed"):
        open_run(path)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.trec", "", "holds no hits"),
        ("a.json", '{"q": {}}', "holds no hits"),
        ("a.json", '{"q": ', "not valid JSON"),
        ("a.json", "[1]", "a run is query ids with their documents, as .* this is a list"),
        ("a.json", '{"q": ["d"]}', "query 'q' needs its documents with their scores"),
        ("a.json", '{"q": {"d": 1, "d": 2}}', "document 'd' twice for query 'q'"),
        ("a.json", '{"q": {"d": 1}, "q": {"e": 2}}', "query 'q' comes twice"),
        ("a.json", '{"q": {"d": NaN}}', "document 'd' of query 'q' has the score nan, which is no"),
        ("a.json", '{"q": {"d": 1e999}}', "has the score inf"),
        ("a.json", '{"q": {"d": "1"}}', "has the score '1'"),
        ("a.json", '{"q": {"d": true}}', "has the score True"),
        ("a.json", '{"q": {"d": null}}', "has the score None"),
        ("a.json", '{"q": {"": 1}}', "an id is ''; it must be a text that is not empty"),
        ("a.trec", "q d 1.0\n", r"line 1: 3 fields where 6 are needed \(query_id Q0 doc_id rank"),
        ("a.trec", "q Q0 d 1 nan t\n", "line 1: score 'nan' is not a finite number"),
        ("a.trec", "q Q0 d 1 2 t\nq Q0 d 2 1 t\n", "line 2: document 'd' twice for query 'q'"),
        ("a.trec.gz", "x", "cannot be decompressed"),
        ("a.parquet", "x", "runs in Parquet are not read"),
    ],
)
def test_what_is_no_run(tmp_path: Path, name: str, content: str, sentence: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=sentence):
        open_run(tmp_path / name)


def test_what_is_no_run_in_python(tmp_path: Path) -> None:
    bad: list[tuple[Any, str]] = [
        ({1: {"d": 1.0}}, "an id is 1"),
        ({"q": [("d", 1.0)]}, "query 'q' needs its documents"),
        ({"q": [ScoredDoc("q", "d", 1.0)] * 2}, "document 'd' twice"),
        ({"q": {"d": 10**400}}, "not a finite number"),
        ("text", "this is a str"),
    ]
    for run, sentence in bad:
        with pytest.raises(DataError, match=f"^mine: .*{sentence}"):
            made_run(run, "mine")
    with pytest.raises(DataError, match="no such file"):
        open_run(tmp_path / "no.trec")
