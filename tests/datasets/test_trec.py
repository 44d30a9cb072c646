"""TREC files: what is written is what is read, and what cannot be written is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.datasets.trec import read_qrels, read_run, write_qrels, write_run
from lsr.errors import DataError, InputError
from lsr.types import Qrels, ScoredDoc, ranked
from tests.support.strategies import blankless_ids

quick = settings(max_examples=60, deadline=None)
scores = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 1.0])


@quick
@given(
    plain=st.dictionaries(
        blankless_ids(), st.dictionaries(blankless_ids(), scores, min_size=1, max_size=5)
    )
)
def test_run_round_trip(
    plain: dict[str, dict[str, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = {
        query_id: ranked([ScoredDoc(query_id, doc_id, score) for doc_id, score in hits.items()])
        for query_id, hits in plain.items()
    }
    path = tmp_path_factory.mktemp("trec") / "run.txt"
    write_run(path, run, "tag")
    assert read_run(path) == run
    assert list(read_run(path)) == list(run), "queries keep their order"


@quick
@given(
    qrels=st.dictionaries(
        blankless_ids(),
        st.dictionaries(blankless_ids(), st.integers(-2, 10), min_size=1, max_size=5),
    )
)
def test_qrels_round_trip(qrels: Qrels, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("trec") / "qrels.txt"
    write_qrels(path, qrels)
    assert read_qrels(path) == qrels


def test_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    write_run(path, {"q": [ScoredDoc("q", "b", 2.0), ScoredDoc("q", "a", 0.1)], "r": []}, "mine")
    assert path.read_text() == "q Q0 b 1 2.0 mine\nq Q0 a 2 0.1 mine\n"
    write_qrels(path, {"q": {"b": 1, "a": 0}})
    assert path.read_text() == "q 0 b 1\nq 0 a 0\n"


def test_numpy_scores_are_written_as_numbers(tmp_path: Path) -> None:
    """`np.float64` is a float, and its repr is not a number."""
    path = tmp_path / "run.txt"
    write_run(path, {"q": [ScoredDoc("q", "a", np.float64(0.1))]}, "t")
    assert path.read_text() == "q Q0 a 1 0.1 t\n"


def test_a_run_is_put_in_order(tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    path.write_bytes(
        b"\xef\xbb\xbfq2 Q0 a 1 1e0 t\r\n\r\nq1\tQ0  b 9 1.5 t\nq1 Q0 c 1 1.5 t\n"
        b"q1 Q0 a 5 1.5 t\nq1 Q0 z 2 7 t\n"
    )
    assert read_run(path) == {
        "q2": [ScoredDoc("q2", "a", 1.0)],
        "q1": [
            ScoredDoc("q1", doc_id, score)
            for doc_id, score in zip("zabc", [7, 1.5, 1.5, 1.5], strict=True)
        ],
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q Q0 d 1 0.5", "5 fields where 6 are needed"),
        ("q Q0 d 1 0.5 t x", "7 fields where 6 are needed"),
        ("q Q0 d 1 high t", "score 'high' is not a finite number"),
        ("q Q0 d 1 nan t", "score 'nan' is not a finite number"),
        ("q Q0 d 1 -inf t", "score '-inf' is not a finite number"),
        ("q Q0 a 2 0.1 t", "document 'a' twice for query 'q'"),
    ],
)
def test_bad_runs(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "run.txt"
    path.write_text(f"q Q0 a 1 0.5 t\n\n{line}\n")
    with pytest.raises(DataError, match=f"^{path}, line 3: {message}"):
        read_run(path)


def test_qrels_with_a_header_and_decimal_grades(tmp_path: Path) -> None:
    path = tmp_path / "qrels.txt"
    path.write_text("topic iteration docid relevance\nq 0 a 2.0\nq 0 b -2\n")
    assert read_qrels(path) == {"q": {"a": 2, "b": -2}}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q 0 d", "3 fields where 4 are needed"),
        ("q 0 d 1 x", "5 fields where 4 are needed"),
        ("q 0 d high", "grade 'high' is not a whole number"),
        ("q 0 d 1.5", "grade '1.5' is not a whole number"),
        ("q 0 a 2", "document 'a' has grade 2 for query 'q', and grade 1 further up"),
    ],
)
def test_bad_qrels(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "qrels.txt"
    path.write_text(f"\nq 0 a 1\n{line}\n")
    with pytest.raises(DataError, match=f"^{path}, line 3: {message}"):
        read_qrels(path)


@pytest.mark.parametrize(
    "bad", ["", "a b", "a\tb", "a\n", "\u00a0", "a\u2028", "\ufeffa", "\ud800"]
)
def test_ids_that_cannot_be_written(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "out.txt"
    for run, tag in (
        ({"q": [ScoredDoc("q", bad, 1.0)]}, "t"),
        ({bad: [ScoredDoc(bad, "d", 1.0)]}, "t"),
        ({"q": [ScoredDoc("q", "d", 1.0)]}, bad),
    ):
        with pytest.raises(InputError):
            write_run(path, run, tag)
    with pytest.raises(InputError):
        write_qrels(path, {bad: {"d": 1}})
    with pytest.raises(InputError):
        write_qrels(path, {"q": {bad: 1}})
    assert not path.exists()


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_scores_that_could_not_be_read_again(tmp_path: Path, score: float) -> None:
    with pytest.raises(InputError, match="finite"):
        write_run(tmp_path / "run.txt", {"q": [ScoredDoc("q", "d", score)]}, "t")
    assert not (tmp_path / "run.txt").exists()
