"""A service with a folder of collections, asked in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from lsr.service.app import create_app
from lsr.service.catalog import Catalog
from lsr.service.engine import SearchEngine
from lsr.service.settings import Settings

__all__ = ["Rest", "serving"]

JSON_LINES = {"Content-Type": "application/x-ndjson"}


class Rest:
    """Asks a service, and says what it does in one line each."""

    def __init__(self, client: TestClient, root: Path) -> None:
        self.client = client
        self.root = root

    def ask(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        """The JSON of an answer, which must have this status."""
        answer = self.client.request(method, f"/v1/{path}", **more)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def refused(self, method: str, path: str, status: int, code: str, **more: Any) -> str:
        """The sentence of a problem."""
        problem = self.ask(method, path, status, **more)
        assert (problem["code"], problem["status"]) == (code, status), problem
        return str(problem["detail"])

    def make(self, name: str, **body: Any) -> None:
        """An empty BM25 collection."""
        self.ask("PUT", f"collections/{name}", 201, json={"sparse": "bm25", **body})

    def put(self, name: str, documents: Mapping[str, str]) -> None:
        """Documents that searches see."""
        made = [{"doc_id": doc_id, "text": text} for doc_id, text in documents.items()]
        path = f"collections/{name}/documents?wait=searchable"
        assert self.ask("POST", path, json={"documents": made})["searchable"]

    def found(self, name: str, text: str) -> list[str]:
        """Ids of hits, best first."""
        answer = self.ask("POST", f"collections/{name}/search", json={"text": text})
        return [hit["doc_id"] for hit in answer["hits"]]

    def wait_until_ready(self) -> None:
        """Until kernels are compiled: before that a search takes seconds on a new machine."""
        for _ in range(2_400):
            told = self.client.get("/readyz")
            if told.status_code == 200:
                return
            threading.Event().wait(0.05)
        raise AssertionError(told.text)

    def done(self, task: Mapping[str, Any], status: str = "done") -> Any:
        """A task when it has ended."""
        for _ in range(1_200):
            told = self.ask("GET", f"tasks/{task['id']}")
            if told["ended"] is not None:
                assert told["status"] == status, told
                return told
            threading.Event().wait(0.05)
        raise AssertionError(told)


@contextmanager
def serving(
    root: Path | None, paths: Mapping[str, Path] | None = None, *, is_ready: bool = True
) -> Iterator[Rest]:
    """A service that has started and warmed up, and stops at the end.

    Args:
        is_ready: whether it can warm up.
    """
    settings = Settings(drain_seconds=0)
    engine = SearchEngine(Catalog.open(paths or {}, root), settings.limits)
    with TestClient(create_app(engine, settings), base_url="http://127.0.0.1") as client:
        rest = Rest(client, root or Path("/nowhere"))
        if is_ready:
            rest.wait_until_ready()
        yield rest
