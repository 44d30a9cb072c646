"""`lsr index`: build, change, describe and check an index; a file for each command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import typer

from lsr.cli.help import HelpedGroup, Later

__all__ = ["app"]


class IndexCommands(HelpedGroup):
    """The commands, in the order of help."""

    later: ClassVar[Mapping[str, Later]] = {
        "build": Later(
            "lsr.cli.commands.index.build:build",
            "Build an index from documents; it replaces the one at INDEX when it is complete.",
        ),
        "add": Later(
            "lsr.cli.commands.index.add:add",
            "Add documents to an index; a document with a known id replaces the older version.",
        ),
        "sync": Later(
            "lsr.cli.commands.index.sync:sync",
            "Make an index hold exactly the documents of a source: add, replace and delete.",
        ),
        "delete": Later(
            "lsr.cli.commands.index.delete:delete",
            "Delete documents by id: all that are named, or none when an id is unknown.",
        ),
        "info": Later(
            "lsr.cli.commands.index.info:info",
            "Describe an index: counts, models, segments, tuned plan and calibration.",
        ),
        "verify": Later(
            "lsr.cli.commands.index.verify:verify",
            "Compare every byte of an index with its checksums.",
        ),
        "merge": Later(
            "lsr.cli.commands.index.merge:merge",
            "Merge all segments of an index into one, and free the space of deleted documents.",
        ),
        "calibrate": Later(
            "lsr.cli.commands.index.calibrate:calibrate",
            "Choose parameters of approximate search for a recall, and store them with the index.",
        ),
        "export": Later(
            "lsr.cli.commands.index.export:export",
            "Write the sparse vectors of all documents to a file that other engines read.",
        ),
        "publish": Later(
            "lsr.cli.commands.index.publish:publish",
            "Publish acknowledged writes that are in the log alone, so that every search sees "
            "them.",
        ),
        "count": Later(
            "lsr.cli.commands.index.count:count",
            "Count the words of a part of a corpus, and write them to a file; no model runs.",
        ),
        "snapshot": Later(
            "lsr.cli.commands.index.snapshot:app",
            "Make, list, verify and restore snapshots of an index.",
        ),
    }


app = typer.Typer(
    cls=IndexCommands, no_args_is_help=True, rich_markup_mode=None, add_completion=False
)


@app.callback()
def index() -> None:
    """Build, change, describe and check an index."""
