"""The search page: server-rendered, and complete without JavaScript."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from lsr.errors import LsrError, NotFoundError
from lsr.service.api.bodies import DOC_ID
from lsr.service.api.sight import n_seen
from lsr.service.engine import SearchEngine
from lsr.service.metrics import Metrics
from lsr.service.page.curl import curl_command
from lsr.service.page.near_view import NearView, near_view
from lsr.service.page.page_search import search_page
from lsr.service.page.panels.frame import Frame
from lsr.service.page.plan_form import PLAN_NAMES, Controls, shown_default
from lsr.service.page.query_string import PageQuery
from lsr.service.page.result_view import ResultView, chips, result_view
from lsr.service.problems import status_of
from lsr.service.security.grant import grant_of

__all__ = ["page_router"]


def page_router(engine: SearchEngine, metrics: Metrics) -> APIRouter:
    """`/`, `/c/{collection}`, its results alone, and its documents."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    page = _Page(engine, metrics)

    @router.get("/")
    def home(request: Request) -> Response:
        names = page.names(request)
        if len(names) == 1:
            return page.search(names[0], request)
        return page.collections(request)

    @router.get("/c/{collection}")
    def search(collection: str, request: Request) -> Response:
        return page.search(collection, request)

    @router.get("/c/{collection}/results")
    def results(collection: str, request: Request) -> Response:
        return page.search(collection, request, template="results.html")

    @router.get(f"/c/{{collection}}/documents/{DOC_ID}")
    def document(collection: str, doc_id: str, request: Request) -> HTMLResponse:
        return page.document(collection, doc_id, request)

    return router


class _Page:
    def __init__(self, engine: SearchEngine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._frame = Frame(engine)

    def names(self, request: Request) -> list[str]:
        """The collections that the reader may see."""
        return self._frame.names(request)

    def collections(self, request: Request) -> HTMLResponse:
        """A choice of collections."""
        sizes = {
            name: n_seen(request, name, self._engine.collection(name))
            for name in self.names(request)
        }
        return self._frame.page("collections.html", request, sizes=sizes, collection=None)

    def search(self, name: str, request: Request, template: str = "search.html") -> Response:
        """The search page of a collection, or just its results.

        A form without JavaScript sends every control: then the page moves to the short address.
        """
        query, view, error, status = PageQuery(name), None, None, HTTPStatus.OK
        try:
            collection = self._engine.collection(name)
        except NotFoundError as missing:
            return self._frame.message(missing, request)
        default, modes = shown_default(collection), collection.modes
        address = f"{query.address}?{request.url.query}"
        try:
            query = PageQuery(name, request.query_params.get("q", ""))
            query = PageQuery.of(name, request.query_params, default, modes)
            address = query.address
            said = sum(each in request.query_params for each in PLAN_NAMES)
            if template == "search.html" and (said > len(query.plan.pairs) or _has_blanks(request)):
                return RedirectResponse(address, HTTPStatus.FOUND)
            view = self._result(query, request) if query.text.strip() else None
        except LsrError as refused:
            error, status = str(refused), status_of(refused)
        return self._frame.page(
            template,
            request,
            status,
            collection=name,
            n_documents=n_seen(request, name, collection),
            controls=Controls.of(query.plan, default, modes),
            examples=() if grant_of(request.scope).filter else self._engine.examples(name),
            query=query,
            address=address,
            view=view,
            near=self._near(query, view, request),
            error=error,
        )

    def document(self, name: str, doc_id: str, request: Request) -> HTMLResponse:
        """A document, with the words of the query that led there marked."""
        try:
            collection = self._engine.collection(name)
            query = PageQuery.of(
                name, request.query_params, shown_default(collection), collection.modes
            )
            within = grant_of(request.scope).filter_for(name)
            document = self._engine.document(name, doc_id, within)
            terms = self._engine.query_terms(name, query.text)
        except LsrError as error:
            return self._frame.message(error, request)
        return self._frame.page(
            "document.html",
            request,
            collection=name,
            query=query,
            document=document,
            title=terms.highlight(document.title),
            text=terms.highlight(document.text),
            chips=chips(
                PageQuery(name, query.text or document.title, query.plan), document.metadata
            ),
            metadata={name: _spoken(value) for name, value in document.metadata.items()},
        )

    def _result(self, query: PageQuery, request: Request) -> ResultView:
        within = grant_of(request.scope).filter_for(query.collection)
        found = search_page(self._engine, query, within)
        answer = found.result.answer
        self._metrics.count_search(query.collection, answer.mode, answer.took_ms)
        curl = curl_command(str(request.base_url), query.collection, found.body)
        collection = self._engine.collection(query.collection)
        n_documents = n_seen(request, query.collection, collection)
        return result_view(query, found, n_documents, curl)

    def _near(self, query: PageQuery, view: ResultView | None, request: Request) -> NearView | None:
        if view is None or query.page > 1:
            return None
        terms = self._engine.query_terms(query.collection, query.text)
        # A filtered key must not learn words of documents that it may not see.
        suggester = None if grant_of(request.scope).filter else self._engine
        return near_view(query, view.hits, terms, suggester)


def _has_blanks(request: Request) -> bool:
    """Whether a form without JavaScript sent fields in which nothing was written."""
    return any(
        not value.strip() and name.startswith(("from.", "to.", "sort"))
        for name, value in request.query_params.multi_items()
    )


def _spoken(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_spoken(each) for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
