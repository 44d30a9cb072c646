"""Our engine as methods of the benchmark: approximate, exact, and left to choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bench.engine.generator import make
from bench.engine.method import Method, Values
from bench.engine.peers import grid, seismic_configs
from lsr.sparse import CSR, SparseVector

if TYPE_CHECKING:
    from lsr.index.blocks.config import Strategy

KNOBS = {
    "long": grid(query_cut=(3, 4, 5, 6, 8, 10, 12, 16), heap_factor=(1.2, 1.1, 1.0, 0.9, 0.8, 0.7)),
    "short": grid(query_cut=(3, 4, 5, 6, 7), heap_factor=(1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5)),
}

CONFIGS = ((0.2, 0.25), (0.1, 0.25))
"""Centroid fraction and summary energy; the last are those that a build takes by itself. Postings
are as many as pyseismic is given, which is about what a build takes too."""


class Ours(Method):
    """Block-summarised lists, always searched approximately."""

    name = "lsr"
    module = "lsr.index.sparse_index"
    builder = "lsr"
    ours = True
    grids: ClassVar[Mapping[str, list[Values]]] = KNOBS
    strategy: ClassVar[Strategy] = "approximate"

    @classmethod
    def configs(cls, n_documents: int) -> list[Values]:
        typical = seismic_configs(n_documents)[-1]
        return [
            {**typical, "centroid_fraction": fraction, "summary_energy": energy}
            for fraction, energy in CONFIGS
        ]

    def warm_up(self) -> None:
        self._index(make(200, 0).documents)

    def _index(self, documents: CSR) -> Any:
        from lsr.index.blocks.config import (
            BuildConfig,
            ClusteredBlocks,
            EnergySummary,
            GlobalPruning,
        )
        from lsr.index.sparse_index import SparseIndex

        config = BuildConfig(
            pruning=GlobalPruning(self.config["n_postings"], self.config["max_fraction"]),
            blocking=ClusteredBlocks(self.config["centroid_fraction"]),
            summary=EnergySummary(self.config["summary_energy"]),
        )
        return SparseIndex.build(documents, config, n_threads=1)

    def build(self, documents: CSR, folder: Path) -> dict[str, int]:
        index = self._index(documents)
        index.save(folder / "index")
        sizes = index.stats()["bytes"]
        return {name: int(size) for name, size in sizes.items()}

    def open(self, folder: Path) -> None:
        from lsr.index.sparse_index import SparseIndex

        self.index = SparseIndex.open(folder / "index", resident=True)
        self.index.warm_up()

    def prepare(self, query: SparseVector) -> Any:
        return query

    def searcher(self, **knobs: Any) -> Callable[[Any], Any]:
        from lsr.index.blocks.config import SearchParams

        search, params = self.index.search, SearchParams(k=self.k, strategy=self.strategy, **knobs)
        return lambda query: search(query, params)

    def rows(self, answer: Any) -> Sequence[int]:
        return [row for row in answer.rows[0].tolist() if row >= 0]


class OursExact(Ours):
    """The exact strategy, over the index that a build makes by itself."""

    name = "lsr-exact"
    strategy = "exact"
    exact = True
    grids: ClassVar[Mapping[str, list[Values]]] = {}

    @classmethod
    def configs(cls, n_documents: int) -> list[Values]:
        return super().configs(n_documents)[-1:]


class OursAuto(Ours):
    """The engine chooses between its strategies."""

    name = "lsr-auto"
    strategy = "auto"

    @classmethod
    def configs(cls, n_documents: int) -> list[Values]:
        return super().configs(n_documents)[-1:]
