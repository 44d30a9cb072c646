"""`lsr demo`: a working search over documentation that is on every machine with Python."""

from __future__ import annotations

import os
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from lsr.bm25 import Bm25Encoder
from lsr.cli.console import complain, shown_progress
from lsr.cli.models import open_dense
from lsr.cli.serve import Host, Port, run
from lsr.dense import DEFAULT_DENSE_MODEL
from lsr.errors import IndexStateError
from lsr.index.manifest import Manifest

__all__ = ["demo"]


def demo(
    folder: Annotated[
        Path, typer.Option(help="Where the demo index is kept.", show_default=False)
    ] = Path(".lsr/demo"),
    host: Host = None,
    port: Port = None,
    dense: Annotated[
        bool, typer.Option("--dense", help=f"Dense vectors as well, by {DEFAULT_DENSE_MODEL}.")
    ] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build the index anew.")] = False,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    build_only: Annotated[
        bool, typer.Option("--build-only", help="Build the index and do not serve it.")
    ] = False,
) -> None:
    """Index the docstrings of Python and of the installed packages, and serve a search page."""
    from lsr.index.builder import build_collection
    from lsr.index.collection import Collection

    if rebuild or not _is_ready(folder, dense):
        from lsr.docstrings import docstring_documents

        with shown_progress() as progress:
            manifest = build_collection(
                docstring_documents(),
                folder,
                sparse=Bm25Encoder(),
                dense=open_dense(DEFAULT_DENSE_MODEL if dense else "none"),
                source="docstrings of Python and installed packages",
                progress=progress,
            )
        complain(f"indexed {manifest.n_documents:,} docstrings in {folder}")
    if build_only:
        Collection(folder).close()
        return

    def announce(url: str) -> None:
        complain(f"the demo is at {url} (stop with Ctrl-C)")
        if browser and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            webbrowser.open(url)

    run([folder], host, port, announce)


def _is_ready(folder: Path, needs_dense: bool) -> bool:
    try:
        manifest = Manifest.read(folder)
    except IndexStateError:
        return False
    return not needs_dense or manifest.dense is not None
