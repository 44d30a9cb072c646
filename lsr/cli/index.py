"""`lsr index`: build, describe and check a collection."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lsr.bm25 import Bm25Encoder
from lsr.cli.console import complain, print_json, shown_progress
from lsr.datasets import open_corpus
from lsr.encoder import VectorEncoder
from lsr.errors import InputError
from lsr.index.manifest import FORMAT_VERSION, Manifest
from lsr.index.profile import Profile
from lsr.records import Columns

__all__ = ["app", "open_dense", "open_sparse"]

DAMAGED = 1

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Build, describe and check an index."
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
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="The folder to write.")],
    sparse: Annotated[str, typer.Option(help="The sparse encoder: bm25.")] = "bm25",
    dense: Annotated[
        str, typer.Option(help="A sentence-transformers model for dense vectors, or none.")
    ] = "none",
    columns: Annotated[
        str,
        typer.Option(help="Fields of a record file, as doc_id=A,text=B,title=C; usual names else."),
    ] = "",
    k1: Annotated[float, typer.Option(help="BM25: how slowly repeated words saturate.")] = 0.9,
    b: Annotated[float, typer.Option(help="BM25: how much long documents are held back.")] = 0.4,
    language: Annotated[str, typer.Option(help="BM25: the Snowball stemmer, or none.")] = "english",
    as_json: AsJson = False,
) -> None:
    """Build an index from documents, replacing the one at INDEX when it is whole.

    An interrupted build changes nothing; run it again, and dense vectors that were ready are used.
    """
    from lsr.index.builder import build_collection

    corpus = open_corpus(source, Columns.parse(columns) if columns else None)
    encoder = open_sparse(sparse, k1=k1, b=b, language=language)
    with shown_progress() as progress:
        manifest = build_collection(
            corpus.documents(),
            index,
            sparse=encoder,
            dense=open_dense(dense),
            source=source,
            progress=progress,
        )
    if as_json:
        print_json({"index": str(index), **_described(manifest)})
    else:
        typer.echo(
            f"{index}: {manifest.n_documents:,} documents, {manifest.n_terms:,} terms, "
            f"{manifest.n_postings:,} postings, {manifest.size_bytes / 1e6:.1f} MB; "
            f'try: lsr search {index} "your words"'
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
    for name, value in described.items():
        shown = f"{value:,}" if isinstance(value, int) else value
        if isinstance(value, dict):
            options = ", ".join(f"{key} {part}" for key, part in value["parameters"].items())
            shown = f"{value['name']} ({options}) {value['sha256'][:12]}"
        typer.echo(f"{name:14} {'none' if shown is None else shown}")


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


def open_sparse(
    name: str, *, k1: float = 0.9, b: float = 0.4, language: str = "english"
) -> Bm25Encoder:
    """The sparse encoder of that name. Raises InputError when there is none."""
    if name != "bm25":
        raise InputError(
            f"the sparse encoder {name!r} cannot be loaded: this version knows bm25 only"
        )
    return Bm25Encoder(k1=k1, b=b, language=language)


def open_dense(name: str) -> VectorEncoder | None:
    """The dense model of that name, or in that export's folder; None for "none"."""
    if name == "none":
        return None
    from lsr.dense import open_dense_encoder

    return open_dense_encoder(name)


def _described(manifest: Manifest) -> dict[str, object]:
    described: dict[str, object] = {"format_version": FORMAT_VERSION, **asdict(manifest)}
    described["n_files"] = len(manifest.files)
    described["size_bytes"] = manifest.size_bytes
    del described["files"]
    return described
