"""Routes of many documents at once: stored from a list or a stream of lines, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from lsr.errors import InputError
from lsr.index.live.operation import Operation
from lsr.retrieval.filter import Filter
from lsr.service.api.bodies import (
    JSON,
    NDJSON,
    WAIT_SECONDS,
    WRITE_PROBLEMS,
    Key,
    Wait,
    check_media_type,
    declared_body,
    is_searchable,
    json_answer,
    json_body,
)
from lsr.service.api.ndjson import NdjsonAnswer
from lsr.service.api.schemas.documents import (
    BulkAnswer,
    BulkDocument,
    BulkRequest,
    DeleteAnswer,
    DeleteRequest,
)
from lsr.service.api.sight import sees_of, where_of
from lsr.service.catalog import Catalog
from lsr.service.collections.bulk import Bulk, Outcome
from lsr.service.collections.documents import DocumentRules
from lsr.service.collections.listing import matching_ids
from lsr.service.problems import reasons_of

__all__ = ["batches_router"]


def batches_router(catalog: Catalog, longest_line: int) -> APIRouter:
    """`POST …/documents` and `…/documents/delete`.

    Args:
        longest_line: most bytes of a line in a stream.
    """
    router = APIRouter(prefix="/v1/collections/{collection}", tags=["documents"])
    _add_writing(router, catalog, longest_line)
    _add_deleting(router, catalog)
    return router


def _add_writing(router: APIRouter, catalog: Catalog, longest_line: int) -> None:
    @router.post(
        "/documents",
        summary="Store many documents: a JSON list, or a stream of JSON lines",
        response_model=BulkAnswer,
        responses={
            200: {"content": {NDJSON: {"schema": {"type": "string"}}}},
            207: {
                "model": BulkAnswer,
                "description": "Some documents were not stored; the results say which and why.",
                "content": {NDJSON: {"schema": {"type": "string"}}},
            },
            **WRITE_PROBLEMS,
        },
        openapi_extra=declared_body((JSON, BulkRequest), (NDJSON, None)),
    )
    async def write_documents(
        request: Request,
        collection: str,
        wait: Wait = "acknowledged",
        idempotency_key: Key = None,
    ) -> Response:
        media = check_media_type(request, JSON, NDJSON)
        name = await run_in_threadpool(catalog.resolve, collection)
        await run_in_threadpool(catalog.live, name)
        bulk = Bulk(catalog, name, _put_of, sees_of(request, collection))
        seconds = WAIT_SECONDS if wait == "searchable" else 0
        if media == NDJSON:
            return NdjsonAnswer(
                request,
                bulk,
                longest=longest_line,
                idempotency_key=idempotency_key,
                wait_seconds=seconds,
            )
        body = await json_body(request, BulkRequest)
        numbered = list(enumerate(body.documents, start=1))
        outcomes = await run_in_threadpool(bulk.write, numbered, idempotency_key)
        said: dict[str, Any] = {
            "results": [_said(outcome) for outcome in outcomes],
            "n_written": bulk.n_written,
            "n_failed": bulk.n_failed,
            "seq": bulk.seq,
        }
        if seconds:
            said["searchable"] = await is_searchable(catalog, name, bulk.seq)
        return json_answer(said, 207 if bulk.n_failed else 200)


def _add_deleting(router: APIRouter, catalog: Catalog) -> None:
    @router.post(
        "/documents/delete",
        summary="Delete documents by id, or all that pass a filter",
        response_model=DeleteAnswer,
        responses=WRITE_PROBLEMS,
        openapi_extra=declared_body((JSON, DeleteRequest), example={"doc_ids": ["a", "b"]}),
    )
    async def delete_documents(
        request: Request, collection: str, wait: Wait = "acknowledged"
    ) -> Response:
        body = await json_body(request, DeleteRequest)
        if (body.doc_ids is None) == (body.filter is None):
            raise InputError("give doc_ids or a filter, one of the two")
        if body.filter is not None and not body.filter:
            raise InputError(
                "the filter is empty, which would delete every document; delete the collection, "
                "or name a field"
            )
        bulk = Bulk(catalog, collection, _delete_of, sees_of(request, collection))
        n_missing = await run_in_threadpool(
            _delete_all, catalog, bulk, body.doc_ids, where_of(request, collection, body.filter)
        )
        said: dict[str, Any] = {
            "n_deleted": bulk.n_written,
            "n_missing": n_missing,
            "seq": bulk.seq,
        }
        if wait == "searchable":
            said["searchable"] = await is_searchable(catalog, collection, bulk.seq)
        return json_answer(said, 200)


def _put_of(rules: DocumentRules, value: object) -> Operation:
    try:
        body = BulkDocument.model_validate(value)
    except ValidationError as error:
        found = reasons_of(error.errors(include_url=False, include_context=False))
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        path = f"{found[0]['path']}: " if found[0]["path"] else ""
        raise InputError(f"{path}{found[0]['message']}{more}") from error
    vectors = body.vectors
    return rules.put(
        body.doc_id,
        body.text,
        body.title,
        body.metadata,
        sparse=vectors.sparse if vectors else None,
        dense=vectors.dense if vectors else None,
        if_version=body.if_version,
    )


def _delete_of(rules: DocumentRules, value: object) -> Operation:
    if isinstance(value, tuple):
        doc_id, version = value
        return rules.delete(doc_id, if_version=version or None)
    return rules.delete(str(value))


def _delete_all(
    catalog: Catalog,
    bulk: Bulk,
    doc_ids: list[str] | None,
    where: Mapping[str, Any] | Filter | None,
) -> int:
    """Delete by id, or what passes a filter and does not change meanwhile. Returns the missing."""
    n_missing = 0
    if doc_ids is not None:
        outcomes = bulk.write(enumerate(dict.fromkeys(doc_ids), start=1))
        _check_ids(outcomes)
        return sum(outcome.status == "missing" for outcome in outcomes)
    live = catalog.live(bulk.name)
    live.wait_searchable(live.state.acknowledged, WAIT_SECONDS)
    for batch in matching_ids(live.view, where or {}):
        outcomes = bulk.write(enumerate(batch, start=1))
        n_missing += sum(outcome.status == "missing" for outcome in outcomes)
    return n_missing


def _check_ids(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.status == "invalid":
            raise InputError(f"doc_ids[{outcome.line - 1}]: {outcome.error}")


def _said(outcome: Outcome) -> dict[str, Any]:
    said: dict[str, Any] = {
        "line": outcome.line,
        "doc_id": outcome.doc_id,
        "status": outcome.status,
        "version": outcome.version,
    }
    return said if outcome.error is None else {**said, "error": outcome.error}
