"""`lsr eval`: compare systems on judged collections."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.build_options import Passages, evaluated_passages
from lsr.cli.console import complain, shown_progress
from lsr.cli.dense_options import (
    Dimensions,
    DocumentPrompt,
    MaxTokens,
    Pooling,
    QueryPrompt,
    Similarity,
    dense_options,
)
from lsr.cli.encoder_options import (
    Idf,
    Language,
    LexicalWeight,
    MaxActive,
    Precision,
    PruneRatio,
    SparseQuery,
    TrustRemoteCode,
)
from lsr.cli.evaluation_grid import (
    ChooseOn,
    PrfAlphas,
    PrfDepths,
    PrfMethods,
    grid_options,
    measure_all,
)
from lsr.cli.evaluation_output import EvaluationOutput
from lsr.cli.evaluation_systems import DEFAULT_SYSTEMS, systems_asked_for
from lsr.cli.plan_options import Settings, plan_fields
from lsr.encoders.dense import DEFAULT_DENSE_MODEL
from lsr.encoders.learned.bundled_models import DEFAULT_MODEL
from lsr.encoders.registry import learned_options
from lsr.evaluation.benchmark import Benchmark
from lsr.evaluation.feedback_grid import feedback_grid
from lsr.evaluation.models import Models
from lsr.evaluation.reports.single_table import FORMATS
from lsr.evaluation.results_folder import ResultsFolder
from lsr.evaluation.run_files import RunFile
from lsr.evaluation.suites import SUITES, SuiteMember, members
from lsr.evaluation.system_names import KINDS
from lsr.evaluation.systems import SystemOptions
from lsr.machine import user_cache

__all__ = ["evaluate"]


def evaluate(
    datasets: Annotated[
        list[str],
        typer.Argument(
            metavar="DATASET...",
            help=f"BEIR folders, irds:ID from ir_datasets, or suites: {', '.join(SUITES)}.",
        ),
    ],
    systems: Annotated[
        str | None,
        typer.Option(
            help=f"Systems, comma-separated: {', '.join(KINDS)}; prf:* stands for all that fit; "
            f"default: {DEFAULT_SYSTEMS}.",
            show_default=False,
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Measures, comma-separated, as ir_measures writes them; default: the suite's, or "
            "nDCG@10, R@100, MAP, MRR@10.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Split of the judgements of a BEIR folder; default: test.", show_default=False
        ),
    ] = None,
    depth: Annotated[int, typer.Option(min=1, help="Hits of each query that are measured.")] = 1000,
    dense: Annotated[
        list[str] | None,
        typer.Option(
            help="A sentence-transformers model, for the systems with a dense side (dense is "
            f"added to --systems where there is none); may be repeated; default: "
            f"{DEFAULT_DENSE_MODEL}.",
            show_default=False,
        ),
    ] = None,
    sparse: Annotated[
        list[str] | None,
        typer.Option(
            help="A learned sparse model, as lsr index build takes it, for the systems over one "
            "(learned is added to --systems where there is none); may be repeated; default: "
            f"{DEFAULT_MODEL}.",
            show_default=False,
        ),
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="A system by its TREC run file; {dataset} in the path stands for the "
            "collection's name; may be repeated.",
        ),
    ] = None,
    baseline: Annotated[
        str, typer.Option(help="The system that the others are compared with; default: the first.")
    ] = "",
    precision: Precision = "auto",
    max_active: MaxActive = None,
    prune_ratio: PruneRatio = 0.0,
    idf: Idf = None,
    lexical_weight: LexicalWeight = None,
    sparse_query: SparseQuery = None,
    trust_remote_code: TrustRemoteCode = False,
    dense_similarity: Similarity = None,
    dense_pooling: Pooling = None,
    dense_query_prompt: QueryPrompt = None,
    dense_document_prompt: DocumentPrompt = None,
    dense_dimensions: Dimensions = None,
    dense_max_tokens: MaxTokens = None,
    k1: Annotated[float | None, typer.Option(help="BM25's k1; default: 0.9.")] = None,
    b: Annotated[float | None, typer.Option(help="BM25's b; default: 0.4.")] = None,
    language: Language = None,
    passages: Passages = "never",
    settings: Settings = None,
    prf_depth: PrfDepths = None,
    prf_method: PrfMethods = None,
    prf_alpha: PrfAlphas = None,
    choose_on: ChooseOn = None,
    tune_split: Annotated[
        str,
        typer.Option(
            help="Split that the systems tuned are tuned on; default: dev or train, or, where "
            "there is neither, cross-validation."
        ),
    ] = "",
    tune_queries: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Queries of that split to use, spread evenly; 0 for all; default: 300.",
            show_default=False,
        ),
    ] = None,
    tune_sparse: Annotated[
        bool, typer.Option("--tune-sparse", help="Tune feedback to the sparse query too.")
    ] = False,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=f"Print everything as one table: {', '.join(FORMATS)}.",
            show_default=False,
        ),
    ] = None,
    significance: Annotated[
        bool,
        typer.Option(
            "--significance",
            help="Print p-values, wins, ties and losses against the baseline, for every measure.",
        ),
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the report as JSON; - for standard output.")
    ] = None,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", help="Write the report as Markdown.")
    ] = None,
    plot_file: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw the first measure against time, as .svg, .png or .pdf."),
    ] = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="Save each run as DATASET.SYSTEM.trec in this folder.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            help="Folder where each result is kept when it is there; what it holds is not "
            "measured again."
        ),
    ] = None,
    cache_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder where vectors of neural networks are kept between evaluations; default: "
            "lsr/vectors in the user's cache folder."
        ),
    ] = None,
) -> None:
    """Measure relevance and query time of systems on judged collections.

    Each model indexes each collection again; vectors of neural networks are kept between calls.
    Differences from the baseline are tested by a paired t-test over queries, corrected for the
    number of systems by Holm's method. What cannot be done is refused before anything is encoded.

    Example: lsr eval path/to/scifact --systems bm25,learned
    """
    asked = dense_options(
        dense_similarity,
        dense_pooling,
        dense_query_prompt,
        dense_document_prompt,
        dense_dimensions,
        dense_max_tokens,
    )
    trusting = replace(asked, trust_remote_code=trust_remote_code)
    given: dict[str, object] = {
        "precision": None if precision == "auto" else precision,
        "max-active": max_active,
        "prune-ratio": prune_ratio or None,
        "idf": idf,
        "lexical-weight": lexical_weight,
        "sparse-query": sparse_query,
        "trust-remote-code": trust_remote_code,
        **{f"dense-{name}".replace("_", "-"): value for name, value in asked.given().items()},
        "k1": k1,
        "b": b,
        "language": language,
        **grid_options(prf_depth, prf_method, prf_alpha, choose_on),
        "tune-split": tune_split or None,
        "tune-queries": tune_queries,
        "tune-sparse": tune_sparse,
    }
    runs = [RunFile.parse(each) for each in run or []]
    plan = plan_fields(settings=settings)
    points = feedback_grid(prf_depth, prf_method, prf_alpha, plan)
    specs = systems_asked_for(systems, sparse or [], dense or [], bool(runs), given, points)
    kept = tuple(filter(None, (run_dir, results, cache_dir)))
    output = EvaluationOutput(json_file, markdown_file, plot_file, kept, format_name, significance)
    output.check()
    options = SystemOptions(
        cache_dir or user_cache() / "vectors",
        depth,
        *(0.9 if k1 is None else k1, 0.4 if b is None else b, language),
        plan,
        tune_split,
        300 if tune_queries is None else tune_queries,
        tune_sparse,
        evaluated_passages(passages),
    )
    chosen = learned_options(
        precision, max_active, prune_ratio, idf, lexical_weight, sparse_query, trust_remote_code
    )
    with shown_progress() as progress:
        benchmark = Benchmark(
            specs,
            runs,
            Models(chosen, trusting),
            options,
            baseline,
            None if results is None else ResultsFolder(results),
            run_dir,
            progress,
            complain,
        )
        measure_all(benchmark, _wanted(datasets, metrics), split, choose_on, output)


def _wanted(datasets: list[str], metrics: str | None) -> list[SuiteMember]:
    """Collections with their measures, those of the suite or those that are named."""
    found = members(datasets)
    if metrics is None:
        return found
    names = tuple(name.strip() for name in metrics.split(",") if name.strip())
    return [SuiteMember(member.source, names) for member in found]
