"""Teachers: BM25 by hand, and tiny real models of each kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.dense_recipe import DenseOptions
from lsr.errors import InputError, ModelError
from lsr.progress import no_progress
from lsr.training.teachers.bm25 import Bm25Scorer, TokenRows
from lsr.training.teachers.cross_encoder import CrossEncoderScorer, open_crossencoder
from lsr.training.teachers.dense import DenseScorer, open_dense
from lsr.training.teachers.identity import model_sha256
from lsr.training.teachers.protocol import PairTeacher, Teacher
from lsr.training.teachers.sparse import SparseScorer, open_sparse
from tests.support.dense_models import dense_model_folder
from tests.support.stub_encoders import StubDense
from tests.support.tiny_models import tiny_base

QUERIES = ["cat", "red bird by the sea", "water", "cat"]
DOCUMENTS = [
    "the cat and the dog eat",
    "a red bird at the sea",
    "hot water in the lake",
    "cat cat cat",
    "",
    "king and queen of the desert",
]
ALL_QUERIES, ALL_DOCUMENTS = np.arange(len(QUERIES)), np.arange(len(DOCUMENTS))


def rows_of(texts: list[list[int]]) -> TokenRows:
    lengths = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    return TokenRows(lengths, np.array([token for text in texts for token in text], np.uint16))


def bm25(queries: list[list[int]], documents: list[list[int]], **options: float) -> Bm25Scorer:
    scorer = Bm25Scorer(rows_of(queries), rows_of(documents), 6, **options)  # type: ignore[arg-type]
    scorer.prepare([""] * len(queries), [""] * len(documents))
    return scorer


def assert_ranks_as_it_scores(teacher: Teacher, n_queries: int, n_documents: int) -> None:
    """`best` is the order of `scores`, with the same numbers, in lines of any depth."""
    queries = np.arange(n_queries)[::-1]
    scores = teacher.scores(queries, np.arange(n_documents))
    assert scores.shape == (n_queries, n_documents)
    assert scores.dtype == np.float32
    some = teacher.scores(queries[1:], np.array([2, 0]))
    np.testing.assert_allclose(some, scores[1:, [2, 0]], rtol=1e-5, atol=1e-6)
    for depth in (1, 2, n_documents + 3):
        rows, values = teacher.best(queries, depth)
        assert rows.shape == values.shape == (n_queries, depth)
        assert rows.dtype == np.int32
        assert values.dtype == np.float32
        for line, row in enumerate(rows):
            found = row[row >= 0]
            assert len(set(found.tolist())) == len(found)
            got = values[line, : len(found)]
            assert (np.diff(got) <= 1e-6).all()
            np.testing.assert_allclose(got, scores[line, found], rtol=1e-5, atol=1e-6)
            rest = np.delete(scores[line], found)
            left = rest if len(found) == min(depth, n_documents) else rest[rest > 0]
            assert len(left) == 0 or left.max() <= got.min() + 1e-6
            assert (row[len(found) :] == -1).all()
            assert not values[line, len(found) :].any()


# BM25

Q = [[2, 1, 2], [4, 5], []]
D = [[1, 2, 2], [2, 3, 3, 3, 4], [4]]
BY_HAND: list[list[float]] = [
    # ln(1.6) * 2 / 3.2 + ln(8 / 3) / 2.2, ln(1.6) / 2.8
    [0.73958375, 0.16785844, 0],
    [0, 0.16785844, 0.29375227],  # ln(1.6) / 2.8, ln(1.6) / 1.6
    [0, 0, 0],
]


def test_bm25_by_hand() -> None:
    scorer = bm25(Q, D, k1=1.2, b=0.75)
    assert isinstance(scorer, Teacher)
    assert not isinstance(scorer, PairTeacher)
    scores = scorer.scores(np.arange(3), np.arange(3))
    np.testing.assert_allclose(scores, BY_HAND, rtol=1e-6)
    np.testing.assert_allclose(
        scorer.scores(np.array([1]), np.array([2, 1])), [[0.29375227, 0.16785844]], rtol=1e-6
    )
    rows, values = scorer.best(np.array([1, 2, 0]), 2)
    assert rows.tolist() == [[2, 1], [-1, -1], [0, 1]]
    expected: list[list[float]] = [[0.29375227, 0.16785844], [0, 0], [0.73958375, 0.16785844]]
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert_ranks_as_it_scores(scorer, 3, 3)


def test_bm25_is_that_of_lsr_bm25() -> None:
    encoder = Bm25Encoder(k1=0.9, b=0.4)
    documents = encoder.encode_corpus([DOCUMENTS])
    asked = encoder.encode_queries(QUERIES)
    expected = (to_scipy(asked) @ to_scipy(documents).T).toarray()
    assert asked.weights.max() == 1, "or counts would differ"

    def tokens(texts: list[str]) -> TokenRows:
        stems = [encoder.find_terms(encoder.analyzer.terms(text)) for text in texts]
        return rows_of([[term for term in row if term is not None] for row in stems])

    scorer = Bm25Scorer(tokens(QUERIES), tokens(DOCUMENTS), encoder.n_terms, k1=0.9, b=0.4)
    scorer.prepare(QUERIES, DOCUMENTS)
    scores = scorer.scores(ALL_QUERIES, ALL_DOCUMENTS)
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    assert scores.max() > 0.5


def test_bm25_identity_is_of_tokens_and_options() -> None:
    same = bm25(Q, D).identity
    assert bm25(Q, D).identity == same
    others = [bm25(Q, D, k1=1), bm25(Q, D, b=1), bm25(Q[::-1], D), bm25(Q, [*D, []])]
    assert len({same, *(other.identity for other in others)}) == 5


def test_bm25_without_documents() -> None:
    scorer = bm25(Q, [])
    assert scorer.scores(np.arange(3), np.zeros(0, np.int64)).shape == (3, 0)
    assert scorer.best(np.arange(3), 2).rows.tolist() == [[-1, -1]] * 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bm25(Q, D, k1=0), "k1 must be above 0"),
        (lambda: bm25(Q, D, b=1.1), "b from 0 to 1"),
        (lambda: bm25(Q, [[6]]), "a document has a token outside 0..5"),
        (lambda: bm25(Q, D).best(np.arange(2), 0), "a depth of 0; ask for at least 1"),
        (lambda: Bm25Scorer(rows_of(Q), rows_of(D), 6).scores(ALL_QUERIES, ALL_QUERIES), "prepare"),
        (
            lambda: Bm25Scorer(rows_of(Q), rows_of(D), 6).prepare(["x"], ["y"] * 3),
            "tokens of 3 queries and 3 documents for 1 and 3 texts",
        ),
    ],
)
def test_bm25_refusals(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


# Dense


@pytest.fixture(scope="module")
def dense_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    base = tiny_base(tmp_path_factory.mktemp("dense-base"), masked_lm=False)
    transformer = Transformer(str(base))
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    folder = tmp_path_factory.mktemp("dense") / "model"
    model = SentenceTransformer(modules=[transformer, pooling], device="cpu")
    model.prompts = {"query": "find ", "document": ""}
    model.save(str(folder))
    return folder


def test_a_dense_model(dense_folder: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    teacher = open_dense(str(dense_folder), tmp_path)
    assert isinstance(teacher, Teacher)
    with pytest.raises(InputError, match="call prepare first"):
        teacher.best(ALL_QUERIES, 1)
    teacher.prepare(QUERIES, DOCUMENTS)
    model = SentenceTransformer(str(dense_folder), device="cpu")
    asked = model.encode([f"find {text}" for text in QUERIES], normalize_embeddings=True)
    documents = model.encode(DOCUMENTS, normalize_embeddings=True)
    documents[4] = 0
    scores = teacher.scores(ALL_QUERIES, ALL_DOCUMENTS)
    np.testing.assert_allclose(scores, asked @ documents.T, atol=2e-3)
    assert scores.std() > 0.01
    assert_ranks_as_it_scores(teacher, len(QUERIES), len(DOCUMENTS))

    again = open_dense(str(dense_folder), tmp_path)
    again.prepare(QUERIES, DOCUMENTS)
    assert again.cache.n_made == 0
    np.testing.assert_array_equal(again.scores(ALL_QUERIES, ALL_DOCUMENTS), scores)


def test_a_dense_teacher_scores_as_search_does(tmp_path: Path) -> None:
    """By its own prompts, similarity and dimensions, or by those of its config."""
    from sentence_transformers import SentenceTransformer

    folder = dense_model_folder(tmp_path / "model", "prompts")
    model = SentenceTransformer(str(folder), device="cpu")
    own = open_dense(str(folder), tmp_path / "cache")
    asked = DenseOptions(query_prompt="why ", document_prompt="", dimensions=8)
    other = open_dense(str(folder), tmp_path / "cache", options=asked)
    for teacher in (own, other):
        teacher.prepare(QUERIES, DOCUMENTS)
    documents = model.encode_document(DOCUMENTS)
    documents[4] = 0  # an empty text
    expected = model.encode_query(QUERIES) @ documents.T
    assert np.abs(expected).max() > 2, "longer than of unit length"
    scores = own.scores(ALL_QUERIES, ALL_DOCUMENTS)
    np.testing.assert_allclose(scores, expected, rtol=5e-3, atol=2e-2)
    documents = model.encode(DOCUMENTS, prompt="")[:, :8]
    documents[4] = 0
    expected = model.encode(QUERIES, prompt="why ")[:, :8] @ documents.T
    scores = other.scores(ALL_QUERIES, ALL_DOCUMENTS)
    np.testing.assert_allclose(scores, expected, rtol=5e-3, atol=2e-2)
    assert own.identity != other.identity
    lengths = np.linalg.norm(own.query_vectors.astype(np.float32), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-3)


def test_dense_truncation_and_pooling_are_of_the_identity(
    dense_folder: Path, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    whole = open_dense(str(dense_folder), tmp_path)
    short = open_dense(str(dense_folder), tmp_path, max_tokens=4)
    model = SentenceTransformer(str(dense_folder), device="cpu")
    model[1] = Pooling(32, pooling_mode="cls")
    other = model_sha256(model)
    assert len({whole.identity, short.identity}) == 2
    assert other != model_sha256(SentenceTransformer(str(dense_folder), device="cpu"))
    short.prepare([], ["cat dog", "cat dog bird fish"])
    whole.prepare([], ["cat dog", "cat dog bird fish"])
    assert short.cache.n_made == whole.cache.n_made == 2
    alike = [float(t._prepared()[1][0] @ t._prepared()[1][1]) for t in (short, whole)]
    assert alike[0] == pytest.approx(1, abs=2e-3), "cut after two words, both are the same"
    assert alike[1] < 0.998


def test_identity_survives_use_and_reloading(dense_folder: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(dense_folder), device="cpu")
    before = model_sha256(model)
    model.encode(["cat", "dog bird"])
    assert model_sha256(model) == before
    model.save(str(tmp_path / "copy"))
    assert model_sha256(SentenceTransformer(str(tmp_path / "copy"), device="cpu")) == before


def test_dense_in_blocks_is_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn = np.random.default_rng(3)
    queries, documents = ([f"{i} {'e' * drawn.integers(9)}" for i in range(n)] for n in (7, 31))
    teacher = DenseScorer(StubDense(), tmp_path)
    teacher.prepare(queries, documents)
    whole = teacher.best(np.arange(7), 5)
    monkeypatch.setattr("lsr.training.teachers.nearest.BLOCK_ROWS", 3)
    monkeypatch.setattr("lsr.training.teachers.nearest.BLOCK_CELLS", 6)
    parts = teacher.best(np.arange(7), 5)
    np.testing.assert_allclose(parts.scores, whole.scores, rtol=1e-6)
    assert_ranks_as_it_scores(teacher, 7, 31)


# Sparse


@pytest.fixture(scope="module")
def masked_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("masked-lm"))


def test_a_sparse_model(masked_lm: Path, tmp_path: Path) -> None:
    teacher = open_sparse(str(masked_lm), tmp_path)
    assert isinstance(teacher, Teacher)
    teacher.prepare(QUERIES, DOCUMENTS)
    model = teacher._model
    asked = model.encode_query(QUERIES, convert_to_sparse_tensor=False)
    documents = model.encode_document(DOCUMENTS, convert_to_sparse_tensor=False)
    expected = (asked @ documents.T).numpy()
    assert expected.std() > 0
    np.testing.assert_allclose(
        teacher.scores(ALL_QUERIES, ALL_DOCUMENTS), expected, rtol=1e-4, atol=1e-5
    )
    assert_ranks_as_it_scores(teacher, len(QUERIES), len(DOCUMENTS))
    again = open_sparse(str(masked_lm), tmp_path)
    again.prepare(QUERIES, DOCUMENTS)
    assert again.cache.n_made == 0
    assert again.best(ALL_QUERIES, 6).rows.tolist() == teacher.best(ALL_QUERIES, 6).rows.tolist()


def test_a_sparse_model_with_two_sides(masked_lm: Path, tmp_path: Path) -> None:
    import torch
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Router, Transformer
    from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling

    transformer = Transformer(str(masked_lm), transformer_task="fill-mask")
    table = torch.arange(len(transformer.tokenizer), dtype=torch.float32)
    static = SparseStaticEmbedding(transformer.tokenizer, weight=table, frozen=True)
    router = Router.for_query_document(
        query_modules=[static], document_modules=[transformer, SpladePooling("max")]
    )
    model = SparseEncoder(modules=[router], device="cpu")
    teacher = SparseScorer(model, tmp_path, batch_size=2)
    teacher.prepare(QUERIES, DOCUMENTS)
    number = transformer.tokenizer.convert_tokens_to_ids("cat")
    documents = model.encode_document(DOCUMENTS, convert_to_sparse_tensor=False).numpy()
    np.testing.assert_allclose(
        teacher.scores(np.array([0]), ALL_DOCUMENTS)[0], documents[:, number] * number, rtol=1e-4
    )
    with torch.no_grad():
        static.weight[number] += 1
    assert SparseScorer(model, tmp_path).identity != teacher.identity


def test_negative_weights_are_refused(tmp_path: Path) -> None:
    scorer = SparseScorer.__new__(SparseScorer)
    scorer.name = "odd"
    for wrong in (-1.0, np.nan):
        with pytest.raises(ModelError, match="odd gives weights that are negative or not finite"):
            scorer._matrix(np.array([[0.0, wrong]], np.float32))


# Cross-encoder


@pytest.fixture(scope="module")
def cross_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _classifier(tmp_path_factory.mktemp("cross"), 1)


def _classifier(folder: Path, n_labels: int) -> Path:
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    tiny_base(folder)
    config = BertConfig.from_pretrained(folder, num_labels=n_labels, initializer_range=0.5)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_a_cross_encoder(cross_folder: Path, tmp_path: Path) -> None:
    import torch
    from sentence_transformers import CrossEncoder

    teacher = open_crossencoder(str(cross_folder), tmp_path)
    assert isinstance(teacher, Teacher)
    assert isinstance(teacher, PairTeacher)
    with pytest.raises(InputError, match="call prepare first"):
        teacher.prepare_pairs(np.array([0]), np.array([0]))
    teacher.prepare(QUERIES, DOCUMENTS, no_progress)
    assert np.isnan(teacher.scores(ALL_QUERIES, ALL_DOCUMENTS)).all()
    told: list[int] = []
    teacher.prepare_pairs(
        np.array([0, 1, 3]), np.array([3, 1, 3]), lambda stage, done, total: told.append(done)
    )
    assert told[-1] == teacher.cache.n_made == 2, "rows 0 and 3 are the same text"
    model = CrossEncoder(str(cross_folder), device="cpu")
    pairs = [(QUERIES[0], DOCUMENTS[3]), (QUERIES[1], DOCUMENTS[1])]
    logits = model.predict(pairs, activation_fn=torch.nn.Identity())
    scores = teacher.scores(np.array([3, 1]), np.array([1, 3, 5]))
    expected: NDArray[Any] = np.array([[np.nan, logits[0], np.nan], [logits[1], np.nan, np.nan]])
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)
    assert abs(logits[0] - logits[1]) > 1e-2

    teacher.prepare_pairs(np.array([1]), np.array([5]))
    assert np.isfinite(teacher.scores(ALL_QUERIES, ALL_DOCUMENTS)).sum() == 4, "more, none less"
    again = open_crossencoder(str(cross_folder), tmp_path)
    again.prepare(QUERIES, DOCUMENTS)
    again.prepare_pairs(np.array([1, 0]), np.array([5, 3]))
    assert again.cache.n_made == 0
    with pytest.raises(InputError, match=rf"the teacher {again.name} knows chosen pairs only"):
        again.best(ALL_QUERIES, 3)


def test_a_cross_encoder_of_classes_is_refused(tmp_path: Path) -> None:
    folder = _classifier(tmp_path / "three", 3)
    with pytest.raises(InputError, match="has 3 outputs; a teacher needs one"):
        open_crossencoder(str(folder), tmp_path)


@pytest.mark.parametrize("opened", [open_dense, open_sparse, open_crossencoder])
def test_models_that_are_not_there(opened: Callable[[str, Path], Teacher], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty' cannot be loaded \("):
        opened(str(tmp_path / "empty"), tmp_path)


def test_models_of_different_weights_have_different_identities(
    cross_folder: Path, tmp_path: Path
) -> None:
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(cross_folder), device="cpu")
    before = CrossEncoderScorer(model, tmp_path).identity
    model.model.classifier.bias.data += 1
    assert CrossEncoderScorer(model, tmp_path).identity != before
