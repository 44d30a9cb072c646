"""A segment: the inverted lists and identifiers of some documents, immutable, as plain arrays.

On disk it is one file, opened by memory mapping. Rows count from 0 within the segment, in the order
in which documents came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.errors import IndexCorruptError
from lsr.index.storage.arrays_file import Opener, mapped, npy_array, packed_arrays, write_arrays
from lsr.index.storage.doc_ids import DocIds
from lsr.index.storage.inverted_lists import inverted_lists
from lsr.index.storage.names import ARRAYS_FILE
from lsr.passages.passage_rows import PassageRows
from lsr.sparse import CSR

__all__ = ["Segment", "frozen"]

_TYPES = {
    "list_indptr": (np.int64, 1),
    "list_rows": (np.int32, 1),
    "list_weights": (np.float32, 1),
    "tie_order": (np.int32, 1),
    "id_indptr": (np.int64, 1),
    "id_bytes": (np.uint8, 1),
    "vectors": (np.float32, 2),
}
"""Type and number of dimensions of each array."""
_OPTIONAL = {"passage_starts": (np.int64, 1), "whole_from": (np.int64, 1)}
"""Likewise; there where a document has several passages."""


@dataclass(frozen=True)
class Segment:
    """All arrays are read-only.

    Where a document has several passages, lists and vectors are of passages, see
    `lsr.passages.passage_rows`; elsewhere a document is its one passage.

    Attributes:
        list_indptr: int64, shape (n_terms + 1,); list t is the slice `[t]:[t + 1]`.
        list_rows: int32, shape (n_postings,), ascending in each list; of passages, see above.
        list_weights: float32, shape (n_postings,), above 0.
        tie_order: int32, shape (n_documents,): place of each row when doc_ids are sorted.
        id_indptr: int64, shape (n_documents + 1,), and
        id_bytes: uint8: the doc_ids in UTF-8, one after the other.
        vectors: float32, shape (n_passages, dimension); dimension 0 without a dense side.
        passages: which passages are whose; None where every document has one.
    """

    list_indptr: NDArray[np.int64]
    list_rows: NDArray[np.int32]
    list_weights: NDArray[np.float32]
    tie_order: NDArray[np.int32]
    id_indptr: NDArray[np.int64]
    id_bytes: NDArray[np.uint8]
    vectors: NDArray[np.float32]
    passages: PassageRows | None = None

    @property
    def n_documents(self) -> int:
        return len(self.tie_order)

    @property
    def n_rows(self) -> int:
        """As `n_documents`: a segment by itself knows of no deletions."""
        return len(self.tie_order)

    @property
    def n_passages(self) -> int:
        """Rows of the vectors: one or more for each document."""
        return self.n_rows if self.passages is None else self.passages.n_passages

    @property
    def n_live_passages(self) -> int:
        """As `n_passages`: a segment by itself knows of no deletions."""
        return self.n_passages

    @property
    def whole_from(self) -> int:
        """The first term that is of whole documents; 0 where all are."""
        return 0 if self.passages is None else self.passages.whole_from

    @property
    def dimension(self) -> int:
        """Of the dense vectors; 0 without a dense side."""
        return int(self.vectors.shape[1])

    @property
    def n_terms(self) -> int:
        return len(self.list_indptr) - 1

    @property
    def n_postings(self) -> int:
        return len(self.list_rows)

    @property
    def lists_nbytes(self) -> int:
        """Bytes of the inverted lists and identifiers: the sparse side without dense vectors."""
        return sum(int(array.nbytes) for name, array in self.arrays().items() if name != "vectors")

    @property
    def vectors_nbytes(self) -> int:
        """Bytes of the dense vectors."""
        return int(self.vectors.nbytes)

    def document_frequency(self, terms: NDArray[np.int32]) -> NDArray[np.int64]:
        """Number of documents, or of passages, that hold each term; 0 for terms without a list."""
        if self.n_terms == 0:
            return np.zeros(len(terms), np.int64)
        known = np.minimum(terms, self.n_terms - 1)
        lengths: NDArray[np.int64] = self.list_indptr[known + 1] - self.list_indptr[known]
        return np.where(terms < self.n_terms, lengths, 0)

    @cached_property
    def has_terms(self) -> NDArray[np.bool_]:
        """Mask of documents that hold any term, shape (n_documents,). Found with the first use."""
        has_terms = np.zeros(self.n_documents, bool)
        owners = self.list_rows
        has_terms[owners if self.passages is None else self.passages.row_of[owners]] = True
        return frozen(has_terms)

    @cached_property
    def row_at_tie(self) -> NDArray[np.int32]:
        """The rows in the order of their doc_ids, int32. Found with the first use."""
        rows = np.empty(self.n_rows, np.int32)
        rows[self.tie_order] = np.arange(self.n_rows, dtype=np.int32)
        return frozen(rows)

    def doc_ids(self, rows: NDArray[np.int32]) -> list[str]:
        """The identifiers of rows, in their order."""
        return DocIds(self.tie_order, self.id_indptr, self.id_bytes).of(rows)

    @cached_property
    def passage_order(self) -> NDArray[np.int32]:
        """Places of all passages when they are sorted by doc_id. Found with the first use."""
        if self.passages is None:
            return self.tie_order
        return frozen(self.passages.order(self.tie_order))

    def passages_of(self, rows: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The passages of rows, see `PassageRows.of`."""
        if self.passages is None:
            return rows, np.arange(len(rows) + 1)
        return self.passages.of(rows)

    def dense_vectors(self, passages: NDArray[np.int32]) -> NDArray[np.float32]:
        """The dense vectors of passages, shape (n, dimension)."""
        return self.vectors[passages]

    @classmethod
    def build(
        cls,
        doc_ids: Sequence[str],
        documents: CSR,
        vectors: NDArray[np.float32] | None = None,
        passages: PassageRows | None = None,
    ) -> Segment:
        """Turn document vectors, one row for each id or passage, into inverted lists.

        Raises:
            ValueError: the counts of ids, rows and vectors differ.
        """
        n = len(doc_ids) if passages is None else passages.n_passages
        if passages is not None and passages.n_rows != len(doc_ids):
            raise ValueError(f"{len(doc_ids)} ids and the passages of {passages.n_rows} rows")
        if documents.n_rows != n or (vectors is not None and len(vectors) != n):
            raise ValueError(f"{n} ids, {documents.n_rows} rows: one row for each id is needed")
        lists = inverted_lists(documents)
        ids = DocIds.build(doc_ids)
        return cls(
            frozen(lists.indptr),
            frozen(lists.terms),
            frozen(lists.weights),
            frozen(ids.tie_order),
            frozen(ids.indptr),
            frozen(ids.text),
            frozen(np.zeros((n, 0), np.float32) if vectors is None else vectors),
            passages,
        )

    def save(self, folder: Path) -> None:
        """Write all arrays to one file in `folder`, which exists."""
        write_arrays(folder / ARRAYS_FILE, self.arrays())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays by name, as they are written."""
        arrays: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in _TYPES}
        if self.passages is not None:
            arrays["passage_starts"] = self.passages.starts
            arrays["whole_from"] = np.array([self.passages.whole_from], np.int64)
        return arrays

    @classmethod
    def load(cls, folder: Path, read: Opener = mapped) -> Segment:
        """Open what `save` wrote, or what lsr 0.1 wrote: a `.npy` file for each array.

        Args:
            read: gives the bytes of a file; default: memory-mapped.

        Raises:
            IndexCorruptError: a file is missing or does not hold such arrays.
        """
        path = folder / ARRAYS_FILE
        arrays: dict[str, Any] = {}
        try:
            if path.exists() or not (folder / f"{next(iter(_TYPES))}.npy").exists():
                arrays = packed_arrays(read(path))
            else:
                for name in _TYPES:
                    path = folder / f"{name}.npy"
                    arrays[name] = npy_array(read(path))
            return cls._checked(arrays)
        except (OSError, EOFError, ValueError) as error:
            raise IndexCorruptError(
                f"{path} cannot be read ({error}); build the index again"
            ) from error

    @classmethod
    def _checked(cls, arrays: dict[str, Any]) -> Segment:
        """Of arrays that have the types and lengths of one segment. Raises ValueError."""
        types = _TYPES | (_OPTIONAL if "passage_starts" in arrays else {})
        if sorted(arrays) != sorted(types):
            raise ValueError(f"it holds {', '.join(sorted(arrays)) or 'nothing'}")
        for name, (dtype, n_dimensions) in types.items():
            array = arrays[name]
            if array.dtype != dtype or array.ndim != n_dimensions:
                raise ValueError(f"{name} is {array.dtype} of {array.ndim} dimensions")
        passages = None
        if "passage_starts" in arrays:
            (whole_from,) = arrays["whole_from"].tolist()
            passages = PassageRows(frozen(arrays["passage_starts"]), whole_from)
        segment = cls(**{name: frozen(arrays[name]) for name in _TYPES}, passages=passages)
        n_rows = len(segment.tie_order)
        if len(segment.list_indptr) == 0 or len(segment.list_rows) != len(segment.list_weights):
            raise ValueError("its inverted lists differ in length")
        n_passages = segment.n_passages
        if passages is not None and passages.n_rows != n_rows:
            raise ValueError("its passages are of another number of rows")
        if len(segment.id_indptr) != n_rows + 1 or len(segment.vectors) != n_passages:
            raise ValueError("its arrays are of different numbers of rows")
        return segment


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only, contiguous, plain-ndarray view: the one array type that kernels are given."""
    view = np.ascontiguousarray(array).view(np.ndarray)
    view = view[...]
    view.flags.writeable = False
    return view
