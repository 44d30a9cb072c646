"""What the templates show of a search: bars, chips, and the strip of times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lsr.service.engine import FoundHit, SearchResult
from lsr.service.pagequery import PageQuery, Scalar
from lsr.snippet import Piece
from lsr.types import Metadata

__all__ = ["PAGE_SIZE", "Chip", "HitView", "ResultView", "Stage", "chips", "result_view"]

PAGE_SIZE = 10
_MAX_CHIPS = 8
_MAX_CHIP_CHARACTERS = 40


@dataclass(frozen=True)
class Chip:
    """A metadata value, and the address that filters by it."""

    field: str
    value: str
    address: str
    is_active: bool


@dataclass(frozen=True)
class HitView:
    """A hit as it is shown. `bar` is the score in percent of the page's best."""

    rank: int
    doc_id: str
    address: str
    title: list[Piece]
    snippet: list[Piece]
    score: str
    bar: float
    chips: list[Chip]


@dataclass(frozen=True)
class Stage:
    """A stage of a search: its time, and its place in the strip in percent."""

    name: str
    ms: str
    start: float
    width: float


@dataclass(frozen=True)
class ResultView:
    """A page of hits. Addresses are None where there is no such page."""

    hits: list[HitView]
    first: int
    last: int
    previous: str | None
    following: str | None
    stages: list[Stage]
    total_ms: str


def result_view(query: PageQuery, result: SearchResult) -> ResultView:
    """What to show of a result that was asked for with one hit more than a page holds."""
    shown = result.hits[:PAGE_SIZE]
    best = max((hit.score for hit in shown), default=0.0)
    hits = [
        _hit_view(query, hit, result.offset + place, best)
        for place, hit in enumerate(shown, start=1)
    ]
    has_more = len(result.hits) > PAGE_SIZE
    return ResultView(
        hits=hits,
        first=result.offset + 1,
        last=result.offset + len(hits),
        previous=query.turned_to(query.page - 1) if query.page > 1 else None,
        following=query.turned_to(query.page + 1) if has_more else None,
        stages=_stages(result.took_ms),
        total_ms=_ms(result.took_ms["total"]),
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
            active = name in query.where and query.where[name] == value
            yield Chip(name, shown, query.narrowed_to(name, value), active)


def _shown(value: Scalar) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.strip() if isinstance(value, str) else str(value)


def _hit_view(query: PageQuery, hit: FoundHit, rank: int, best: float) -> HitView:
    share = hit.score / best if best > 0 else 0.0
    return HitView(
        rank=rank,
        doc_id=hit.document.doc_id,
        address=query.document(hit.document.doc_id),
        title=hit.title,
        snippet=hit.snippet,
        score=f"{hit.score:.3f}" if abs(hit.score) < 10 else f"{hit.score:.2f}",
        bar=round(100 * min(max(share, 0.0), 1.0), 1),
        chips=chips(query, hit.document.metadata),
    )


def _stages(took_ms: Mapping[str, float]) -> list[Stage]:
    total = took_ms["total"] or 1.0
    stages, start = [], 0.0
    for name, ms in took_ms.items():
        if name == "total":
            continue
        width = 100 * ms / total
        stages.append(Stage(name, _ms(ms), round(start, 2), round(width, 2)))
        start += width
    return stages


def _ms(ms: float) -> str:
    return f"{ms:.2f}" if ms < 1 else f"{ms:.1f}" if ms < 100 else f"{ms:,.0f}"
