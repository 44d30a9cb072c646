"""`QdrantShard`: a collection of Qdrant as a `Shard`, with the scores of an index to the bit.

Qdrant finds candidates; they are scored again from the vectors that come with them, in the order of
sums that an index has, so that neither rounding nor the order of equal scores is Qdrant's.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.backend.qdrant.conditions import conditions
from lsr.backend.qdrant.points import DOCUMENT, FEW, STAMP, CheckedPoints, names_of
from lsr.backend.qdrant.record import ENCODER, Record, opened_record
from lsr.backend.qdrant.store import Asked, Conditions, Layout, Point, PointStore, Scored
from lsr.backend.shard import Candidates, Round, Rows, ShardInfo, SideScoresOf
from lsr.encoders.protocols import Encoder
from lsr.errors import IndexCorruptError, IndexVersionError
from lsr.index.collection.encoder_registry import LOADERS
from lsr.index.collection.tuned_plan import TunedPlan
from lsr.retrieval.dense_index import FLAT_LIMIT
from lsr.sparse import CSR, SparseVector
from lsr.types import Document

__all__ = ["QdrantShard", "check_layout", "check_points"]

SPARE = 16
"""Points asked for beyond those wanted, so that equal scores at the end are seldom cut."""
GROWTH = 4
ROUNDING = 2e-5
"""How far a sum of Qdrant's can be from ours, as a share of the sum of the products' amounts."""
Scores = NDArray[np.float32]
Sides = tuple[bool, bool]
_Query = SparseVector | NDArray[np.float32]


class QdrantShard:
    """All documents of a collection of Qdrant.

    Args:
        store: where it is; closed with the shard.
        name, side: of the collection, and of the one with its record.

    Raises:
        IndexMissingError, IndexVersionError, IndexCorruptError: it cannot be searched as it is.
    """

    def __init__(self, store: PointStore, name: str, side: str) -> None:
        self._store = store
        self._name = name
        self._side = side
        self.record = opened_record(store, name, side)
        check_layout(name, store.layout(name), self.record.layout)
        check_points(store, name, self.record)
        self._points = CheckedPoints(store, name, self.record.n_terms, self.record.dimension)
        self._fields = self.record.metadata_fields
        self._folder: Path | None = None

    def encoder(self) -> Encoder:
        """The sparse encoder that made the vectors.

        Raises:
            IndexVersionError: this version of lsr has no such encoder.
            IndexCorruptError: its files are damaged, or those of another one.
        """
        made = self.record.sparse
        if made.kind not in LOADERS:
            raise IndexVersionError(f"{self._name} needs an encoder {made.kind!r} that lsr lacks")
        encoder = LOADERS[made.kind](self._files / ENCODER)
        if encoder.identity.sha256 != made.sha256:
            raise IndexCorruptError(
                f"the encoder in {self._side} is not the {made.name} that made the vectors of "
                f"{self._name}; migrate the index again"
            )
        return encoder

    def tuned_plan(self) -> TunedPlan | None:
        """The plan that tuning found for the index, if it did. Raises IndexCorruptError."""
        return TunedPlan.read(self._files)

    @cached_property
    def _files(self) -> Path:
        """A folder with the files of the record, as long as this is open."""
        self._folder = Path(tempfile.mkdtemp(prefix="lsr-qdrant-"))
        self.record.save_files(self._store, self._side, self._folder)
        return self._folder

    def info(self) -> ShardInfo:
        """See `Shard`."""
        record = self.record
        return ShardInfo(
            sparse=record.sparse,
            dense=record.dense,
            n_documents=record.n_documents,
            n_passages=record.n_documents,
            n_postings=record.n_postings,
            size_bytes=record.size_bytes,
            dimension=record.dimension,
            document_frequency=record.frequency(self._store, self._side),
        )

    def search(self, asked: Round) -> Candidates:
        """See `Shard`."""
        where = conditions(asked.where, self._fields)
        sparse, dense = asked.sparse, asked.dense
        queries = {side: query for side, query in enumerate((sparse, dense)) if query is not None}
        listed = [side for side in queries if asked.lists[side] and _says(queries[side])]
        sides = tuple(side in queries and (side in listed or asked.complete) for side in (0, 1))
        wanted = (sides[0], sides[1])
        points, best = self._listed({side: queries[side] for side in listed}, wanted, asked, where)
        lacking = [row for row in asked.rows.tolist() if row not in points]
        points |= {each.number: each for each in self._points.few(lacking, wanted)}
        rows = np.array(sorted(points), np.int64)
        ordered = [points[row] for row in rows.tolist()]
        matrix, vectors = self._points.matrices(ordered, wanted)
        scored: list[SideScoresOf | None] = [None, None]
        for side, query in queries.items():
            scores = np.zeros(len(rows), np.float32)
            if sides[side]:
                scores = _scores(query, matrix, vectors)
            there = [(each.sparse, each.dense)[side] is not None for each in ordered]
            places = rows.searchsorted(best[side])
            scored[side] = _side(places, scores, np.array(there, bool), asked.complete)
        doc_ids = [each.payload["doc_id"] for each in ordered]
        return Candidates(rows, doc_ids, sparse=scored[0], dense=scored[1])

    def _listed(
        self, queries: Mapping[int, _Query], sides: Sides, asked: Round, where: Conditions | None
    ) -> tuple[dict[int, Point], list[Rows]]:
        """Points that were found, and the best of each side.

        Args:
            queries: by side, of those that list.
            sides: whose vectors come with the points.
        """
        n = self.record.n_documents
        window = max(1, min(asked.window, n))
        points: dict[int, Point] = {}
        best = [np.zeros(0, np.int64), np.zeros(0, np.int64)]
        limits = {side: min(window + SPARE, n) for side in queries if n}
        while limits:
            asks = [
                Asked(queries[side], limit, where, n < FLAT_LIMIT, FEW, names_of(sides))
                for side, limit in limits.items()
            ]
            answers = self._store.search(self._name, asks)
            found = dict(zip(limits.items(), answers, strict=True))
            limits = {}
            for (side, limit), scored in found.items():
                points |= {each.point.number: each.point for each in scored}
                rows, is_whole = self._ranked(queries[side], scored, window)
                best[side] = rows[:window]
                if not is_whole and len(scored) == limit < n:
                    limits[side] = min(limit * GROWTH, n)
        kept = set(asked.rows.tolist()).union(*(rows.tolist() for rows in best))
        return {row: point for row, point in points.items() if row in kept}, best

    def _ranked(self, query: _Query, scored: Sequence[Scored], window: int) -> tuple[Rows, bool]:
        """Points by score, then by doc_id; whether no other can be among the first `window`."""
        is_sparse = isinstance(query, SparseVector)
        points = [each.point for each in scored]
        matrix, vectors = self._points.matrices(points, (is_sparse, not is_sparse))
        scores = amounts = _scores(query, matrix, vectors)
        places: Iterable[int] = range(len(points))
        if isinstance(query, SparseVector):
            places = np.flatnonzero(scores > 0).tolist()
        else:
            amounts = np.vecdot(np.abs(vectors), np.abs(query))
        order = sorted(places, key=lambda place: (-scores[place], points[place].payload["doc_id"]))
        rows = np.array([points[place].number for place in order], np.int64)
        if len(order) < window:
            return rows, len(order) < len(points)
        slack = ROUNDING * float(amounts.max())
        return rows, float(scores[order[window - 1]]) > scored[-1].score + slack

    def score(
        self, sparse: SparseVector | None, dense: NDArray[np.float32] | None, rows: Rows
    ) -> Scores:
        """See `Shard`."""
        query = sparse if sparse is not None else dense
        assert query is not None
        return _scores(query, *self.vectors(rows, (sparse is not None, sparse is None)))

    def vectors(self, rows: Rows, sides: Sides) -> tuple[CSR, NDArray[np.float32]]:
        """See `Shard`."""
        return self._points.matrices(self._points.few(rows.tolist(), sides), sides)

    def document_weights(self, query: SparseVector, rows: Rows) -> NDArray[np.float32]:
        """See `Shard`."""
        return _weights(self.vectors(rows, (True, False))[0], query)

    def documents(self, rows: Rows) -> list[Document]:
        """See `Shard`."""
        return self._points.documents(rows.tolist())

    def document(self, doc_id: str) -> Document | None:
        """See `Shard`."""
        where = {"must": [{"key": "doc_id", "match": {"value": doc_id}}]}
        point = self._store.find(self._name, where, DOCUMENT)
        return None if point is None else self._points.document(point)

    def close(self) -> None:
        """Let the server go, and remove the files of the encoder."""
        self._store.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


_OTHERWISE = {
    "dimension": ("dimension", "is of other vectors"),
    "distance": ("distance", "compares dense vectors otherwise"),
    "dense_datatype": ("dense datatype", "rounds dense vectors"),
    "sparse_datatype": ("sparse datatype", "rounds weights"),
    "modifier": ("modifier", "multiplies weights, which hold the idf already"),
}
"""Fields of a layout in words, and what another value does."""
_ALWAYS = ("dimension", "sparse_datatype", "modifier")
"""Those that count without dense vectors too."""


def check_layout(name: str, found: Layout, wanted: Layout) -> None:
    """Compare how a collection keeps vectors with how it has to.

    Raises:
        IndexVersionError: they differ.
    """
    if not found.has_sparse:
        raise IndexVersionError(
            f"the collection {name} has no sparse vectors; lsr migrate makes one that has"
        )
    for field, (words, why) in _OTHERWISE.items():
        value, expected = getattr(found, field), getattr(wanted, field)
        if value != expected and (wanted.dimension or field in _ALWAYS):
            raise IndexVersionError(
                f"the collection {name} has {words} {value}, which {why}; it must be {expected}, "
                "as lsr migrate makes it"
            )


def check_points(store: PointStore, name: str, record: Record) -> None:
    """Compare the number of points, and of those that lsr wrote, with the record.

    Raises:
        IndexCorruptError: they differ.
    """
    stamped = {"must": [{"key": STAMP, "match": {"value": record.stamp}}]}
    n_all, n_ours = store.count(name), store.count(name, stamped)
    if (n_all, n_ours) != (record.n_documents, record.n_documents):
        raise IndexCorruptError(
            f"the collection {name} has {n_all:,} points, {n_ours:,} of them written by lsr, and "
            f"its record says {record.n_documents:,}; something else changed it, so migrate the "
            "index again"
        )


def _says(query: _Query) -> bool:
    """Whether a query says anything: an empty one finds no documents."""
    return bool(len(query.terms) if isinstance(query, SparseVector) else query.any())


def _side(
    best: NDArray[np.intp], scores: Scores, there: NDArray[np.bool_], complete: bool
) -> SideScoresOf:
    """One side of candidates; `complete`: with scores of those too that it does not list."""
    known = np.zeros(len(there), bool)
    known[best] = True
    if complete:
        known = there
    return SideScoresOf(best, np.where(known, scores, np.float32(0)), known, known)


def _scores(query: _Query, matrix: CSR, vectors: NDArray[np.float32]) -> Scores:
    """Inner products of a query with the vectors of its side, as an index has them, shape (n,)."""
    if isinstance(query, SparseVector):
        return _sparse_scores(matrix, query)
    scores: Scores = np.vecdot(vectors, query)
    return scores


def _weights(vectors: CSR, query: SparseVector) -> NDArray[np.float32]:
    """Weights of the query's terms in vectors: float32, shape (n_rows, n_query_terms)."""
    weights = np.zeros((vectors.n_rows, len(query.terms)), np.float32)
    if len(query.terms):
        rows = np.repeat(np.arange(vectors.n_rows), np.diff(vectors.indptr))
        places = np.minimum(query.terms.searchsorted(vectors.terms), len(query.terms) - 1)
        there = query.terms[places] == vectors.terms
        weights[rows[there], places[there]] = vectors.weights[there]
    return weights


def _sparse_scores(vectors: CSR, query: SparseVector) -> Scores:
    """Inner products, shape (n_rows,), summed as an index sums them: by ascending term."""
    scores = np.zeros(vectors.n_rows, np.float32)
    for weight, column in zip(query.weights, _weights(vectors, query).T, strict=True):
        scores += weight * column
    return scores
