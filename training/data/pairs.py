"""The rows of a training run: queries, their labelled documents, and what else is known of them.

Queries and documents are numbered; every different document text stands once, so that a text that
answers two queries is one row, and a batch can tell that it is nobody's negative twice. Texts are
equal when they are after every run of white space became one blank.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError
from lsr.training.data.ragged import RowLists

__all__ = ["KnownPositives", "Pairs", "PairsBuilder", "joined", "normalised_text", "text_id"]

NO_ROW = -1


def normalised_text(text: str) -> str:
    """The text with single blanks: what equality of texts means here."""
    return " ".join(text.split())


def text_id(text: str) -> str:
    """An id made of the normalised text: 16 hexadecimal digits of its BLAKE2b hash."""
    return blake2b(
        normalised_text(text).encode("utf-8", "surrogatepass"), digest_size=8
    ).hexdigest()


@dataclass(frozen=True, slots=True)
class KnownPositives:
    """All positives of each query's text, over all rows with that text.

    Attributes:
        group: int32 [n_queries]: rows with equal text have equal numbers.
        lists: for each group, its documents, ascending.
    """

    group: NDArray[np.int32]
    lists: RowLists

    def of(self, query_row: int) -> NDArray[np.int32]:
        """Document rows that answer this query, its own positive included."""
        return self.lists[int(self.group[query_row])]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Training rows. A query row has one labelled document; a query with three has three rows.

    Attributes:
        queries: one text a row.
        documents: different texts; rows of this list are what all else points to.
        positives: int32 [n_queries]: document row, -1 where there is no label.
        negatives: for each query, documents known not to answer it.
        scored: for each query, documents with scores of some teacher, from the rows themselves;
            most often empty.
        sources: int16 [n_queries]: place in `source_names`.
        source_names: where rows come from.
        query_ids: for score files; rows of one query share its id.
        document_ids: for score files.
        missing: judged documents or queries that their collection lacks, left out.
        notes: what people should know of the reading, such as fields that were not understood.

    Raises:
        InputError: parts do not fit each other.
    """

    queries: list[str]
    documents: list[str]
    positives: NDArray[np.int32]
    negatives: RowLists
    scored: RowLists
    sources: NDArray[np.int16]
    source_names: tuple[str, ...]
    query_ids: list[str]
    document_ids: list[str]
    missing: int = 0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.queries)
        per_query = (self.positives, self.negatives, self.scored, self.sources, self.query_ids)
        if any(len(part) != n for part in per_query):
            raise InputError("parts of Pairs differ in length; each needs one entry a query")
        if len(self.document_ids) != len(self.documents):
            raise InputError("Pairs needs one document id for each document")
        for rows in (self.positives, self.negatives.rows, self.scored.rows):
            if len(rows) and not NO_ROW <= int(rows.min()) <= int(rows.max()) < len(self.documents):
                raise InputError("a row of Pairs points to a document that it does not have")

    def __len__(self) -> int:
        return len(self.queries)

    def known_positives(self) -> KnownPositives:
        """Documents that answer each query text, so that none is taken for a negative."""
        numbers: dict[str, int] = {}
        group = np.empty(len(self), np.int32)
        for row, query in enumerate(self.queries):
            group[row] = numbers.setdefault(normalised_text(query), len(numbers))
        labelled = self.positives != NO_ROW
        found = np.stack([group[labelled], self.positives[labelled]], axis=1)
        found = np.unique(found, axis=0) if len(found) else found
        indptr = np.zeros(len(numbers) + 1, np.int64)
        np.cumsum(np.bincount(found[:, 0], minlength=len(numbers)), out=indptr[1:])
        return KnownPositives(group, RowLists(indptr, found[:, 1].astype(np.int32)))

    def deduplicated(self) -> Pairs:
        """Each query with each positive once: the first row, with the negatives and scores of all.

        The same query with another positive stays, as a row of its own. Scores of a later row are
        moved so that both rows agree on the positive, since margins to it are what they say; of two
        scores of one document the first stays.
        """
        first: dict[tuple[str, int], int] = {}
        copies: dict[int, list[int]] = {}
        for row, query in enumerate(self.queries):
            key = (normalised_text(query), int(self.positives[row]))
            kept = first.setdefault(key, row)
            if kept != row:
                copies.setdefault(kept, []).append(row)
        merged = self
        if copies:
            negatives = [self.negatives[row] for row in range(len(self))]
            scores = [self._scores_of(row) for row in range(len(self))]
            for kept, others in copies.items():
                rows = np.concatenate([negatives[kept], *(negatives[other] for other in others)])
                negatives[kept] = rows[np.sort(np.unique(rows, return_index=True)[1])]
                for other in others:
                    _join_scores(scores[kept], scores[other], int(self.positives[kept]))
            merged = replace(
                self,
                negatives=RowLists.of(negatives),
                scored=RowLists.of(
                    [list(each) for each in scores], [list(each.values()) for each in scores]
                ),
            )
        return merged.taken(np.fromiter(first.values(), np.int64, len(first)))

    def _scores_of(self, row: int) -> dict[int, float]:
        """The scores that a row brings, by document."""
        scores = self.scored.scores_of(row).tolist()
        return dict(zip(self.scored[row].tolist(), scores, strict=True))

    def sample(self, limit: int, seed: int) -> Pairs:
        """At most `limit` rows, drawn at random; their order stays."""
        if limit >= len(self):
            return self
        drawn = np.random.default_rng([seed, 11]).choice(len(self), limit, replace=False)
        return self.taken(np.sort(drawn))

    def split(self, validation_share: float, seed: int) -> tuple[Pairs, Pairs]:
        """Rows for training and for validation.

        A query's text alone decides, so all rows of a query are on one side, and on the same side
        whatever else is in the run. Documents may be on both.
        """
        bar = int(validation_share * 2**64)
        salt = f"{seed}:"
        held_out = np.fromiter(
            (int(text_id(salt + normalised_text(query)), 16) < bar for query in self.queries),
            np.bool_,
            len(self),
        )
        return self.taken(np.flatnonzero(~held_out)), self.taken(np.flatnonzero(held_out))

    def taken(self, query_rows: NDArray[np.integer]) -> Pairs:
        """These rows, in this order.

        Documents that only other rows point to leave; documents that no row pointed to stay, since
        they were given to mine in. The rest is numbered anew, in the same order.
        """
        chosen = query_rows.astype(np.int64)
        part = replace(
            self,
            queries=[self.queries[row] for row in chosen],
            positives=self.positives[chosen],
            negatives=self.negatives.taken(chosen),
            scored=self.scored.taken(chosen),
            sources=self.sources[chosen],
            query_ids=[self.query_ids[row] for row in chosen],
        )
        keep = part._pointed_to() | ~self._pointed_to()
        return part._only_documents(keep)

    def without(
        self, query_rows: NDArray[np.integer], document_rows: NDArray[np.integer] | None = None
    ) -> Pairs:
        """All but these rows, and without these documents wherever they stand.

        A row whose positive is among the documents leaves too.
        """
        gone = np.zeros(len(self.documents), np.bool_)
        if document_rows is not None:
            gone[document_rows] = True
        stays = np.ones(len(self), np.bool_)
        stays[query_rows] = False
        stays &= (self.positives == NO_ROW) | ~gone[self.positives]
        rest = np.flatnonzero(stays)
        return self._only_documents(~gone, rest)

    def _pointed_to(self) -> NDArray[np.bool_]:
        pointed = np.zeros(len(self.documents), np.bool_)
        pointed[self.positives[self.positives != NO_ROW]] = True
        pointed[self.negatives.rows] = True
        pointed[self.scored.rows] = True
        return pointed

    def _only_documents(
        self, keep: NDArray[np.bool_], query_rows: NDArray[np.int64] | None = None
    ) -> Pairs:
        number = np.where(keep, np.cumsum(keep) - 1, NO_ROW).astype(np.int32)
        labelled = self.positives != NO_ROW
        positives = np.full(len(self), NO_ROW, np.int32)
        positives[labelled] = number[self.positives[labelled]]
        kept = replace(
            self,
            documents=[self.documents[row] for row in np.flatnonzero(keep)],
            document_ids=[self.document_ids[row] for row in np.flatnonzero(keep)],
            positives=positives,
            negatives=self.negatives.mapped(number),
            scored=self.scored.mapped(number),
        )
        return kept if query_rows is None else kept.taken(query_rows)


class PairsBuilder:
    """Collects rows; equal document texts become one document, which keeps its first id."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._source_numbers: dict[str, int] = {}
        self._documents: list[str] = []
        self._document_ids: list[str] = []
        self._queries: list[str] = []
        self._query_ids: list[str] = []
        self._positives: list[int] = []
        self._sources: list[int] = []
        self._negatives: list[Sequence[int]] = []
        self._scored: list[Sequence[int]] = []
        self._scores: list[Sequence[float]] = []

    def document(self, text: str, document_id: str | None = None) -> int:
        """The row of this text; without an id it gets one made of the text."""
        key = normalised_text(text)
        row = self._numbers.setdefault(key, len(self._documents))
        if row == len(self._documents):
            self._documents.append(text)
            self._document_ids.append(_id_of(key) if document_id is None else document_id)
        return row

    def add(
        self,
        query: str,
        positive: int,
        *,
        negatives: Sequence[int] = (),
        scored: Sequence[int] = (),
        scores: Sequence[float] = (),
        source: str = "",
        query_id: str | None = None,
    ) -> None:
        """A query with its labelled document's row, or -1. The positive is never a negative."""
        self._queries.append(query)
        self._query_ids.append(text_id(query) if query_id is None else query_id)
        self._positives.append(positive)
        self._negatives.append([row for row in dict.fromkeys(negatives) if row != positive])
        self._scored.append(scored)
        self._scores.append(scores)
        self._sources.append(self._source_numbers.setdefault(source, len(self._source_numbers)))

    def build(self, missing: int = 0, notes: Sequence[str] = ()) -> Pairs:
        """Pairs of what was added. Raises InputError when int16 cannot count the sources."""
        if len(self._source_numbers) > np.iinfo(np.int16).max:
            raise InputError(
                f"rows name {len(self._source_numbers):,} different sources; "
                f"at most {np.iinfo(np.int16).max:,} can be told apart"
            )
        return Pairs(
            self._queries,
            self._documents,
            np.array(self._positives, np.int32),
            RowLists.of(self._negatives),
            RowLists.of(self._scored, self._scores),
            np.array(self._sources, np.int16),
            tuple(self._source_numbers),
            self._query_ids,
            self._document_ids,
            missing,
            tuple(notes),
        )


def joined(parts: Iterable[Pairs]) -> Pairs:
    """All rows, part by part; documents of the first part keep their row numbers."""
    builder = PairsBuilder()
    missing = 0
    notes: list[str] = []
    for part in parts:
        ids = zip(part.documents, part.document_ids, strict=True)
        number = [builder.document(text, document_id) for text, document_id in ids]
        for row, query in enumerate(part.queries):
            positive = int(part.positives[row])
            builder.add(
                query,
                positive if positive == NO_ROW else number[positive],
                negatives=[number[other] for other in part.negatives[row]],
                scored=[number[other] for other in part.scored[row]],
                scores=part.scored.scores_of(row).tolist(),
                source=part.source_names[int(part.sources[row])],
                query_id=part.query_ids[row],
            )
        missing += part.missing
        notes += part.notes
    return builder.build(missing, notes)


def _join_scores(kept: dict[int, float], other: dict[int, float], positive: int) -> None:
    """Add scores of a later row to those of the first."""
    moved = kept[positive] - other[positive] if positive in kept and positive in other else 0.0
    for document, score in other.items():
        kept.setdefault(document, score + moved)


def _id_of(normalised: str) -> str:
    return blake2b(normalised.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
