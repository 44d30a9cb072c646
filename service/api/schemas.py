"""Schemas of the REST API: collections, documents, health and problems."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from lsr.retrieval.plan import SearchPlan

__all__ = [
    "CollectionSummary",
    "Collections",
    "FoundDocument",
    "Health",
    "Problem",
]

_METADATA_EXAMPLE: dict[str, Any] = {"year": 2021, "tags": ["birds", "rivers"]}


class CollectionSummary(BaseModel):
    """A collection that can be searched."""

    name: str = Field(description="The name in paths.", examples=["birds"])
    n_documents: int = Field(description="Number of documents.")
    n_terms: int = Field(description="Size of the sparse vocabulary.")
    n_postings: int = Field(description="Non-zero weights of all sparse vectors.")
    size_bytes: int = Field(description="Bytes on disk.")
    generation: int = Field(description="Counts publications from 1.")
    created: datetime = Field(description="When this generation was built.")
    modes: list[Literal["hybrid", "sparse", "dense"]] = Field(
        description="Modes it can be searched in; the first is the default."
    )
    sparse_encoder: str = Field(description="What made the sparse vectors.", examples=["bm25"])
    dense_encoder: str | None = Field(description="What made the dense vectors, if there are any.")
    default_plan: SearchPlan = Field(
        description="How it is searched where a request does not say: tuned, or as built in."
    )
    fields: list[str] = Field(description="Metadata fields that a filter can name.")


class Collections(BaseModel):
    """All collections of this service."""

    collections: list[CollectionSummary] = Field(description="In order of name.")


class FoundDocument(BaseModel):
    """A document as it was indexed."""

    doc_id: str = Field(description="The document's id.", examples=["birds-17"])
    title: str = Field(description="Its title, or empty.")
    text: str = Field(description="Its text, whole.")
    metadata: dict[str, Any] = Field(description="Its metadata.", examples=[_METADATA_EXAMPLE])


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
