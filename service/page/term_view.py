"""`TermChip`: a word of the query above the hits; `TermView`: a word's part in a hit's score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsr.retrieval.explanation import TermPart
from lsr.service.page.query_string import PageQuery
from lsr.service.page.query_words import QueryWord, QueryWords
from lsr.types import Document

__all__ = ["BOOST", "TermChip", "TermView", "term_chips", "term_views"]

BOOST = 2.0
"""What a click multiplies a word's weight by."""

_MOST_CHIPS = 32
_KINDS = {
    "query": "a word of the query",
    "model": "added to the query by the model",
    "feedback": "learned from the first hits",
    "unknown": "no document has this word",
    "out": "left out",
    "idle": "not a word of this query",
}
_ROLES = {
    "query": "it stands in the document",
    "expanded": "the model added it to the document, which does not have it written",
    "model": "the model added it to the query",
    "feedback": "learned from the first hits",
}


@dataclass(frozen=True)
class TermChip:
    """A word of the query. Addresses are None where there is nothing to click.

    Attributes:
        kind: as `QueryWord` has it.
        width: its weight in percent of the heaviest.
        factor: what its weight is multiplied by, as text; empty for 1.
        drop, boost, restore: the same search without it, with it counted double, and as it was.
    """

    word: str
    kind: str
    width: float
    told: str
    factor: str
    drop: str | None
    boost: str | None
    restore: str | None


@dataclass(frozen=True)
class TermView:
    """A word's part in the score of words.

    Attributes:
        kind: query (it stands in the document), expanded (the model gave it to the document),
            model or feedback (the query got it from there), or others.
        width: its part in percent of the whole.
    """

    word: str
    kind: str
    value: str
    width: float
    told: str


def term_chips(query: PageQuery, words: Sequence[QueryWord]) -> list[TermChip]:
    """Chips of the words of a search, at most 32."""
    heaviest = max((word.weight for word in words), default=0.0) or 1.0
    return [_chip(query, word, heaviest) for word in words[:_MOST_CHIPS]]


def _chip(query: PageQuery, word: QueryWord, heaviest: float) -> TermChip:
    told = _KINDS[word.kind]
    if word.weight > 0:
        told = f"{told}, weight {word.weight:.3g}"
    counts, is_plain = word.weight > 0, word.factor == 1
    if counts and not is_plain:
        told += f", of which {word.factor:g} times its own"
    return TermChip(
        word=word.word,
        kind=word.kind,
        width=round(100 * word.weight / heaviest, 1),
        told=told[:1].upper() + told[1:],
        factor="" if is_plain or word.factor == 0 else f"{word.factor:g}×",
        drop=query.weighing(word.word, 0.0) if counts else None,
        boost=query.weighing(word.word, BOOST) if counts and is_plain else None,
        restore=None if is_plain else query.weighing(word.word, 1.0),
    )


def term_views(
    parts: Sequence[TermPart], other: float, raw: float, words: QueryWords, document: Document
) -> list[TermView]:
    """Views of the terms of a score, one for each word, best first.

    Args:
        parts: the score by terms of the encoder.
        other: of all terms that are not among them.
        raw: the whole score.
    """
    by_word: dict[str, list[TermPart]] = {}
    for part in parts:
        by_word.setdefault(words.word(part.term), []).append(part)
    stems = words.stems(document.full_text) if by_word else frozenset()
    views = [
        _term_view(word, each, raw, words.stands_in(word, stems)) for word, each in by_word.items()
    ]
    views.sort(key=lambda view: -view.width)
    if other > 0:
        told = f"{other:.3f} of {raw:.3f}: all other words together"
        views.append(TermView("others", "others", f"{other:.3f}", _share(other, raw), told))
    return views


def _term_view(word: str, parts: Sequence[TermPart], raw: float, is_written: bool) -> TermView:
    origins = {part.origin for part in parts}
    if "query" in origins:
        kind = "query" if is_written else "expanded"
    else:
        kind = "model" if "model" in origins else "feedback"
    value = sum(part.value for part in parts)
    products = " + ".join(f"{part.query_weight:.3g} × {part.doc_weight:.3g}" for part in parts)
    told = f"{value:.3f} of {raw:.3f}, {_ROLES[kind]}: weight in the query × in the document "
    return TermView(word, kind, f"{value:.3f}", _share(value, raw), f"{told}{products}")


def _share(value: float, raw: float) -> float:
    return round(100 * value / raw, 1) if raw > 0 else 0.0
