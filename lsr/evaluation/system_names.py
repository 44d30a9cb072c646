"""Systems by name: a condition, over BM25 or a learned model, with a dense model where it has one.

    bm25, prf:pre, ...               over BM25
    learned, learned:prf:pre, ...    over a learned sparse model
    dense, prf:dense                 without a sparse side

With several models of a side, each condition is measured with each, and the system is named after
the models: `my-splade:prf:pre+my-dense`. With a grid of feedback each condition that has it is
measured with each of its settings: `prf:pre:rocchio:k3:a0.4`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from lsr.errors import InputError
from lsr.evaluation.feedback_grid import FeedbackPoint
from lsr.evaluation.lucene import LuceneBm25

if TYPE_CHECKING:
    from lsr.evaluation.report import CollectionReport

__all__ = [
    "KINDS",
    "LEARNED",
    "PLANS",
    "SystemSpec",
    "chosen_kinds",
    "chosen_specs",
    "has_dense_feedback",
    "is_learned",
    "is_tuned",
    "named_systems",
    "needs_dense",
]

_OVER_SPARSE: dict[str, dict[str, Any]] = {
    "hybrid": {"mode": "hybrid"},
    "rrf": {"mode": "hybrid", "fusion": {"method": "rrf"}},
    "prf:pre": {"mode": "hybrid", "prf": {"interpolate": "pre"}},
    "prf:post": {"mode": "hybrid", "prf": {"interpolate": "post"}},
    "prf:both": {"mode": "hybrid", "prf": {"interpolate": "both"}},
    "prf:sparse": {"mode": "sparse", "prf": {"sparse": {"enabled": True}}},
}
"""Conditions that have a sparse side, of either kind."""

PLANS: dict[str, dict[str, Any]] = {
    "bm25": {"mode": "sparse"},
    "dense": {"mode": "dense"},
    "prf:dense": {"mode": "dense", "prf": {"interpolate": "dense_only"}},
    **_OVER_SPARSE,
}
"""Fields of each system's plan that differ from the defaults."""

LEARNED: dict[str, dict[str, Any]] = {
    "learned": {"mode": "sparse"},
    **{f"learned:{name}": fields for name, fields in _OVER_SPARSE.items()},
}
"""As `PLANS`, of systems over a learned sparse model in place of BM25."""

_TUNED = ("tuned", "learned:tuned")
KINDS = (*PLANS, "tuned", *LEARNED, "learned:tuned", LuceneBm25.name)
"""All there are, without those of given runs."""


@dataclass(frozen=True)
class SystemSpec:
    """A system to be made.

    Attributes:
        name: in tables and files.
        kind: one of `KINDS`.
        sparse: the learned model of its sparse side; None for BM25, or where there is no such side.
        dense: the model of its dense side; None where there is none.
        label: the sparse model in a few letters, for notes.
        point: settings of feedback, where it is one of a grid.
        condition: its name without them; empty where there are none.
    """

    name: str
    kind: str
    sparse: str | None = None
    dense: str | None = None
    label: str = ""
    point: FeedbackPoint | None = None
    condition: str = ""


def is_learned(kind: str) -> bool:
    """Whether it is over a learned sparse model."""
    return kind.partition(":")[0] == "learned"


def is_tuned(kind: str) -> bool:
    return kind in _TUNED


def needs_dense(kind: str) -> bool:
    """Whether it has a dense side."""
    plan = (PLANS | LEARNED).get(kind)
    return is_tuned(kind) if plan is None else plan["mode"] != "sparse"


def has_dense_feedback(kind: str) -> bool:
    """Whether documents are fed back to its dense query, as its plan says it."""
    plan = (PLANS | LEARNED).get(kind, {})
    return "interpolate" in plan.get("prf", {})


def chosen_kinds(systems: str) -> list[str]:
    """Kinds as they were typed: names with commas between; `prf:*` stands for all that fit.

    Raises:
        InputError: a name is of no system; all such names are reported together.
    """
    found: dict[str, None] = {}
    unknown: list[str] = []
    for name in (name.strip() for name in systems.split(",") if name.strip()):
        fitting = [kind for kind in KINDS if fnmatchcase(kind, name)]
        found |= dict.fromkeys(fitting)
        if not fitting:
            unknown.append(name)
    if unknown or not found:
        raise InputError(
            f"not a system: {', '.join(unknown) or 'nothing given'}; choose from {', '.join(KINDS)}"
        )
    return list(found)


def named_systems(
    kinds: Sequence[str],
    sparse: Sequence[str],
    dense: Sequence[str],
    points: Sequence[FeedbackPoint] = (),
) -> list[SystemSpec]:
    """Each kind with each model of the sides that it has.

    Args:
        sparse, dense: names of learned sparse models and of dense models; at least one each.
        points: settings that each kind with dense feedback is measured with.

    Raises:
        InputError: a model is named twice, or two systems get the same name.
    """
    for models, option in ((sparse, "--sparse"), (dense, "--dense")):
        twice = next((name for name in models if models.count(name) > 1), None)
        if twice is not None:
            raise InputError(f"{option} {twice} is given twice; name each model once")
    learned, vectors = _labels(sparse, "learned"), _labels(dense, "dense")
    specs: list[SystemSpec] = []
    for kind in kinds:
        for model in sparse if is_learned(kind) else [None]:
            for other in dense if needs_dense(kind) else [None]:
                label = learned[model] if model is not None else ""
                name = label + kind.removeprefix("learned") if model is not None else kind
                after = ""
                if other is not None and len(dense) > 1:
                    name, after = (name, "+") if kind != "dense" else ("", "")
                    after += vectors[other]
                plain = SystemSpec(name + after, kind, model, other, label)
                if not points or not has_dense_feedback(kind):
                    specs.append(plain)
                    continue
                for point in points:
                    own = f"{name}:{point.label}{after}"
                    specs.append(replace(plain, name=own, point=point, condition=plain.name))
    return specs


def chosen_specs(
    specs: Sequence[SystemSpec], report: CollectionReport
) -> tuple[list[SystemSpec], list[str]]:
    """Of each condition the best setting by the report's first measure, and sentences on it.

    Systems that are no part of a grid stay. Of equal settings the first counts; where none was
    measured, the first is kept, so that the reason is told again.

    Args:
        report: of the collection that settings are chosen on.
    """
    measure = next(iter(report.metrics), "")
    values = {result.name: result.metrics[measure] for result in report.results}
    groups: dict[str, list[SystemSpec]] = {}
    for spec in specs:
        groups.setdefault(spec.condition or spec.name, []).append(spec)
    kept: list[SystemSpec] = []
    notes: list[str] = []
    for condition, group in groups.items():
        best = max(group, key=lambda spec: values.get(spec.name, float("-inf")))
        kept.append(best)
        if len(group) > 1 and best.name in values:
            notes.append(
                f"{best.name} was chosen for {condition} among {len(group)} settings on "
                f"{report.title} by {measure} ({values[best.name]:.4f} there)"
            )
    return kept, notes


def _labels(models: Sequence[str], alone: str) -> dict[str, str]:
    """A short name for each model: the last part of its name, or the whole where two end alike."""
    if len(models) == 1:
        return {models[0]: alone}
    last = {model: model.rstrip("/").rpartition("/")[2] or model for model in models}
    labels: dict[str, str] = {}
    for model, short in last.items():
        is_shared = list(last.values()).count(short) > 1
        labels[model] = "-".join(
            (model.strip("/").replace("/", "-") if is_shared else short).split()
        )
    return labels
