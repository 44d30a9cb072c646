"""A collection opened for reading: documents, both sides of search, and one `search` call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.protocols import DenseEncoder, Encoder
from lsr.errors import IndexCorruptError, InputError, NotFoundError, QueryError, StorageError
from lsr.index.collection.encoder_registry import load_encoder, onnx_folder
from lsr.index.collection.multi_segment import AnySegment, MultiSegment
from lsr.index.collection.multi_store import AnyStore
from lsr.index.collection.retrievers import DenseRetriever, HybridRetriever, SparseRetriever
from lsr.index.collection.segment_reader import SegmentReader
from lsr.index.collection.snapshot import Snapshot
from lsr.index.collection.tuned_plan import TunedPlan
from lsr.index.metadata.collection_metadata import CollectionMetadata
from lsr.index.metadata.hits import HitMaker
from lsr.index.metadata.listing import Listing
from lsr.index.metadata.refined import Refined, Refiner
from lsr.index.search.block_searcher import BlockSearcher
from lsr.index.search.calibrate import MOST_QUERIES, calibrate, pseudo_queries
from lsr.index.search.calibration_file import Calibration
from lsr.index.storage.manifest import Manifest
from lsr.index.storage.resident import Residence, not_copied
from lsr.progress import Progress, no_progress
from lsr.retrieval.answer import PrfReport
from lsr.retrieval.answers.answer import Answer
from lsr.retrieval.asked import SLACK, LastHit, check_page, checked_query, page_after
from lsr.retrieval.filter import Filter
from lsr.retrieval.hybrid import HybridResult, HybridSearcher, Notice
from lsr.retrieval.plan import MODES, Mode, SearchPlan, plan_from, resolved
from lsr.retrieval.refinement import Refinement
from lsr.sparse import SparseVector
from lsr.stopwatch import Deadline, Stopwatch
from lsr.types import Document

__all__ = ["DEFAULT_K", "CollectionReader"]

DEFAULT_K = 10
_DEFAULT_PLAN = SearchPlan()
_STALE = Notice(
    "tuned_plan_stale",
    "the tuned plan belongs to other models and is not used; run lsr tune again",
)


class CollectionReader:
    """One generation of a collection, kept while newer ones are published.

    A document is a row. Deleted rows have numbers too, and are never found. See also `open`.

    Args:
        path, manifest: the collection's folder, and what the generation is.
        snapshot: its segments, opened.
        encoder, tuned_plan: its sparse encoder; what `lsr tune` stored, or None.
        dense: its dense model, where that is loaded already.

    Attributes:
        readers: the segments one by one.
        segment, store, metadata: of all segments, under one numbering of rows.
        hybrid: both sides, or the one there is, behind one search.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        snapshot: Snapshot,
        encoder: Encoder,
        tuned_plan: TunedPlan | None = None,
        dense: DenseEncoder | None = None,
    ) -> None:
        self.path = path
        self.manifest = manifest
        self.encoder = encoder
        self.tuned_plan = tuned_plan
        self._snapshot = snapshot
        self.readers = snapshot.readers
        self.segment: AnySegment = snapshot.segment
        self.store: AnyStore = snapshot.store
        self.metadata = CollectionMetadata([reader.metadata for reader in snapshot.readers])
        self.sparse = SparseRetriever(encoder, snapshot.searcher, self.segment, self.store)
        self._dense = self._dense_side(dense)
        self.hybrid = HybridSearcher(self.sparse, self._dense, self.segment.tie_order)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        verify: bool = True,
        dense: DenseEncoder | None = None,
        encoder: Encoder | None = None,
        known: Iterable[SegmentReader] = (),
        residence: Residence = "mapped",
    ) -> CollectionReader:
        """Open the newest generation in a folder.

        Args:
            path: the collection's folder.
            verify: compare every file with its checksum; damage may give wrong answers.
            dense, encoder: its models, where they are open; another dense model is not used.
            known: segments of another generation; those that did not change are shared.
            residence: of arrays: the file, or a verified copy, which later damage cannot reach.

        Raises:
            IndexMissingError, IndexVersionError, IndexCorruptError: the folder cannot be used.
        """
        while True:
            manifest = Manifest.read(path)
            try:
                if verify:
                    manifest.check(path, not_copied(manifest, residence))
                own = encoder or load_encoder(path, manifest, verify=residence != "mapped")
                tuned_plan = TunedPlan.read(path)
                snapshot = Snapshot.open(path, manifest, known, residence)
                return cls(path, manifest, snapshot, own, tuned_plan, dense)
            except IndexCorruptError:  # a writer may have published while it was opened
                if Manifest.read(path).generation == manifest.generation:
                    raise

    def _dense_side(self, dense: DenseEncoder | None) -> DenseRetriever | None:
        if self.manifest.dense is None:
            return None
        if dense is not None and dense.identity.sha256 != self.manifest.dense.sha256:
            dense = None
        return DenseRetriever(
            self.manifest.dense,
            self.segment,
            self._snapshot.open_dense_index,
            onnx_folder(self.path),
            dense,
        )

    @property
    def n_documents(self) -> int:
        """Documents that can be found."""
        return self.segment.n_documents

    def live_rows(self) -> NDArray[np.int32]:
        """The rows of all documents that can be found, ascending."""
        if self._alive is not None:
            return np.flatnonzero(self._alive).astype(np.int32)
        return np.arange(self.segment.n_rows, dtype=np.int32)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes this collection can be searched in; the first is the default."""
        return MODES if self.manifest.dense else ("sparse",)

    @property
    def dense(self) -> DenseRetriever:
        """The dense side; faiss and the model are loaded when they are first needed.

        Raises:
            QueryError: the collection was built without one.
        """
        if self._dense is None:
            raise QueryError(f"{self.path} has no dense vectors; build it with --dense")
        return self._dense

    @property
    def loaded_dense(self) -> DenseEncoder | None:
        """The dense model, if there is one and it has been needed."""
        return None if self._dense is None else self._dense.loaded

    @property
    def default_plan(self) -> SearchPlan:
        """The tuned plan, if there is one that fits, else the defaults."""
        if self.tuned_plan is not None and self.tuned_plan.fits(self.manifest):
            return self.tuned_plan.plan
        return _DEFAULT_PLAN

    def retriever(self, plan: SearchPlan) -> HybridRetriever:
        """A plan over this collection as a `Retriever`."""
        return HybridRetriever(self.hybrid, plan, self.segment)

    def calibrate(
        self,
        texts: Sequence[str] | None,
        target_recall: float,
        *,
        k: int = DEFAULT_K,
        progress: Progress = no_progress,
    ) -> Calibration:
        """Find parameters of approximate search for a recall, and store them with the collection.

        They are measured on the largest segment, and used by searches that are opened later.

        Args:
            texts: queries; None for queries made of documents.

        Raises:
            InputError: no segment has a block index, or see `lsr.index.search.calibrate.calibrate`.
        """
        parts = [part for part in self.readers if part.blocks is not None]
        if not parts:
            raise InputError(
                f"{self.path} has no blocks for approximate search, which small indexes do without"
                ": exact search is fast there; to try, build it with --blocks always"
            )
        part = max(parts, key=lambda each: each.record.n_rows)
        assert part.blocks is not None
        searcher = BlockSearcher(part.blocks, part.segment.tie_order)
        if texts is None:
            drawn = part.drawn_vectors(MOST_QUERIES, self.encoder.n_terms)
            queries, source = pseudo_queries(drawn), "queries made of documents"
        else:
            queries, source = self.encoder.encode_queries(texts), "given queries"
        found = calibrate(searcher, queries, target_recall, k=k, source=source, progress=progress)
        try:
            found.write(self.path)
        except OSError as error:
            raise StorageError(
                f"{self.path} cannot be written ({error.strerror or error}); nothing was stored"
            ) from error
        return found

    def export(self, file: Path, format_name: str | None = None) -> int:
        """Write the sparse vectors of all documents to a file that other engines read.

        Formats without ids (seismic-binary, bigann, scipy) have documents in the order of rows.

        Args:
            format_name: one of `lsr.datasets.vectors.open.FORMATS`; default: told by the name.

        Returns:
            The number of entries written.

        Raises:
            InputError: there is no such format, or it cannot hold these vectors.
            StorageError: the file cannot be written.
        """
        return self.sparse.export(file, format_name, self.live_rows())

    def warm_up(self, mode: Mode | None = None) -> None:
        """Do now what would slow the first search down: compile kernels, load models.

        Args:
            mode: the mode that will be searched; by default the collection's first.
        """
        plan = replace(SearchPlan(), mode=mode).resolved(self.modes)
        if plan.mode != "dense":
            self.sparse.warm_up()
        if plan.mode != "sparse":
            self.dense.warm_up()

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
        facets: Sequence[object] = (),
        sort: str | Sequence[object] = (),
        collapse: object = None,
        min_score: float | None = None,
        count: bool = False,
        passages: int = 1,
        after: LastHit | None = None,
        deadline: Deadline | None = None,
    ) -> Answer:
        """Search, and fetch the documents found.

        Args:
            text: the query. May be blank when vectors are given.
            k: hits wanted; 10 by default. Where fewer documents match, fewer come.
            offset: hits to leave out at the front. Pages put together are one long answer.
            mode: overrides the plan's.
            where: a filter that every hit must pass, see `lsr.retrieval.filter`.
            plan: how to search; default: `default_plan`.
            sparse_vector, dense_vector: used in place of what the models make of the text; dense:
                float32, shape (dimension,), brought to unit length where cosines are compared.
            facets, sort, collapse, min_score, count: see `lsr.retrieval.refinement`.
            passages: of each hit, at most; 1 by default.
            after, deadline: where a list goes on; what begins later is left out, with a warning.

        Raises:
            QueryError: the query says nothing, or a part of it does not fit the collection.
            UnavailableError, RetrieverError, ModelError: a side cannot answer.
        """
        watch = Stopwatch()
        plan = plan or self.default_plan
        if mode is not None:
            plan = plan_from({"mode": mode}, plan)
        query = checked_query(text, sparse_vector, dense_vector, self._dense)
        asked = Refinement.of(facets, sort, collapse, min_score, count)
        page = slice(offset, offset + (DEFAULT_K if k is None else k))
        is_hybrid = resolved(plan, self.modes).mode == "hybrid"
        window = plan.window if is_hybrid and not asked.sort else None
        check_page(page, window, self.n_documents)
        allowed = self.metadata.mask(where) if where else None
        watch.lap("filter")
        reach = 1 if asked.sort or asked.collapse else page.stop + (SLACK if after else 0)
        outcome = self.hybrid.search(query, plan, allowed, reach=reach, deadline=deadline)
        if after is not None and not (asked.sort or asked.collapse):
            page = page_after(page, outcome, after, self.segment.doc_ids)
        watch.lap("plan")
        watch.took_ms["plan"] -= sum(outcome.took_ms.values())
        watch.took_ms.update(outcome.took_ms)
        refined = None
        if not asked.is_plain:
            refined = self._refiner.refine(outcome, allowed, asked, page.stop)
            watch.lap("refine")
        return self._answer(outcome, refined, asked, page, passages, watch)

    @cached_property
    def _refiner(self) -> Refiner:
        segments = [reader.segment for reader in self.readers]
        dense, order = self._dense, self.segment.tie_order
        return Refiner(self.metadata, segments, self._alive, order, dense)

    @cached_property
    def _listing(self) -> Listing:
        return Listing(self.segment.tie_order, self.segment.doc_ids, self._alive)

    @property
    def _alive(self) -> NDArray[np.bool_] | None:
        return self.segment.alive if isinstance(self.segment, MultiSegment) else None

    def matching(self, where: Mapping[str, object] | Filter) -> NDArray[np.int32]:
        """The rows of all documents that pass a filter, ascending. Raises QueryError."""
        mask = self.metadata.mask(where)
        return np.flatnonzero(mask if self._alive is None else mask & self._alive).astype(np.int32)

    def page_of_rows(
        self,
        after: str | None = None,
        limit: int = DEFAULT_K,
        where: Mapping[str, object] | Filter | None = None,
    ) -> NDArray[np.int32]:
        """Rows in the order of doc_ids: the first that follow `after`. Raises QueryError."""
        check_page(slice(0, limit), None, self.n_documents)
        return self._listing.after(after, limit, self.metadata.mask(where) if where else None)

    def _answer(
        self,
        outcome: HybridResult,
        refined: Refined | None,
        asked: Refinement,
        page: slice,
        passages: int,
        watch: Stopwatch,
    ) -> Answer:
        plan = outcome.plan
        passages = 0 if self.manifest.passages is None else passages
        make = HitMaker(self.store, self.hybrid, self.segment.doc_ids, passages)
        if refined is None:
            total = len(outcome.final.rows)
            total = min(total, plan.window) if plan.mode == "hybrid" else total
            hits = make.hits(outcome, outcome.rows[page], outcome.scores[page], watch)
        else:
            total = refined.total
            hits = make.refined(outcome, refined, asked, page, watch)
        prf = PrfReport.of(outcome, self.sparse, self.segment.doc_ids)
        if plan.explain != "none":
            watch.lap("explain")
        stale = () if self.tuned_plan is None or self.tuned_plan.fits(self.manifest) else (_STALE,)
        return Answer(
            text=outcome.query.text,
            mode=plan.mode or "sparse",
            hits=hits,
            total=total,
            plan=plan,
            generation=self.manifest.generation,
            prf=prf,
            warnings=(*stale, *outcome.notices),
            took_ms=watch.total(),
            first=page.start,
            n_matches=None if refined is None else refined.n_matches,
            facets=() if refined is None else refined.facets,
        )

    def document(self, doc_id: str) -> Document:
        """A document by id. Raises NotFoundError when there is none."""
        return self.stored(doc_id)[0]

    def stored(self, doc_id: str) -> tuple[Document, int]:
        """A document by id, and its version. Raises NotFoundError when there is none."""
        row = self.store.row(doc_id)
        if row is None:
            raise NotFoundError(f"there is no document {doc_id!r} in {self.path.name}")
        return self.store.stored([row])[0]

    def close(self) -> None:
        """Close the databases. Searches that are running fail."""
        self._snapshot.close()
