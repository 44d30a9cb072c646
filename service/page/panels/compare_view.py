"""Two settings side by side: one query, two plans, and how hits move between them.

The address says all: `q`, filters as on the search page, and the plans' fields with `a.` before
those of the left side and `b.` before those of the right one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Literal
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from lsr.errors import LsrError
from lsr.index.collection.reader import CollectionReader
from lsr.retrieval.plan import plan_from
from lsr.retrieval.snippet import Piece
from lsr.service.engine import FoundHit, SearchEngine
from lsr.service.metrics import Metrics
from lsr.service.page.page_search import PAGE_SIZE
from lsr.service.page.panels.frame import Frame
from lsr.service.page.passage_view import passage_place
from lsr.service.page.plan_form import PLAN_NAMES, Controls, PagePlan, shown_default
from lsr.service.page.query_string import PageQuery
from lsr.service.page.score_view import Movement
from lsr.service.page.timing_view import spoken_ms
from lsr.service.problems import status_of
from lsr.service.security.grant import grant_of

__all__ = ["ComparedHit", "Side", "compare_router", "movement"]

_REACH = 30
"""Hits of each side among which the places of the other's are looked up."""

_Name = Literal["a", "b"]
_SIDES: tuple[tuple[_Name, str], ...] = (("a", "Left"), ("b", "Right"))


@dataclass(frozen=True)
class ComparedHit:
    """A hit of one side.

    Attributes:
        place: where the snippet's passage stands; empty for a document in one piece.
        other: its rank on the other side; None where it is not among the first there.
        moved: from the left to the right; None where it stays, and on the left side.
    """

    rank: int
    doc_id: str
    address: str
    title: list[Piece]
    snippet: list[Piece]
    place: str
    score: str
    other: int | None
    moved: Movement | None


@dataclass(frozen=True)
class Side:
    """One of the two.

    Attributes:
        key: what stands before its fields in the address.
        plan: what differs from the collection's default.
        address: of the search page with the same plan.
        hits: None where nothing was searched.
        reach: hits that were looked at, at most.
    """

    key: _Name
    heading: str
    plan: PagePlan
    controls: Controls
    address: str
    hits: Sequence[ComparedHit] | None
    reach: int
    took: str
    error: str | None


@dataclass(frozen=True)
class _Found:
    """What a search of one side came to."""

    hits: tuple[FoundHit, ...] = ()
    reach: int = 0
    took: str = ""
    error: LsrError | None = None
    is_done: bool = False


def compare_router(engine: SearchEngine, metrics: Metrics) -> APIRouter:
    """`/c/{collection}/compare`."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    comparison = _Comparison(engine, metrics)

    @router.get("/c/{collection}/compare")
    def compare(collection: str, request: Request) -> Response:
        return comparison.page(collection, request)

    return router


class _Comparison:
    def __init__(self, engine: SearchEngine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._frame = Frame(engine)

    def page(self, name: str, request: Request) -> Response:
        """Both sides; a form without JavaScript sends every control, then the address is cut."""
        try:
            grant_of(request.scope).filter_for(name)
            collection = self._engine.collection(name)
            query = PageQuery.of(name, request.query_params)
        except LsrError as error:
            return self._frame.message(error, request)
        query = replace(query, page=1, plan=PagePlan())
        default, modes = shown_default(collection), collection.modes
        plans = {
            key: PagePlan.of(_said(request.query_params, key), default, modes) for key, _ in _SIDES
        }
        n_said = sum(len(_said(request.query_params, key)) for key, _ in _SIDES)
        if n_said > sum(len(plan.pairs) for plan in plans.values()):
            return RedirectResponse(_address(query, plans), HTTPStatus.FOUND)
        found = {key: self._search(replace(query, plan=plans[key]), request) for key in plans}
        errors = [each.error for each in found.values() if each.error is not None]
        sides = [self._side(query, key, plans, found, collection) for key, _ in _SIDES]
        return self._frame.page(
            "compare.html",
            request,
            status_of(errors[0]) if errors else HTTPStatus.OK,
            collection=name,
            query=query,
            filters=query.narrowing,
            sides=sides,
            is_same=plans["a"] == plans["b"],
        )

    def _search(self, query: PageQuery, request: Request) -> _Found:
        if not query.text.strip():
            return _Found()
        engine, name = self._engine, query.collection
        try:
            collection = engine.collection(name)
            whole = plan_from(query.plan.fields, collection.default_plan)
            window = whole.resolved(collection.modes).window
            reach = min(_REACH, window, engine.limits.hits, engine.limits.window)
            result = engine.search(
                name,
                query.text,
                limit=reach,
                where=query.where,
                within=grant_of(request.scope).filter_for(name),
                plan=query.plan.fields,
                pieces=True,
            )
        except LsrError as error:
            return _Found(error=error)
        took = result.answer.took_ms
        self._metrics.count_search(name, result.answer.mode, took)
        return _Found(result.hits, reach, spoken_ms(took["total"]), is_done=True)

    def _side(
        self,
        query: PageQuery,
        key: _Name,
        plans: Mapping[_Name, PagePlan],
        found: Mapping[_Name, _Found],
        collection: CollectionReader,
    ) -> Side:
        own, other = found[key], found["b" if key == "a" else "a"]
        ranks = {hit.document.doc_id: rank for rank, hit in enumerate(other.hits, start=1)}
        mine = replace(query, plan=plans[key])
        hits = None
        if own.is_done:
            hits = [
                _hit(mine, hit, rank, ranks, other, is_right=key == "b")
                for rank, hit in enumerate(own.hits[:PAGE_SIZE], start=1)
            ]
        return Side(
            key=key,
            heading=dict(_SIDES)[key],
            plan=plans[key],
            controls=Controls.of(plans[key], shown_default(collection), collection.modes),
            address=mine.address,
            hits=hits,
            reach=own.reach,
            took=own.took,
            error=str(own.error) if own.error is not None else None,
        )


def movement(rank: int, before: int | None, reach: int) -> Movement | None:
    """The movement of a hit from a rank on the left; None where it stays.

    Args:
        before: None where it is not among the first `reach` there.
    """
    if before is None:
        return Movement("new", "new", f"Not among the first {reach} on the left")
    steps = before - rank
    if steps == 0:
        return None
    kind, sign, word = ("up", "▲", "Up") if steps > 0 else ("down", "▼", "Down")
    return Movement(kind, f"{sign}{abs(steps)}", f"{word} {abs(steps)}, from rank {before}")


def _hit(
    query: PageQuery,
    hit: FoundHit,
    rank: int,
    ranks: Mapping[str, int],
    other: _Found,
    *,
    is_right: bool,
) -> ComparedHit:
    doc_id = hit.document.doc_id
    there = ranks.get(doc_id)
    is_moved = is_right and other.is_done
    return ComparedHit(
        rank=rank,
        doc_id=doc_id,
        address=query.document(doc_id),
        title=hit.title,
        snippet=hit.snippet,
        place=passage_place(hit),
        score=f"{hit.score:.3f}",
        other=there,
        moved=movement(rank, there, other.reach) if is_moved else None,
    )


def _said(parameters: Mapping[str, str], key: _Name) -> dict[str, str]:
    """What an address says of one side's plan."""
    return {
        name: parameters[f"{key}.{name}"] for name in PLAN_NAMES if parameters.get(f"{key}.{name}")
    }


def _address(query: PageQuery, plans: Mapping[_Name, PagePlan]) -> str:
    pairs = [("q", query.text)] if query.text else []
    for key, plan in plans.items():
        pairs += [(f"{key}.{name}", value) for name, value in plan.pairs]
    pairs += query.narrowing
    return f"/c/{quote(query.collection, safe='')}/compare?{urlencode(pairs)}"
