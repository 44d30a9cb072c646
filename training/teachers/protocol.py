"""The `Teacher` protocol: scores of queries and documents by their row numbers in a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError
from lsr.progress import Progress
from lsr.retrieval.retriever import Ranking

__all__ = [
    "PairTeacher",
    "Rows",
    "Scores",
    "Teacher",
    "padded",
    "unprepared",
    "unranked",
]

Rows = NDArray[np.integer]
"""Row numbers of queries or of documents, shape (n,)."""

Scores = NDArray[np.float32]


@runtime_checkable
class Teacher(Protocol):
    """Scores pairs of a run's queries and documents.

    Attributes:
        name: for people; teachers of one run have different names.
        identity: a SHA-256 of everything that scores depend on beside the texts.
    """

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str: ...

    def prepare(self, queries: Sequence[str], documents: Sequence[str], progress: Progress) -> None:
        """Do the long work of a run, by row number. What is in the cache is not done again."""
        ...

    def scores(self, query_rows: Rows, document_rows: Rows) -> Scores:
        """Scores of all pairs, float32, shape (n_queries, n_documents); NaN where unknown.

        Called for every batch, so it takes milliseconds.
        """
        ...

    def best(self, query_rows: Rows, depth: int) -> Ranking:
        """The best documents of each query, shape (n_queries, depth), best first.

        Rows are −1 and scores 0 beyond the last.

        Raises:
            InputError: the teacher knows pairs only, and cannot rank.
        """
        ...


@runtime_checkable
class PairTeacher(Protocol):
    """A `Teacher` too slow for all pairs, which scores chosen ones beforehand."""

    def prepare_pairs(self, query_rows: Rows, document_rows: Rows, progress: Progress) -> None:
        """Score pairs, which are known from then on; after `prepare`.

        Args:
            query_rows, document_rows: shape (n_pairs,): pair by pair.
        """
        ...


def unprepared(name: str) -> InputError:
    """Error of a teacher that is asked before `prepare`."""
    return InputError(f"the teacher {name} has no texts yet; call prepare first")


def unranked(name: str) -> InputError:
    """Error of a teacher that knows pairs only and is asked to rank."""
    return InputError(
        f"the teacher {name} knows chosen pairs only and cannot rank all documents; mine with "
        "another, such as bm25 or dense"
    )


def padded(ranking: Ranking, depth: int) -> Ranking:
    """The ranking in lines of `depth`, which is no less than they have; −1 and 0 fill them up."""
    n, k = ranking.rows.shape
    rows = np.full((n, depth), -1, np.int32)
    scores = np.zeros((n, depth), np.float32)
    rows[:, :k] = ranking.rows
    scores[:, :k] = ranking.scores
    return Ranking(rows, scores)
