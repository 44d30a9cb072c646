"""The window of a passage, compiled, for texts of ASCII: `lsr.retrieval.snippet.window`.

What its expressions match is written out for these characters, each of which is one byte.
"""

from __future__ import annotations

from typing import Any

from lsr.index.jit import kernel
from lsr.service.search.word_scan import matching_words, most_matches

__all__ = ["ascii_window"]

_REACH = 40
"""As in `lsr.retrieval.snippet`: characters that a cut may move by to fall between words."""


@kernel
def ascii_window(
    text: Any, words: Any, slots: Any, found: Any, n_own: int, n_terms: int, budget: int
) -> Any:
    """Find the matches of a query in a text, and the window that shows them best.

    Args:
        text: uint8, longer than `budget`, without blanks at its ends.
        words, slots, found: as of `matching_words`.
        n_own, n_terms, budget: as of `most_matches`.

    Returns:
        How many matches were found; start and end of the window.
    """
    n = matching_words(words, slots, found)
    if n == 0:
        return n, 0, _before(text, budget, 0)
    first, last = most_matches(found, n, n_own, n_terms, budget)
    from_ = int(found[0, first])
    to = min(int(found[1, last]), from_ + budget)
    start = _opening(text, from_, budget - (to - from_))
    end = min(len(text), start + budget)
    if end == len(text):
        start = min(start, _after(text, max(0, end - budget), from_))
    else:
        end = _before(text, end, to)
    while end > start and _is_blank(text[end - 1]):
        end -= 1
    return n, start, end


@kernel
def _opening(text: Any, from_: int, free: int) -> Any:
    earliest = max(0, from_ - (2 * free) // 3)
    if earliest == 0:
        return 0
    for place in range(earliest, from_):
        if text[place] in (33, 46, 63):  # ! . ?
            close = place + 1
            while close < from_ and text[close] in (34, 39, 41, 93):  # " ' ) ]
                close += 1
            end = close
            while end < from_ and _is_blank(text[end]):
                end += 1
            if end > close:
                return end
    return _after(text, max(earliest, from_ - free // 3), from_)


@kernel
def _after(text: Any, place: int, limit: int) -> Any:
    if place == 0 or _is_blank(text[place - 1]):
        return place
    nearest = min(limit, place + _REACH)
    for at in range(place, nearest):
        if _is_blank(text[at]):
            end = at + 1
            while end < nearest and _is_blank(text[end]):
                end += 1
            return end
    for at in range(place, limit):
        if _is_of_word(text[at]) and not _is_of_word(text[at - 1]):
            return at
    return limit


@kernel
def _before(text: Any, place: int, limit: int) -> Any:
    if place >= len(text) or _is_blank(text[place]):
        return min(place, len(text))
    for end in range(place, max(limit, place - _REACH), -1):
        if _is_blank(text[end - 1]):
            return end - 1
    return place


@kernel
def _is_blank(code: int) -> bool:
    return code == 32 or 9 <= code <= 13 or 28 <= code <= 31


@kernel
def _is_of_word(code: int) -> bool:
    return 48 <= code <= 57 or 65 <= code <= 90 or 97 <= code <= 122 or code == 95
