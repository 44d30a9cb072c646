"""`SearchRequest`: a search as it is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any

from lsr.errors import QueryError

__all__ = ["Fields", "Plan", "SearchRequest"]

Fields = Mapping[str, Any]
"""An object of JSON."""

Plan = Mapping[str, Any] | Any
"""Fields of a plan, nested, or an `lsr.SearchPlan`."""


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """A search. What is None is not sent, and is then as the service and the collection have it.

    docs/rest.md says what each field means. A string may stand for a request of that text.

    Attributes:
        sparse, dense: vectors in place of what the models would make of the text.
        plan: fields of the plan, such as `{"fusion": {"weight_sparse": 0.4}}`, or an
            `lsr.SearchPlan`.
        facets: names of fields, or objects with `field`, `limit`, `ranges` and `stats`.
        sort: `"year:desc"`, or objects with `field`, `order` and `missing`.
        collapse: the name of a field, or an object with `field` and `inner`.
    """

    text: str | None = None
    limit: int | None = None
    offset: int | None = None
    cursor: str | None = None
    filter: Fields | None = None
    mode: str | None = None
    plan: Plan | None = None
    explain: str | None = None
    sparse: Mapping[str, float] | None = None
    dense: Sequence[float] | None = None
    facets: Sequence[str | Fields] | None = None
    sort: Sequence[str | Fields] | None = None
    collapse: str | Fields | None = None
    fields: Sequence[str] | None = None
    passages: int | None = None
    snippet: bool | None = None
    marks: bool | None = None
    min_score: float | None = None
    count: bool | None = None
    timeout_ms: int | None = None

    def body(self) -> dict[str, Any]:
        """The JSON object of it.

        Raises:
            QueryError: the plan is none, or contradicts `mode` or `explain`.
        """
        given = {
            name: value
            for name in _NAMES
            if (value := getattr(self, name)) is not None and name not in _OWN
        }
        sides = {"sparse": self.sparse, "dense": self.dense}
        vectors = {
            "sparse": dict(self.sparse) if self.sparse is not None else None,
            "dense": list(self.dense) if self.dense is not None else None,
        }
        kept = {side: vectors[side] for side, value in sides.items() if value is not None}
        if kept:
            given["vectors"] = kept
        for name, value in _plan_fields(self.plan).items():
            if given.setdefault(name, value) != value:
                raise QueryError(f"{name} is given twice: {given[name]!r}, and {value!r} in plan")
        return given

    @classmethod
    def of(cls, request: SearchRequest | str) -> SearchRequest:
        """The request itself, or one of a text."""
        return cls(text=request) if isinstance(request, str) else request


_OWN = ("sparse", "dense", "plan")
_NAMES = tuple(each.name for each in fields(SearchRequest))


def _plan_fields(plan: Plan | None) -> Mapping[str, Any]:
    if plan is None:
        return {}
    if is_dataclass(plan) and not isinstance(plan, type):
        return {name: value for name, value in asdict(plan).items() if value is not None}
    if isinstance(plan, Mapping):
        return plan
    raise QueryError(
        f"plan is {type(plan).__name__}; give its fields as a dict, or an lsr.SearchPlan"
    )
