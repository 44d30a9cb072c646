"""The root command `lsr`, and what an error becomes on the way out."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lsr.cli import (
    calibrate,
    demo,
    encode,
    evaluate,
    expand,
    export,
    exportmodel,
    idf,
    index,
    live,
    modellist,
    search,
    serve,
    train,
    tune,
    vectors,
)
from lsr.cli.console import complain
from lsr.errors import LsrError

__all__ = ["app", "main"]

INPUT_ERROR = 2
INTERRUPTED = 130


class ErrorsSpeak(TyperGroup):
    """Turns errors of the tree into one sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except LsrError as error:
            complain(f"error: {error}")
            raise typer.Exit(INPUT_ERROR) from error
        except KeyboardInterrupt as error:
            complain("interrupted")
            raise typer.Exit(INTERRUPTED) from error
        except BrokenPipeError:
            sys.stderr.close()
            raise typer.Exit(0) from None


app = typer.Typer(
    cls=ErrorsSpeak,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
index.app.command("add")(live.add)
index.app.command("delete")(live.delete)
index.app.command("merge")(live.merge)
index.app.command("calibrate")(calibrate.calibrate)
index.app.command("export")(vectors.export)
app.add_typer(index.app, name="index")
app.command("search")(search.search)
app.command("eval")(evaluate.evaluate)
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("tune")(tune.tune)
app.command("encode")(encode.encode)
app.command("export")(exportmodel.export_model)
app.command("models")(modellist.models)
app.command("idf")(idf.idf)
app.command("expand")(expand.expand)
app.command("train")(train.train)
app.command("adapt")(train.adapt)
app.command("export-onnx")(export.export_onnx)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lsr {version('lsr-search')}")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Learned sparse retrieval: index documents, search them, evaluate and serve.

    Exit codes: 0 done, 1 damage found by index verify, 2 wrong input or refused by the machine,
    130 interrupted.
    """


def main() -> None:
    """Run the command line."""
    app()
