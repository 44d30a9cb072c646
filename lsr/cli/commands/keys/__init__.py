"""`lsr keys`: make, list and revoke the API keys of a service."""

from __future__ import annotations

import typer

from lsr.cli.commands.keys.create import create
from lsr.cli.commands.keys.list import list_keys
from lsr.cli.commands.keys.revoke import revoke
from lsr.cli.help import HelpedCommand, HelpedGroup

__all__ = ["app"]

app = typer.Typer(
    cls=HelpedGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make, list and revoke API keys.",
)
app.command("create", cls=HelpedCommand)(create)
app.command("list", cls=HelpedCommand)(list_keys)
app.command("revoke", cls=HelpedCommand)(revoke)
