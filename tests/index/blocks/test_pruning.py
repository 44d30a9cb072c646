"""Static pruning: the heaviest entries stay, equal ones are thinned out evenly, caps hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.errors import InputError
from lsr.index.blocks import pruning as module
from lsr.index.blocks.config import GlobalPruning, ListPruning, NoPruning, Pruning
from lsr.index.blocks.pruning import PrunedLists, _count, _fill, _is_kept, prune
from lsr.sparse import CSR
from tests.naive import blocks as naiveblocks
from tests.naive import exact as naive
from tests.support.block_indexes import both_ways, brief, collections, random_collection

pytestmark = pytest.mark.kernel

small = collections(max_rows=40) | collections(n_terms=3, max_rows=40, kind="capped")
strategies = st.one_of(
    st.just(NoPruning()),
    st.builds(GlobalPruning, st.integers(1, 30), st.sampled_from([1.0, 1.5, 3.0])),
    st.builds(ListPruning, st.integers(1, 12)),
)


def as_dicts(lists: PrunedLists) -> list[dict[int, np.float32]]:
    """Each list as row to weight."""
    return naive.rows_of(CSR(lists.indptr, lists.rows, lists.weights, 0))


def filled(lists: list[dict[int, np.float32]]) -> dict[int, dict[int, np.float32]]:
    return {term: postings for term, postings in enumerate(lists) if postings}


@brief
@given(small, strategies)
def test_prune_is_the_twin(documents: CSR, pruning: Pruning) -> None:
    used = sorted(set(documents.terms.tolist()))
    narrow = documents._replace(
        terms=np.searchsorted(used, documents.terms).astype(np.int32), n_terms=len(used)
    )
    lists = prune(narrow, pruning)
    assert lists.indptr.dtype == np.int64
    assert lists.rows.dtype == np.int32
    assert lists.weights.dtype == np.float32
    assert as_dicts(lists) == naiveblocks.prune(narrow, pruning)
    for postings in as_dicts(lists):
        assert list(postings) == sorted(postings)


@brief
@given(small, strategies)
def test_postings_are_entries_of_the_documents(documents: CSR, pruning: Pruning) -> None:
    found = filled(as_dicts(prune(documents, pruning)))
    whole = filled(naive.transpose(documents))
    assert all(postings.items() <= whole[term].items() for term, postings in found.items())
    if pruning == NoPruning():
        assert found == whole


@brief
@given(small, st.integers(1, 30))
def test_global_pruning_keeps_exactly_so_many_of_the_heaviest(documents: CSR, n: int) -> None:
    lists = prune(documents, GlobalPruning(n, max_fraction=1e9))
    assert len(lists.rows) == min(documents.nnz, n * documents.n_terms)
    if 0 < len(lists.rows) < documents.nnz:
        lightest_kept = float(lists.weights.min())
        dropped = np.sort(documents.weights)[: documents.nnz - len(lists.rows)]
        # weights count as equal when their first 12 bits after the exponent's are: 1 in 2,048
        assert float(dropped.max()) < lightest_kept * (1 + 1 / 2_048)


@brief
@given(small, st.integers(1, 12))
def test_list_pruning_keeps_the_heaviest_of_each_list(documents: CSR, n: int) -> None:
    found = as_dicts(prune(documents, ListPruning(n)))
    for postings, whole in zip(found, naive.transpose(documents), strict=True):
        assert len(postings) == min(n, len(whole))
        heaviest = sorted(whole, key=lambda row: (-whole[row], row))[:n]
        assert set(postings) == set(heaviest)


@pytest.mark.parametrize("n_kept", [1, 7, 100, 333, 999, 1_000])
def test_equal_entries_stay_evenly_spread(n_kept: int) -> None:
    """Of the first i of 1,000 equal entries, i * n / 1,000 stay, give or take one."""
    lists = prune(CSR.from_rows([{0: 1.0}] * 1_000), GlobalPruning(n_kept, max_fraction=1e9))
    assert len(lists.rows) == n_kept
    assert np.all(np.abs(np.arange(1, n_kept + 1) - (lists.rows + 1) * n_kept / 1_000) <= 1)


def test_capped_lists_keep_the_heaviest_and_of_equals_the_first() -> None:
    documents = CSR.from_rows([{0: 1.0, 1: 9.0}, {0: 2.0}, {0: 1.0}, {0: 3.0}, {0: 1.0}])
    lists = prune(documents, GlobalPruning(3, max_fraction=1.0))
    assert as_dicts(lists) == [{0: 1.0, 1: 2.0, 3: 3.0}, {0: 9.0}]
    lists = prune(documents, GlobalPruning(3, max_fraction=1.5))
    assert as_dicts(lists)[0] == {0: 1.0, 1: 2.0, 2: 1.0, 3: 3.0}


@both_ways
@brief
@given(small, st.integers(1, 20))
def test_kernels_count_and_fill_alike(way: Any, documents: CSR, n: int) -> None:
    expected = prune(documents, GlobalPruning(n, max_fraction=1e9))
    bits = documents.weights.view(np.int32)
    cut = module._threshold(bits, min(n * documents.n_terms, documents.nnz))
    lengths = np.zeros(documents.n_terms, np.int64)
    way(_count)(documents.terms, bits, *cut, lengths)
    assert np.array_equal(lengths, np.diff(expected.indptr))
    rows, weights = np.full(lengths.sum(), -1, np.int32), np.zeros(lengths.sum(), np.float32)
    cursors = expected.indptr[:-1].copy()
    way(_fill)(
        *(documents.indptr, documents.terms, documents.weights, bits, *cut),
        *(cursors, rows, weights),
    )
    assert np.array_equal(cursors, expected.indptr[1:])
    assert np.array_equal(rows, expected.rows)
    assert np.array_equal(weights, expected.weights)


@both_ways
@pytest.mark.parametrize(("n", "n_kept"), [(1, 0), (1, 1), (7, 3), (10, 9), (10, 1)])
def test_ties_are_kept_as_the_twin_says(way: Any, n: int, n_kept: int) -> None:
    kept = [bool(way(_is_kept)(5, 5, seen, n_kept, n)) for seen in range(n)]
    assert kept == naiveblocks.kept_evenly(n, n_kept)
    assert sum(kept) == n_kept
    assert way(_is_kept)(6, 5, 0, n_kept, n)
    assert not way(_is_kept)(4, 5, 0, n_kept, n)


@pytest.mark.parametrize("pruning", [NoPruning(), GlobalPruning(), ListPruning()])
@pytest.mark.parametrize("documents", [CSR.empty(0, 0), CSR.empty(3, 0), CSR.empty(2, 5)])
def test_nothing_to_prune(documents: CSR, pruning: Pruning) -> None:
    lists = prune(documents, pruning)
    assert lists.indptr.tolist() == [0] * (documents.n_terms + 1)
    assert len(lists.rows) == len(lists.weights) == 0


def test_more_postings_than_can_be_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = random_collection(0, [5] * 4, 10)
    monkeypatch.setattr(module, "MAX_POSTINGS", 19)
    with pytest.raises(InputError, match="20 postings, and a segment holds 19 at most; prune more"):
        prune(documents, NoPruning())
    assert len(prune(documents, GlobalPruning(1)).rows) == 10
