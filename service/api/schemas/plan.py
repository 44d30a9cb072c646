"""A search plan over the wire; `lsr.retrieval.plan` holds defaults, ranges and meaning."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from lsr.retrieval.feedback import DenseFeedback, SparseFeedback
from lsr.retrieval.fusion import Fusion
from lsr.retrieval.plan import Prf, SearchPlan
from lsr.service.api.schemas.problem import Whole

__all__ = ["FusionFields", "PlanFields", "PrfFields"]

_FORBIDDING = ConfigDict(extra="forbid", strict=True)


def _told(kind: type[Any], name: str) -> Any:
    """A field that may be left out, described as the plan describes it.

    Bounds are told and not checked here: the plan's own sentences name field and range.
    """
    (found,) = [each for each in fields(kind) if each.name == name]
    told = found.metadata
    schema: dict[str, Any] = {}
    if told["low"] is not None:
        schema = {"minimum": told["low"], "maximum": told["high"]}
    elif told["choices"]:
        schema = {"enum": [*told["choices"], *([None] if told["optional"] else [])]}
    return Field(default_factory=_left_out, description=told["help"], json_schema_extra=schema)


def _left_out() -> None:
    """No value: the schema names no default, since what is left out is as the collection has it."""


class FusionFields(BaseModel):
    """Fusion of the two rankings into one."""

    model_config = _FORBIDDING

    method: str = _told(Fusion, "method")
    norm: str = _told(Fusion, "norm")
    missing: str = _told(Fusion, "missing")
    weight_sparse: float | None = _told(Fusion, "weight_sparse")
    rrf_k: Whole = _told(Fusion, "rrf_k")


class DenseFeedbackFields(BaseModel):
    """Feedback on the dense query."""

    model_config = _FORBIDDING

    method: str = _told(DenseFeedback, "method")
    alpha: float = _told(DenseFeedback, "alpha")
    beta: float = _told(DenseFeedback, "beta")


class SparseFeedbackFields(BaseModel):
    """Feedback on the sparse query."""

    model_config = _FORBIDDING

    enabled: bool = _told(SparseFeedback, "enabled")
    terms: Whole = _told(SparseFeedback, "terms")
    alpha: float = _told(SparseFeedback, "alpha")
    beta: float = _told(SparseFeedback, "beta")
    max_df: float = _told(SparseFeedback, "max_df")


_NO_DENSE, _NO_SPARSE = DenseFeedbackFields(), SparseFeedbackFields()
"""Nothing given: one for all requests, which read it and no more."""


class PrfFields(BaseModel):
    """Pseudo-relevance feedback."""

    model_config = _FORBIDDING

    interpolate: str = _told(Prf, "interpolate")
    depth: Whole = _told(Prf, "depth")
    weight_sparse_pre: float | None = _told(Prf, "weight_sparse_pre")
    min_score: float | None = _told(Prf, "min_score")
    dense: DenseFeedbackFields = Field(default_factory=lambda: _NO_DENSE)
    sparse: SparseFeedbackFields = Field(default_factory=lambda: _NO_SPARSE)


_NO_FUSION, _NO_PRF = FusionFields(), PrfFields()


class PlanFields(BaseModel):
    """Everything that decides a search; what is left out is as the collection's default."""

    model_config = _FORBIDDING

    mode: str | None = _told(SearchPlan, "mode")
    window: Whole = _told(SearchPlan, "window")
    fusion: FusionFields = Field(default_factory=lambda: _NO_FUSION)
    prf: PrfFields = Field(default_factory=lambda: _NO_PRF)
    explain: str = _told(SearchPlan, "explain")
    allow_partial: bool = _told(SearchPlan, "allow_partial")

    def plan_fields(self) -> dict[str, object]:
        """The fields that were given, nested, as `lsr.retrieval.plan.plan_from` reads them."""
        given = self.model_fields_set & PlanFields.model_fields.keys()
        return self.model_dump(include=given, exclude_unset=True) if given else {}
