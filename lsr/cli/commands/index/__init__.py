"""`lsr index`: build, change, describe and check an index; a file for each command."""

from __future__ import annotations

import typer

from lsr.cli.commands.index.add import add
from lsr.cli.commands.index.build import build
from lsr.cli.commands.index.calibrate import calibrate
from lsr.cli.commands.index.delete import delete
from lsr.cli.commands.index.export import export
from lsr.cli.commands.index.info import info
from lsr.cli.commands.index.merge import merge
from lsr.cli.commands.index.publish import publish
from lsr.cli.commands.index.snapshot import app as snapshot_app
from lsr.cli.commands.index.sync import sync
from lsr.cli.commands.index.verify import verify

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Build, change, describe and check an index."
)
for command in (build, info, verify, add, sync, delete, merge, publish, calibrate, export):
    app.command(command.__name__)(command)
app.add_typer(snapshot_app, name="snapshot")
