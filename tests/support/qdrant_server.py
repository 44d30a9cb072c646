"""Qdrant's REST interface, as far as it is used, before its engine in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from bench.relevance.edge_points import EdgeStore
from lsr.backend.qdrant.store import DENSE, SPARSE, Asked, Layout, Point
from lsr.sparse import SparseVector

__all__ = ["KEY", "qdrant_server"]

KEY = "the key"
CONFIG = {
    "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000},
    "optimizer_config": {
        "deleted_threshold": 0.2,
        "vacuum_min_vector_number": 1_000,
        "default_segment_number": 0,
        "flush_interval_sec": 5,
    },
}


@contextmanager
def qdrant_server(folder: Path) -> Iterator[tuple[str, EdgeStore]]:
    """Its address while it runs, and its collections."""
    store = EdgeStore(folder)

    class Handler(_Handler):
        collections = store

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", store
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    collections: EdgeStore

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else {}
        _, _, name, *rest = self.path.partition("?")[0].split("/")
        status = 200
        answer: dict[str, Any] = {"result": None, "status": "ok", "time": 0.0}
        if self.headers.get("api-key") != KEY:
            status, answer = 401, {"status": {"error": "Invalid API key"}}
        else:
            answer["result"] = self._result(f"{self.command} {'/'.join(rest)}".strip(), name, body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _result(self, call: str, name: str, body: Any) -> Any:
        store = self.collections
        if call == "GET exists":
            return {"exists": store.exists(name)}
        if call == "PUT":
            store.create(name, _layout(body))
            return True
        if call == "GET":
            params = _params(store.layout(name))
            config = {"params": params, **CONFIG}
            green = {"status": "green", "optimizer_status": "ok", "segments_count": 1}
            return {**green, "config": config, "payload_schema": {}}
        if call == "PUT index":
            store.index(name, {body["field_name"]: body["field_schema"]})
            return {"operation_id": 0, "status": "completed"}
        if call == "PUT points":
            store.put(name, [_point(each) for each in body["points"]])
            return {"operation_id": 0, "status": "completed"}
        if call == "POST points/count":
            return {"count": store.count(name, body.get("filter"))}
        if call == "POST points":
            found = store.fetch(name, body["ids"], body["with_payload"], body["with_vector"])
            return [_written(each) for each in found]
        if call == "POST points/scroll":
            point = store.find(name, body["filter"], body["with_payload"])
            return {"points": [] if point is None else [_written(point)]}
        assert call == "POST points/query/batch", call
        answers = store.search(name, [_asked(each) for each in body["searches"]])
        return [
            {"points": [{**_written(each.point), "score": each.score} for each in one]}
            for one in answers
        ]


def _layout(body: Any) -> Layout:
    found: dict[str, Any] = {"has_sparse": bool(body.get("sparse_vectors"))}
    dense = (body.get("vectors") or {}).get(DENSE)
    if dense:
        found |= {"dimension": dense["size"], "distance": dense["distance"]}
        found["dense_datatype"] = dense["datatype"]
    if found["has_sparse"]:
        found["sparse_datatype"] = body["sparse_vectors"][SPARSE]["index"]["datatype"]
    return Layout(**found)


def _params(layout: Layout) -> Any:
    dense = {"size": layout.dimension, "distance": layout.distance}
    sparse: dict[str, Any] = {"index": {"datatype": layout.sparse_datatype}}
    if layout.modifier != "none":
        sparse["modifier"] = layout.modifier
    return {
        "vectors": {DENSE: {**dense, "datatype": layout.dense_datatype}}
        if layout.dimension
        else {},
        "sparse_vectors": {SPARSE: sparse} if layout.has_sparse else None,
    }


def _vector(given: Any) -> Any:
    if isinstance(given, dict):
        weights = np.array(given["values"], np.float32)
        return SparseVector(np.array(given["indices"], np.int32), weights)
    return np.array(given, np.float32)


def _point(given: Any) -> Point:
    vectors = {name: _vector(each) for name, each in given["vector"].items()}
    return Point(given["id"], given["payload"], vectors.get(SPARSE), vectors.get(DENSE))


def _asked(given: Any) -> Asked:
    return Asked(
        _vector(given["query"]["nearest"]),
        given["limit"],
        given.get("filter"),
        given["params"]["exact"],
        given["with_payload"],
        given["with_vector"],
    )


def _written(point: Point) -> Any:
    vectors: dict[str, Any] = {}
    if point.sparse is not None:
        terms, weights = point.sparse
        vectors[SPARSE] = {"indices": terms.tolist(), "values": weights.tolist()}
    if point.dense is not None:
        vectors[DENSE] = point.dense.tolist()
    return {"id": point.number, "version": 0, "payload": point.payload, "vector": vectors}
