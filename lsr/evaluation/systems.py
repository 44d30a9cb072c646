"""The systems that `lsr eval` knows, made ready on one judged collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lsr.datasets.open import JudgedCorpus
from lsr.encoders.analysis.detection import AUTO
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.protocols import TokenizedEncoder
from lsr.errors import InputError
from lsr.evaluation.evaluate import PlanSystem, System, SystemRun, judged_queries
from lsr.evaluation.judged import JudgedCollection
from lsr.evaluation.lucene import LuceneBm25
from lsr.evaluation.models import Models
from lsr.evaluation.system_names import LEARNED, PLANS, SystemSpec, is_tuned
from lsr.evaluation.tuning import FEWEST_QUERIES, spread
from lsr.files import checksum
from lsr.passages.passage import PassageSettings
from lsr.progress import Progress
from lsr.retrieval.hybrid import HybridSearcher
from lsr.retrieval.plan import SearchPlan, plan_from
from lsr.types import Query

if TYPE_CHECKING:
    from lsr.evaluation.tuning import TuningResult
    from lsr.index.collection.reader import CollectionReader

__all__ = [
    "SparseCost",
    "SystemOptions",
    "Systems",
    "check_systems",
    "check_tuning",
    "fusion_window",
    "tuning_split",
]

TUNING_SPLITS, FOLDS = ("dev", "train"), 5
_ENGLISH = "english"


@dataclass(frozen=True)
class SystemOptions:
    """Options of how systems are made.

    Attributes:
        cache: a folder for the vectors of networks.
        depth: hits that count.
        k1, b: of BM25.
        language: of words, by BM25 or beside learned models; `AUTO` for each collection's.
        settings: plan fields for every system, under what the system itself says.
        tune_split: judgements to tune on; empty to find some, or to cross-validate.
        tune_queries: judged queries used for it at most.
        tune_sparse: whether feedback to the sparse query is tuned too.
        passages: how long documents are split, for models that read passages; None for not at all.
    """

    cache: Path
    depth: int = 1000
    k1: float = 0.9
    b: float = 0.4
    language: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    tune_split: str = ""
    tune_queries: int = 300
    tune_sparse: bool = False
    passages: PassageSettings | None = None


@dataclass(frozen=True)
class SparseCost:
    """Cost of a sparse side, over a collection and its judged queries.

    Attributes:
        terms: active terms of a document, on average.
        flops: terms that a query and a document share, on average: the paper's retrieval FLOPS;
            None where feedback adds terms to queries.
    """

    terms: float
    flops: float | None


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
    """Makes systems on one collection. Each model indexes it once, when it is first needed.

    Args:
        specs: all that may be asked for.
        work: an empty folder for indexes.
    """

    def __init__(
        self,
        collection: JudgedCollection,
        specs: Sequence[SystemSpec],
        models: Models,
        options: SystemOptions,
        work: Path,
        progress: Progress,
    ) -> None:
        self._collection = collection
        self._models = models
        self._options = options
        self._work = work
        asked = options.language
        self._language = collection.language.language if asked == AUTO else asked
        self._progress = progress
        self._dense_models = list(dict.fromkeys(spec.dense for spec in specs if spec.dense))
        self._built: dict[tuple[str | None, str | None], CollectionReader] = {}
        self._costs: dict[str | None, SparseCost] = {}
        self._tuned: dict[str, str] = {}

    def describe(self, spec: SystemSpec) -> dict[str, Any]:
        """All that decides a system's answers on the collection, as plain values."""
        options = self._options
        if spec.kind == LuceneBm25.name:
            return {"kind": spec.kind, "k1": options.k1, "b": options.b}
        told: dict[str, Any] = {"kind": spec.kind, "plan": _plan(spec, self._options).as_dict()}
        if spec.sparse is not None:
            own = {} if self._language is None else {"language": self._language}
            told["sparse"] = {**self._models.identity("sparse", spec.sparse), **own}
        elif told["plan"]["mode"] != "dense":
            told["sparse"] = self._bm25().identity.parameters
        if spec.dense is not None:
            told["dense"] = self._models.identity("dense", spec.dense)
        if options.passages is not None:
            told["passages"] = asdict(options.passages)
        if is_tuned(spec.kind):
            split = tuning_split(self._collection.corpus, self._collection.split, options)
            told["tune"] = [split, options.tune_queries, options.tune_sparse]
            told["judgements"] = checksum(self._collection.corpus.qrels(split)) if split else ""
        return told

    def make(self, spec: SystemSpec) -> System:
        """A system ready to be asked.

        Raises:
            UnavailableError: something it needs is not installed.
        """
        if spec.kind == LuceneBm25.name:
            return self._lucene()
        plan = _plan(spec, self._options)
        searcher, sizes = self._searcher(spec)
        reader = self._sparse_reader(spec.sparse)
        by_query: dict[str, SearchPlan] = {}
        if is_tuned(spec.kind):
            plan, by_query = self._tune(spec, searcher)
        mode = plan.resolved(searcher.modes).mode
        size = sum(sizes.values()) if mode == "hybrid" else sizes[str(mode)]
        return PlanSystem(spec.name, searcher, reader.segment.doc_ids, plan, size, by_query)

    def cost(self, spec: SystemSpec) -> SparseCost | None:
        """The cost of a made system that is sparse alone; None for others."""
        plan = _plan(spec, self._options) if spec.kind != LuceneBm25.name else None
        if plan is None or plan.mode != "sparse":
            return None
        cost = self._cost(spec.sparse)
        return replace(cost, flops=None) if plan.prf.sparse.enabled else cost

    def notes(self, spec: SystemSpec) -> tuple[str, ...]:
        """Sentences on how a made system was made."""
        found: list[str] = []
        if spec.sparse is not None:
            identity = self._sparse_reader(spec.sparse).manifest.sparse
            options = ", ".join(f"{k} {v}" for k, v in identity.parameters.items())
            cost = self._cost(spec.sparse)
            found.append(
                f"{spec.label}: {identity.name} ({options}), {cost.terms:.1f} terms a document, "
                f"retrieval FLOPS {cost.flops:.2f}"
            )
        if self._options.language == AUTO:
            found.append(self._collection.language.told)
        if spec.name in self._tuned:
            found.append(self._tuned[spec.name])
        return tuple(found)

    def close(self) -> None:
        """Close the collections."""
        for reader in self._built.values():
            reader.close()

    def _sparse_reader(self, model: str | None) -> CollectionReader:
        """The collection under a sparse model; BM25's has the first dense model's vectors too."""
        dense = self._dense_models[0] if model is None and self._dense_models else None
        return self._reader(model, dense)

    def _searcher(self, spec: SystemSpec) -> tuple[HybridSearcher, dict[str, int]]:
        """Both sides behind one search, and the bytes of each.

        Rows are the same in every collection, as all are built from the same documents in the same
        order, so a side of one goes with a side of another.
        """
        sparse = self._sparse_reader(spec.sparse)
        sizes = {"sparse": sparse.segment.lists_nbytes, "dense": 0}
        if spec.dense is None:
            return HybridSearcher(sparse.sparse, None, sparse.segment.tie_order), sizes
        dense = self._reader(None, spec.dense)
        sizes["dense"] = dense.segment.vectors_nbytes
        return HybridSearcher(sparse.sparse, dense.hybrid.dense, sparse.segment.tie_order), sizes

    def _reader(self, sparse: str | None, dense: str | None) -> CollectionReader:
        from lsr.index.collection.build import build_collection
        from lsr.index.collection.reader import CollectionReader

        if (sparse, dense) not in self._built:
            options = self._options
            path = self._work / f"index-{len(self._built)}"
            language = self._language
            encoder = self._bm25() if sparse is None else self._models.sparse(sparse, language)
            vectors = self._models.dense(dense) if dense is not None else None
            reads = any(isinstance(each, TokenizedEncoder) for each in (encoder, vectors))
            build_collection(
                self._collection.corpus.documents(),
                path,
                sparse=encoder,
                dense=vectors,
                source=self._collection.source,
                passages=options.passages if reads else None,
                vector_cache=options.cache,
                progress=self._progress,
            )
            reader = CollectionReader.open(path, dense=vectors)
            reader.warm_up()
            self._built[sparse, dense] = reader
        return self._built[sparse, dense]

    def _bm25(self) -> Bm25Encoder:
        k1, b = self._options.k1, self._options.b
        return Bm25Encoder(k1=k1, b=b, language=self._language or _ENGLISH)

    def _cost(self, model: str | None) -> SparseCost:
        if model not in self._costs:
            reader = self._sparse_reader(model)
            n_documents = max(reader.n_documents, 1)
            texts = [query.text for query in self._collection.queries]
            held = reader.segment.document_frequency(reader.encoder.encode_queries(texts).terms)
            flops = float((held / n_documents).sum()) / max(len(texts), 1)
            self._costs[model] = SparseCost(reader.manifest.n_postings / n_documents, flops)
        return self._costs[model]

    def _lucene(self) -> System:
        LuceneBm25.check_available()
        folder = self._work / "lucene"
        folder.mkdir()
        lucene = LuceneBm25(folder, k1=self._options.k1, b=self._options.b)
        self._progress("Lucene's index", 0, None)
        lucene.build(self._collection.corpus.documents())
        return _LuceneSystem(lucene)

    def _tune(
        self, spec: SystemSpec, searcher: HybridSearcher
    ) -> tuple[SearchPlan, dict[str, SearchPlan]]:
        """A plan tuned on another split, or plans by query that were chosen without it."""
        from lsr.evaluation.tuning import Tuner

        options, collection = self._options, self._collection
        split = tuning_split(collection.corpus, collection.split, options)
        qrels = collection.corpus.qrels(split) if split else collection.qrels
        queries = judged_queries(list(collection.corpus.queries()), qrels)
        base = _plan(spec, self._options)
        tuner = Tuner(
            searcher,
            self._sparse_reader(spec.sparse).segment.doc_ids,
            spread(queries, options.tune_queries if split else 0),
            qrels,
            base=plan_from({"window": 100}, base),
            sparse_feedback=options.tune_sparse,
            progress=self._progress,
        )
        if split:
            tuned = tuner.tune(folds=FOLDS)
            self._tuned[spec.name] = (
                f"{spec.name} on {tuner.n_queries:,} queries of {split}: {_told(tuned)}"
            )
            return _at_window(tuned.plan, base), {}
        everything = np.arange(tuner.n_queries)
        plans: dict[str, SearchPlan] = {}
        kept: list[str] = []
        for train, test in tuner.folds(everything, FOLDS):
            tuned = tuner.tune(train, folds=FOLDS)
            kept.append(tuned.chosen)
            for place in test.tolist():
                plans[queries[place].query_id] = _at_window(tuned.plan, base)
        self._tuned[spec.name] = (
            f"{spec.name} by cross-validation in {FOLDS} folds, as there is no other split: each "
            f"query is searched by a plan chosen without it (kept: {', '.join(kept)})"
        )
        return base, plans


def check_systems(specs: Sequence[SystemSpec], options: SystemOptions) -> None:
    """Refuse plans and options that cannot be as they are set.

    Raises:
        InputError: one is out of its range, or not known.
    """
    language = "none" if options.language == AUTO else options.language or _ENGLISH
    Bm25Encoder(k1=options.k1, b=options.b, language=language)
    for spec in specs:
        _plan(spec, options)


def tuning_split(corpus: JudgedCorpus, evaluated: str, options: SystemOptions) -> str:
    """Judgements other than those that are evaluated, or an empty name.

    Raises:
        InputError: there is no such split, or it is the one that is evaluated.
    """
    wanted, there = options.tune_split, corpus.splits()
    if wanted and wanted == evaluated:
        raise InputError(
            f"{wanted} is what is evaluated; tune on another split, or leave --tune-split out"
        )
    if wanted and wanted not in there:
        raise InputError(
            f"{corpus.name} has no split {wanted!r}; there are: {', '.join(there) or 'none'}"
        )
    choices = [name for name in TUNING_SPLITS if name in there and name != evaluated]
    return wanted or next(iter(choices), "")


def check_tuning(collection: JudgedCollection, options: SystemOptions) -> None:
    """Refuse judgements that are too few to tune on.

    Raises:
        InputError: they are, or there is no such split.
        DataError: they cannot be read.
    """
    split = tuning_split(collection.corpus, collection.split, options)
    queries: Sequence[Query] = collection.queries
    if split:
        queries = judged_queries(list(collection.corpus.queries()), collection.corpus.qrels(split))
    if len(queries) < FEWEST_QUERIES:
        raise InputError(
            f"{collection.name}: {len(queries)} judged queries of {split or collection.split} are "
            f"too few to tune on; at least {FEWEST_QUERIES} are needed"
        )


def fusion_window(spec: SystemSpec, options: SystemOptions) -> int | None:
    """Hits of each side that its fusion looks at; None for a system of one side."""
    plan = _plan(spec, options) if spec.kind != LuceneBm25.name else None
    return plan.window if plan is not None and plan.mode == "hybrid" else None


def _plan(spec: SystemSpec, options: SystemOptions) -> SearchPlan:
    own = (PLANS | LEARNED).get(spec.kind, {"mode": "hybrid"})
    fields = _merged(options.settings, own)
    return plan_from(fields if spec.point is None else _merged(fields, spec.point.fields))


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
