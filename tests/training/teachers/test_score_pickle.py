"""Pickles of scores are read without calling anything that they name."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.errors import DataError, InputError
from lsr.training.teachers.score_file import ScoreFile
from lsr.training.teachers.score_pickle import pickled_scores

SCORES = {1: {10: 9.5, 11: -2}, "2": {"11": 0.25}, 3: {12: 4.0}, 4: {12: 1.0}}


def written(path: Path, value: object, protocol: int = 4) -> Path:
    content = pickle.dumps(value, protocol=protocol)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ["scores.pkl", "scores.pkl.gz", "scores.pickle"])
def test_scores_of_a_collection(tmp_path: Path, name: str, protocol: int) -> None:
    """Numbers are ids too, and most of them may be of other rows."""
    teacher = ScoreFile(written(tmp_path / name, SCORES, protocol), ["1", "2"], ["10", "11"])
    teacher.prepare(["q", "r"], ["d", "e"])
    assert (teacher.n_read, teacher.n_matched) == (5, 3)
    np.testing.assert_array_equal(
        teacher.scores(np.arange(2), np.arange(2)), [[9.5, -2], [np.nan, 0.25]]
    )
    with pytest.raises(InputError, match="0 of 5 scores are of a query and a document of this run"):
        ScoreFile(tmp_path / name, ["8"], ["9"]).prepare(["q"], ["d"])


class Touch:
    """Makes a file when a common unpickler reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_calls_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "made"
    path = written(tmp_path / "a.pkl", {1: {2: Touch(mark)}})
    with pytest.raises(DataError, match=r"a\.pkl: the pickle would load .*; give one of dicts"):
        list(pickled_scores(path))
    assert not mark.exists()
    pickle.loads(path.read_bytes())
    assert mark.exists(), "it would have been made"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], "not a dict of query ids"),
        ({1: 2}, "query 1 has no dict"),
        ({1.5: {}}, "query 1.5 has no dict"),
        ({1: {2: "high"}}, "document 2 of query 1 has the score 'high'"),
        ({1: {2: float("nan")}}, "has the score nan"),
        ({1: {2: 1e39}}, "has the score 1e\\+39"),
        ({1: {2: True}}, "has the score True"),
        ({1: {None: 2.0}}, "document None"),
        ({1: {2: np.float32(3)}}, "would load numpy"),
    ],
)
def test_other_pickles_are_refused(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(pickled_scores(written(tmp_path / "a.pkl", value)))


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(SCORES)[:-9]])
def test_broken_pickles_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(DataError, match="is not a whole pickle"):
        list(pickled_scores(tmp_path / "a.pkl"))
