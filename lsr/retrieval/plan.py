"""Search plans: everything that decides a search, as one frozen value.

The conditions of Li et al. (SIGIR 2022) are plans, not code: `prf.interpolate` says where the two
rankings are fused.

    none         fuse once, no feedback
    dense_only   feedback from the dense list, and the new dense list is the result
    pre          feedback from the fused list, and the new dense list is the result
    post         feedback from the dense list, and the new dense list is fused with the sparse one
    both         feedback from the fused list, and the new dense list is fused with the sparse one

They differ in two weights only: that of the list which feedback is picked from, and that of the
result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from lsr.errors import QueryError
from lsr.options import check_options, option, read_options
from lsr.retrieval.feedback import DenseFeedback, SparseFeedback
from lsr.retrieval.fusion import Fusion

__all__ = [
    "INTERPOLATIONS",
    "MODES",
    "Mode",
    "Prf",
    "SearchPlan",
    "Weights",
    "plan_from",
    "resolved",
]

Mode = Literal["hybrid", "sparse", "dense"]
Interpolation = Literal["none", "pre", "post", "both", "dense_only"]
MODES: tuple[Mode, ...] = ("hybrid", "sparse", "dense")
INTERPOLATIONS = ("none", "pre", "post", "both", "dense_only")


@dataclass(frozen=True, slots=True)
class Prf:
    """Options of pseudo-relevance feedback.

    Raises:
        QueryError: a value is out of its range.
    """

    interpolate: Interpolation = option(
        "none", "Where rankings are fused around the feedback.", choices=INTERPOLATIONS
    )
    depth: int = option(3, "Feedback documents, at most; 0 turns feedback off.", low=0, high=20)
    weight_sparse_pre: float | None = option(
        None,
        "The sparse side's share in the list that feedback is picked from; default: as in fusion.",
        low=0.0,
        high=1.0,
        optional=True,
    )
    min_score: float | None = option(
        None,
        "Documents with a lower score in that list are not used; default: no limit.",
        low=0.0,
        high=1.0,
        optional=True,
    )
    dense: DenseFeedback = field(default_factory=DenseFeedback)
    sparse: SparseFeedback = field(default_factory=SparseFeedback)

    def __post_init__(self) -> None:
        check_options(self, "prf.")


@dataclass(frozen=True, slots=True)
class Weights:
    """Shares of the sparse side in three lists.

    Attributes:
        first: the list that feedback is picked from.
        final: the result.
        unfed: the result without feedback.
    """

    first: float
    final: float
    unfed: float


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """Options that decide a search of a collection.

    Raises:
        QueryError: a value is out of its range, or values do not go together.

    Example:
        >>> import lsr
        >>> lsr.SearchPlan(mode="sparse", window=50).window
        50
    """

    mode: Mode | None = option(
        None,
        "hybrid, sparse or dense; default: hybrid where the collection has dense vectors.",
        choices=MODES,
        optional=True,
    )
    window: int = option(
        100, "Hits of each side that are candidates for fusion.", low=1, high=10_000
    )
    fusion: Fusion = field(default_factory=Fusion)
    prf: Prf = field(default_factory=Prf)
    explain: Literal["none", "scores", "full"] = option(
        "none",
        "Explanation of hits: none, scores (by side), or full (terms, feedback documents too).",
        choices=("none", "scores", "full"),
    )
    allow_partial: bool = option(False, "Whether one side may answer alone when the other fails.")

    def __post_init__(self) -> None:
        check_options(self)
        if self.mode == "sparse" and self.prf.interpolate != "none":
            raise QueryError(
                f"prf.interpolate is {self.prf.interpolate!r}, which needs mode hybrid; for "
                "feedback in sparse search set prf.sparse.enabled"
            )
        if self.mode == "dense" and self.prf.interpolate not in ("none", "dense_only"):
            raise QueryError(
                f"prf.interpolate is {self.prf.interpolate!r}, which needs mode hybrid; in dense "
                "search choose none or dense_only"
            )

    def resolved(self, modes: tuple[Mode, ...], has_floors: bool = True) -> SearchPlan:
        """The plan with every default filled in, for a collection that has these modes.

        A single mode is a fusion by weight 0 or 1 of raw scores; `dense_only` is mode dense.

        Args:
            has_floors: whether both sides' scores have a theoretical minimum; tmm is minmax on a
                side without one, and has the default weight of that.

        Raises:
            QueryError: the collection does not have the mode.
        """
        mode: Mode = self.mode or ("hybrid" if "hybrid" in modes else "sparse")
        if mode not in modes:
            raise QueryError(
                f"mode is {mode!r} and this collection has no dense vectors; build it again with "
                "--dense, or search sparse"
            )
        if mode == "hybrid" and self.prf.interpolate == "dense_only":
            mode = "dense"
        if mode == "hybrid":
            weight = self.fusion.weight_sparse
            if weight is None:
                by_list = self.fusion.norm == "tmm" and not has_floors
                named = replace(self.fusion, norm="minmax") if by_list else self.fusion
                weight = named.default_weight
            fusion = replace(self.fusion, weight_sparse=float(weight))
        else:
            weight = 1.0 if mode == "sparse" else 0.0
            fusion = Fusion(method="convex", norm="none", weight_sparse=weight)
        pre = self.prf.weight_sparse_pre
        first = weight if pre is None or mode != "hybrid" else pre
        prf = replace(self.prf, weight_sparse_pre=float(first))
        return replace(self, mode=mode, fusion=fusion, prf=prf)

    @property
    def weights(self) -> Weights:
        """The weights of a resolved plan's lists."""
        weight, pre = self.fusion.weight_sparse, self.prf.weight_sparse_pre
        if weight is None or pre is None:
            raise ValueError("only a resolved plan has weights")
        if self.mode != "hybrid":
            return Weights(weight, weight, weight)
        first = 0.0 if self.prf.interpolate == "post" else pre
        final = 0.0 if self.prf.interpolate == "pre" else weight
        return Weights(first, final, weight)

    @property
    def may_move_dense(self) -> bool:
        """Whether feedback may move the dense query, and that counts in the result."""
        asked = self.prf.depth > 0 and self.prf.interpolate != "none"
        return asked and self.weights.final < 1

    @property
    def may_move_sparse(self) -> bool:
        """Whether feedback may move the sparse query, and that counts in the result."""
        asked = self.prf.depth > 0 and (self.mode == "sparse" or self.prf.interpolate != "none")
        return asked and self.weights.final > 0

    def as_dict(self) -> dict[str, Any]:
        """Nested plain values, as `plan_from` reads them."""
        return asdict(self)


@lru_cache(maxsize=1024)
def resolved(plan: SearchPlan, modes: tuple[Mode, ...], has_floors: bool = True) -> SearchPlan:
    """As `SearchPlan.resolved`, remembered: most requests are searched by one of a few plans."""
    return plan.resolved(modes, has_floors)


def plan_from(given: Mapping[str, object], defaults: SearchPlan | None = None) -> SearchPlan:
    """Make a plan of a mapping, such as a request, on top of defaults.

    Defaults that do not fit the given fields are dropped: a weight belongs to its norm and method,
    interpolation to mode hybrid.

    Raises:
        QueryError: a field is unknown or out of its range; the message names it.

    Example:
        >>> import lsr
        >>> lsr.plan_from({"prf": {"interpolate": "both"}}).prf.depth
        3
    """
    base = defaults or SearchPlan()
    if given == {}:
        return base
    fusion, prf = given.get("fusion"), given.get("prf")
    if isinstance(fusion, Mapping) and (
        fusion.get("norm", base.fusion.norm) != base.fusion.norm
        or fusion.get("method", base.fusion.method) != base.fusion.method
    ):
        base = replace(
            base,
            fusion=replace(base.fusion, weight_sparse=None),
            prf=replace(base.prf, weight_sparse_pre=None),
        )
    chosen = isinstance(prf, Mapping) and "interpolate" in prf
    if given.get("mode") in ("sparse", "dense") and not chosen:
        base = replace(base, mode=None, prf=replace(base.prf, interpolate="none"))
    return read_options(SearchPlan, given, base)
