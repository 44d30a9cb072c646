"""`lsr index export`: write sparse vectors for other engines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from lsr.cli.console import print_json
from lsr.cli.index_options import AsJson, IndexPath
from lsr.cli.remote import ServiceKey, ServiceUrl, refuse_options, remote_collection
from lsr.datasets.vectors.open import FORMATS
from lsr.errors import InputError
from lsr.files import writing

if TYPE_CHECKING:
    from lsr.client.client import RemoteCollection

__all__ = ["export"]


def export(
    index: IndexPath,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    format_name: Annotated[
        str | None,
        typer.Option("--format", help=f"{', '.join(FORMATS)}; default: by the file's name."),
    ] = None,
    url: ServiceUrl = None,
    key: ServiceKey = None,
    as_json: AsJson = False,
) -> None:
    """Write the sparse vectors of all documents to a file that other engines read.

    Formats without ids (seismic-binary, bigann, scipy) have documents in the order of the index. Of
    a service, it writes the documents: as JSON lines that lsr index build and add read.

    Example: lsr index export my-index vectors.jsonl
    """
    with remote_collection(index, url, key, writes=False) as remote:
        if remote is not None:
            refuse_options(remote, {"--format": format_name})
            _export_documents(remote, file, as_json)
            return
    from lsr.index.collection.reader import CollectionReader

    reader = CollectionReader.open(index)
    n_entries = reader.export(file, format_name)
    reader.close()
    if as_json:
        print_json({"file": str(file), "n_documents": reader.n_documents, "n_entries": n_entries})
    else:
        typer.echo(f"{file}: {reader.n_documents:,} documents, {n_entries:,} entries")


def _export_documents(remote: RemoteCollection, file: Path, as_json: bool) -> None:
    if file.suffix != ".jsonl":
        raise InputError(f"{file} must end in .jsonl: a service gives documents as JSON lines")
    n_documents = 0
    with writing(file) as stream:
        for each in remote.export():
            own = {"_id": each.doc_id, "title": each.title, "text": each.text}
            clash = next((name for name in each.metadata if name in own), None)
            if clash is not None:
                raise InputError(
                    f"document {each.doc_id!r} has a metadata field {clash!r}, which a line of "
                    "JSON would take for a part of the document"
                )
            stream.write(orjson.dumps({**own, **each.metadata}) + b"\n")
            n_documents += 1
    if as_json:
        print_json({"file": str(file), "n_documents": n_documents})
    else:
        typer.echo(f"{file}: {n_documents:,} documents")
