"""Arguments and options of most commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJson", "ColumnNames", "IndexPath"]

IndexPath = Annotated[Path, typer.Argument(metavar="INDEX", help="The index folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
ColumnNames = Annotated[
    str,
    typer.Option(
        "--columns",
        help="Fields of a record file, as doc_id=A,text=B,title=C; default: the usual names.",
    ),
]
