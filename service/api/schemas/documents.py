"""Schemas of documents: what comes in, and what is said of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, JsonValue

from lsr.service.api.schemas.problem import Whole
from lsr.service.api.schemas.refinement import FilterFields

__all__ = [
    "BulkAnswer",
    "BulkDocument",
    "BulkRequest",
    "DeleteAnswer",
    "DeleteRequest",
    "DocumentBody",
    "DocumentList",
    "DocumentPatch",
    "StoredDocument",
    "WriteAnswer",
    "WriteResult",
]

_METADATA: dict[str, Any] = {"year": 2021, "tags": ["birds", "rivers"]}
_STRICT = ConfigDict(extra="forbid", strict=True)

Status = Literal["created", "replaced", "deleted", "missing", "conflict", "invalid"]


class DocumentVectors(BaseModel):
    """Vectors of your own, in place of what the collection's models make of the document."""

    model_config = _STRICT

    sparse: dict[str, float] | None = Field(default=None, description="Weights above 0 by term.")
    dense: list[float] | None = Field(
        default=None,
        description="As many numbers as the dense model gives; brought to unit length, but "
        "where the collection compares them by dot.",
    )


class DocumentBody(BaseModel):
    """A document without its id."""

    model_config = _STRICT

    text: str = Field(description="Its text.", examples=["A heron stands in the river."])
    title: str = Field(default="", description="Its title.", examples=["Heron"])
    metadata: dict[str, JsonValue] = Field(
        default_factory=dict, description="Fields to filter by.", examples=[_METADATA]
    )
    vectors: DocumentVectors | None = Field(default=None, description="Vectors of your own.")


class BulkDocument(DocumentBody):
    """A document with its id, in a batch or on a line."""

    doc_id: str = Field(
        validation_alias=AliasChoices("doc_id", "_id", "id"),
        description="Its id; `_id` and `id` are taken too.",
        examples=["birds-17"],
    )
    if_version: Whole | None = Field(
        default=None, ge=0, description="The version it must have now; 0: it must not exist."
    )


class BulkRequest(BaseModel):
    """Many documents at once."""

    model_config = _STRICT

    documents: list[JsonValue] = Field(
        description="Documents with `doc_id`, `text`, `title`, `metadata`, `vectors` and "
        "`if_version`; each is taken or refused on its own.",
        examples=[[{"doc_id": "birds-17", "text": "A heron stands in the river."}]],
        max_length=1_000,
    )


class DocumentPatch(BaseModel):
    """Fields to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"minProperties": 1})

    text: str = Field(default="", description="Its new text.")
    title: str = Field(default="", description="Its new title.")
    metadata: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Fields to set; null removes one. The others stay.",
        examples=[{"year": 2022, "draft": None}],
    )


class WriteAnswer(BaseModel):
    """The outcome of one write that is on disk."""

    doc_id: str = Field(description="The document's id.", examples=["birds-17"])
    status: Status = Field(description="What happened.", examples=["created"])
    version: int = Field(description="Its version now: the number of this operation.")
    seq: int = Field(description="The number of the operation in the collection's log.")
    searchable: bool | None = Field(
        default=None, description="With `wait=searchable`: whether a search finds it by now."
    )


class WriteResult(BaseModel):
    """The outcome of one document of many."""

    line: int | None = Field(
        default=None, description="Its line in the request, or its place in the list, from 1."
    )
    doc_id: str | None = Field(description="Its id, if it could be read.")
    status: Status = Field(description="What happened; conflict and invalid changed nothing.")
    version: int = Field(description="Its version now; 0 when it has none.")
    error: str | None = Field(default=None, description="What is wrong and what to do.")


class BulkAnswer(BaseModel):
    """The outcomes of many writes."""

    results: list[WriteResult] = Field(description="In the order of the request.")
    n_written: int = Field(description="Documents that were stored.")
    n_failed: int = Field(description="Documents that were not.")
    seq: int = Field(description="The number of the last operation; 0 when there was none.")
    searchable: bool | None = Field(
        default=None, description="With `wait=searchable`: whether a search finds all by now."
    )


class DeleteRequest(BaseModel):
    """Documents to delete: by id, or all that pass a filter."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"minProperties": 1, "maxProperties": 1}
    )

    doc_ids: Annotated[list[str], Field(max_length=10_000)] | None = Field(
        default=None, description="Their ids.", examples=[["birds-17"]]
    )
    filter: FilterFields | None = Field(
        default=None, description="Metadata that they have, as in a search."
    )


class DeleteAnswer(BaseModel):
    """The outcome of a deletion of many."""

    n_deleted: int = Field(description="Documents that are deleted.")
    n_missing: int = Field(description="Ids that there was no document of.")
    seq: int = Field(description="The number of the last operation; 0 when there was none.")
    searchable: bool | None = Field(
        default=None, description="With `wait=searchable`: whether no search finds them any more."
    )


class StoredDocument(BaseModel):
    """A document as it was stored last."""

    doc_id: str = Field(description="The document's id.", examples=["birds-17"])
    title: str = Field(description="Its title, or empty.")
    text: str = Field(description="Its text, whole.")
    metadata: dict[str, Any] = Field(description="Its metadata.", examples=[_METADATA])
    version: int = Field(description="The number of its last operation; 0 when built from files.")


class ListedDocument(BaseModel):
    """A document in a list, with the fields that were asked for."""

    doc_id: str = Field(description="The document's id.", examples=["birds-17"])
    title: str | None = Field(default=None, description="Its title.")
    text: str | None = Field(default=None, description="Its text, whole.")
    metadata: dict[str, Any] | None = Field(default=None, description="Its metadata.")
    version: int = Field(description="The number of its last operation; 0 when built from files.")


class DocumentList(BaseModel):
    """A page of documents."""

    documents: list[ListedDocument] = Field(description="In order of doc_id.")
    cursor: str | None = Field(description="For the next page; null at the end.")
    generation: int = Field(description="The collection's generation: counts publications from 1.")
