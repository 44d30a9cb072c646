"""Grids of feedback: a condition of Li et al. (SIGIR 2022) with many settings, and one of them.

A grid is measured as systems with a name each: `prf:both:rocchio:k3:a0.4` is the condition
`prf:both` by Rocchio, of 3 documents, with 0.4 of the query and 0.6 of the documents' mean. The
best of them is chosen on one collection and reported on others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lsr.errors import InputError

__all__ = ["GRID_NOTE", "FeedbackPoint", "feedback_grid", "numbers_of"]

METHODS = ("average", "rocchio")
DEEPEST = 20
MOST_VALUES = 1_000
GRID_NOTE = (
    "systems of one condition with several settings of feedback are a grid: the best of them is "
    "chosen on these judgements; to report one, choose it elsewhere with --choose-on"
)


@dataclass(frozen=True)
class FeedbackPoint:
    """Settings of dense feedback; what is None is as in the plan.

    Attributes:
        method: average or rocchio.
        depth: documents that feedback is taken from.
        alpha: Rocchio's weight of the query, 0 to 1; that of the documents' mean is the rest.
    """

    method: str | None = None
    depth: int | None = None
    alpha: float | None = None

    @property
    def label(self) -> str:
        """The settings in a few letters."""
        parts = [self.method or ""]
        parts += [f"k{self.depth}"] if self.depth is not None else []
        parts += [f"a{self.alpha:g}"] if self.alpha is not None else []
        return ":".join(filter(None, parts))

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of a plan that it stands for."""
        dense: dict[str, Any] = {}
        if self.method is not None:
            dense["method"] = self.method
        if self.alpha is not None:
            dense |= {"alpha": self.alpha, "beta": round(1 - self.alpha, 9)}
        prf: dict[str, Any] = {"dense": dense} if dense else {}
        if self.depth is not None:
            prf["depth"] = self.depth
        return {"prf": prf}


def feedback_grid(
    depths: str | None, methods: str | None, alphas: str | None, settings: Mapping[str, Any]
) -> list[FeedbackPoint]:
    """All settings of the lists that are given; none where no list is.

    Args:
        depths, methods, alphas: as typed: values with commas between, or first:last:step.
        settings: fields of the plan of every system, which the grid must not set again.

    Raises:
        InputError: a list cannot be read, a value is out of its range or set twice, or there is
            an alpha and no Rocchio.
    """
    if depths is None and methods is None and alphas is None:
        return []
    chosen_methods: list[str | None] = [None]
    if methods is not None:
        chosen_methods = list(dict.fromkeys(name.strip() for name in methods.split(",")))
        unknown = next((name for name in chosen_methods if name not in METHODS), None)
        if unknown is not None:
            raise InputError(f"--prf-method has {unknown!r}; choose from {', '.join(METHODS)}")
    elif alphas is not None:
        chosen_methods = ["rocchio"]
    if alphas is not None and "rocchio" not in chosen_methods:
        raise InputError(
            "--prf-alpha is of Rocchio, and --prf-method names average alone; leave it out, or "
            "add rocchio"
        )
    chosen_depths = [None] if depths is None else _whole(numbers_of(depths, "--prf-depth"))
    chosen_alphas = [None] if alphas is None else numbers_of(alphas, "--prf-alpha")
    if any(alpha is not None and not 0 <= alpha <= 1 for alpha in chosen_alphas):
        raise InputError(f"--prf-alpha is {alphas!r}; give numbers from 0 to 1")
    points = [
        FeedbackPoint(method, depth, alpha)
        for method in chosen_methods
        for depth in chosen_depths
        for alpha in (chosen_alphas if method == "rocchio" else [None])
    ]
    for point in points:
        _refuse_twice(point.fields, settings)
    return points


def numbers_of(given: str, option: str) -> list[float]:
    """Numbers as typed: `1,3,5`, or `0:1:.1` from first to last by a step.

    Raises:
        InputError: it is neither.
    """
    try:
        if ":" not in given:
            return list(dict.fromkeys(float(part) for part in given.split(",")))
        first, last, step = (float(part) for part in given.split(":"))
        n_steps = (last - first) / step
        if not 0 <= n_steps < MOST_VALUES:
            raise ValueError
        return [round(first + i * step, 9) for i in range(int(n_steps + 1e-6) + 1)]
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(
            f"{option} is {given!r}; give numbers with commas between, as 1,3,5, or "
            "first:last:step, as 0:1:.1"
        ) from error


def _whole(numbers: Sequence[float]) -> list[int | None]:
    if any(not 1 <= number <= DEEPEST or number != int(number) for number in numbers):
        raise InputError(f"--prf-depth has whole numbers from 1 to {DEEPEST} alone")
    return [int(number) for number in numbers]


def _refuse_twice(fields: Mapping[str, Any], settings: Mapping[str, Any], path: str = "") -> None:
    for name, value in fields.items():
        if name not in settings:
            continue
        if isinstance(value, Mapping) and isinstance(settings[name], Mapping):
            _refuse_twice(value, settings[name], f"{path}{name}.")
        else:
            raise InputError(
                f"{path}{name} is set by --set and by the grid of feedback; leave one of them out"
            )
