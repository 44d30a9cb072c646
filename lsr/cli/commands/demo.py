"""`lsr demo`: a search over documentation that every machine with Python has."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.commands.serve import Host, Port, run
from lsr.cli.console import complain, shown_progress
from lsr.encoders.dense import DEFAULT_DENSE_MODEL
from lsr.encoders.learned.bundled_models import DEFAULT_MODEL
from lsr.encoders.registry import BM25, open_dense, open_sparse
from lsr.errors import IndexStateError
from lsr.index.storage.manifest import Manifest
from lsr.types import Document

__all__ = ["LEARNED_LIMIT", "demo"]

LEARNED_LIMIT = 5_000
"""Docstrings that a learned model encodes within three minutes on two cores."""


def demo(
    folder: Annotated[
        Path, typer.Option(help="Folder of the demo index; default: .lsr/demo.", show_default=False)
    ] = Path(".lsr/demo"),
    host: Host = None,
    port: Port = None,
    sparse: Annotated[
        str, typer.Option(help="The sparse encoder: bm25, or a learned model.")
    ] = DEFAULT_MODEL,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"Docstrings to index; default: {LEARNED_LIMIT:,}, which take up to three "
            "minutes on two cores, or all with bm25.",
        ),
    ] = None,
    dense: Annotated[
        bool, typer.Option("--dense", help=f"Add dense vectors of {DEFAULT_DENSE_MODEL}.")
    ] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build the index again.")] = False,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    build_only: Annotated[
        bool, typer.Option("--build-only", help="Build the index without serving it.")
    ] = False,
) -> None:
    """Index docstrings of Python and of installed packages, and serve a search page.

    Example: lsr demo --sparse bm25
    """
    from lsr.index.collection.build import build_collection
    from lsr.index.collection.reader import CollectionReader

    if rebuild or not _is_ready(folder, sparse, dense):
        from lsr.datasets.docstrings import docstring_documents

        most = limit or (None if sparse == BM25 else LEARNED_LIMIT)
        with shown_progress() as progress:
            manifest = build_collection(
                _best_known(list(docstring_documents()), most),
                folder,
                sparse=open_sparse(sparse),
                dense=open_dense(DEFAULT_DENSE_MODEL if dense else "none"),
                source="docstrings of Python and installed packages",
                progress=progress,
            )
        complain(f"indexed {manifest.n_documents:,} docstrings in {folder}")
    if build_only:
        CollectionReader.open(folder).close()
        return

    def announce(url: str) -> None:
        complain(f"the demo is at {url} (stop with Ctrl-C)")
        if browser and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            webbrowser.open(url)

    run([folder], {"host": host, "port": port, "access_log": False}, announce)


def _best_known(documents: Sequence[Document], most: int | None) -> Sequence[Document]:
    """At most `most` documents, those with the shortest dotted names, in their order."""
    if most is None:
        return documents
    dots = sorted(range(len(documents)), key=lambda i: documents[i].doc_id.count("."))
    return [documents[i] for i in sorted(dots[:most])]


def _is_ready(folder: Path, sparse: str, needs_dense: bool) -> bool:
    try:
        manifest = Manifest.read(folder)
    except IndexStateError:
        return False
    is_by = manifest.sparse.name in (sparse, Path(sparse).resolve().name)
    return is_by and (not needs_dense or manifest.dense is not None)
