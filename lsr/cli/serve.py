"""`lsr serve`: the REST API and the search page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.console import complain

__all__ = ["serve"]


def serve(
    indexes: Annotated[
        list[Path], typer.Argument(metavar="INDEX...", help="Index folders to serve.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8080,
) -> None:
    """Serve indexes over HTTP: a search page at /, the API below /v1, its description at /docs."""
    from lsr.service.server import serve as run_server
    from lsr.service.settings import Settings

    run_server(
        indexes,
        Settings(host=host, port=port),
        announce=lambda url: complain(f"serving at {url} (stop with Ctrl-C)"),
    )
