"""Neighbours come back from their bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.index.blocks.neighbours import _n_bits, neighbour, pack_neighbours
from tests.naive import blocks as naiveblocks
from tests.support.block_indexes import both_ways, brief

pytestmark = pytest.mark.kernel


@both_ways
@brief
@given(st.integers(0, 70), st.integers(0, 5), st.data())
def test_neighbours_are_packed_as_the_twin_does(
    way: Any, n_documents: int, n: int, data: st.DataObject
) -> None:
    count = n_documents * n
    row = st.integers(0, max(n_documents - 1, 0))
    rows = np.array(data.draw(st.lists(row, min_size=count, max_size=count)), np.int32)
    packed = way(pack_neighbours)(rows.reshape(n_documents, n))
    assert packed.tobytes() == naiveblocks.pack_neighbours(rows.reshape(n_documents, n))
    read = [int(way(neighbour)(packed, n_documents, place)) for place in range(count)]
    assert read == rows.tolist()


@both_ways
@pytest.mark.parametrize(
    ("n_documents", "bits"),
    [(0, 1), (1, 1), (2, 1), (3, 2), (256, 8), (257, 9), (2**31 - 1, 31)],
)
def test_rows_take_as_few_bits_as_they_can(way: Any, n_documents: int, bits: int) -> None:
    assert way(_n_bits)(n_documents) == bits


@both_ways
def test_the_widest_rows_at_every_bit(way: Any) -> None:
    """31 bits that start anywhere in a byte; more documents than a test can have."""
    n_documents = 2**31 - 1
    rows = [n_documents - 1, 0, 2**30 + 1, 12_345, n_documents - 1, 1, 2**29, 7, n_documents - 1]
    number = sum(row << (31 * i) for i, row in enumerate(rows))
    packed = np.frombuffer(number.to_bytes(31 * 9 // 8 + 1 + 8, "little"), np.uint8)
    assert [int(way(neighbour)(packed, n_documents, i)) for i in range(9)] == rows
