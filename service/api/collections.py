"""Routes of collections and aliases: made, described, changed, removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import run_in_threadpool

from lsr.encoders.dense_recipe import DenseOptions
from lsr.errors import IndexStateError, InputError, NotFoundError
from lsr.index.collection.reader import CollectionReader
from lsr.retrieval.filter import Filter
from lsr.service.api.bodies import JSON, check_media_type, declared_body, json_body, refused
from lsr.service.api.schemas.collections import (
    NAME,
    AliasBody,
    AliasChanges,
    Aliases,
    CalibrateBody,
    CollectionBody,
    Collections,
    CollectionSummary,
    FieldSummary,
    Models,
    ModelSummary,
    PassageSummary,
    SegmentSummary,
    SuggestAnswer,
    UnusableCollection,
)
from lsr.service.api.schemas.tasks import TaskSaid
from lsr.service.api.sight import may_see, seen_rows, where_of
from lsr.service.api.tasks import task_said
from lsr.service.catalog import Catalog
from lsr.service.collections.creation import CollectionSpec
from lsr.service.collections.field_types import FieldTypes, field_kinds
from lsr.service.collections.jobs import Jobs
from lsr.service.engine import SearchEngine
from lsr.service.tasks import Task

__all__ = ["aliases_router", "collections_router"]

_MOST_CHARACTERS = 2_048
AliasName = Annotated[str, Path(json_schema_extra=NAME)]
_EXAMPLE = {"sparse": "bm25", "fields": {"year": "number"}}


def collections_router(engine: SearchEngine, jobs: Jobs) -> APIRouter:
    """`/v1/collections` and what is done to a collection as a whole."""
    router = APIRouter(prefix="/v1/collections", tags=["collections"])
    _add_reading(router, engine)
    _add_making(router, jobs)
    _add_work(router, jobs)
    return router


def _add_reading(router: APIRouter, engine: SearchEngine) -> None:
    catalog = engine.catalog

    @router.get("", summary="List the collections", responses=refused(422, 500))
    def list_collections(request: Request) -> Collections:
        found, unusable = [], []
        for name in catalog.names:
            if not may_see(request, name):
                continue
            try:
                found.append(_summary(catalog, name, where_of(request, name, None)))
            except IndexStateError as error:
                unusable.append(UnusableCollection(name=name, code=error.code, detail=str(error)))
            except NotFoundError:  # deleted meanwhile
                continue
        return Collections(collections=found, unusable=unusable)

    @router.get(
        "/{collection}", summary="Describe a collection", responses=refused(404, 422, 500, 503)
    )
    def read_collection(request: Request, collection: str) -> CollectionSummary:
        return _summary(catalog, collection, where_of(request, collection, None))

    @router.get(
        "/{collection}/suggest",
        summary="Did you mean: words of the collection near those of a query",
        responses=refused(404, 422, 500, 503),
    )
    def suggest(
        request: Request,
        collection: str,
        q: Annotated[str, Query(description="The query.", max_length=_MOST_CHARACTERS)],
    ) -> SuggestAnswer:
        reader = catalog.reader(collection)
        if where_of(request, collection, None) is not None or not reader.n_documents:
            return SuggestAnswer(corrected=None, near={})
        found = engine.suggest(catalog.resolve(collection), q)
        near = {word: list(words) for word, words in found.near.items()}
        return SuggestAnswer(corrected=found.text, near=near)


def _add_making(router: APIRouter, jobs: Jobs) -> None:
    catalog = jobs.catalog

    @router.put(
        "/{collection}",
        status_code=201,
        summary="Make an empty collection",
        responses=refused(409, 413, 415, 422, 500, 503, 507),
        openapi_extra=declared_body((JSON, CollectionBody), example=_EXAMPLE),
    )
    async def create_collection(request: Request, collection: str) -> CollectionSummary:
        body = await json_body(request, CollectionBody)
        await run_in_threadpool(catalog.create, collection, _spec(body))
        return await run_in_threadpool(_summary, catalog, collection)

    @router.delete(
        "/{collection}",
        summary="Delete a collection; its snapshots stay",
        responses=refused(404, 409, 422, 500, 503, 507),
    )
    def delete_collection(collection: str) -> dict[str, str]:
        catalog.delete(collection)
        return {"deleted": collection}

    @router.post(
        "/{collection}/rebuild",
        status_code=202,
        summary="Build anew from the documents, with other encoders, and swap it in",
        responses=refused(404, 409, 413, 415, 422, 500, 503, 507),
        openapi_extra=declared_body((JSON, CollectionBody), example=_EXAMPLE),
    )
    async def rebuild_collection(request: Request, collection: str) -> TaskSaid:
        body = await json_body(request, CollectionBody)
        return task_said(await run_in_threadpool(jobs.rebuild, collection, _spec(body)))


def _add_work(router: APIRouter, jobs: Jobs) -> None:
    problems = refused(404, 409, 415, 422, 500, 503, 507)

    @router.post(
        "/{collection}/publish",
        status_code=202,
        summary="Publish what was written now, and not when it is due",
        responses=problems,
    )
    async def publish_collection(request: Request, collection: str) -> TaskSaid:
        return await _begun(request, jobs.publish, collection)

    @router.post(
        "/{collection}/merge",
        status_code=202,
        summary="Write all segments into one, without what was deleted",
        responses=problems,
    )
    async def merge_collection(request: Request, collection: str) -> TaskSaid:
        return await _begun(request, jobs.merge, collection)

    @router.post(
        "/{collection}/calibrate",
        status_code=202,
        summary="Measure how approximate search reaches a recall, and use it",
        responses={**problems, **refused(413)},
        openapi_extra=declared_body((JSON, CalibrateBody), example={"recall": 0.97}),
    )
    async def calibrate_collection(request: Request, collection: str) -> TaskSaid:
        body = await json_body(request, CalibrateBody)
        begun = await run_in_threadpool(jobs.calibrate, collection, body.recall, body.queries)
        return task_said(begun)


async def _begun(request: Request, start: Callable[[str], Task], collection: str) -> TaskSaid:
    """Start a task that takes no body; an empty JSON object is one."""
    data = await request.body()
    if data:
        check_media_type(request, JSON)
        if data.strip() != b"{}":
            raise InputError("this takes no body; leave it out, or send {}")
    return task_said(await run_in_threadpool(start, collection))


def aliases_router(catalog: Catalog) -> APIRouter:
    """`/v1/aliases`."""
    router = APIRouter(prefix="/v1/aliases", tags=["aliases"])
    problems = refused(404, 409, 422, 500, 507)

    def said() -> Aliases:
        return Aliases(aliases=dict(catalog.aliases.all()))

    @router.get("", summary="List the aliases", responses=refused(422, 500, 503))
    def list_aliases() -> Aliases:
        return said()

    @router.post(
        "",
        summary="Change several aliases at once: all of them, or none",
        responses={**problems, **refused(413, 415)},
        openapi_extra=declared_body(
            (JSON, AliasChanges),
            example={"actions": [{"alias": "current", "collection": "birds"}]},
        ),
    )
    async def change_aliases(request: Request) -> Aliases:
        body = await json_body(request, AliasChanges)
        changes = {action.alias: action.collection for action in body.actions}
        await run_in_threadpool(catalog.alias, changes)
        return said()

    @router.put(
        "/{alias}",
        summary="Let an alias stand for a collection",
        responses={**problems, **refused(413, 415)},
        openapi_extra=declared_body((JSON, AliasBody), example={"collection": "birds"}),
    )
    async def set_alias(request: Request, alias: AliasName) -> Aliases:
        body = await json_body(request, AliasBody)
        await run_in_threadpool(catalog.alias, {alias: body.collection})
        return said()

    @router.delete("/{alias}", summary="Remove an alias", responses=problems)
    def delete_alias(alias: AliasName) -> Aliases:
        catalog.alias({alias: None})
        return said()

    return router


def _spec(body: CollectionBody) -> CollectionSpec:
    return CollectionSpec(
        sparse=body.sparse,
        dense=body.dense,
        dense_options=DenseOptions(**body.dense_options.model_dump()),
        language=body.language,
        lexical_weight=body.lexical_weight,
        passages=None if body.passages is None else body.passages.settings(),
        default_plan=body.default_plan.plan_fields(),
        fields=body.fields,
    )


def _summary(
    catalog: Catalog, name: str, where: Mapping[str, Any] | Filter | None = None
) -> CollectionSummary:
    """The description of a collection; under a key's filter, of its own documents alone."""
    own = catalog.resolve(name)
    live = catalog.live(own)
    reader, state = live.view, live.state
    manifest = reader.manifest
    dense = manifest.dense
    summary = CollectionSummary(
        name=own,
        aliases=sorted(alias for alias, target in catalog.aliases.all().items() if target == own),
        n_documents=reader.n_documents,
        n_deleted=manifest.n_deleted,
        n_passages=sum(each.n_passages for each in reader.readers),
        n_pending=max(0, state.acknowledged - state.searchable),
        n_unpublished=max(0, state.acknowledged - state.published),
        n_terms=manifest.n_terms,
        n_postings=manifest.n_postings,
        size_bytes=manifest.size_bytes,
        generation=manifest.generation,
        seq=state.acknowledged,
        created=datetime.fromisoformat(manifest.created),
        modes=list(reader.modes),
        sparse_encoder=manifest.sparse.name,
        dense_encoder=dense.name if dense else None,
        models=Models(
            sparse=ModelSummary(**asdict(manifest.sparse)),
            dense=ModelSummary(**asdict(dense)) if dense else None,
        ),
        passages=None if manifest.passages is None else PassageSummary(**manifest.passages),
        segments=[
            SegmentSummary(name=each.name, n_documents=each.n_documents, n_deleted=each.n_deleted)
            for each in manifest.segments
        ],
        default_plan=reader.default_plan.resolved(reader.modes, reader.hybrid.has_floors),
        fields=_fields(field_kinds(reader), catalog.field_types(own)),
        error=state.error,
    )
    return summary if not where else _narrowed(summary, reader, where, catalog.field_types(own))


def _narrowed(
    summary: CollectionSummary,
    reader: CollectionReader,
    where: Mapping[str, Any] | Filter,
    types: FieldTypes,
) -> CollectionSummary:
    """Without what is counted over documents that do not pass a filter."""
    rows = seen_rows(reader, where)
    nothing = ("n_deleted", "n_pending", "n_unpublished", "n_terms", "n_postings", "size_bytes")
    seen = {
        "n_documents": int(np.count_nonzero(rows)),
        "n_passages": len(reader.segment.passages_of(np.flatnonzero(rows).astype(np.int32))[0]),
        "fields": _fields(field_kinds(reader, rows), types),
        "segments": [],
        "seq": 0,
    }
    return summary.model_copy(update=dict.fromkeys(nothing, 0) | seen)


def _fields(found: Mapping[str, set[str]], types: FieldTypes) -> list[FieldSummary]:
    """All fields that documents have or must keep to, by name."""
    return [
        FieldSummary.model_validate(
            {
                "name": name,
                "types": sorted(found.get(name, ())),
                "wanted": types.types.get(name),
            }
        )
        for name in sorted({*found, *types.types})
    ]
