"""Queries one after the other: typed at a prompt, or read from a pipe, one a line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

import typer

from lsr.cli.console import complain
from lsr.errors import (
    InputError,
    LateError,
    NotFoundError,
    OverloadedError,
    QueryError,
    RetrieverError,
)

__all__ = ["answer_lines"]

_PROMPT = "> "


def answer_lines(answer: Callable[[str], None], *, shows_query: bool) -> int:
    """Answer each line of standard input; one that is refused is told, and the next one follows.

    At a terminal an empty line ends it, as the end of input does; in a pipe it is a query that is
    refused.

    Args:
        answer: prints the answer to a query.
        shows_query: whether queries of a pipe are printed before their answers.

    Returns:
        How many lines of a pipe were refused; at a terminal 0.

    Raises:
        InputError: there is neither a terminal nor a line.
    """
    if sys.stdin is not None and sys.stdin.isatty():
        for line in _typed():
            _answered(answer, line)
        return 0
    n_lines = n_refused = 0
    for n_lines, line in enumerate(() if sys.stdin is None else sys.stdin.buffer, start=1):
        if shows_query:
            shown = line.rstrip(b"\r\n").decode("utf-8", "replace")
            typer.echo(f"{_PROMPT}{shown}")
        n_refused += not _answered(answer, line, n_lines)
    if not n_lines:
        raise InputError(
            "the query is missing: lsr search INDEX TEXT, or one query a line on standard input"
        )
    return n_refused


def _answered(answer: Callable[[str], None], line: bytes | str, number: int = 0) -> bool:
    """Whether a query was answered; where it was not, what is wrong with it is told."""
    where = f"line {number}: " if number else ""
    try:
        answer(_text(line))
    except NotFoundError:  # the collection: no other query is answered either
        raise
    except (InputError, LateError, OverloadedError, RetrieverError) as error:
        complain(f"error: {where}{error}")
        return False
    return True


def _text(line: bytes | str) -> str:
    if isinstance(line, str):
        return line
    try:
        return line.rstrip(b"\r\n").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise QueryError(f"byte {error.start + 1} is not UTF-8") from error


def _typed() -> Iterator[str]:
    """Lines of the terminal, up to an empty one; keys that edit and recall work where they can."""
    with suppress(ImportError):
        import readline  # noqa: F401  # input() uses it once it is there
    to_screen = sys.stdout.isatty()
    while True:
        if not to_screen:
            typer.echo(_PROMPT, nl=False, err=True)
        try:
            line = input(_PROMPT if to_screen else "")
        except EOFError:
            typer.echo(err=True)
            return
        except UnicodeDecodeError as error:
            complain(f"error: byte {error.start + 1} is not UTF-8")
            continue
        if not line.strip():
            return
        yield line
