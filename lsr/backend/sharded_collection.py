"""`ShardedCollection`: shards that are searched as one collection, with its answers to the bit.

A query takes two rounds: candidates with both sides' scores, then the documents of the page, which
come along with the candidates where few shards are searched by one side; with feedback four: the
vectors of what is learned from, and the candidates of the query that moved.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.backend.gathering import Gathering
from lsr.backend.shard import ShardInfo, Shards
from lsr.backend.sides import GatheredDense, GatheredSparse, GatheredVectors, Moving
from lsr.encoders.corpus.word_mask import word_mask
from lsr.encoders.dense_recipe import Similarity, similarity_of
from lsr.encoders.protocols import DenseEncoder, Encoder
from lsr.errors import IndexVersionError, LsrError, NotFoundError
from lsr.index.metadata.hits import HitMaker
from lsr.retrieval.answer import PrfReport, ShardCounts
from lsr.retrieval.answers.answer import Answer
from lsr.retrieval.asked import check_page, checked_query
from lsr.retrieval.filter import Filter
from lsr.retrieval.hybrid import HybridQuery, HybridResult, HybridSearcher, Notice
from lsr.retrieval.plan import MODES, Mode, SearchPlan, plan_from, resolved
from lsr.sparse import SparseVector
from lsr.stopwatch import Deadline, Stopwatch
from lsr.types import Document, Query, Run, ScoredDoc

__all__ = ["ShardedCollection", "shard_of"]

DEFAULT_K = 10
MOST_SENT_ALONG = 128
"""Documents in all, of which all but a page are for nothing."""


def shard_of(doc_id: str, n_shards: int) -> int:
    """The shard that a document is in, by a hash of its identifier."""
    return zlib.crc32(doc_id.encode()) % n_shards


class ShardedCollection:
    """Shards behind one search. Nothing here grows with the number of documents.

    Args:
        name: for people.
        shards: all of them must answer while it is opened.
        encoder: the sparse encoder that all shards were made with.
        dense: gives the dense model when it is first needed; None without dense vectors.
        generation: of the collection.
        sizes: how many shards stand behind each of `shards`; 1 by default.
        default_plan: of searches that bring none.

    Raises:
        IndexVersionError: the shards were made with different models, or with other ones.
        ShardsMissingError: a shard does not answer.
    """

    def __init__(
        self,
        name: str,
        shards: Shards,
        encoder: Encoder,
        dense: Callable[[], DenseEncoder] | None = None,
        *,
        generation: int = 1,
        sizes: Sequence[int] = (),
        default_plan: SearchPlan | None = None,
    ) -> None:
        self.name = name
        self.encoder = encoder
        self.generation = generation
        self.default_plan = default_plan or SearchPlan()
        self._shards = shards
        self._sizes = tuple(sizes) or (1,) * shards.n
        infos = Gathering(shards).call("info", dict.fromkeys(range(shards.n), ()))
        self.infos: list[ShardInfo] = [infos[number] for number in range(shards.n)]
        self._check()
        self._open_dense = dense
        self._frequency = np.sum([info.document_frequency for info in self.infos], axis=0)

    def _check(self) -> None:
        first = self.infos[0]
        for number, info in enumerate(self.infos):
            if (info.sparse, info.dense) != (first.sparse, first.dense):
                raise IndexVersionError(
                    f"shards 0 and {number} of {self.name} were made with different models, and "
                    "their scores do not compare; build the index again"
                )
        if self.encoder.identity.sha256 != first.sparse.sha256:
            raise IndexVersionError(
                f"the shards of {self.name} were made with another {first.sparse.name}, or other "
                "statistics; build the index again"
            )

    @property
    def n_shards(self) -> int:
        return sum(self._sizes)

    @property
    def n_documents(self) -> int:
        """Documents that can be found."""
        return sum(info.n_documents for info in self.infos)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes this collection can be searched in; the first is the default."""
        return MODES if self.infos[0].dense else ("sparse",)

    @property
    def dimension(self) -> int:
        """Of dense vectors; 0 without any."""
        return self.infos[0].dimension

    @property
    def similarity(self) -> Similarity:
        """Of dense vectors: cosine or dot."""
        dense = self.infos[0].dense
        return "cosine" if dense is None else similarity_of(dense)

    @cached_property
    def _dense_model(self) -> DenseEncoder:
        assert self._open_dense is not None
        return self._open_dense()

    @cached_property
    def _is_word(self) -> NDArray[np.bool_]:
        return word_mask(self.encoder)

    def _may_feed(self, terms: NDArray[np.int32], max_df: float) -> NDArray[np.bool_]:
        most = max_df * sum(info.n_passages for info in self.infos)
        mask: NDArray[np.bool_] = (self._frequency[terms] <= most) & self._is_word[terms]
        return mask

    def search(
        self,
        text: str,
        *,
        k: int | None = None,
        offset: int = 0,
        mode: Mode | None = None,
        where: Mapping[str, object] | Filter | None = None,
        plan: SearchPlan | None = None,
        sparse_vector: SparseVector | None = None,
        dense_vector: NDArray[np.float32] | None = None,
        deadline: Deadline | None = None,
    ) -> Answer:
        """Search, and fetch the documents found. Arguments as of `CollectionReader.search`.

        Raises:
            QueryError: the query says nothing, or a part of it does not fit the collection.
            ShardsMissingError: shards do not answer, and the plan does not allow for it.
            UnavailableError, RetrieverError, ModelError: a side cannot answer.
        """
        watch = Stopwatch()
        plan = plan or self.default_plan
        plan = plan if mode is None else plan_from({"mode": mode}, plan)
        query = checked_query(text, sparse_vector, dense_vector, self if self.dimension else None)
        page = slice(offset, offset + (DEFAULT_K if k is None else k))
        plan = resolved(plan, self.modes, self._has_floors)
        window = plan.window if plan.mode == "hybrid" else None
        check_page(page, window, self.n_documents)
        outcome, hybrid, gathering = self._searched(query, plan, where, page.stop, deadline)
        watch.lap("plan")
        watch.took_ms["plan"] -= sum(outcome.took_ms.values())
        watch.took_ms.update(outcome.took_ms)
        return self._answer(outcome, hybrid, gathering, page, watch)

    @property
    def _has_floors(self) -> bool:
        return not self.dimension or self._floor is not None

    @property
    def _floor(self) -> float | None:
        return -1.0 if self.similarity == "cosine" else None

    def _searched(
        self,
        query: HybridQuery,
        plan: SearchPlan,
        where: Mapping[str, object] | Filter | None,
        reach: int,
        deadline: Deadline | None = None,
    ) -> tuple[HybridResult, HybridSearcher, Gathering]:
        lists = _lists(plan)
        completes = plan.mode == "hybrid" and plan.fusion.missing == "exact"
        gathering = Gathering(
            self._shards,
            where,
            lists,
            complete=completes,
            allow_partial=plan.allow_partial,
            n_documents=self.n_documents,
            fetch=self._fetch(plan, reach),
        )
        vectors = GatheredVectors(gathering, self.encoder.n_terms, self.dimension, _moving(plan))
        name = self.infos[0].sparse.name
        sparse = GatheredSparse(gathering, name, self.encoder, self._may_feed, vectors)
        dense = self._dense_side(gathering, vectors)
        hybrid = HybridSearcher(
            sparse,
            dense,
            gathering.ties,
            dense_feedback=Moving(plan.prf.dense.above(self._floor), gathering, 1),
            sparse_feedback=Moving(plan.prf.sparse, gathering, 0),
        )
        query = self._encoded(query, lists)
        gathering.begin(query.sparse, query.dense)
        return hybrid.search(query, plan, reach=reach, deadline=deadline), hybrid, gathering

    def _fetch(self, plan: SearchPlan, reach: int) -> int:
        """Documents that shards send along: where they know the order, and few are for nothing."""
        moves = plan.may_move_sparse and not plan.prf.sparse.is_off
        moves = moves or (plan.may_move_dense and not plan.prf.dense.is_off)
        knows = plan.mode != "hybrid" and not moves
        return reach if knows and reach * self.n_shards <= MOST_SENT_ALONG else 0

    def _dense_side(self, gathering: Gathering, vectors: GatheredVectors) -> GatheredDense | None:
        identity = self.infos[0].dense
        if identity is None:
            return None
        return GatheredDense(
            gathering, identity.name, lambda: self._dense_model, self._floor, vectors
        )

    def _encoded(self, query: HybridQuery, lists: tuple[bool, bool]) -> HybridQuery:
        """The query with the vectors of both sides, so that one round searches both.

        Where there is only one side, or a model fails, the search encodes, and tells.
        """
        if not all(lists):
            return query
        sparse, dense = query.sparse, query.dense
        try:
            if sparse is None:
                sparse = self.encoder.encode_queries([query.text]).row(0)
            if dense is None:
                dense = self._dense_model.encode_queries([query.text])[0]
        except (LsrError, RuntimeError, OSError):
            return query
        if np.isfinite(dense).all() and np.isfinite(sparse.weights).all():
            return HybridQuery(query.text, sparse, dense)
        return query

    def _answer(
        self,
        outcome: HybridResult,
        hybrid: HybridSearcher,
        gathering: Gathering,
        page: slice,
        watch: Stopwatch,
    ) -> Answer:
        plan = outcome.plan
        total = len(outcome.final.rows)
        total = min(total, plan.window) if plan.mode == "hybrid" else total
        rows, scores = outcome.rows[page], outcome.scores[page]
        fetched = _Fetched(gathering, rows)
        make = HitMaker(fetched, hybrid, gathering.doc_ids)
        here = fetched.places
        hits = make.hits(outcome, rows[here], scores[here], watch)
        prf = PrfReport.of(outcome, hybrid.sparse, gathering.doc_ids)
        if plan.explain != "none":
            watch.lap("explain")
        n, missing = self.n_shards, gathering.missing
        n_missing = sum(self._sizes[number] for number in missing)
        notices = outcome.notices
        if missing:
            detail = f"{n_missing} of {n} shards did not answer: {next(iter(missing.values()))}"
            notices = (*notices, Notice("shards_missing", detail))
        return Answer(
            text=outcome.query.text,
            mode=plan.mode or "sparse",
            hits=hits,
            total=total,
            plan=plan,
            generation=self.generation,
            prf=prf,
            warnings=notices,
            took_ms=watch.total(),
            first=page.start,
            shards=ShardCounts(n, n - n_missing),
        )

    def run(self, queries: Sequence[Query], plan: SearchPlan, k: int) -> Run:
        """The `k` best documents of each query, without their texts."""
        plan = resolved(plan, self.modes, self._has_floors)
        run: Run = {}
        for query in queries:
            outcome, _, gathering = self._searched(HybridQuery(query.text), plan, None, k)
            doc_ids = gathering.doc_ids(outcome.rows[:k])
            lines = zip(repeat(query.query_id), doc_ids, outcome.scores[:k].tolist(), strict=False)
            run[query.query_id] = list(map(ScoredDoc._make, lines))
        return run

    def document(self, doc_id: str) -> Document:
        """A document by id. Raises NotFoundError when there is none, and ShardsMissingError."""
        shard = shard_of(doc_id, self._shards.n)
        found: Document | None = Gathering(self._shards).call("document", {shard: (doc_id,)})[shard]
        if found is None:
            raise NotFoundError(f"there is no document {doc_id!r} in {self.name}")
        return found

    def close(self) -> None:
        """Let the shards go."""
        self._shards.close()


class _Fetched:
    """The documents of a page, for a `HitMaker`.

    Attributes:
        places: those of the rows whose shard answered.
    """

    def __init__(self, gathering: Gathering, rows: NDArray[np.int32]) -> None:
        came = enumerate(map(gathering.documents.get, rows.tolist()))
        found = {place: document for place, document in came if document is not None}
        left = np.setdiff1d(np.arange(len(rows)), list(found)).astype(np.intp)
        for places, documents in gathering.parts(rows[left], "documents", lambda own: (own,)):
            found |= dict(zip(left[places].tolist(), documents, strict=True))
        self.places = sorted(found)
        self._by_row = {int(rows[place]): document for place, document in found.items()}

    def documents(self, rows: Sequence[int]) -> list[Document]:
        return [self._by_row[row] for row in rows]

    def passages(self, rows: Sequence[int]) -> list[tuple[Any, ...]]:
        return [()] * len(rows)


def _moving(plan: SearchPlan) -> tuple[bool, bool]:
    """Which sides' vectors feedback may learn from."""
    return plan.may_move_sparse, plan.may_move_dense


def _lists(plan: SearchPlan) -> tuple[bool, bool]:
    """Which sides a resolved plan searches."""
    weights = plan.weights
    feeds = plan.may_move_sparse or plan.may_move_dense
    shares = (weights.first, weights.final, weights.unfed) if feeds else (weights.unfed,)
    if plan.mode == "sparse":
        return True, False
    if plan.mode == "dense":
        return False, True
    return max(shares) > 0, min(shares) < 1
