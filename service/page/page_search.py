"""`search_page`: one page of hits by an address, as the engine finds it, and the request for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lsr.errors import QueryError
from lsr.retrieval.answer import FacetCounts
from lsr.retrieval.explanation import Origin, QueryTerm
from lsr.retrieval.filter import Filter
from lsr.retrieval.plan import SearchPlan, plan_from
from lsr.retrieval.refinement import MOST_FACETS
from lsr.service.engine import Search, SearchEngine, SearchResult, Vectors
from lsr.service.page.curl import search_body
from lsr.service.page.facet_view import MOST_VALUES
from lsr.service.page.feedback_view import asks_for_feedback
from lsr.service.page.query_string import PageQuery
from lsr.service.page.query_words import QueryWord, QueryWords
from lsr.types import Document

__all__ = ["PAGE_SIZE", "Found", "search_page"]

PAGE_SIZE = 10


@dataclass(frozen=True)
class Found:
    """A page of hits, and one hit more where there is a next page.

    Attributes:
        words: names the terms of explanations.
        shown: the words of the query as it was searched; empty where no words were.
        learned_from: the documents that feedback learned from, best first.
        window: hits that can be reached.
        is_kept: whether feedback learned no more, since words that it learned were chosen from.
        body: of the request that asks the REST API for the same.
        facets: of each field as if it were not filtered by itself, so that more can be chosen.
    """

    result: SearchResult
    words: QueryWords
    shown: list[QueryWord]
    learned_from: list[Document]
    window: int
    is_kept: bool
    body: dict[str, Any]
    facets: list[FacetCounts]


def search_page(engine: SearchEngine, query: PageQuery, within: Filter | None = None) -> Found:
    """Search by an address. Words that it leaves out or counts double become a vector of its own.

    Feedback learns from the first hits; where a word that it learned is left out or counted
    double, what it learned is kept as it was and the second search is by that.

    Raises:
        LsrError: as `SearchEngine.search`; also when no word is left.
    """
    search = _PageSearch(engine, query, within)
    vector, origins = search.vector()
    return search.found(vector, origins)


class _PageSearch:
    def __init__(self, engine: SearchEngine, query: PageQuery, within: Filter | None) -> None:
        self._engine = engine
        self._query = query
        self._within = within
        name = query.collection
        collection = engine.collection(name)
        self._plan = plan_from(query.plan.fields, collection.default_plan)
        self._whole = self._plan.resolved(collection.modes, collection.hybrid.has_floors)
        terms = engine.query_terms(name, query.text)
        self._words = QueryWords(query.text, collection.encoder, terms)
        self._collection = collection
        self._fields: dict[str, object] = dict(query.plan.fields)
        if self._whole.mode != "dense" or asks_for_feedback(self._whole):
            self._fields["explain"] = "full"

    def vector(self) -> tuple[dict[str, float] | None, dict[str, Origin]]:
        """The sparse vector to search by, if it is not the encoder's, and its terms' origins."""
        factors, words = self._query.factors, self._words
        if not factors or self._whole.mode == "dense":
            return None, {}
        asked = words.encoded()
        words.learn(asked, "")
        origins: dict[str, Origin] = {}
        if _learns_words(self._whole) and factors.keys() - {words.word(term) for term in asked}:
            first = self._search(None, limit=1)
            terms = first.answer.prf.terms
            learned = _texts(self._documents(first))
            words.learn((term.term for term in terms), learned)
            origins = {term.term: term.origin for term in terms}
            asked = {term.term: term.weight for term in terms}
            self._keep_what_was_learned()
        vector = words.weighed(asked, factors)
        if asked and not vector:
            raise QueryError("every word of the query is left out; put one of them back")
        return vector, origins

    def found(self, vector: Mapping[str, float] | None, origins: Mapping[str, Origin]) -> Found:
        engine, query = self._engine, self._query
        window, offset = self._window(), (query.page - 1) * PAGE_SIZE
        # One more than is shown tells whether there is a next page.
        wanted = min(PAGE_SIZE + 1, engine.limits.hits)
        if offset < window < offset + wanted:
            wanted = window - offset
        result = self._search(vector, limit=wanted, offset=offset)
        learned_from = self._documents(result)
        terms: Sequence[QueryTerm] = result.answer.prf.terms
        self._words.learn((term.term for term in terms), _texts(learned_from))
        has_words = self._whole.mode != "dense"
        body = search_body(query.text, query.where, self._fields, offset, vector, query.sort)
        return Found(
            result,
            self._words,
            self._words.shown(terms, origins, query.factors) if has_words else [],
            learned_from,
            window,
            bool(origins),
            body,
            self._facets(result, vector),
        )

    @property
    def _facet_fields(self) -> list[str]:
        return list(self._collection.metadata.fields[:MOST_FACETS])

    def _facets(
        self, result: SearchResult, vector: Mapping[str, float] | None
    ) -> list[FacetCounts]:
        found = {each.field: each for each in result.answer.facets}
        for name in self._facet_fields:
            if name in self._query.where:
                where = {**self._query.where}
                del where[name]
                alone = self._asked(vector, 1, 0, where, [name])
                found[name] = self._engine.answer(
                    self._query.collection, replace(alone, snippets=False, pieces=False)
                ).answer.facets[0]
        return [found[name] for name in self._facet_fields if name in found]

    def _search(
        self, vector: Mapping[str, float] | None, *, limit: int, offset: int = 0
    ) -> SearchResult:
        asked = [] if limit == 1 else self._facet_fields
        search = self._asked(vector, limit, offset, self._query.where, asked)
        return self._engine.answer(self._query.collection, search)

    def _asked(
        self,
        vector: Mapping[str, float] | None,
        limit: int,
        offset: int,
        where: Mapping[str, object],
        facets: Sequence[str],
    ) -> Search:
        return Search(
            text=self._query.text,
            limit=limit,
            offset=offset,
            where=where,
            within=self._within,
            plan=self._fields,
            vectors=None if vector is None else Vectors(sparse=vector),
            pieces=True,
            sort=(self._query.sort,) if self._query.sort else (),
            count=True,
            facets=tuple({"field": name, "limit": MOST_VALUES, "stats": True} for name in facets),
        )

    def _documents(self, result: SearchResult) -> list[Document]:
        name = self._query.collection
        return [self._engine.document(name, each.doc_id) for each in result.answer.prf.feedback]

    def _keep_what_was_learned(self) -> None:
        sparse = replace(self._query.plan, expand=False)
        self._fields = {**sparse.fields, "explain": "full"}

    def _window(self) -> int:
        limit = self._engine.limits.window
        if self._whole.mode == "hybrid" and self._collection.n_documents > self._whole.window:
            limit = min(limit, self._whole.window)
        return limit


def _learns_words(plan: SearchPlan) -> bool:
    return asks_for_feedback(plan) and plan.prf.sparse.enabled


def _texts(documents: Sequence[Document]) -> str:
    return " ".join(document.text for document in documents)
