"""`lsr eval`: compare systems on judged collections."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import orjson
import typer

from lsr.cli.console import complain, print_json, print_table, shown_progress
from lsr.cli.dense_options import (
    Dimensions,
    DocumentPrompt,
    MaxTokens,
    Pooling,
    QueryPrompt,
    Similarity,
    dense_options,
)
from lsr.cli.encoder_options import Idf, LexicalWeight, MaxActive, Precision, PruneRatio
from lsr.cli.plan_options import Settings, plan_fields
from lsr.datasets.open import JudgedCorpus, open_judged_corpus
from lsr.datasets.trec import write_run
from lsr.encoders.dense import DEFAULT_DENSE_MODEL
from lsr.encoders.learned.bundled_models import DEFAULT_MODEL
from lsr.encoders.learned.packed_model import user_cache
from lsr.encoders.registry import learned_options
from lsr.errors import InputError, StorageError, UnavailableError
from lsr.evaluation.evaluate import DEFAULT_METRICS, System, judged_queries, parse_metrics
from lsr.evaluation.evaluate import evaluate as evaluate_systems
from lsr.evaluation.lucene import LuceneBm25
from lsr.evaluation.report import (
    CollectionReport,
    as_json,
    as_markdown,
    check_plot,
    plot,
    stage_table,
    table,
)
from lsr.evaluation.systems import LEARNED, ONLY_SPARSE, SYSTEMS, SystemOptions, Systems
from lsr.progress import Progress
from lsr.types import Qrels

__all__ = ["evaluate"]


def evaluate(
    datasets: Annotated[
        list[str],
        typer.Argument(metavar="DATASET...", help="BEIR folders, or irds:ID from ir_datasets."),
    ],
    systems: Annotated[
        str, typer.Option(help=f"Systems, comma-separated: {', '.join((*SYSTEMS, *LEARNED))}.")
    ] = "bm25,learned",
    metrics: Annotated[
        str, typer.Option(help="Measures, comma-separated, as ir_measures writes them.")
    ] = ",".join(DEFAULT_METRICS),
    split: Annotated[str, typer.Option(help="Split of the judgements of a BEIR folder.")] = "test",
    depth: Annotated[int, typer.Option(min=1, help="Hits of each query that are measured.")] = 1000,
    dense: Annotated[
        str, typer.Option(help="The sentence-transformers model of the dense system.")
    ] = DEFAULT_DENSE_MODEL,
    dense_similarity: Similarity = None,
    dense_pooling: Pooling = None,
    dense_query_prompt: QueryPrompt = None,
    dense_document_prompt: DocumentPrompt = None,
    dense_dimensions: Dimensions = None,
    dense_max_tokens: MaxTokens = None,
    sparse: Annotated[
        str | None,
        typer.Option(
            help="The learned sparse model of the systems learned (added to --systems) and "
            f"learned:hybrid, as lsr index build takes it; default: {DEFAULT_MODEL}.",
            show_default=False,
        ),
    ] = None,
    precision: Precision = "auto",
    max_active: MaxActive = None,
    prune_ratio: PruneRatio = 0.0,
    idf: Idf = None,
    lexical_terms: LexicalWeight = None,
    k1: Annotated[float, typer.Option(help="BM25's k1, for both BM25 systems.")] = 0.9,
    b: Annotated[float, typer.Option(help="BM25's b, for both BM25 systems.")] = 0.4,
    settings: Settings = None,
    tune_split: Annotated[
        str,
        typer.Option(
            help="Split that the system tuned is tuned on; default: dev or train, or, where there "
            "is neither, cross-validation."
        ),
    ] = "",
    tune_queries: Annotated[
        int, typer.Option(min=0, help="Queries of that split to use, spread evenly; 0 for all.")
    ] = 300,
    tune_sparse: Annotated[
        bool, typer.Option("--tune-sparse", help="Tune feedback to the sparse query too.")
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
    cache_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder where vectors of networks are kept between evaluations; default: "
            "lsr/vectors in the user's cache folder."
        ),
    ] = None,
) -> None:
    """Measure relevance and query time of systems on judged collections.

    Each system indexes each collection again; only vectors of networks are kept between calls.
    Differences from the first system are tested by a paired t-test over queries.
    """
    names = _names(systems)
    if sparse is not None and not set(names) & set(LEARNED):
        names.append("learned")
    asked = dense_options(
        dense_similarity,
        dense_pooling,
        dense_query_prompt,
        dense_document_prompt,
        dense_dimensions,
        dense_max_tokens,
    )
    if asked.given() and not _needs_dense(names):
        raise InputError(
            f"{', '.join(asked.given())} of a dense model, and no system asked for has one; add "
            "dense or hybrid to --systems, or leave that out"
        )
    chosen = learned_options(precision, max_active, prune_ratio, idf, lexical_terms)
    measures = [name.strip() for name in metrics.split(",") if name.strip()]
    parse_metrics(measures)
    if plot_file is not None:
        check_plot(plot_file)
    sources = [(source, open_judged_corpus(source)) for source in datasets]
    cache = cache_dir or user_cache() / "vectors"
    reports: list[CollectionReport] = []
    for source, corpus in sources:
        with tempfile.TemporaryDirectory(prefix="lsr-eval-") as work, shown_progress() as progress:
            options = SystemOptions(
                source,
                split,
                depth,
                dense,
                k1,
                b,
                cache,
                plan_fields(settings=settings),
                tune_split,
                tune_queries,
                tune_sparse,
                sparse or DEFAULT_MODEL,
                chosen,
                asked,
            )
            report = _evaluate_one(corpus, options, names, measures, Path(work), progress)
        reports.append(report)
        for sentence in report.warnings:
            complain(f"warning: {sentence}")
        for sentence in report.notes:
            complain(sentence)
        for name, reason in report.unavailable.items():
            complain(f"{name} is not available: {reason}")
        if json_file != Path("-"):
            title = f"{corpus.name} ({split}): {report.n_documents:,} documents, "
            print_table(f"{title}{report.n_queries:,} judged queries", *table(report))
            if any(result.stage_ms for result in report.results):
                print_table("milliseconds a query, mean, by stage", *stage_table(report))
        if run_dir is not None:
            _save_runs(report, corpus.name, run_dir)
    _write_reports(reports, json_file, markdown_file)
    if plot_file is not None:
        plot(reports, plot_file)


def _names(systems: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in systems.split(",") if name.strip()))
    known = (*SYSTEMS, *LEARNED)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise InputError(
            f"not a system: {', '.join(unknown) or 'nothing given'}; choose from {', '.join(known)}"
        )
    return names


def _needs_dense(names: list[str]) -> bool:
    return any(name not in (*ONLY_SPARSE, LuceneBm25.name) for name in names)


def _evaluate_one(
    corpus: JudgedCorpus,
    options: SystemOptions,
    names: list[str],
    metrics: list[str],
    work: Path,
    progress: Progress,
) -> CollectionReport:
    qrels = corpus.qrels(options.split)
    everything = list(corpus.queries())
    queries = judged_queries(everything, qrels)
    systems: list[System] = []
    unavailable: dict[str, str] = {}
    made = Systems(corpus, options, work, progress, with_dense=_needs_dense(names))
    made.check(names)
    for name in names:
        try:
            systems.append(made.make(name))
        except UnavailableError as error:
            unavailable[name] = str(error)
    doc_ids = {document.doc_id for document in corpus.documents()}
    results = evaluate_systems(
        systems, queries, qrels, metrics, depth=options.depth, progress=progress
    )
    made.close()
    return CollectionReport(
        dataset=corpus.name,
        split=options.split,
        n_documents=len(doc_ids),
        n_queries=len(queries),
        depth=options.depth,
        results=results,
        unavailable=unavailable,
        warnings=_doubts(corpus.name, doc_ids, {q.query_id for q in everything}, qrels),
        notes=made.notes,
    )


def _doubts(name: str, doc_ids: set[str], query_ids: set[str], qrels: Qrels) -> list[str]:
    judged = {doc_id for grades in qrels.values() for doc_id in grades}
    n_documents = len(judged - doc_ids)
    n_queries = len(set(qrels) - query_ids)
    doubts: list[str] = []
    if n_documents:
        doubts.append(
            f"{name}: {n_documents:,} judged documents are not in the collection, "
            "so no system can find them"
        )
    if n_queries:
        doubts.append(f"{name}: {n_queries:,} judged queries have no text and were left out")
    return doubts


def _save_runs(report: CollectionReport, name: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for result in report.results:
            write_run(folder / f"{name}.{result.name}.trec", result.run, result.name)
    except OSError as error:
        raise StorageError(f"the runs cannot be saved in {folder} ({error.strerror})") from error


def _write_reports(
    reports: list[CollectionReport], json_file: Path | None, markdown_file: Path | None
) -> None:
    if json_file == Path("-"):
        print_json(as_json(reports))
    elif json_file is not None:
        _write(json_file, orjson.dumps(as_json(reports), option=orjson.OPT_INDENT_2) + b"\n")
    if markdown_file is not None:
        _write(markdown_file, as_markdown(reports).encode())


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror})") from error
