"""The window of a passage, compiled: `lsr.retrieval.snippet.window`, its expressions written out.

A text is an array of its characters' numbers, uint8 where all are ASCII, else uint32.
"""

from __future__ import annotations

from typing import Any

from lsr.encoders.analysis import BLANK, STANDS_ALONE, WORD_LIKE
from lsr.index.jit import kernel
from lsr.service.search.word_scan import matching_words, most_matches

__all__ = ["passage_window"]

_REACH = 40
"""As in `lsr.retrieval.snippet`: characters that a cut may move by to fall between words."""


@kernel
def passage_window(
    text: Any,
    length: int,
    kinds: Any,
    words: Any,
    slots: Any,
    found: Any,
    n_own: int,
    n_terms: int,
    budget: int,
) -> Any:
    """Find the matches of a query in a text, and the window that shows them best.

    Args:
        text: without blanks at its ends; of a long one what words are sought in, and 1,000 more.
        length: of the whole text, above `budget`, which is below 500.
        kinds: of `character_kinds`.
        words, slots, found: as of `matching_words`.
        n_own, n_terms, budget: as of `most_matches`.

    Returns:
        How many matches were found; start and end of the window.
    """
    n = matching_words(words, slots, found)
    if n == 0:
        return n, 0, _before(text, length, kinds, budget, 0)
    first, last = most_matches(found, n, n_own, n_terms, budget)
    from_ = int(found[0, first])
    to = min(int(found[1, last]), from_ + budget)
    start = _opening(text, kinds, from_, budget - (to - from_))
    end = min(length, start + budget)
    if end == length:
        start = min(start, _after(text, kinds, max(0, end - budget), from_))
    else:
        end = _before(text, length, kinds, end, to)
    while end > start and kinds[text[end - 1]] & BLANK:
        end -= 1
    return n, start, end


@kernel
def _opening(text: Any, kinds: Any, from_: int, free: int) -> Any:
    earliest = max(0, from_ - (2 * free) // 3)
    if earliest == 0:
        return 0
    for place in range(earliest, from_):
        if _ends_sentence(text[place]):
            close = place + 1
            while close < from_ and _closes(text[close]):
                close += 1
            end = close
            while end < from_ and kinds[text[end]] & BLANK:
                end += 1
            if end > close:
                return end
    return _after(text, kinds, max(earliest, from_ - free // 3), from_)


@kernel
def _after(text: Any, kinds: Any, place: int, limit: int) -> Any:
    if place == 0 or kinds[text[place - 1]] & BLANK:
        return place
    nearest = min(limit, place + _REACH)
    for at in range(place, nearest):
        if kinds[text[at]] & BLANK:
            end = at + 1
            while end < nearest and kinds[text[end]] & BLANK:
                end += 1
            return end
    for at in range(place, limit):
        kind, before = kinds[text[at]], kinds[text[at - 1]]
        if kind & STANDS_ALONE:
            return at
        if kind & WORD_LIKE and (before & STANDS_ALONE or not before & WORD_LIKE):
            return at
    return limit


@kernel
def _before(text: Any, length: int, kinds: Any, place: int, limit: int) -> Any:
    if place >= length or kinds[text[place]] & BLANK:
        return min(place, length)
    for end in range(place, max(limit, place - _REACH), -1):
        if kinds[text[end - 1]] & BLANK:
            return end - 1
    return place


@kernel
def _ends_sentence(code: int) -> Any:
    return code in (0x21, 0x2E, 0x3F, 0x3002)  # ! . ? and the full stop of Chinese


@kernel
def _closes(code: int) -> Any:
    return code in (0x22, 0x27, 0x29, 0x5D, 0x2019, 0x201D)  # quotes and brackets
