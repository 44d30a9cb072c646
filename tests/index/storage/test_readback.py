"""Vectors read back from an index are those that were stored, entry by entry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.index.blocks import forward_index as module
from lsr.index.blocks.config import BuildConfig, GlobalPruning, StoredValues
from lsr.index.blocks.forward_index import (
    ForwardIndex,
    component_dtype,
    read_vectors,
    stored_weights,
)
from lsr.index.indexer.block_builder import build_blocks
from lsr.index.sparse_index import SparseIndex
from lsr.sparse import CSR
from tests.naive.scan import as_stored
from tests.support.block_indexes import brief, collections, interpreted, random_collection

values = st.sampled_from(["u16", "f32"])


def without_zeros(documents: CSR) -> CSR:
    """Weights that 16 bits round to 0 are no entries."""
    kept = documents.weights > 0
    n_kept = np.concatenate([[0], np.cumsum(kept)])
    indptr = n_kept[documents.indptr].astype(np.int64)
    return CSR(indptr, documents.terms[kept], documents.weights[kept], documents.n_terms)


def same(found: CSR, expected: CSR) -> bool:
    found.validate()  # types, and ascending terms
    return (
        found.n_terms == expected.n_terms
        and np.array_equal(found.indptr, expected.indptr)
        and np.array_equal(found.terms, expected.terms)
        and np.array_equal(found.weights, expected.weights)
    )


def read(forward: ForwardIndex, n_terms: int) -> CSR:
    parts = (forward.head, forward.tail, forward.tail_start, forward.rest)
    term_type = np.zeros(0, component_dtype(n_terms))
    return read_vectors(*parts, forward.head_length, forward.scale, term_type, n_terms)


def expected_of(documents: CSR, forward: ForwardIndex, values: StoredValues) -> CSR:
    if values == "f32":
        return documents
    return without_zeros(
        documents._replace(weights=stored_weights(documents.weights, forward.scale))
    )


@brief
@given(collections() | collections(kind="tiny"), values)
def test_vectors_are_those_that_were_stored(documents: CSR, values: StoredValues) -> None:
    forward = ForwardIndex.build(documents, values)
    expected = expected_of(documents, forward, values)
    assert same(read(forward, documents.n_terms), expected)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_read_back", "stored_value"):
            patch.setattr(module, name, interpreted(getattr(module, name)))
        assert same(read(forward, documents.n_terms), expected)


@pytest.mark.parametrize("n_terms", [65_536, 65_537, 200_000])
@pytest.mark.parametrize("kind", ["u16", "f32"])
def test_the_first_and_last_terms_in_heads_and_tails(n_terms: int, kind: StoredValues) -> None:
    """Component 0 also fills records up; an entry of it is told apart by its weight."""
    last = n_terms - 1
    light = dict.fromkeys((0, 1, 65535, last), 0.5)
    heavy = dict.fromkeys((0, 1, 65535, last), 9.0)
    many = dict.fromkeys(range(20, 60), 3.0)
    rows = [{0: 1.0}, {}, {last: 1.0}, {**many, **light}, {**many, **heavy}, {0: 1e-3, 5: 9.0}, {}]
    documents = CSR.from_rows(rows, n_terms)
    forward = ForwardIndex.build(documents, kind)
    found = read(forward, n_terms)
    assert same(found, expected_of(documents, forward, kind))
    assert len(forward.tail) > 0
    assert found.row(5).terms.tolist() == [0, 5]


def test_entries_whose_code_is_0_are_read() -> None:
    """The low byte of a 16-bit value alone can hold a weight."""
    documents = CSR.from_rows([{0: 1_000.0, 3: 0.02, 7: 1e-4}, {0: 0.02}], 8)
    found = read(ForwardIndex.build(documents, "u16"), 8)
    assert found.terms.tolist() == [0, 3, 0]
    assert found.weights[1] == pytest.approx(0.02, rel=0.3)


@pytest.mark.parametrize("shape", [(0, 0), (0, 9), (4, 0), (4, 9)])
def test_nothing_to_read(shape: tuple[int, int]) -> None:
    index = SparseIndex.build(CSR.empty(*shape))
    assert same(index.documents(), CSR.empty(*shape))


@pytest.mark.parametrize(("kind", "n_terms"), [("u16", 300), ("f32", 300), ("f32", 70_000)])
def test_from_a_folder(kind: StoredValues, n_terms: int, tmp_path: Path) -> None:
    """An index of what was read back is the same index."""
    documents = random_collection(1, [0, 40, 3, 25, 9] * 20, n_terms, "outliers")
    config = BuildConfig(GlobalPruning(9), values=kind)
    index = SparseIndex.build(documents, config)
    assert same(index.documents(), without_zeros(as_stored(documents, index.blocks)))
    index.save(tmp_path / "index")
    for resident in (False, True):
        opened = SparseIndex.open(tmp_path / "index", resident=resident)
        assert same(opened.documents(), index.documents())
    if kind == "f32":
        again = build_blocks(index.documents(), config)
        assert np.array_equal(again.blob, index.blocks.blob)
