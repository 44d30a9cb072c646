"""`QueryWords`: the words of a query with the terms that a collection's encoder makes of each.

What an encoder searches by has names of its own: stems, pieces of words, stems beside tokens.
People see words: each stands for all terms that come from it, and is left out or counted double as
one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from lsr.encoders.analysis import Analyzer
from lsr.encoders.lexical import LEXICAL_MARK
from lsr.encoders.protocols import Encoder
from lsr.retrieval.explanation import Origin, QueryTerm
from lsr.service.terms import QueryTerms

__all__ = ["QueryWord", "QueryWords", "bare"]

Kind = Literal["query", "model", "feedback", "unknown", "out", "idle"]

_EDGES = "\"'`.,;:!?()[]{}<>«»“”‘’„…*=|/\\"
_PIECE_MARKS = ("##", "▁", "Ġ")
_RANK = {"query": 0, "model": 1, "feedback": 2}


@dataclass(frozen=True)
class QueryWord:
    """A word that was searched for, or that could have been.

    Attributes:
        kind: written in the query, added by the model, or learned by feedback; unknown to the
            collection; left out; or idle: its factor belongs to a word that this query lacks.
        weight: of all its terms in the query as it was searched.
        factor: what its weight was multiplied by.
    """

    word: str
    kind: Kind
    weight: float
    factor: float


class QueryWords:
    """Words of one text. Made for one query, and dropped.

    Args:
        marks: spells terms as the query, or else a text, writes them.
    """

    def __init__(self, text: str, encoder: Encoder, marks: QueryTerms) -> None:
        self._text = text
        self._encoder = encoder
        self._analyzer = analyzer = marks.analyzer
        self._marks = marks
        self._word_of: dict[str, str] = {}
        always = set(self._terms_of(""))
        self._written = _words(text, analyzer)
        for word, written in self._written.items():
            for term in self._terms_of(written):
                if term not in always:
                    self._word_of.setdefault(encoder.term(term), word)
        found = set(self._word_of.values())
        self._unknown = [
            word
            for word, written in self._written.items()
            if word not in found and analyzer.terms(written)
        ]

    def learn(self, terms: Iterable[str], text: str) -> None:
        """Give each term that comes from no written word its own: as a text spells it, or bare."""
        others = {term: bare(term) for term in terms if term not in self._word_of}
        spelling = self._marks.spelling(others.values(), text)
        self._word_of |= {term: spelling.get(stem, stem) for term, stem in others.items()}

    def word(self, term: str) -> str:
        """The word that a term of the encoder comes from."""
        return self._word_of.get(term) or bare(term)

    def stands_in(self, word: str, stems: frozenset[str]) -> bool:
        """Whether a word, in whatever form, is among the stems of a text."""
        own = self._analyzer.terms(word)
        return bool(own) and stems.issuperset(own)

    def stems(self, text: str) -> frozenset[str]:
        """The stems of a text."""
        return frozenset(self._analyzer.terms(text))

    def encoded(self) -> dict[str, float]:
        """The query as the encoder makes it: weights by the names of terms.

        Raises:
            InputError, ModelError: the encoder takes no such text.
        """
        vector = self._encoder.encode_queries([self._text])
        terms, weights = vector.terms.tolist(), vector.weights.tolist()
        names = map(self._encoder.term, terms)
        return {name: weight for name, weight in zip(names, weights, strict=True) if weight > 0}

    def weighed(
        self, vector: Mapping[str, float], factors: Mapping[str, float]
    ) -> dict[str, float]:
        """A vector with the terms of each word multiplied by its factor; those of 0 are gone."""
        found = {term: weight * factors.get(self.word(term), 1) for term, weight in vector.items()}
        return {term: weight for term, weight in found.items() if weight > 0}

    def shown(
        self,
        terms: Sequence[QueryTerm],
        origins: Mapping[str, Origin],
        factors: Mapping[str, float],
    ) -> list[QueryWord]:
        """The words of a search: written ones in their order, then added ones, heaviest first.

        Args:
            terms: the query as it was searched.
            origins: of terms, where the search could not tell.
            factors: as they were asked for, by word.
        """
        weights: dict[str, float] = {}
        kinds: dict[str, Origin] = {}
        for each in terms:
            word = self.word(each.term)
            weights[word] = weights.get(word, 0.0) + each.weight
            origin = origins.get(each.term, each.origin)
            kinds[word] = min(origin, kinds.get(word, origin), key=_RANK.__getitem__)
        found: list[QueryWord] = []
        others = (each for each in weights if each not in self._written)
        for word in (*self._written, *others):
            factor = factors.get(word, 1.0)
            if word in weights:
                found.append(QueryWord(word, kinds[word], weights[word], factor))
            elif factor == 0:
                found.append(QueryWord(word, "out", 0.0, 0.0))
            elif word in self._unknown:
                found.append(QueryWord(word, "unknown", 0.0, factor))
        known = {each.word for each in found}
        for word, factor in factors.items():
            if word not in known:
                found.append(QueryWord(word, "idle" if factor else "out", 0.0, factor))
        return found

    def _terms_of(self, word: str) -> list[int]:
        terms = self._encoder.surface_terms(word)
        if terms is None:
            terms = self._encoder.encode_queries([word]).terms
        found: list[int] = terms.tolist()
        return found


def bare(term: str) -> str:
    """A term of an encoder without the marks that encoders put before stems and pieces."""
    term = term.removeprefix(LEXICAL_MARK)
    for mark in _PIECE_MARKS:
        term = term.removeprefix(mark)
    return term


def _words(text: str, analyzer: Analyzer) -> dict[str, str]:
    """Words between blanks, in small letters, and as they are written first.

    Of scripts without blanks, what the analyzer finds, where that lies side by side.
    """
    found: dict[str, str] = {}
    for chunk in text.split():
        word = chunk.strip(_EDGES) or chunk
        tokens = list(analyzer.tokens(word))
        if len(tokens) > 1 and all(a.end == b.start for a, b in pairwise(tokens)):
            for token in tokens:
                part = word[token.start : token.end]
                found.setdefault(part.lower(), part)
        else:
            found.setdefault(word.lower(), word)
    return found
