"""Fields of rows in the layouts of several trainers; and what is named or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lsr.errors import DataError
from lsr.training.config.train import Source
from lsr.training.data.pairs import Pairs
from lsr.training.data.sources import read_source, read_sources
from tests.training.data.test_pairs import as_texts
from tests.training.data.test_sources import lines

Scores = dict[str, float]


def read(path: str | Path, **source: Any) -> Pairs:
    return read_source(Source(path=str(path), **source))


def scores(pairs: Pairs, row: int = 0) -> Scores:
    texts = [pairs.documents[place] for place in pairs.scored[row]]
    return dict(zip(texts, pairs.scored.scores_of(row).tolist(), strict=True))


LAYOUTS: dict[str, tuple[dict[str, Any], tuple[str, list[str]], Scores]] = {
    "scored list": (
        {"query": "q", "documents": ["a", "b"], "scores": [3, 0.5]},
        ("", []),
        {"a": 3.0, "b": 0.5},
    ),
    "OpenSearch's scored list": (
        {"query": "q", "docs": ["a", "b"], "scores": [1.5, -2]},
        ("", []),
        {"a": 1.5, "b": -2.0},
    ),
    "OpenSearch's negatives": (
        {"query": "q", "pos": "p", "negs": ["m", "n"]},
        ("p", ["m", "n"]),
        {},
    ),
    "hard negatives": ({"query": "q", "positive": "p", "hard_negs": ["m"]}, ("p", ["m"]), {}),
    "hard_negatives": ({"query": "q", "positive": "p", "hard_negatives": ["m"]}, ("p", ["m"]), {}),
    "Tevatron": (
        {
            "query_id": "7",
            "query": "q",
            "positive_passages": [{"docid": "1", "title": "T", "text": "p"}],
            "negative_passages": [{"docid": "2", "title": "", "text": "n"}],
        },
        ("T p", ["n"]),
        {},
    ),
    "margin of a triple": (
        {"query": "q", "positive": "p", "negative": "n", "score": 4.5},
        ("p", ["n"]),
        {"p": 0.0, "n": -4.5},
    ),
    "label of a triple": (
        {"anchor": "q", "positive": "p", "negative": "n", "label": 2},
        ("p", ["n"]),
        {"p": 0.0, "n": -2.0},
    ),
    "both scores of a triple": (
        {"query": "q", "positive": "p", "negative": "n", "label": [9, 4]},
        ("p", ["n"]),
        {"p": 9.0, "n": 4.0},
    ),
    "n-tuple with scores": (
        {"query": "q", "positive": "p", "negative_2": "n", "negative_1": "m", "label": [9, 4, 1]},
        ("p", ["m", "n"]),
        {"p": 9.0, "m": 4.0, "n": 1.0},
    ),
    "n-tuple with margins": (
        {"query": "q", "positive": "p", "negative_1": "m", "negative_2": "n", "label": [5, 8]},
        ("p", ["m", "n"]),
        {"p": 0.0, "m": -5.0, "n": -8.0},
    ),
    "margins by name": (
        {"query": "q", "positive": "p", "negatives": ["m", "n"], "margins": [5, 8]},
        ("p", ["m", "n"]),
        {"p": 0.0, "m": -5.0, "n": -8.0},
    ),
    "negatives with scores": (
        {"query": "q", "positive": "p", "negatives": ["m", "n"], "scores": [7, 6, 5]},
        ("p", ["m", "n"]),
        {"p": 7.0, "m": 6.0, "n": 5.0},
    ),
    "FlagEmbedding": (
        {"query": "q", "pos": ["p"], "neg": ["n"], "pos_scores": [2], "neg_scores": [-1]},
        ("p", ["n"]),
        {"p": 2.0, "n": -1.0},
    ),
    "scored positive": ({"query": "q", "positive": "p", "score": 3}, ("p", []), {"p": 3.0}),
    "scored pair": ({"sentence1": "q", "sentence2": "p", "label": 0}, ("", []), {"p": 0.0}),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(tmp_path: Path, name: str) -> None:
    record, (positive, negatives), wanted = LAYOUTS[name]
    pairs = read(lines(tmp_path / "a.jsonl", record))
    assert as_texts(pairs) == [("q", positive, negatives)]
    assert scores(pairs) == wanted
    assert pairs.notes == ()


def test_a_null_is_no_field(tmp_path: Path) -> None:
    nulls = {"negatives": None, "score": None, "rank": None}
    pairs = read(lines(tmp_path / "a.jsonl", {"query": "q", "positive": "p", **nulls}))
    assert (as_texts(pairs), scores(pairs), pairs.notes) == ([("q", "p", [])], {}, ())


def test_passages_keep_their_ids_for_score_files(tmp_path: Path) -> None:
    pairs = read(lines(tmp_path / "a.jsonl", LAYOUTS["Tevatron"][0]))
    assert (pairs.query_ids, sorted(pairs.document_ids)) == (["7"], ["1", "2"])


def test_tables_have_scores_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("query\tpositive\tnegative\tmargin\nq\tp\tn\t1.5\n")
    assert scores(read(tmp_path / "a.tsv")) == {"p": 0.0, "n": -1.5}
    (tmp_path / "a.tsv").write_text("query\tdocument\tscore\nq\ta\t1\nq\tb\t3\n")
    pairs = read(tmp_path / "a.tsv").deduplicated()
    assert len(pairs) == 1, "lines of one query are a list"
    assert scores(pairs) == {"a": 1.0, "b": 3.0}


def test_fields_that_are_not_understood_are_named_once_a_source(tmp_path: Path) -> None:
    one = lines(
        tmp_path / "one.jsonl",
        {"query": "q", "positive": "p", "rank": 3, "_id": "1", "source": "x", "doc_ids": [1]},
        {"query": "r", "positive": "s", "rank": 4, "teacher_logits": [1], "licence": "free"},
    )
    two = lines(
        tmp_path / "two.jsonl",
        {"query": "q", "positive_passages": [{"docid": "1", "text": "p", "bm25": 3.5}]},
    )
    sources = [Source(path=one, where={"licence": ("free",)}), Source(path=one), Source(path=two)]
    pairs, _ = read_sources(sources)
    prefix = "fields that are not understood, and not used:"
    assert pairs.notes == (
        f"one: {prefix} 'rank', 'teacher_logits'",
        f"one-2: {prefix} 'rank', 'teacher_logits' (1 of 2 rows), 'licence' (1 of 2 rows)",
        f"two: {prefix} 'positive_passages.bm25'",
    )
    assert pairs.deduplicated().split(0.5, 0)[0].notes == pairs.notes


TRIPLE = {"query": "q", "positive": "p", "negative": "n"}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a list without scores": ({"query": "q", "docs": ["a"]}, "docs need scores, one each"),
    "too few scores": ({"query": "q", "docs": ["a", "b"], "scores": [1]}, "one number for each"),
    "one score for a list": (
        {"query": "q", "docs": ["a", "b"], "scores": 1},
        "one number for each",
    ),
    "too many scores": (TRIPLE | {"label": [1, 2, 3]}, "a list of 3 for 1 positives and 1 neg"),
    "one margin for two": (
        {"query": "q", "positive": "p", "negatives": ["m", "n"], "score": 1},
        "one number for 1 positives and 2 negatives; give a score",
    ),
    "scores of one side": ({**TRIPLE, "pos_scores": [1]}, "neg_scores has 0 numbers for 1"),
    "too great": (TRIPLE | {"score": 1e39}, "1e\\+39 is not a finite number"),
    "text": (TRIPLE | {"score": "high"}, "score 'high' is not a number"),
    "true": (TRIPLE | {"score": True}, "score True is not a number"),
    "a passage without text": ({"query": "q", "positive": [{"docid": "1"}]}, "must hold text"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_rows_are_refused_with_their_line(tmp_path: Path, name: str) -> None:
    record, message = WRONG[name]
    path = lines(tmp_path / "a.jsonl", {"query": "q", "positive": "p"}, record)
    with pytest.raises(DataError, match=f"line 2: .*{message}"):
        read(path)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(TRIPLE)[:-1] + ', "score": 1e999}')
    with pytest.raises(DataError, match="line 1: score inf is not a finite number"):
        read(path)


def test_tables_that_would_be_misread_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a query\ta text\t0.7\n")
    with pytest.raises(DataError, match="line 1: the third column is a number; name the columns"):
        read(tmp_path / "a.tsv")
    (tmp_path / "a.tsv").write_text("12\t7\t8\n")
    with pytest.raises(DataError, match="line 1: a line holds ids; name the files"):
        read(tmp_path / "a.tsv")
