"""`create_app`: the parts of the service, put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from lsr.errors import LsrError
from lsr.service.api.collections import aliases_router, collections_router
from lsr.service.api.direct_route import Lane
from lsr.service.api.document_batches import batches_router
from lsr.service.api.documents import documents_router, writing_router
from lsr.service.api.health import health_router
from lsr.service.api.keys import keys_router
from lsr.service.api.query import known_query
from lsr.service.api.search_routes import search_router
from lsr.service.api.shapes import write_shapes
from lsr.service.api.snapshots import snapshots_router
from lsr.service.api.tasks import tasks_router
from lsr.service.collections.jobs import Jobs
from lsr.service.engine import SearchEngine
from lsr.service.hosts import HostNames
from lsr.service.limits.admission import Admission, Gate
from lsr.service.limits.bodies import BodyRules
from lsr.service.limits.rate_limit import RateLimit
from lsr.service.logs import AccessLog
from lsr.service.metrics import Metrics
from lsr.service.middleware import Compression, Envelope, Head, Options, Stopping
from lsr.service.page.page import page_router
from lsr.service.page.panels.collections_view import panel_router
from lsr.service.page.panels.compare_view import compare_router
from lsr.service.problems import MEDIA_TYPE, METHODS, install_handlers, methods_at
from lsr.service.security.authenticator import Authenticator
from lsr.service.security.guard import Checks, Guard
from lsr.service.security.keys import KeyFile
from lsr.service.security.sign_in import sign_in_router
from lsr.service.settings import Settings
from lsr.service.tasks import TASKS_FILE, Tasks

__all__ = ["create_app"]

_DOCS_URL = "/docs"
_STATIC = Path(__file__).parent / "static"
_LIGHT = 32
"""Threads for requests that are under no cap."""

_BEFORE = {
    "401": "A key is needed, and this is none.",
    "403": "The key is not for this.",
    "429": "Too many requests; `Retry-After` says when to ask again.",
    "503": "Not now; `detail` says why.",
}
"""Answers that come before a route is asked."""

_SENT = ["Authorization", "Content-Type", "Idempotency-Key", "X-Api-Key", "X-Request-Id"]
_SHOWN = ["Retry-After", "X-Request-Id"]
_log = logging.getLogger(__name__)


def create_app(
    engine: SearchEngine,
    settings: Settings,
    stopping: Stopping | None = None,
    warmed: Callable[[], None] | None = None,
) -> FastAPI:
    """An application that serves `engine` and closes it at the end.

    It answers at once and becomes ready when the engine has warmed up. Two applications in one
    process share nothing.

    Args:
        stopping: says that the service is about to stop.
        warmed: called once, when the engine has warmed up.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        threads = settings.max_searches + settings.max_writes + settings.max_heavy + _LIGHT
        anyio.to_thread.current_default_thread_limiter().total_tokens = threads
        warming = asyncio.create_task(asyncio.to_thread(engine.warm_up))
        warming.add_done_callback(partial(_report, warmed))
        try:
            yield
        finally:
            await asyncio.wait([warming])
            await asyncio.to_thread(jobs.tasks.close)
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
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    metrics = Metrics(engine)
    root = engine.catalog.root
    tasks = Tasks(None if root is None else root / TASKS_FILE)
    jobs = Jobs(engine.catalog, tasks, alone=settings.workers == 1)
    secret = settings.admin_key.get_secret_value() if settings.admin_key else None
    keys = KeyFile(settings.keys) if settings.keys else None
    authenticator = Authenticator(keys, secret, engine.catalog.resolve)
    install_handlers(app)
    searches, writes = search_router(engine, metrics), writing_router(engine.catalog)
    app.include_router(searches)  # tried first: most requests are searches
    for router in (
        writes,
        health_router(engine, metrics),
        collections_router(engine, jobs),
        batches_router(engine.catalog, settings.max_line_bytes),
        documents_router(engine.catalog),
        snapshots_router(jobs),
        aliases_router(engine.catalog),
        tasks_router(jobs.tasks),
        keys_router(authenticator),
    ):
        app.include_router(router, dependencies=[Depends(known_query)])
    app.include_router(page_router(engine, metrics))
    _add_panels(app, engine, metrics, jobs.tasks)
    app.include_router(sign_in_router(authenticator))
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    inner = Lane(app.build_middleware_stack(), app, [*searches.routes, *writes.routes])
    app.middleware_stack = _surrounded(inner, app, settings, authenticator, metrics, stopping)
    write_shapes(app.openapi())
    _write_problems_as_such(app.openapi())
    return app


def _surrounded(
    inner: ASGIApp,
    app: FastAPI,
    settings: Settings,
    authenticator: Authenticator,
    metrics: Metrics,
    stopping: Stopping | None,
) -> ASGIApp:
    """The application in its middleware, of which FastAPI's own is the innermost."""
    stack: ASGIApp = Guard(inner, checks=_checks(app, settings, authenticator))
    stack = Options(stack, allowed=lambda scope: methods_at(app, scope))
    if settings.cors:
        stack = CORSMiddleware(
            stack,
            allow_origins=list(settings.cors),
            allow_methods=list(METHODS),
            allow_headers=_SENT,
            expose_headers=_SHOWN,
        )
    if settings.gzip_bytes:
        stack = Compression(stack, least=settings.gzip_bytes)
    return Envelope(
        Head(stack),
        metrics=metrics,
        hosts=HostNames((settings.host, *settings.host_names)),
        stopping=stopping or Stopping(),
        log=AccessLog() if settings.access_log else None,
        docs_url=_DOCS_URL,
    )


def _checks(app: FastAPI, settings: Settings, authenticator: Authenticator) -> Checks:
    def gate(running: int) -> Gate:
        return Gate(running, settings.max_waiting, settings.wait_seconds)

    return Checks(
        authenticator=authenticator,
        rate=RateLimit(settings.max_per_minute),
        bodies=BodyRules(settings.max_body_bytes, settings.max_bulk_bytes),
        admission=Admission(
            {
                "search": gate(settings.max_searches),
                "write": gate(settings.max_writes),
                "heavy": gate(settings.max_heavy),
            }
        ),
        seconds={"search": settings.request_seconds, "light": settings.request_seconds},
        origins=frozenset(settings.cors),
        is_route=lambda scope: scope["method"] in methods_at(app, scope),
    )


def _add_panels(app: FastAPI, engine: SearchEngine, metrics: Metrics, tasks: Tasks) -> None:
    app.include_router(panel_router(engine, tasks))
    app.include_router(compare_router(engine, metrics))


def _report(warmed: Callable[[], None] | None, warming: asyncio.Task[None]) -> None:
    error = warming.exception()
    if error is None and warmed is not None:
        warmed()
    if error is not None:
        trace = None if isinstance(error, LsrError) else error
        _log.error("the service will not become ready: %s", error, exc_info=trace)


def _operation_id(route: APIRoute) -> str:
    return route.name


def _write_problems_as_such(schema: dict[str, Any]) -> None:
    """Problems have a media type of their own, and keys and limits belong to every operation."""
    problem = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            if path.startswith("/v1/"):
                for status, description in _BEFORE.items():
                    said = {"description": description, "content": problem}
                    operation["responses"].setdefault(status, said)
            for status, response in operation["responses"].items():
                if status >= "400" and "application/json" in response.get("content", {}):
                    response["content"] = {MEDIA_TYPE: response["content"]["application/json"]}
