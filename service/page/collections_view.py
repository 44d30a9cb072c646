"""The collections panel: how every collection stands. What changes one goes through the REST API.

Without JavaScript it shows the state; `static/collections.js` adds uploads and the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from lsr.errors import IndexStateError, LsrError, NotFoundError
from lsr.index.snapshots.snapshots import Snapshots
from lsr.service.catalog import Catalog
from lsr.service.engine import SearchEngine
from lsr.service.page.frame import Frame
from lsr.service.security.grant import Grant, grant_of
from lsr.service.tasks import Task, Tasks

__all__ = [
    "CollectionState",
    "Part",
    "SnapshotView",
    "TaskView",
    "panel_router",
    "spoken_bytes",
    "spoken_time",
]

_MOST_TASKS = 10
_UNITS = ("bytes", "KB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Part:
    """A model or a segment, and what is said of it."""

    name: str
    told: str


@dataclass(frozen=True)
class CollectionState:
    """A collection as it stands.

    Attributes:
        n_pending: acknowledged writes that searches do not find yet.
        n_unpublished: acknowledged writes that are in the log alone.
        error: why it cannot be used, or what its writer says; None where all is well.
    """

    name: str
    n_documents: int = 0
    n_deleted: int = 0
    n_pending: int = 0
    n_unpublished: int = 0
    generation: int = 0
    size: str = ""
    modes: tuple[str, ...] = ()
    models: tuple[Part, ...] = ()
    segments: tuple[Part, ...] = ()
    is_usable: bool = True
    error: str | None = None

    @classmethod
    def of(cls, catalog: Catalog, name: str) -> CollectionState:
        """Look at a collection. Raises NotFoundError."""
        own = catalog.resolve(name)
        try:
            live = catalog.live(own)
        except IndexStateError as error:
            return cls(own, is_usable=False, error=str(error))
        reader, state = live.view, live.state
        manifest = reader.manifest
        records = [("words", manifest.sparse), ("meaning", manifest.dense)]
        return cls(
            name=own,
            n_documents=reader.n_documents,
            n_deleted=manifest.n_deleted,
            n_pending=max(0, state.acknowledged - state.searchable),
            n_unpublished=max(0, state.acknowledged - state.published),
            generation=manifest.generation,
            size=spoken_bytes(manifest.size_bytes),
            modes=tuple(reader.modes),
            models=tuple(
                Part(record.name, f"{side}, {record.sha256[:12]}")
                for side, record in records
                if record is not None
            ),
            segments=tuple(
                Part(each.name, _counted(each.n_documents, each.n_deleted))
                for each in manifest.segments
            ),
            error=state.error,
        )


@dataclass(frozen=True)
class TaskView:
    """A task as it is shown; `share` is done of 100, None where that is not known."""

    id: str
    kind: str
    status: str
    stage: str
    share: int | None
    created: str
    error: str | None
    has_ended: bool

    @classmethod
    def of(cls, task: Task) -> TaskView:
        """A task in words."""
        progress = None if task.has_ended else task.progress
        stage, share = "", None
        if progress is not None:
            total = progress.total
            stage = f"{progress.stage} {progress.done:,}" + (f" of {total:,}" if total else "")
            share = min(100, round(100 * progress.done / total)) if total else None
        created = spoken_time(task.created)
        return cls(
            task.id, task.kind, task.status, stage, share, created, task.error, task.has_ended
        )


@dataclass(frozen=True)
class SnapshotView:
    """A snapshot as it is shown."""

    name: str
    told: str
    error: str | None


def panel_router(engine: SearchEngine, tasks: Tasks) -> APIRouter:
    """`/collections` and `/c/{collection}/about`."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    frame = Frame(engine)
    catalog = engine.catalog

    @router.get("/collections")
    def collections(request: Request) -> Response:
        states = []
        for name in frame.names(request):
            try:
                states.append(CollectionState.of(catalog, name))
            except NotFoundError:  # deleted meanwhile
                continue
        return frame.page("collections_panel.html", request, collection=None, states=states)

    @router.get("/c/{collection}/about")
    def about(collection: str, request: Request) -> Response:
        grant = grant_of(request.scope)
        try:
            grant.filter_for(collection)
            state = CollectionState.of(catalog, collection)
            snapshots = _snapshots(catalog, state.name, grant)
        except LsrError as error:
            return frame.message(error, request)
        shown = _tasks(tasks, state.name, grant)
        return frame.page(
            "collection_about.html",
            request,
            collection=state.name,
            state=state,
            tasks=shown,
            snapshots=snapshots,
            has_keys=bool(grant.name),
            is_busy=state.n_pending > 0 or any(not task.has_ended for task in shown or ()),
        )

    return router


def _tasks(tasks: Tasks, name: str, grant: Grant) -> Sequence[TaskView] | None:
    """The newest tasks of a collection; None where they are not for the reader."""
    if grant.filter is not None or (grant.is_limited and not grant.may("admin")):
        return None
    return [TaskView.of(task) for task in tasks.all(name)[:_MOST_TASKS]]


def _snapshots(catalog: Catalog, name: str, grant: Grant) -> Sequence[SnapshotView] | None:
    """The snapshots of a collection; None where they are not for the reader."""
    if grant.filter is not None or not grant.may("admin"):
        return None
    kept = Snapshots(catalog.path(name))
    return [_snapshot(kept, each) for each in kept.names()]


def _snapshot(kept: Snapshots, name: str) -> SnapshotView:
    try:
        listing = kept.listing(name)
    except LsrError as error:
        return SnapshotView(name, "", str(error))
    told = (
        f"{_counted(listing.n_documents or 0, 0)}, {spoken_bytes(listing.size_bytes)}, "
        f"generation {listing.generation}, {spoken_time(listing.created)}"
    )
    return SnapshotView(name, told, None)


def _counted(n_documents: int, n_deleted: int) -> str:
    told = f"{n_documents:,} document{'' if n_documents == 1 else 's'}"
    return told + (f", {n_deleted:,} deleted" if n_deleted else "")


def spoken_bytes(n_bytes: float) -> str:
    """A number of bytes in a unit that suits it: `1.5 MB`."""
    for unit in _UNITS[:-1]:
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} {_UNITS[-1]}"


def spoken_time(written: str) -> str:
    """An ISO 8601 time in UTC, to the minute."""
    return f"{written[:16].replace('T', ' ')} UTC"
