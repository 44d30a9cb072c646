"""The scores that rows bring, as a teacher."""

from __future__ import annotations

import numpy as np
import pytest

from lsr.errors import InputError
from lsr.training.teachers.protocol import PairTeacher, Teacher
from lsr.training.teachers.row_scores import RowScores


def teacher(*scores: float) -> RowScores:
    return RowScores(np.array([0, 0, 2]), np.array([1, 0, 1]), np.array(scores, np.float32))


def test_pairs_of_rows_are_known_and_others_are_not() -> None:
    rows = teacher(3, 1, 2)
    assert isinstance(rows, Teacher)
    assert not isinstance(rows, PairTeacher)
    with pytest.raises(InputError, match="the teacher rows has no texts yet"):
        rows.scores(np.arange(3), np.arange(2))
    rows.prepare(["q", "r", "s"], ["x", "y"])
    nan = np.nan
    np.testing.assert_array_equal(
        rows.scores(np.arange(3), np.arange(2)), [[1, 3], [nan, nan], [nan, 2]]
    )
    with pytest.raises(InputError, match="the teacher rows knows chosen pairs only"):
        rows.best(np.arange(3), 1)


def test_its_identity_is_of_the_scores() -> None:
    assert teacher(3, 1, 2).identity == teacher(3, 1, 2).identity != teacher(3, 1, 4).identity
