"""BM25 against arithmetic written out by hand, and the encoder's life: grow, save, load."""

from __future__ import annotations

import json
from math import log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.protocols import CorpusEncoder, Encoder
from lsr.errors import IndexCorruptError, InputError
from lsr.index.search.exact_searcher import ExactSearcher
from lsr.index.storage.segment import Segment
from lsr.sparse import CSR
from tests.naive import exact as naive
from tests.support.strategies import texts

GOLDEN = [
    "cat",
    "Cat cats",
    "cat dog",
    "dog",
    "dog dogs dog bird",
    "bird",
    "fish fish cat dog bird",
    "",
    "the of and",
    "fish",
    "fish, bird!",
    "owl",
]
"""12 documents of 20 words together: cat, dog and bird are in 4 of them, fish in 3, owl in 1."""

AVERAGE = 20 / 12
IDF_4 = log(1 + (12 - 4 + 0.5) / (4 + 0.5))
IDF_3 = log(1 + (12 - 3 + 0.5) / (3 + 0.5))
IDF_1 = log(1 + (12 - 1 + 0.5) / (1 + 0.5))


def scores(encoder: Bm25Encoder, documents: CSR, query: str) -> dict[int, float]:
    """Row to score of everything found, by the real engine."""
    segment = Segment.build([f"{i:02}" for i in range(documents.n_rows)], documents)
    found = ExactSearcher(segment).search_batch(encoder.encode_queries([query]), documents.n_rows)
    return {
        row: score
        for row, score in zip(found.rows[0].tolist(), found.scores[0].tolist(), strict=True)
        if row >= 0
    }


def test_golden_by_hand() -> None:
    encoder = Bm25Encoder()
    documents = encoder.encode_corpus([GOLDEN[:5], GOLDEN[5:]])
    documents.validate()
    assert documents.n_rows == 12

    def norm(length: int) -> float:
        return 0.9 * (1 - 0.4 + 0.4 * length / AVERAGE)

    # d = 6 is "fish fish cat dog bird": 5 words, so norm = 0.9 * (0.6 + 0.4 * 3) = 1.62
    assert norm(5) == pytest.approx(1.62)
    assert scores(encoder, documents, "fish cat cat") == pytest.approx(
        {
            0: 2 * IDF_4 * 1 / (1 + norm(1)),
            1: 2 * IDF_4 * 2 / (2 + norm(2)),
            2: 2 * IDF_4 * 1 / (1 + norm(2)),
            6: IDF_3 * 2 / (2 + 1.62) + 2 * IDF_4 * 1 / (1 + 1.62),
            9: IDF_3 * 1 / (1 + norm(1)),
            10: IDF_3 * 1 / (1 + norm(2)),
        },
        rel=1e-6,
    )
    # the same, worked out with a pocket calculator
    assert scores(encoder, documents, "fish cat cat")[6] == pytest.approx(1.534791, abs=1e-6)
    assert scores(encoder, documents, "owls")[11] == pytest.approx(
        IDF_1 / (1 + 0.9 * (0.6 + 0.4 * 0.6)), rel=1e-6
    )
    assert scores(encoder, documents, "dog")[4] == pytest.approx(
        IDF_4 * 3 / (3 + norm(4)), rel=1e-6
    )
    assert scores(encoder, documents, "the unicorn") == {}


@pytest.mark.parametrize(
    ("k1", "b", "expected"),
    [
        # no saturation: every occurrence counts as one
        (0.0, 0.4, {4: IDF_4, 5: IDF_4, 6: IDF_4, 10: IDF_4}),
        # length does not matter
        (1.2, 0.0, dict.fromkeys((4, 5, 6, 10), IDF_4 / (1 + 1.2))),
        # length matters in full: 4, 1, 5 and 2 words of 5/3 on average
        (
            1.2,
            1.0,
            {
                4: IDF_4 / (1 + 1.2 * 2.4),
                5: IDF_4 / (1 + 1.2 * 0.6),
                6: IDF_4 / (1 + 1.2 * 3.0),
                10: IDF_4 / (1 + 1.2 * 1.2),
            },
        ),
    ],
)
def test_options(k1: float, b: float, expected: dict[int, float]) -> None:
    encoder = Bm25Encoder(k1=k1, b=b)
    documents = encoder.encode_corpus([GOLDEN])
    assert scores(encoder, documents, "bird") == pytest.approx(expected, rel=1e-6)


def test_dot_product_is_the_score() -> None:
    encoder = Bm25Encoder()
    documents = encoder.encode_corpus([GOLDEN])
    (query,) = naive.rows_of(encoder.encode_queries(["dog bird bird"]))
    expected = {
        row: float(value)
        for row, document in enumerate(naive.rows_of(documents))
        if (value := naive.score(query, document)) > 0
    }
    assert scores(encoder, documents, "dog bird bird") == expected


def test_queries_are_counts() -> None:
    encoder = Bm25Encoder()
    encoder.encode_corpus([GOLDEN])
    queries = encoder.encode_queries(["dogs dog cat unicorn", "", "unicorn"])
    queries.validate()
    assert queries.n_terms == encoder.n_terms == 5
    named = [{encoder.term(t): w for t, w in row.items()} for row in naive.rows_of(queries)]
    assert named == [{"dog": 2.0, "cat": 1.0}, {}, {}]


def test_it_is_an_encoder() -> None:
    assert isinstance(Bm25Encoder(), Encoder)


def test_empty_documents_and_stop_words_are_empty_rows() -> None:
    documents = Bm25Encoder().encode_corpus([GOLDEN])
    assert [len(documents.row(i).terms) for i in (7, 8)] == [0, 0]
    nothing = Bm25Encoder()
    assert nothing.encode_corpus([["", "the of"]]).n_rows == 2
    assert nothing.encode_corpus([]).n_rows == 0
    assert nothing.n_terms == 0
    assert nothing.encode_queries(["dog"]).nnz == 0
    assert nothing.encode_documents(["dog", ""]).n_rows == 2
    fresh = Bm25Encoder()
    assert fresh.encode_documents(["dog"]).nnz == 0
    assert fresh.encode_queries(["dog"]).nnz == 0


def test_encode_documents_uses_the_statistics_as_they_are() -> None:
    encoder = Bm25Encoder()
    whole = encoder.encode_corpus([GOLDEN])
    before = encoder.identity
    again = encoder.encode_documents(GOLDEN)
    assert encoder.identity == before
    assert naive.rows_of(again) == naive.rows_of(whole)
    # unknown words are left out and still count for the length
    (row,) = naive.rows_of(encoder.encode_documents(["owl unicorn unicorn"]))
    assert {encoder.term(t): w for t, w in row.items()} == pytest.approx(
        {"owl": IDF_1 / (1 + 0.9 * (0.6 + 0.4 * 3 / AVERAGE))}, rel=1e-6
    )


def test_appending_keeps_identifiers() -> None:
    encoder = Bm25Encoder()
    encoder.encode_corpus([GOLDEN[:6]])
    terms = [encoder.term(t) for t in range(encoder.n_terms)]
    assert terms == ["cat", "dog", "bird"]
    encoder.encode_corpus([GOLDEN[6:]])
    assert [encoder.term(t) for t in range(encoder.n_terms)] == [
        "cat",
        "dog",
        "bird",
        "fish",
        "owl",
    ]
    at_once = Bm25Encoder()
    expected = at_once.encode_corpus([GOLDEN])
    assert encoder.identity == at_once.identity
    assert naive.rows_of(encoder.encode_documents(GOLDEN)) == naive.rows_of(expected)


@settings(max_examples=50, deadline=None)
@given(st.lists(texts(), max_size=8), st.integers(1, 4), st.floats(0, 3), st.floats(0, 1))
def test_any_text_makes_valid_vectors(corpus: list[str], size: int, k1: float, b: float) -> None:
    encoder = Bm25Encoder(k1=k1, b=b)
    batches = [corpus[i : i + size] for i in range(0, len(corpus), size)]
    documents = encoder.encode_corpus(batches)
    documents.validate()
    assert documents.n_rows == len(corpus)
    assert naive.rows_of(documents) == naive.rows_of(encoder.encode_documents(corpus))


@settings(max_examples=25, deadline=None)
@given(corpus=st.lists(texts(), max_size=6))
def test_save_and_load(corpus: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("encoder")
    encoder = Bm25Encoder(k1=1.5, b=0.75, language="none")
    encoder.encode_corpus([[*corpus, "漢字 Zürich"]])
    encoder.save(folder)
    loaded = Bm25Encoder.load(folder)
    assert loaded.identity == encoder.identity
    probe = [*corpus, "zürich unknown"]
    for a, b in (
        (loaded.encode_documents(probe), encoder.encode_documents(probe)),
        (loaded.encode_queries(probe), encoder.encode_queries(probe)),
        (loaded.encode_corpus([probe]), encoder.encode_corpus([probe])),
    ):
        assert naive.rows_of(a) == naive.rows_of(b)
    assert loaded.identity == encoder.identity


def test_identity_tells_encoders_apart() -> None:
    def identity(texts: list[str], **options: float) -> str:
        encoder = Bm25Encoder(**options)  # type: ignore[arg-type]
        encoder.encode_corpus([texts])
        return encoder.identity.sha256

    same = identity(["a1 b1", "c1"])
    assert same == identity(["a1 b1", "c1"])
    others = [
        identity(["a1 b1", "c1"], k1=1.0),
        identity(["a1 b1", "c1"], b=0.5),
        identity(["b1 a1", "c1"]),
        identity(["a1 b1", "c1", ""]),
        identity(["a1 b1 b1", "c1"]),
        identity(["a1 b1", "c1 b1"]),
    ]
    assert len({same, *others}) == 7
    assert Bm25Encoder(language="none").identity != Bm25Encoder().identity
    first = Bm25Encoder(analysis=1).identity
    assert first.parameters == {"k1": 0.9, "b": 0.4, "language": "english"}
    assert Bm25Encoder().identity.parameters == first.parameters | {"analysis": 2}
    assert Bm25Encoder().identity.sha256 != first.sha256


@pytest.mark.parametrize("k1", [-0.1, 1_000.5, float("nan"), float("inf")])
def test_k1_out_of_range(k1: float) -> None:
    with pytest.raises(InputError, match="k1 is .*; it must be from 0 to 1000"):
        Bm25Encoder(k1=k1)


@pytest.mark.parametrize("b", [-0.1, 1.1, float("nan")])
def test_b_out_of_range(b: float) -> None:
    with pytest.raises(InputError, match="b is .*; it must be from 0 to 1"):
        Bm25Encoder(b=b)


def test_unknown_language() -> None:
    with pytest.raises(InputError, match="no stemmer"):
        Bm25Encoder(language="klingon")


@pytest.mark.parametrize("name", ["encoder.json", "vocabulary.txt", "document_frequency.npy"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff\xfe\n", b"\x93NUMPY"])
def test_damaged_files(tmp_path: Path, name: str, content: bytes | None) -> None:
    encoder = Bm25Encoder()
    encoder.encode_corpus([GOLDEN])
    encoder.save(tmp_path)
    Bm25Encoder.load(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(IndexCorruptError, match="build the index again"):
        Bm25Encoder.load(tmp_path)


def test_files_that_do_not_fit_together(tmp_path: Path) -> None:
    encoder = Bm25Encoder()
    encoder.encode_corpus([GOLDEN])
    encoder.save(tmp_path)
    np.save(tmp_path / "document_frequency.npy", np.ones(4, np.int64))
    with pytest.raises(IndexCorruptError, match="5 terms but 4 frequencies"):
        Bm25Encoder.load(tmp_path)
    state = json.loads((tmp_path / "encoder.json").read_text())
    del state["n_words"]
    (tmp_path / "encoder.json").write_text(json.dumps(state))
    with pytest.raises(IndexCorruptError, match="n_words"):
        Bm25Encoder.load(tmp_path)


def test_a_fresh_encoder_has_the_options_and_nothing_else() -> None:
    encoder = Bm25Encoder(k1=1.5, b=0.75, language="none")
    assert isinstance(encoder, CorpusEncoder)
    nothing = encoder.identity
    encoder.encode_corpus([GOLDEN])
    fresh = encoder.fresh()
    assert fresh.identity == nothing != encoder.identity
    assert naive.rows_of(fresh.encode_corpus([GOLDEN])) == naive.rows_of(
        encoder.encode_documents(GOLDEN)
    )
    assert fresh.identity == encoder.identity
