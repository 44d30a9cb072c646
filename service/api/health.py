"""Routes of health and metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from lsr.service.api.schemas.problem import Health, Problem
from lsr.service.engine import SearchEngine
from lsr.service.metrics import CONTENT_TYPE, Metrics
from lsr.service.problems import problem

__all__ = ["health_router"]

Responses = dict[int | str, dict[str, Any]]

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
        responses={
            200: {
                "content": {"text/plain": {"schema": {"type": "string"}}},
                "description": "Prometheus text format.",
            }
        },
    )
    def read_metrics() -> Response:
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    return router
