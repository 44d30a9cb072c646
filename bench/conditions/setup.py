"""What all parts of `bench.conditions` stand on: one collection, its index, its queries."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path

from bench.engine.data import Workload
from bench.engine.generator import make
from bench.engine.run import Progress
from bench.engine.truth import exact_top
from lsr.index.blocks.config import BuildConfig
from lsr.index.indexer.block_builder import typical_config
from lsr.index.sparse_index import SparseIndex
from lsr.sparse import CSR, SparseVector

__all__ = ["Built", "K", "Setup", "built", "prepared"]

K = 10
"""Documents a query."""

WARM_UP_DOCUMENTS = 200


@dataclass(frozen=True)
class Built:
    """An opened index, and what it took to build on one thread."""

    index: SparseIndex
    folder: Path
    cpu_seconds: float
    wall_seconds: float


@dataclass
class Setup:
    """A collection, indexed and opened.

    Attributes:
        documents: as they were given.
        work: documents as the index stores them, the queries that are measured, and their exact
            best scores over those documents.
        singles: the queries of `work` by kind, one at a time.
        samples: other queries of the same kinds, for calibration.
        folder: for indexes.
        passes: how often a setting is timed, after its trial.
        seconds: how long short calls are timed at least.
    """

    documents: CSR
    work: Workload
    singles: dict[str, list[SparseVector]]
    samples: dict[str, CSR]
    built: Built
    folder: Path
    passes: int
    seconds: float
    reuse: bool
    say: Progress
    _calibrated: dict[tuple[str, float], SparseIndex] = field(default_factory=dict)

    @property
    def index(self) -> SparseIndex:
        """Of the typical config, not calibrated."""
        return self.built.index

    def calibrated(self, kind: str, target: float) -> SparseIndex:
        """The same index, calibrated for a recall with queries that are not measured."""
        index = self._calibrated.get((kind, target))
        if index is None:
            self.say(f"calibrating for {kind} queries and a recall of {target:g}")
            index = copy(self.index)  # of the same arrays
            index.calibrate(self.samples[kind], target, k=K)
            self._calibrated[kind, target] = index
        return index


def prepared(
    documents: CSR,
    queries: Mapping[str, CSR],
    folder: Path,
    *,
    passes: int,
    seconds: float,
    reuse: bool,
    say: Progress,
) -> Setup:
    """Build or open the index, and find the exact answers.

    Args:
        queries: by kind; every second one is for calibration, the others are measured.
        reuse: take indexes that are in the folder already.
    """
    say("building the index")
    ready = built(documents, typical_config(documents), folder / "typical", reuse)
    say("finding exact answers")
    stored = ready.index.documents()
    measured = {kind: every_second(matrix, 0) for kind, matrix in queries.items()}
    tops = {kind: exact_top(stored, matrix, K) for kind, matrix in measured.items()}
    return Setup(
        documents=documents,
        work=Workload(stored, measured, tops),
        singles={kind: [m.row(i) for i in range(m.n_rows)] for kind, m in measured.items()},
        samples={kind: every_second(matrix, 1) for kind, matrix in queries.items()},
        built=ready,
        folder=folder,
        passes=passes,
        seconds=seconds,
        reuse=reuse,
        say=say,
    )


def every_second(matrix: CSR, first: int) -> CSR:
    """Every second row, from `first` on."""
    return matrix.take(range(first, matrix.n_rows, 2))


def built(documents: CSR, config: BuildConfig, folder: Path, reuse: bool) -> Built:
    """Build, save and open an index; or open the one that is there, when `reuse`.

    Raises:
        ValueError: the one that is there has another number of documents.
    """
    report = folder.with_suffix(".json")
    if not (reuse and report.exists()):
        report.unlink(missing_ok=True)
        report.parent.mkdir(parents=True, exist_ok=True)
        SparseIndex.build(make(WARM_UP_DOCUMENTS, 0).documents, config)
        wall, cpu = time.perf_counter(), time.process_time()
        SparseIndex.build(documents, config, n_threads=1).save(folder)
        taken = {
            "cpu_seconds": time.process_time() - cpu,
            "wall_seconds": time.perf_counter() - wall,
        }
        report.write_text(json.dumps(taken) + "\n", encoding="utf-8")
    seconds = json.loads(report.read_text(encoding="utf-8"))
    index = SparseIndex.open(folder, resident=True)
    if index.n_documents != documents.n_rows:
        raise ValueError(
            f"{folder} has {index.n_documents:,} documents and the collection "
            f"{documents.n_rows:,}; run again without --reuse"
        )
    index.warm_up()
    return Built(index, folder, **seconds)
