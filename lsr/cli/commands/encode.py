"""`lsr encode`: sparse vectors of a collection in files, by a learned model."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.console import print_json, shown_progress
from lsr.cli.encoder_options import MaxActive, Precision, PruneRatio, TrustRemoteCode
from lsr.cli.index_options import AsJson
from lsr.datasets.open import open_corpus, open_queries
from lsr.datasets.records import Columns
from lsr.encoders.registry import learned_options, open_learned
from lsr.errors import InputError
from lsr.types import Document

__all__ = ["encode"]


def encode(
    corpus: Annotated[
        str,
        typer.Argument(metavar="CORPUS", help="Documents, as lsr index build reads them."),
    ],
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A folder that a SparseEncoder was saved in or lsr export wrote, or a hub id.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="The folder of .jsonl shards to write; or a .npz file, whose ids are written to "
            "OUT.ids.txt.",
        ),
    ],
    queries: Annotated[
        bool, typer.Option("--queries", help="CORPUS is a file of queries: use the query side.")
    ] = False,
    precision: Precision = "auto",
    max_active: MaxActive = None,
    prune_ratio: PruneRatio = 0.0,
    trust_remote_code: TrustRemoteCode = False,
    scale: Annotated[
        float,
        typer.Option(help="Multiply weights by this and round to whole numbers; 0 leaves them."),
    ] = 0.0,
    shard_documents: Annotated[int, typer.Option(min=1, help="Documents in a shard.")] = 4_096,
    columns: Annotated[
        str,
        typer.Option(
            help="Fields of a record file, as doc_id=A,text=B,title=C; default: the usual names."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Encode a collection with a learned sparse model, for lsr index build --vectors.

    An interrupted run keeps its complete shards; run it again to continue.

    Example: lsr encode corpus.jsonl doc-mini vectors/
    """
    from lsr.encoders.corpus.encode_shards import ShardPlan, encode_shards, write_one_file

    encoder = open_learned(
        model,
        learned_options(
            precision,
            max_active,
            prune_ratio,
            lexical_weight=0.0,
            trust_remote_code=trust_remote_code,
        ),
    )
    documents: Iterable[Document]
    if queries:
        documents = [Document(query.query_id, query.text) for query in open_queries(Path(corpus))]
    else:
        documents = open_corpus(corpus, Columns.parse(columns) if columns else None).documents()
    if scale < 0:
        raise InputError(f"--scale is {scale}; it must be 0 or more")
    one_file = out.suffix == ".npz"
    folder = out.with_name(f"{out.name}.shards") if one_file else out
    plan = ShardPlan(
        encoder.identity.sha256,
        side="query" if queries else "document",
        scale=scale,
        texts=not one_file,
        shard_documents=shard_documents,
    )
    with shown_progress() as progress:
        done = encode_shards(
            documents,
            folder,
            encoder.encode_queries if queries else encoder.encode_documents,
            encoder.vocabulary,
            plan,
            progress=progress,
        )
    if one_file:
        write_one_file(folder, out, encoder.vocabulary)
        shutil.rmtree(folder)
    if as_json:
        print_json(
            {
                "out": str(out),
                "n_documents": done.n_documents,
                "n_entries": done.n_entries,
                "n_shards_kept": done.n_kept,
                "model": encoder.identity.name,
                "sha256": encoder.identity.sha256,
            }
        )
        return
    kept = f", {done.n_kept:,} shards were there already" if done.n_kept else ""
    typer.echo(f"{out}: {done.n_documents:,} vectors, {done.n_entries:,} new entries{kept}")
