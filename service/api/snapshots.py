"""Routes of snapshots: made, listed, verified, carried away, put back."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Iterator, Mapping

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from lsr.errors import DataError, LsrError, NotFoundError
from lsr.index.snapshots.archive import pack, packed_size
from lsr.index.snapshots.listing import Listing
from lsr.index.snapshots.snapshots import Snapshots
from lsr.service.api.bodies import JSON, TAR, check_media_type, declared_body, json_body, refused
from lsr.service.api.schemas import tasks as task_schemas
from lsr.service.api.schemas.tasks import (
    RestoreAnswer,
    RestoreBody,
    SnapshotBody,
    SnapshotSaid,
    TaskSaid,
    VerifyAnswer,
)
from lsr.service.api.tasks import task_said
from lsr.service.catalog import Catalog
from lsr.service.collections.jobs import Jobs
from lsr.service.collections.names import is_name

__all__ = ["snapshots_router"]

_PARTS = 8
"""Parts of an upload that may wait to be written."""

_PAUSE_SECONDS = 0.005


def snapshots_router(jobs: Jobs) -> APIRouter:
    """`/v1/collections/{collection}/snapshots` and `…/restore`."""
    router = APIRouter(prefix="/v1/collections/{collection}", tags=["snapshots"])
    _add_keeping(router, jobs)
    _add_restoring(router, jobs)
    return router


def _add_keeping(router: APIRouter, jobs: Jobs) -> None:
    catalog = jobs.catalog
    problems = refused(404, 409, 422, 500, 503, 507)

    @router.get("/snapshots", summary="List the snapshots", responses=refused(404, 422, 500, 503))
    def list_snapshots(collection: str) -> task_schemas.Snapshots:
        snapshots = _of(catalog, collection)
        return task_schemas.Snapshots(
            snapshots=[_said(snapshots, name) for name in snapshots.names()]
        )

    @router.post(
        "/snapshots",
        status_code=202,
        summary="Make a snapshot of what is on disk, while it is served and written",
        responses={**problems, **refused(413, 415)},
        openapi_extra=declared_body((JSON, SnapshotBody), example={"name": "monday"}),
    )
    async def create_snapshot(request: Request, collection: str) -> TaskSaid:
        body = await json_body(request, SnapshotBody)
        return task_said(await run_in_threadpool(jobs.snapshot, collection, body.name))

    @router.get(
        "/snapshots/{snapshot}",
        summary="Download a snapshot as a tar",
        response_class=Response,
        responses={
            200: {
                "description": "A tar of its listing and files.",
                "content": {TAR: {"schema": {"type": "string", "format": "binary"}}},
            },
            **refused(404, 422, 500, 503),
        },
    )
    def download_snapshot(collection: str, snapshot: str) -> Response:
        path = _of(catalog, collection).path(snapshot)
        headers = {
            "Content-Length": str(packed_size(path)),
            "Content-Disposition": f'attachment; filename="{snapshot}.tar"',
        }
        return StreamingResponse(pack(path), media_type=TAR, headers=headers)

    @router.delete("/snapshots/{snapshot}", summary="Delete a snapshot", responses=problems)
    def delete_snapshot(collection: str, snapshot: str) -> dict[str, str]:
        _of(catalog, collection).delete(snapshot)
        return {"deleted": snapshot}

    @router.post(
        "/snapshots/{snapshot}/verify",
        summary="Compare every byte of a snapshot with its checksum",
        responses=refused(404, 422, 500, 503),
    )
    def verify_snapshot(collection: str, snapshot: str) -> VerifyAnswer:
        damage = _of(catalog, collection).verify(snapshot)
        return VerifyAnswer(snapshot=snapshot, is_intact=not damage, damage=damage)


def _add_restoring(router: APIRouter, jobs: Jobs) -> None:
    catalog = jobs.catalog
    problems = refused(404, 409, 413, 415, 422, 500, 503, 507)

    @router.post(
        "/restore",
        status_code=202,
        summary="Put a snapshot in the place of the collection, or make a new one of it",
        responses=problems,
        openapi_extra=declared_body((JSON, RestoreBody), example={"snapshot": "monday"}),
    )
    async def restore_collection(request: Request, collection: str) -> TaskSaid:
        body = await json_body(request, RestoreBody)

        def start() -> TaskSaid:
            source = _of(catalog, body.collection or collection)
            return task_said(jobs.restore(collection, source.path(body.snapshot)))

        return await run_in_threadpool(start)

    @router.put(
        "/restore",
        summary="The same from an uploaded tar; it is done when this answers",
        responses=problems,
        openapi_extra=declared_body((TAR, None)),
    )
    async def upload_collection(request: Request, collection: str) -> RestoreAnswer:
        check_media_type(request, TAR)
        done = await _with_parts(request, lambda parts: jobs.restore_tar(collection, parts))
        return RestoreAnswer.model_validate({"collection": collection, **done})


def _of(catalog: Catalog, collection: str) -> Snapshots:
    """The snapshots of a collection, which need not be there any more. Raises NotFoundError."""
    try:
        return Snapshots(catalog.path(collection))
    except NotFoundError:
        if catalog.root is not None and is_name(collection):
            snapshots = Snapshots(catalog.root / collection)
            if snapshots.names():
                return snapshots
        raise


def _said(snapshots: Snapshots, name: str) -> SnapshotSaid:
    listing: Listing | None = None
    error = None
    try:
        listing = snapshots.listing(name)
    except LsrError as known:
        error = str(known)
    return SnapshotSaid.model_validate(
        {
            "name": name,
            "created": listing and listing.created,
            "generation": listing and listing.generation,
            "n_documents": listing and listing.n_documents,
            "seq": listing and listing.log_seq,
            "size_bytes": listing and listing.size_bytes,
            "error": error,
        }
    )


class _Upload:
    """The parts of a body, handed from the event loop to a thread."""

    def __init__(self) -> None:
        self._parts: queue.Queue[bytes | None] = queue.Queue(_PARTS)
        self._is_cut = False

    def parts(self) -> Iterator[bytes]:
        """The parts, as they come. Raises DataError when the client leaves."""
        while (part := self._parts.get()) is not None:
            yield part
        if self._is_cut:
            raise DataError("it broke off; nothing was changed", path="the uploaded snapshot")

    def offer(self, part: bytes | None) -> bool:
        """Put a part, None at the end; whether there was room."""
        try:
            self._parts.put_nowait(part)
        except queue.Full:
            return False
        return True

    def cut(self) -> None:
        """Note that the rest will not come."""
        self._is_cut = True


async def _with_parts(
    request: Request, work: Callable[[Iterator[bytes]], Mapping[str, object]]
) -> Mapping[str, object]:
    """Do work in a thread on the parts of a request's body while they come."""
    upload = _Upload()
    working = asyncio.create_task(run_in_threadpool(work, upload.parts()))
    try:
        async for part in request.stream():
            while part and not working.done() and not upload.offer(part):
                await asyncio.sleep(_PAUSE_SECONDS)
            if working.done():
                break
    except ClientDisconnect:
        upload.cut()
    except BaseException:
        upload.cut()
        await _end(upload, working)
        raise
    await _end(upload, working)
    return working.result()


async def _end(upload: _Upload, working: asyncio.Task[Mapping[str, object]]) -> None:
    while not working.done() and not upload.offer(None):
        await asyncio.sleep(_PAUSE_SECONDS)
    await asyncio.wait([working])
