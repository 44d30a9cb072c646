"""Relevance and cost of a model on judged collections, beside BM25 in the same process."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.relevance.encoder_queries import medians_us
from lsr.datasets.open import open_judged_corpus
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.registry import learned_options
from lsr.evaluation.evaluate import System, evaluate_system, parse_metrics
from lsr.evaluation.judged import JudgedCollection, read_judged
from lsr.evaluation.models import Models
from lsr.evaluation.suites import SuiteMember
from lsr.evaluation.system_names import SystemSpec, named_systems
from lsr.evaluation.systems import SystemOptions, Systems
from lsr.progress import Progress

__all__ = ["MeasuredCollection", "SetFigures", "mean_of"]

DEPTH = 10


@dataclass(frozen=True)
class SetFigures:
    """Figures of a system on a collection.

    Attributes:
        ndcg, mrr: at rank 10.
        query_terms, document_terms: active terms on average; None of dense vectors.
        flops: terms that a query and a document share, on average; likewise.
        ms: of a query, from text to ranked ids, in the middle.
        bm25_ms: BM25's, asked the same queries just before.
    """

    ndcg: float
    mrr: float
    query_terms: float | None
    document_terms: float | None
    flops: float | None
    ms: float
    bm25_ms: float

    def as_dict(self) -> dict[str, float | None]:
        """For JSON."""
        return asdict(self)


class MeasuredCollection:
    """A judged collection, with BM25's index of it.

    Args:
        member: its source, and the measures that papers report on it.
        cache: for vectors of networks.
        timed: queries that are timed at least; those of the collection are repeated.
    """

    def __init__(self, member: SuiteMember, cache: Path, timed: int, progress: Progress) -> None:
        collection, _ = read_judged(
            member.source, open_judged_corpus(member.source), progress=progress
        )
        self.collection: JudgedCollection = collection
        graded = any("rel=2" in metric for metric in member.metrics)
        self._mrr = "RR(rel=2)@10" if graded else "RR@10"
        self._options = SystemOptions(cache, DEPTH)
        self._timed = timed
        self._progress = progress
        self._open = ExitStack()
        self._bm25: tuple[Systems, System] | None = None

    @property
    def name(self) -> str:
        return self.collection.name

    def close(self) -> None:
        """Close BM25's index."""
        self._open.close()

    def bm25(self) -> SetFigures:
        """Figures of BM25."""
        systems, system = self._yardstick()
        (spec,) = named_systems(["bm25"], [], [])
        stems = Bm25Encoder().analyzer.terms
        texts = [query.text for query in self.collection.queries]
        terms = float(np.mean([len(set(stems(text))) for text in texts]))
        return self._figures(systems, system, spec, terms)

    def dense(self, model: str) -> SetFigures:
        """Figures of a dense model."""
        return self._made(named_systems(["dense"], [], [model]), Models(), lambda _: None)

    def learned(self, model: Path) -> SetFigures:
        """Figures of a learned model, by its own query table and without lexical terms."""
        models = Models(learned_options(idf="model", lexical_weight=0.0))

        def query_terms(texts: Sequence[str]) -> float:
            encoded = models.sparse(str(model)).encode_queries(texts)
            return float(encoded.indptr[-1]) / len(texts)

        return self._made(named_systems(["learned"], [str(model)], []), models, query_terms)

    def _made(
        self,
        specs: list[SystemSpec],
        models: Models,
        query_terms: Callable[[Sequence[str]], float | None],
    ) -> SetFigures:
        terms = query_terms([query.text for query in self.collection.queries])
        with TemporaryDirectory(prefix="lsr-framework-") as work:
            systems = Systems(
                self.collection, specs, models, self._options, Path(work), self._progress
            )
            try:
                return self._figures(systems, systems.make(specs[0]), specs[0], terms)
            finally:
                systems.close()

    def _yardstick(self) -> tuple[Systems, System]:
        if self._bm25 is None:
            work = self._open.enter_context(TemporaryDirectory(prefix="lsr-framework-"))
            specs = named_systems(["bm25"], [], [])
            systems = Systems(
                self.collection, specs, Models(), self._options, Path(work), self._progress
            )
            self._open.callback(systems.close)
            self._bm25 = systems, systems.make(specs[0])
        return self._bm25

    def _figures(
        self, systems: Systems, system: System, spec: SystemSpec, query_terms: float | None
    ) -> SetFigures:
        collection = self.collection
        result = evaluate_system(
            system,
            collection.queries,
            collection.qrels,
            parse_metrics(["nDCG@10", self._mrr]),
            depth=DEPTH,
            itself=collection.itself,
            progress=self._progress,
        )
        n = max(self._timed, len(collection.queries))
        asked = list(islice(cycle(collection.queries), n))
        bm25_us, us = medians_us([self._yardstick()[1], system], asked, DEPTH)
        cost = systems.cost(spec)
        return SetFigures(
            ndcg=result.metrics["nDCG@10"],
            mrr=result.metrics[self._mrr],
            query_terms=query_terms,
            document_terms=None if cost is None else cost.terms,
            flops=None if cost is None else cost.flops,
            ms=us / 1e3,
            bm25_ms=bm25_us / 1e3,
        )


def mean_of(figures: Sequence[SetFigures]) -> dict[str, float | None]:
    """Means over collections, by name; `ratio` is the mean of query times over BM25's."""
    means: dict[str, float | None] = {}
    for name in figures[0].as_dict():
        values = [each.as_dict()[name] for each in figures]
        known = [value for value in values if value is not None]
        means[name] = statistics.mean(known) if len(known) == len(values) else None
    means["ratio"] = statistics.mean(each.ms / each.bm25_ms for each in figures)
    return means
