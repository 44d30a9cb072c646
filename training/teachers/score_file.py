"""Scores made elsewhere, from a file: JSON lines of query_id, doc_id, score, or a pickle."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from itertools import islice, product
from pathlib import Path

import numpy as np

from lsr.datasets.lines import numbered_lines, open_binary, plain_suffix
from lsr.datasets.records import parse_json_object
from lsr.errors import DataError, InputError
from lsr.progress import Progress, no_progress
from lsr.retrieval.retriever import Ranking
from lsr.training.teachers.pair_table import PairTable
from lsr.training.teachers.protocol import Rows, Scores, unprepared, unranked
from lsr.training.teachers.score_pickle import pickled_scores

__all__ = ["ScoreFile"]

REPORT_LINES = 100_000

CHECKED = 200_000
"""Scores that `check` reads at most."""


class ScoreFile:
    """A `Teacher` whose scores are read from a file: `.jsonl` or `.pkl`, also `.gz` and `.zst`.

    A pickle is of a whole collection, so that most of its scores may be of other rows than the
    run's; of JSON lines at least half must be the run's.

    Args:
        path: of the file.
        query_ids: of the run's queries, by row; one may stand for several rows.
        document_ids: of the run's documents, by row.
        name: by default the file's.

    Attributes:
        n_read: scores in the file.
        n_matched: those whose query and document are of the run.
    """

    def __init__(
        self,
        path: Path,
        query_ids: Sequence[str],
        document_ids: Sequence[str],
        *,
        name: str | None = None,
    ) -> None:
        self.name = name or path.name
        self.n_read = self.n_matched = 0
        self._path = path
        self._query_ids, self._document_ids = query_ids, document_ids
        self._table: PairTable | None = None

    @property
    def identity(self) -> str:
        digest = hashlib.sha256(b"score file\n")
        with open_binary(self._path) as stream:
            while part := stream.read(1 << 20):
                digest.update(part)
        return digest.hexdigest()

    def check(self) -> None:
        """Read the first scores of the file, and refuse it as `prepare` would.

        Of a file that has more, one of the first must be of this run.

        Raises:
            DataError, InputError: as `prepare`.
        """
        query_ids, document_ids = set(self._query_ids), set(self._document_ids)
        n_read = n_matched = 0
        for _, query_id, doc_id, _ in islice(self._records(), CHECKED):
            n_read += 1
            n_matched += query_id in query_ids and doc_id in document_ids
        self._refuse_foreign(n_read, n_matched, is_part=n_read == CHECKED)

    def prepare(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        progress: Progress = no_progress,
    ) -> None:
        """Read the file.

        Raises:
            DataError: the file cannot be read, a line is not such a record, or a pair has two
                scores; names the line.
            InputError: less than half of the file's scores are of this run.
        """
        if (len(self._query_ids), len(self._document_ids)) != (len(queries), len(documents)):
            raise InputError(
                f"{self.name}: {len(self._query_ids):,} query ids and "
                f"{len(self._document_ids):,} document ids for {len(queries):,} queries and "
                f"{len(documents):,} documents; every text needs an id"
            )
        query_rows, document_rows = _rows_by_id(self._query_ids), _rows_by_id(self._document_ids)
        found: dict[tuple[str, str], float] = {}
        chosen: list[tuple[int, int, float]] = []
        self.n_read = self.n_matched = 0
        for number, query_id, doc_id, score in self._records():
            self.n_read += 1
            if self.n_read % REPORT_LINES == 0:
                progress(self.name, self.n_read, None)
            pairs = list(product(query_rows.get(query_id, ()), document_rows.get(doc_id, ())))
            if not pairs:
                continue
            if found.setdefault((query_id, doc_id), score) != score:
                raise DataError(
                    f"query {query_id!r} and document {doc_id!r} have another score further up; "
                    "keep one of them",
                    path=self._path,
                    line=number,
                )
            self.n_matched += 1
            chosen += [(q, d, score) for q, d in pairs]
        progress(self.name, self.n_read, self.n_read)
        self._refuse_foreign(self.n_read, self.n_matched)
        table = PairTable(len(documents))
        rows = np.array([pair[:2] for pair in chosen], np.int64).reshape(-1, 2)
        scores = np.array([pair[2] for pair in chosen], np.float32)
        table.add(rows[:, 0], rows[:, 1], scores)
        self._table = table

    def scores(self, query_rows: Rows, document_rows: Rows) -> Scores:
        """Scores of the file, float32, shape (n_queries, n_documents); NaN elsewhere."""
        if self._table is None:
            raise unprepared(self.name)
        return self._table.scores(query_rows, document_rows)

    def best(self, query_rows: Rows, depth: int) -> Ranking:  # noqa: ARG002
        """Always raises InputError: a file has chosen pairs only."""
        raise unranked(self.name)

    @property
    def _is_pickle(self) -> bool:
        return plain_suffix(self._path) in (".pkl", ".pickle")

    def _records(self) -> Iterator[Record]:
        return _pickled(self._path) if self._is_pickle else _lines(self._path)

    def _refuse_foreign(self, n_read: int, n_matched: int, *, is_part: bool = False) -> None:
        some = self._is_pickle or is_part
        if not (n_matched > 0 if some else n_matched * 2 >= n_read > 0):
            raise InputError(
                f"{self._path}: {n_matched:,} of {n_read:,} scores are of a query and a "
                "document of this run; give the file made for these texts, with their ids"
            )


Record = tuple[int | None, str, str, float]


def _lines(path: Path) -> Iterator[Record]:
    """Line number, query id, document id and score."""
    for number, line in numbered_lines(path):
        if line.strip():
            yield number, *_record(line, path, number)


def _pickled(path: Path) -> Iterator[Record]:
    return ((None, *record) for record in pickled_scores(path))


def _rows_by_id(ids: Sequence[str]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for row, identifier in enumerate(ids):
        rows.setdefault(identifier, []).append(row)
    return rows


def _record(line: str, path: Path, number: int) -> tuple[str, str, float]:
    record = parse_json_object(line, path, number)
    ids = [record.get("query_id"), record.get("doc_id")]
    for name, value in zip(("query_id", "doc_id"), ids, strict=True):
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise DataError(f"{name} is missing or not a text", path=path, line=number)
    score = record.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not _fits(score):
        raise DataError(
            "score is missing or not a number that fits 32 bits", path=path, line=number
        )
    return str(ids[0]), str(ids[1]), float(score)


def _fits(score: int | float) -> bool:
    return math.isfinite(score) and abs(score) <= float(np.finfo(np.float32).max)
