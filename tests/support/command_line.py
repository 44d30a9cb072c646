"""The command line run in this process: a command that is done, or one that is refused."""

from __future__ import annotations

from typer.testing import CliRunner

from lsr.cli.app import app

__all__ = ["done", "refused"]


def done(*words: object) -> str:
    """What a command prints that ends well."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*words: object) -> str:
    """The one sentence of a command that does nothing."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return str(line)
