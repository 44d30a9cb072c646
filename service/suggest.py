"""`Vocabulary`: the words of a collection, and which of them a mistyped word may stand for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.analysis import Analyzer
from lsr.encoders.analysis.characters import marks
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.lexical import LEXICAL_MARK, LexicalEncoder
from lsr.encoders.protocols import Encoder
from lsr.index.collection.reader import CollectionReader

__all__ = ["MAX_DISTANCE", "Suggestion", "Vocabulary", "edit_distances"]

MAX_DISTANCE = 2
"""Letters that may be wrong; in words of up to six letters, one."""

_SHORT = 6
_FEWEST_LETTERS, _MOST_LETTERS = 3, 24
_READ_CHARACTERS = 4_000_000
"""How much of a collection's text is read for words; of more, documents spread over all of it."""
_AT_A_TIME = 256


@dataclass(frozen=True)
class Suggestion:
    """A text that may have been meant.

    Attributes:
        text: the text with words of the collection in place of those it lacks; None when it
            lacks none, or nothing is near.
        near: words of the collection by the word they are near to, nearest first.
    """

    text: str | None = None
    near: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Vocabulary:
    """Words in lower case and how often they were met. May be used from many threads.

    Args:
        words: counts by word; those of fewer than 3 or more than 24 letters are left out.
        has: says of a word whether the collection has it, in whatever form.
    """

    def __init__(self, words: Counter[str], has: Callable[[str], bool]) -> None:
        self._counts = words
        self._has = has
        by_length: dict[int, list[str]] = {}
        for word in sorted(words):
            if _FEWEST_LETTERS <= len(word) <= _MOST_LETTERS:
                by_length.setdefault(len(word), []).append(word)
        self._by_length = {
            length: (each, _letters(each, length)) for length, each in by_length.items()
        }

    @classmethod
    def of(cls, collection: CollectionReader, analyzer: Analyzer) -> Vocabulary:
        """The words of a collection's titles and texts, as far as they are read.

        Args:
            analyzer: makes stems, by which forms of a word are told to be known.
        """
        words: Counter[str] = Counter()
        for text in _texts(collection):
            words.update(_word().findall(text.lower()))
        stems = {stem for word in words for stem in analyzer.terms(word)}
        known = _lexical(collection.encoder)

        def has(word: str) -> bool:
            found = analyzer.terms(word)
            return all(stem in stems or known(stem) for stem in found)

        return cls(words, has)

    def near(self, word: str, most: int = 5) -> tuple[str, ...]:
        """Words that differ in at most `MAX_DISTANCE` letters, nearest first.

        A letter left out, put in, or changed counts one, as do two that changed places. Of equally
        near ones those of the same letters come first, then the frequent.
        """
        word = word.lower()
        reach = MAX_DISTANCE if len(word) > _SHORT else 1
        found: list[tuple[int, int, bool, int, str]] = []
        asked = set(word)
        for length in range(len(word) - reach, len(word) + reach + 1):
            if length not in self._by_length:
                continue
            words, letters = self._by_length[length]
            distances = edit_distances(word, letters)
            found += [
                (
                    int(distances[i]),
                    len(asked.symmetric_difference(words[i])),
                    words[i][0] != word[0],
                    -self._counts[words[i]],
                    words[i],
                )
                for i in np.flatnonzero(distances <= reach).tolist()
                if words[i] != word
            ]
        return tuple(each[-1] for each in sorted(found)[:most])

    def _meant(self, word: str) -> tuple[str, ...]:
        """Words near to one that the collection lacks.

        One that is only known by its stem is taken for mistyped where two letters that change
        places make it a word: "opne" has the stem of "opn", and means "open".
        """
        if word in self._counts:
            return ()
        found = self.near(word)
        if not self._has(word):
            return found
        return tuple(each for each in found[:1] if sorted(each) == sorted(word))

    def suggest(self, text: str) -> Suggestion:
        """A text that may have been meant, where the collection lacks some of its words."""
        near = {
            word: found
            for word in dict.fromkeys(_word().findall(text))
            if len(word) <= _MOST_LETTERS and (found := self._meant(word.lower()))
        }
        if not near:
            return Suggestion()
        mended = _word().sub(
            lambda match: near[match[0]][0] if match[0] in near else match[0], text
        )
        return Suggestion(mended, near)


def edit_distances(word: str, letters: NDArray[np.uint32]) -> NDArray[np.int16]:
    """Distances of a word to many of one length, where neighbours may change places.

    Args:
        letters: uint32, shape (n, length): code points.

    Returns:
        int16, shape (n,): the optimal string alignment distance.
    """
    n, length = letters.shape
    asked = [ord(letter) for letter in word]
    before = np.zeros((length + 1, n), np.int16)
    row = np.repeat(np.arange(length + 1, dtype=np.int16)[:, None], n, axis=1)
    for i, letter in enumerate(asked, start=1):
        older, before = before, row
        row = np.empty_like(before)
        row[0] = i
        for j in range(1, length + 1):
            differs = letters[:, j - 1] != letter
            best = np.minimum(before[j - 1] + differs, np.minimum(before[j], row[j - 1]) + 1)
            if i > 1 and j > 1:
                swapped = (letters[:, j - 2] == letter) & (letters[:, j - 1] == asked[i - 2])
                best = np.where(swapped, np.minimum(best, older[j - 2] + 1), best)
            row[j] = best
    return row[length]


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    """A word of letters, each with its marks."""
    return re.compile(rf"(?:[^\W\d_][{marks()}]*){{{_FEWEST_LETTERS},}}")


def _letters(words: list[str], length: int) -> NDArray[np.uint32]:
    return np.array(words, dtype=f"<U{length}").view(np.uint32).reshape(len(words), length)


def _texts(collection: CollectionReader) -> Iterator[str]:
    """Titles and texts, spread over the collection, until enough was read."""
    rows = collection.live_rows()
    left = _READ_CHARACTERS
    for some in _spread(rows.tolist()):
        for document in collection.store.documents(some):
            yield document.title
            yield document.text[:left]
            left -= len(document.full_text)
            if left <= 0:
                return


def _spread(rows: list[int]) -> Iterator[list[int]]:
    """All rows, some at a time, each time spread over the whole."""
    step = -(-len(rows) // _AT_A_TIME)
    for start in range(step):
        yield rows[start::step]


def _lexical(encoder: Encoder) -> Callable[[str], bool]:
    """Whether an encoder has a stem as a word of the collection."""
    if isinstance(encoder, LexicalEncoder):
        return lambda stem: _has_term(encoder, [LEXICAL_MARK + stem])
    if isinstance(encoder, Bm25Encoder):
        return lambda stem: _has_term(encoder, [stem])
    return lambda _: False


def _has_term(encoder: Encoder, terms: Iterable[str]) -> bool:
    return any(term is not None for term in encoder.find_terms(list(terms)))
