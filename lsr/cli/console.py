"""Console output: results on standard output, everything else on standard error."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from lsr.progress import Progress as ProgressCallback

__all__ = ["Pace", "complain", "print_json", "print_table", "shown_progress"]

_STAGES = {
    "read": "reading documents",
    "encode": "sparse vectors",
    "dense": "dense vectors",
    "merge": "copying documents",
    "index": "inverted lists",
    "checksum": "checksums",
    "publish": "publishing",
    "copy": "comparing files",
    "upload": "uploading, in MB",
    "download": "downloading, in MB",
    "verify": "comparing files",
}
_SECONDS_BETWEEN_LINES = 15.0
_SECONDS_OF_PACE = 60.0


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


class Pace:
    """Rate and time left of a stage, from what was reported of it in about the last minute.

    The first report of a stage is where its time begins; what was done by then, such as vectors
    that were there already, is not counted.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._stage: str | None = None
        self._reports: deque[tuple[float, int]] = deque()

    def told(self, stage: str, done: int, total: int | None) -> list[str]:
        """Words for rate and time left; fewer while they are not known."""
        now = self._clock()
        if stage != self._stage:
            self._stage = stage
            self._reports.clear()
        self._reports.append((now, done))
        while len(self._reports) > 2 and now - self._reports[1][0] >= _SECONDS_OF_PACE:
            self._reports.popleft()
        began, before = self._reports[0]
        if now <= began or done <= before:
            return []
        rate = (done - before) / (now - began)
        words = [f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"]
        if total is not None and total > done:
            words.append(f"{timedelta(seconds=round((total - done) / rate))} left")
        return words


@contextmanager
def shown_progress() -> Iterator[ProgressCallback]:
    """A `Progress` on standard error: a bar per stage on a terminal, otherwise occasional lines.

    Both say how many are done a second, and how long the rest takes at that rate.
    """
    console = Console(stderr=True)
    pace = Pace(time.monotonic)
    if not console.is_terminal:
        yield _said_now_and_then(pace)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[pace]}"),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                for other in tasks.values():
                    bars.stop_task(other)
                tasks[stage] = bars.add_task(_STAGES.get(stage, stage), total=total, pace="")
            told = ", ".join(pace.told(stage, done, total))
            bars.update(tasks[stage], completed=done, total=total, pace=told)

        yield show


def _said_now_and_then(pace: Pace) -> ProgressCallback:
    last = time.monotonic()

    def say(stage: str, done: int, total: int | None) -> None:
        nonlocal last
        told = pace.told(stage, done, total)
        if time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            count = f"{done:,} of {total:,}" if total else f"{done:,}"
            complain(f"{_STAGES.get(stage, stage)}: {', '.join([count, *told])}")

    return say
