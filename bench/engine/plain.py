"""What a user would write without an engine: Numba term at a time, and SciPy's product. Exact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.engine.method import Method
from bench.engine.truth import best_of
from lsr.datasets.vectors.npz import to_scipy
from lsr.index.storage.inverted_lists import inverted_lists
from lsr.sparse import CSR, SparseVector


def _save(folder: Path, matrix: CSR) -> dict[str, int]:
    np.savez(folder / "lists.npz", **matrix._asdict())
    return {name: getattr(matrix, name).nbytes for name in ("indptr", "terms", "weights")}


def _load(folder: Path) -> CSR:
    with np.load(folder / "lists.npz") as arrays:
        parts = arrays["indptr"], arrays["terms"], arrays["weights"]
        return CSR(*parts, int(arrays["n_terms"]))


class PlainNumba(Method):
    """float32 inverted lists, one dense accumulator, one scan for the best."""

    name = "numba-taat"
    exact = True

    def warm_up(self) -> None:
        empty = np.zeros(2, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32)
        best_of(*empty, *empty[1:], np.zeros(1, np.float32), 1)

    def build(self, documents: CSR, folder: Path) -> dict[str, int]:
        return _save(folder, inverted_lists(documents))

    def open(self, folder: Path) -> None:
        self.warm_up()
        self.lists = _load(folder)
        self.accumulator = np.zeros(self.lists.n_terms, np.float32)

    def prepare(self, query: SparseVector) -> Any:
        return query

    def searcher(self, **_: Any) -> Callable[[Any], Any]:
        indptr, rows, weights, _n_rows = self.lists
        accumulator, k = self.accumulator, self.k
        return lambda query: best_of(indptr, rows, weights, *query, accumulator, k)

    def rows(self, answer: Any) -> Sequence[int]:
        return [row for row in answer[0].tolist() if row >= 0]


class SciPy(Method):
    """A sparse query times the transposed documents, the faster of SciPy's two products."""

    name = "scipy"
    package = "scipy"
    module = "scipy.sparse"
    exact = True

    def build(self, documents: CSR, folder: Path) -> dict[str, int]:
        return _save(folder, inverted_lists(documents))

    def open(self, folder: Path) -> None:
        lists = _load(folder)
        self.matrix = to_scipy(lists._replace(indptr=lists.indptr.astype(np.int32)))

    def prepare(self, query: SparseVector) -> Any:
        line = CSR(np.array([0, len(query.terms)]), *query, self.matrix.shape[0])
        return to_scipy(line._replace(indptr=line.indptr.astype(np.int32)))

    def searcher(self, **_: Any) -> Callable[[Any], Any]:
        matrix, k = self.matrix, self.k

        def search(query: Any) -> Any:
            product = query @ matrix
            scores = product.data
            best = np.argpartition(scores, -k)[-k:] if len(scores) > k else np.arange(len(scores))
            return product.indices[best[np.argsort(-scores[best])]]

        return search

    def rows(self, answer: Any) -> Sequence[int]:
        return [int(row) for row in answer]
