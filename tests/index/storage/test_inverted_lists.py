"""Inverted lists beside their plain twin."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from lsr.index.storage.inverted_lists import inverted_lists
from lsr.sparse import CSR
from tests.naive import exact as naive
from tests.support.matrices import same
from tests.support.strategies import matrices

pytestmark = pytest.mark.kernel

quick = settings(max_examples=80, deadline=None)


@quick
@given(matrices())
def test_inverting_is_the_twin_and_its_own_inverse(matrix: CSR) -> None:
    turned = inverted_lists(matrix)
    turned.validate()
    assert naive.rows_of(turned) == naive.transpose(matrix)
    assert turned.n_terms == matrix.n_rows
    assert same(inverted_lists(turned), matrix)


def test_inverting_keeps_trailing_empty_rows() -> None:
    matrix = CSR.from_rows([{1: 2.0}, {}, {}], 4)
    assert inverted_lists(matrix).n_terms == 3
    assert inverted_lists(matrix).n_rows == 4
    assert same(inverted_lists(inverted_lists(matrix)), matrix)
    assert same(inverted_lists(inverted_lists(CSR.empty(3, 0))), CSR.empty(3, 0))
    assert same(inverted_lists(inverted_lists(CSR.empty(0, 5))), CSR.empty(0, 5))
