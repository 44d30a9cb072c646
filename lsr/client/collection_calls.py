"""Requests to a collection, and how their answers are read. Nothing here sends anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from lsr.client.answers import Encoded, Explained, SearchAnswer, Suggestion
from lsr.client.call import JSON, NDJSON, TAR, Call, Flow, part, record, to_json
from lsr.client.documents import Chunk, ChunkResult, document_fields, new_key
from lsr.client.records import read_record
from lsr.client.replies import Snapshots, answers, nothing, statuses
from lsr.client.resources import (
    CollectionInfo,
    Deleted,
    DocumentPage,
    Snapshot,
    StoredDocument,
    Task,
    Verified,
    Written,
)
from lsr.client.search_request import Fields, Plan, SearchRequest
from lsr.client.waiting import ended
from lsr.errors import InputError, LsrError
from lsr.types import Document

__all__ = ["CollectionCalls", "Wait", "json_call"]

R = TypeVar("R")

Wait = Literal["acknowledged", "searchable"]
"""Whether a write is answered when it is on disk, or when searches see it too."""


def json_call(
    method: str, path: str, kind: type[R], body: object, repeatable: bool = False
) -> Call[R]:
    """A request with a body in JSON, answered by one record."""
    return Call(
        method,
        path,
        record(kind),
        headers={"Content-Type": JSON},
        content=to_json(body),
        repeatable=repeatable,
    )


class CollectionCalls:
    """Requests to one collection, by its name or an alias."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = f"/v1/collections/{part(name)}"

    def info(self) -> Call[CollectionInfo]:
        """Describe the collection. Raises NotFoundError."""
        return Call("GET", self.path, record(CollectionInfo), repeatable=True)

    def search(
        self,
        text: str | None = None,
        *,
        limit: int | None = None,
        offset: int | None = None,
        cursor: str | None = None,
        filter: Fields | None = None,  # noqa: A002
        mode: str | None = None,
        plan: Plan | None = None,
        explain: str | None = None,
        sparse: Mapping[str, float] | None = None,
        dense: Sequence[float] | None = None,
        facets: Sequence[str | Fields] | None = None,
        sort: Sequence[str | Fields] | None = None,
        collapse: str | Fields | None = None,
        fields: Sequence[str] | None = None,
        passages: int | None = None,
        snippet: bool | None = None,
        marks: bool | None = None,
        min_score: float | None = None,
        count: bool | None = None,
        timeout_ms: int | None = None,
    ) -> Call[SearchAnswer]:
        """Search the collection. The arguments are those of `SearchRequest`.

        Raises:
            QueryError: the search cannot be done as asked.
            NotFoundError: there is no such collection.
            OverloadedError: the service has too much to do, and had it in each attempt.
        """
        return self._post(
            "/search",
            SearchAnswer,
            SearchRequest(
                text=text,
                limit=limit,
                offset=offset,
                cursor=cursor,
                filter=filter,
                mode=mode,
                plan=plan,
                explain=explain,
                sparse=sparse,
                dense=dense,
                facets=facets,
                sort=sort,
                collapse=collapse,
                fields=fields,
                passages=passages,
                snippet=snippet,
                marks=marks,
                min_score=min_score,
                count=count,
                timeout_ms=timeout_ms,
            ).body(),
        )

    def msearch(
        self, searches: Sequence[SearchRequest | str]
    ) -> Call[list[SearchAnswer | LsrError]]:
        """Up to 100 searches at once: an answer for each, or the error that it met."""
        bodies = [SearchRequest.of(each).body() for each in searches]
        return Call(
            "POST",
            f"{self.path}/msearch",
            answers,
            headers={"Content-Type": JSON},
            content=to_json({"searches": bodies}),
            repeatable=True,
        )

    def explain(self, doc_id: str, search: SearchRequest | str) -> Call[Explained]:
        """Why a document has its score for a search, or none."""
        body = {**SearchRequest.of(search).body(), "doc_id": doc_id}
        return self._post("/explain", Explained, body)

    def encode(
        self, texts: Sequence[str], side: Literal["query", "document"] = "query"
    ) -> Call[Encoded]:
        """Sparse vectors of texts by the collection's encoder: weights by term."""
        return self._post("/encode", Encoded, {"texts": list(texts), "side": side})

    def suggest(self, text: str, limit: int | None = None) -> Call[Suggestion]:
        """Words of the collection near those of a text: "did you mean"."""
        params = {"q": text, "limit": limit}
        return Call("GET", f"{self.path}/suggest", record(Suggestion), params, repeatable=True)

    def get(self, doc_id: str) -> Call[StoredDocument]:
        """A document as it was written last. Raises NotFoundError."""
        return Call("GET", self._document(doc_id), record(StoredDocument), repeatable=True)

    def put(
        self,
        document: Document,
        *,
        sparse: Mapping[str, float] | None = None,
        dense: Sequence[float] | None = None,
        if_version: int | None = None,
        wait: Wait = "acknowledged",
        key: str | None = None,
    ) -> Call[Written]:
        """Store a document, new or in place of what has its id. It is on disk on return.

        Args:
            sparse, dense: vectors in place of what the collection's models would make.
            if_version: the version that it must have now; 0: there must be none.
            key: a name for this write; the same one again changes nothing. Made when left out.

        Raises:
            VersionConflictError: the version is another.
            InputError: the document cannot be stored.
        """
        body = document_fields(document, sparse, dense)
        del body["doc_id"]
        return self._write("PUT", document.doc_id, body, if_version, wait, key)

    def patch(
        self,
        doc_id: str,
        *,
        text: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        if_version: int | None = None,
        wait: Wait = "acknowledged",
        key: str | None = None,
    ) -> Call[Written]:
        """Change fields of a document; metadata field by field, where None removes one.

        Raises:
            NotFoundError: there is no such document.
            VersionConflictError, InputError: as `put`.
        """
        body = _given(text=text, title=title, metadata=metadata)
        return self._write("PATCH", doc_id, body, if_version, wait, key)

    def delete(
        self,
        doc_id: str,
        *,
        if_version: int | None = None,
        wait: Wait = "acknowledged",
        key: str | None = None,
    ) -> Call[Written]:
        """Delete a document. Raises NotFoundError and VersionConflictError."""
        return self._write("DELETE", doc_id, None, if_version, wait, key)

    def delete_many(self, doc_ids: Sequence[str], *, wait: Wait = "acknowledged") -> Call[Deleted]:
        """Delete documents by id, 10,000 at most; ids of no document are counted."""
        return self._delete({"doc_ids": list(doc_ids)}, wait)

    def delete_where(self, filter: Fields, *, wait: Wait = "acknowledged") -> Call[Deleted]:  # noqa: A002
        """Delete all documents that pass a filter."""
        return self._delete({"filter": filter}, wait)

    def page(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        filter: Fields | None = None,  # noqa: A002
        fields: Sequence[str] | None = None,
    ) -> Call[DocumentPage]:
        """Documents in order of doc_id, from the beginning or a cursor on."""
        params = {
            "limit": limit,
            "cursor": cursor,
            "filter": to_json(filter).decode() if filter is not None else None,
            "fields": ",".join(fields) if fields is not None else None,
        }
        return Call("GET", f"{self.path}/documents", record(DocumentPage), params, repeatable=True)

    def merge(self, *, wait: bool = True, timeout: float | None = None) -> Flow[Task]:
        """Write all segments into one, without what was deleted; a task.

        Args:
            wait: whether to wait for its end.
            timeout: seconds to wait at most; the task goes on after them.

        Raises:
            ServiceError: it has failed, or goes on after the timeout.
            TaskCancelledError: it was cancelled.
        """
        return self._task("POST", "/merge", None, wait, timeout)

    def publish(self, *, wait: bool = True, timeout: float | None = None) -> Flow[Task]:
        """Publish what was written now, and not when it is due; a task, as `merge`."""
        return self._task("POST", "/publish", None, wait, timeout)

    def calibrate(
        self,
        recall: float | None = None,
        *,
        queries: Sequence[str] | None = None,
        wait: bool = True,
        timeout: float | None = None,
    ) -> Flow[Task]:
        """Measure how approximate search reaches a recall, and use it; a task, as `merge`."""
        body = _given(recall=recall, queries=list(queries) if queries is not None else None)
        return self._task("POST", "/calibrate", body, wait, timeout)

    def snapshots(self) -> Call[list[Snapshot]]:
        """The snapshots, in order of name."""
        return Call(
            "GET",
            f"{self.path}/snapshots",
            lambda answer: read_record(Snapshots, answer.json()).snapshots,
            repeatable=True,
        )

    def create_snapshot(
        self, name: str | None = None, *, wait: bool = True, timeout: float | None = None
    ) -> Flow[Task]:
        """Make a snapshot, named by the time when no name is given; a task, as `merge`."""
        body = {} if name is None else {"name": name}
        return self._task("POST", "/snapshots", body, wait, timeout)

    def delete_snapshot(self, name: str) -> Call[None]:
        """Delete a snapshot. Raises NotFoundError."""
        return Call("DELETE", self._snapshot(name), nothing)

    def verify_snapshot(self, name: str) -> Call[Verified]:
        """Compare every byte of a snapshot with its checksum."""
        path = f"{self._snapshot(name)}/verify"
        return Call("POST", path, record(Verified), repeatable=True)

    def restore(
        self,
        snapshot: str,
        *,
        of: str | None = None,
        wait: bool = True,
        timeout: float | None = None,
    ) -> Flow[Task]:
        """Put a snapshot in the place of the collection, or make a new one of it; as `merge`.

        Args:
            of: the collection whose snapshot it is, where it is of another.
        """
        body = {"snapshot": snapshot} | ({} if of is None else {"collection": of})
        return self._task("POST", "/restore", body, wait, timeout)

    def upload(self, file: Path | str) -> Call[Mapping[str, Any]]:
        """Put a downloaded snapshot, a tar, in the place of the collection; done on return.

        Raises:
            IndexCorruptError, DataError: it is damaged, or none; nothing was changed.
        """
        path = Path(file)
        if not path.is_file():
            raise InputError(f"there is no file {path}")
        return Call(
            "PUT",
            f"{self.path}/restore",
            lambda answer: dict(answer.json()),
            headers={"Content-Type": TAR},
            upload=path,
        )

    def export(self) -> Call[None]:
        """All documents as a stream of JSON lines."""
        return Call("GET", f"{self.path}/export", nothing)

    def download(self, snapshot: str) -> Call[None]:
        """A snapshot as a tar."""
        return Call("GET", self._snapshot(snapshot), nothing)

    def add_chunk(self, chunk: Chunk, wait: Wait) -> Call[ChunkResult]:
        """Store documents of JSON lines; see `lsr.client.documents`."""
        return Call(
            "POST",
            f"{self.path}/documents",
            statuses,
            params={"wait": wait},
            headers={"Content-Type": NDJSON, "Idempotency-Key": chunk.key},
            content=chunk.lines,
            repeatable=True,
        )

    def _snapshot(self, name: str) -> str:
        return f"{self.path}/snapshots/{part(name)}"

    def _post(self, path: str, kind: type[R], body: object) -> Call[R]:
        return json_call("POST", f"{self.path}{path}", kind, body, repeatable=True)

    def _document(self, doc_id: str) -> str:
        if not doc_id:
            raise InputError("the doc_id is empty")
        return f"{self.path}/documents/{part(doc_id)}"

    def _write(
        self,
        method: str,
        doc_id: str,
        body: object | None,
        if_version: int | None,
        wait: Wait,
        key: str | None,
    ) -> Call[Written]:
        headers = {"Idempotency-Key": key or new_key()}
        return Call(
            method,
            self._document(doc_id),
            record(Written),
            params={"if_version": if_version, "wait": wait},
            headers=headers if body is None else {**headers, "Content-Type": JSON},
            content=None if body is None else to_json(body),
            repeatable=True,
        )

    def _delete(self, body: object, wait: Wait) -> Call[Deleted]:
        return Call(
            "POST",
            f"{self.path}/documents/delete",
            record(Deleted),
            params={"wait": wait},
            headers={"Content-Type": JSON},
            content=to_json(body),
            repeatable=True,
        )

    def _task(
        self, method: str, path: str, body: object | None, wait: bool, timeout: float | None
    ) -> Flow[Task]:
        call: Call[Task] = Call(
            method,
            f"{self.path}{path}",
            record(Task),
            headers={} if body is None else {"Content-Type": JSON},
            content=None if body is None else to_json(body),
        )
        task: Task = yield call
        return (yield from ended(task, timeout)) if wait else task


def _given(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}
