"""Options of a search plan, shared by commands."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from lsr.errors import QueryError
from lsr.retrieval.plan import INTERPOLATIONS

__all__ = ["Interpolate", "ModeName", "Settings", "WeightSparse", "plan_fields"]

ModeName = Annotated[
    str | None,
    typer.Option(
        "--mode", help="hybrid, sparse or dense; default: hybrid where there are dense vectors."
    ),
]
WeightSparse = Annotated[
    float | None,
    typer.Option(
        "--weight-sparse",
        help="Share of the sparse side in the fusion, 0 to 1; default: that of the plan.",
    ),
]
Interpolate = Annotated[
    str | None,
    typer.Option(
        "--prf",
        help="Pseudo-relevance feedback, by where rankings are fused around it: "
        f"{', '.join(INTERPOLATIONS)}; default: that of the plan.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Any field of the plan, such as fusion.method=rrf, prf.depth=5, prf.dense.beta=0.3, "
        "prf.sparse.enabled=true, window=1000; may be repeated.",
    ),
]


def plan_fields(
    mode: str | None = None,
    weight_sparse: float | None = None,
    interpolate: str | None = None,
    settings: list[str] | None = None,
) -> dict[str, Any]:
    """Nested fields of a plan, as `lsr.retrieval.plan.plan_from` reads them.

    Raises:
        QueryError: a setting is not written FIELD=VALUE, or two contradict each other.
    """
    given: dict[str, Any] = {}
    if mode is not None:
        given["mode"] = mode
    if weight_sparse is not None:
        given["fusion"] = {"weight_sparse": weight_sparse}
    if interpolate is not None:
        given["prf"] = {"interpolate": interpolate}
    for setting in settings or []:
        path, equals, text = setting.partition("=")
        if not equals or not path:
            raise QueryError(f"{setting!r} is not a setting; write FIELD=VALUE, as prf.depth=5")
        *groups, name = path.split(".")
        place = given
        for group in groups:
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                raise QueryError(f"{path}: {group} is given as a value and as a group of fields")
        if name in place:
            raise QueryError(f"{path} is given twice")
        place[name] = _value(text)
    return given


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
