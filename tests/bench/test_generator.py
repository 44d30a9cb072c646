"""The benchmark's generator: what it promises about the collections that it makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.engine import generator
from bench.engine.generator import LARGEST_WEIGHT, N_TERMS, Collection, make
from bench.engine.truth import exact_top, recall
from lsr.datasets.vectors.npz import to_scipy
from lsr.sparse import CSR

N_DOCUMENTS, N_QUERIES = 3_000, 300


@pytest.fixture(scope="module")
def made() -> Collection:
    return make(N_DOCUMENTS, N_QUERIES, seed=1)


def popularity(documents: CSR) -> np.ndarray:
    counts = np.bincount(documents.terms, minlength=documents.n_terms)
    return np.sort(counts)[::-1] / documents.n_rows


def test_matrices_are_valid(made: Collection) -> None:
    for matrix, n_rows in zip(made, (N_DOCUMENTS, N_QUERIES, N_QUERIES), strict=True):
        matrix.validate()
        assert matrix.n_rows == n_rows
        assert matrix.n_terms == N_TERMS
        assert np.diff(matrix.indptr).min() > 0


def test_a_seed_gives_the_same_arrays_and_another_seed_others() -> None:
    first, again, other = make(200, 20, seed=3), make(200, 20, seed=3), make(200, 20, seed=4)
    for a, b, c in zip(first, again, other, strict=True):
        assert a.indptr.tobytes() == b.indptr.tobytes()
        assert a.terms.tobytes() == b.terms.tobytes()
        assert a.weights.tobytes() == b.weights.tobytes()
        assert a.terms.tobytes() != c.terms.tobytes()


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = make(200, 20).documents
    monkeypatch.setattr(generator, "CHUNK_DOCUMENTS", 33)
    parts = make(200, 20).documents
    assert whole.indptr.tobytes() == parts.indptr.tobytes()
    assert whole.weights.tobytes() == parts.weights.tobytes()


def test_documents_have_the_published_shape(made: Collection) -> None:
    documents = made.documents
    assert documents.nnz / N_DOCUMENTS == pytest.approx(118.5, rel=0.02)
    popular = popularity(documents)
    assert popular[0] == pytest.approx(0.46, abs=0.05)
    assert popular[99] == pytest.approx(0.10, abs=0.02)
    assert documents.weights.max() == np.float32(LARGEST_WEIGHT)
    assert 0.5 < documents.weights.mean() < 0.9


def test_queries_have_the_published_lengths_and_postings(made: Collection) -> None:
    counts = np.bincount(made.documents.terms, minlength=N_TERMS)
    for queries, n_terms, mass in ((made.queries_long, 43, 2.0), (made.queries_short, 7, 0.28)):
        assert queries.nnz / N_QUERIES == pytest.approx(n_terms, rel=0.05)
        postings = counts[queries.terms].sum() / N_QUERIES
        assert postings / N_DOCUMENTS == pytest.approx(mass, rel=0.15)


def test_short_queries_are_weighted_by_rarity(made: Collection) -> None:
    idf = generator.inverse_document_frequencies(made.documents)
    assert (made.queries_short.weights == idf[made.queries_short.terms]).all()
    counts = np.bincount(made.documents.terms, minlength=N_TERMS)
    assert idf[counts.argmax()] == idf.min() > 0


def test_queries_have_neighbours_that_stand_out(made: Collection) -> None:
    scores = (to_scipy(made.queries_long) @ to_scipy(made.documents).T).toarray()
    tenth = np.sort(scores, axis=1)[:, -10]
    assert (tenth > 2 * np.median(scores, axis=1)).mean() > 0.9


def test_topics_grow_more_slowly_than_documents() -> None:
    assert generator.n_topics(100_000) == 2_000
    assert generator.n_topics(1_000_000) == 12_000
    assert generator.n_topics(1) == 4


def test_one_document_and_no_queries() -> None:
    documents, queries_long, queries_short = make(1, 0)
    assert documents.n_rows == 1
    assert queries_long.n_rows == queries_short.n_rows == 0


@pytest.mark.parametrize("sizes", [(0, 1), (1, -1)])
def test_nothing_to_make(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1 and 0"):
        make(*sizes)


def test_exact_answers_are_those_of_the_product(made: Collection) -> None:
    scores = to_scipy(made.queries_short) @ to_scipy(made.documents).T
    expected = np.sort(scores.toarray(), axis=1)[:, :-11:-1]
    np.testing.assert_allclose(exact_top(made.documents, made.queries_short, 10), expected, 1e-5)


def test_recall_forgives_ties_and_nothing_else() -> None:
    documents = CSR.from_rows([{0: 2.0}, {0: 1.0}, {0: 1.0}, {0: 0.5}, {1: 1.0}], 2)
    queries = CSR.from_rows([{0: 1.0}], 2)
    tops = exact_top(documents, queries, 2)
    for rows, expected in (([0, 1], 1), ([2, 0], 1), ([0, 0], 0.5), ([0, 3], 0.5), ([4, 9], 0)):
        assert recall([rows], documents, queries, tops) == expected
    assert recall([[0, 1, 2]], documents, queries, tops) == 1
    more = exact_top(documents, queries, 10)
    assert recall([[3, 2, 1, 0]], documents, queries, more) == 1
    assert recall([[3, 2]], documents, queries, more) == 0.5


def test_a_saved_collection_is_read_again(made: Collection, tmp_path: Path) -> None:
    path = tmp_path / "made.npz"
    generator.save(made, path, k=3)
    for before, after in zip(made, generator.load(path), strict=True):
        assert before.terms.tobytes() == after.terms.tobytes()
        assert before.weights.tobytes() == after.weights.tobytes()
        assert before.n_terms == after.n_terms
    assert np.load(path)["qa_top"].shape == (N_QUERIES, 3)
