"""Schemas of the REST API: requests and answers.

Numbers that depend on the collection or the settings are checked by the engine, whose sentences
name the bounds; the schemas check shape and type.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

from lsr.retrieval.answer import PrfReport
from lsr.retrieval.explanation import Explanation
from lsr.retrieval.plan import SearchPlan
from lsr.service.api.plan_schema import PlanFields

__all__ = [
    "AnswerWarning",
    "Health",
    "Problem",
    "SearchAnswer",
    "SearchHit",
    "SearchRequest",
]

_SCALAR = {"anyOf": [{"type": kind} for kind in ("string", "number", "boolean")]}
_METADATA_EXAMPLE: dict[str, Any] = {"year": 2021, "tags": ["birds", "rivers"]}

Scalar = Annotated[JsonValue, WithJsonSchema(_SCALAR)]


class VectorFields(BaseModel):
    """A query as vectors of your own."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sparse: dict[str, float] | None = Field(
        default=None,
        description="Weights above 0 by term; terms not in the vocabulary are ignored.",
    )
    dense: list[float] | None = Field(
        default=None,
        description="As many numbers as the dense model gives; brought to unit length.",
    )


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
    limit: int | None = Field(
        default=None,
        description="Hits wanted; 10 when left out. Fewer come where fewer documents match.",
        json_schema_extra={"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
    )
    offset: int = Field(
        default=0,
        description="Hits to leave out at the front. Pages put together are one long answer.",
        json_schema_extra={"minimum": 0},
    )
    filter: dict[str, Scalar] = Field(
        default_factory=dict,
        description="Metadata values that every hit must have; a list field by any element.",
        examples=[{"year": 2021}],
    )
    snippet: bool = Field(default=True, description="Whether to choose a passage of each hit.")


class SearchHit(BaseModel):
    """A found document."""

    doc_id: str = Field(description="The document's id.", examples=["birds-17"])
    score: float = Field(description="Greater is better; comparable within one answer.")
    title: str = Field(description="The document's title, or empty.")
    snippet: str | None = Field(description="The passage that matches best, if asked for.")
    metadata: dict[str, Any] = Field(
        description="The document's metadata.", examples=[_METADATA_EXAMPLE]
    )
    explanation: Explanation | None = Field(
        description="Where the score comes from, if asked for; its parts add up to it."
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
    plan: SearchPlan = Field(description="What was done, with nothing left open.")
    prf: PrfReport = Field(description="What feedback did, and which documents it learned from.")
    warnings: list[AnswerWarning] = Field(description="What else there is to know.")
    hits: list[SearchHit] = Field(
        description="Best first; equal scores by dense raw score, then by doc_id."
    )
    took_ms: dict[str, float] = Field(
        description="Milliseconds by stage, and their total.",
        examples=[{"encode": 0.1, "search": 0.4, "fetch": 0.3, "total": 0.8}],
    )


class Health(BaseModel):
    """The service's own state."""

    status: Literal["alive", "ready"] = Field(description="What was asked about.")


class Reason(BaseModel):
    """One thing wrong in a request."""

    path: str = Field(description="Where.", examples=["body.limit"])
    message: str = Field(description="What.")


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = Field(description="A URN for the kind.", examples=["urn:lsr:problem:not_found"])
    title: str = Field(description="The kind, for people.", examples=["Not found"])
    status: int = Field(description="The HTTP status.", examples=[404])
    detail: str = Field(
        description="What is wrong and what to do.",
        examples=["there is no collection 'bird'; there are: birds"],
    )
    code: str = Field(description="Stable name of the kind.", examples=["not_found"])
    instance: str = Field(description="The path asked for.", examples=["/v1/collections/bird"])
    errors: list[Reason] | None = Field(
        default=None, description="For an ill-formed request: what is wrong where."
    )
