"""Schemas of searches: requests and answers.

Numbers that depend on the collection or the settings are checked by the engine, whose sentences
name the bounds; the schemas check shape and type.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue

from lsr.retrieval.answer import FacetCounts, PrfReport
from lsr.retrieval.explanation import Explanation
from lsr.retrieval.filter import Filter
from lsr.retrieval.plan import SearchPlan
from lsr.service.api.schemas.plan import PlanFields
from lsr.service.api.schemas.problem import Problem, Whole
from lsr.service.engine import Search, Vectors

__all__ = [
    "AnswerWarning",
    "EncodeAnswer",
    "EncodeRequest",
    "ExplainAnswer",
    "ExplainRequest",
    "MultiAnswer",
    "MultiRequest",
    "SearchAnswer",
    "SearchHit",
    "SearchRequest",
]

_METADATA_EXAMPLE: dict[str, Any] = {"year": 2021, "tags": ["birds", "rivers"]}


class VectorFields(BaseModel):
    """A query as vectors of your own."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sparse: dict[str, float] | None = Field(
        default=None,
        description="Weights above 0 by term; terms not in the vocabulary are ignored.",
    )
    dense: list[float] | None = Field(
        default=None,
        description="As many numbers as the dense model gives; brought to unit length, but where "
        "the collection compares them by dot.",
    )


class CollapseFields(BaseModel):
    """One hit for each value of a field; the best stands for the others."""

    model_config = ConfigDict(extra="forbid", strict=True)

    field: str = Field(description="The field.", examples=["parent_id"])
    inner: Whole = Field(default=0, description="Further hits of each value that are told.")


class SearchRequest(PlanFields):
    """A search: a query, a page, and a plan. What is left out is as the collection's default."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"text": "how do herons fish", "limit": 5}],
        },
    )

    text: str = Field(default="", description="The query. May be left out where vectors are given.")
    vectors: VectorFields | None = Field(
        default=None, description="Used in place of what the models would make of the text."
    )
    limit: Whole | None = Field(
        default=None,
        description="Hits wanted; 10 when left out. Fewer come where fewer documents match.",
        json_schema_extra={"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
    )
    offset: Whole = Field(
        default=0,
        description="Hits to leave out at the front. Pages put together are one long answer.",
        json_schema_extra={"minimum": 0},
    )
    filter: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="What every hit must pass: values by field, a list field by any element; or "
        "must, should and must_not with lists of such objects. A value may be an object of any, "
        "gte, gt, lte, lt, exists, not.",
        examples=[{"year": 2021}, {"must": [{"year": {"gte": 2019}}]}],
    )
    passages: Whole = Field(
        default=1,
        description="Passages told of each hit whose document was split: the best, up to 20.",
        json_schema_extra={"minimum": 1, "maximum": 20},
    )
    snippet: bool = Field(
        default=True,
        description="Whether to choose a part of each hit's best passage, or of its text.",
    )
    fields: list[str] | None = Field(
        default=None,
        max_length=64,
        description="Parts of documents that hits have: title, text (whole), metadata, or "
        "metadata.NAME; title and metadata when left out.",
        examples=[["title", "text", "metadata.year"]],
    )
    marks: bool = Field(
        default=False,
        description="Whether to tell the places of matches in title, snippet, and text if asked "
        "for.",
    )
    min_score: FiniteFloat | None = Field(
        default=None, description="Hits with a lower score are left out."
    )
    timeout_ms: Whole | None = Field(
        default=None,
        description="Milliseconds after which what has not begun is left out: `partial` and the "
        "warnings tell. 1,000 when left out, 10,000 at most.",
        json_schema_extra={
            "anyOf": [{"type": "integer", "minimum": 1, "maximum": 10_000}, {"type": "null"}]
        },
    )
    facets: list[str | dict[str, JsonValue]] = Field(
        default_factory=list,
        description="Fields whose values are counted over all matches: a name, or an object of "
        "field, limit, ranges (each with from and to) and stats.",
        examples=[["lang", {"field": "year", "ranges": [{"from": 2000, "to": 2010}]}]],
    )
    sort: list[str | dict[str, JsonValue]] = Field(
        default_factory=list,
        description="Fields to order all matches by: a name with :asc or :desc, or an object of "
        "field, order and missing (first or last).",
        examples=[["year:desc"]],
    )
    collapse: CollapseFields | None = Field(
        default=None, description="One hit for each value of a field."
    )
    count: bool = Field(default=False, description="Whether to count all matches.")
    cursor: str | None = Field(
        default=None,
        max_length=4_096,
        description="The cursor of the page before, with the request otherwise repeated.",
    )

    def search(self, within: Filter | None, default_timeout_ms: int) -> Search:
        """The request as the engine takes it.

        Args:
            within: what every hit must pass besides the request's own filter.
        """
        given = self.vectors
        return Search(
            text=self.text,
            limit=self.limit,
            offset=self.offset,
            where=self.filter,
            within=within,
            plan=self.plan_fields(),
            vectors=Vectors(given.sparse, given.dense) if given is not None else None,
            passages=self.passages,
            snippets=self.snippet,
            marks=self.marks,
            fields=None if self.fields is None else tuple(self.fields),
            min_score=self.min_score,
            timeout_ms=default_timeout_ms if self.timeout_ms is None else self.timeout_ms,
            cursor=self.cursor,
            facets=tuple(self.facets),
            sort=tuple(self.sort),
            collapse=self.collapse.model_dump() if self.collapse else None,
            count=self.count,
        )


class SearchMark(BaseModel):
    """A matching word: characters `start` to before `end` of a part of a hit."""

    field: Literal["title", "snippet", "text"] = Field(description="The part.")
    start: int = Field(description="First character, from 0; Unicode code points are counted.")
    end: int = Field(description="The character after the last.")
    term: str = Field(description="The query's term, as the analyzer writes it.")


class HitPassage(BaseModel):
    """A passage of a found document: characters `start` to before `end` of its text."""

    number: int = Field(description="Its place among the document's passages, from 0.")
    start: int = Field(description="First character, from 0; Unicode code points are counted.")
    end: int = Field(description="The character after the last.")
    heading: str = Field(
        description='The headings above it, outermost first, joined by " > "; or empty.',
        examples=["Keys > Rotation"],
    )
    line: int = Field(description="The line of the text that it begins in, from 1.")
    page: int | None = Field(description="The page, from 1; null in a text without pages.")
    score: float = Field(description="Comparable among the passages of one document alone.")


_PASSAGES: Any = Field(
    default=[],
    description="Those that answer best, best first; only there if the document was split, and one "
    "of them answers.",
)


class InnerHit(BaseModel):
    """A hit that another one stands for."""

    doc_id: str = Field(description="The document's id.")
    score: float = Field(description="Its score.")
    title: str | None = Field(description="Its title; null if not asked for.")
    metadata: dict[str, Any] | None = Field(description="Its metadata, as in hits.")
    passages: list[HitPassage] = _PASSAGES


class CollapsedHits(BaseModel):
    """The hits of one value of a field."""

    value: str | int | float | bool | None = Field(description="The value; null without one.")
    n_hits: int = Field(description="Hits with this value, the best included.")
    hits: list[InnerHit] = Field(description="Those after the best, as many as asked for.")


class SearchHit(BaseModel):
    """A found document."""

    doc_id: str = Field(description="The document's id.", examples=["birds-17"])
    score: float = Field(description="Greater is better; comparable within one answer.")
    title: str | None = Field(description="The document's title, or empty; null if not asked for.")
    snippet: str | None = Field(
        description="The part of the best passage, or of the text, that matches best, if asked for."
    )
    metadata: dict[str, Any] | None = Field(
        description="The document's metadata, or the fields asked for; null if none were.",
        examples=[_METADATA_EXAMPLE],
    )
    explanation: Explanation | None = Field(
        description="Where the score comes from, if asked for; its parts add up to it."
    )
    text: str = Field(default="", description="The whole text; only there if asked for.")
    passages: list[HitPassage] = _PASSAGES
    collapsed: CollapsedHits | None = Field(
        default=None, description="What the hit stands for; only there if hits are collapsed."
    )
    marks: list[SearchMark] = Field(
        default=[], description="Places of matches, in order; only there if asked for."
    )


class AnswerWarning(BaseModel):
    """Something about an answer that its reader should know."""

    code: str = Field(description="Stable name of the kind.", examples=["sparse_empty"])
    detail: str = Field(description="The same for people.")


class SearchAnswer(BaseModel):
    """Answer to a search."""

    collection: str = Field(description="The collection searched.", examples=["birds"])
    generation: int = Field(description="Its generation: counts publications from 1.")
    mode: Literal["hybrid", "sparse", "dense"] = Field(description="What was searched.")
    limit: int = Field(description="Hits asked for, or what stood in for it.")
    offset: int = Field(description="Hits left out at the front.")
    total: int = Field(description="Hits that can be paged through with this window.")
    n_matches: int | None = Field(
        description="Documents that match in truth, where `count`, facets or a sort ask for it."
    )
    facets: list[FacetCounts] = Field(description="In the order in which they were asked for.")
    plan: SearchPlan = Field(description="What was done, with nothing left open.")
    prf: PrfReport = Field(description="What feedback did, and which documents it learned from.")
    warnings: list[AnswerWarning] = Field(description="What else there is to know.")
    partial: bool = Field(
        description="Whether something that was asked for is left out; a warning tells what."
    )
    hits: list[SearchHit] = Field(
        description="Best first; equal scores by dense raw score, then by doc_id."
    )
    cursor: str | None = Field(description="For the next page; null at the end.")
    models: dict[Literal["sparse", "dense"], str] = Field(
        description="SHA-256 of the models that were there, by side."
    )
    request_id: str = Field(description="As in the header X-Request-Id.")
    took_ms: dict[str, float] = Field(
        description="Milliseconds by stage, and their total.",
        examples=[{"encode": 0.1, "search": 0.4, "fetch": 0.3, "total": 0.8}],
    )


class MultiRequest(BaseModel):
    """Several searches of one collection."""

    model_config = ConfigDict(extra="forbid", strict=True)

    searches: list[SearchRequest] = Field(
        min_length=1,
        max_length=100,
        description="Up to 100, of 20,480 characters together; hits and time are shared.",
    )


class MultiResult(BaseModel):
    """Outcome of one of several searches: one of the two is there."""

    answer: SearchAnswer | None = Field(default=None, description="Its answer.")
    problem: Problem | None = Field(default=None, description="Why there is none.")


class MultiAnswer(BaseModel):
    """Answers to several searches."""

    results: list[MultiResult] = Field(description="In the order of the searches.")
    request_id: str = Field(description="As in the header X-Request-Id.")


class ExplainRequest(SearchRequest):
    """A search, and the document whose score is to be explained."""

    doc_id: str = Field(description="The document's id.", min_length=1)


class ExplainAnswer(BaseModel):
    """Why a document has its score, or none."""

    collection: str = Field(description="The collection searched.")
    generation: int = Field(description="Its generation.")
    doc_id: str = Field(description="The document's id.")
    found: bool = Field(description="Whether it is among the hits of the search, of any page.")
    rank: int | None = Field(description="Its place among them, from 1.")
    score: float | None = Field(description="Its score there.")
    passes_filter: bool = Field(description="Whether it passes the filter.")
    explanation: Explanation | None = Field(
        description="Where the score comes from; for a document that is not found, what the sparse "
        "side alone would give it, if anything."
    )
    dense_score: float | None = Field(
        description="Raw score of the dense side, for a document that is not found."
    )
    plan: SearchPlan = Field(description="What was done, with nothing left open.")
    warnings: list[AnswerWarning] = Field(description="What else there is to know.")
    request_id: str = Field(description="As in the header X-Request-Id.")


class EncodeRequest(BaseModel):
    """Texts to be encoded by the collection's sparse encoder."""

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: list[str] = Field(min_length=1, max_length=100, description="Up to 100 texts.")
    side: Literal["query", "document"] = Field(
        default="query", description="As queries, or as documents: of these up to 8 at once."
    )


class EncodeAnswer(BaseModel):
    """Sparse vectors."""

    collection: str = Field(description="The collection.")
    model: str = Field(description="SHA-256 of the encoder.")
    vectors: list[dict[str, float]] = Field(
        description="Weights by term, in the order of the texts."
    )
    request_id: str = Field(description="As in the header X-Request-Id.")
