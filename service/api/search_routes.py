"""The REST API: searches, one or several; explanations; encoding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from lsr.errors import LsrError
from lsr.retrieval.filter import Filter
from lsr.service.api.answer_writer import answer_content, explain_content, written
from lsr.service.api.direct_route import DirectRoute, Said
from lsr.service.api.schemas.problem import Problem
from lsr.service.api.schemas.search import (
    EncodeAnswer,
    EncodeRequest,
    ExplainAnswer,
    ExplainRequest,
    MultiAnswer,
    MultiRequest,
    SearchAnswer,
    SearchRequest,
)
from lsr.service.engine import SearchEngine, SearchResult
from lsr.service.metrics import Metrics
from lsr.service.problems import problem_of
from lsr.service.security.grant import grant_of

__all__ = ["is_plain", "search_router"]

_PLAIN = frozenset(
    {"text", "limit", "offset", "snippet", "fields", "timeout_ms", "facets", "count"}
)
_PLAIN_CHARACTERS, _PLAIN_HITS, _PLAIN_FACETS = 400, 20, 4
_LITTLE_CHARACTERS = 40_000
"""Texts of this length are scanned for passages in about a millisecond."""

_REFUSALS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "There is no such thing."},
    413: {"model": Problem, "description": "The request is too large."},
    415: {"model": Problem, "description": "The body is not announced as JSON."},
    422: {"model": Problem, "description": "The request cannot be done as asked."},
    500: {"model": Problem, "description": "A model gave no usable numbers."},
    503: {"model": Problem, "description": "Not now; `detail` says why."},
}


def search_router(engine: SearchEngine, metrics: Metrics) -> APIRouter:
    """Everything that searches, below `/v1/collections/{collection}`."""

    class SearchRoute(DirectRoute):
        """A direct route, where plain searches of small collections are short."""

        @staticmethod
        def is_short(values: Mapping[str, Any]) -> bool:
            body = values["body"]
            return is_plain(body) and engine.is_small(values["collection"], body.facets)

    router = APIRouter(
        prefix="/v1/collections/{collection}",
        tags=["search"],
        route_class=SearchRoute,
        responses=_REFUSALS,
    )

    @router.post("/search", summary="Search a collection", response_model=SearchAnswer)
    def search(collection: str, body: SearchRequest, request: Request) -> Said:
        asked = body.search(_within(request, collection), engine.limits.timeout_ms[0])
        begun = engine.begin(collection, asked)

        def end() -> Response:
            result = begun.end()
            _count(metrics, result)
            return _json(answer_content(result, asked, _request_id(request)))

        is_little = not asked.snippets or begun.n_characters <= _LITTLE_CHARACTERS
        return end() if is_little else end

    @router.post(
        "/msearch",
        summary="Several searches at once",
        response_model=MultiAnswer,
        responses={207: {"model": MultiAnswer, "description": "Some have a problem as answer."}},
    )
    def msearch(collection: str, body: MultiRequest, request: Request) -> Response:
        request_id = _request_id(request)
        searches = [
            each.search(_within(request, collection), engine.limits.timeout_ms[0])
            for each in body.searches
        ]
        results: list[dict[str, Any]] = []
        for asked, found in zip(searches, engine.answers(collection, searches), strict=True):
            if isinstance(found, LsrError):
                told = orjson.loads(problem_of(found, request.url.path).body)
                results.append({"problem": told})
            else:
                _count(metrics, found)
                results.append({"answer": answer_content(found, asked, request_id)})
        status = 207 if any("problem" in each for each in results) else 200
        return _json({"results": results, "request_id": request_id}, status)

    _add_explaining(router, engine)
    return router


def _add_explaining(router: APIRouter, engine: SearchEngine) -> None:
    @router.post("/explain", summary="Why a document has its score", response_model=ExplainAnswer)
    def explain(collection: str, body: ExplainRequest, request: Request) -> Response:
        asked = body.search(_within(request, collection), engine.limits.timeout_ms[0])
        told = engine.explain(collection, asked, body.doc_id)
        return _json(explain_content(told, _request_id(request)))

    @router.post("/encode", summary="Sparse vectors of texts", response_model=EncodeAnswer)
    def encode(collection: str, body: EncodeRequest, request: Request) -> Response:
        vectors, model = engine.encode(collection, body.texts, as_documents=body.side == "document")
        content = {"collection": collection, "model": model, "vectors": vectors}
        return _json({**content, "request_id": _request_id(request)})


def is_plain(body: object) -> bool:
    """Whether a request is a search that nothing makes long but its collection."""
    return (
        type(body) is SearchRequest
        and body.model_fields_set <= _PLAIN
        and len(body.text) <= _PLAIN_CHARACTERS
        and (body.limit or 0) <= _PLAIN_HITS
        and body.offset <= _PLAIN_HITS
        and len(body.facets) <= _PLAIN_FACETS
        and all(isinstance(facet, str) for facet in body.facets)
    )


def _within(request: Request, collection: str) -> Filter | None:
    """The filter of the request's key."""
    return grant_of(request.scope).filter_for(collection)


def _count(metrics: Metrics, result: SearchResult) -> None:
    metrics.count_search(result.collection, result.answer.mode, result.answer.took_ms)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(written(content), status, media_type="application/json")


def _request_id(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))
