"""The REST API: health, metrics, collections, documents."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from lsr.service.api.schemas import (
    Collections,
    CollectionSummary,
    FoundDocument,
    Health,
    Problem,
)
from lsr.service.engine import SearchEngine
from lsr.service.metrics import CONTENT_TYPE, Metrics
from lsr.service.problems import problem
from lsr.service.security.grant import grant_of

__all__ = ["api_router", "health_router"]

Responses = dict[int | str, dict[str, Any]]

_MISSING: Responses = {404: {"model": Problem, "description": "There is no such thing."}}
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


def api_router(engine: SearchEngine) -> APIRouter:
    """Collections and documents, below `/v1`."""
    router = APIRouter(prefix="/v1/collections", tags=["collections"])

    @router.get("", summary="List the collections")
    def list_collections(http: Request) -> Collections:
        grant = grant_of(http.scope)
        grant.asked = True  # names and counts alone
        names = grant.visible(engine.catalog.names)
        return Collections(collections=[_summary(engine, name) for name in names])

    @router.get("/{collection}", summary="Describe a collection", responses=_MISSING)
    def read_collection(collection: str) -> CollectionSummary:
        return _summary(engine, collection)

    @router.get(
        "/{collection}/documents/{doc_id:path}",
        summary="Read a document; its id may hold slashes",
        responses=_MISSING,
    )
    def read_document(collection: str, doc_id: str, http: Request) -> FoundDocument:
        document = engine.document(collection, doc_id, grant_of(http.scope).filter_for(collection))
        return FoundDocument(
            doc_id=document.doc_id,
            title=document.title,
            text=document.text,
            metadata=dict(document.metadata),
        )

    return router


def _summary(engine: SearchEngine, name: str) -> CollectionSummary:
    collection = engine.collection(name)
    manifest = collection.manifest
    return CollectionSummary(
        name=name,
        n_documents=manifest.n_documents,
        n_terms=manifest.n_terms,
        n_postings=manifest.n_postings,
        size_bytes=manifest.size_bytes,
        generation=manifest.generation,
        created=datetime.fromisoformat(manifest.created),
        modes=list(collection.modes),
        sparse_encoder=manifest.sparse.name,
        dense_encoder=manifest.dense.name if manifest.dense else None,
        default_plan=collection.default_plan.resolved(collection.modes),
        fields=list(collection.metadata.fields),
    )
