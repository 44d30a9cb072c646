"""Compiled search for words in texts: which words of a query stand where, and where most do.

A text is an array of its characters' numbers. It is split by the kinds of characters that its
analysis has: what is called a word here is what the analysis reads as one. Words are known by a
hash of 64 bits with a secret start; that two of them share one is as good as never.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lsr.encoders.analysis import IN_WORD, STANDS_ALONE, WORD_LIKE
from lsr.index.jit import kernel

__all__ = [
    "NO_TERM",
    "UNKNOWN",
    "fill_slots",
    "find_words",
    "hash_word",
    "matching_words",
    "most_matches",
    "remember",
]

UNKNOWN = 0
"""Value of a word that the table does not have."""

NO_TERM = 1
"""Value of a word that is no term; that of term `t` is `t + 2`, of pieces from `p` on `-1 - p`."""

_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


@kernel
def hash_word(codes: Any, start: int, end: int, seed: Any) -> Any:
    """The hash of `codes[start:end]`, uint64, never 0."""
    found = seed
    for place in range(start, end):
        found = (found ^ np.uint64(codes[place])) * _MIX
        found ^= found >> _SHIFT
    return found if found != np.uint64(0) else np.uint64(1)


@kernel
def remember(codes: Any, seed: Any, keys: Any, values: Any, value: int) -> Any:
    """Put a word into a table. The value comes first: who sees a key without one asks again.

    Args:
        codes: uint32, shape (length,): the word's characters.
        keys: uint64, shape (n,), n a power of two, not full; 0 is free.
        values: int32, shape (n,).

    Returns:
        Whether the word is new.
    """
    key = hash_word(codes, 0, len(codes), seed)
    mask = np.uint64(len(keys) - 1)
    place = key & mask
    while keys[place] != np.uint64(0) and keys[place] != key:
        place = (place + np.uint64(1)) & mask
    is_new = keys[place] != key
    values[place] = value
    keys[place] = key
    return is_new


@kernel
def find_words(
    codes: Any, kinds: Any, keys: Any, values: Any, seed: Any, pieces: Any, found: Any, unknown: Any
) -> Any:
    """Find the terms of a text's words, and the words that the table does not have.

    Args:
        codes: uint32, shape (n,): the characters.
        kinds: of `Analyzer.kinds`.
        keys, values: the table, see `remember`.
        pieces: int32, shape (3, m): start, end and term of each token of words that have several.
        found: int32, shape (3, at least 3 n): start, end and term of each, filled in.
        unknown: int32, shape (2, at least n): start and end, filled in.

    Returns:
        How many were found, and how many are unknown.
    """
    n, n_found, n_unknown, at = len(codes), 0, 0, 0
    mask = np.uint64(len(keys) - 1)
    while at < n:
        kind = kinds[codes[at]]
        if not kind & (IN_WORD | STANDS_ALONE):
            at += 1
            continue
        start = at
        at += 1
        if kind & IN_WORD and not kind & STANDS_ALONE:
            while at < n and kinds[codes[at]] & IN_WORD:
                at += 1
            if at + 1 < n and (codes[at] == 39 or codes[at] == 0x2019):
                letter = codes[at + 1]
                ends = at + 2 >= n or not kinds[codes[at + 2]] & WORD_LIKE
                if (letter == 115 or letter == 83) and ends:
                    at += 2
        key = hash_word(codes, start, at, seed)
        place = key & mask
        while keys[place] != np.uint64(0) and keys[place] != key:
            place = (place + np.uint64(1)) & mask
        value = values[place] if keys[place] == key else UNKNOWN
        if value == UNKNOWN:
            unknown[0, n_unknown] = start
            unknown[1, n_unknown] = at
            n_unknown += 1
        elif value < 0:
            piece = -value - 1
            while pieces[1, piece] != 0 and n_found < found.shape[1]:
                found[0, n_found] = start + pieces[0, piece]
                found[1, n_found] = start + pieces[1, piece]
                found[2, n_found] = pieces[2, piece]
                n_found += 1
                piece += 1
        elif value != NO_TERM:
            found[0, n_found] = start
            found[1, n_found] = at
            found[2, n_found] = value - 2
            n_found += 1
    return n_found, n_unknown


@kernel
def fill_slots(terms: Any, slots: Any) -> None:
    """Put the terms of a query, all different, where `matching_words` looks for them.

    Args:
        terms: int32.
        slots: int32, shape (n, 2), n a power of two above the number of terms: filled in with
            terms and their places, or -1.
    """
    slots[:] = -1
    mask = len(slots) - 1
    for number in range(len(terms)):
        place = terms[number] & mask
        while slots[place, 0] != -1:
            place = (place + 1) & mask
        slots[place, 0] = terms[number]
        slots[place, 1] = number


@kernel
def matching_words(words: Any, slots: Any, found: Any) -> Any:
    """Of the terms of a text those that a query has, each after the end of the one before.

    Args:
        words: int32, shape (3, n): start, end and term of each, by start, longest first.
        slots: of `fill_slots`; small, so that they stay in the processor's nearest memory.
        found: int32, shape (3, at least n): start, end and number of each, filled in. A match that
            begins in the one before is cut there; one within it is left out.

    Returns:
        How many were found.
    """
    n_found, marked = 0, 0
    mask = len(slots) - 1
    for word in range(words.shape[1]):
        term = words[2, word]
        if words[1, word] <= marked:
            continue
        place = term & mask
        while slots[place, 0] != term and slots[place, 0] != -1:
            place = (place + 1) & mask
        if slots[place, 0] == term:
            found[0, n_found] = max(words[0, word], marked)
            found[1, n_found] = marked = words[1, word]
            found[2, n_found] = slots[place, 1]
            n_found += 1
    return n_found


@kernel
def most_matches(found: Any, n: int, n_own: int, n_terms: int, budget: int) -> Any:
    """First and last match of the best run that fits: `lsr.retrieval.snippet.best_run`, compiled.

    Args:
        found: as `find_words` fills it in; the first `n` count, 1 or more.
        n_own: terms with a number from this on were added to the query.
    """
    inside = np.zeros(n_terms, np.int32)
    own, added, first, best_first, best_last = 0, 0, 0, 0, 0
    best_own, best_added, best_count = 0, 0, 0
    for last in range(n):
        term = found[2, last]
        if inside[term] == 0:
            own += term < n_own
            added += term >= n_own
        inside[term] += 1
        while first < last and found[1, last] - found[0, first] > budget:
            left = found[2, first]
            inside[left] -= 1
            if inside[left] == 0:
                own -= left < n_own
                added -= left >= n_own
            first += 1
        count = last - first + 1
        if (
            own > best_own
            or (own == best_own and added > best_added)
            or (own == best_own and added == best_added and count > best_count)
        ):
            best_own, best_added, best_count = own, added, count
            best_first, best_last = first, last
    return best_first, best_last
