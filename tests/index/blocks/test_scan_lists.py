"""The lists of exact search: equal to the twin's, and codes never farther off than is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lsr.index.blocks import scan_lists as module
from lsr.index.blocks.config import BuildConfig, GlobalPruning, StoredValues
from lsr.index.blocks.forward_index import ForwardIndex, stored_weights
from lsr.index.blocks.scan_lists import TOP_CODE, WINDOW, ScanLists
from lsr.index.indexer.block_builder import build_blocks
from lsr.sparse import CSR
from tests.naive.scan import Lists, make_lists, vectors
from tests.support.block_indexes import both_ways, brief, interpreted

pytestmark = pytest.mark.kernel

KINDS = ("equal", "few", "any", "outliers", "tiny", "huge")
ARRAYS = {f"scan_{name}" for name in Lists._fields}


@st.composite
def cases(draw: st.DrawFn) -> CSR:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.sampled_from([0, 1, 2, 30, 150]))
    n_terms = draw(st.sampled_from([1, 2, 17, 300]))
    return vectors(rng, n, n_terms, draw(st.sampled_from([1, 3, 12])), draw(st.sampled_from(KINDS)))


def filled(documents: CSR, weights: NDArray[np.float32]) -> ScanLists:
    lists = ScanLists(documents, weights)
    for job in lists.jobs():
        job()
    assert set(lists.finish()) == ARRAYS
    return lists


def interpret(patch: pytest.MonkeyPatch, window: int) -> None:
    patch.setattr(module, "WINDOW", window)
    for name in ("_count", "_fill"):
        patch.setattr(module, name, interpreted(getattr(module, name)))


def same(lists: ScanLists, twin: Lists) -> bool:
    dtypes = (np.int64, np.uint16, np.uint8, np.float32, np.float32, np.int32)
    for name, dtype in zip(Lists._fields, dtypes, strict=True):
        array = getattr(lists, name)
        if array.dtype != dtype or array.tolist() != list(getattr(twin, name)):
            return False
    return True


def bounded(documents: CSR, weights: NDArray[np.float32], lists: ScanLists, window: int) -> bool:
    """Whether every posting is in its list, coded within the error that is given for it."""
    rows = np.repeat(np.arange(documents.n_rows), np.diff(documents.indptr))
    order = np.lexsort((rows, documents.terms, rows // window))
    terms = documents.terms[order]
    per_list = np.zeros(len(lists.starts) - 1, np.int64)
    np.add.at(per_list, rows // window * documents.n_terms + documents.terms, 1)
    assert np.diff(lists.starts).tolist() == per_list.tolist()
    assert lists.rows.tolist() == (rows[order] % window).tolist()
    coded = lists.steps[terms].astype(np.float64) * lists.codes
    off = np.abs(weights[order] - coded)
    return bool(np.all(off <= lists.errors[terms])) and bool(np.all(lists.codes >= 1))


@brief
@given(cases())
def test_lists_are_the_twins_and_bound_the_weights(documents: CSR) -> None:
    lists = filled(documents, documents.weights)
    assert same(lists, make_lists(documents, documents.weights))
    assert bounded(documents, documents.weights, lists, WINDOW)


@brief
@given(cases(), st.sampled_from([1, 7, 30, 64]))
def test_small_windows(documents: CSR, window: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        interpret(patch, window)
        lists = filled(documents, documents.weights)
    assert same(lists, make_lists(documents, documents.weights, window))
    assert bounded(documents, documents.weights, lists, window)


def test_several_windows_in_any_order() -> None:
    """Three of them, whose lists are of all, of some and of none."""
    documents = vectors(np.random.default_rng(1), 2 * WINDOW + 90, 5, 1, "outliers")
    documents.terms[np.arange(documents.nnz) < documents.nnz // 3] = 3
    lists = ScanLists(documents, documents.weights)
    jobs = list(lists.jobs())
    assert len(jobs) == 3
    for job in jobs[::-1]:
        job()
    lists.finish()
    assert same(lists, make_lists(documents, documents.weights))
    assert same(filled(documents, documents.weights), make_lists(documents, documents.weights))


@brief
@given(cases())
def test_stored_weights_of_16_bits(documents: CSR) -> None:
    """Some of them are 0, and these have a code as well."""
    weights = stored_weights(documents.weights, ForwardIndex.build(documents, "u16").scale)
    lists = filled(documents, weights)
    assert same(lists, make_lists(documents, weights))
    assert bounded(documents, weights, lists, WINDOW)


def of_one_list(way: Any, weights: list[float]) -> ScanLists:
    documents = CSR.from_rows([{0: weight} for weight in weights], 2)
    with pytest.MonkeyPatch.context() as patch:
        if way(module._fill) is not module._fill:
            interpret(patch, WINDOW)
        lists = filled(documents, documents.weights)
    assert bounded(documents, documents.weights, lists, WINDOW)
    assert lists.lengths.tolist() == [len(weights), 0]
    assert lists.steps[1] == lists.errors[1] == 0
    return lists


@both_ways
def test_extreme_weights(way: Any) -> None:
    smallest = 2.0**-149
    assert of_one_list(way, [smallest, smallest]).codes.tolist() == [1, 1]
    assert of_one_list(way, [smallest]).steps[0] == np.float32(smallest)
    between = of_one_list(way, [382 * smallest, 255 * smallest, smallest])
    assert between.codes.tolist() == [255, 255, 1]
    assert between.errors[0] == np.float32(127 * smallest)
    outlier = of_one_list(way, [3e38, 1.0, 1e-45])
    assert outlier.codes.tolist() == [255, 1, 1]
    assert outlier.errors[0] >= outlier.steps[0] * 0.99
    assert of_one_list(way, [0.3] * 9).codes.tolist() == [TOP_CODE] * 9
    halves = of_one_list(way, [255.0, 2.5, 2.49, 0.2])
    assert halves.codes.tolist() == [255, 3, 2, 1]
    assert halves.errors[0] == pytest.approx(0.8)
    assert halves.errors[0] > np.float32(1) - np.float32(0.2)


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (3, 0), (3, 4)])
def test_nothing_to_list(shape: tuple[int, int]) -> None:
    documents = CSR.empty(*shape)
    lists = filled(documents, documents.weights)
    n_windows = min(shape[0], 1)
    assert lists.starts.tolist() == [0] * (n_windows * shape[1] + 1)
    assert len(lists.rows) == len(lists.codes) == 0
    assert not lists.errors.any()
    assert not lists.lengths.any()
    assert ScanLists.n_bytes(documents) == 12 * shape[1] * (n_windows + 1)


@pytest.mark.parametrize("values", ["u16", "f32"])
def test_an_index_holds_them_for_any_threads(values: StoredValues) -> None:
    documents = vectors(np.random.default_rng(2), WINDOW + 500, 6, 2)
    config = BuildConfig(GlobalPruning(50), values=values)
    one = build_blocks(documents, config)
    two = build_blocks(documents, config, n_threads=2)
    assert np.array_equal(one.blob, two.blob)
    weights = documents.weights
    if values == "u16":
        weights = stored_weights(weights, one.scale)
    lists = filled(documents, weights)
    for name in Lists._fields:
        assert np.array_equal(one.array(f"scan_{name}"), getattr(lists, name))
    held = sum(getattr(lists, name).nbytes for name in Lists._fields)
    assert held <= ScanLists.n_bytes(documents) + 8
