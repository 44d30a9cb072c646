"""`create_app`: the parts of the service, put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline

from lsr.errors import LsrError
from lsr.service.api.routes import api_router, health_router
from lsr.service.api.search_routes import search_router
from lsr.service.engine import SearchEngine
from lsr.service.metrics import Metrics
from lsr.service.middleware import BodyLimit, Observer, SafetyHeaders
from lsr.service.page.page import page_router
from lsr.service.problems import MEDIA_TYPE, install_handlers
from lsr.service.settings import Settings

__all__ = ["create_app"]

_DOCS_URL = "/docs"
_STATIC = Path(__file__).parent / "static"
_log = logging.getLogger(__name__)


def create_app(engine: SearchEngine, settings: Settings) -> FastAPI:
    """An application that serves `engine` and closes it at the end.

    It answers at once and becomes ready when the engine has warmed up. Two applications in one
    process share nothing.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.create_task(asyncio.to_thread(engine.warm_up))
        warming.add_done_callback(_report)
        try:
            yield
        finally:
            await asyncio.wait([warming])
            engine.catalog.close()

    app: FastAPI = FastAPIOffline(
        docs_url=_DOCS_URL,
        redoc_url=None,
        title="lsr",
        version=version("lsr-search"),
        summary="Learned sparse retrieval: search over REST",
        lifespan=lifespan,
        redirect_slashes=False,
        favicon_url="/static/favicon.svg",
        generate_unique_id_function=_operation_id,
    )
    metrics = Metrics(engine)
    install_handlers(app)
    app.include_router(search_router(engine, metrics))  # tried first: most requests are searches
    app.include_router(health_router(engine, metrics))
    app.include_router(api_router(engine))
    app.include_router(page_router(engine, metrics))
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(Observer, metrics=metrics)
    app.add_middleware(SafetyHeaders, docs_url=_DOCS_URL)
    _write_problems_as_such(app.openapi())
    return app


def _report(warming: asyncio.Task[None]) -> None:
    error = warming.exception()
    if error is not None:
        trace = None if isinstance(error, LsrError) else error
        _log.error("the service will not become ready: %s", error, exc_info=trace)


def _operation_id(route: APIRoute) -> str:
    return route.name


def _write_problems_as_such(schema: dict[str, Any]) -> None:
    """FastAPI gives errors the media type of answers; problems have their own."""
    for operations in schema["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status >= "400" and "application/json" in response.get("content", {}):
                    response["content"] = {MEDIA_TYPE: response["content"]["application/json"]}
