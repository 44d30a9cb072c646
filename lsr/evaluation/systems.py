"""The systems that `lsr eval` knows, made ready on one judged collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lsr.datasets.open import JudgedCorpus
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.dense import open_dense_encoder
from lsr.encoders.learned.bundled_models import DEFAULT_MODEL
from lsr.encoders.protocols import DenseEncoder, Encoder
from lsr.encoders.registry import open_learned
from lsr.errors import InputError
from lsr.evaluation.evaluate import PlanSystem, System, SystemRun, judged_queries
from lsr.evaluation.lucene import LuceneBm25
from lsr.evaluation.tuning import spread
from lsr.progress import Progress
from lsr.retrieval.plan import SearchPlan, plan_from
from lsr.types import Query

if TYPE_CHECKING:
    from lsr.encoders.dense_recipe import DenseOptions
    from lsr.encoders.learned.encoder import LearnedOptions
    from lsr.evaluation.tuning import TuningResult
    from lsr.index.collection.reader import CollectionReader

__all__ = ["LEARNED", "ONLY_SPARSE", "SYSTEMS", "SystemOptions", "Systems"]

PLANS: dict[str, dict[str, Any]] = {
    "bm25": {"mode": "sparse"},
    "dense": {"mode": "dense"},
    "hybrid": {"mode": "hybrid"},
    "rrf": {"mode": "hybrid", "fusion": {"method": "rrf"}},
    "prf:dense": {"mode": "dense", "prf": {"interpolate": "dense_only"}},
    "prf:pre": {"mode": "hybrid", "prf": {"interpolate": "pre"}},
    "prf:post": {"mode": "hybrid", "prf": {"interpolate": "post"}},
    "prf:both": {"mode": "hybrid", "prf": {"interpolate": "both"}},
    "prf:sparse": {"mode": "sparse", "prf": {"sparse": {"enabled": True}}},
}
"""Fields of each system's plan that differ from the defaults."""

TUNED = "tuned"
SYSTEMS = (*PLANS, TUNED, LuceneBm25.name)
ONLY_SPARSE = ("bm25", "prf:sparse", "learned")
LEARNED: dict[str, dict[str, Any]] = {
    "learned": {"mode": "sparse"},
    "learned:hybrid": {"mode": "hybrid"},
}
"""As `PLANS`, of systems over an index of the learned sparse model in place of BM25."""
TUNING_SPLITS = ("dev", "train")
FOLDS = 5


@dataclass(frozen=True)
class SystemOptions:
    """Options of how systems are made.

    Attributes:
        settings: plan fields for every system, under what the system itself says.
        depth: hits that count; the window is not smaller.
        tune_split: judgements to tune on; empty to find some, or to cross-validate.
        tune_queries: judged queries used for it at most.
        cache: a folder for the vectors of networks.
        learned: the learned sparse model of the systems in `LEARNED`.
        learned_options: how it is used.
        dense_options: of the dense model.
    """

    source: str
    split: str
    depth: int
    dense: str
    k1: float
    b: float
    cache: Path
    settings: dict[str, Any] = field(default_factory=dict)
    tune_split: str = ""
    tune_queries: int = 300
    tune_sparse: bool = False
    learned: str = DEFAULT_MODEL
    learned_options: LearnedOptions | None = None
    dense_options: DenseOptions | None = None


@dataclass(frozen=True)
class _LuceneSystem:
    """Lucene, timed inside its own process: analysis and search, one query at a time."""

    lucene: LuceneBm25
    name: str = LuceneBm25.name

    @property
    def size_bytes(self) -> int:
        return self.lucene.size_bytes()

    def answer(self, queries: Sequence[Query], k: int, progress: Progress) -> SystemRun:
        progress(self.name, 0, None)
        result = self.lucene.run(queries, k)
        return SystemRun(result.run, result.query_ms)


class Systems:
    """Makes systems by name; our own share one collection, built when it is first needed.

    Args:
        work: an empty folder for indexes.
        with_dense: whether dense vectors will be needed.

    Attributes:
        notes: sentences on how systems were made.
    """

    def __init__(
        self,
        corpus: JudgedCorpus,
        options: SystemOptions,
        work: Path,
        progress: Progress,
        *,
        with_dense: bool,
    ) -> None:
        self.notes: list[str] = []
        self._corpus = corpus
        self._options = options
        self._work = work
        self._progress = progress
        self._with_dense = with_dense
        self._built: dict[bool, CollectionReader] = {}

    def check(self, names: Sequence[str]) -> None:
        """Refuse, before anything is built, what cannot be done as asked.

        Raises:
            InputError: a setting is wrong, or there is no such split to tune on.
        """
        for name in names:
            self._plan(name)
        if TUNED in names:
            self._tuning_split()

    def make(self, name: str) -> System:
        """A system ready to be asked.

        Raises:
            UnavailableError: something it needs is not installed.
        """
        if name == LuceneBm25.name:
            return self._lucene()
        if name not in ONLY_SPARSE and not self._with_dense:
            raise InputError(f"{name} needs dense vectors")
        collection = self._collection(name in LEARNED)
        searcher, segment = collection.hybrid, collection.segment
        plan = self._plan(name)
        by_query: dict[str, SearchPlan] = {}
        if name == TUNED:
            plan, by_query = self._tuned(collection)
        sides = {"sparse": segment.lists_nbytes, "dense": segment.vectors_nbytes}
        mode = plan.resolved(collection.modes).mode
        size = sum(sides.values()) if mode == "hybrid" else sides[str(mode)]
        return PlanSystem(name, searcher, segment.doc_ids, plan, size, by_query)

    def close(self) -> None:
        """Close the collections."""
        for collection in self._built.values():
            collection.close()

    def _plan(self, name: str) -> SearchPlan:
        own = (PLANS | LEARNED).get(name, {"mode": "hybrid"})
        given = {"window": min(self._options.depth, 10_000), **_merged(self._options.settings, own)}
        return plan_from(given)

    def _collection(self, learned: bool) -> CollectionReader:
        from lsr.index.collection.build import build_collection
        from lsr.index.collection.reader import CollectionReader

        if learned not in self._built:
            options = self._options
            path = self._work / ("learned" if learned else "index")
            sparse: Encoder = Bm25Encoder(k1=options.k1, b=options.b)
            if learned:
                sparse = open_learned(options.learned, options.learned_options)
            build_collection(
                self._corpus.documents(),
                path,
                sparse=sparse,
                dense=self._dense(),
                source=options.source,
                vector_cache=options.cache,
                progress=self._progress,
            )
            self._built[learned] = CollectionReader.open(path)
            self._built[learned].warm_up()
            self._note(sparse, self._built[learned])
        return self._built[learned]

    def _dense(self) -> DenseEncoder | None:
        options = self._options
        if not self._with_dense:
            return None
        return open_dense_encoder(options.dense, options=options.dense_options)

    def _note(self, sparse: Encoder, collection: CollectionReader) -> None:
        """Say what a learned model's vectors cost."""
        if sparse.identity.kind != "learned":
            return
        n_documents = max(collection.n_documents, 1)
        terms = collection.manifest.n_postings / n_documents
        judged = self._corpus.qrels(self._options.split)
        queries = judged_queries(list(self._corpus.queries()), judged)
        asked = sparse.encode_queries([query.text for query in queries]).terms
        held = collection.segment.document_frequency(asked) / n_documents
        flops = float(held.sum()) / max(len(queries), 1)
        options = ", ".join(f"{k} {v}" for k, v in sparse.identity.parameters.items())
        self.notes.append(
            f"learned: {sparse.identity.name} ({options}), {terms:.1f} terms a document, "
            f"retrieval FLOPS {flops:.2f}"
        )

    def _lucene(self) -> System:
        LuceneBm25.check_available()
        folder = self._work / "lucene"
        folder.mkdir()
        lucene = LuceneBm25(folder, k1=self._options.k1, b=self._options.b)
        self._progress("Lucene's index", 0, None)
        lucene.build(self._corpus.documents())
        return _LuceneSystem(lucene)

    def _tuned(self, collection: CollectionReader) -> tuple[SearchPlan, dict[str, SearchPlan]]:
        """A plan tuned on another split, or plans by query that were chosen without it."""
        from lsr.evaluation.tuning import Tuner

        options = self._options
        split = self._tuning_split()
        qrels = self._corpus.qrels(split or options.split)
        queries = judged_queries(list(self._corpus.queries()), qrels)
        base = self._plan(TUNED)
        tuner = Tuner(
            collection.hybrid,
            collection.segment.doc_ids,
            spread(queries, options.tune_queries if split else 0),
            qrels,
            base=plan_from({"window": 100}, base),
            sparse_feedback=options.tune_sparse,
            progress=self._progress,
        )
        if split:
            tuned = tuner.tune(folds=FOLDS)
            self.notes.append(f"tuned on {tuner.n_queries:,} queries of {split}: {_told(tuned)}")
            return _at_window(tuned.plan, base), {}
        everything = np.arange(tuner.n_queries)
        plans: dict[str, SearchPlan] = {}
        kept: list[str] = []
        for train, test in tuner.folds(everything, FOLDS):
            tuned = tuner.tune(train, folds=FOLDS)
            kept.append(tuned.chosen)
            for place in test.tolist():
                plans[queries[place].query_id] = _at_window(tuned.plan, base)
        self.notes.append(
            f"tuned by cross-validation in {FOLDS} folds, as there is no other split: each query "
            f"is searched by a plan chosen without it (kept: {', '.join(kept)})"
        )
        return base, plans

    def _tuning_split(self) -> str:
        """Judgements other than those that are evaluated, or an empty name."""
        wanted, there = self._options.tune_split, self._corpus.splits()
        if wanted == self._options.split:
            raise InputError(
                f"{wanted} is what is evaluated; tune on another split, or leave --tune-split out"
            )
        if wanted and wanted not in there:
            raise InputError(
                f"{self._corpus.name} has no split {wanted!r}; there are: {', '.join(there)}"
            )
        choices = [name for name in TUNING_SPLITS if name in there and name != self._options.split]
        return wanted or next(iter(choices), "")


def _told(tuned: TuningResult) -> str:
    plan = tuned.plan
    told = f"kept {tuned.chosen}, weight_sparse {plan.fusion.weight_sparse}"
    if plan.prf.interpolate != "none":
        told += (
            f", weight_sparse_pre {plan.prf.weight_sparse_pre}, depth {plan.prf.depth}, "
            f"beta {plan.prf.dense.beta}"
        )
        if plan.prf.sparse.enabled:
            told += f", sparse beta {plan.prf.sparse.beta}, terms {plan.prf.sparse.terms}"
    values = (f"{name} {c.held_out:.4f}" for name, c in tuned.candidates.items())
    return f"{told} (held out: {', '.join(values)})"


def _at_window(plan: SearchPlan, base: SearchPlan) -> SearchPlan:
    return plan_from({"window": base.window}, plan)


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Nested mappings as one; what both have is as in `over`."""
    merged = dict(under)
    for name, value in over.items():
        below = under.get(name)
        nested = isinstance(value, dict) and isinstance(below, dict)
        merged[name] = _merged(below or {}, value) if nested else value
    return merged
