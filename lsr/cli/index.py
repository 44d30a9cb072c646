"""`lsr index`: build, describe and check a collection; `lsr/cli/live.py` has what changes one."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.console import complain, print_json, shown_progress
from lsr.cli.given import VectorFormat, VectorsPath, check_vector_format, given_vectors
from lsr.cli.limits import MaxMemory, Threads, build_limits
from lsr.cli.models import (
    Idf,
    MaxActive,
    OwnWeight,
    Precision,
    PruneRatio,
    encoding_folder,
    learned_options,
    open_dense,
    open_sparse,
    resumable,
)
from lsr.datasets import open_corpus
from lsr.errors import InputError
from lsr.index.manifest import FORMAT_VERSION, Manifest
from lsr.index.profile import Profile
from lsr.records import Columns
from lsr.shippedmodels import DEFAULT_MODEL
from lsr.types import Document

__all__ = ["AsJson", "IndexPath", "app"]

DAMAGED = 1
BLOCKS = {"auto": None, "always": True, "never": False}

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Build, change, describe and check an index."
)

IndexPath = Annotated[Path, typer.Argument(metavar="INDEX", help="The index folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


@app.command("build")
def build(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A BEIR folder, a folder of text or Markdown files, a .jsonl, .csv or .tsv file "
            "(also .gz, .zst), or irds:ID from ir_datasets.",
        ),
    ],
    index: Annotated[
        Path | None, typer.Argument(metavar="INDEX", help="The folder to write.")
    ] = None,
    vectors: VectorsPath = None,
    vector_format: VectorFormat = None,
    blocks: Annotated[
        str,
        typer.Option(
            help="Blocks for approximate search: always, never, or auto: from 100,000 documents on."
        ),
    ] = "auto",
    threads: Threads = None,
    max_memory: MaxMemory = None,
    sparse: Annotated[
        str | None,
        typer.Option(
            help="The sparse encoder: bm25, or a learned model: one of lsr models, a folder that a "
            f"SparseEncoder was saved in or lsr export wrote, or a hub id; {DEFAULT_MODEL} else. "
            "With --vectors it encodes queries only.",
            show_default=False,
        ),
    ] = None,
    precision: Precision = "auto",
    max_active: MaxActive = None,
    prune_ratio: PruneRatio = 0.0,
    idf: Idf = None,
    own_terms: OwnWeight = None,
    dense: Annotated[
        str, typer.Option(help="A sentence-transformers model for dense vectors, or none.")
    ] = "none",
    columns: Annotated[
        str,
        typer.Option(help="Fields of a record file, as doc_id=A,text=B,title=C; usual names else."),
    ] = "",
    k1: Annotated[
        float | None, typer.Option(help="BM25: how slowly repeated words saturate; 0.9 else.")
    ] = None,
    b: Annotated[
        float | None, typer.Option(help="BM25: how much long documents are held back; 0.4 else.")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="BM25: the Snowball stemmer, or none; english else.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build an index from documents, replacing the one at INDEX when it is whole.

    Documents are encoded with the model that comes along, some 20 a second on two cores; without
    a network, by BM25, thousands. An interrupted build changes nothing; run it again, and vectors
    that were ready are used.
    """
    from lsr.index.builder import build_collection

    if blocks not in BLOCKS:
        raise InputError(f"--blocks is {blocks!r}; choose {', '.join(BLOCKS)}")
    limits = build_limits(threads, max_memory)
    check_vector_format(vectors, vector_format)
    if index is None and vectors is None:
        raise InputError("the folder to write is missing: lsr index build SOURCE INDEX")
    corpus = None if index is None else source
    target = index or Path(source)
    documents: Iterable[Document] | None = None
    if corpus is not None:
        documents = open_corpus(corpus, Columns.parse(columns) if columns else None).documents()
    options = learned_options(precision, max_active, prune_ratio, idf, own_terms)
    if vectors is not None and sparse is None:
        sparse = "bm25"
    encoder = open_sparse(sparse, k1=k1, b=b, language=language, options=options)
    given = None
    if vectors is not None:
        by = None if sparse == "bm25" else encoder
        given = given_vectors(vectors, vector_format, documents, queries_by=by)
    made_here = nullcontext() if given else resumable(encoder, encoding_folder(target))
    with shown_progress() as progress, made_here:
        manifest = build_collection(
            given.documents if given else documents or (),
            target,
            sparse=given.encoder if given else encoder,
            dense=open_dense(dense),
            vectors=given.vectors if given else None,
            blocks=BLOCKS[blocks],
            limits=limits,
            source=corpus or str(vectors),
            progress=progress,
        )
    if as_json:
        print_json({"index": str(target), **_described(manifest)})
    else:
        typer.echo(
            f"{target}: {manifest.n_documents:,} documents, {manifest.n_terms:,} terms, "
            f"{manifest.n_postings:,} postings, {manifest.size_bytes / 1e6:.1f} MB; "
            f'try: lsr search {target} "your words"'
        )


@app.command("info")
def info(index: IndexPath, as_json: AsJson = False) -> None:
    """Say what an index holds."""
    manifest = Manifest.read(index)
    described = _described(manifest)
    profile = Profile.read(index)
    if profile is not None:
        fits = profile.fits(manifest)
        described["tuned"] = profile.created if fits else "for other models; run lsr tune again"
    if as_json:
        print_json(described)
        return
    del described["segments"]
    for name, value in described.items():
        shown = f"{value:,}" if isinstance(value, int) else value
        if isinstance(value, dict):
            options = ", ".join(f"{key} {part}" for key, part in value["parameters"].items())
            shown = f"{value['name']} ({options}) {value['sha256'][:12]}"
        typer.echo(f"{name:14} {'none' if shown is None else shown}")
    for segment in manifest.segments:
        deleted = f", {segment.n_deleted:,} deleted" if segment.n_deleted else ""
        typer.echo(f"{segment.name:14} {segment.n_documents:,} documents{deleted}")


@app.command("verify")
def verify(index: IndexPath, as_json: AsJson = False) -> None:
    """Compare every byte of an index with its checksums. Exit code 1 when any differs."""
    manifest = Manifest.read(index)
    damage = list(manifest.damage(index))
    if as_json:
        print_json({"files": len(manifest.files), "damage": damage})
    else:
        for sentence in damage:
            typer.echo(sentence)
        if not damage:
            typer.echo(f"{index}: {len(manifest.files)} files are as they were written")
    if damage:
        complain(f"error: {len(damage)} of {len(manifest.files)} files are damaged; build again")
        raise typer.Exit(DAMAGED)


def _described(manifest: Manifest) -> dict[str, object]:
    return {
        "format_version": FORMAT_VERSION,
        "generation": manifest.generation,
        "created": manifest.created,
        "lsr_version": manifest.lsr_version,
        "source": manifest.source,
        "n_documents": manifest.n_documents,
        "n_deleted": manifest.n_deleted,
        "n_terms": manifest.n_terms,
        "n_postings": manifest.n_postings,
        "sparse": asdict(manifest.sparse),
        "dense": asdict(manifest.dense) if manifest.dense else None,
        "n_files": len(manifest.files),
        "size_bytes": manifest.size_bytes,
        "segments": [asdict(segment) for segment in manifest.segments],
    }
