"""`SearchEngine`: named collections behind one object. Knows nothing of HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from weakref import WeakKeyDictionary

from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import LateError, LsrError, NotFoundError, QueryError
from lsr.files import is_text
from lsr.index.collection.reader import DEFAULT_K, CollectionReader
from lsr.index.live.live_collection import LiveCollection
from lsr.index.live.view import warm_up_views
from lsr.retrieval.answers.answer import Answer
from lsr.retrieval.asked import LastHit
from lsr.retrieval.filter import Filter, both, parse_filter
from lsr.retrieval.hybrid import Notice
from lsr.retrieval.plan import plan_from
from lsr.retrieval.refinement import Refinement
from lsr.service.catalog import Catalog
from lsr.service.examples import example_queries
from lsr.service.search.cursor import Cursor, digest
from lsr.service.search.explained import Explained, explained
from lsr.service.search.passages import FoundHit, Passages
from lsr.service.search.request import Limits, Search, Vectors, check_search
from lsr.service.search.result import Begun, SearchResult
from lsr.service.search.vectors import checked_vectors
from lsr.service.security.document_filter import passes
from lsr.service.suggest import Suggestion, Vocabulary
from lsr.service.terms import QueryTerms, WordMemory
from lsr.stopwatch import Deadline, Stopwatch
from lsr.types import Document

__all__ = ["Begun", "FoundHit", "Limits", "Search", "SearchEngine", "SearchResult", "Vectors"]

_SMALL_ROWS = 20_000
"""Sixty words that all of these hold cost a millisecond."""


class SearchEngine:
    """Searches collections by name. All methods may be called from many threads.

    Args:
        catalog: the collections.
    """

    def __init__(self, catalog: Catalog, limits: Limits | None = None) -> None:
        self.catalog = catalog
        self.limits = limits or Limits()
        self._memories: WeakKeyDictionary[LiveCollection, WordMemory] = WeakKeyDictionary()
        self._examples: dict[str, tuple[int, tuple[str, ...]]] = {}
        self._vocabularies: dict[str, tuple[int, Vocabulary]] = {}

    def collection(self, name: str) -> CollectionReader:
        """The newest state of a collection. Raises NotFoundError when there is none."""
        return self.catalog.reader(name)

    def is_small(self, name: str, facets: Sequence[object] = ()) -> bool:
        """Whether a plain search of a collection takes less time than it takes to start a thread.

        Nothing is opened or made for it, and no network encodes the query.

        Args:
            facets: names of fields whose values are counted.
        """
        collection = self.catalog.opened(name)
        return (
            collection is not None
            and collection.manifest.dense is None
            and collection.segment.n_rows <= _SMALL_ROWS
            and isinstance(collection.encoder, Bm25Encoder)
            and collection.tuned_plan is None
            and all(collection.metadata.is_small(str(field)) for field in facets)
        )

    def warm_up(self) -> None:
        """As `Catalog.warm_up`; and compile what passages, and new collections, are searched by."""
        terms = QueryTerms("heron", WordMemory(None))
        for end in ("", "\u00e9"):  # what is no ASCII is of another type
            terms.passage("A heron stands in the river. " * 20 + end)
        if self.catalog.root is not None:
            warm_up_views()
        self.catalog.warm_up()

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
            vocabulary = Vocabulary.of(collection, self._memory(self.catalog.live(name)).analyzer)
            self._vocabularies[name] = (collection.n_documents, vocabulary)
        return vocabulary.suggest(text)

    def query_terms(self, name: str, text: str) -> QueryTerms:
        """Marker of the words of a query in texts of a collection. Raises NotFoundError."""
        return QueryTerms(text, self._memory(self.catalog.live(name)))

    def _memory(self, live: LiveCollection) -> WordMemory:
        """The memory of a collection, which goes with its handle."""
        encoder = live.view.encoder
        memory = self._memories.get(live)
        if memory is None or not memory.suits(encoder):
            memory = self._memories[live] = WordMemory(encoder)
        return memory

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
        pieces: bool = False,
    ) -> SearchResult:
        """As `answer`; the arguments are those of `Search`."""
        search = Search(
            text=text,
            limit=limit,
            offset=offset,
            where=where or {},
            within=within,
            plan=plan or {},
            vectors=vectors,
            snippets=snippets,
            pieces=pieces,
        )
        return self.answer(name, search)

    def answer(
        self,
        name: str,
        search: Search,
        *,
        deadline: Deadline | None = None,
        characters: int | None = None,
    ) -> SearchResult:
        """Search a collection, and choose a passage of each hit.

        Args:
            deadline: stands in place of that of the search.
            characters: scanned for passages at most; those of the limits by default.

        Raises:
            NotFoundError: there is no such collection.
            QueryError: the text is blank or too long, a number is out of range, the filter names
                an unknown field, the cursor is none of this search, or the plan or the vectors do
                not fit the collection.
            UnavailableError, RetrieverError, ModelError: a side cannot answer.
        """
        return self.begin(name, search, deadline=deadline, characters=characters).end()

    def begin(
        self,
        name: str,
        search: Search,
        *,
        deadline: Deadline | None = None,
        characters: int | None = None,
    ) -> Begun:
        """The first part of `answer`: all but the passages. Raises as that."""
        if deadline is None and search.timeout_ms is not None:
            deadline = Deadline(min(search.timeout_ms, self.limits.timeout_ms[1]))
        live = self.catalog.live(name)
        state = live.seen  # before the view: what changes in between is told as a change
        collection = live.view
        limit = min(DEFAULT_K, self.limits.hits) if search.limit is None else search.limit
        check_search(search, limit, self.limits)
        sparse, dense = (
            checked_vectors(search.vectors, collection) if search.vectors else (None, None)
        )
        start = self._start(name, search, state, limit)
        answer = collection.search(
            search.text,
            k=limit,
            offset=start.offset,
            where=_filter(search, collection),
            plan=plan_from(search.plan, collection.default_plan),
            facets=search.facets,
            sort=search.sort,
            collapse=search.collapse,
            count=search.count,
            sparse_vector=sparse,
            dense_vector=dense,
            min_score=search.min_score,
            passages=search.passages,
            after=start.after,
            deadline=deadline,
        )
        left = self.limits.passage_characters if characters is None else characters
        passages = Passages(search, left, deadline)
        return Begun(
            answer,
            partial(self._result, name, live, collection, search, start, limit, answer, passages),
        )

    def answers(self, name: str, searches: Sequence[Search]) -> list[SearchResult | LsrError]:
        """Several searches, which share the hits, characters and time of one.

        Returns:
            In their order an answer each, or the error that stands in its place.

        Raises:
            NotFoundError: there is no such collection.
            QueryError: together they ask for more hits, or are longer, than one request may.
        """
        self.collection(name)
        wanted = sum(DEFAULT_K if each.limit is None else each.limit for each in searches)
        if wanted > self.limits.hits:
            raise QueryError(
                f"the searches ask for {wanted:,} hits together; ask for at most "
                f"{self.limits.hits:,}"
            )
        written = sum(len(each.text) for each in searches)
        if written > self.limits.queries_characters:
            raise QueryError(
                f"the searches have {written:,} characters together; write at most "
                f"{self.limits.queries_characters:,} in one request"
            )
        found: list[SearchResult | LsrError] = []
        longest = max((each.timeout_ms or 0 for each in searches), default=0)
        longest = min(longest, self.limits.timeout_ms[1])
        deadline = Deadline(longest) if longest else None
        left = self.limits.passage_characters
        for search in searches:
            if deadline is not None and deadline.is_over:
                found.append(LateError(f"{longest:,} ms were over before this search began"))
                continue
            try:
                result = self.answer(name, search, deadline=deadline, characters=left)
            except LsrError as error:
                found.append(error)
            else:
                left -= result.n_scanned
                found.append(result)
        return found

    def explain(
        self,
        name: str,
        search: Search,
        doc_id: str,
    ) -> Explained:
        """Why a document has its score in a search, also when it is not among the hits.

        Raises:
            NotFoundError: there is no such collection, or no such document.
            QueryError: as `answer`.
        """
        collection = self.collection(name)
        self.document(name, doc_id, search.within)
        check_search(search, 1 if search.limit is None else search.limit, self.limits)
        sparse, dense = (
            checked_vectors(search.vectors, collection) if search.vectors else (None, None)
        )
        plan = plan_from(search.plan, collection.default_plan)
        where = _filter(search, collection)
        allowed = collection.metadata.mask(where) if where else None
        deadline = None if search.timeout_ms is None else Deadline(search.timeout_ms)
        query = (search.text, sparse, dense)
        return explained(name, collection, doc_id, query, plan, allowed, deadline)

    def encode(
        self, name: str, texts: Sequence[str], *, as_documents: bool
    ) -> tuple[list[dict[str, float]], str]:
        """Sparse vectors of texts by term, and the hash of the encoder.

        Raises:
            NotFoundError: there is no such collection.
            QueryError: there are too many texts, or one is too long or no text.
        """
        collection, limits = self.collection(name), self.limits
        most = limits.encoded_documents if as_documents else limits.encoded_queries
        longest = limits.document_characters if as_documents else limits.query_characters
        if len(texts) > most:
            side = "documents" if as_documents else "queries"
            raise QueryError(f"{len(texts):,} texts; at most {most} are encoded as {side} at once")
        for number, text in enumerate(texts):
            if len(text) > longest or not is_text(text):
                raise QueryError(
                    f"text {number} is no text, or above {longest:,} characters; shorten it"
                )
        encoder = collection.encoder
        encode = encoder.encode_documents if as_documents else encoder.encode_queries
        rows = map(encode(texts).row, range(len(texts)))
        vectors = [
            {
                encoder.term(term): weight
                for term, weight in zip(row.terms.tolist(), row.weights.tolist(), strict=True)
            }
            for row in rows
        ]
        return vectors, collection.manifest.sparse.sha256

    def _start(self, name: str, search: Search, state: tuple[int, int], limit: int) -> _Start:
        if search.cursor is None:
            return _Start(state, search.offset, None, ())
        cursor = Cursor.read(search.cursor, digest(name, search))
        offset = min(cursor.place, self.limits.window - limit)
        if cursor.state == state and offset == cursor.place:
            return _Start(state, offset, None, ())
        return _Start(state, offset, cursor.last, (_CHANGED,))

    def _result(
        self,
        name: str,
        live: LiveCollection,
        collection: CollectionReader,
        search: Search,
        start: _Start,
        limit: int,
        answer: Answer,
        passages: Passages,
    ) -> SearchResult:
        watch = Stopwatch()
        added = [term.term for term in answer.prf.terms if term.origin != "query"]
        hits = passages.of(answer.hits, lambda: QueryTerms(answer.text, self._memory(live), added))
        notices = (*answer.warnings, *start.notices, *passages.notices)
        watch.lap("snippet")
        took_ms = answer.took_ms  # this answer's own
        total = took_ms.pop("total")
        took_ms |= watch.took_ms
        took_ms["total"] = total + took_ms["snippet"]
        if len(notices) > len(answer.warnings):
            answer = replace(answer, warnings=notices)
        cursor, manifest = None, collection.manifest
        reached = answer.first + len(hits)
        if hits and reached < answer.total:
            last = LastHit(hits[-1].score, hits[-1].document.doc_id)
            cursor = Cursor(start.state, reached, digest(name, search), last).text()
        models = {"sparse": manifest.sparse.sha256}
        if manifest.dense:
            models["dense"] = manifest.dense.sha256
        return SearchResult(
            name, answer, hits, limit, answer.first, cursor, models, passages.n_scanned
        )


@dataclass(frozen=True)
class _Start:
    """Where a page begins, in which state, and what there is to say about it."""

    state: tuple[int, int]
    offset: int
    after: LastHit | None
    notices: tuple[Notice, ...]


_CHANGED = Notice(
    "collection_changed",
    "the collection has changed since the cursor was made; the page begins after the last hit of "
    "the page before, wherever that would be now",
)


def _filter(search: Search, collection: CollectionReader) -> Mapping[str, object] | Filter:
    """The filter of a request, and that of its key, which is not told what fields there are."""
    if search.within is None:
        return search.where
    for field in Refinement.of(search.facets, search.sort, search.collapse).fields:
        collection.metadata.check(field, is_listed=False)
    return both(parse_filter(search.where), search.within)
