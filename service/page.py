"""The search page: server-rendered, and complete without JavaScript."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lsr.errors import LsrError, NotFoundError
from lsr.service.engine import SearchEngine
from lsr.service.metrics import Metrics
from lsr.service.pagequery import PageQuery
from lsr.service.pageview import PAGE_SIZE, ResultView, chips, result_view
from lsr.service.problems import status_of

__all__ = ["page_router"]

_TEMPLATES = Path(__file__).parent / "templates"


def page_router(engine: SearchEngine, metrics: Metrics) -> APIRouter:
    """`/`, `/c/{collection}`, its results alone, and its documents."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    page = _Page(engine, metrics)

    @router.get("/")
    def home(request: Request) -> HTMLResponse:
        if len(engine.collections) == 1:
            return page.search(next(iter(engine.collections)), request)
        return page.collections()

    @router.get("/c/{collection}")
    def search(collection: str, request: Request) -> HTMLResponse:
        return page.search(collection, request)

    @router.get("/c/{collection}/results")
    def results(collection: str, request: Request) -> HTMLResponse:
        return page.search(collection, request, template="results.html")

    @router.get("/c/{collection}/documents/{doc_id:path}")
    def document(collection: str, doc_id: str, request: Request) -> HTMLResponse:
        return page.document(collection, doc_id, request)

    return router


class _Page:
    def __init__(self, engine: SearchEngine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["names"] = sorted(engine.collections)

    def collections(self) -> HTMLResponse:
        """A choice of collections."""
        sizes = {
            name: self._engine.collections[name].n_documents
            for name in sorted(self._engine.collections)
        }
        return self._render("collections.html", HTTPStatus.OK, sizes=sizes, collection=None)

    def search(self, name: str, request: Request, template: str = "search.html") -> HTMLResponse:
        """The search page of a collection, or just its results."""
        query, view, error, status = PageQuery(name), None, None, HTTPStatus.OK
        try:
            collection = self._engine.collection(name)
        except NotFoundError as missing:
            return self._message(missing)
        try:
            query = PageQuery(name, request.query_params.get("q", ""))
            query = PageQuery.of(name, request.query_params)
            view = self._result(query) if query.text.strip() else None
        except LsrError as refused:
            error, status = str(refused), status_of(refused)
        return self._render(
            template,
            status,
            collection=name,
            n_documents=collection.n_documents,
            modes=collection.modes,
            examples=self._engine.examples(name),
            query=query,
            view=view,
            error=error,
        )

    def document(self, name: str, doc_id: str, request: Request) -> HTMLResponse:
        """A document, with the words of the query that led there marked."""
        try:
            query = PageQuery.of(name, request.query_params)
            document = self._engine.document(name, doc_id)
            terms = self._engine.query_terms(name, query.text)
        except LsrError as error:
            return self._message(error)
        return self._render(
            "document.html",
            HTTPStatus.OK,
            collection=name,
            query=query,
            document=document,
            title=terms.highlight(document.title),
            text=terms.highlight(document.text),
            chips=chips(PageQuery(name, query.text or document.title), document.metadata),
            metadata={name: _spoken(value) for name, value in document.metadata.items()},
        )

    def _result(self, query: PageQuery) -> ResultView:
        collection = self._engine.collection(query.collection)
        limits = self._engine.limits
        offset = (query.page - 1) * PAGE_SIZE
        # One more than is shown tells whether there is a next page.
        wanted = min(PAGE_SIZE + 1, collection.n_documents, limits.hits)
        if offset < limits.window < offset + wanted:
            wanted = limits.window - offset
        result = self._engine.search(
            query.collection,
            query.text,
            limit=wanted,
            offset=offset,
            mode=query.mode,
            where=query.where,
        )
        self._metrics.count_search(query.collection, result.mode, result.took_ms)
        return result_view(query, result)

    def _message(self, error: LsrError) -> HTMLResponse:
        status = status_of(error)
        return self._render(
            "message.html", status, collection=None, heading=status.phrase, message=str(error)
        )

    def _render(self, template: str, status: HTTPStatus, **values: object) -> HTMLResponse:
        text = self._environment.get_template(template).render(values)
        return HTMLResponse(text, status)


def _spoken(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_spoken(each) for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
