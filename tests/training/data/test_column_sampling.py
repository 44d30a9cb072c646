"""Columns of a step: the queries' terms, and a sample that stands for all others."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lsr.training.data.column_sampling import choose_columns
from tests.support.block_indexes import brief

terms = st.lists(st.integers(0, 49), max_size=20).map(lambda some: np.array(some, np.int64))


@brief
@given(terms, terms, st.integers(1, 60))
def test_query_terms_come_first_and_the_rest_stands_for_all(
    queries: np.ndarray, own: np.ndarray, sampled: int
) -> None:
    columns = choose_columns(queries, own, 50, sampled, np.random.default_rng(0))
    n = columns.n_query
    assert columns.numbers[:n].tolist() == sorted({*queries.tolist()})
    assert len({*columns.numbers.tolist()}) == len(columns.numbers)
    assert len(columns.numbers) - n <= sampled + 1
    assert np.allclose(columns.weights.sum(), 50)
    assert (columns.weights[:n] == 1).all()
    others = {*own.tolist()} - {*queries.tolist()}
    of_own = [number in others for number in columns.numbers[n:].tolist()]
    assert np.allclose(columns.weights[n:][of_own].sum(), len(others))
    if sampled >= 50:
        assert len(columns.numbers) == 50


def test_the_estimate_is_unbiased() -> None:
    """The mean of many estimates of a sum over the vocabulary is the sum."""
    rng = np.random.default_rng(1)
    values = rng.random(200) * (np.arange(200) % 3 == 0)
    queries, own = np.arange(10), np.arange(5, 90)
    estimates = []
    for seed in range(2000):
        columns = choose_columns(queries, own, 200, 40, np.random.default_rng(seed))
        estimates.append((values[columns.numbers] * columns.weights).sum())
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - values.sum()) < 4 * error


def test_steps_draw_differently_and_repeatably() -> None:
    nothing, own = np.zeros(0, np.int64), np.arange(100)
    one, two, again = (
        choose_columns(nothing, own, 1000, 50, np.random.default_rng((0, step, 1))).numbers
        for step in (1, 2, 1)
    )
    assert not np.array_equal(one, two)
    assert np.array_equal(one, again)
