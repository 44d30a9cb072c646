"""Rows that hold ids, and the files of their texts."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lsr.errors import DataError
from lsr.training.config.train import Source
from lsr.training.data.pairs import Pairs
from lsr.training.data.sources import read_source
from tests.training.data.test_pairs import as_texts
from tests.training.data.test_sources import lines


@pytest.fixture
def texts(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "queries.tsv").write_text("1\tq\n2\tr\n")
    packed = gzip.compress(b"10\tp\n11\tm\n12\tn\n13\tnot asked for\n")
    (tmp_path / "collection.tsv.gz").write_bytes(packed)
    return {
        "queries": str(tmp_path / "queries.tsv"),
        "documents": str(tmp_path / "collection.tsv.gz"),
    }


def read(path: str | Path, **source: Any) -> Pairs:
    return read_source(Source(path=str(path), **source))


def test_triples_of_ids(tmp_path: Path, texts: dict[str, str]) -> None:
    path = tmp_path / "qidpidtriples.tsv"
    path.write_text("1\t10\t11\n2\t12\t10\n")
    pairs = read(path, **texts)
    assert as_texts(pairs) == [("q", "p", ["m"]), ("r", "n", ["p"])]
    assert pairs.query_ids == ["1", "2"]
    assert dict(zip(pairs.documents, pairs.document_ids, strict=True)) == {
        "p": "10",
        "m": "11",
        "n": "12",
    }, "documents that no row names are not there"
    path.write_text("qid\tpos\tneg_1\tneg_2\n1\t10\t11\t12\n")
    assert as_texts(read(path, **texts)) == [("q", "p", ["m", "n"])]


def test_lines_of_ids_with_negatives_by_system(tmp_path: Path, texts: dict[str, str]) -> None:
    record = {"qid": 1, "pos": [10], "neg": {"bm25": [11], "dense": [12, 11]}}
    pairs = read(lines(tmp_path / "hard.jsonl", record), **texts)
    assert as_texts(pairs) == [("q", "p", ["m", "n"])]
    assert pairs.notes == ()


def test_texts_may_be_lines_with_titles(tmp_path: Path, texts: dict[str, str]) -> None:
    corpus = lines(tmp_path / "corpus.jsonl", {"_id": "10", "title": "T", "text": "p"})
    rows = lines(tmp_path / "rows.jsonl", {"query": 1, "documents": [10], "scores": [2]})
    pairs = read(rows, queries=texts["queries"], documents=corpus)
    assert pairs.documents == ["T p"]
    assert pairs.scored.scores_of(0).tolist() == [2.0]


def test_ids_that_cannot_be_used_are_refused(tmp_path: Path, texts: dict[str, str]) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("1\t10\t11\n1\t99\t11\n")
    with pytest.raises(DataError, match=r"a.tsv, line 2: id '99' has no text in .*collection"):
        read(path, **texts)
    path.write_text("9\t10\t11\n")
    with pytest.raises(DataError, match=r"line 1: id '9' has no text in .*queries.tsv"):
        read(path, **texts)
    path.write_text("1\n")
    with pytest.raises(DataError, match="line 1: a line is the ids of a query"):
        read(path, **texts)
    path.write_text("1\t10\t11\n")
    three = tmp_path / "three.tsv"
    three.write_text("10\ttitle\ttext\n")
    with pytest.raises(DataError, match=r"three.tsv, line 1: a line is an id and a text"):
        read(path, queries=texts["queries"], documents=str(three))
    twice = tmp_path / "twice.tsv"
    twice.write_text("10\tp\n10\tother\n")
    with pytest.raises(DataError, match="line 2: id '10' has another text further up"):
        read(path, queries=texts["queries"], documents=str(twice))
    with pytest.raises(DataError, match="brings its own texts"):
        read("irds:tiny/train", **texts)
    with pytest.raises(ValidationError, match="give both"):
        Source(path="a.tsv", queries="q.tsv")
