"""Routes of documents: written, read, listed, exported, deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from lsr.errors import InputError, NotFoundError, QueryError, VersionConflictError
from lsr.index.live.operation import Operation, Written
from lsr.service.api.bodies import (
    DOC_ID,
    JSON,
    NDJSON,
    WRITE_PROBLEMS,
    IfVersion,
    Key,
    Wait,
    declared_body,
    doc_id_of,
    is_searchable,
    json_answer,
    json_body,
    refused,
)
from lsr.service.api.direct_route import OwnBodyRoute
from lsr.service.api.schemas.documents import (
    DocumentBody,
    DocumentList,
    DocumentPatch,
    StoredDocument,
    WriteAnswer,
)
from lsr.service.api.sight import sees_of, where_of
from lsr.service.catalog import Catalog
from lsr.service.collections.documents import DocumentRules
from lsr.service.collections.listing import exported, list_documents, picked

__all__ = ["documents_router", "writing_router"]

R = TypeVar("R")
_PREFIX = "/v1/collections/{collection}"
_MOST_LISTED = 1_000


def writing_router(catalog: Catalog) -> APIRouter:
    """PUT, PATCH and DELETE of `/v1/collections/{collection}/documents/{doc_id}`."""
    router = APIRouter(prefix=_PREFIX, tags=["documents"], route_class=OwnBodyRoute)
    _add_put(router, catalog)
    _add_changing(router, catalog)
    return router


def documents_router(catalog: Catalog) -> APIRouter:
    """`/v1/collections/{collection}/documents` and `…/export`, to be read."""
    router = APIRouter(prefix=_PREFIX, tags=["documents"])
    _add_listing(router, catalog)
    _add_reading(router, catalog)
    return router


def _add_put(router: APIRouter, catalog: Catalog) -> None:
    @router.put(
        f"/documents/{DOC_ID}",
        summary="Store a document, new or in place of what has its id",
        response_model=WriteAnswer,
        responses={
            201: {"model": WriteAnswer, "description": "There was none of this id."},
            **WRITE_PROBLEMS,
        },
        openapi_extra=declared_body((JSON, DocumentBody)),
    )
    async def put_document(
        request: Request,
        collection: str,
        doc_id: str,  # noqa: ARG001
        if_version: IfVersion = None,
        wait: Wait = "acknowledged",
        idempotency_key: Key = None,
    ) -> Response:
        body = await json_body(request, DocumentBody)
        own_id, vectors = doc_id_of(request), body.vectors
        operation = await _ruled(
            catalog,
            request,
            collection,
            lambda rules: rules.put(
                own_id,
                body.text,
                body.title,
                body.metadata,
                sparse=vectors.sparse if vectors else None,
                dense=vectors.dense if vectors else None,
                if_version=if_version,
            ),
        )
        return await _write(catalog, collection, operation, wait, idempotency_key)


def _add_changing(router: APIRouter, catalog: Catalog) -> None:
    @router.patch(
        f"/documents/{DOC_ID}",
        summary="Change fields of a document",
        response_model=WriteAnswer,
        responses=WRITE_PROBLEMS,
        openapi_extra=declared_body((JSON, DocumentPatch)),
    )
    async def patch_document(
        request: Request,
        collection: str,
        doc_id: str,  # noqa: ARG001
        if_version: IfVersion = None,
        wait: Wait = "acknowledged",
        idempotency_key: Key = None,
    ) -> Response:
        body = await json_body(request, DocumentPatch)
        own_id, fields = doc_id_of(request), body.model_dump(exclude_unset=True)
        operation = await _ruled(
            catalog,
            request,
            collection,
            lambda rules: rules.patch(own_id, fields, if_version=if_version),
        )
        return await _write(catalog, collection, operation, wait, idempotency_key)

    @router.delete(
        f"/documents/{DOC_ID}",
        summary="Delete a document",
        response_model=WriteAnswer,
        responses=refused(404, 409, 422, 500, 503, 507),
    )
    async def delete_document(
        request: Request,
        collection: str,
        doc_id: str,  # noqa: ARG001
        if_version: IfVersion = None,
        wait: Wait = "acknowledged",
        idempotency_key: Key = None,
    ) -> Response:
        own_id = doc_id_of(request)
        operation = await _ruled(
            catalog,
            request,
            collection,
            lambda rules: rules.delete(own_id, if_version=if_version),
        )
        return await _write(catalog, collection, operation, wait, idempotency_key)


def _add_listing(router: APIRouter, catalog: Catalog) -> None:
    @router.get(
        "/documents",
        summary="List documents in order of their ids",
        response_model=DocumentList,
        responses=refused(404, 422, 500, 503),
    )
    def read_documents(
        request: Request,
        collection: str,
        limit: Annotated[int, Query(ge=1, le=_MOST_LISTED, description="Most documents.")] = 100,
        cursor: Annotated[str | None, Query(description="That of the page before.")] = None,
        fields: Annotated[
            str | None,
            Query(
                description="Fields with commas between: title, text, metadata, metadata.NAME.",
                examples=["title,metadata.year"],
            ),
        ] = None,
        filter: Annotated[  # noqa: A002
            str | None,
            Query(description="A filter as in a search, in JSON.", examples=['{"year": 2021}']),
        ] = None,
    ) -> Response:
        reader = catalog.reader(collection)
        where = where_of(request, collection, _filter_of(filter))
        page = list_documents(reader, limit, cursor, where)
        chosen = None if fields is None else [name for name in fields.split(",") if name]
        said = {
            "documents": [
                picked(document, version, chosen) for document, version in page.documents
            ],
            "cursor": page.cursor,
            "generation": reader.manifest.generation,
        }
        return json_answer(said, 200)

    @router.get(
        "/export",
        summary="All documents as a stream of JSON lines",
        response_class=Response,
        responses={
            200: {
                "description": "A document a line, all of one moment.",
                "content": {NDJSON: {"schema": {"type": "string"}}},
            },
            **refused(404, 422, 500, 503),
        },
    )
    def export_documents(request: Request, collection: str) -> Response:
        reader = catalog.reader(collection)
        where = where_of(request, collection, None)
        return StreamingResponse(exported(reader, where), media_type=NDJSON)


def _add_reading(router: APIRouter, catalog: Catalog) -> None:
    @router.get(
        f"/documents/{DOC_ID}",
        summary="Read a document as it was written last; its id may hold slashes",
        response_model=StoredDocument,
        responses=refused(404, 422, 500, 503),
    )
    def read_document(
        request: Request,
        collection: str,
        doc_id: str,  # noqa: ARG001
    ) -> Response:
        own_id = doc_id_of(request)
        stored = catalog.live(collection).stored(own_id)
        sees = sees_of(request, collection)
        if stored is None or (sees is not None and not sees(stored.document.metadata)):
            raise NotFoundError(f"there is no document {own_id!r} in collection {collection}")
        return json_answer(picked(stored.document, stored.version, None), 200)


async def _ruled(
    catalog: Catalog,
    request: Request,
    collection: str,
    make: Callable[[DocumentRules], Operation],
) -> Operation:
    """An operation that a collection's rules make; in a thread where that may take a while."""
    sees = sees_of(request, collection)

    def made() -> Operation:
        rules = DocumentRules(catalog.live(collection), catalog.field_types(collection), sees)
        return make(rules)

    is_quick = sees is None and catalog.is_quick(collection)
    return made() if is_quick else await run_in_threadpool(made)


async def _write(
    catalog: Catalog, collection: str, operation: Operation, wait: str, key: str | None
) -> Response:
    """Write one operation, and say what became of it. Raises what it was refused for."""
    if catalog.is_quick(collection):
        future = catalog.entry(collection).submit([operation], key)
    else:
        entry = await run_in_threadpool(catalog.entry, collection)
        future = await run_in_threadpool(entry.submit, [operation], key)
    (written,) = await _result_of(future)
    _check_outcome(written, collection)
    said: dict[str, Any] = {
        "doc_id": written.doc_id,
        "status": written.status,
        "version": written.version,
        "seq": written.seq,
    }
    if wait == "searchable":
        said["searchable"] = await is_searchable(catalog, collection, written.seq)
    return json_answer(said, 201 if written.status == "created" else 200)


async def _result_of(future: Future[R]) -> R:
    """The result of a thread's future; as `asyncio.wrap_future`, which takes twice the time."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def done(_: Future[R]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(wake)

    future.add_done_callback(done)
    await waiter
    return future.result()


def _check_outcome(written: Written, collection: str) -> None:
    if written.status == "missing":
        raise NotFoundError(f"there is no document {written.doc_id!r} in collection {collection}")
    if written.status == "conflict":
        raise VersionConflictError(
            f"document {written.doc_id!r}: the version is {written.version or 'none'} now; read it "
            "and write again"
        )
    if written.status == "invalid":
        raise InputError(written.error or f"document {written.doc_id!r} cannot be stored")


def _filter_of(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        found = orjson.loads(text)
    except ValueError as error:
        raise QueryError(f"the filter is not valid JSON: {error}") from error
    if not isinstance(found, dict):
        raise QueryError('the filter must be a JSON object, such as {"year": 2021}')
    return found
