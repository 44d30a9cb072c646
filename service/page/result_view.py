"""Views of a search for the templates: hits with their chips, and what is shown before them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lsr.retrieval.answers.answer import Answer
from lsr.retrieval.snippet import Piece
from lsr.service.engine import FoundHit
from lsr.service.page.facet_view import FacetPanel, facet_panel
from lsr.service.page.feedback_view import FeedbackView, feedback_view, notes
from lsr.service.page.page_search import PAGE_SIZE, Found
from lsr.service.page.passage_view import passage_place
from lsr.service.page.query_string import PageQuery, Scalar, values_of
from lsr.service.page.query_words import QueryWords
from lsr.service.page.score_view import ScoreView, full_length, score_view
from lsr.service.page.term_view import TermChip, term_chips
from lsr.service.page.timing_view import Stage, spoken_ms, stages
from lsr.types import Metadata

__all__ = ["Chip", "CountView", "HitView", "ResultView", "chips", "count_view", "result_view"]

_MAX_CHIPS = 8
_MAX_CHIP_CHARACTERS = 40


@dataclass(frozen=True)
class CountView:
    """The number of hits, and which of them are shown.

    Attributes:
        total: how many there are, in words.
        shown: which of them, in words; empty where they are all of them.
    """

    total: str
    shown: str


def count_view(answer: Answer, first: int, last: int, n_documents: int) -> CountView:
    """View of the number of hits.

    A search by words finds what has one of them. A search by meaning orders all documents, so
    there the number of matches says nothing.

    Args:
        first, last: the hits shown, counted from 1.
        n_documents: of the collection.
    """
    n = answer.total if answer.n_matches is None else answer.n_matches
    if answer.mode == "sparse":
        total = f"{n:,} {'match' if n == 1 else 'matches'}"
    else:
        n = answer.total
        total = f"best {n:,} of {n_documents:,} documents"
    return CountView(total, "" if first == 1 and last == n else f"{first}–{last} of ")


@dataclass(frozen=True)
class Chip:
    """A metadata value, and the address that filters by it."""

    field: str
    value: str
    address: str
    is_active: bool


@dataclass(frozen=True)
class HitView:
    """A hit as it is shown.

    Attributes:
        place: where the snippet's passage stands; empty for a document in one piece.
    """

    rank: int
    doc_id: str
    address: str
    title: list[Piece]
    snippet: list[Piece]
    place: str
    score: ScoreView
    chips: list[Chip]


@dataclass(frozen=True)
class ResultView:
    """A page of hits. Addresses are None where there is no such page.

    Attributes:
        terms: the words of the query, and what was added to it.
        count: how many there are.
        has_words, has_meaning: whether bars have such a part.
        kinds: kinds of words that hits show.
        ends_at: the last hit that can be reached, when the list was cut off there.
        panel: what the hits can be narrowed and ordered by; None where there is nothing.
        curl: the command that asks the REST API for the same.
    """

    hits: list[HitView]
    terms: list[TermChip]
    count: CountView
    first: int
    last: int
    previous: str | None
    following: str | None
    ends_at: int | None
    has_words: bool
    has_meaning: bool
    kinds: frozenset[str]
    feedback: FeedbackView | None
    notes: list[str]
    stages: list[Stage]
    total_ms: str
    panel: FacetPanel | None
    curl: str


def result_view(query: PageQuery, found: Found, n_documents: int, curl: str) -> ResultView:
    """View of a page of hits.

    Args:
        n_documents: of the collection.
    """
    result, window = found.result, found.window
    answer, shown = result.answer, result.hits[:PAGE_SIZE]
    full = full_length(shown)
    hits = [
        _hit_view(query, hit, answer, result.offset + place, full, found.words)
        for place, hit in enumerate(shown, start=1)
    ]
    last = result.offset + len(hits)
    has_more = len(result.hits) > PAGE_SIZE
    kinds = {bar.kind for hit in hits for bar in hit.score.bars}
    return ResultView(
        hits=hits,
        terms=term_chips(query, found.shown),
        count=count_view(answer, result.offset + 1, last, n_documents),
        first=result.offset + 1,
        last=last,
        previous=query.turned_to(query.page - 1) if query.page > 1 else None,
        following=query.turned_to(query.page + 1) if has_more else None,
        ends_at=last if hits and last == window and not has_more else None,
        has_words="words" in kinds,
        has_meaning="meaning" in kinds,
        kinds=frozenset(
            term.kind for hit in hits for side in hit.score.sides for term in side.terms
        ),
        feedback=feedback_view(query, answer, found.learned_from),
        notes=notes(answer, found.is_kept),
        stages=stages(answer.took_ms),
        total_ms=spoken_ms(answer.took_ms["total"]),
        panel=facet_panel(query, found.facets),
        curl=curl,
    )


def chips(query: PageQuery, metadata: Metadata) -> list[Chip]:
    """Chips for short values and for elements of lists, eight at most."""
    pairs = (
        (name, value)
        for name, values in metadata.items()
        for value in (values if isinstance(values, list | tuple) else [values])
    )
    return list(_chips(query, pairs))[:_MAX_CHIPS]


def _chips(query: PageQuery, pairs: Iterable[tuple[str, object]]) -> Iterable[Chip]:
    for name, value in pairs:
        if not isinstance(value, str | int | float):
            continue
        shown = _shown(value)
        if shown and len(shown) <= _MAX_CHIP_CHARACTERS:
            active = name in query.where and value in values_of(query.where[name])
            yield Chip(name, shown, query.narrowed_to(name, value), active)


def _shown(value: Scalar) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.strip() if isinstance(value, str) else str(value)


def _hit_view(
    query: PageQuery, hit: FoundHit, answer: Answer, rank: int, full: float, words: QueryWords
) -> HitView:
    return HitView(
        rank=rank,
        doc_id=hit.document.doc_id,
        address=query.document(hit.document.doc_id),
        title=hit.title,
        snippet=hit.snippet,
        place=passage_place(hit),
        score=score_view(hit, rank, full, answer.plan, answer.prf.applied, words),
        chips=chips(query, hit.document.metadata),
    )
