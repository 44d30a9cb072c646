"""`Gathering`: the candidates of one query, as rounds bring them from the shards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsr.backend.shard import Candidates, Round, Shards
from lsr.errors import QueryError, ShardsMissingError
from lsr.retrieval.filter import Filter
from lsr.sparse import SparseVector
from lsr.types import Document

__all__ = ["Gathering", "TieOrder"]

Numbers = NDArray[np.int32]
_ROW_BITS = 40


class _Scores(NamedTuple):
    """Scores of candidates by one query vector, as many as there were when it was asked."""

    raw: NDArray[np.float32]
    known: NDArray[np.bool_]


class Gathering:
    """Candidates are numbered from 0 as they come, and keep their numbers.

    Args:
        shards: that are asked.
        where: a filter, or None.
        lists: which sides the search asks for lists of.
        complete: as `Round`.
        allow_partial: whether a shard that does not answer is left out from then on.
        n_documents: of all shards.
        fetch: as `Round`.

    Attributes:
        documents: that came along, by number.
        moved: the query's vectors after feedback; None where a side's stays as it was.
        missing: errors of the shards that were left out, by number.
    """

    def __init__(
        self,
        shards: Shards,
        where: Mapping[str, object] | Filter | None = None,
        lists: tuple[bool, bool] = (False, False),
        *,
        complete: bool = False,
        allow_partial: bool = False,
        n_documents: int = 0,
        fetch: int = 0,
    ) -> None:
        self._fetch = fetch
        self.documents: dict[int, Document] = {}
        self._shards = shards
        self._where = where
        self._complete = complete
        self._lists = lists
        self._allow_partial = allow_partial
        self._first: list[Any] = [None, None]
        self.moved: list[Any] = [None, None]
        self.missing: dict[int, Exception] = {}
        self._shard = np.zeros(0, np.int64)
        self._row = np.zeros(0, np.int64)
        self._doc_ids: list[str] = []
        self._has_vector = [np.zeros(0, bool), np.zeros(0, bool)]
        self._found: dict[bytes, tuple[Numbers, NDArray[np.float32]]] = {}
        self._scores: dict[bytes, _Scores] = {}
        self.ties = TieOrder(self._doc_ids, n_documents)

    def begin(self, sparse: SparseVector | None, dense: NDArray[np.float32] | None) -> None:
        """Take the query's vectors, as far as they are known, before the first round."""
        self._first = [sparse, dense]

    def listed(self, side: int, query: Any, window: int) -> tuple[Numbers, NDArray[np.float32]]:
        """A side's best candidates for a query, best first, and their scores.

        The first that asks begins a round, in which both sides are searched for what is not listed
        yet.

        Args:
            side: 0 for sparse, 1 for dense.

        Raises:
            ShardsMissingError: shards do not answer, and the plan does not allow for it.
        """
        if _key(query) not in self._found:
            if self._first[side] is None:
                self._first[side] = query
            now = [moved if moved is not None else first for moved, first in self._pairs()]
            wanted = [
                needed and vector is not None and _key(vector) not in self._found
                for needed, vector in zip(self._lists, now, strict=True)
            ]
            now[side], wanted[side] = query, True
            self._ask(now[0], now[1], (wanted[0], wanted[1]), window)
        return self._found[_key(query)]

    def _pairs(self) -> list[tuple[Any, Any]]:
        return list(zip(self.moved, self._first, strict=True))

    def _ask(
        self,
        sparse: SparseVector | None,
        dense: NDArray[np.float32] | None,
        lists: tuple[bool, bool],
        window: int,
    ) -> None:
        arguments = {}
        for shard in range(self._shards.n):
            if shard not in self.missing:
                rows = self._row[self._shard == shard]
                where, complete = self._where, self._complete
                asked = Round(sparse, dense, lists, window, where, complete, rows, self._fetch)
                arguments[shard] = (asked,)
        answers = self.call("search", arguments)
        unknown = [set(found.unknown) for found in answers.values()]
        if unknown and not self.missing and (nowhere := set.intersection(*unknown)):
            raise QueryError(f"no document has a metadata field {min(nowhere)!r}")
        numbers = self._numbered(answers)
        for side, query in enumerate((sparse, dense)):
            if query is not None:
                self._take(side, query, answers, numbers, window if lists[side] else None)

    def call(self, method: str, arguments: Mapping[int, Sequence[Any]]) -> dict[int, Any]:
        """Answers of shards, without those that are missing.

        Raises:
            ShardsMissingError: shards do not answer, and the plan does not allow for it; or none
                does.
        """
        called = self._shards.call(method, arguments)
        self.missing |= called.failures
        if self.missing and (not self._allow_partial or len(self.missing) == self._shards.n):
            number, error = next(iter(self.missing.items()))
            raise ShardsMissingError(
                f"{len(self.missing)} of {self._shards.n} shards did not answer (shard {number}: "
                f"{error}); try again, or set allow_partial to go without them"
            )
        return called.answers

    def _numbered(self, answers: Mapping[int, Candidates]) -> dict[int, Numbers]:
        """The numbers of each shard's candidates; those that are new are added."""
        known = self._shard << _ROW_BITS | self._row
        order = known.argsort()
        ordered = known[order]
        numbered = {}
        for shard, found in answers.items():
            keys = (np.int64(shard) << _ROW_BITS) | found.rows
            numbers = np.full(len(keys), -1, np.int32)
            if len(known):
                places = np.minimum(ordered.searchsorted(keys), len(known) - 1)
                there = ordered[places] == keys
                numbers[there] = order[places[there]]
            new = np.flatnonzero(numbers < 0)
            numbers[new] = np.arange(len(self._doc_ids), len(self._doc_ids) + len(new))
            self._shard = np.concatenate([self._shard, np.full(len(new), shard, np.int64)])
            self._row = np.concatenate([self._row, found.rows[new]])
            self._doc_ids.extend([found.doc_ids[place] for place in new.tolist()])
            numbered[shard] = numbers
        return numbered

    def _take(
        self,
        side: int,
        query: Any,
        answers: Mapping[int, Candidates],
        numbers: Mapping[int, Numbers],
        window: int | None,
    ) -> None:
        """Keep the scores of a query and, where it was listed, its best candidates."""
        n = len(self._doc_ids)
        raw, known = np.zeros(n, np.float32), np.zeros(n, bool)
        has_vector = np.zeros(n, bool)
        has_vector[: len(self._has_vector[side])] = self._has_vector[side]
        listed: list[Numbers] = [np.zeros(0, np.int32)]
        for shard, found in answers.items():
            part = (found.sparse, found.dense)[side]
            if part is not None:
                own = numbers[shard]
                raw[own], known[own] = part.raw, part.known
                has_vector[own] |= part.has_vector
                listed.append(own[part.best])
                best = own[part.best].tolist() if window is not None else []
                self.documents |= dict(zip(best, found.documents, strict=False))
        self._has_vector[side] = has_vector
        self._scores[_key(query)] = _Scores(raw, known)
        if window is not None:
            best = np.concatenate(listed)
            order = _order(raw[best], best, self.ties)[:window]
            self._found[_key(query)] = (best[order], raw[best[order]])

    def has_vector(self, side: int, numbers: Numbers) -> NDArray[np.bool_]:
        """Mask of the candidates that have a vector of a side."""
        return self._has_vector[side][numbers]

    def scores(self, side: int, query: Any, numbers: Numbers) -> NDArray[np.float32]:
        """Scores of candidates; those that no round told are asked for."""
        told = self._scores.get(_key(query))
        found = np.zeros(len(numbers), np.float32)
        known = np.zeros(len(numbers), bool)
        if told is not None:
            inside = numbers < len(told.raw)
            found[inside] = told.raw[numbers[inside]]
            known[inside] = told.known[numbers[inside]]
        left = np.flatnonzero(~known)
        vectors = (query, None) if side == 0 else (None, query)
        for places, part in self.parts(numbers[left], "score", lambda rows: (*vectors, rows)):
            found[left[places]] = part
        return found

    def parts(
        self, numbers: Numbers, method: str, arguments: Callable[[NDArray[np.int64]], Sequence[Any]]
    ) -> list[tuple[NDArray[np.intp], Any]]:
        """Answers about candidates from the shards that have them: places in `numbers`, answer.

        Args:
            method: of `Shard`.
            arguments: of the method, for rows of one shard.
        """
        owners = self._shard[numbers]
        places = {
            shard: np.flatnonzero(owners == shard)
            for shard in np.unique(owners).tolist()
            if shard not in self.missing
        }
        if not places:
            return []
        given = {shard: arguments(self._row[numbers[own]]) for shard, own in places.items()}
        answers = self.call(method, given)
        return [(places[shard], answer) for shard, answer in answers.items()]

    def doc_ids(self, numbers: Numbers) -> list[str]:
        """Identifiers of candidates, in their order."""
        return [self._doc_ids[number] for number in numbers.tolist()]


class TieOrder:
    """The order of candidates by doc_id, behind the interface of an array of all documents'.

    Places are among those that are asked for.

    Args:
        doc_ids: of the candidates, a list that grows.
        n_documents: of the collection, the length.
    """

    def __init__(self, doc_ids: list[str], n_documents: int) -> None:
        self._doc_ids = doc_ids
        self._n_documents = n_documents

    def __len__(self) -> int:
        return self._n_documents

    def __getitem__(self, numbers: Numbers) -> Numbers:
        ids = [self._doc_ids[number] for number in numbers.tolist()]
        places = np.empty(len(ids), np.int32)
        places[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids), dtype=np.int32)
        return places


def _order(scores: NDArray[np.float32], numbers: Numbers, ties: TieOrder) -> NDArray[np.intp]:
    """Places by score descending, then by doc_id."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    if (ranked[1:] == ranked[:-1]).any():
        return np.lexsort((ties[numbers], -scores))
    return order


def _key(query: Any) -> bytes:
    if isinstance(query, SparseVector):
        return query.terms.tobytes() + query.weights.tobytes()
    key: bytes = query.tobytes()
    return key
