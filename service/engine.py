"""`SearchEngine`: named collections behind one object. Knows nothing of HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError, LsrError, NotFoundError, QueryError
from lsr.files import is_text
from lsr.index.collection.reader import DEFAULT_K, CollectionReader
from lsr.retrieval.answer import Answer, Hit
from lsr.retrieval.explanation import Explanation
from lsr.retrieval.plan import plan_from
from lsr.retrieval.snippet import Piece
from lsr.service.examples import example_queries
from lsr.service.terms import QueryTerms, WordMemory
from lsr.sparse import SparseVector
from lsr.stopwatch import Stopwatch
from lsr.types import Document

__all__ = ["FoundHit", "Limits", "SearchEngine", "SearchResult", "Vectors", "collection_names"]

_NAME = re.compile(r"[a-z0-9_-]{1,64}")


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
        collections: opened collections by name; the engine closes them.

    Raises:
        InputError: a name is not 1 to 64 of a-z, 0-9, `_` and `-`, or there are no collections.
    """

    def __init__(
        self, collections: Mapping[str, CollectionReader], limits: Limits | None = None
    ) -> None:
        if not collections:
            raise InputError("there is no collection to serve; name at least one index folder")
        for name in collections:
            _check_name(name)
        self.collections = dict(collections)
        self.limits = limits or Limits()
        self.not_ready: str | None = "the collections are being warmed up; try again shortly"
        """Why searches should wait, or None when the engine is ready."""
        self._memories = {
            name: WordMemory(collection.encoder) for name, collection in self.collections.items()
        }
        self._examples = {
            name: example_queries(collection) for name, collection in self.collections.items()
        }

    @classmethod
    def open(cls, paths: Mapping[str, Path], limits: Limits | None = None) -> SearchEngine:
        """Open the collections at `paths`, comparing every file with its checksum.

        Raises:
            InputError: as the constructor.
            IndexStateError: one of the collections cannot be used; none stays open.
        """
        with ExitStack() as opened:
            collections = {}
            for name, path in paths.items():
                collections[name] = CollectionReader.open(path)
                opened.callback(collections[name].close)
            engine = cls(collections, limits)
            opened.pop_all()
            return engine

    def warm_up(self) -> None:
        """Compile kernels and load models, then become ready.

        Raises:
            LsrError: a model cannot be loaded; `not_ready` says so from then on.
        """
        try:
            for collection in self.collections.values():
                collection.warm_up()
        except BaseException as error:
            known = isinstance(error, LsrError)
            self.not_ready = str(error) if known else "the warm-up failed; the log says more"
            raise
        self.not_ready = None

    def close(self) -> None:
        """Close every collection. Searches that are running fail."""
        self.not_ready = "the service is shutting down; try another"
        for collection in self.collections.values():
            collection.close()

    def collection(self, name: str) -> CollectionReader:
        """A collection by name. Raises NotFoundError when there is none."""
        if name not in self.collections:
            known = ", ".join(sorted(self.collections))
            raise NotFoundError(f"there is no collection {name[:64]!r}; there are: {known}")
        return self.collections[name]

    def document(self, name: str, doc_id: str) -> Document:
        """A document by id. Raises NotFoundError when there is none, or no such collection."""
        self.collection(name)
        try:
            return self.collections[name].document(doc_id)
        except NotFoundError as error:
            raise NotFoundError(f"there is no document {doc_id!r} in collection {name}") from error

    def examples(self, name: str) -> tuple[str, ...]:
        """A few queries that find something, always the same. Raises NotFoundError."""
        self.collection(name)
        return self._examples[name]

    def query_terms(self, name: str, text: str) -> QueryTerms:
        """Marker of the words of a query in texts of a collection. Raises NotFoundError."""
        self.collection(name)
        return QueryTerms(text, self._memories[name])

    def search(
        self,
        name: str,
        text: str,
        *,
        limit: int | None = None,
        offset: int = 0,
        where: Mapping[str, object] | None = None,
        plan: Mapping[str, object] | None = None,
        vectors: Vectors | None = None,
        snippets: bool = True,
    ) -> SearchResult:
        """Search a collection, and choose a passage of each hit.

        Args:
            limit: hits wanted, 10 by default; fewer come where fewer match.
            offset: hits to leave out at the front.
            where: metadata values that every hit must have.
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
            where=where,
            plan=plan_from(plan or {}, collection.default_plan),
            sparse_vector=sparse,
            dense_vector=dense,
        )
        return self._result(name, answer, limit, offset, snippets)

    def _result(
        self, name: str, answer: Answer, limit: int, offset: int, snippets: bool
    ) -> SearchResult:
        watch = Stopwatch()
        added = [term.term for term in answer.prf.terms if term.origin != "query"]
        terms = QueryTerms(answer.text, self._memories[name], added)
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


def collection_names(paths: Iterable[Path]) -> dict[str, Path]:
    """Paths by the names they are served under: the folder's own, in lower case.

    Raises:
        InputError: a folder's name cannot be one, or two would have the same.
    """
    named: dict[str, Path] = {}
    for path in paths:
        name = path.resolve().name.lower()
        _check_name(name)
        if name in named:
            raise InputError(
                f"{named[name]} and {path} would both be served as {name!r}; rename one folder"
            )
        named[name] = path
    return named


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InputError(
            f"a collection cannot be named {name!r}; use 1 to 64 of a-z, 0-9, '_' and '-', "
            "and rename the folder if the name comes from it"
        )


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
