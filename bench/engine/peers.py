"""Engines of others: pyseismic, VSAG's SINDI, Qdrant Edge, and Block-Max Pruning.

Each is given its own form of queries beforehand and timed on the call that answers one. Their
grids are those of their documentation and of what paid on collections of these sizes.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.engine.method import Method, Values
from lsr.sparse import CSR, SparseVector

UPSERT_POINTS = 1_000
LARGEST_CODE = 255


def grid(**choices: Sequence[float]) -> list[Values]:
    """All combinations, the last name changing fastest."""
    names = list(choices)
    return [
        dict(zip(names, values, strict=True)) for values in itertools.product(*choices.values())
    ]


def seismic_configs(n_documents: int) -> list[Values]:
    """Static pruning for a size: 200 postings a list at 100,000 documents, 600 at a million."""
    typical = 200 * (n_documents / 100_000) ** math.log10(3)
    return [
        {
            "n_postings": round(typical * factor),
            "centroid_fraction": 0.1,
            "summary_energy": 0.4,
            "max_fraction": 10.0 if n_documents < 500_000 else 8.0,
        }
        for factor in (0.5, 1.0)
    ]


SEISMIC_KNOBS = {
    "long": grid(query_cut=(3, 4, 5, 6, 7, 8, 10, 12, 16), heap_factor=(1.3, 1.2, 1.1, 1.0, 0.9)),
    "short": grid(query_cut=(4, 5, 6, 7, 8, 10), heap_factor=(1.1, 1.0, 0.95, 0.9, 0.85, 0.8, 0.7)),
}

SINDI_CANDIDATES = (20, 40)
SINDI_KNOBS = {
    "long": grid(
        query_prune_ratio=(0.0, 0.3, 0.5),
        use_term_lists_heap_insert=(True, False),
        n_candidate=SINDI_CANDIDATES,
    ),
    "short": grid(
        query_prune_ratio=(0.0, 0.1),
        use_term_lists_heap_insert=(True, False),
        n_candidate=SINDI_CANDIDATES,
    ),
}
"""Its third knob, term_prune_ratio, only costs recall here."""

BMP_KNOBS = {
    "long": grid(alpha=(1.0, 0.9, 0.8), beta=(1.0, 0.7)),
    "short": grid(alpha=(1.0, 0.9, 0.8), beta=(1.0,)),
}
"""Some short queries, shortened by beta, end its process."""


class Seismic(Method):
    """The original: block-summarised inverted lists in Rust."""

    name = "pyseismic"
    package = "pyseismic-lsr"
    module = "seismic"
    grids = SEISMIC_KNOBS

    @classmethod
    def configs(cls, n_documents: int) -> list[Values]:
        made = seismic_configs(n_documents)
        return [*made, {**made[-1], "centroid_fraction": 0.2, "summary_energy": 0.5}]

    def build(self, documents: CSR, folder: Path) -> dict[str, int]:
        names = [str(row) for row in range(documents.n_rows)]
        dataset = self.api.SeismicDataset(documents.n_terms)
        dataset.add_documents_by_id(
            names, documents.terms.astype(np.int64), documents.weights, documents.indptr
        )
        index = self.api.SeismicIndex.build_from_dataset(dataset, **self.config)
        index.save(str(folder / "index"))
        return {}

    def open(self, folder: Path) -> None:
        self.index = self.api.SeismicIndex.load(str(folder / "index.index.seismic"))
        self.strings = self.api.get_seismic_string()

    def prepare(self, query: SparseVector) -> Any:
        return query.terms.astype(self.strings), query.weights

    def searcher(self, **knobs: Any) -> Callable[[Any], Any]:
        search, k = self.index.search, self.k
        return lambda query: search("", *query, k=k, **knobs)

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(name) for _, _, name in answer]


class Sindi(Method):
    """VSAG's windowed inverted lists; exact when nothing is pruned."""

    name = "sindi"
    package = "pyvsag"
    module = "pyvsag"
    builds = (
        {"doc_prune_ratio": 0.0, "use_reorder": False},
        {"doc_prune_ratio": 0.2, "use_reorder": True},
        {"doc_prune_ratio": 0.4, "use_reorder": True},
    )
    grids = SINDI_KNOBS

    def _index(self, n_terms: int) -> Any:
        self.api.set_logger_off()
        limits = {"term_id_limit": n_terms, "window_size": 60_000}
        parameters = {
            "dtype": "sparse",
            "dim": n_terms,
            "metric_type": "ip",
            "index_param": self.config | limits,
        }
        return self.api.Index("sindi", json.dumps(parameters))

    def build(self, documents: CSR, folder: Path) -> dict[str, int]:
        index = self._index(documents.n_terms)
        index.build(
            index_pointers=documents.indptr.astype(np.uint32),
            indices=documents.terms.astype(np.uint32),
            values=documents.weights,
            ids=np.arange(documents.n_rows),
        )
        index.save(str(folder / "index"))
        (folder / "n_terms").write_text(str(documents.n_terms), encoding="utf-8")
        return {}

    def open(self, folder: Path) -> None:
        self.index = self._index(int((folder / "n_terms").read_text(encoding="utf-8")))
        self.index.load(str(folder / "index"))

    def prepare(self, query: SparseVector) -> Any:
        return np.array([0, len(query.terms)], np.uint32), query.terms.astype(np.uint32), query[1]

    def knobs(self, kind: str) -> list[Values]:
        """Without reordering the number of candidates has no effect."""
        first = SINDI_CANDIDATES[0]
        reorder = self.config["use_reorder"]
        return [v for v in super().knobs(kind) if reorder or v["n_candidate"] == first]

    def searcher(self, **knobs: Any) -> Callable[[Any], Any]:
        search, k, settings = self.index.knn_search, self.k, json.dumps({"sindi": knobs})
        return lambda query: search(*query, k, settings)

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(row) for row in answer[0][0]]


class QdrantEdge(Method):
    """Qdrant's sparse index in one process, one segment, in memory; exact."""

    name = "qdrant-edge"
    package = "qdrant-edge-py"
    module = "qdrant_edge"
    exact = True

    def build(self, documents: CSR, folder: Path) -> dict[str, int]:
        qdrant = self.api
        memory = qdrant.EdgeSparseVectorParams(full_scan_threshold=0, memory=qdrant.Memory.Pinned)
        one_segment = qdrant.EdgeOptimizersConfig(
            default_segment_number=1, indexing_threshold=1, max_segment_size=10**9
        )
        config = qdrant.EdgeConfig(
            sparse_vectors={"s": memory},
            optimizers=one_segment,
            max_search_threads=1,
            wal_enabled=False,
        )
        shard = qdrant.EdgeShard.create(str(folder), config)
        for start in range(0, documents.n_rows, UPSERT_POINTS):
            points = []
            for row in range(start, min(start + UPSERT_POINTS, documents.n_rows)):
                vector = documents.row(row)
                sparse = qdrant.SparseVector(vector.terms.tolist(), vector.weights.tolist())
                points.append(qdrant.Point(row, {"s": sparse}))
            shard.update(qdrant.UpdateOperation.upsert_points(points))
        shard.optimize()
        shard.flush()
        shard.close()
        return {}

    def open(self, folder: Path) -> None:
        qdrant = self.api
        self.shard = qdrant.EdgeShard.load(str(folder))

    def prepare(self, query: SparseVector) -> Any:
        qdrant = self.api
        vector = qdrant.SparseVector(query.terms.tolist(), query.weights.tolist())
        return qdrant.SearchRequest(limit=self.k, query=qdrant.Query.Nearest(vector, using="s"))

    def searcher(self, **_: Any) -> Callable[[Any], Any]:
        search: Callable[[Any], Any] = self.shard.search
        return search

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(point.id) for point in answer]


class BlockMaxPruning(Method):
    """BMP over 8-bit impacts; documents are ordered by their heaviest terms.

    It lives from neighbours that resemble each other, and comes without a way to find an order.
    """

    name = "bmp"
    package = "bmp"
    module = "bmp"
    largest = 200_000
    builds = ({"block": 8},)
    grids = BMP_KNOBS

    def build(self, documents: CSR, folder: Path) -> dict[str, int]:
        step = float(documents.weights.max(initial=1.0)) / LARGEST_CODE
        codes = np.maximum(1, np.rint(documents.weights / step)).astype(int)
        names = [str(term) for term in range(documents.n_terms)]
        indexer = self.api.Indexer(str(folder / "index"), self.config["block"], False)
        for row in _by_heaviest_terms(documents).tolist():
            part = slice(documents.indptr[row], documents.indptr[row + 1])
            terms = [names[term] for term in documents.terms[part].tolist()]
            indexer.add_document(str(row), dict(zip(terms, codes[part].tolist(), strict=True)))
        indexer.finish()
        return {}

    def open(self, folder: Path) -> None:
        self.index = self.api.Searcher(str(folder / "index"))

    def prepare(self, query: SparseVector) -> Any:
        codes = np.maximum(1, np.rint(query.weights * 100)).astype(int)
        return dict(zip(map(str, query.terms.tolist()), codes.tolist(), strict=True))

    def searcher(self, **knobs: Any) -> Callable[[Any], Any]:
        search, k, alpha, beta = self.index.search, self.k, knobs["alpha"], knobs["beta"]
        return lambda query: search(query, k, alpha, beta)

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(name) for name in answer[0]]


def _by_heaviest_terms(documents: CSR) -> Any:
    """Rows by their heaviest term, then by the second heaviest."""
    top = np.full((2, documents.n_rows), -1)
    for row in range(documents.n_rows):
        vector = documents.row(row)
        heaviest = vector.terms[np.argsort(-vector.weights)[:2]]
        top[: len(heaviest), row] = heaviest
    return np.lexsort((top[1], top[0]))
