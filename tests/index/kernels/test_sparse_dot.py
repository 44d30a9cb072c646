"""Inner products by comparing vectors of components, against a plain sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lsr.index.kernels.sparse_dot import FEW_TERMS, LANES, match_dot
from tests.support.block_indexes import compiled

pytestmark = [compiled, pytest.mark.kernel]  # generated code, with no Python to run instead

WIDTHS = (np.uint16, np.uint32)
LENGTHS = (32, 64, 96, 128)


def plain(
    terms: NDArray[Any], codes: NDArray[np.uint8], query: dict[int, int], at: tuple[int, int, int]
) -> int:
    """Of components that repeat, as padding does, each one counts."""
    first, code, length = at
    return sum(int(codes[code + i]) * query.get(int(terms[first + i]), 0) for i in range(length))


def matched(
    terms: NDArray[Any],
    codes: NDArray[np.uint8],
    query: dict[int, int],
    place: tuple[int, int, int],
    n_extra: int = 0,
) -> int:
    """With `n_extra` terms behind the query's that must not be looked at."""
    query_terms = np.full(len(query) + n_extra, terms[place[0]], terms.dtype)
    query_codes = np.full(len(query) + n_extra, 255, np.uint16)
    query_terms[: len(query)] = list(query)
    query_codes[: len(query)] = list(query.values())
    first, code, length = place
    found = match_dot(terms, codes, first, code, length, query_terms, query_codes, len(query))
    return int(found)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(WIDTHS),
    st.sampled_from(LENGTHS),
    st.integers(0, 40),
    st.integers(0, 70),
    st.integers(0, FEW_TERMS),
    st.sampled_from([20, 200, 2**16 - 1]),
)
def test_a_plain_sum(
    seed: int, width: Any, length: int, first: int, code: int, n_query: int, n_terms: int
) -> None:
    """At any place, with few terms and many, and what fills heads up at the end."""
    rng = np.random.default_rng(seed)
    top = np.iinfo(width).max
    terms = rng.integers(0, n_terms, first + length + 5).astype(width)
    codes = rng.integers(0, 256, code + length + 5).astype(np.uint8)
    ends = np.array([0, top, top - 1, top // 2 + 1], np.uint64).astype(width)
    chosen = rng.random(len(terms)) < 0.2
    terms[chosen] = rng.choice(ends, int(chosen.sum()))
    n_filled = int(rng.integers(0, length + 1))
    terms[first + n_filled : first + length] = 0
    codes[code + n_filled : code + length] = 0
    pool = rng.permutation(np.unique(np.concatenate([terms, ends, ends - 1])))
    weights = rng.choice([0, 1, 17, 254, 255], n_query)
    query = dict(zip(pool[:n_query].tolist(), weights.tolist(), strict=False))
    expected = plain(terms, codes, query, (first, code, length))
    assert matched(terms, codes, query, (first, code, length)) == expected
    assert matched(terms, codes, query, (first, code, length), n_extra=2) == expected


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("length", LENGTHS)
def test_the_largest_codes_do_not_overflow(width: Any, length: int) -> None:
    terms = np.full(length, np.iinfo(width).max, width)
    codes = np.full(length, 255, np.uint8)
    query = dict.fromkeys(range(FEW_TERMS - 1), 255) | {int(terms[0]): 255}
    assert matched(terms, codes, query, (0, 0, length)) == 255 * 255 * length


@pytest.mark.parametrize("width", WIDTHS)
def test_each_place_is_looked_at_once(width: Any) -> None:
    """And none before or after; also halves of components are not taken for them."""
    length = 2 * LANES
    for place in range(length):
        terms = np.full(length + 2, 7, width)
        codes = np.full(length + 2, 255, np.uint8)
        terms[place + 1], codes[place + 1] = 5, place + 1
        assert matched(terms, codes, {5: 3}, (1, 1, length)) == 3 * (place + 1)
    if width is np.uint32:
        terms = np.full(length, 5 + (5 << 16), width)
        assert matched(terms, np.full(length, 9, np.uint8), {5: 3, 5 << 16: 3}, (0, 0, length)) == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_padding_weighs_nothing(width: Any) -> None:
    terms, codes = np.zeros(LANES, width), np.zeros(LANES, np.uint8)
    assert matched(terms, codes, {0: 255}, (0, 0, LANES)) == 0
    codes[0] = 2
    assert matched(terms, codes, {0: 255}, (0, 0, LANES)) == 510
    assert matched(terms, codes, {}, (0, 0, LANES)) == 0
    assert matched(terms, codes, {0: 255}, (0, 0, 0)) == 0
