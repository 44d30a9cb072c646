"""`lsr serve`: serve the REST API and the search page."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.console import complain

__all__ = ["Host", "Port", "run", "serve"]

Host = Annotated[
    str | None, typer.Option(help="Address to listen on; default: LSR_HOST or 127.0.0.1.")
]
Port = Annotated[
    int | None, typer.Option(help="Port, 0 for any free one; default: LSR_PORT or 8080.")
]


def serve(
    indexes: Annotated[
        list[Path], typer.Argument(metavar="INDEX...", help="Index folders to serve.")
    ],
    host: Host = None,
    port: Port = None,
) -> None:
    """Serve indexes over HTTP: a search page at /, the API below /v1, its description at /docs."""
    run(indexes, host, port, lambda url: complain(f"serving at {url} (stop with Ctrl-C)"))


def run(
    indexes: list[Path], host: str | None, port: int | None, announce: Callable[[str], None]
) -> None:
    """Serve until told to stop, logging to standard error."""
    from lsr.service.server import serve as run_server
    from lsr.service.settings import Settings

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    given = {"host": host, "port": port}
    settings = Settings.read(**{name: value for name, value in given.items() if value is not None})
    run_server(indexes, settings, announce)
