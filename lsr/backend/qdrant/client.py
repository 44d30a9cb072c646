"""`ClientStore`: a `PointStore` over qdrant-client, the only file that calls it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from lsr.backend.qdrant.address import QdrantAddress
from lsr.backend.qdrant.store import DENSE, SPARSE, Asked, Conditions, Layout, Point, Scored
from lsr.errors import AccessError, ServiceError, UnavailableError
from lsr.sparse import SparseVector

__all__ = ["KEY", "MOST_LOCAL", "ClientStore"]

KEY = "QDRANT_API_KEY"
MOST_LOCAL = 1_000
"""Documents of a local folder, which Python compares one by one."""
_TIMEOUT_SECONDS = 60
_REFUSED = (401, 403)


class ClientStore:
    """Collections of a server, or of a local folder.

    Args:
        client: a `qdrant_client.QdrantClient`; closed with this.
        place: for messages.
        is_local: whether there is no server.
    """

    def __init__(self, client: Any, place: str, *, is_local: bool) -> None:
        self._client = client
        self._place = place
        self._is_local = is_local
        self._models = _qdrant().models

    @classmethod
    def open(cls, address: QdrantAddress) -> ClientStore:
        """Of an address; the key of the server is in the environment, `QDRANT_API_KEY`.

        Raises:
            UnavailableError: qdrant-client is not installed.
            ServiceError: the folder is in use.
        """
        make = _qdrant().QdrantClient
        with _answered(address.server):
            if address.is_local:
                client = make(path=address.server)
            else:
                client = make(
                    url=address.server,
                    api_key=os.environ.get(KEY),
                    timeout=_TIMEOUT_SECONDS,
                    check_compatibility=False,
                )
        return cls(client, address.server, is_local=address.is_local)

    def exists(self, name: str) -> bool:
        """See `PointStore`."""
        with _answered(self._place):
            return bool(self._client.collection_exists(name))

    def create(self, name: str, layout: Layout) -> None:
        """See `PointStore`."""
        models = self._models
        dense, sparse = {}, {}
        if layout.dimension:
            dense[DENSE] = models.VectorParams(
                size=layout.dimension,
                distance=models.Distance(layout.distance),
                datatype=models.Datatype(layout.dense_datatype),
            )
        if layout.has_sparse:
            datatype = models.Datatype(layout.sparse_datatype)
            modifier = None if layout.modifier == "none" else models.Modifier(layout.modifier)
            sparse[SPARSE] = models.SparseVectorParams(
                index=models.SparseIndexParams(datatype=datatype), modifier=modifier
            )
        with _answered(self._place):
            self._client.create_collection(
                name, vectors_config=dense, sparse_vectors_config=sparse or None
            )

    def layout(self, name: str) -> Layout:
        """See `PointStore`."""
        with _answered(self._place):
            params = self._client.get_collection(name).config.params
        found = Layout()._asdict()
        dense = params.vectors.get(DENSE) if isinstance(params.vectors, dict) else params.vectors
        if dense is not None:
            found["dimension"] = dense.size
            found["distance"] = _text(dense.distance, "Dot")
            found["dense_datatype"] = _text(dense.datatype, "float32")
        sparse = (params.sparse_vectors or {}).get(SPARSE)
        found["has_sparse"] = sparse is not None
        if sparse is not None:
            found["modifier"] = _text(sparse.modifier, "none")
            found["sparse_datatype"] = _text(sparse.index and sparse.index.datatype, "float32")
        return Layout(**found)

    def index(self, name: str, fields: Mapping[str, Literal["keyword", "float"]]) -> None:
        """See `PointStore`; a local folder has none."""
        if not self._is_local:
            for field, kind in fields.items():
                with _answered(self._place):
                    self._client.create_payload_index(name, field, field_schema=kind, wait=True)

    def put(self, name: str, points: Sequence[Point]) -> None:
        """See `PointStore`."""
        models = self._models
        made = [
            models.PointStruct(
                id=point.number,
                payload=point.payload,
                vector={
                    side: self._vector(vector)
                    for side, vector in ((SPARSE, point.sparse), (DENSE, point.dense))
                    if vector is not None
                },
            )
            for point in points
        ]
        with _answered(self._place):
            self._client.upsert(name, made, wait=True)

    def _vector(self, vector: Any) -> Any:
        if isinstance(vector, SparseVector):
            terms, weights = vector.terms.tolist(), vector.weights.tolist()
            return self._models.SparseVector(indices=terms, values=weights)
        return vector.tolist()

    def _filter(self, where: Conditions | None) -> Any:
        return None if where is None else self._models.Filter.model_validate(where)

    def count(self, name: str, where: Conditions | None = None) -> int:
        """See `PointStore`."""
        with _answered(self._place):
            counted = self._client.count(name, count_filter=self._filter(where), exact=True)
        return int(counted.count)

    def search(self, name: str, asked: Sequence[Asked]) -> list[list[Scored]]:
        """See `PointStore`."""
        models = self._models
        requests = [
            models.QueryRequest(
                query=self._vector(each.query),
                using=SPARSE if isinstance(each.query, SparseVector) else DENSE,
                limit=each.limit,
                filter=self._filter(each.where),
                with_payload=list(each.fields),
                with_vector=list(each.vectors),
                params=None
                if self._is_local
                else models.SearchParams(
                    exact=each.exact, quantization=models.QuantizationSearchParams(ignore=True)
                ),
            )
            for each in asked
        ]
        with _answered(self._place):
            answers = self._client.query_batch_points(name, requests)
        return [[Scored(_point(each), each.score) for each in one.points] for one in answers]

    def fetch(
        self, name: str, numbers: Sequence[int], fields: Sequence[str], vectors: Sequence[str]
    ) -> list[Point]:
        """See `PointStore`."""
        with _answered(self._place):
            found = self._client.retrieve(
                name, list(numbers), with_payload=list(fields), with_vectors=list(vectors)
            )
        return [_point(each) for each in found]

    def find(self, name: str, where: Conditions, fields: Sequence[str]) -> Point | None:
        """See `PointStore`."""
        with _answered(self._place):
            found, _ = self._client.scroll(
                name, scroll_filter=self._filter(where), limit=1, with_payload=list(fields)
            )
        return _point(found[0]) if found else None

    def close(self) -> None:
        """Close the client."""
        self._client.close()


def _point(found: Any) -> Point:
    vectors = found.vector or {}
    sparse, dense = vectors.get(SPARSE), vectors.get(DENSE)
    if sparse is not None:
        terms, weights = np.array(sparse.indices, np.int64), np.array(sparse.values, np.float32)
        order = np.argsort(terms)
        sparse = SparseVector(terms[order].astype(np.int32), weights[order])
    if dense is not None:
        dense = np.array(dense, np.float32)
    return Point(found.id, found.payload or {}, sparse, dense)


def _text(value: Any, default: str) -> str:
    return default if value is None else str(getattr(value, "value", value))


@contextmanager
def _answered(place: str) -> Iterator[None]:
    """Turn the client's errors into ours.

    Raises:
        AccessError: the server wants another key.
        ServiceError: it cannot be reached, or refuses, or the folder is in use.
    """
    exceptions = _qdrant().http.exceptions
    try:
        yield
    except exceptions.UnexpectedResponse as error:
        if error.status_code in _REFUSED:
            raise AccessError(
                f"Qdrant at {place} refuses the key ({error.status_code}); set {KEY} to one that "
                "may do this"
            ) from error
        told = error.content.decode(errors="replace")[:300] if error.content else ""
        raise ServiceError(f"Qdrant at {place} answered {error.status_code}: {told}") from error
    except (exceptions.ApiException, OSError) as error:
        raise ServiceError(
            f"Qdrant at {place} does not answer ({error}); check that it runs there, and try again"
        ) from error
    except RuntimeError as error:
        raise ServiceError(f"Qdrant at {place} cannot be used: {error}") from error


def _qdrant() -> Any:
    try:
        import qdrant_client
        import qdrant_client.http.exceptions
    except ImportError as error:
        raise UnavailableError(
            "collections of Qdrant need qdrant-client, which is not installed; run: "
            "pip install 'lsr-search[qdrant]'"
        ) from error
    return qdrant_client
