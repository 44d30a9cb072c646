"""`Analyzer`: text to index terms, by the version of the rules that an index was made with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import Stemmer
from numpy.typing import NDArray

from lsr.encoders.analysis.first_version import FirstVersion
from lsr.encoders.analysis.second_version import SecondVersion
from lsr.encoders.analysis.segmenters import SEGMENTED, has_segmenter, segmenter_of
from lsr.encoders.analysis.token import Token
from lsr.errors import InputError

__all__ = ["LATEST", "Analyzer", "Rules", "is_language"]

LATEST = 2
"""The version of new encoders; what was written without a version has the first."""


class Rules(Protocol):
    """One version of the rules, in one language; see `Analyzer` for the methods."""

    @property
    def kinds(self) -> NDArray[np.uint8]: ...
    def terms(self, text: str) -> list[str]: ...
    def tokens(self, text: str) -> Iterator[Token]: ...
    def document_weights(self, text: str) -> tuple[dict[str, float], int]: ...
    def query_weights(self, text: str) -> dict[str, float]: ...


_VERSIONS: dict[int, Callable[[str], Rules]] = {1: FirstVersion, 2: SecondVersion}


def is_language(name: str) -> bool:
    """Whether words of a language can be stemmed here, or found by a segmenter."""
    return name in Stemmer.algorithms() or has_segmenter(name)


class Analyzer:
    """Turns text into index terms.

    Args:
        language: a Snowball stemmer's name ("english", "porter", "german" …), "none", or "korean",
            which has a segmenter.
        version: of the rules; terms of an index never change, so it keeps the one it was built by.
        segmenter: name and version of the segmenter that it was built by; None for what is here.

    Attributes:
        segmenter: name and version of the one that is used; None without.

    Raises:
        InputError: there is no such stemmer, or no such version.
        UnavailableError: the segmenter is not installed, or another version of it.
    """

    def __init__(
        self, language: str = "english", version: int = LATEST, segmenter: str | None = None
    ) -> None:
        known = {*Stemmer.algorithms(), *(SEGMENTED if version == LATEST else ())}
        if language not in {"none", *known}:
            names = ", ".join(sorted(known))
            raise InputError(f"no stemmer for {language!r}; choose none or one of {names}")
        if version not in _VERSIONS:
            raise InputError(
                f"version {version!r} of the analysis of text is unknown here, where the newest is "
                f"{LATEST}; install a newer lsr-search, or build the index again"
            )
        self.language = language
        self.version = version
        self.segmenter: str | None = None
        found = segmenter_of(language, segmenter) if version == LATEST else None
        if found is None:
            self._rules = _VERSIONS[version](language)
        else:
            self.segmenter = found.name
            self._rules = SecondVersion(language, found)

    @property
    def kinds(self) -> NDArray[np.uint8]:
        """Kinds of characters, as `character_kinds`, by which compiled code splits a text.

        A run of `IN_WORD`, or a character that `STANDS_ALONE`, has the terms in a text that it has
        alone.
        """
        return self._rules.kinds

    def terms(self, text: str) -> list[str]:
        """Terms of a text in order, repeated as often as they occur."""
        return self._rules.terms(text)

    def tokens(self, text: str) -> Iterator[Token]:
        """Like `terms`, with the place of each in the text as given, by start, longest first.

        Places of terms may lie within each other: those of parts lie in the place of the whole.
        """
        return self._rules.tokens(text)

    def document_weights(self, text: str) -> tuple[dict[str, float], int]:
        """Counts of terms in a document, where other forms count in part; how many words it has."""
        return self._rules.document_weights(text)

    def query_weights(self, text: str) -> dict[str, float]:
        """Counts of terms in a query, where other forms count in part."""
        return self._rules.query_weights(text)
