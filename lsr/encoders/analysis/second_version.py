"""`SecondVersion`: words and their other forms, which count in part.

A text is split into chunks: runs of letters, digits, marks, invisible characters and what joins
words. `chunks.py` has the rules for one. A chunk means the same wherever it stands, so that what it
means is remembered: all that most words of a text cost is to be split off and looked up.

Words count one each, by which documents are long or short. Other forms count besides, in part, and
make no document longer: a word is found by them, below documents that have it as it was asked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.analysis.characters import ASCII_CHUNK, IN_WORD, chunk_characters, kinds_of
from lsr.encoders.analysis.chunks import Chunks, Piece
from lsr.encoders.analysis.folding import is_plain
from lsr.encoders.analysis.segmenters import Segmenter
from lsr.encoders.analysis.token import Token

__all__ = ["SecondVersion"]

_ASCII_CHUNK = re.compile(f"[{ASCII_CHUNK}]+")
_REMEMBERED, _LONGEST_REMEMBERED = 131_072, 40
_IN_DOCUMENTS, _IN_QUERIES = 0.5, 0.3
"""What another form counts for, where a word counts one."""


class SecondVersion:
    """The second version in one language: a Snowball stemmer's name, or "none".

    Args:
        segmenter: of the language, if it has one.
    """

    def __init__(self, language: str, segmenter: Segmenter | None = None) -> None:
        self._chunks = Chunks(language, segmenter)
        self._meanings = _Meanings(self._chunks)

    @property
    def kinds(self) -> NDArray[np.uint8]:
        return _kinds()

    def terms(self, text: str) -> list[str]:
        """Words and other forms in order, as often as they occur."""
        found: list[str] = []
        for meaning in map(self._meanings.__getitem__, _pattern(text).findall(text)):
            if isinstance(meaning, str):
                found.append(meaning)
            elif meaning is not None:
                found += meaning.terms
        return found

    def tokens(self, text: str) -> Iterator[Token]:
        """Like `terms`, with places, by start, longest first."""
        for match in _pattern(text).finditer(text):
            chunk, start = match.group(), match.start()
            meaning = self._meanings[chunk] if chunk.isalnum() else _SEVERAL
            if isinstance(meaning, str):
                yield Token(meaning, start, match.end())
            elif meaning is not None:
                for piece in self._chunks.pieces(chunk):
                    yield Token(piece.term, start + piece.start, start + piece.end)

    def document_weights(self, text: str) -> tuple[dict[str, float], int]:
        return self._weights(text, _IN_DOCUMENTS)

    def query_weights(self, text: str) -> dict[str, float]:
        weights, _ = self._weights(text, _IN_QUERIES)
        return weights

    def _weights(self, text: str, share: float) -> tuple[dict[str, float], int]:
        """Counts of words and, at a share of one, of other forms; how many words there are."""
        chunks = _pattern(text).findall(text)
        counted = Counter(map(self._meanings.__getitem__, chunks))
        counted.pop(None, None)
        weights = cast("dict[str, float]", counted)  # compounds go at once
        n_words = counted.total()
        for compound in [each for each in counted if type(each) is Compound]:
            times = counted.pop(compound)
            n_words += times * (len(compound.words) - 1)
            for word in compound.words:
                weights[word] = weights.get(word, 0) + times
            for form in compound.forms:
                weights[form] = weights.get(form, 0) + times * share
        return weights, n_words


class Compound:
    """Meaning of a chunk that has several terms. Compared by identity, to be counted fast.

    Attributes:
        terms: all, in order. words: those that count one. forms: those that count in part.
    """

    __slots__ = ("forms", "terms", "words")

    def __init__(self, terms: list[str], words: list[str], forms: list[str]) -> None:
        self.terms = terms
        self.words = words
        self.forms = forms


_SEVERAL = Compound([], [], [])


class _Meanings(dict[str, str | Compound | None]):
    """Meanings of chunks: one word, several terms, or nothing. Made when they are asked for.

    Remembered as long as there are not too many.
    """

    def __init__(self, chunks: Chunks) -> None:
        super().__init__()
        self._chunks = chunks

    def __missing__(self, chunk: str) -> str | Compound | None:
        meaning = self._meaning(chunk)
        if len(self) >= _REMEMBERED:
            self.clear()
        if len(chunk) <= _LONGEST_REMEMBERED:
            self[chunk] = meaning
        return meaning

    def _meaning(self, chunk: str) -> str | Compound | None:
        if chunk.isascii():
            return self._ascii_meaning(chunk)
        if is_plain(chunk):
            return _of_pieces(list(self._chunks.word(chunk)))
        return _of_pieces(self._chunks.pieces(chunk))

    def _ascii_meaning(self, chunk: str) -> str | Compound | None:
        """What `Chunks.pieces` finds, in less time for what most chunks are."""
        if self._chunks.is_plain(chunk):
            return self._chunks.term(chunk)
        bare = chunk.strip("_'-")
        if bare[-2:] in ("'s", "'S") and bare[-3:-2].isalnum() and "'" not in bare[:-2]:
            bare = bare[:-2]
        if bare != chunk:
            return self[bare] if bare else None
        if bare.isalnum():
            return _of_pieces(list(self._chunks.word(bare)))
        for joint in "_-'":
            words = bare.split(joint)
            if all(map(str.isalnum, words)) and "s" not in words and "S" not in words:
                return self._joined(words, joint)
        return _of_pieces(self._chunks.pieces(chunk))

    def _joined(self, words: list[str], joint: str) -> Compound:
        """What `Chunks.pieces` finds in ASCII words with one joint between them."""
        together = self._chunks.joined_term(words, {joint})
        terms, counted, forms = [], [], []
        if together is not None:
            terms.append(together)
            forms.append(together)
        for meaning in map(self.__getitem__, words):
            if isinstance(meaning, str):
                terms.append(meaning)
                counted.append(meaning)
            elif meaning is not None:
                terms += meaning.terms
                counted += meaning.words
                forms += meaning.forms
        return Compound(terms, counted, forms)


def _of_pieces(pieces: list[Piece]) -> str | Compound | None:
    if len(pieces) == 1 and not pieces[0].is_form:
        return pieces[0].term
    if not pieces:
        return None
    return Compound(
        [piece.term for piece in pieces],
        [piece.term for piece in pieces if not piece.is_form],
        [piece.term for piece in pieces if piece.is_form],
    )


def _pattern(text: str) -> re.Pattern[str]:
    return _ASCII_CHUNK if text.isascii() else _any_chunk()


@lru_cache(maxsize=1)
def _any_chunk() -> re.Pattern[str]:
    return re.compile(f"[{chunk_characters()}]+")


@lru_cache(maxsize=1)
def _kinds() -> NDArray[np.uint8]:
    return kinds_of({IN_WORD: f"[{chunk_characters()}]+"})
