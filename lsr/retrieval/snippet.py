"""Passages of a text that answer a query, with the matching words told apart.

All functions return pieces: put together they are the passage, and every piece is either all match
or all context. They are pure and linear in the length of the text. Terms may be of two kinds: the
query's own, and others that were added to it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from lsr.encoders.analysis import Token

__all__ = [
    "ELLIPSIS",
    "MAX_CHARACTERS",
    "MAX_SCANNED_CHARACTERS",
    "Piece",
    "Span",
    "Tokenizer",
    "best_run",
    "cut",
    "highlight",
    "joined",
    "plain",
    "snippet",
    "window",
]

MAX_CHARACTERS = 280
"""Length of a passage, its ellipses included."""

MAX_SCANNED_CHARACTERS = 20_000
"""Matches are sought in this much of a text; what follows is context."""

ELLIPSIS = "…"
"""Stands where a passage leaves text out."""
_BLANKS = re.compile(r"\s+")
_SENTENCE_END = re.compile(r"[.!?。!?][\"'”’)\]]*\s+")
_UNSPACED = "\u3040-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD_START = re.compile(rf"(?<!\w)\w|(?<=[{_UNSPACED}])\w|[{_UNSPACED}]")
_BOUNDARY_REACH = 40
"""Characters that a cut may move by to fall between words."""


class Tokenizer(Protocol):
    """Finder of terms in a text: an `Analyzer`, or something around one.

    Tokens come by start, longest first. One that begins in a match is cut there, and one within a
    match is no match of its own.
    """

    def tokens(self, text: str) -> Iterator[Token]: ...


class Piece(NamedTuple):
    """Piece of a passage: a matching word, own or added, or what is between matches."""

    text: str
    is_match: bool
    is_added: bool = False


class Span(NamedTuple):
    """A match in a text, `start:end`, after the end of the one before."""

    start: int
    end: int
    term: str
    is_added: bool


def snippet(
    text: str,
    terms: Collection[str],
    analyzer: Tokenizer,
    max_characters: int = MAX_CHARACTERS,
    added: Collection[str] = (),
) -> list[Piece]:
    """The passage with the most different terms, then the most matches, then the first.

    Args:
        terms: what `analyzer` makes of the query.
        max_characters: the passage's length at most, its ellipses included; 3 or more.
        added: other terms; they count after all of `terms`.

    Returns:
        Pieces with runs of blanks made one. The start of the text when nothing matches; an empty
        list for a blank text.
    """
    text = text.strip()
    spans = _spans(text, terms, added, analyzer)
    if len(text) <= max_characters:
        return joined(cut(text, 0, len(text), spans))
    budget = max_characters - 2 * len(ELLIPSIS)
    run = None
    if spans:
        first, last = best_run(spans, budget)
        run = (spans[first].start, spans[last].end)
    start, end = window(text, run, budget)
    pieces = list(cut(text, start, end, spans))
    if start > 0:
        pieces.insert(0, Piece(ELLIPSIS, False))
    if end < len(text):
        pieces.append(Piece(ELLIPSIS, False))
    return joined(pieces)


def highlight(
    text: str, terms: Collection[str], analyzer: Tokenizer, added: Collection[str] = ()
) -> list[Piece]:
    """The whole text as it is, blanks and all, with its matches told apart."""
    return list(cut(text, 0, len(text), _spans(text, terms, added, analyzer)))


def plain(pieces: Iterable[Piece]) -> str:
    """The passage without its marks."""
    return "".join(piece.text for piece in pieces)


def _spans(
    text: str, terms: Collection[str], added: Collection[str], analyzer: Tokenizer
) -> list[Span]:
    own = frozenset(terms)
    wanted = own.union(added)
    if not wanted:
        return []
    tokens = analyzer.tokens(text[:MAX_SCANNED_CHARACTERS])
    spans: list[Span] = []
    marked = 0
    for term, start, end in tokens:
        if term in wanted and end > marked:
            spans.append(Span(max(start, marked), end, term, term not in own))
            marked = end
    return spans


def window(text: str, run: tuple[int, int] | None, budget: int) -> tuple[int, int]:
    """Start and end of a passage of at most `budget` characters. It does not start in a word.

    Args:
        text: without blanks at its ends, and longer than the budget.
        run: start and end of the matches it is chosen for; None for the text's beginning.
    """
    if run is None:
        return 0, _before(text, budget, 0)
    from_, to = run[0], min(run[1], run[0] + budget)
    free = budget - (to - from_)
    start = _opening(text, from_, free)
    end = min(len(text), start + budget)
    if end == len(text):
        start = min(start, _after(text, max(0, end - budget), from_))
    else:
        end = _before(text, end, to)
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def best_run(spans: Sequence[Span], budget: int) -> tuple[int, int]:
    """First and last index of the best run of spans that fits, found with two pointers."""
    inside: Counter[str] = Counter()
    different = [0, 0]  # own terms, added terms
    best, best_value = (0, 0), (0, 0, 0)
    first = 0
    for last, span in enumerate(spans):
        different[span.is_added] += not inside[span.term]
        inside[span.term] += 1
        while first < last and span.end - spans[first].start > budget:
            left = spans[first]
            inside[left.term] -= 1
            different[left.is_added] -= not inside[left.term]
            first += 1
        value = (different[0], different[1], last - first + 1)
        if value > best_value:
            best, best_value = (first, last), value
    return best


def _opening(text: str, from_: int, free: int) -> int:
    """Start at the sentence if it is near, else with a few words before the first match."""
    earliest = max(0, from_ - (2 * free) // 3)
    if earliest == 0:
        return 0
    sentence = None
    for end in _SENTENCE_END.finditer(text, earliest, from_):
        sentence = end.end()
        break
    return (
        sentence if sentence is not None else _after(text, max(earliest, from_ - free // 3), from_)
    )


def _after(text: str, place: int, limit: int) -> int:
    """The first start of a word from `place` on, not past `limit`, where a word starts.

    After a blank if one is near, else after what is no letter: never within a run of letters.
    """
    if place == 0 or text[place - 1].isspace():
        return place
    blank = _BLANKS.search(text, place, min(limit, place + _BOUNDARY_REACH))
    if blank:
        return blank.end()
    word = _WORD_START.search(text, place, limit)
    return word.start() if word else limit


def _before(text: str, place: int, limit: int) -> int:
    """The last end of a word up to `place`, not before `limit`."""
    if place >= len(text) or text[place].isspace():
        return min(place, len(text))
    lowest = max(limit, place - _BOUNDARY_REACH)
    for end in range(place, lowest, -1):
        if text[end - 1].isspace():
            return end - 1
    return place


def cut(text: str, start: int, end: int, spans: Iterable[Span]) -> Iterator[Piece]:
    """The pieces of `text[start:end]`."""
    at = start
    for span in spans:
        if span.end <= at or span.start >= end:
            continue
        from_, to = max(span.start, at), min(span.end, end)
        if from_ > at:
            yield Piece(text[at:from_], False)
        yield Piece(text[from_:to], True, span.is_added)
        at = to
    if at < end:
        yield Piece(text[at:end], False)


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """Pieces with neighbours of one kind made one, and runs of blanks one blank."""
    together: list[Piece] = []
    for piece in pieces:
        text = _BLANKS.sub(" ", piece.text)
        if together and together[-1][1:] == piece[1:]:
            together[-1] = piece._replace(text=together[-1].text + text)
        else:
            together.append(piece._replace(text=text))
    return together
