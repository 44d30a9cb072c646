"""`lsr index export`: write sparse vectors for other engines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.console import print_json
from lsr.cli.index_options import AsJson, IndexPath
from lsr.datasets.vectors.open import FORMATS

__all__ = ["export"]


def export(
    index: IndexPath,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    format_name: Annotated[
        str | None,
        typer.Option("--format", help=f"{', '.join(FORMATS)}; default: by the file's name."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the sparse vectors of all documents to a file that other engines read.

    Formats without ids (seismic-binary, bigann, scipy) have documents in the order of the index.
    """
    from lsr.index.collection.reader import CollectionReader

    reader = CollectionReader.open(index)
    n_entries = reader.export(file, format_name)
    reader.close()
    if as_json:
        print_json({"file": str(file), "n_documents": reader.n_documents, "n_entries": n_entries})
    else:
        typer.echo(f"{file}: {reader.n_documents:,} documents, {n_entries:,} entries")
