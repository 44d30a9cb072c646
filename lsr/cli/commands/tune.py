"""`lsr tune`: choose fusion weight and feedback for an index on judged queries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsr.cli.console import complain, print_json, print_table, shown_progress
from lsr.cli.index_options import AsJson, IndexPath
from lsr.cli.plan_options import Settings, plan_fields
from lsr.datasets.open import open_qrels, open_queries
from lsr.errors import InputError
from lsr.retrieval.plan import SearchPlan, plan_from

if TYPE_CHECKING:
    from lsr.evaluation.tuning import TuningResult

__all__ = ["tune"]


def tune(
    index: IndexPath,
    queries: Annotated[
        Path, typer.Option(help="File of queries: JSON lines with _id and text, or id TAB text.")
    ],
    qrels: Annotated[
        Path, typer.Option(help="File of judgements: BEIR's three columns or TREC's four.")
    ],
    metric: Annotated[
        str, typer.Option(help="Measure to improve, as ir_measures writes it.")
    ] = "nDCG@10",
    folds: Annotated[int, typer.Option(min=2, max=20, help="Folds of the cross-validation.")] = 5,
    max_queries: Annotated[
        int, typer.Option(min=0, help="Judged queries to use, spread evenly; 0 for all.")
    ] = 500,
    sparse_feedback: Annotated[
        bool, typer.Option("--sparse-feedback", help="Tune feedback to the sparse query too.")
    ] = False,
    settings: Settings = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what was found without storing it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Choose fusion weight and feedback by cross-validation, and store them with the index.

    A weight other than the default, and feedback, are kept only when they improve the measure on
    held-out queries. Later searches of the index use the stored plan unless a request overrides
    it. An interrupted run stores nothing.

    Example: lsr tune my-index --queries queries.jsonl --qrels qrels/dev.tsv
    """
    from lsr.evaluation.evaluate import judged_queries, named
    from lsr.evaluation.tune_collection import tune_collection
    from lsr.index.collection.reader import CollectionReader

    asked, judgements = open_queries(queries), open_qrels(qrels)
    usable = {query.query_id for query in judged_queries(asked, judgements)}
    if not usable:
        raise InputError(f"no query of {queries} has judgements in {qrels}; check that they match")
    if lost := [name for name, grades in judgements.items() if grades and name not in usable]:
        complain(f"warning: {named(lost)} without text in {queries}: not tuned on")
    base = plan_from(plan_fields(settings=settings), SearchPlan())
    reader = CollectionReader.open(index)
    with shown_progress() as progress:
        found, tuned_plan = tune_collection(
            reader,
            asked,
            judgements,
            metric=metric,
            folds=folds,
            max_queries=max_queries,
            sparse_feedback=sparse_feedback,
            base=base,
            progress=progress,
        )
    stored = None if dry_run else tuned_plan.save(index)
    reader.close()
    if as_json:
        path = str(stored) if stored else None
        print_json({"plan": found.plan, "stored": path, **tuned_plan.evidence})
    else:
        _print(index, found, tuned_plan.evidence, stored)


def _print(
    index: Path, tuned: TuningResult, evidence: Mapping[str, Any], stored: Path | None
) -> None:
    header = ["candidate", "dev", "held out", "p", "wins/ties/losses", "median ms", "p95 ms"]
    lines = []
    for name, figures in evidence["candidates"].items():
        p_value, counts = figures["p_value"], figures["wins_ties_losses"]
        lines.append(
            [
                f"{name} (kept)" if name == tuned.chosen else name,
                f"{figures['dev']:.4f}",
                f"{figures['held_out']:.4f}",
                "" if p_value is None else f"{p_value:.3f}",
                "" if counts is None else "/".join(map(str, counts)),
                f"{figures['median_ms']:.2f}",
                f"{figures['p95_ms']:.2f}",
            ]
        )
    title = f"{index}: {evidence['metric']} of {evidence['n_queries']:,} queries"
    print_table(
        f"{title}, {evidence['folds']} folds; each against the one kept before", header, lines
    )
    plan = tuned.plan
    typer.echo(f"weight_sparse {plan.fusion.weight_sparse} ({plan.fusion.norm})")
    if plan.prf.interpolate == "none":
        typer.echo("no feedback")
    else:
        typer.echo(
            f"feedback {plan.prf.interpolate}: depth {plan.prf.depth}, beta {plan.prf.dense.beta}, "
            f"weight_sparse_pre {plan.prf.weight_sparse_pre}, sparse "
            f"{plan.prf.sparse.beta if plan.prf.sparse.enabled else 'off'}"
        )
    if stored is not None:
        complain(f"stored in {stored}; delete the file to go back to the defaults")
