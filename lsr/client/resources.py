"""Documents, collections, tasks, snapshots and keys, as the client gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lsr.types import Document

__all__ = [
    "Added",
    "CollectionInfo",
    "Deleted",
    "DocumentPage",
    "Key",
    "Model",
    "Snapshot",
    "StoredDocument",
    "Task",
    "TaskProgress",
    "Verified",
    "Written",
]


@dataclass(frozen=True)
class Written:
    """Outcome of one write.

    Attributes:
        status: created, replaced or deleted; missing, conflict and invalid changed nothing.
        version: of the document as it is now; 0 where it has none.
        seq: the number of the operation in the collection's log, where it is told.
        line: its place among the documents that were sent, from 1.
        searchable: whether a search sees it by now, where that was waited for.
    """

    doc_id: str | None
    status: str
    version: int = 0
    seq: int = 0
    line: int | None = None
    error: str | None = None
    searchable: bool | None = None

    @property
    def is_done(self) -> bool:
        """Whether the collection is as the write wanted it."""
        return self.status in ("created", "replaced", "deleted")


@dataclass(frozen=True)
class Added:
    """Outcome of many writes.

    Attributes:
        seq: the number of the last operation; 0 when there was none.
        failed: the first of those that failed, 1,000 at most.
        key: a name of the whole; `add` with the same documents and this key continues.
    """

    n_created: int
    n_replaced: int
    n_failed: int
    seq: int
    failed: list[Written]
    key: str
    searchable: bool | None = None

    @property
    def n_written(self) -> int:
        """Documents that were stored."""
        return self.n_created + self.n_replaced


@dataclass(frozen=True)
class Deleted:
    """Outcome of a deletion of many."""

    n_deleted: int
    n_missing: int = 0
    seq: int = 0
    searchable: bool | None = None


@dataclass(frozen=True)
class StoredDocument:
    """A document and its version. What was not asked for is empty."""

    doc_id: str
    text: str = ""
    title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    version: int = 0

    @property
    def document(self) -> Document:
        """The document alone."""
        return Document(self.doc_id, self.text, self.title, self.metadata)


@dataclass(frozen=True)
class DocumentPage:
    """Some documents in order of doc_id; `cursor` is for the next page, None at the end."""

    documents: list[StoredDocument]
    cursor: str | None = None
    generation: int = 0


@dataclass(frozen=True)
class Model:
    """A model that made vectors."""

    name: str
    kind: str = ""
    sha256: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CollectionInfo:
    """Description of a collection.

    Attributes:
        n_pending: operations on disk that searches do not see yet.
        n_unpublished: operations that are in no segment yet.
        n_passages: those of split documents, and one for each of the others.
        seq: the number of the last operation that is on disk.
        modes: modes it can be searched in; the first is the default.
        passages: tokens, overlap and whole; None where all documents stay whole.
        fields: metadata fields that a filter can name.
        error: why it does not get on with encoding or publishing, if it does not.
        raw: all of it, as it came.
    """

    name: str
    n_documents: int
    generation: int
    n_deleted: int = 0
    n_passages: int = 0
    n_pending: int = 0
    n_unpublished: int = 0
    n_terms: int = 0
    n_postings: int = 0
    size_bytes: int = 0
    seq: int = 0
    created: str = ""
    modes: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    sparse_encoder: str = ""
    dense_encoder: str | None = None
    models: Mapping[str, Model | None] = field(default_factory=dict)
    passages: Mapping[str, int] | None = None
    default_plan: Mapping[str, Any] = field(default_factory=dict)
    fields: list[Any] = field(default_factory=list)
    field_types: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class TaskProgress:
    """The stage that a task is at, units done, and units in all where known."""

    stage: str
    done: int
    total: int | None = None


@dataclass(frozen=True)
class Task:
    """A piece of long work.

    Attributes:
        status: waiting, running, done, failed or cancelled.
        error: what is wrong, when it has failed.
        result: what came of it, when it is done.
    """

    id: str
    kind: str
    collection: str
    status: str
    progress: TaskProgress | None = None
    created: str = ""
    started: str | None = None
    ended: str | None = None
    error: str | None = None
    result: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of a collection; `error` says why it cannot be read, if it cannot."""

    name: str
    created: str | None = None
    generation: int | None = None
    n_documents: int | None = None
    seq: int | None = None
    size_bytes: int | None = None
    error: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Verified:
    """Whether a snapshot is as it was written; `damage` says which files are not."""

    snapshot: str
    is_intact: bool
    damage: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Key:
    """An API key.

    Attributes:
        scope: read, write or admin.
        collections: names that it is limited to; None for all.
        filter: what its documents must match; None for all.
        key: the key itself, where it was made just now; it is not shown again.
    """

    id: str
    name: str
    scope: str
    collections: list[str] | None = None
    filter: Mapping[str, Any] | None = None
    created: str = ""
    key: str | None = field(default=None, repr=False)
