"""`Jobs`: the long work on collections, as tasks: published, merged, copied, put back, rebuilt."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from lsr.errors import ConflictError, InputError, NotFoundError
from lsr.index.live.live_collection import LiveCollection
from lsr.index.live.operation import Operation
from lsr.index.snapshots.archive import unpack
from lsr.index.snapshots.listing import Listing
from lsr.index.snapshots.restore import last_number, raise_numbers, restored
from lsr.index.snapshots.snapshots import Snapshots
from lsr.index.storage.manifest import Manifest
from lsr.service.catalog import Catalog
from lsr.service.collections.creation import (
    CollectionSpec,
    build_from_spec,
    opened_encoders,
)
from lsr.service.collections.field_types import FieldTypes
from lsr.service.tasks import Job, Task, TaskKind, Tasks
from lsr.types import Document

__all__ = ["Jobs"]

_ROWS_AT_ONCE = 500
_ENCODING_SECONDS = 600.0


class Jobs:
    """Starts tasks on collections.

    Args:
        catalog: the collections.
        tasks: where they are queued.
        alone: whether no other process serves these collections. If one may write to them, none is
            replaced.
    """

    def __init__(self, catalog: Catalog, tasks: Tasks, *, alone: bool = True) -> None:
        self.catalog = catalog
        self.tasks = tasks
        self._alone = alone

    def publish(self, name: str) -> Task:
        """Publish what was written. Raises NotFoundError, IndexStateError."""

        def work(live: LiveCollection, job: Job) -> Mapping[str, object]:
            return {"generation": live.publish(job.progress)}

        return self._on_live("publish", name, work)

    def merge(self, name: str) -> Task:
        """Write all segments into one. Raises NotFoundError, IndexStateError."""

        def work(live: LiveCollection, job: Job) -> Mapping[str, object]:
            return {"generation": live.merge(job.progress)}

        return self._on_live("merge", name, work)

    def calibrate(self, name: str, recall: float, queries: Sequence[str] | None) -> Task:
        """Measure how approximate search reaches a recall. Raises NotFoundError, IndexStateError.

        Args:
            queries: texts; None for queries made of documents.
        """
        if not 0 < recall <= 1:
            raise InputError(f"the recall is {recall}; it must be above 0 and at most 1")

        def work(live: LiveCollection, job: Job) -> Mapping[str, object]:
            found = live.view.calibrate(queries, recall, progress=job.progress)
            return {"target_recall": found.target_recall, "recall": found.recall}

        return self._on_live("calibrate", name, work)

    def snapshot(self, name: str, called: str | None) -> Task:
        """Make a snapshot of what is acknowledged. Raises NotFoundError, IndexStateError."""
        own = self.catalog.resolve(name)
        snapshots = Snapshots(self.catalog.path(own))

        def work(job: Job) -> Mapping[str, object]:
            listing = snapshots.create(called, progress=job.progress)
            return {"snapshot": listing.name, "size_bytes": listing.size_bytes}

        return self.tasks.start("snapshot", own, work)

    def restore(self, name: str, snapshot: Path) -> Task:
        """Put a snapshot in the place of a collection, or make a new one of it.

        Args:
            snapshot: its folder.

        Raises:
            InputError, ExistsError, ConflictError: the name cannot be taken.
            NotFoundError, IndexStateError: there is no such snapshot, or it is damaged.
        """
        own = self._replaceable(self._own(name))
        Listing.read(snapshot)

        def work(job: Job) -> Mapping[str, object]:
            return self._put_back(own, snapshot, job)

        return self.tasks.start("restore", own, work)

    def restore_tar(self, name: str, parts: Iterator[bytes]) -> Mapping[str, object]:
        """The same with a snapshot that is uploaded as a tar; done when this returns.

        Raises:
            DataError, IndexStateError: it is not a snapshot, or damaged; nothing was changed.
            ConflictError, StorageError, InputError: as `restore`.
        """
        own = self._replaceable(self._own(name))
        place = self.catalog.place(own)
        received = place.with_name(f".{own}.received")
        with self.catalog.reserved(f"{own}.received"):
            shutil.rmtree(received, ignore_errors=True)
            try:
                unpack(parts, received)
                return self._put_back(own, received, Job(lambda _: None))
            finally:
                shutil.rmtree(received, ignore_errors=True)

    def rebuild(self, name: str, spec: CollectionSpec) -> Task:
        """Build a collection anew from its documents, beside it, and swap it in.

        Writes go on meanwhile, and are in the new one.

        Raises:
            NotFoundError, IndexStateError: there is none, or it is damaged.
            InputError, UnavailableError: the specification cannot be carried out.
        """
        own = self._replaceable(self.catalog.resolve(name))
        self.catalog.live(own)
        encoders = opened_encoders(spec)

        def work(job: Job) -> Mapping[str, object]:
            with self.catalog.reserved(own):
                entry = self.catalog.entry(own)
                draft = entry.path.with_name(f".{own}.rebuilt")
                shutil.rmtree(draft, ignore_errors=True)
                try:
                    with entry.noting() as changed:
                        live = entry.live()
                        _wait_for_all(live)
                        rows = _Rows(live)
                        build_from_spec(
                            encoders, draft, rows.documents(), rows.versions(), job.progress
                        )
                        self.catalog.swap(own, draft, lambda old: _catch_up(old, draft, changed))
                finally:
                    shutil.rmtree(draft, ignore_errors=True)
            return {"generation": Manifest.read(entry.path).generation}

        return self.tasks.start("rebuild", own, work)

    def _on_live(
        self,
        kind: TaskKind,
        name: str,
        work: Callable[[LiveCollection, Job], Mapping[str, object]],
    ) -> Task:
        own = self.catalog.resolve(name)
        self.catalog.live(own)

        def on_live(job: Job) -> Mapping[str, object]:
            live = self.catalog.live(own)
            if kind in ("publish", "merge"):
                job.on_cancel(live.cancel)
            return work(live, job)

        return self.tasks.start(kind, own, on_live)

    def _own(self, name: str) -> str:
        """The collection's own name, where there is one, or a name that is free."""
        try:
            return self.catalog.resolve(name)
        except NotFoundError:
            self.catalog.place(name)
            self.catalog.check_free(name)
            return name

    def _replaceable(self, own: str) -> str:
        """The name, if no other process can write to a collection of it meanwhile.

        Raises:
            ConflictError: another may, and what it acknowledged would be lost.
        """
        if not self._alone and own in self.catalog.names:
            raise ConflictError(
                f"{own} cannot be replaced while several workers write to it; put it into a new "
                "collection and let an alias stand for that, or serve with one worker"
            )
        return own

    def _put_back(self, own: str, snapshot: Path, job: Job) -> Mapping[str, object]:
        with self.catalog.reserved(own):
            place = self.catalog.place(own)
            with restored(snapshot, place, job.progress) as (draft, listing):
                job.progress("publish", 0, None)
                FieldTypes.read(draft)
                self.catalog.swap(
                    own, draft, lambda old: raise_numbers(draft, last_number(old.path))
                )
        return {"snapshot": listing.name, "n_documents": listing.n_documents}


class _Rows:
    """The documents of one state, read twice over in the same order."""

    def __init__(self, live: LiveCollection) -> None:
        self._reader = live.view
        self._rows = self._reader.live_rows()

    def _stored(self) -> Iterator[tuple[Document, int]]:
        for start in range(0, len(self._rows), _ROWS_AT_ONCE):
            yield from self._reader.store.stored(self._rows[start : start + _ROWS_AT_ONCE].tolist())

    def documents(self) -> Iterator[Document]:
        """All documents."""
        return (document for document, _ in self._stored())

    def versions(self) -> Iterator[int]:
        """Their versions."""
        return (version for _, version in self._stored())


def _wait_for_all(live: LiveCollection) -> None:
    """Wait until the view has all that is acknowledged. Raises ConflictError when it takes long."""
    if not live.wait_searchable(live.state.acknowledged, _ENCODING_SECONDS):
        raise ConflictError(
            f"{live.path.name} is still encoding what was written; nothing was changed, so try "
            "again later"
        )


def _catch_up(old: LiveCollection, draft: Path, changed: set[str]) -> None:
    """Bring what was written during a rebuild into the new folder, and let its numbers go on."""
    raise_numbers(draft, old.state.acknowledged)
    operations = []
    for doc_id in sorted(changed):
        stored = old.stored(doc_id)
        if stored is None:
            operations.append(Operation("delete", doc_id))
        else:
            operations.append(Operation("put", doc_id, document=stored.document))
    if not operations:
        return
    new = LiveCollection.open(draft, verify=False)
    try:
        for start in range(0, len(operations), _ROWS_AT_ONCE):
            new.write(operations[start : start + _ROWS_AT_ONCE])
    finally:
        new.close()
