"""`SparseIndex`: vectors of any kind in, every strategy, ids, filters, saving, bad input."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lsr.datasets.vectors.npz import to_scipy
from lsr.errors import (
    IndexCorruptError,
    IndexMissingError,
    InputError,
    QueryError,
    StorageError,
)
from lsr.index.blocks.config import (
    BuildConfig,
    ClusteredBlocks,
    GlobalPruning,
    NoPruning,
    SearchParams,
    Strategy,
)
from lsr.index.sparse_index import SparseIndex
from lsr.sparse import CSR, SparseVector

N, N_TERMS = 2_000, 300


def made(n: int, mean: int, seed: int) -> CSR:
    """Vectors about topics, so that blocks mean something."""
    rng = np.random.default_rng(seed)
    topics = [rng.choice(N_TERMS, 25, replace=False) for _ in range(20)]
    rows = []
    for _ in range(n):
        topic = topics[rng.integers(20)]
        terms = np.concatenate([rng.choice(topic, mean // 2), rng.integers(0, N_TERMS, mean // 2)])
        rows.append({int(t): float(rng.lognormal()) for t in np.unique(terms)})
    return CSR.from_rows(rows, N_TERMS)


@pytest.fixture(scope="module")
def documents() -> CSR:
    return made(N, 20, 0)


@pytest.fixture(scope="module")
def queries() -> CSR:
    return made(120, 10, 1)


@pytest.fixture(scope="module")
def index(documents: CSR) -> SparseIndex:
    config = BuildConfig(GlobalPruning(60), ClusteredBlocks(0.1), values="f32", n_neighbours=5)
    return SparseIndex.build(documents, config)


def naive(documents: CSR, queries: CSR, k: int) -> NDArray[np.float32]:
    """The k best scores of each query, by a plain product in float64."""
    scores = (to_scipy(queries).astype(float) @ to_scipy(documents).astype(float).T).toarray()
    return -np.sort(-scores, axis=1)[:, :k].astype(np.float32)


def test_every_mode_gives_scores_of_exact_search(
    index: SparseIndex, documents: CSR, queries: CSR
) -> None:
    exact = index.search_batch(queries, SearchParams(strategy="exact"))
    assert np.allclose(exact.scores, naive(documents, queries, 10), rtol=1e-5)
    loose = SearchParams(strategy="approximate", query_cut=4, heap_factor=1.0)
    tight = dataclasses.replace(loose, query_cut=12, heap_factor=0.5)
    recalls = []
    for params in (loose, tight):
        found = index.search_batch(queries, params)
        recalls.append(float((found.scores >= exact.scores[:, -1:]).mean()))
        for q in range(queries.n_rows):
            rows = found.rows[q][found.rows[q] >= 0]
            again = index.searcher.score(queries.row(q), rows)
            assert np.array_equal(again, found.scores[q][: len(rows)])
    assert 0.5 < recalls[0] <= recalls[1]
    assert recalls[1] > 0.97


def test_neighbours_find_more(index: SparseIndex, queries: CSR) -> None:
    exact = index.search_batch(queries, SearchParams(strategy="exact"))
    params = SearchParams(strategy="approximate", query_cut=2, heap_factor=1.2)
    recalls = [
        float((index.search_batch(queries, each).scores >= exact.scores[:, -1:]).mean())
        for each in (params, dataclasses.replace(params, n_knn=5))
    ]
    assert recalls[0] < recalls[1]


def test_nothing_pruned_or_skipped_is_exact_to_the_bit(documents: CSR, queries: CSR) -> None:
    index = SparseIndex.build(documents, BuildConfig(NoPruning(), values="f32"))
    everything = SearchParams(strategy="approximate", query_cut=N_TERMS, heap_factor=0.0)
    found = index.search_batch(queries, everything)
    exact = index.search_batch(queries, SearchParams(strategy="exact"))
    assert np.array_equal(found.rows, exact.rows)
    assert np.array_equal(found.scores, exact.scores)


def test_16_bit_values_are_close_and_the_same_in_every_mode(documents: CSR, queries: CSR) -> None:
    index = SparseIndex.build(documents, BuildConfig(GlobalPruning(60)))
    exact = index.search_batch(queries, SearchParams(strategy="exact"))
    assert np.allclose(exact.scores, naive(documents, queries, 10), rtol=1e-3)
    found = index.search_batch(queries, SearchParams(strategy="approximate", heap_factor=0.5))
    same = found.rows == exact.rows
    assert same.mean() > 0.9
    assert np.array_equal(found.scores[same], exact.scores[same])


@pytest.mark.parametrize("strategy", ["exact", "approximate", "auto"])
def test_a_filter_is_kept_to(
    index: SparseIndex, documents: CSR, queries: CSR, strategy: Strategy
) -> None:
    for share in (0.01, 0.1, 0.5):
        mask = np.random.default_rng(3).random(N) < share
        params = SearchParams(strategy=strategy, filter=mask, query_cut=20, heap_factor=0.5)
        found = index.search_batch(queries, params)
        assert mask[found.rows[found.rows >= 0]].all()
        allowed = documents.take(np.flatnonzero(mask).tolist())
        wanted = naive(allowed, queries, 10)
        width = wanted.shape[1]
        if strategy != "approximate":
            assert np.allclose(found.scores[:, :width], wanted, rtol=1e-5)
        elif share == 0.5:
            assert (found.scores >= wanted[:, -1:] - 1e-4).mean() > 0.9


def test_the_order_of_queries_and_threads_do_not_matter(index: SparseIndex, queries: CSR) -> None:
    params = SearchParams(strategy="approximate")
    one = index.search_batch(queries, params)
    two = index.search_batch(queries, params, n_threads=2)
    single = [index.search(queries.row(row), params) for row in range(queries.n_rows)]
    assert np.array_equal(one.rows, two.rows)
    assert np.array_equal(one.rows, np.concatenate([each.rows for each in single]))
    assert np.array_equal(one.scores, np.concatenate([each.scores for each in single]))


def test_vectors_of_any_kind(documents: CSR, queries: CSR) -> None:
    matrix = csr_array((documents.weights, documents.terms, documents.indptr), (N, N_TERMS))
    arrays = (documents.indptr, documents.terms, documents.weights)
    expected = SparseIndex.build(documents).search_batch(queries)
    for vectors in (matrix, matrix.tocoo(), arrays):
        found = SparseIndex.build(vectors).search_batch(to_scipy(queries))
        assert np.array_equal(found.rows, expected.rows)


def test_equal_scores_by_doc_id() -> None:
    vectors = CSR.from_rows([{0: 1.0}] * 5, 1)
    index = SparseIndex.build(vectors, doc_ids=["e", "b", "d", "a", "c"])
    for strategy in ("exact", "approximate", "auto"):
        found = index.search(vectors.row(0), SearchParams(k=3, strategy=strategy))
        assert index.doc_ids(found.rows[0]) == ["a", "b", "c"]


def test_a_mask_by_ids(index: SparseIndex) -> None:
    mask = index.mask(["0007", "1999"])
    assert np.flatnonzero(mask).tolist() == [7, 1999]
    with pytest.raises(QueryError, match="'none'"):
        index.mask(["none"])


@pytest.mark.parametrize("resident", [False, True])
def test_saved_and_opened(index: SparseIndex, queries: CSR, tmp_path: Path, resident: bool) -> None:
    index.save(tmp_path / "index")
    index.save(tmp_path / "index")  # replaces it
    opened = SparseIndex.open(tmp_path / "index", resident=resident, verify=True)
    for strategy in ("exact", "approximate"):
        expected = index.search_batch(queries, SearchParams(strategy=strategy))
        found = opened.search_batch(queries, SearchParams(strategy=strategy))
        assert np.array_equal(found.rows, expected.rows)
        assert np.array_equal(found.scores, expected.scores)
    assert opened.stats() == index.stats()
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_other_folders_are_not_written_into(index: SparseIndex, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="holds (notes.txt|file), which is not of a sparse index"):
        index.save(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        index.save(tmp_path / "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "notes.txt"]


def test_calibrated_parameters_are_kept(index: SparseIndex, queries: CSR, tmp_path: Path) -> None:
    index = SparseIndex(index.ids, index.blocks)
    tuned = index.calibrate(queries, 0.9)
    assert tuned.recall > 0.8
    assert tuned.n_queries == queries.n_rows
    assert index.default_params.k == 10
    index.save(tmp_path / "index")
    opened = SparseIndex.open(tmp_path / "index")
    assert opened.calibration == tuned or vars(opened.calibration.params) == vars(tuned.params)  # type: ignore[union-attr]
    (path,) = (tmp_path / "index").glob("content-*/calibration.json")
    for content in ("{}".ljust(path.stat().st_size), "{}"):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(IndexCorruptError, match=r"calibration\.json"):
            SparseIndex.open(tmp_path / "index")


def test_pseudo_queries_are_said_to_be_such(index: SparseIndex) -> None:
    index = SparseIndex(index.ids, index.blocks)
    assert "pseudo" in index.calibrate(None, 0.9).source


def test_a_recall_out_of_reach_means_exact(documents: CSR, queries: CSR) -> None:
    index = SparseIndex.build(documents, BuildConfig(GlobalPruning(1, 1.0)))
    assert index.calibrate(queries, 1.0).params.strategy == "exact"


def vector(**weights: float) -> SparseVector:
    return SparseVector.from_mapping({int(key[1:]): value for key, value in weights.items()})


def test_queries_beside_the_vocabulary(index: SparseIndex) -> None:
    for strategy in ("exact", "approximate", "auto"):
        params = SearchParams(strategy=strategy)
        nothing = index.search(vector(t100000=2.0), params)
        assert (nothing.rows == -1).all()
        assert (nothing.scores == 0).all()
        with_more = index.search(vector(t3=1.0, t100000=2.0), params)
        assert np.array_equal(with_more.rows, index.search(vector(t3=1.0), params).rows)
        assert (index.search(vector(), params).rows == -1).all()


def test_no_documents_and_empty_ones() -> None:
    empty = SparseIndex.build(CSR.empty(0, 10))
    assert empty.n_documents == 0
    with pytest.raises(QueryError, match="0 documents"):
        empty.search(vector(t0=1.0), SearchParams(k=1))
    blank = SparseIndex.build(CSR.empty(3, 10))
    for strategy in ("exact", "approximate", "auto"):
        found = blank.search(vector(t0=1.0), SearchParams(k=2, strategy=strategy))
        assert (found.rows == -1).all()


BAD: list[tuple[tuple[list[int], list[int], list[float]], str]] = [
    (([0, 1], [0], [-1.0]), "row 0 has a weight that is zero or negative"),
    (([0, 1], [0], [float("nan")]), "row 0 has a weight that is not a finite number"),
    (([0, 1], [0], [float("inf")]), "row 0 has a weight that is not a finite number"),
    (([0, 2], [1, 1], [1.0, 1.0]), "row 0 has terms that repeat or do not ascend"),
    (([0, 2], [2, 1], [1.0, 1.0]), "row 0 has terms that repeat or do not ascend"),
    (([0, 1], [-1], [1.0]), "row 0 has a term outside"),
    (([0, 1], [2**31], [1.0]), "component 2,147,483,648 is too large"),
]


@pytest.mark.parametrize(("vectors", "sentence"), BAD)
def test_vectors_that_cannot_be_indexed(
    vectors: tuple[list[int], list[int], list[float]], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        SparseIndex.build(vectors)


def test_other_bad_input(index: SparseIndex, documents: CSR, tmp_path: Path) -> None:
    rows: Any = [{1: 2.0}]
    with pytest.raises(InputError, match="vectors are a list"):
        SparseIndex.build(rows)
    with pytest.raises(InputError, match="some repeat"):
        SparseIndex.build(documents, doc_ids=["a"] * N)
    with pytest.raises(InputError, match="there are 1"):
        SparseIndex.build(documents, doc_ids=["a"])
    with pytest.raises(InputError, match=r"max_memory is 0.0 MB"):
        SparseIndex.build(documents, max_memory=1_000)
    with pytest.raises(QueryError, match=r"k is 0"):
        SearchParams(k=0)
    with pytest.raises(QueryError, match=r"k is 2,001 and the index has 2,000 documents"):
        index.search(vector(t1=1.0), SearchParams(k=N + 1))
    with pytest.raises(QueryError, match=r"filter has shape \(3,\)"):
        index.search(vector(t1=1.0), SearchParams(filter=np.ones(3, bool)))
    with pytest.raises(QueryError, match="cannot be searched for"):
        index.search_batch(([0, 1], [0], [-1.0]))
    with pytest.raises(IndexMissingError, match="not a sparse index"):
        SparseIndex.open(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot be written"):
        index.save(tmp_path / "file" / "index")
    with pytest.raises(InputError, match="0 queries find something"):
        index.calibrate(CSR.empty(30, 5))
    with pytest.raises(InputError, match="a recall of 1.5"):
        index.calibrate(documents, 1.5)
