"""Routes of health, metrics and search."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from lsr.retrieval.snippet import plain
from lsr.service.api.schemas import (
    AnswerWarning,
    Health,
    Problem,
    SearchAnswer,
    SearchHit,
    SearchRequest,
)
from lsr.service.engine import SearchEngine, SearchResult, Vectors
from lsr.service.metrics import CONTENT_TYPE, Metrics
from lsr.service.problems import problem
from lsr.service.security.grant import grant_of

__all__ = ["api_router", "health_router"]

Responses = dict[int | str, dict[str, Any]]

_MISSING: Responses = {404: {"model": Problem, "description": "There is no such thing."}}
_INVALID: Responses = {
    422: {"model": Problem, "description": "The request cannot be done as asked."},
    413: {"model": Problem, "description": "The request is too large."},
}
_FAILED: Responses = {500: {"model": Problem, "description": "A model gave no usable numbers."}}
_UNUSABLE: Responses = {503: {"model": Problem, "description": "Not now; `detail` says why."}}


def health_router(engine: SearchEngine, metrics: Metrics) -> APIRouter:
    """`/livez`, `/readyz`, `/metrics`."""
    router = APIRouter(tags=["health"])

    @router.get("/livez", summary="Is the process alive?")
    async def livez() -> Health:
        return Health(status="alive")

    @router.get(
        "/readyz",
        summary="Are the collections opened and warmed up?",
        response_model=Health,
        responses=_UNUSABLE,
    )
    async def readyz() -> Health | Response:
        if engine.catalog.not_ready is None:
            return Health(status="ready")
        return problem(
            503,
            "not_ready",
            engine.catalog.not_ready,
            instance="/readyz",
            headers={"Retry-After": "1"},
        )

    @router.get(
        "/metrics",
        summary="Counts and times for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text format."}},
    )
    def read_metrics() -> Response:
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    return router


def api_router(engine: SearchEngine, metrics: Metrics) -> APIRouter:
    """`…/search`."""
    router = APIRouter(prefix="/v1/collections", tags=["search"])

    @router.post(
        "/{collection}/search",
        summary="Search a collection",
        responses={**_MISSING, **_INVALID, **_FAILED, **_UNUSABLE},
    )
    def search(collection: str, request: SearchRequest, http: Request) -> SearchAnswer:
        result = engine.search(
            collection,
            request.text,
            limit=request.limit,
            offset=request.offset,
            where=request.filter,
            within=grant_of(http.scope).filter_for(collection),
            plan=request.plan_fields(),
            vectors=_vectors(request),
            snippets=request.snippet,
        )
        metrics.count_search(collection, result.answer.mode, result.answer.took_ms)
        return _answer(result, request.snippet)

    return router


def _vectors(request: SearchRequest) -> Vectors | None:
    given = request.vectors
    return Vectors(given.sparse, given.dense) if given is not None else None


def _answer(result: SearchResult, snippets: bool) -> SearchAnswer:
    hits = [
        SearchHit(
            doc_id=hit.document.doc_id,
            score=hit.score,
            title=hit.document.title,
            snippet=plain(hit.snippet) if snippets else None,
            metadata=dict(hit.document.metadata),
            explanation=hit.explanation,
        )
        for hit in result.hits
    ]
    answer = result.answer
    return SearchAnswer(
        collection=result.collection,
        generation=answer.generation,
        mode=answer.mode,
        limit=result.limit,
        offset=result.offset,
        total=answer.total,
        plan=answer.plan,
        prf=answer.prf,
        warnings=[AnswerWarning(code=each.code, detail=each.detail) for each in answer.warnings],
        hits=hits,
        took_ms={stage: round(ms, 3) for stage, ms in answer.took_ms.items()},
    )
