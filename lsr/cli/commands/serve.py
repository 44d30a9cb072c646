"""`lsr serve`: serve the REST API and the search page."""

from __future__ import annotations

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
        list[Path] | None,
        typer.Argument(metavar="[INDEX]...", help="Index folders to serve.", show_default=False),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of collections that are made over REST; default: LSR_DATA_DIR."),
    ] = None,
    host: Host = None,
    port: Port = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that answer; default: LSR_WORKERS or 1.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="File of API keys, see lsr keys; default: LSR_KEYS.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let other machines in without a key.")
    ] = False,
    host_name: Annotated[
        list[str] | None,
        typer.Option(help="A name the service is asked for by, beside its own; may be repeated."),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(help="A site, as https://example.org, whose pages may call; repeatable."),
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain in PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Private key of it in PEM.")] = None,
    drain_seconds: Annotated[
        float | None,
        typer.Option(help="Time after SIGTERM while not ready and still answering; default: 2."),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(help="Form of the log, json or text; default: json.")
    ] = None,
    access_log: Annotated[
        bool | None, typer.Option(help="Log a line for each request; default: yes.")
    ] = None,
) -> None:
    """Serve indexes over HTTP: a search page at /, the API below /v1, its description at /docs.

    Example: lsr serve my-index --port 8080
    """
    given: dict[str, object] = {
        "data_dir": data,
        "host": host,
        "port": port,
        "workers": workers,
        "keys": keys,
        "insecure": insecure or None,
        "host_names": tuple(host_name) if host_name else None,
        "cors": tuple(cors) if cors else None,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "drain_seconds": drain_seconds,
        "log_format": log_format,
        "access_log": access_log,
    }
    run(indexes or [], given, lambda url: complain(f"serving at {url} (stop with Ctrl-C)"))


def run(indexes: list[Path], given: dict[str, object], announce: Callable[[str], None]) -> None:
    """Serve until told to stop, logging to standard error.

    Args:
        given: settings by name; None for what the environment says.
    """
    from lsr.service.logs import configure_logging
    from lsr.service.server import serve as run_server
    from lsr.service.settings import Settings

    settings = Settings.read(**{name: value for name, value in given.items() if value is not None})
    configure_logging(settings.log_format, settings.access_log)
    run_server(indexes, settings, announce)
