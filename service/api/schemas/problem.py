"""Schemas of health and of problems, and whole numbers as JSON writes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

__all__ = ["Health", "Problem", "Whole"]


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number; 10.0 is one too, as JSON and its schemas have it."""


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
