"""Segmenters: words of scripts without blanks, by packages that know a language's dictionary.

Korean alone has one. For Chinese, Japanese and Thai, two neighbours at a time find as much as the
segmenters that were tried (docs/experiments/2026-12-01-languages.md).
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from lsr.errors import UnavailableError

__all__ = ["SEGMENTED", "Morpheme", "Segmenter", "has_segmenter", "segmenter_of"]

SEGMENTED = {"korean": ("kiwipiepy", "pip install 'lsr-search[korean]'")}
"""Language to the package that finds its words, and the line that installs it."""

_SYLLABLES = re.compile("[\uac00-\ud7a3]+")
_STANDING = ("NN", "NP", "NR", "VV", "VA", "XR", "MA", "MM", "SL", "SH", "SN")
"""Tags of what has a meaning by itself: nouns, verbs, adjectives, roots, adverbs."""


class Morpheme(NamedTuple):
    """A word without endings and particles, and the slice of its run that it comes from."""

    start: int
    end: int
    text: str


class Segmenter(NamedTuple):
    """The words of a run of characters, and the package that finds them, with its version."""

    name: str
    split: Callable[[str], list[Morpheme]]


def has_segmenter(language: str) -> bool:
    """Whether a language's words are found by a package that is installed."""
    return language in SEGMENTED and _version(language) is not None


def segmenter_of(language: str, wanted: str | None = None) -> Segmenter | None:
    """The segmenter of a language; None of languages that need none.

    Args:
        wanted: name and version that an index was made with.

    Raises:
        UnavailableError: its package is not installed, or is of another version than is wanted.
    """
    if language not in SEGMENTED:
        return None
    package, line = SEGMENTED[language]
    version = _version(language)
    if version is None:
        raise UnavailableError(
            f"words in {language.capitalize()} are found by {package}, which is not installed; "
            f"run: {line}"
        )
    name = f"{package} {version}"
    if wanted is not None and wanted != name:
        asked = wanted.replace(" ", "==")
        raise UnavailableError(
            f"the index was made with {wanted}, and {name} is here, which may find other words; "
            f"run: pip install '{asked}', or build the index again"
        )
    return Segmenter(name, _kiwi())


def _version(language: str) -> str | None:
    try:
        return importlib.metadata.version(SEGMENTED[language][0])
    except importlib.metadata.PackageNotFoundError:
        return None


@lru_cache(maxsize=1)
def _kiwi() -> Callable[[str], list[Morpheme]]:
    """Korean by kiwipiepy. Made once: its dictionary takes two seconds and 500 MB."""
    from kiwipiepy import Kiwi

    kiwi = Kiwi(num_workers=1)
    kiwi.tokenize("")  # it is made ready by its first text, which several threads may bring at once

    def split(run: str) -> list[Morpheme]:
        if not _SYLLABLES.fullmatch(run):
            return []
        return [
            Morpheme(token.start, max(token.start + token.len, token.start + 1), token.form)
            for token in kiwi.tokenize(run)
            if token.tag.startswith(_STANDING)
        ]

    return split
