"""`lsr keys`: make, list and revoke the API keys of a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import typer

from lsr.cli.help import HelpedGroup, Later

__all__ = ["app"]


class KeysCommands(HelpedGroup):
    """The commands, in the order of help."""

    later: ClassVar[Mapping[str, Later]] = {
        "create": Later(
            "lsr.cli.commands.keys.create:create",
            "Make an API key and print it: it is shown this once, and kept as a hash.",
        ),
        "list": Later(
            "lsr.cli.commands.keys.list:list_keys", "List the API keys, without their secrets."
        ),
        "revoke": Later(
            "lsr.cli.commands.keys.revoke:revoke",
            "Remove an API key; a running service refuses it from the next request on.",
        ),
    }


app = typer.Typer(
    cls=KeysCommands, no_args_is_help=True, rich_markup_mode=None, add_completion=False
)


@app.callback()
def keys() -> None:
    """Make, list and revoke API keys."""
