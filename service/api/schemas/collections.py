"""Schemas of collections and aliases."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from lsr.encoders.dense_recipe import POOLINGS
from lsr.errors import InputError
from lsr.passages.passage import MOST_TOKENS, PassageSettings
from lsr.retrieval.plan import SearchPlan
from lsr.service.api.schemas.plan import PlanFields
from lsr.service.api.schemas.problem import Whole

__all__ = [
    "NAME",
    "AliasBody",
    "AliasChanges",
    "Aliases",
    "CalibrateBody",
    "CollectionBody",
    "CollectionSummary",
    "Collections",
    "DenseOptionFields",
    "FieldSummary",
    "ModelSummary",
    "Models",
    "PassageFields",
    "PassageSummary",
    "SegmentSummary",
    "SuggestAnswer",
    "UnusableCollection",
]

_STRICT = ConfigDict(extra="forbid", strict=True)
_FROM_ZERO: dict[str, Any] = {"minimum": 0}
_FROM_ONE: dict[str, Any] = {"minimum": 1}
"""Said of numbers in the schema; they are checked with better words."""
NAME: dict[str, Any] = {"pattern": "^[a-z0-9_-]{1,64}$"}
"""Said of names in the schema; they are checked with better words."""

FieldType = Literal["text", "number", "boolean", "date"]


class DenseOptionFields(BaseModel):
    """Options of a dense model; what is left out is as the model says."""

    model_config = _STRICT

    similarity: Literal["cosine", "dot"] | None = Field(
        default=None, description="How vectors are compared; dot keeps their length."
    )
    pooling: str | None = Field(
        default=None,
        description="Of a model without modules.json: how a vector is made of those of tokens.",
        json_schema_extra={"enum": [*POOLINGS, None]},
    )
    query_prompt: str | None = Field(default=None, description="Put before every query.")
    document_prompt: str | None = Field(default=None, description="Put before every document.")
    dimensions: int | None = Field(
        default=None, description="Keep this many first components.", json_schema_extra=_FROM_ONE
    )
    max_tokens: int | None = Field(
        default=None, description="Where texts are cut.", json_schema_extra=_FROM_ONE
    )


class PassageFields(BaseModel):
    """Settings of how long documents are split."""

    model_config = _STRICT

    tokens: Whole = Field(
        default=128,
        description="Of a passage at most, by the model's tokenizer.",
        json_schema_extra={"minimum": 16, "maximum": MOST_TOKENS},
    )
    overlap: Whole | None = Field(
        default=None,
        description="Tokens repeated of the passage before at most; an eighth when left out.",
        json_schema_extra=_FROM_ZERO,
    )
    whole: Whole | None = Field(
        default=None,
        description="Documents of up to so many tokens stay whole; twice `tokens` when left out.",
        json_schema_extra=_FROM_ONE,
    )

    def settings(self) -> PassageSettings:
        """The settings. Raises InputError where a number is out of its range."""
        overlap = self.tokens // 8 if self.overlap is None else self.overlap
        if self.whole is None:
            return PassageSettings(self.tokens, overlap)
        if self.whole < 1:
            raise InputError(f"passages.whole is {self.whole:,}; give at least passages.tokens")
        return PassageSettings(self.tokens, overlap, self.whole)


def _passage_fields(given: object) -> object:
    """Fields of a value as requests give it: true stands for all defaults, false for none."""
    if isinstance(given, dict | PassageFields):
        return given
    if isinstance(given, bool):
        return PassageFields() if given else None
    raise PydanticCustomError(
        "passages", "give true, false, or an object of tokens, overlap and whole"
    )


def _true_or_false(schema: dict[str, Any]) -> None:
    schema["anyOf"][-1] = {"type": "boolean"}
    schema["default"] = False


class CollectionBody(BaseModel):
    """Encoders, plan and types of a new collection."""

    model_config = _STRICT

    sparse: str | None = Field(
        default=None,
        description="`bm25`, or a learned model's name; doc-mini when left out.",
        examples=["bm25"],
    )
    dense: str | None = Field(default=None, description="A dense model's name; none by default.")
    dense_options: DenseOptionFields = Field(
        default_factory=DenseOptionFields, description="How the dense model makes vectors."
    )
    language: str | None = Field(
        default=None,
        description="Of BM25's words, or of a document's own words beside a learned model: the "
        "stemmer, or none; English by default.",
    )
    lexical_weight: float | None = Field(
        default=None, description="Learned model: weight of the documents' own words."
    )
    passages: Annotated[PassageFields | None, BeforeValidator(_passage_fields)] = Field(
        default=None,
        description="Whether long documents are split into passages, or how; a hit is a document "
        "still.",
        json_schema_extra=_true_or_false,
    )
    default_plan: PlanFields = Field(
        default_factory=PlanFields,
        description="How it is searched where a request does not say.",
    )
    fields: dict[str, FieldType] = Field(
        default_factory=dict,
        description="Types that metadata fields must have; others may hold anything.",
        examples=[{"year": "number", "published": "date"}],
    )


class ModelSummary(BaseModel):
    """A model that made vectors."""

    name: str = Field(description="As it was named.", examples=["bm25"])
    kind: str = Field(description="How it is read.", examples=["bm25"])
    sha256: str = Field(description="Hash of everything that its output depends on.")
    parameters: dict[str, Any] = Field(description="Its options.")


class Models(BaseModel):
    """The models of a collection."""

    sparse: ModelSummary = Field(description="What made the sparse vectors.")
    dense: ModelSummary | None = Field(description="What made the dense ones, if there are any.")


class PassageSummary(BaseModel):
    """Settings by which long documents are split."""

    tokens: int = Field(description="Of a passage at most.", examples=[128])
    overlap: int = Field(description="Tokens repeated of the passage before at most.")
    whole: int = Field(description="Documents of up to so many tokens stay whole.")


class SegmentSummary(BaseModel):
    """A part of the documents, as it was written at once."""

    name: str = Field(description="Its folder.", examples=["segment-000001"])
    n_documents: int = Field(description="Documents that can be found.")
    n_deleted: int = Field(description="Documents that take space until a merge.")


class FieldSummary(BaseModel):
    """A metadata field."""

    name: str = Field(description="Its name in filters.", examples=["year"])
    types: list[Literal["text", "number", "boolean"]] = Field(
        description="Types of the values it has.", examples=[["number"]]
    )
    wanted: FieldType | None = Field(
        description="The type it must have, where the maker of the collection said one."
    )


class CollectionSummary(BaseModel):
    """A collection that can be searched."""

    name: str = Field(description="The name in paths.", examples=["birds"])
    aliases: list[str] = Field(description="Other names of it.")
    n_documents: int = Field(description="Documents that can be found.")
    n_deleted: int = Field(description="Documents that take space until a merge.")
    n_passages: int = Field(
        description="Passages that can be found; a document in one piece counts as one."
    )
    n_pending: int = Field(description="Operations on disk that searches do not see yet.")
    n_unpublished: int = Field(description="Operations that are not in a segment yet.")
    n_terms: int = Field(description="Size of the sparse vocabulary.")
    n_postings: int = Field(description="Non-zero weights of all sparse vectors.")
    size_bytes: int = Field(description="Bytes on disk.")
    generation: int = Field(description="Counts publications from 1.")
    seq: int = Field(description="The number of the last operation that is on disk.")
    created: datetime = Field(description="When this generation was built.")
    modes: list[Literal["hybrid", "sparse", "dense"]] = Field(
        description="Modes it can be searched in; the first is the default."
    )
    sparse_encoder: str = Field(description="What made the sparse vectors.", examples=["bm25"])
    dense_encoder: str | None = Field(description="What made the dense vectors, if there are any.")
    models: Models = Field(description="The same with hashes and options.")
    passages: PassageSummary | None = Field(
        description="How long documents are split; null where all stay whole."
    )
    segments: list[SegmentSummary] = Field(description="In the order of their rows.")
    default_plan: SearchPlan = Field(
        description="How it is searched where a request does not say: tuned, or as built in."
    )
    fields: list[FieldSummary] = Field(description="Metadata fields that a filter can name.")
    error: str | None = Field(
        description="Why it does not get on with following, encoding or publishing, if it does not."
    )


class UnusableCollection(BaseModel):
    """A collection that cannot be opened."""

    name: str = Field(description="The name in paths.")
    code: str = Field(description="Stable name of the kind.", examples=["index_corrupt"])
    detail: str = Field(description="What is wrong and what to do.")


class Collections(BaseModel):
    """All collections of this service."""

    collections: list[CollectionSummary] = Field(description="In order of name.")
    unusable: list[UnusableCollection] = Field(description="Those that cannot be opened.")


class CalibrateBody(BaseModel):
    """A recall for approximate search to reach."""

    model_config = _STRICT

    recall: float = Field(
        default=0.97, gt=0, le=1, description="Share of the true hits that are to be found."
    )
    queries: Annotated[list[str], Field(min_length=1, max_length=10_000)] | None = Field(
        default=None, description="Texts; queries made of documents when left out."
    )


class AliasBody(BaseModel):
    """The collection that an alias stands for."""

    model_config = _STRICT

    collection: str = Field(description="A collection's name.", examples=["birds"])


class AliasAction(BaseModel):
    """One alias set, or removed."""

    model_config = _STRICT

    alias: str = Field(description="The other name.", examples=["current"], json_schema_extra=NAME)
    collection: str | None = Field(description="A collection's name; null to remove the alias.")


class AliasChanges(BaseModel):
    """Aliases that change together."""

    model_config = _STRICT

    actions: list[AliasAction] = Field(
        min_length=1, max_length=1_000, description="All of them are done, in this order, or none."
    )


class Aliases(BaseModel):
    """All aliases."""

    aliases: dict[str, str] = Field(
        description="Collections by alias.", examples=[{"current": "birds"}]
    )


class SuggestAnswer(BaseModel):
    """Words that may have been meant."""

    corrected: str | None = Field(
        description="The query with the nearest words; null where nothing is to be corrected.",
        examples=["river"],
    )
    near: dict[str, list[str]] = Field(
        description="For each word that no document holds, words near it, nearest first.",
        examples=[{"rivre": ["river", "rivet"]}],
    )
