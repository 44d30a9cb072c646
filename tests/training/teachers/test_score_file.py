"""Score files as teachers, and the table of known pairs."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from lsr.datasets.lines import zstd
from lsr.errors import DataError, InputError
from lsr.training.teachers.pair_table import PairTable
from lsr.training.teachers.protocol import Teacher
from lsr.training.teachers.score_file import ScoreFile


def test_the_last_score_of_a_pair_is_kept() -> None:
    table = PairTable(10)
    table.add(np.array([1, 2, 1]), np.array([9, 0, 9]), np.array([1, 2, 3], np.float32))
    assert table.scores(np.array([1, 2]), np.array([0, 9])).tolist()[0][1] == 3
    table.add(np.array([2]), np.array([0]), np.array([5], np.float32))
    np.testing.assert_array_equal(
        table.scores(np.array([2, 1]), np.array([0, 9])), [[5, np.nan], [np.nan, 3]]
    )
    assert len(table) == 2


RECORDS = [("q1", "a", 1.5), ("q1", "b", -2), ("q2", "b", 0), ("q9", "a", 3)]


def written(path: Path, records: list[tuple[object, object, object]]) -> Path:
    names = ("query_id", "doc_id", "score")
    lines = [json.dumps(dict(zip(names, record, strict=True))) for record in records]
    content = "\n\n".join(lines).encode()
    if path.suffix == ".gz":
        content = gzip.compress(content)
    elif path.suffix == ".zst":
        content = zstd.compress(content)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_a_score_file(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"scores.{suffix}", list(RECORDS))
    teacher = ScoreFile(path, ["q1", "q2", "q1"], ["b", "a"])
    assert isinstance(teacher, Teacher)
    with pytest.raises(InputError, match="call prepare first"):
        teacher.scores(np.arange(3), np.arange(2))
    teacher.prepare(["x", "y", "x"], ["d", "e"])
    assert (teacher.n_read, teacher.n_matched) == (4, 3)
    nan = np.nan
    np.testing.assert_array_equal(
        teacher.scores(np.arange(3), np.arange(2)), [[-2, 1.5], [0, nan], [-2, 1.5]]
    )
    np.testing.assert_array_equal(teacher.scores(np.array([1]), np.array([1, 0])), [[nan, 0]])
    with pytest.raises(InputError, match=f"the teacher scores.{suffix} knows chosen pairs only"):
        teacher.best(np.arange(3), 1)
    other = written(tmp_path / "other.jsonl", [*RECORDS, ("q2", "a", 1)])
    assert ScoreFile(other, [], []).identity != teacher.identity


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([("q8", "a", 1), ("q9", "a", 3)], "0 of 2 scores are of a query and a document of this"),
        ([("q1", "a", 1), ("q8", "a", 1), ("q9", "a", 3)], "1 of 3 scores"),
        ([], "0 of 0 scores"),
        ([("q1", "a", 1), ("q1", "a", 2)], "line 3: query 'q1' and document 'a' have another"),
        ([("q1", "a", 1), ("q1", "b", "2")], "line 3: score is missing or not a number"),
        ([("q1", "a", True)], "line 1: score is missing"),
        ([("q1", "a", float("nan"))], "line 1: not valid JSON"),
        ([("q1", "a", 1e39)], "line 1: score is missing or not a number that fits 32 bits"),
        ([("q1", None, 1)], "line 1: doc_id is missing or not a text"),
    ],
)
def test_score_files_that_are_refused(
    tmp_path: Path, records: list[tuple[object, object, object]], message: str
) -> None:
    path = written(tmp_path / "scores.jsonl", records)
    with pytest.raises(InputError, match=message) as caught:
        ScoreFile(path, ["q1"], ["a", "b"]).prepare(["x"], ["d", "e"])
    assert str(path) in str(caught.value)


def test_more_score_files_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        ScoreFile(tmp_path / "none.jsonl", ["q1"], ["a"]).prepare(["x"], ["d"])
    path = written(tmp_path / "scores.jsonl", list(RECORDS))
    with pytest.raises(InputError, match="1 query ids and 1 document ids for 1 queries and 2"):
        ScoreFile(path, ["q1"], ["a"]).prepare(["x"], ["d", "e"])


def test_numbers_may_be_ids(tmp_path: Path) -> None:
    path = written(tmp_path / "scores.jsonl", [(7, 12, 0.25)])
    teacher = ScoreFile(path, ["7"], ["12"])
    teacher.prepare(["x"], ["d"])
    assert teacher.scores(np.array([0]), np.array([0])).tolist() == [[0.25]]


def test_a_check_reads_no_more_than_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses what `prepare` would, and of a long file reads the beginning."""
    path = written(tmp_path / "scores.jsonl", [*RECORDS, ("q1", "c", "no number")])
    with pytest.raises(DataError, match="score is missing"):
        ScoreFile(path, ["q1", "q2"], ["a", "b"]).check()
    monkeypatch.setattr("lsr.training.teachers.score_file.CHECKED", 4)
    ScoreFile(path, ["q9"], ["a"]).check()
    with pytest.raises(InputError, match="0 of 4 scores are of a query and a document of this"):
        ScoreFile(path, ["q7"], ["a"]).check()
