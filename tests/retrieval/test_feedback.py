"""Both feedbacks against their plain twins and by hand, also where nothing is left of a query."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lsr.encoders.protocols import Encoder
from lsr.index.collection.retrievers import SparseRetriever
from lsr.index.search.exact_searcher import ExactSearcher
from lsr.index.storage.document_store import DocumentStore
from lsr.index.storage.segment import Segment
from lsr.retrieval.candidates import first_of_each
from lsr.retrieval.feedback import DenseFeedback, Feedback, InnerProductFeedback, SparseFeedback
from lsr.sparse import CSR, SparseVector
from tests.naive import exact as naive
from tests.naive import hybrid as naivehybrid
from tests.support.search_sides import Letters, unit
from tests.support.strategies import matrices

quick = settings(max_examples=150, deadline=None)
ROOT = math.sqrt(0.5)


def all_terms(terms: NDArray[np.int32], max_df: float) -> NDArray[np.bool_]:
    return np.ones(len(terms), bool)


def vectors(n: int, dimension: int) -> st.SearchStrategy[NDArray[np.float32]]:
    """Unit vectors at random, on axes, opposite each other, and zeros."""
    number = st.sampled_from([-1.0, 0.0, 1.0]) | st.floats(-1, 1, width=16)
    row = st.lists(number, min_size=dimension, max_size=dimension)
    return st.lists(row, min_size=n, max_size=n).map(lambda rows: unit(np.array(rows, np.float64)))


@st.composite
def dense_cases(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.float32], DenseFeedback]:
    dimension, k = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    query = draw(vectors(1, dimension))[0]
    documents = draw(vectors(k, dimension))
    if draw(st.booleans()):
        documents[:] = draw(st.sampled_from([-1.0, 1.0])) * query
    alpha, beta = draw(st.sampled_from([(0.8, 0.2), (0.4, 0.6), (1, 1), (0, 2), (2, 0), (1, 0.5)]))
    method: Any = draw(st.sampled_from(["rocchio", "average"]))
    return query, documents, DenseFeedback(method=method, alpha=alpha, beta=beta)


@quick
@given(dense_cases())
def test_dense_feedback_is_the_twin(
    case: tuple[NDArray[np.float32], NDArray[np.float32], DenseFeedback],
) -> None:
    query, documents, feedback = case
    before = query.copy(), documents.copy()
    found = feedback.expand(query, documents)
    assert np.array_equal(query, before[0])
    assert np.array_equal(documents, before[1])
    expected = naivehybrid.dense_feedback(query.tolist(), documents.tolist(), feedback)
    if found is None:
        assert expected is None or _length(query, documents, feedback) < 1e-8
        return
    assert expected is not None
    assert found.vector.dtype == np.float32
    assert np.isfinite(found.vector).all()
    assert found.vector.tolist() == pytest.approx(expected, abs=1e-6)
    assert float(np.linalg.norm(found.vector)) == pytest.approx(1, abs=1e-6)
    assert found.document_shares is not None
    assert found.document_shares.shape == (len(documents),)
    rebuilt = found.query_share * query.astype(float) + found.document_shares @ documents
    assert rebuilt == pytest.approx(found.vector.astype(float), abs=1e-6)


def _length(query: Any, documents: Any, feedback: DenseFeedback) -> float:
    k = len(documents)
    alpha, beta = feedback.alpha, feedback.beta
    if feedback.method == "average":
        alpha, beta = 1 / (k + 1), k / (k + 1)
    moved = alpha * query.astype(float) + beta * documents.astype(float).mean(axis=0)
    return float(np.linalg.norm(moved))


def test_dense_rocchio_by_hand() -> None:
    """0.8 (1, 0) + 0.2 mean((0, 1), (0.6, 0.8)) = (0.86, 0.18); its length is sqrt(0.772)."""
    query = np.array([1, 0], np.float32)
    documents = np.array([[0, 1], [0.6, 0.8]], np.float32)
    found = DenseFeedback().expand(query, documents)
    assert found is not None
    z = math.sqrt(0.772)
    assert found.vector.tolist() == pytest.approx([0.86 / z, 0.18 / z], abs=1e-7)
    assert found.vector.tolist() == pytest.approx([0.978791, 0.204863], abs=1e-6)
    assert found.query_share == pytest.approx(0.8 / z)
    assert found.document_shares is not None
    assert found.document_shares.tolist() == pytest.approx([0.1 / z, 0.1 / z])


def test_dense_average_by_hand() -> None:
    """mean((1, 0), (0, 1)) at unit length; with (0, 1) twice it is (1, 2) / sqrt(5)."""
    query, axis = np.array([1, 0], np.float32), np.array([[0, 1]], np.float32)
    feedback = DenseFeedback(method="average", alpha=2, beta=0)
    assert not feedback.is_off, "beta means nothing to the average"
    once, twice = feedback.expand(query, axis), feedback.expand(query, np.repeat(axis, 2, 0))
    assert once is not None
    assert twice is not None
    assert once.vector.tolist() == pytest.approx([ROOT, ROOT])
    assert twice.vector.tolist() == pytest.approx([1 / math.sqrt(5), 2 / math.sqrt(5)])


def test_opposite_documents_leave_no_direction() -> None:
    query = np.array([0.6, 0.8], np.float32)
    feedback = DenseFeedback(alpha=0.5, beta=0.5)
    assert feedback.expand(query, -query[None, :]) is None
    assert DenseFeedback(method="average").expand(query, -query[None, :]) is None
    assert DenseFeedback(alpha=0).expand(query, np.stack([query, -query])) is None
    assert DenseFeedback().expand(query, -query[None, :]) is not None
    nothing = np.zeros(2, np.float32)
    assert DenseFeedback().expand(nothing, np.zeros((3, 2), np.float32)) is None
    moved = DenseFeedback().expand(nothing, query[None, :])
    assert moved is not None
    assert moved.vector.tolist() == pytest.approx([0.6, 0.8]), "documents alone give a direction"


@st.composite
def sparse_cases(draw: st.DrawFn) -> tuple[SparseVector, CSR, SparseFeedback, set[int]]:
    documents = draw(matrices(max_rows=6))
    if documents.n_rows == 0:
        documents = CSR.empty(1, documents.n_terms)
    query = draw(matrices(n_rows=1, n_terms=documents.n_terms)).row(0)
    kept = draw(st.sets(st.integers(0, documents.n_terms - 1), max_size=8))
    if draw(st.booleans()):
        kept = set(range(documents.n_terms))
    feedback = SparseFeedback(
        enabled=True,
        terms=draw(st.sampled_from([1, 2, 10, 200])),
        alpha=draw(st.sampled_from([0.0, 0.5, 1.0])),
        beta=draw(st.sampled_from([0.2, 0.75, 2.0])),
        max_df=draw(st.sampled_from([0.1, 1.0])),
    )
    return query, documents, feedback, kept


def as_mapping(vector: SparseVector) -> dict[int, float]:
    return dict(zip(vector.terms.tolist(), vector.weights.tolist(), strict=True))


@quick
@given(sparse_cases())
def test_sparse_feedback_is_the_twin(
    case: tuple[SparseVector, CSR, SparseFeedback, set[int]],
) -> None:
    query, documents, feedback, kept = case
    asked: list[float] = []

    def term_filter(terms: NDArray[np.int32], max_df: float) -> NDArray[np.bool_]:
        asked.append(max_df)
        return np.isin(terms, list(kept))

    found = feedback.expand(query, documents, term_filter)
    assert set(asked) == {feedback.max_df}
    rows = [{t: float(w) for t, w in row.items()} for row in naive.rows_of(documents)]
    expected = naivehybrid.sparse_feedback(as_mapping(query), rows, feedback, kept.__contains__)
    if found is None:
        length = math.sqrt(sum(weight**2 for weight in (expected or {}).values()))
        assert length < 1e-8
        return
    assert expected is not None
    vector = found.vector
    CSR.from_vectors([vector], documents.n_terms).validate()
    assert found.document_shares is None
    heavy = {term: weight for term, weight in expected.items() if weight > 1e-40}
    assert set(heavy) <= set(vector.terms.tolist()) <= set(expected)
    _same_weights(as_mapping(vector), expected)


def _same_weights(found: Mapping[int, float], expected: Mapping[int, float]) -> None:
    for term, weight in found.items():
        assert weight == pytest.approx(expected[term], rel=1e-5, abs=1e-30), term


def test_sparse_rocchio_by_hand() -> None:
    """Query 3 a + 4 b; documents 3 b + 4 c, and c alone; terms 2, alpha 1, beta .5.

    Unit query .6 a + .8 b. Mean of unit documents .3 b + .9 c, at unit length / sqrt(.9).
    """
    query = SparseVector.from_mapping({0: 3, 1: 4})
    documents = CSR.from_rows([{1: 3, 2: 4}, {2: 7}], 3)
    found = SparseFeedback(enabled=True, terms=2, alpha=1, beta=0.5).expand(
        query, documents, all_terms
    )
    assert found is not None
    z = math.sqrt(0.9)
    assert found.vector.terms.tolist() == [0, 1, 2]
    assert found.vector.terms.dtype == np.int32
    assert found.vector.weights.dtype == np.float32
    by_hand = [0.6, 0.8 + 0.5 * 0.3 / z, 0.5 * 0.9 / z]
    assert found.vector.weights.tolist() == pytest.approx(by_hand)
    assert found.vector.weights.tolist() == pytest.approx([0.6, 0.958114, 0.474342], abs=1e-6)


def test_only_the_heaviest_terms_at_unit_length() -> None:
    """Pruned first, scaled after: one term of two has the whole beta."""
    query = SparseVector.from_mapping({0: 5})
    documents = CSR.from_rows([{1: 3, 2: 4}], 3)
    found = SparseFeedback(enabled=True, terms=1, beta=0.5).expand(query, documents, all_terms)
    assert found is not None
    assert as_mapping(found.vector) == pytest.approx({0: 1.0, 2: 0.5})
    equal = CSR.from_rows([{1: 4, 2: 4, 3: 4}], 4)
    found = SparseFeedback(enabled=True, terms=2, beta=1).expand(query, equal, all_terms)
    assert found is not None
    assert found.vector.terms.tolist() == [0, 1, 2], "among equals the smaller term stays"


def test_filtered_terms_do_not_count_for_a_documents_length() -> None:
    documents = CSR.from_rows([{1: 3, 2: 400}], 3)

    def no_twos(terms: NDArray[np.int32], max_df: float) -> NDArray[np.bool_]:
        assert terms.tolist() == [1, 2]
        assert max_df == 0.25
        return np.array([True, False])

    feedback = SparseFeedback(enabled=True, max_df=0.25, beta=0.5)
    found = feedback.expand(SparseVector.from_mapping({0: 9}), documents, no_twos)
    assert found is not None
    assert as_mapping(found.vector) == pytest.approx({0: 1.0, 1: 0.5})
    own = feedback.expand(SparseVector.from_mapping({2: 9}), documents, no_twos)
    assert own is not None
    assert as_mapping(own.vector) == pytest.approx({1: 0.5, 2: 1.0}), "the query's own terms stay"


def test_nothing_is_left_of_a_sparse_query() -> None:
    documents = CSR.from_rows([{1: 3}], 2)

    def nothing(terms: NDArray[np.int32], max_df: float) -> NDArray[np.bool_]:
        return np.zeros(len(terms), bool)

    query, empty = SparseVector.from_mapping({0: 2}), SparseVector.from_mapping({})
    feedback = SparseFeedback(enabled=True, alpha=0)
    assert feedback.expand(query, documents, nothing) is None
    assert feedback.expand(empty, documents, nothing) is None
    assert feedback.expand(empty, CSR.empty(1, 2), all_terms) is None
    found = feedback.expand(empty, documents, all_terms)
    assert found is not None
    assert as_mapping(found.vector) == pytest.approx({1: 0.2})
    kept = SparseFeedback(enabled=True, alpha=0.5).expand(query, documents, nothing)
    assert kept is not None
    assert as_mapping(kept.vector) == pytest.approx({0: 0.5})


def test_when_feedback_is_off() -> None:
    assert DenseFeedback(beta=0).is_off
    assert not DenseFeedback(beta=1e-9).is_off
    assert not DenseFeedback(method="average", beta=0).is_off
    assert SparseFeedback().is_off
    assert SparseFeedback(enabled=True, beta=0).is_off
    assert not SparseFeedback(enabled=True).is_off


def test_both_fit_the_protocol() -> None:
    dense: Feedback[NDArray[np.float32]] = DenseFeedback()
    sparse: Feedback[CSR] = SparseFeedback()
    assert dense.is_off is False
    assert sparse.is_off is True


def test_feedback_over_vectors_of_any_length() -> None:
    """The mean as it stands: neither query nor documents are brought to unit length."""
    query = np.array([2, 0, 4], np.float32)
    documents = np.array([[4, 2, 0], [6, 4, 2]], np.float32)
    options = DenseFeedback(method="average")
    assert options.above(-1.0) is options
    feedback = options.above(None)
    assert feedback == InnerProductFeedback(options)
    average = feedback.expand(query, documents)
    assert average is not None
    assert average.vector.dtype == np.float32
    assert average.vector.tolist() == [4, 2, 2]
    rocchio = DenseFeedback(alpha=0.5, beta=1).above(None).expand(query, documents)
    assert rocchio is not None
    assert rocchio.vector.tolist() == [6, 3, 3]
    assert rocchio.document_shares is not None
    made = rocchio.query_share * query + rocchio.document_shares @ documents
    assert made.tolist() == rocchio.vector.tolist()
    assert DenseFeedback(alpha=1, beta=1).above(None).expand(query, -query[None]) is None
    assert DenseFeedback(beta=0).above(None).is_off


def test_repeated_documents_of_any_length_are_one() -> None:
    a, b = np.array([[300, 10, 2], [200, 90, 1]], np.float32)
    vectors = np.stack(
        [a, b, a * np.float32(1.1), a + np.float32(1e-4), b, np.zeros(3, np.float32)]
    )
    assert first_of_each(vectors, np.ones(6, bool), 9).tolist() == [0, 1, 2, 5]


def test_repeated_documents_are_one() -> None:
    a, b = unit(np.array([[1, 2, 3], [3, 2, 1]]))
    near = unit((a + np.float32(1e-5))[None, :])[0]
    vectors = np.stack([a, a, b, near, np.zeros(3, np.float32), np.zeros(3, np.float32), b])
    every = np.ones(7, bool)
    assert first_of_each(vectors, every, 9).tolist() == [0, 2, 4, 5]
    assert first_of_each(vectors, every, 2).tolist() == [0, 2]
    assert first_of_each(vectors, ~every, 9).tolist() == []
    assert first_of_each(vectors, every, 0).tolist() == []
    first_unfit = np.array([False, True, True, True, True, True, True])
    assert first_of_each(vectors, first_unfit, 9).tolist() == [1, 2, 4, 5], "its copy counts"
    rows = CSR.from_rows([{0: 1, 1: 2}, {0: 1, 1: 2}, {0: 1}, {1: 2, 0: 1}, {0: 1, 1: 3}, {}], 2)
    assert first_of_each(rows, np.ones(6, bool), 9).tolist() == [0, 2, 4, 5]
    assert first_of_each(rows, np.array([0, 1, 0, 1, 1, 0], bool), 9).tolist() == [1, 4]


def test_which_terms_a_collection_may_feed() -> None:
    """Words that few documents have; what a model writes and is no word never."""
    words = ["cls", "[CLS]", "[unused12]", "</s>", "<pad>", "<|endoftext|>", "##ing", "a<b", "[]"]
    rows = [dict.fromkeys(range(len(words)), 1.0), {0: 1.0, 6: 1.0}, {0: 1.0}, {}]

    class Named(Letters):
        def term(self, term: int) -> str:
            return words[term]

    documents = CSR.from_rows(rows, len(words))
    segment = Segment.build(list("abcd"), documents)
    encoder = cast(Encoder, Named(len(words)))
    side = SparseRetriever(encoder, ExactSearcher(segment), segment, cast(DocumentStore, None))
    terms = np.arange(len(words), dtype=np.int32)

    def fed(max_df: float) -> list[str]:
        return [words[term] for term in np.flatnonzero(side.may_feed(terms, max_df)).tolist()]

    assert fed(1.0) == ["cls", "##ing", "a<b", "[]"]
    assert fed(0.75) == ["cls", "##ing", "a<b", "[]"], "a share of 3 in 4 is not above it"
    assert fed(0.74) == ["##ing", "a<b", "[]"]
    assert fed(0.5) == ["##ing", "a<b", "[]"]
    assert fed(0.25) == ["a<b", "[]"]
    assert fed(0.2) == []
    assert side.may_feed(terms[:0], 1.0).tolist() == []
