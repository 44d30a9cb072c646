"""Any encoder beside BM25: one sparse vector that has the terms of both.

    score(q, d) = inner(q) · inner(d)  +  weight BM25(q, d)

The inner encoder's terms come first, then the stems of the collection's words, which an analyzer
finds in the whole text. See `lsr.encoders.learned.lexical_terms` for what that is good for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.analysis import Analyzer
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.learned.lexical_terms import LexicalTerms, side_by_side
from lsr.encoders.protocols import (
    CorpusEncoder,
    Encoder,
    LearningEncoder,
    ResumableEncoder,
)
from lsr.errors import InputError
from lsr.sparse import CSR
from lsr.types import EncoderIdentity

__all__ = [
    "LEXICAL_MARK",
    "WORDS_FOLDER",
    "LexicalEncoder",
    "analyzer_of",
    "words_encoder",
    "words_language",
]

LEXICAL_MARK = "own:"
"""Before the stems of lexical terms, since a token of the inner encoder may be the same."""

WORDS_FOLDER = "own"
"""Below the inner encoder's folder: where BM25's statistics lie."""


E = TypeVar("E", bound=Encoder)


def words_encoder(terms: LexicalTerms) -> Bm25Encoder:
    """BM25 for lexical terms, which has seen no corpus."""
    return Bm25Encoder(k1=terms.k1, b=terms.b, language=terms.language, analysis=terms.analysis)


class LexicalEncoder(Generic[E]):
    """An encoder, and the lexical terms of the same texts beside its own.

    Args:
        inner: an encoder whose vocabulary does not grow.
        terms: how words are weighed.
        words: BM25 with the statistics of a collection; default: a new one, as `terms` says.

    Raises:
        InputError: the inner encoder's vocabulary grows with the corpus.
    """

    def __init__(self, inner: E, terms: LexicalTerms, words: Bm25Encoder | None = None) -> None:
        if isinstance(inner, CorpusEncoder):
            raise InputError(
                f"the vocabulary of {inner.identity.name} grows with the corpus, so that lexical "
                "terms cannot follow it; put them beside another encoder"
            )
        self._inner = inner
        self._terms = terms
        self._words = words or words_encoder(terms)

    @property
    def identity(self) -> EncoderIdentity:
        inner, words = self._inner.identity, self._words.identity
        content = [inner.sha256, self._terms.to_dict(), words.sha256]
        return EncoderIdentity(
            inner.kind,
            inner.name,
            hashlib.sha256(json.dumps(content).encode()).hexdigest(),
            {**inner.parameters, "n_terms": self.n_terms, "lexical_weight": self._terms.weight},
        )

    @property
    def words(self) -> Bm25Encoder:
        """BM25 of the lexical terms."""
        return self._words

    @property
    def n_terms(self) -> int:
        return self._inner.n_terms + self._words.n_terms

    def term(self, term: int) -> str:
        """The inner encoder's text of a term; of a lexical one its stem, marked."""
        first = self._inner.n_terms
        if term < first:
            return self._inner.term(term)
        return LEXICAL_MARK + self._words.term(term - first)

    def encode_corpus(self, batches: Iterable[Sequence[str]]) -> CSR:
        """Vectors of the texts, whose words are added to the vocabulary and its statistics.

        Lexical terms of documents that were encoded earlier keep the weights of their time.
        """
        parts: list[CSR] = []

        def encoded() -> Iterator[Sequence[str]]:
            for batch in batches:
                parts.append(self._inner.encode_corpus([batch]))
                yield batch

        words = self._words.encode_corpus(encoded())
        inner = CSR.concatenate(parts)._replace(n_terms=self._inner.n_terms)
        return side_by_side(inner, self._weighed(words))

    def learn(self, texts: Iterable[str]) -> None:
        """Add the texts to what both encoders know of the corpus, as `encode_corpus` does."""
        known = list(texts)
        if isinstance(self._inner, LearningEncoder):
            self._inner.learn(known)
        self._words.learn(known)

    def encode_documents(self, texts: Sequence[str]) -> CSR:
        """Vectors of documents, one row per text; a blank text is an empty row.

        Words that no document of the collection had so far are left out.
        """
        words = self._words.encode_documents(texts)
        return side_by_side(self._inner.encode_documents(texts), self._weighed(words))

    def encode_queries(self, texts: Sequence[str]) -> CSR:
        """Vectors of queries, one row per text; a word counts as often as it occurs."""
        return side_by_side(self._inner.encode_queries(texts), self._words.encode_queries(texts))

    def find_terms(self, texts: Sequence[str]) -> list[int | None]:
        """The inner encoder's terms of that name, or those of marked stems; None without any."""
        found = self._inner.find_terms(texts)
        for place, text in enumerate(texts):
            if found[place] is None and text.startswith(LEXICAL_MARK):
                (word,) = self._words.find_terms([text.removeprefix(LEXICAL_MARK)])
                found[place] = None if word is None else self._inner.n_terms + word
        return found

    def surface_terms(self, text: str) -> NDArray[np.int32] | None:
        """The terms of both that the text holds; None where the inner encoder adds no others."""
        inner = self._inner.surface_terms(text)
        if inner is None:
            return None
        words = np.array(sorted(self._words.counts_of(text)), np.int32)
        return np.concatenate([inner, words + np.int32(self._inner.n_terms)])

    def keep_in(self, folder: Path) -> AbstractContextManager[None]:
        """The inner encoder's vectors are kept, if it can; see `ResumableEncoder`."""
        inner = self._inner
        return inner.keep_in(folder) if isinstance(inner, ResumableEncoder) else nullcontext()

    def save(self, folder: Path) -> None:
        """Write what the inner encoder writes, and the BM25 encoder below `own/`."""
        self._inner.save(folder)
        (folder / WORDS_FOLDER).mkdir(exist_ok=True)
        self._words.save(folder / WORDS_FOLDER)

    def _weighed(self, impacts: CSR) -> CSR:
        weights = impacts.weights * self._terms.weight
        return impacts._replace(weights=weights.astype(np.float32))


def words_language(encoder: object) -> str | None:
    """The language of an encoder's words, or of the lexical terms beside it; None without."""
    own = encoder.words if isinstance(encoder, LexicalEncoder) else encoder
    analyzer = getattr(own, "analyzer", None)
    return analyzer.language if isinstance(analyzer, Analyzer) else None


def analyzer_of(encoder: object) -> Analyzer:
    """An analyzer that finds an encoder's words in texts, for marks.

    Its own; or one of the language of the lexical terms beside it, or else of English.
    """
    own = getattr(encoder, "analyzer", None)
    if isinstance(own, Analyzer):
        return own
    return Analyzer(words_language(encoder) or "english")
