"""What tests of live collections share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lsr.index.collection.reader import CollectionReader
from lsr.index.live.live_collection import LiveCollection
from lsr.index.live.operation import Operation, Written
from lsr.index.live.worker import Tasks
from lsr.progress import Progress, no_progress
from lsr.types import Document

__all__ = ["ThreadWorker", "eventually", "hits", "killed", "put", "searchable", "view_documents"]

LIMIT_SECONDS = 15.0
"""No test waits for this long, but on a machine that does nothing else for a minute."""


class ThreadWorker:
    """`Worker` without a process of its own, which takes a second to start."""

    def __init__(self, collection: Path) -> None:
        self._tasks = Tasks(collection)
        self._busy = threading.Lock()

    def run(
        self, task: str, options: Mapping[str, Any] | None = None, progress: Progress = no_progress
    ) -> dict[str, Any]:
        with self._busy:
            return self._tasks.run({"task": task, "options": options}, progress)

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        with self._busy:
            pass


def put(doc_id: str, text: str = "", version: int | None = None, **metadata: object) -> Operation:
    """A put of a document."""
    return Operation.put(Document(doc_id, text, metadata=metadata), version)


def searchable(live: LiveCollection, *operations: Operation) -> list[Written]:
    """Write operations, and wait until searches see them."""
    written = live.write(operations)
    assert live.wait_searchable(max(each.seq for each in written), LIMIT_SECONDS), live.state
    return written


def eventually(holds: Callable[[], bool], what: object = "") -> None:
    """Wait until something holds."""
    end = time.monotonic() + LIMIT_SECONDS
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def killed(live: LiveCollection) -> None:
    """End a handle as a kill of its process would: nothing more is committed or published."""
    live._closing = True
    live._looks.set()
    live._thread.join()
    live._worker.close()
    live._keeper.close()
    if live._committer is not None:
        live._committer.close()
    if live._oplog is not None:
        live._oplog.close()


def view_documents(view: CollectionReader) -> dict[str, tuple[Document, int]]:
    """All documents that can be found, with their versions, by id."""
    stored = view.store.stored(view.live_rows().tolist())
    return {document.doc_id: (document, version) for document, version in stored}


def hits(
    view: CollectionReader, queries: Sequence[str], k: int = 100
) -> dict[str, list[tuple[str, float]]]:
    """What is found, by query: ids and scores."""
    return {
        query: [(hit.document.doc_id, hit.score) for hit in view.search(query, k=k).hits]
        for query in queries
    }
