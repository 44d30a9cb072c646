"""Lexical terms beside any encoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.learned.lexical_terms import LexicalTerms
from lsr.encoders.lexical import LexicalEncoder
from lsr.encoders.protocols import CorpusEncoder, Encoder, ResumableEncoder
from lsr.errors import InputError
from lsr.sparse import CSR
from lsr.types import EncoderIdentity

FIRST = ["a heron and a crane", "the heron", ""]
LATER = ["cranes over Zlatoust"]
TERMS = LexicalTerms(2.5)


class Letters:
    """Terms are the letters a to c, weighed by how often a text has them."""

    identity = EncoderIdentity("letters", "abc", "0" * 64, {"case": "lower"})
    n_terms = 3

    def __init__(self) -> None:
        self.kept: list[Path] = []

    def encode_corpus(self, batches: Iterable[Sequence[str]]) -> CSR:
        return self.encode_documents([text for batch in batches for text in batch])

    def encode_documents(self, texts: Sequence[str]) -> CSR:
        return CSR.from_rows(({n: text.count("abc"[n]) for n in range(3)} for text in texts), 3)

    encode_queries = encode_documents

    def find_terms(self, texts: Sequence[str]) -> list[int | None]:
        return ["abc".index(text) if text in set("abc") else None for text in texts]

    def surface_terms(self, text: str) -> NDArray[np.int32] | None:
        return np.array([n for n in range(3) if "abc"[n] in text], np.int32)

    def term(self, term: int) -> str:
        return "abc"[term]

    def save(self, folder: Path) -> None:
        (folder / "letters").write_text("abc")

    @contextmanager
    def keep_in(self, folder: Path) -> Iterator[None]:
        self.kept.append(folder)
        yield


def _dense(vectors: CSR) -> Any:
    vectors.validate()
    return to_scipy(vectors).toarray()


def test_vectors_are_those_of_both_side_by_side(tmp_path: Path) -> None:
    letters, words = Letters(), Bm25Encoder(k1=TERMS.k1, b=TERMS.b)
    encoder = LexicalEncoder(letters, TERMS)
    assert isinstance(encoder, Encoder)
    assert not isinstance(encoder, CorpusEncoder)
    for texts in (FIRST, LATER):
        found = _dense(encoder.encode_corpus([texts[:1], texts[1:]]))
        expected = [
            _dense(letters.encode_documents(texts)),
            2.5 * _dense(words.encode_corpus([texts])),
        ]
        assert np.allclose(found, np.hstack(expected))
    found = _dense(encoder.encode_documents([*LATER, "unknown"]))
    impacts = _dense(words.encode_documents([*LATER, "unknown"]))
    assert np.allclose(found[:, 3:], 2.5 * impacts)
    queries = ["crane crane", "", "nothing"]
    expected = [_dense(letters.encode_queries(queries)), _dense(words.encode_queries(queries))]
    assert np.array_equal(_dense(encoder.encode_queries(queries)), np.hstack(expected))
    for row, query in enumerate(queries):
        alone = _dense(encoder.encode_queries([query]))
        assert np.array_equal(alone, np.hstack(expected)[row : row + 1])
    encoder.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"letters", "own"}
    again = LexicalEncoder(Letters(), TERMS, Bm25Encoder.load(tmp_path / "own"))
    assert again.identity == encoder.identity
    assert np.array_equal(_dense(again.encode_documents(LATER)), found[:1])


def test_names_are_told_apart_by_a_mark() -> None:
    encoder = LexicalEncoder(Letters(), TERMS)
    encoder.encode_corpus([["a b", "heron"]])
    names = [encoder.term(term) for term in range(encoder.n_terms)]
    assert names == ["a", "b", "c", *(f"own:{stem}" for stem in ("b", "heron"))]
    assert encoder.find_terms([*names, "heron", "own:c"]) == [0, 1, 2, 3, 4, None, None]
    surface = encoder.surface_terms("a herons")
    assert surface is not None
    assert surface.tolist() == [0, 4]


def test_it_is_known_by_all_that_vectors_depend_on() -> None:
    encoder = LexicalEncoder(Letters(), TERMS)
    first = encoder.identity
    assert (first.kind, first.name) == ("letters", "abc")
    assert first.parameters == {"case": "lower", "n_terms": 3, "lexical_weight": 2.5}
    assert LexicalEncoder(Letters(), TERMS).identity == first
    assert LexicalEncoder(Letters(), LexicalTerms(2.0)).identity.sha256 != first.sha256
    assert Letters.identity.sha256 != first.sha256
    encoder.encode_corpus([LATER])
    assert encoder.identity.sha256 != first.sha256


def test_vectors_are_kept_if_the_inner_encoder_can(tmp_path: Path) -> None:
    letters = Letters()
    encoder = LexicalEncoder(letters, TERMS)
    assert isinstance(encoder, ResumableEncoder)
    with encoder.keep_in(tmp_path):
        assert letters.kept == [tmp_path]


def test_a_vocabulary_that_grows_is_refused() -> None:
    with pytest.raises(InputError, match="grows with the corpus"):
        LexicalEncoder(Bm25Encoder(), TERMS)
