"""`--prf-depth`, `--prf-method`, `--prf-alpha` and `--choose-on` of `lsr eval`, and its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from lsr.cli.console import complain
from lsr.cli.evaluation_output import EvaluationOutput
from lsr.errors import InputError, LsrError
from lsr.evaluation.benchmark import Benchmark, Prepared
from lsr.evaluation.feedback_grid import GRID_NOTE
from lsr.evaluation.report import CollectionReport
from lsr.evaluation.suites import SuiteMember, members
from lsr.evaluation.system_names import chosen_specs

__all__ = ["ChooseOn", "PrfAlphas", "PrfDepths", "PrfMethods", "grid_options", "measure_all"]

PrfDepths = Annotated[
    str | None,
    typer.Option(
        "--prf-depth",
        help="Grid of feedback: numbers of documents, as 1,3,5,10; every system with feedback to "
        "the dense query is measured with each setting.",
    ),
]
PrfMethods = Annotated[
    str | None,
    typer.Option("--prf-method", help="Grid of feedback: average, rocchio, or both with a comma."),
]
PrfAlphas = Annotated[
    str | None,
    typer.Option(
        "--prf-alpha",
        help="Grid of feedback: Rocchio's weights of the query, as .2,.4 or 0:1:.1; that of the "
        "documents is the rest to 1.",
    ),
]
ChooseOn = Annotated[
    str | None,
    typer.Option(
        metavar="SET[#SPLIT]",
        help="Choose one setting of each condition on this collection, by the first measure, and "
        "report that one on DATASET.",
    ),
]


def grid_options(
    depths: str | None, methods: str | None, alphas: str | None, choose_on: str | None
) -> dict[str, str | None]:
    """The options by name, without dashes."""
    names = ("prf-depth", "prf-method", "prf-alpha", "choose-on")
    return dict(zip(names, (depths, methods, alphas, choose_on), strict=True))


def measure_all(
    benchmark: Benchmark,
    wanted: Sequence[SuiteMember],
    split: str | None,
    choose_on: str | None,
    output: EvaluationOutput,
) -> None:
    """Collection by collection; what was measured is reported, whatever happens to the rest.

    Raises:
        InputError: something cannot be done as asked; nothing is encoded then.
    """
    choosing, place = _choosing(benchmark, wanted, split, choose_on)
    prepared = benchmark.prepare(wanted, split)
    if choosing is not None and place is not None:
        report = choosing.measure(place)
        output.show(report)
        specs, notes = chosen_specs(benchmark.specs, report)
        benchmark = replace(benchmark, specs=specs, notes=tuple(notes))
    elif any(spec.point is not None for spec in benchmark.specs):
        benchmark = replace(benchmark, notes=(GRID_NOTE,))
    reports: list[CollectionReport] = []
    try:
        for each in prepared:
            report = benchmark.measure(each)
            output.show(report)
            reports.append(report)
    except (LsrError, KeyboardInterrupt):
        if reports:
            complain(f"stopped; the report has the {len(reports)} collections that were measured")
            output.finish(reports)
        raise
    output.finish(reports)


def _choosing(
    benchmark: Benchmark, wanted: Sequence[SuiteMember], split: str | None, choose_on: str | None
) -> tuple[Benchmark | None, Prepared | None]:
    """The benchmark that chooses, and its collection, read; None where nothing is chosen."""
    if choose_on is None:
        return None, None
    gridded = [spec for spec in benchmark.specs if spec.point is not None]
    if not gridded:
        raise InputError(
            "--choose-on has nothing to choose from; give a grid with --prf-depth, --prf-method or "
            "--prf-alpha"
        )
    if benchmark.baseline in {spec.name for spec in gridded}:
        raise InputError(
            f"--baseline {benchmark.baseline} is one setting of a grid, of which --choose-on "
            "chooses one; name another system"
        )
    source, _, own_split = choose_on.partition("#")
    own = own_split or None
    found = members([source])
    if len(found) > 1:
        raise InputError(
            f"--choose-on {source} is a suite of {len(found)} collections; name one of them"
        )
    (member,) = found
    reported = {each.source for each in wanted}
    if member.source in reported and (own or "test") == (split or "test"):
        raise InputError(
            f"--choose-on {choose_on} is reported too, and a value chosen on a collection says "
            "nothing there; choose on another, or on another split, as SET#dev"
        )
    member = replace(member, metrics=wanted[0].metrics)
    choosing = replace(benchmark, baseline="", runs=(), run_dir=None, notes=(GRID_NOTE,))
    (place,) = choosing.prepare([member], own)
    return choosing, place
