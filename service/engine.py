"""`SearchEngine`: named collections behind one object. Knows nothing of HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lsr.errors import NotFoundError, QueryError
from lsr.files import is_text
from lsr.index.collection.reader import DEFAULT_K, CollectionReader
from lsr.retrieval.answer import Answer, Hit
from lsr.retrieval.explanation import Explanation
from lsr.retrieval.filter import Filter, both, parse_filter
from lsr.retrieval.plan import plan_from
from lsr.retrieval.snippet import Piece
from lsr.service.catalog import Catalog
from lsr.service.examples import example_queries
from lsr.service.security.document_filter import passes
from lsr.service.suggest import Suggestion, Vocabulary
from lsr.service.terms import QueryTerms, WordMemory
from lsr.sparse import SparseVector
from lsr.stopwatch import Stopwatch
from lsr.types import Document

__all__ = ["FoundHit", "Limits", "SearchEngine", "SearchResult", "Vectors"]


@dataclass(frozen=True)
class Limits:
    """Limits of what one search may ask for."""

    query_characters: int = 2_048
    hits: int = 1_000
    window: int = 10_000
    filters: int = 32


@dataclass(frozen=True)
class Vectors:
    """A query as the caller's own vectors: weights by term, and numbers."""

    sparse: Mapping[str, float] | None = None
    dense: Sequence[float] | None = None


@dataclass(frozen=True)
class FoundHit:
    """A found document, its score, and its passages; `snippet` is empty if not asked for."""

    document: Document
    score: float
    title: list[Piece]
    snippet: list[Piece] = field(default_factory=list)
    explanation: Explanation | None = None


@dataclass(frozen=True)
class SearchResult:
    """A collection's answer, with a passage of each hit.

    Attributes:
        collection: its name.
        answer: `took_ms` counts the passages in.
        hits: those of the answer, best first.
        limit, offset: hits asked for, or what stood in for it, and hits left out at the front.
    """

    collection: str
    answer: Answer
    hits: tuple[FoundHit, ...]
    limit: int
    offset: int


class SearchEngine:
    """Searches collections by name. All methods may be called from many threads.

    Args:
        catalog: the collections.
    """

    def __init__(self, catalog: Catalog, limits: Limits | None = None) -> None:
        self.catalog = catalog
        self.limits = limits or Limits()
        self._memories: dict[str, WordMemory] = {}
        self._examples: dict[str, tuple[int, tuple[str, ...]]] = {}
        self._vocabularies: dict[str, tuple[int, Vocabulary]] = {}

    def collection(self, name: str) -> CollectionReader:
        """The newest state of a collection. Raises NotFoundError when there is none."""
        return self.catalog.reader(name)

    def document(self, name: str, doc_id: str, within: Filter | None = None) -> Document:
        """A document by id, if it passes a key's filter.

        Raises:
            NotFoundError: there is none, or none within the filter, or no such collection.
        """
        collection = self.collection(name)
        try:
            document = collection.document(doc_id)
        except NotFoundError as error:
            raise NotFoundError(f"there is no document {doc_id!r} in collection {name}") from error
        if within is not None and not passes(within, document.metadata):
            raise NotFoundError(f"there is no document {doc_id!r} in collection {name}")
        return document

    def examples(self, name: str) -> tuple[str, ...]:
        """A few queries that find something, always the same. Raises NotFoundError."""
        collection = self.collection(name)
        generation, examples = self._examples.get(name, (0, ()))
        if generation != collection.manifest.generation:
            generation, examples = collection.manifest.generation, example_queries(collection)
            self._examples[name] = (generation, examples)
        return examples

    def suggest(self, name: str, text: str) -> Suggestion:
        """A text that may have been meant, from the words of a collection. Raises NotFoundError.

        Its words are read when they are first needed, and anew when a tenth of it has changed.
        """
        collection = self.collection(name)
        size, vocabulary = self._vocabularies.get(name, (0, None))
        if vocabulary is None or abs(size - collection.n_documents) > 0.1 * size:
            vocabulary = Vocabulary.of(collection, self._memory(name, collection).analyzer)
            self._vocabularies[name] = (collection.n_documents, vocabulary)
        return vocabulary.suggest(text)

    def query_terms(self, name: str, text: str) -> QueryTerms:
        """Marker of the words of a query in texts of a collection. Raises NotFoundError."""
        return QueryTerms(text, self._memory(name, self.collection(name)))

    def _memory(self, name: str, collection: CollectionReader) -> WordMemory:
        if name not in self._memories:
            self._memories[name] = WordMemory(collection.encoder)
        return self._memories[name]

    def search(
        self,
        name: str,
        text: str,
        *,
        limit: int | None = None,
        offset: int = 0,
        where: Mapping[str, object] | None = None,
        within: Filter | None = None,
        plan: Mapping[str, object] | None = None,
        vectors: Vectors | None = None,
        snippets: bool = True,
    ) -> SearchResult:
        """Search a collection, and choose a passage of each hit.

        Args:
            limit: hits wanted, 10 by default; fewer come where fewer match.
            offset: hits to leave out at the front.
            where: metadata values that every hit must have.
            within: the filter of a key, which every hit must pass too.
            plan: fields of a `SearchPlan`; others are as the collection's default.
            vectors: override what the models would make of the text.

        Raises:
            NotFoundError: there is no such collection.
            QueryError: the text is blank or too long, a number is out of range, the filter names
                an unknown field, or the plan or the vectors do not fit the collection.
            UnavailableError, RetrieverError, ModelError: a side cannot answer.
        """
        collection = self.collection(name)
        limit = min(DEFAULT_K, self.limits.hits) if limit is None else limit
        self._check(text, limit, offset, where or {})
        sparse, dense = _checked(vectors, collection) if vectors else (None, None)
        answer = collection.search(
            text,
            k=limit,
            offset=offset,
            where=where if within is None else both(parse_filter(where or {}), within),
            plan=plan_from(plan or {}, collection.default_plan),
            sparse_vector=sparse,
            dense_vector=dense,
        )
        return self._result(name, collection, answer, limit, offset, snippets)

    def _result(
        self,
        name: str,
        collection: CollectionReader,
        answer: Answer,
        limit: int,
        offset: int,
        snippets: bool,
    ) -> SearchResult:
        watch = Stopwatch()
        added = [term.term for term in answer.prf.terms if term.origin != "query"]
        terms = QueryTerms(answer.text, self._memory(name, collection), added)
        hits = tuple(_found(hit, terms, snippets) for hit in answer.hits)
        watch.lap("snippet")
        took_ms = {**answer.took_ms, **watch.took_ms}
        took_ms["total"] = took_ms.pop("total") + took_ms["snippet"]
        return SearchResult(name, replace(answer, took_ms=took_ms), hits, limit, offset)

    def _check(self, text: str, limit: int, offset: int, where: Mapping[str, object]) -> None:
        limits = self.limits
        if len(text) > limits.query_characters:
            raise QueryError(
                f"the query has {len(text):,} characters; write at most {limits.query_characters:,}"
            )
        values = [value for value in where.values() if isinstance(value, str)]
        if not all(map(is_text, [text, *where, *values])):
            raise QueryError("the request holds half a surrogate pair, which is not text")
        if not 1 <= limit <= limits.hits:
            raise QueryError(
                f"the limit is {limit:,} and one answer holds at most {limits.hits:,} hits; "
                f"ask for 1 to {limits.hits:,}"
            )
        if offset < 0:
            raise QueryError(f"the offset is {offset:,}; it must be 0 or more")
        if offset + limit > limits.window:
            raise QueryError(
                f"offset and limit reach hit {offset + limit:,}; they can reach {limits.window:,}, "
                "so narrow the search with more words or a filter"
            )
        if len(where) > limits.filters:
            raise QueryError(f"the filter has {len(where):,} fields; give at most {limits.filters}")


def _found(hit: Hit, terms: QueryTerms, snippets: bool) -> FoundHit:
    return FoundHit(
        hit.document,
        hit.score,
        terms.highlight(hit.document.title),
        terms.snippet(hit.document.text) if snippets else [],
        hit.explanation,
    )


def _checked(
    vectors: Vectors, collection: CollectionReader
) -> tuple[SparseVector | None, NDArray[np.float32] | None]:
    """Vectors of a request as the collection takes them. Raises QueryError."""
    sparse = dense = None
    if vectors.sparse is not None:
        known = collection.encoder.find_terms(list(vectors.sparse))
        most = float(np.finfo(np.float32).max)
        wrong = [text for text, weight in vectors.sparse.items() if not 0 < weight <= most]
        if wrong:
            raise QueryError(
                f"vectors.sparse: the weight of {wrong[0][:64]!r} must be above 0 and finite"
            )
        pairs = zip(known, vectors.sparse.values(), strict=True)
        sparse = SparseVector.from_mapping(
            {term: weight for term, weight in pairs if term is not None}
        )
    if vectors.dense is not None:
        with np.errstate(over="ignore"):
            dense = np.array(vectors.dense, np.float32)
    return sparse, dense
