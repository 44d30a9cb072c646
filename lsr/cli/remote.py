"""Collections of a running service in place of folders: `--url`, `--key`, the folder's keeper."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lsr.cli.console import complain
from lsr.errors import InputError

if TYPE_CHECKING:
    from lsr.client.client import RemoteCollection

__all__ = ["ServiceKey", "ServiceUrl", "refuse_options", "remote_collection"]

ServiceUrl = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="A running service to ask; INDEX is then the name of a collection there.",
    ),
]
ServiceKey = Annotated[
    str | None,
    typer.Option("--key", help="API key for the service; default: LSR_KEY."),
]

_KEY = "LSR_KEY"
_TIMEOUT_SECONDS = 300.0


@contextmanager
def remote_collection(
    index: Path, url: str | None, key: str | None, *, writes: bool
) -> Iterator[RemoteCollection | None]:
    """The collection to work on over HTTP; None for the folder itself.

    It is over HTTP where a service is named, and, for a command that writes, where a running
    service keeps the folder: there the command goes through it, and says so.

    Raises:
        InputError: a key is given and there is no service, or the address cannot be one.
    """
    name = str(index)
    if url is None and writes:
        url, name = _keeper_of(index)
    if url is None:
        if key is not None:
            raise InputError("--key is for a service; name it with --url, or leave the key out")
        yield None
        return
    from lsr.client.client import Client

    with Client(url, key=key or os.environ.get(_KEY), timeout=_TIMEOUT_SECONDS) as client:
        yield client.collection(name)


def refuse_options(remote: RemoteCollection, given: Mapping[str, object]) -> None:
    """Refuse options of work that is done by the service. Raises InputError.

    Args:
        given: values by option; what is None or False was not given.
    """
    for option, value in given.items():
        if value is not None and value is not False and value != "":
            raise InputError(
                f"{option} is for work on a folder; the service that has {remote.name} does it in "
                "its own way"
            )


def _keeper_of(index: Path) -> tuple[str | None, str]:
    """Address of the service that keeps a folder, and the collection's name there."""
    from lsr.index.live.keeper import keeper_address

    address = keeper_address(index)
    name = index.resolve().name.lower()
    if address is not None:
        complain(f"{index} is served at {address}, which makes the change")
    return address, name
