"""`lsr keys list`: the API keys, without their secrets."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from lsr.cli.commands.keys.create import KeysFile, key_row
from lsr.cli.console import print_json, print_table

__all__ = ["list_keys"]


def list_keys(
    keys: KeysFile,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the API keys, without their secrets.

    Example: lsr keys list --keys keys.json
    """
    from lsr.service.security.keys import KeyFile

    found = [key_row(key) for key in KeyFile(keys).list()]
    if as_json:
        print_json(found)
        return
    header = ("id", "name", "scope", "collections", "filter", "created")
    lines = [
        [
            row["id"],
            row["name"],
            row["scope"],
            ", ".join(row["collections"] or ["all"]),
            json.dumps(row["filter"]) if row["filter"] else "",
            row["created"],
        ]
        for row in found
    ]
    print_table(f"{len(found)} keys", header, lines)
