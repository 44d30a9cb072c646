"""Methods of the framework of Nguyen et al. (2023), trained and measured under one budget.

    python -m bench.framework --data FOLDER --work runs/framework [--only NAMES] [--json FILE]
    python -m bench.framework --train SOURCES --eval dl19,dl20,msmarco-dev --work runs/msmarco

FOLDER has BEIR folders in eval/, of which scifact and nfcorpus are taken if they are there; rows
are their training queries, or the pairs in train/. Prints one page in Markdown, and writes it to
WORK/page.md. Interrupted, the same command goes on, within a method from its last checkpoint;
what is done is not done again. A method that fails is a row that says why; the exit code is 1 then.
docs/reproduce/nguyen-2023.md has the commands.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.framework.material import given_material
from bench.framework.methods import chosen_methods
from bench.framework.page import as_json, as_markdown
from bench.relevance.report import circumstances
from lsr.cli.console import complain, shown_progress
from lsr.errors import InputError, LsrError

__all__ = ["main"]


def main(words: Sequence[str] | None = None) -> int:
    """Train, measure, print; the exit code."""
    given = _parser().parse_args(words)
    try:
        return _page(given)
    except LsrError as error:
        complain(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        complain("interrupted; the same command goes on where it stopped")
        return 130


def _page(given: argparse.Namespace) -> int:
    from bench.framework.budget import Budget
    from bench.framework.experiment import Experiment

    about = circumstances()
    names = chosen_methods(given.only)
    rate = None if given.lr == "preset" else _rate("--lr", given.lr)
    is_listed = given.train is not None
    layers = (0 if is_listed else 2) if given.layers is None else given.layers
    budget = Budget(
        base=given.base,
        layers=layers or None,
        steps=given.steps,
        queries=given.queries,
        candidates=given.candidates,
        document_tokens=given.document_tokens,
        query_tokens=given.query_tokens,
        lr=rate,
        head_lr=None if rate is None else _rate("--head-lr", given.head_lr),
        teachers=tuple(given.teacher or Budget.teachers),
        mined=given.mine or not is_listed,
        expansion_terms=given.expansion_terms,
        precision=given.precision,
        seed=given.seed,
    )
    budget.teacher_configs()
    with shown_progress() as progress:
        material = given_material(given, budget, progress)
        experiment = Experiment(
            given.work,
            budget,
            material,
            timed=given.timed_queries,
            say=complain,
            progress=progress,
        )
        try:
            sizes = experiment.sizes()
            rows = experiment.rows(names, given.minutes)
        finally:
            experiment.close()
    notes = [*material.rows.notes, *_expansion_note(rows_expanded=bool(material.folders))]
    page = as_markdown(about, budget, sizes, rows, notes)
    (given.work / "page.md").write_text(page, "utf-8")
    print(page, end="")
    if given.json is not None:
        content = as_json(about, budget, sizes, rows, notes)
        given.json.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    return int(any(row.failure for row in rows))


def _expansion_note(*, rows_expanded: bool) -> list[str]:
    if rows_expanded:
        return ["expanded: by the heaviest terms of this run's splade-doc that a document lacks"]
    return [
        "not expanded: unicoil-tilde, deepimpact and tildev2 weigh the documents' own words, as "
        "only the collections of --data are expanded here"
    ]


def _rate(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{option} {text}: give a number, or preset for the presets'") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.framework", description=(__doc__ or "").split("\n", 1)[0]
    )
    add = parser.add_argument
    add("--data", type=Path, help="folder with eval/ and perhaps train/")
    add("--work", type=Path, default=Path("runs/framework"), help="where everything is kept")
    add("--train", help="sources of rows in place of the folder's, with commas: files, irds:ID")
    add("--eval", help="collections of the folder, or suites, irds:ID, BEIR folders, with commas")
    add("--mine", action="store_true", help="negatives by BM25 for the rows of --train too")
    add("--only", help="methods, with commas; all else")
    add("--minutes", type=float, help="begin no method after so many")
    add("--json", type=Path, help="write the page's figures there")
    add("--steps", type=int, default=60)
    add("--queries", type=int, default=16, help="in a batch")
    add("--candidates", type=int, default=2, help="documents of each query, with its positive")
    add("--base", default="all-MiniLM-L6-v2", help="checkpoint that all methods start from")
    add("--layers", type=int, help="of the base that are kept; 0 for all (default: 2 of --data)")
    add("--lr", default="1e-4", help="learning rate, or preset for each preset's own")
    add("--head-lr", default="1e-3", help="of heads, unless --lr is preset")
    add("--document-tokens", type=int, default=128)
    add("--query-tokens", type=int, default=32)
    add("--expansion-terms", type=int, default=32)
    add("--precision", default="auto", choices=("auto", "fp32", "bf16", "fp16"))
    add("--seed", type=int, default=0)
    add("--teacher", action="append", help="KIND[:MODEL or FILE]; more than once for an ensemble")
    add("--dense", default="all-MiniLM-L6-v2", help="dense model measured beside the methods")
    add("--max-documents", type=int, default=1000, help="of each collection of --data")
    add("--train-queries", type=int, default=400, help="of each source of --data")
    add("--timed-queries", type=int, default=1000, help="at least, of each collection")
    return parser


if __name__ == "__main__":
    sys.exit(main())
