"""`lsr keys create`: make an API key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lsr.cli.console import complain, print_json
from lsr.errors import InputError

__all__ = ["KeysFile", "create", "key_row"]

KeysFile = Annotated[
    Path, typer.Option(envvar="LSR_KEYS", help="File of the keys; default: LSR_KEYS.")
]


def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="For people and the log.")],
    keys: KeysFile,
    scope: Annotated[str, typer.Option(help="read, write or admin.")] = "read",
    collection: Annotated[
        list[str] | None,
        typer.Option(help="A collection or alias it is limited to; may be repeated."),
    ] = None,
    filter: Annotated[  # noqa: A002
        str | None,
        typer.Option(help='JSON that every document must match, as {"tenant": "a"}.'),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make an API key and print it: it is shown this once, and kept as a hash.

    Example: lsr keys create shop --keys keys.json --scope read
    """
    from lsr.service.security.keys import KeyFile

    key, secret = KeyFile(keys).create(
        name, scope, collections=collection or None, filter=_read(filter)
    )
    if as_json:
        print_json({**key_row(key), "key": secret})
    else:
        typer.echo(secret)
        complain(f"made key {key.id} ({key.name}, {key.scope}) in {keys}; keep it, it is not kept")


def key_row(key: Any) -> dict[str, Any]:
    """A key without its secret, as JSON has it."""
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope,
        "collections": key.collections,
        "filter": key.filter,
        "created": key.created,
    }


def _read(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(
            f'--filter is not JSON ({error}); write it as {{"field": "value"}}'
        ) from error
    if not isinstance(found, dict):
        raise InputError("--filter must be a JSON object of fields and conditions")
    return found
