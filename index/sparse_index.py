"""`SparseIndex`: sparse vectors in, searched; without documents, texts or models.

    index = SparseIndex.build(matrix)                      # SciPy, (indptr, indices, values), CSR
    ranking = index.search_batch(queries, SearchParams(k=10))
    index.save("folder"); index = SparseIndex.open("folder")

Everything searched lies in one block index: documents' vectors, blocks for approximate search, and
lists for exact search.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError, QueryError, StorageError
from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.config import BuildConfig, SearchParams
from lsr.index.indexer.block_builder import build_blocks, typical_config
from lsr.index.search.block_searcher import BlockSearcher
from lsr.index.search.calibrate import calibrate, pseudo_queries
from lsr.index.search.calibration_file import Calibration
from lsr.index.storage.doc_ids import DocIds
from lsr.index.storage.versioned_folder import current_content, replace_content
from lsr.progress import Progress, no_progress
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR, MAX_TERMS, SparseMatrix, SparseVector, VectorsLike

__all__ = ["SparseIndex"]


class SparseIndex:
    """An index of sparse vectors, in memory or mapped from a folder.

    Attributes:
        ids: the doc_ids by row.
        blocks: the block index.
        calibration: what `calibrate` found, or None.
        n_documents: the number of vectors.

    Example:
        >>> import lsr
        >>> index = lsr.SparseIndex.build(lsr.CSR.from_rows([{0: 1.0}, {0: 0.5, 1: 2.0}]))
        >>> query = lsr.SparseVector.from_mapping({0: 1.0})
        >>> index.search(query, lsr.SearchParams(k=1)).rows.tolist()
        [[0]]
    """

    def __init__(
        self, ids: DocIds, blocks: BlockIndex, calibration: Calibration | None = None
    ) -> None:
        self.ids = ids
        self.blocks = blocks
        self.calibration = calibration
        self.searcher = self._searcher()
        self.n_documents = blocks.n_documents
        self._indptrs: dict[int, NDArray[np.int64]] = {}  # of single queries, by their length

    def _searcher(self) -> BlockSearcher:
        costs = None if self.calibration is None else self.calibration.costs
        return BlockSearcher(self.blocks, self.ids.tie_order, costs)

    @property
    def default_params(self) -> SearchParams:
        """The calibrated parameters, if there are any."""
        return SearchParams() if self.calibration is None else self.calibration.params

    @classmethod
    def build(
        cls,
        vectors: VectorsLike,
        config: BuildConfig | None = None,
        *,
        doc_ids: Sequence[str] | None = None,
        n_threads: int = 1,
        max_memory: int | None = None,
        progress: Progress = no_progress,
    ) -> SparseIndex:
        """Index vectors, one for each document.

        Args:
            vectors: see `lsr.sparse.VectorsLike`; weights above 0. Documents may be empty.
            doc_ids: one for each; by default the row numbers. Of equal scores the smaller id
                stands first.
            n_threads: the result does not depend on it.
            max_memory: bytes that the build may take beside the vectors.

        Raises:
            InputError: vectors that cannot be indexed, ids that repeat, or too little memory; one
                sentence says what is wrong.
        """
        documents = as_csr(vectors)
        n = documents.n_rows
        if doc_ids is None:
            doc_ids = [f"{row:0{len(str(max(n - 1, 0)))}d}" for row in range(n)]
        if len(doc_ids) != n or len(set(doc_ids)) != n:
            what = "some repeat" if len(doc_ids) == n else f"there are {len(doc_ids):,}"
            raise InputError(f"{n:,} vectors need as many different doc_ids, and {what}")
        try:
            ids = DocIds.build(doc_ids)
        except UnicodeEncodeError as error:
            raise InputError(f"the doc_id {error.object!r} is not valid Unicode") from error
        config = config or typical_config(documents)
        blocks = build_blocks(
            documents, config, n_threads=n_threads, max_memory=max_memory, progress=progress
        )
        return cls(ids, blocks)

    def search(self, query: SparseVector, params: SearchParams | None = None) -> Ranking:
        """The best documents of one query: a `Ranking` of one line; see `search_batch`."""
        params = params or self.default_params
        if params.k > self.n_documents:
            raise self._too_many(params.k)
        n = len(query.terms)
        indptr = self._indptrs.get(n)
        if indptr is None:
            indptr = self._indptrs.setdefault(n, np.array((0, n), np.int64))
        queries = CSR._make((indptr, query.terms, query.weights, MAX_TERMS))
        return self.searcher.search_batch(queries, params)

    def search_batch(
        self, queries: VectorsLike, params: SearchParams | None = None, *, n_threads: int = 1
    ) -> Ranking:
        """The best documents of each query, in the order of `queries`.

        Args:
            queries: see `lsr.sparse.VectorsLike`. Terms beyond the index's are ignored, and counted
                (`counters`); a query without terms gets an empty line.

        Returns:
            Rows and scores, shape (n_queries, k), by score descending, then doc_id ascending;
            −1 and 0 beyond the last hit.

        Raises:
            QueryError: `k` is above the number of documents, the filter has another length, or a
                query is not a valid vector.
        """
        params = params or self.default_params
        if params.k > self.n_documents:
            raise self._too_many(params.k)
        try:
            matrix = as_csr(queries)
        except InputError as error:
            raise QueryError(f"the queries cannot be searched for: {error}") from error
        return self.searcher.search_batch(matrix, params, n_threads=n_threads)

    def doc_ids(self, rows: NDArray[np.int32]) -> list[str]:
        """The identifiers of rows, in their order; those below 0 are left out."""
        return self.ids.of(rows[rows >= 0])

    def mask(self, doc_ids: Sequence[str]) -> NDArray[np.bool_]:
        """A filter that passes these documents.

        Raises:
            QueryError: names the first id that is not in the index.
        """
        rows = np.arange(self.n_documents, dtype=np.int32)
        row_of = dict(zip(self.ids.of(rows), rows.tolist(), strict=True))
        mask = np.zeros(self.n_documents, bool)
        for doc_id in doc_ids:
            if doc_id not in row_of:
                raise QueryError(f"there is no document {doc_id!r} to filter by")
            mask[row_of[doc_id]] = True
        mask.flags.writeable = False
        return mask

    def calibrate(
        self,
        queries: VectorsLike | None = None,
        target_recall: float = 0.97,
        *,
        k: int = 10,
        progress: Progress = no_progress,
    ) -> Calibration:
        """Find parameters for a recall, and use them from now on; `save` keeps them.

        Args:
            queries: as many as there are, of the kind that will be asked; without any, pseudo
                queries are made of documents.

        Raises:
            InputError: see `lsr.index.search.calibrate.calibrate`.
        """
        if queries is None:
            sample, source = pseudo_queries(self.documents()), "pseudo-queries made of documents"
        else:
            sample, source = as_csr(queries), "given queries"
        self.calibration = calibrate(
            self.searcher, sample, target_recall, k=k, source=source, progress=progress
        )
        self.searcher = self._searcher()
        return self.calibration

    def documents(self) -> CSR:
        """All vectors as they are stored, a row for each document."""
        return self.blocks.documents()

    def warm_up(self) -> None:
        """Do now what would slow the first search down."""
        self.searcher.warm_up()

    def stats(self) -> dict[str, Any]:
        """Counts, and bytes by part."""
        stats = self.blocks.stats()
        stats["bytes"]["ids"] = sum(array.nbytes for array in self.ids)
        return stats

    def counters(self) -> dict[str, int]:
        """Counts of searches since the index was opened or calibrated: blocks estimated and
        visited, documents scored, and terms of queries ignored as beyond the index's."""
        return self.searcher.counters()

    def _too_many(self, k: int) -> QueryError:
        return QueryError(
            f"k is {k:,} and the index has {self.n_documents:,} documents; ask for fewer"
        )

    def save(self, folder: Path | str) -> None:
        """Write a folder. One that holds such an index gets this one instead, all at once.

        Raises:
            InputError: the folder holds something else, or another writer is at work.
            StorageError: it cannot be written. What was there stays.
        """
        target = Path(folder).absolute()
        try:
            replace_content(target, self._write)
        except OSError as error:
            raise StorageError(f"{target} cannot be written ({error.strerror or error})") from error

    def _write(self, folder: Path) -> None:
        self.ids.save(folder)
        self.blocks.save(folder)
        if self.calibration is not None:
            self.calibration.write(folder)

    @classmethod
    def open(
        cls, folder: Path | str, *, resident: bool = False, verify: bool = False
    ) -> SparseIndex:
        """Open what `save` wrote, memory-mapped.

        Args:
            resident: read the block index into memory, in large pages where there are any.
            verify: compare every byte with its checksum.

        Raises:
            IndexMissingError: there is none.
            IndexCorruptError, IndexVersionError: it cannot be used.
        """
        content = current_content(Path(folder), verify=verify)
        blocks = BlockIndex.load(content, resident=resident)
        return cls(DocIds.load(content), blocks, Calibration.read(content))


def as_csr(vectors: VectorsLike) -> CSR:
    """Vectors of any kind as a valid `CSR`.

    Raises:
        InputError: negative, zero, NaN or infinite weights; components that repeat, do not ascend
            or are negative.
    """
    if isinstance(vectors, CSR):
        vectors.validate()
        return vectors
    if isinstance(vectors, tuple) and len(vectors) == 3:
        indptr, indices, values = (np.asarray(part) for part in vectors)
        wide = int(indices.max(initial=-1)) + 1
        if wide > 2**31 - 1:
            raise InputError(f"component {wide - 1:,} is too large; at most {2**31 - 2:,} fits")
        made = CSR(
            indptr.astype(np.int64),
            indices.astype(np.int32),
            values.astype(np.float32),
            wide,
        )
        made.validate()
        return made
    if not isinstance(vectors, SparseMatrix):
        raise InputError(
            f"vectors are a {type(vectors).__name__}; give a SciPy sparse matrix, a CSR, or "
            "(indptr, indices, values)"
        )
    return CSR.from_scipy(vectors)
