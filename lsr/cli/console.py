"""Console output: results on standard output, everything else on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from lsr.progress import Progress as ProgressCallback

__all__ = ["complain", "print_json", "print_table", "shown_progress"]

_STAGES = {
    "read": "reading documents",
    "encode": "sparse vectors",
    "dense": "dense vectors",
    "merge": "copying documents",
    "index": "inverted lists",
    "checksum": "checksums",
    "publish": "publishing",
}
_SECONDS_BETWEEN_LINES = 15.0


def complain(sentence: str) -> None:
    """Print a line on standard error."""
    typer.echo(sentence, err=True)


def print_json(value: Any, *, one_line: bool = False) -> None:
    """Print one JSON document on standard output, over several lines or on one."""
    option = None if one_line else orjson.OPT_INDENT_2
    sys.stdout.buffer.write(orjson.dumps(value, option=option) + b"\n")
    sys.stdout.flush()


def print_table(
    title: str, header: Sequence[str], lines: Sequence[Sequence[str]], left: Sequence[str] = ()
) -> None:
    """Print a table on standard output.

    Args:
        left: names of columns that are left-aligned, as the first is; the others are on the right.
    """
    table = Table(title=Text(title), title_justify="left")
    for place, name in enumerate(header):
        is_left = place == 0 or name in left
        table.add_column(Text(name), justify="left" if is_left else "right", no_wrap=True)
    for line in lines:
        table.add_row(*map(Text, line))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160).print(table)


@contextmanager
def shown_progress() -> Iterator[ProgressCallback]:
    """A `Progress` on standard error: a bar per stage on a terminal, otherwise occasional lines."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _said_now_and_then()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                for other in tasks.values():
                    bars.stop_task(other)
                tasks[stage] = bars.add_task(_STAGES.get(stage, stage), total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield show


def _said_now_and_then() -> ProgressCallback:
    last = time.monotonic()

    def say(stage: str, done: int, total: int | None) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            complain(f"{_STAGES.get(stage, stage)}: {done:,}{f' of {total:,}' if total else ''}")

    return say
