"""`lsr idf`: compute a model's query table for a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.console import print_json, shown_progress
from lsr.cli.index_options import AsJson
from lsr.datasets.open import open_corpus
from lsr.datasets.records import Columns
from lsr.encoders.corpus.idf import SHRINKAGE
from lsr.errors import InputError

__all__ = ["idf"]


def idf(
    corpus: Annotated[
        str,
        typer.Argument(
            metavar="CORPUS",
            help="A BEIR folder, a folder of text files, a .jsonl, .csv or .tsv file, or irds:ID.",
        ),
    ],
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A model with a query table: a SparseEncoder's folder or hub id."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file to write the table to, as a JSON object of tokens and weights."
        ),
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Put the table into the model's folder.")
    ] = False,
    strength: Annotated[
        float,
        typer.Option(
            min=0,
            help="Number of documents at which the corpus counts as much as the model's own table; "
            "0 for the corpus alone.",
        ),
    ] = SHRINKAGE,
    columns: Annotated[
        str | None,
        typer.Option(help="Fields of a record file, as in doc_id=PMID,text=abstract."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Weigh a model's query terms by how rare they are in a corpus.

    Document vectors do not change; existing indexes keep the table they were built with.

    Example: lsr idf corpus.jsonl my-model --out idf.json
    """
    if out is None and not in_place:
        raise InputError("nowhere to write the table; give --out FILE or --in-place")
    from lsr.encoders.learned.model_folder import ModelFolder
    from lsr.training.export.idf_table import corpus_table, replace_query_table, write_idf_json

    if in_place and not Path(model).is_dir():
        raise InputError(
            f"--in-place needs a model in a folder, and {model} is none; give --out FILE instead"
        )
    folder = ModelFolder.open(model)
    documents = open_corpus(corpus, Columns.parse(columns) if columns else None).documents()
    with shown_progress() as progress:
        table = corpus_table(
            (document.full_text for document in documents), folder, strength, progress
        )
    written: list[Path] = []
    if out is not None:
        write_idf_json(out, table.vocabulary, table.weights)
        written.append(out)
    if in_place:
        written.append(replace_query_table(folder, table.vocabulary, table.weights))
    if as_json:
        print_json(
            {
                "documents": table.n_documents,
                "terms": len(table.weights),
                "terms_seen": table.n_seen,
                "strength": strength,
                "files": [str(path) for path in written],
            }
        )
        return
    typer.echo(
        f"{', '.join(map(str, written))}: {table.n_documents:,} documents, "
        f"{table.n_seen:,} of {len(table.weights):,} terms seen"
    )
