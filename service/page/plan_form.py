"""`PagePlan`: what an address says of the plan of a search; `Controls`: what the page then shows.

An address names only what differs from the collection's default: `mode`, `weight` (the share of
words), `fusion`, `prf` (where feedback comes in), `depth` (documents it learns from) and `expand`
(`yes` or `no`: whether it takes words from them too).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, get_args

from lsr.errors import QueryError
from lsr.index.collection.reader import CollectionReader
from lsr.retrieval.fusion import Method
from lsr.retrieval.plan import Mode, SearchPlan, plan_from

__all__ = ["FINER", "METHODS", "PLAN_NAMES", "Controls", "PagePlan", "shown_default"]

METHODS: tuple[Method, ...] = get_args(Method)
FINER = ("fusion", "prf", "depth", "expand")
"""What stands behind "Tune this search"."""
PLAN_NAMES = ("mode", "weight", *FINER)

_SAME = 1e-9
_WORDS = {"yes": True, "no": False}


@dataclass(frozen=True)
class PagePlan:
    """Plan fields in an address. None: as the collection's default.

    A value that no plan takes is kept as it was written: the engine's sentence names it.
    """

    mode: str | None = None
    weight: float | str | None = None
    fusion: str | None = None
    prf: str | None = None
    depth: int | str | None = None
    expand: bool | str | None = None

    @classmethod
    def of(
        cls, parameters: Mapping[str, str], default: SearchPlan, modes: tuple[Mode, ...]
    ) -> Self:
        """Read an address, leaving out what is as the default or means nothing in its mode."""
        said = {name: parameters[name] for name in PLAN_NAMES if parameters.get(name)}
        plan = cls(
            mode=said.get("mode"),
            weight=_number(said.get("weight")),
            fusion=said.get("fusion"),
            prf=said.get("prf"),
            depth=_whole(said.get("depth")),
            expand=_yes_or_no(said.get("expand")),
        )
        try:
            plan_from({"mode": plan.mode or modes[0]}).resolved(modes)
            plan_from(replace(plan, mode=None).fields, replace(default, mode=None))
        except QueryError:
            return plan
        return plan._without_defaults(default, modes)

    def _without_defaults(self, default: SearchPlan, modes: tuple[Mode, ...]) -> Self:
        mode = self.mode if self.mode != _default_mode(default, modes) else None
        shown = Controls.of(replace(self, mode=mode), default, modes)
        plain = Controls.of(type(self)(mode), default, modes)
        usual = shown.weights[shown.fusion]
        is_usual = not isinstance(self.weight, float) or abs(self.weight - usual) < _SAME
        return replace(
            self,
            mode=mode,
            weight=self.weight if shown.fuses and not is_usual else None,
            fusion=self.fusion if shown.fuses and shown.fusion != plain.fusion else None,
            prf=shown.prf if shown.prf != plain.prf else None,
            depth=self.depth if shown.learns and shown.depth != plain.depth else None,
            expand=self.expand if shown.may_expand and shown.expand != plain.expand else None,
        )

    @property
    def fields(self) -> dict[str, Any]:
        """Given fields, nested as `lsr.retrieval.plan.plan_from` and the REST API take them."""
        expand = {} if self.expand is None else {"enabled": self.expand}
        fusion = _given(method=self.fusion, weight_sparse=self.weight)
        prf = _given(interpolate=self.prf, depth=self.depth, sparse=expand or None)
        return _given(mode=self.mode, fusion=fusion or None, prf=prf or None)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Given fields as name and value, as an address writes them."""
        return [
            (name, _written(value))
            for name in PLAN_NAMES
            if (value := getattr(self, name)) is not None
        ]


@dataclass(frozen=True)
class Controls:
    """The controls of the page, each with the value that counts.

    Attributes:
        weight: the share of words.
        weights: its default by method of fusion.
        is_tuned: whether something finer than mode and weight differs from the default.
    """

    modes: tuple[Mode, ...]
    mode: str
    weight: float | str
    weights: Mapping[str, float]
    fusion: str
    prf: str
    depth: int | str
    expand: bool
    is_tuned: bool

    @classmethod
    def of(cls, plan: PagePlan, default: SearchPlan, modes: tuple[Mode, ...]) -> Self:
        """The controls of a collection that has these modes and this default plan."""
        mode = plan.mode or _default_mode(default, modes)
        weights: dict[str, float] = {method: _default_weight(method, default) for method in METHODS}
        fusion = plan.fusion or default.fusion.method
        usual = default.prf.interpolate if plan.mode in (None, "hybrid") else "none"
        prf = plan.prf or usual
        if mode == "sparse" or (mode == "dense" and prf not in ("none", "dense_only")):
            prf = "none"
        return cls(
            modes=modes,
            mode=mode,
            weight=weights.get(fusion, 0.5) if plan.weight is None else plan.weight,
            weights=weights,
            fusion=fusion,
            prf=prf,
            depth=default.prf.depth if plan.depth is None else plan.depth,
            expand=default.prf.sparse.enabled if plan.expand is None else plan.expand is True,
            is_tuned=any(getattr(plan, name) is not None for name in FINER),
        )

    @property
    def fuses(self) -> bool:
        """Whether words and meaning are weighed against each other."""
        return self.mode == "hybrid" and self.prf != "dense_only"

    @property
    def may_expand(self) -> bool:
        """Whether feedback could add words to the query."""
        return self.mode == "sparse" or (self.fuses and self.prf in ("post", "both"))

    @property
    def learns(self) -> bool:
        """Whether there is feedback."""
        return self.prf != "none" or (self.may_expand and self.expand)

    @property
    def share(self) -> int | None:
        """The share of words in percent; None when the weight is no share."""
        if isinstance(self.weight, str) or not 0 <= self.weight <= 1:
            return None
        return round(100 * self.weight)

    @property
    def step(self) -> str:
        """A step of the weight that the weight itself, and its defaults, lie on."""
        values = [self.weight, *self.weights.values()]
        for step in (0.05, 0.01):
            if all(_lies_on(value, step) for value in values):
                return f"{step:g}"
        return "any"


def shown_default(collection: CollectionReader) -> SearchPlan:
    """A collection's default plan, with the default weights that it is searched by."""
    plan = collection.default_plan
    if collection.hybrid.has_floors or plan.fusion.norm != "tmm":
        return plan
    return replace(plan, fusion=replace(plan.fusion, norm="minmax"))


def _lies_on(value: float | str, step: float) -> bool:
    return not isinstance(value, str) and abs(value / step - round(value / step)) < _SAME


def _default_mode(default: SearchPlan, modes: tuple[Mode, ...]) -> Mode:
    return default.mode or modes[0]


def _default_weight(method: Method, default: SearchPlan) -> float:
    fusion = plan_from({"fusion": {"method": method}}, default).fusion
    return fusion.default_weight if fusion.weight_sparse is None else fusion.weight_sparse


def _given(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _number(text: str | None) -> float | str | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _whole(text: str | None) -> int | str | None:
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 10):
        return text
    return int(text)


def _yes_or_no(text: str | None) -> bool | str | None:
    return None if text is None else _WORDS.get(text, text)


def _written(value: float | str | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.15g}" if isinstance(value, float) else str(value)
