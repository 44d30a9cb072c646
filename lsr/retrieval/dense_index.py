"""Dense vectors in faiss: exact below `FLAT_LIMIT` documents, an HNSW graph from there on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.errors import IndexCorruptError, StorageError, UnavailableError
from lsr.passages.passage_rows import PassageRows

__all__ = ["FLAT_LIMIT", "DenseIndex", "PassageDenseIndex"]

FLAT_LIMIT = 50_000
"""From this many vectors on the graph is used: the one place where that is decided."""

HNSW_LINKS = 32
HNSW_EF_CONSTRUCTION = 200
HNSW_EF_SEARCH = 128
HNSW_EF_UNEVEN = 512
"""Candidates of a walk where vectors differ in length, since the longest are everyone's neighbours
and others are harder to reach. Of 51,000 vectors of 64 dimensions whose lengths spread by 15 %, the
best 100 are found to .98, to .91 by 128 candidates; with one length, all by 128."""
EVEN = 1e-3
"""Squared lengths that differ less than this, as a share of the longest, are one."""
SPARE_CANDIDATES = 16
RESCORED_ROWS = 8_192
_FACTOR = 4
"""So many passages are looked for, for each document wanted, and more where these are few."""


class DenseIndex:
    """Inner-product search over the rows of a matrix.

    Args:
        vectors: float32, shape (n_documents, dimension). A row of zeros stands for a document
            without a vector; it is never returned.
        tie_order: int32, shape (n_documents,); among equal scores the smaller comes first.
        graph: a file that `write_graph` made from the same vectors, or its bytes; without it the
            graph, where one is needed, is built now.

    Raises:
        UnavailableError: faiss is not installed.
        IndexCorruptError: the graph file does not belong to the vectors.
    """

    def __init__(
        self,
        vectors: NDArray[np.float32],
        tie_order: NDArray[np.int32],
        graph: Path | NDArray[np.uint8] | None = None,
    ) -> None:
        self._faiss = _import_faiss()
        self._vectors = vectors
        self._tie_order = tie_order
        self.has_vector = np.any(vectors != 0, axis=1)
        """Mask of the rows that have a vector: bool, shape (n_documents,)."""
        self._rows = np.flatnonzero(self.has_vector).astype(np.int32)
        self.is_exact = len(self._rows) < FLAT_LIMIT
        if self.is_exact or graph is None:
            self._index = self._build()
        else:
            self._index = self._read(graph)
        self._stored = vectors
        if self.is_exact:
            # faiss has just been through its copy, so its rows are in the processor's cache
            n, dimension = len(self._rows), vectors.shape[1]
            flat = self._faiss.rev_swig_ptr(self._index.get_xb(), n * dimension)
            self._stored = flat.reshape(n, dimension)
            self._places = np.cumsum(self.has_vector) - 1
        else:
            self._places = np.arange(len(vectors))
            squares = np.vecdot(vectors, vectors)[self._rows]
            is_even = squares.min() >= squares.max() * (1 - EVEN)
            self._width = HNSW_EF_SEARCH if is_even else HNSW_EF_UNEVEN
            self._index.hnsw.efSearch = self._width

    def _read(self, graph: Path | NDArray[np.uint8]) -> Any:
        try:
            if isinstance(graph, Path):
                index = self._faiss.read_index(str(graph))
            else:
                index, graph = self._faiss.deserialize_index(graph), Path("the graph in memory")
        except RuntimeError as error:
            raise IndexCorruptError(f"{graph} cannot be read as a graph; build again") from error
        expected = (len(self._rows), self._vectors.shape[1])
        if (index.ntotal, index.d) != expected or not hasattr(index, "hnsw"):
            raise IndexCorruptError(f"{graph}: not the graph of these vectors; build again")
        return index

    def _build(self) -> Any:
        dimension = self._vectors.shape[1]
        if self.is_exact:
            index = self._faiss.IndexFlatIP(dimension)
        else:
            inner_product = self._faiss.METRIC_INNER_PRODUCT
            index = self._faiss.IndexHNSWFlat(dimension, HNSW_LINKS, inner_product)
            index.hnsw.efConstruction = HNSW_EF_CONSTRUCTION
        index.add(np.ascontiguousarray(self._vectors[self._rows]))
        return index

    def write_graph(self, path: Path) -> None:
        """Store the graph; a flat index needs none and writes nothing.

        Raises:
            StorageError: the file cannot be written.
        """
        if not self.is_exact:
            try:
                self._faiss.write_index(self._index, str(path))
            except RuntimeError as error:
                raise StorageError(
                    f"{path} cannot be written; free some space or choose another place"
                ) from error

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The `k` best rows of each query.

        faiss proposes a few candidates more than asked for; they are scored again one by one, so
        that equal vectors get equal scores wherever they stand, and ties can be put in order.

        Returns:
            rows int32 and scores float32, both of shape (n_queries, k); −1 and 0 beyond the last.
            A query of zeros has no hits.
        """
        rows = np.full((len(queries), k), -1, np.int32)
        scores = np.zeros((len(queries), k), np.float32)
        for i, query in enumerate(queries):
            found, values = self._search_one(query, k, allowed)
            rows[i, : len(found)] = found
            scores[i, : len(found)] = values
        return rows, scores

    def _search_one(
        self, query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        if not query.any():
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        chosen = np.ones(len(self._rows), bool) if allowed is None else allowed[self._rows]
        available = int(chosen.sum())
        wanted = min(k + SPARE_CANDIDATES, available)
        while True:
            if allowed is not None and not self.is_exact and available < FLAT_LIMIT:
                candidates = self._rows[chosen]  # a walk through the graph could miss these few
            else:
                candidates = self._candidates(query, wanted, None if allowed is None else chosen)
            if len(candidates) < wanted:
                candidates = self._rows[chosen]  # the graph did not lead to enough of them
            values = self.score(query, candidates)
            best = np.lexsort((self._tie_order[candidates], -values))
            complete = len(candidates) <= k or values[best[-1]] < values[best[k - 1]]
            if complete or len(candidates) >= available:
                return candidates[best[:k]], values[best[:k]]
            wanted = min(wanted * 4, available)

    def passage_scores(
        self, query: NDArray[np.float32], passages: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """As `score`: every document is its one passage."""
        return self.score(query, passages)

    def score(self, query: NDArray[np.float32], rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Inner products of a query with rows, shape (n,), to the bit as `search` gives them.

        Rows without a vector get 0.
        """
        values = np.zeros(len(rows), np.float32)
        there = np.flatnonzero(self.has_vector[rows])
        for start in range(0, len(there), RESCORED_ROWS):
            part = there[start : start + RESCORED_ROWS]
            places = self._places[rows[part]]
            values[part] = np.vecdot(self._stored.take(places, axis=0), query)
        return values

    def _candidates(
        self, query: NDArray[np.float32], wanted: int, chosen: NDArray[np.bool_] | None
    ) -> NDArray[np.int32]:
        if wanted == 0:
            return np.zeros(0, np.int32)
        parameters = None
        if chosen is not None:
            # as bits: a set of numbers would take longer to make than the search takes
            selector = self._faiss.IDSelectorBitmap(np.packbits(chosen, bitorder="little"))
            if self.is_exact:
                parameters = self._faiss.SearchParameters(sel=selector)
            else:
                parameters = self._faiss.SearchParametersHNSW(sel=selector, efSearch=self._width)
        _, ids = self._index.search(query[None, :], wanted, params=parameters)
        found: NDArray[np.int32] = self._rows[ids[0][ids[0] >= 0]]
        return found


def _import_faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise UnavailableError(
            "dense search needs faiss, which is not installed; run: pip install 'lsr-search[dense]'"
        ) from error
    return faiss


class PassageDenseIndex:
    """Dense search of documents by the best of their passages' vectors.

    Args:
        index: of passages, in the order of `Segment.passage_order`.

    Attributes:
        has_vector: which documents have one: bool, shape (n_rows,).
        is_exact: whether every vector is compared.
    """

    def __init__(self, index: DenseIndex, passages: PassageRows) -> None:
        self._index = index
        self._passages = passages
        self.is_exact = index.is_exact
        self.has_vector: NDArray[np.bool_] = np.logical_or.reduceat(
            index.has_vector, passages.starts[:-1]
        )

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """As `DenseIndex.search`, of documents."""
        row_of, n = self._passages.row_of, self._passages.n_passages
        mask = None if allowed is None else allowed[row_of]
        found_rows = np.full((len(queries), k), -1, np.int32)
        found_scores = np.zeros((len(queries), k), np.float32)
        waiting = np.arange(len(queries))
        most = min(n, _FACTOR * k)
        while len(waiting):
            passages, scores = self._index.search(queries[waiting], most, mask)
            waits = []
            for query, some, values in zip(waiting.tolist(), passages, scores, strict=True):
                n_found = int(np.count_nonzero(some >= 0))
                rows, places = np.unique(row_of[some[:n_found]], return_index=True)
                places.sort()
                if len(rows) < k and n_found == most < n:
                    waits.append(query)
                    continue
                places = places[:k]
                found_rows[query, : len(places)] = row_of[some[places]]
                found_scores[query, : len(places)] = values[places]
            waiting = np.array(waits, np.intp)
            most = min(n, _FACTOR * most)
        return found_rows, found_scores

    def score(self, query: NDArray[np.float32], rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """As `DenseIndex.score`, of documents."""
        if len(rows) == 0:
            return np.zeros(0, np.float32)
        passages, edges = self._passages.of(rows)
        scores = np.maximum.reduceat(self.passage_scores(query, passages), edges[:-1])
        return np.where(self.has_vector[rows], scores, np.float32(0))

    def passage_scores(
        self, query: NDArray[np.float32], passages: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Scores of passages, shape (n,); the lowest there is of one without a vector."""
        scores = self._index.score(query, passages)
        return np.where(self._index.has_vector[passages], scores, np.finfo(np.float32).min)
