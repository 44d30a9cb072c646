"""Collections of Qdrant's engine in this process, as a `PointStore`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge

from lsr.backend.qdrant.store import DENSE, SPARSE, Asked, Conditions, Layout, Point, Scored
from lsr.sparse import SparseVector

__all__ = ["EdgeStore"]

_DATATYPES = {
    "float32": edge.VectorStorageDatatype.Float32,
    "float16": edge.VectorStorageDatatype.Float16,
}
_KINDS = {"keyword": edge.PayloadSchemaType.Keyword, "float": edge.PayloadSchemaType.Float}


class EdgeStore:
    """Collections below a folder, as long as this lives.

    Attributes:
        layouts: of the collections, by name, as they were made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shards: dict[str, Any] = {}
        self.layouts: dict[str, Layout] = {}

    def exists(self, name: str) -> bool:
        return name in self._shards

    def create(self, name: str, layout: Layout) -> None:
        dense, sparse = {}, {}
        if layout.dimension:
            dense[DENSE] = edge.EdgeVectorParams(
                size=layout.dimension,
                distance=getattr(edge.Distance, layout.distance),
                datatype=_DATATYPES[layout.dense_datatype],
            )
        modifier = edge.Modifier.Idf if layout.modifier == "idf" else None
        datatype = _DATATYPES[layout.sparse_datatype]
        sparse[SPARSE] = edge.EdgeSparseVectorParams(datatype=datatype, modifier=modifier)
        config = edge.EdgeConfig(vectors=dense or None, sparse_vectors=sparse)
        folder = self._folder / name
        folder.mkdir()
        self._shards[name] = edge.EdgeShard.create(str(folder), config)
        self.layouts[name] = layout

    def drop(self, name: str) -> None:
        """Forget a collection."""
        self._shards.pop(name)

    def delete(self, name: str, numbers: Sequence[int]) -> None:
        """Delete points."""
        self._shards[name].update(edge.UpdateOperation.delete_points(list(numbers)))

    def layout(self, name: str) -> Layout:
        return self.layouts[name]

    def index(self, name: str, fields: Mapping[str, str]) -> None:
        for field, kind in fields.items():
            operation = edge.UpdateOperation.create_field_index(field, _KINDS[kind])
            self._shards[name].update(operation)

    def put(self, name: str, points: Sequence[Point]) -> None:
        made = [
            edge.Point(
                point.number,
                {
                    side: _vector(vector)
                    for side, vector in ((SPARSE, point.sparse), (DENSE, point.dense))
                    if vector is not None
                },
                point.payload,
            )
            for point in points
        ]
        self._shards[name].update(edge.UpdateOperation.upsert_points(made))

    def count(self, name: str, where: Conditions | None = None) -> int:
        counted = self._shards[name].count(edge.CountRequest(exact=True, filter=_filter(where)))
        return int(counted)

    def search(self, name: str, asked: Sequence[Asked]) -> list[list[Scored]]:
        return [self._searched(name, each) for each in asked]

    def _searched(self, name: str, asked: Asked) -> list[Scored]:
        side = SPARSE if isinstance(asked.query, SparseVector) else DENSE
        request = edge.QueryRequest(
            limit=asked.limit,
            query=edge.Query.Nearest(_vector(asked.query), using=side),
            filter=_filter(asked.where),
            with_payload=list(asked.fields),
            with_vector=list(asked.vectors),
            params=edge.SearchParams(exact=asked.exact),
        )
        return [Scored(_point(each), each.score) for each in self._shards[name].query(request)]

    def fetch(
        self, name: str, numbers: Sequence[int], fields: Sequence[str], vectors: Sequence[str]
    ) -> list[Point]:
        found = self._shards[name].retrieve(
            list(numbers), with_payload=list(fields), with_vector=list(vectors)
        )
        return [_point(each) for each in found]

    def find(self, name: str, where: Conditions, fields: Sequence[str]) -> Point | None:
        found, _ = self._shards[name].scroll(
            edge.ScrollRequest(limit=1, filter=_filter(where), with_payload=list(fields))
        )
        return _point(found[0]) if found else None

    def close(self) -> None:
        """Nothing: several may use it, one after the other."""


def _vector(vector: Any) -> Any:
    if isinstance(vector, SparseVector):
        return edge.SparseVector(vector.terms.tolist(), vector.weights.tolist())
    return vector.tolist()


def _filter(where: Conditions | None) -> Any:
    if where is None:
        return None
    groups: Any = {name: [_condition(each) for each in group] for name, group in where.items()}
    return edge.Filter(**groups)


def _condition(where: Mapping[str, Any]) -> Any:
    if "key" not in where:
        return _filter(where)
    match, bounds = where.get("match"), where.get("range")
    if bounds is not None:
        return edge.FieldCondition(key=where["key"], range=edge.RangeFloat(**bounds))
    assert match is not None
    found = edge.MatchAny(match["any"]) if "any" in match else edge.MatchValue(match["value"])
    return edge.FieldCondition(key=where["key"], match=found)


def _point(found: Any) -> Point:
    vectors = found.vector or {}
    sparse, dense = vectors.get(SPARSE), vectors.get(DENSE)
    if sparse is not None:
        sparse = SparseVector(
            np.array(sparse.indices, np.int32), np.array(sparse.values, np.float32)
        )
    if dense is not None:
        dense = np.array(dense, np.float32)
    return Point(found.id, found.payload or {}, sparse, dense)
