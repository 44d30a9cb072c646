"""Sparse matrices keep their invariants, and agree with plain dictionaries and with SciPy."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lsr.sparse
from lsr.datasets.vectors.npz import to_scipy
from lsr.errors import InputError
from lsr.sparse import CSR, MAX_TERMS, SparseVector
from tests.naive import exact as naive
from tests.support.matrices import same
from tests.support.strategies import matrices

quick = settings(max_examples=80, deadline=None)


@quick
@given(matrices())
def test_constructors_make_valid_matrices(matrix: CSR) -> None:
    matrix.validate()
    again = CSR.from_vectors([matrix.row(i) for i in range(matrix.n_rows)], matrix.n_terms)
    again.validate()
    assert same(again, matrix)
    assert again.indptr.dtype == np.int64
    assert again.terms.dtype == np.int32
    assert again.weights.dtype == np.float32


@quick
@given(matrices(), st.randoms(use_true_random=False), st.sampled_from([1, 3, 1 << 20]))
def test_entries_in_any_order(matrix: CSR, random: Random, at_once: int) -> None:
    lengths, terms, weights = np.diff(matrix.indptr).tolist(), [], []
    for row in naive.rows_of(matrix):
        entries = list(row.items())
        random.shuffle(entries)
        terms += [term for term, _ in entries]
        weights += [float(weight) for _, weight in entries]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lsr.sparse, "_SORTED_ENTRIES", at_once)
        assert same(CSR.from_entries(lengths, terms, weights, matrix.n_terms), matrix)


@quick
@given(matrices())
def test_scipy_round_trip(matrix: CSR) -> None:
    if matrix.n_rows == 0:
        return
    dense = to_scipy(matrix).toarray()
    assert dense.shape == (matrix.n_rows, matrix.n_terms)
    for i, row in enumerate(naive.rows_of(matrix)):
        assert {t: dense[i, t] for t in np.flatnonzero(dense[i]).tolist()} == row
    assert same(CSR.from_scipy(to_scipy(matrix)), matrix)


def test_from_scipy_sums_duplicates_and_drops_zeros() -> None:
    from scipy.sparse import coo_array, csr_array

    source = coo_array(
        (np.array([1.0, 2.0, 5.0, 0.0]), (np.array([0, 0, 2, 2]), np.array([4, 4, 1, 0]))),
        shape=(4, 6),
    )
    matrix = CSR.from_scipy(source)
    assert naive.rows_of(matrix) == [{4: 3.0}, {}, {1: 5.0}, {}]
    assert matrix.n_terms == 6
    cancelled = coo_array((np.array([1.0, -1.0]), (np.array([0, 0]), np.array([2, 2]))), (1, 3))
    assert CSR.from_scipy(cancelled).nnz == 0
    with pytest.raises(InputError, match="row 1 has a weight that is zero or negative"):
        CSR.from_scipy(csr_array(np.array([[1.0], [-1.0]])))


def test_from_scipy_leaves_the_source_alone() -> None:
    from scipy.sparse import csr_array

    source = csr_array(
        (np.array([1.0, 0.0, 2.0]), np.array([3, 1, 3]), np.array([0, 3])), shape=(1, 4)
    )
    CSR.from_scipy(source)
    assert source.data.tolist() == [1.0, 0.0, 2.0]
    assert source.indices.tolist() == [3, 1, 3]


@quick
@given(matrices(), st.integers(0, 8))
def test_top_terms_is_the_twin(matrix: CSR, m: int) -> None:
    best = matrix.top_terms(m)
    best.validate()
    assert naive.rows_of(best) == naive.top_terms(matrix, m)
    assert best.n_terms == matrix.n_terms


def test_top_terms_keeps_the_smaller_of_equals() -> None:
    matrix = CSR.from_rows([{9: 1.0, 3: 1.0, 5: 2.0, 4: 1.0}])
    assert naive.rows_of(matrix.top_terms(2)) == [{3: 1.0, 5: 2.0}]
    with pytest.raises(InputError, match="m must be 0 or more"):
        matrix.top_terms(-1)


@quick
@given(st.lists(matrices(max_rows=5), max_size=4))
def test_concatenate_is_all_rows(parts: list[CSR]) -> None:
    whole = CSR.concatenate(parts)
    whole.validate()
    assert naive.rows_of(whole) == [row for part in parts for row in naive.rows_of(part)]
    assert whole.n_terms == max((part.n_terms for part in parts), default=0)


@quick
@given(matrices(few=False), st.sampled_from([8, 16]))
def test_quantise_error_is_half_a_step(matrix: CSR, bits: int) -> None:
    quantised = matrix.quantise(bits)
    assert quantised.codes.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert len(quantised.codes) == matrix.nnz
    if matrix.nnz:
        assert quantised.codes.min() >= 1
        assert quantised.codes.max() == 2**bits - 1
        weights = matrix.weights.astype(np.float64)
        restored = quantised.codes * quantised.scale
        # a weight below half a step is raised to one step: not dropped, at the cost of its error
        bound = np.where(weights < quantised.scale / 2, quantised.scale, quantised.scale / 2)
        assert np.all(np.abs(restored - weights) <= bound * (1 + 1e-9))


def test_quantise_by_hand() -> None:
    matrix = CSR.from_rows([{0: 1.0, 1: 0.24}, {1: 255.0, 2: 0.01}])
    assert matrix.quantise(8).codes.tolist() == [1, 1, 255, 1]
    assert matrix.quantise(8).scale == 1.0
    fine = matrix.quantise(16, scale=0.01)
    assert fine.codes.tolist() == [100, 24, 25_500, 1]
    assert fine.scale == 0.01


def test_quantise_refuses_what_does_not_fit() -> None:
    matrix = CSR.from_rows([{0: 1.0, 1: 300.0}])
    with pytest.raises(InputError, match=r"needs code 300 and 8 bits end at 255"):
        matrix.quantise(8, scale=1.0)
    assert matrix.quantise(16, scale=1.0).codes.tolist() == [1, 300]
    with pytest.raises(InputError, match="4 bits; choose 8 or 16"):
        matrix.quantise(4)
    for scale in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="not a positive number"):
            matrix.quantise(8, scale=scale)
    assert CSR.empty(2, 2).quantise(8).codes.tolist() == []


VALID = CSR.from_rows([{}, {0: 1.0, 2: 2.0}, {}, {1: 3.0, 2: 4.0}, {}], 3)


def changed(**arrays: Any) -> Callable[[], CSR]:
    return lambda: VALID._replace(**arrays)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (changed(indptr=VALID.indptr.astype(np.int32)), "must be int64 and int32"),
        (changed(terms=VALID.terms.astype(np.int64)), "must be int64 and int32"),
        (changed(weights=VALID.weights.astype(np.float64)), "weights must be float32"),
        (changed(weights=VALID.weights[:-1]), "one for each term"),
        (changed(indptr=np.zeros(0, np.int64)), "must run from 0 to 4"),
        (changed(indptr=np.array([1, 2, 4])), "must run from 0 to 4"),
        (changed(indptr=np.array([0, 2, 3])), "must run from 0 to 4"),
        (changed(indptr=np.array([0, 3, 2, 4])), "must not decrease"),
        (changed(weights=np.array([1, np.nan, 1, 1], np.float32)), "row 1 .* not a finite"),
        (changed(weights=np.array([1, 1, np.inf, 1], np.float32)), "row 3 .* not a finite"),
        (changed(weights=np.array([1, 1, 1, 0], np.float32)), "row 3 .* zero or negative"),
        (changed(weights=np.array([1, -1, 1, 1], np.float32)), "row 1 .* zero or negative"),
        (changed(terms=np.array([0, 2, 1, 3], np.int32)), r"row 3 has a term outside 0\.\.2"),
        (changed(terms=np.array([-1, 2, 1, 2], np.int32)), r"row 1 has a term outside 0\.\.2"),
        (changed(n_terms=2), r"row 1 has a term outside 0\.\.1"),
        (changed(terms=np.array([2, 0, 1, 2], np.int32)), "row 1 has terms that repeat"),
        (changed(terms=np.array([0, 2, 1, 1], np.int32)), "row 3 has terms that repeat"),
    ],
)
def test_validate_names_the_fault(broken: Callable[[], CSR], message: str) -> None:
    VALID.validate()
    with pytest.raises(InputError, match=message):
        broken().validate()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({0: -1.0}, "row 1 has a weight that is zero or negative"),
        ({0: float("nan")}, "row 1 has a weight that is not a finite number"),
        ({0: float("inf")}, "row 1 has a weight that is not a finite number"),
        ({0: 1e39}, "row 1 has a weight that is not a finite number"),
        ({-1: 1.0}, "term -1 is outside"),
        ({MAX_TERMS: 1.0}, "terms; from 0 to"),
    ],
)
def test_from_rows_refuses(row: dict[int, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CSR.from_rows([{1: 1.0}, row])


def test_from_rows_details() -> None:
    matrix = CSR.from_rows(iter([{3: 1.5, 0: 2.0, 1: 0.0}, {}]))
    assert naive.rows_of(matrix) == [{0: 2.0, 3: 1.5}, {}]
    assert matrix.n_terms == 4
    assert CSR.from_rows([]).n_rows == 0
    assert CSR.from_rows([{}, {}]).n_terms == 0
    with pytest.raises(InputError, match=r"term 3 is outside 0\.\.2"):
        CSR.from_rows([{3: 1.0}], 3)
    with pytest.raises(InputError, match="terms; from 0 to"):
        CSR.from_rows([], -1)


def test_rows_and_vectors() -> None:
    assert VALID.row(1).terms.tolist() == [0, 2]
    assert VALID.row(4).weights.tolist() == []
    assert (VALID.n_rows, VALID.nnz) == (5, 4)
    for i in (-1, 5):
        with pytest.raises(IndexError, match=f"row {i} of a matrix of 5 rows"):
            VALID.row(i)
    vector = SparseVector.from_mapping({5: 1.0, 2: 0.5, 3: 0.0})
    assert vector.terms.tolist() == [2, 5]
    assert vector.weights.tolist() == [0.5, 1.0]
    with pytest.raises(InputError):
        SparseVector.from_mapping({-2: 1.0})


def test_from_vectors_refuses_what_does_not_fit() -> None:
    """`every constructor here` keeps the invariants."""
    with pytest.raises(InputError, match=r"row 0 has a term outside 0\.\.3"):
        CSR.from_vectors([SparseVector.from_mapping({9: 1.0})], 4)
    assert same(CSR.from_vectors([], 4), CSR.empty(0, 4))
