"""Dense vectors in faiss: exact and in order when few, a graph when many."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import lsr.retrieval.dense_index
from lsr.errors import IndexCorruptError, UnavailableError
from lsr.retrieval.dense_index import DenseIndex
from tests.support.strategies import masks

pytest.importorskip("faiss")

Floats = NDArray[np.float32]
N = 1_200


def brute_force(
    vectors: Floats, tie_order: NDArray[np.int32], query: Floats, allowed: NDArray[np.bool_] | None
) -> tuple[list[int], list[float]]:
    """All rows with a vector, in order."""
    scores = np.vecdot(vectors, query)
    order = np.lexsort((tie_order, -scores))
    rows = [
        int(row)
        for row in order
        if vectors[row].any() and query.any() and (allowed is None or allowed[row])
    ]
    return rows, [float(scores[row]) for row in rows]


def unit(vectors: Floats) -> Floats:
    result: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return result


def in_order(n: int) -> NDArray[np.int32]:
    return np.arange(n, dtype=np.int32)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_exact_is_brute_force(data: st.DataObject) -> None:
    """Few different vectors, some of them zero: ties everywhere."""
    n = data.draw(st.integers(1, 60))
    kinds = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0.6, 0.8, 0], [-1, 0, 0]], np.float32)
    picked = data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
    vectors = kinds[picked]
    tie_order = np.array(data.draw(st.permutations(range(n))), np.int32)
    allowed = data.draw(masks(n))
    k = data.draw(st.sampled_from([1, 2, 5, n, n + 7]))
    index = DenseIndex(vectors, tie_order)
    assert index.is_exact
    queries = kinds[data.draw(st.lists(st.integers(0, 4), max_size=4))]
    rows, scores = index.search(queries, k, allowed)
    assert rows.shape == scores.shape == (len(queries), k)
    assert (rows.dtype, scores.dtype) == (np.dtype(np.int32), np.dtype(np.float32))
    for i, query in enumerate(queries):
        expected, values = brute_force(vectors, tie_order, query, allowed)
        n_hits = min(k, len(expected))
        assert rows[i, :n_hits].tolist() == expected[:k]
        assert scores[i, :n_hits].tolist() == values[:k]
        assert set(rows[i, n_hits:].tolist()) <= {-1}
        assert set(scores[i, n_hits:].tolist()) <= {0.0}


def test_exact_on_random_vectors() -> None:
    rng = np.random.default_rng(1)
    vectors = unit(rng.standard_normal((2_000, 32), np.float32))
    vectors[::7] = 0
    tie_order = rng.permutation(2_000).astype(np.int32)
    allowed = rng.random(2_000) < 0.3
    index = DenseIndex(vectors, tie_order)
    for query in unit(rng.standard_normal((20, 32), np.float32)):
        for mask in (None, allowed):
            rows, scores = index.search(query[None], 25, mask)
            expected, values = brute_force(vectors, tie_order, query, mask)
            assert rows[0].tolist() == expected[:25]
            assert scores[0].tolist() == values[:25]


def test_many_equal_vectors() -> None:
    """More duplicates than candidates: all must be seen before the tie can be broken."""
    rng = np.random.default_rng(2)
    vectors = np.tile(unit(rng.standard_normal((1, 48), np.float32)), (1_000, 1))
    tie_order = rng.permutation(1_000).astype(np.int32)
    rows, scores = DenseIndex(vectors, tie_order).search(vectors[:1], 10)
    assert tie_order[rows[0]].tolist() == list(range(10))
    assert len(set(scores[0].tolist())) == 1


def test_batch_is_singles() -> None:
    rng = np.random.default_rng(3)
    vectors = unit(rng.standard_normal((200, 16), np.float32))
    queries = unit(rng.standard_normal((9, 16), np.float32))
    index = DenseIndex(vectors, in_order(200))
    rows, scores = index.search(queries, 7)
    for i in range(9):
        row, score = index.search(queries[i : i + 1], 7)
        assert np.array_equal(row[0], rows[i])
        assert np.array_equal(score[0], scores[i])


def test_a_query_of_zeros_finds_nothing() -> None:
    rows, scores = DenseIndex(np.eye(4, dtype=np.float32), in_order(4)).search(
        np.zeros((1, 4), np.float32), 3
    )
    assert rows.tolist() == [[-1, -1, -1]]
    assert scores.tolist() == [[0, 0, 0]]


def test_nothing_but_zeros() -> None:
    index = DenseIndex(np.zeros((3, 4), np.float32), in_order(3))
    rows, _ = index.search(np.ones((1, 4), np.float32), 2)
    assert rows.tolist() == [[-1, -1]]


def test_exactness_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lsr.retrieval.dense_index, "FLAT_LIMIT", 10)
    vectors = unit(np.random.default_rng(4).standard_normal((12, 4), np.float32))
    for n, exact in ((9, True), (10, False)):
        index = DenseIndex(vectors[:n], in_order(n))
        assert index.is_exact is exact
        index.write_graph(tmp_path / f"{n}.hnsw")
        assert (tmp_path / f"{n}.hnsw").exists() is not exact
    vectors[:3] = 0
    assert DenseIndex(vectors, in_order(12)).is_exact, "rows of zeros do not count"


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Floats:
    """Vectors beyond the limit; every ninth is zero."""
    monkeypatch.setattr(lsr.retrieval.dense_index, "FLAT_LIMIT", 400)
    vectors = unit(np.random.default_rng(5).standard_normal((N, 24), np.float32))
    vectors[::9] = 0
    return vectors


def recall(index: DenseIndex, vectors: Floats, allowed: NDArray[np.bool_] | None) -> float:
    queries = unit(np.random.default_rng(6).standard_normal((40, 24), np.float32))
    rows, scores = index.search(queries, 10, allowed)
    found = 0
    for i, query in enumerate(queries):
        expected, _ = brute_force(vectors, in_order(len(vectors)), query, allowed)
        found += len(set(rows[i].tolist()) & set(expected[:10]))
        assert (rows[i] >= 0).all()
        assert vectors[rows[i]].any(axis=1).all()
        assert allowed is None or allowed[rows[i]].all()
        assert scores[i].tolist() == np.vecdot(vectors[rows[i]], query).tolist()
        assert scores[i].tolist() == sorted(scores[i].tolist(), reverse=True)
    return found / 400


def test_graph(many: Floats, tmp_path: Path) -> None:
    built = DenseIndex(many, in_order(N))
    built.write_graph(tmp_path / "g.hnsw")
    loaded = DenseIndex(many, in_order(N), tmp_path / "g.hnsw")
    assert not loaded.is_exact
    half = np.arange(N) % 2 == 0
    for mask in (None, half):
        assert recall(built, many, mask) >= 0.9
        assert recall(loaded, many, mask) >= 0.9
    queries = many[1:6]
    assert np.array_equal(built.search(queries, 10)[0], loaded.search(queries, 10)[0])
    assert loaded.search(queries, 1)[0][:, 0].tolist() == [1, 2, 3, 4, 5]


def test_graph_of_vectors_of_many_lengths(many: Floats, tmp_path: Path) -> None:
    """Inner products are compared, so the longest come first; the others are found as well."""
    spread = np.exp(np.random.default_rng(7).normal(0, 0.3, (N, 1))).astype(np.float32)
    vectors: Floats = many * spread * np.float32(50)
    built = DenseIndex(vectors, in_order(N))
    built.write_graph(tmp_path / "g.hnsw")
    loaded = DenseIndex(vectors, in_order(N), tmp_path / "g.hnsw")
    half = np.arange(N) % 2 == 0
    for index in (built, loaded):
        assert not index.is_exact
        for mask in (None, half):
            assert recall(index, vectors, mask) >= 0.98
    longest = int(np.argmax(np.linalg.norm(vectors, axis=1)))
    assert built.search(vectors[longest : longest + 1], 1)[0].tolist() == [[longest]]
    assert built._index.hnsw.efSearch > DenseIndex(many, in_order(N))._index.hnsw.efSearch


@pytest.mark.parametrize("n_allowed", [0, 1, 5, 40])
def test_graph_with_a_narrow_filter(many: Floats, n_allowed: int) -> None:
    """A walk through a graph may never meet the few rows that are allowed; they are found."""
    index = DenseIndex(many, in_order(N))
    rng = np.random.default_rng(8)
    for query in unit(rng.standard_normal((10, 24), np.float32)):
        allowed = np.zeros(N, np.bool_)
        allowed[rng.choice(np.flatnonzero(many.any(axis=1)), n_allowed, replace=False)] = True
        rows, _ = index.search(query[None], 10, allowed)
        expected, _ = brute_force(many, in_order(N), query, allowed)
        assert rows[0, : len(expected[:10])].tolist() == expected[:10]


def test_graph_gives_k_documents(many: Floats) -> None:
    index = DenseIndex(many, in_order(N))
    n = int(many.any(axis=1).sum())
    for k in (10, 500, n, N):
        rows, _ = index.search(many[1:3], k)
        for found in rows:
            hits = found[found >= 0].tolist()
            assert len(hits) == len(set(hits)) == min(k, n)


def test_graph_with_ties(many: Floats) -> None:
    many[500:800] = many[1]
    tie_order = np.random.default_rng(9).permutation(N).astype(np.int32)
    rows, scores = DenseIndex(many, tie_order).search(many[1:2], 10)
    assert len(set(scores[0].tolist())) == 1
    assert tie_order[rows[0]].tolist() == sorted(tie_order[rows[0]].tolist())


def test_graph_of_other_vectors(many: Floats, tmp_path: Path) -> None:
    graph = tmp_path / "g.hnsw"
    DenseIndex(many[:800], in_order(800)).write_graph(graph)
    with pytest.raises(IndexCorruptError, match=r"g.hnsw: not the graph of these vectors"):
        DenseIndex(many, in_order(N), graph)
    wide = np.concatenate([many, many], axis=1)
    DenseIndex(wide, in_order(N)).write_graph(graph)
    with pytest.raises(IndexCorruptError, match=r"g.hnsw: not the graph of these vectors"):
        DenseIndex(many, in_order(N), graph)


@pytest.mark.parametrize("kept", [None, 0, 3, 100, -1])
def test_graph_file_that_cannot_be_read(many: Floats, tmp_path: Path, kept: int | None) -> None:
    graph = tmp_path / "g.hnsw"
    DenseIndex(many, in_order(N)).write_graph(graph)
    content = graph.read_bytes()
    graph.unlink()
    if kept is not None:
        graph.write_bytes(content[:kept])
    with pytest.raises(IndexCorruptError, match=r"g.hnsw"):
        DenseIndex(many, in_order(N), graph)


def test_no_faiss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UnavailableError, match=r"pip install 'lsr-search\[dense\]'"):
        DenseIndex(np.eye(2, dtype=np.float32), in_order(2))
