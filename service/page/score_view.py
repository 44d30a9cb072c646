"""`ScoreView`: a hit's score as it is shown, and taken apart where the search explained it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lsr.retrieval.explanation import Explanation, PrfPart, SidePart
from lsr.retrieval.plan import SearchPlan
from lsr.service.engine import FoundHit
from lsr.service.page.query_words import QueryWords
from lsr.service.page.term_view import TermView, term_views

__all__ = ["Bar", "Movement", "ScoreView", "SideView", "full_length", "score_view"]

_SIDES = {"sparse": "words", "dense": "meaning"}


@dataclass(frozen=True)
class Bar:
    """A part of a hit's bar, in percent of the longest bar of the page."""

    kind: str
    start: float
    width: float


@dataclass(frozen=True)
class SideView:
    """A side's line under a hit.

    Attributes:
        kind: words or meaning.
        score: its part of the fused score; empty when it does not count.
        place: its rank, in words.
        told: how the score came about.
    """

    kind: str
    score: str
    place: str
    told: str
    terms: list[TermView]


@dataclass(frozen=True)
class Movement:
    """Movement of a hit by feedback: up, down, or new."""

    kind: str
    sign: str
    told: str


@dataclass(frozen=True)
class ScoreView:
    """A hit's score.

    Attributes:
        told: the bar in words.
        sides: empty where nothing was explained.
        is_fused: whether there are two sides.
    """

    score: str
    told: str
    bars: list[Bar]
    sides: list[SideView]
    is_fused: bool
    movement: Movement | None


def full_length(hits: Iterable[FoundHit]) -> float:
    """The score that the longest bar of a page stands for."""
    return max((sum(_lengths(hit).values()) for hit in hits), default=0.0)


def score_view(
    hit: FoundHit, rank: int, full: float, plan: SearchPlan, moved: bool, words: QueryWords
) -> ScoreView:
    """View of a hit's score.

    Args:
        rank: the hit's, counted from 1.
        full: as `full_length` gives it.
        moved: whether feedback was applied.
        words: the query's.
    """
    digits = 4 if plan.fusion.method == "rrf" else 3 if abs(hit.score) < 10 else 2
    bars, start = [], 0.0
    for kind, length in _lengths(hit).items():
        width = 100 * length / full if full > 0 else 0.0
        bars.append(Bar(kind, round(start, 1), round(width, 1)))
        start += width
    explained, sides = hit.explanation, []
    if explained is not None:
        sides = [
            _side_view(name, part, hit, explained, plan, digits, words)
            for name, part in (("sparse", explained.sparse), ("dense", explained.dense))
            if part is not None
        ]
    score = f"{hit.score:.{digits}f}"
    is_fused = len(sides) > 1 or (plan.mode == "hybrid" and bool(sides))
    parts = " and ".join(f"{side.score} from {side.kind}" for side in sides if side.score)
    return ScoreView(
        score=score,
        told=f"Score {score}: {parts}" if parts and is_fused else f"Score {score}",
        bars=bars,
        sides=sides,
        is_fused=is_fused,
        movement=_movement(explained, rank) if moved and explained is not None else None,
    )


def _lengths(hit: FoundHit) -> dict[str, float]:
    """Lengths of the parts of a bar: one where one side was searched. Below zero it has none."""
    explained = hit.explanation
    if explained is None or explained.sparse is None or explained.dense is None:
        return {"fill": max(hit.score, 0.0)}
    sides = (("words", explained.sparse), ("meaning", explained.dense))
    return {
        kind: max(part.contribution, 0.0)
        for kind, part in sides
        if part is not None and part.weight > 0
    }


def _side_view(
    name: str,
    part: SidePart,
    hit: FoundHit,
    explained: Explanation,
    plan: SearchPlan,
    digits: int,
    words: QueryWords,
) -> SideView:
    counts = part.weight > 0
    terms = explained.terms if name == "sparse" and counts else None
    other = explained.other if terms is not None else 0.0
    prf = explained.prf if name == "dense" and counts else None
    return SideView(
        kind=_SIDES[name],
        score=f"{part.contribution:.{digits}f}" if counts else "",
        place=_place(name, part, plan),
        told=_arithmetic(part, prf, plan) if counts else "",
        terms=term_views(terms or (), other, part.raw, words, hit.document),
    )


def _place(name: str, part: SidePart, plan: SearchPlan) -> str:
    if part.weight == 0:
        return "not counted"
    if part.rank is not None:
        return f"rank {part.rank:,}"
    if name == "sparse" and part.raw == 0:
        return "no word in common"
    return f"not in its best {plan.window:,}"


def _arithmetic(part: SidePart, prf: PrfPart | None, plan: SearchPlan) -> str:
    if plan.fusion.method == "rrf" and part.rank is None:
        return "Not listed, so it adds nothing"
    if plan.fusion.method == "rrf":
        told = f"{part.weight:g} / ({plan.fusion.rrf_k} + rank {part.rank})"
    elif plan.mode == "hybrid":
        told = f"weight {part.weight:.3g} × {part.norm:.4f}, from a raw score of {part.raw:.4f}"
    else:
        told = f"A raw score of {part.raw:.4f}"
    if prf is not None:
        told += (
            f", of which {prf.dense_query:.4f} by the query and {prf.dense_feedback:.4f} by what "
            "was learned"
        )
    return told[0].upper() + told[1:]


def _movement(explained: Explanation, rank: int) -> Movement | None:
    before = explained.rank_before_prf
    if before is None:
        return Movement("new", "new", "New through feedback")
    steps = before - rank
    if steps == 0:
        return None
    told = f"{'Up' if steps > 0 else 'Down'} {abs(steps)} by feedback, from rank {before}"
    return Movement("up" if steps > 0 else "down", f"{'▲' if steps > 0 else '▼'}{abs(steps)}", told)
