"""`lsr index`: build, change, describe and check an index; a file for each command."""

from __future__ import annotations

import typer

from lsr.cli.commands.index.add import add
from lsr.cli.commands.index.build import build
from lsr.cli.commands.index.calibrate import calibrate
from lsr.cli.commands.index.count import count
from lsr.cli.commands.index.delete import delete
from lsr.cli.commands.index.export import export
from lsr.cli.commands.index.info import info
from lsr.cli.commands.index.merge import merge
from lsr.cli.commands.index.publish import publish
from lsr.cli.commands.index.snapshot import app as snapshot_app
from lsr.cli.commands.index.sync import sync
from lsr.cli.commands.index.verify import verify
from lsr.cli.help import HelpedCommand, HelpedGroup

__all__ = ["app"]

app = typer.Typer(
    cls=HelpedGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Build, change, describe and check an index.",
)
COMMANDS = (build, add, sync, delete, info, verify, merge, calibrate, export, publish, count)
for command in COMMANDS:
    app.command(command.__name__, cls=HelpedCommand)(command)
app.add_typer(snapshot_app, name="snapshot")
