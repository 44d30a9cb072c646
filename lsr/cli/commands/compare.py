"""`lsr compare`: runs of any origin beside each other, with tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import orjson
import typer

from lsr.cli.console import complain, print_json, print_table
from lsr.cli.evaluation_output import STDOUT, check_files, write_file
from lsr.datasets.runs import open_run
from lsr.errors import InputError
from lsr.evaluation.compare.fusion import METHODS, check_fusion, fuse_runs
from lsr.evaluation.compare.judgements import Judgements
from lsr.evaluation.compare.named_runs import named_paths
from lsr.evaluation.compare.run_comparison import RunComparison, compare_runs
from lsr.evaluation.comparison import TESTS
from lsr.evaluation.reports.plot import check_plot, plot_differences
from lsr.evaluation.reports.run_page import runs_as_html
from lsr.evaluation.reports.run_tables import (
    against_title,
    difference_table,
    queries_table,
    queries_title,
    runs_as_markdown,
    runs_in_one_table,
    runs_table,
)
from lsr.evaluation.reports.single_table import FORMATS
from lsr.evaluation.run_files import write_untied
from lsr.options import chosen
from lsr.types import Run

__all__ = ["compare"]

_TEXT = 60
"""Characters of a query's text on a terminal."""


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Run files, as PATH or NAME=PATH: TREC, JSON as {query: {document: score}} "
            "(both also .gz, .zst), or ranx's .lz4.",
        ),
    ],
    qrels: Annotated[
        str,
        typer.Option(
            help="The judgements: a file in TREC's or BEIR's columns, a BEIR folder, irds:ID, or a "
            "suite of one collection."
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            help="Split of the judgements of a BEIR folder; default: test.", show_default=False
        ),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="A file of queries, for their texts; default: those of the collection, where "
            "--qrels names one.",
            show_default=False,
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Measures, comma-separated, as ir_measures writes them; default: the suite's, or "
            "nDCG@10, R@100, MAP, MRR@10.",
            show_default=False,
        ),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(
            min=1, help="Hits of each query that are measured; default: all.", show_default=False
        ),
    ] = None,
    baseline: Annotated[
        str, typer.Option(help="The run that the others are compared with; default: the first.")
    ] = "",
    test: Annotated[
        str | None,
        typer.Option(
            help=f"Paired tests, comma-separated: {', '.join(TESTS)}; default: {TESTS[0]}.",
            show_default=False,
        ),
    ] = None,
    differences: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Queries that are listed, those that differ most; default: 10.",
            show_default=False,
        ),
    ] = None,
    fuse: Annotated[
        str,
        typer.Option(
            metavar="METHOD",
            help=f"Fuse the runs by ranx, and measure that as one more run: {', '.join(METHODS)}.",
        ),
    ] = "",
    trec: Annotated[Path | None, typer.Option(help="Write the fused run as a TREC file.")] = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=f"Print one table instead: {', '.join(FORMATS)}.",
            show_default=False,
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write everything as JSON; - for standard output.")
    ] = None,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", help="Write the tables as Markdown.")
    ] = None,
    html_file: Annotated[
        Path | None,
        typer.Option("--html", help="Write tables and a picture as one HTML file of its own."),
    ] = None,
    plot_file: Annotated[
        Path | None,
        typer.Option(
            "--plot", help="Draw the differences of the first measure, as .svg, .png or .pdf."
        ),
    ] = None,
) -> None:
    """Compare runs on the same judgements: measures, paired tests, and where they differ.

    Every judged query counts, as 0 where a run has no hits for it. Hits are in the order of
    trec_eval: by score, equal ones by id descending. Each run is tested against the first, on each
    measure, with Holm's correction for the number of runs.

    Example: lsr compare a.trec b.trec --qrels path/to/scifact
    """
    output = _Output(json_file, markdown_file, html_file, plot_file, trec, format_name, differences)
    paths = named_paths(runs)
    output.check(paths.values())
    tests = _listed(TESTS[0] if test is None else test)
    if not tests:
        raise InputError(f"--test names no test; choose {', '.join(TESTS)}")
    of_several = {"--test": test, "--differences": differences, "--queries": queries}
    _check_few(paths, fuse, trec, of_several)
    judgements = Judgements.open(qrels, split, queries)
    given = {name: open_run(path) for name, path in paths.items()}
    if fuse:
        complain(f"fusing {len(given)} runs by {fuse}; ranx compiles first, for some seconds")
        given[fuse] = fuse_runs(list(given.values()), fuse)
    comparison = compare_runs(
        given,
        judgements,
        metrics=None if metrics is None else _listed(metrics),
        baseline=baseline,
        tests=tests,
        depth=depth,
    )
    output.write(comparison, given.get(fuse), fuse)
    output.show(comparison)


def _check_few(
    paths: Mapping[str, Path],
    fuse: str,
    trec: Path | None,
    of_several: Mapping[str, object],
) -> None:
    """Refuse what one run alone, or none that is fused, has no use for."""
    if fuse:
        check_fusion(fuse, len(paths))
        if fuse in paths:
            raise InputError(
                f"a run is called {fuse}, as the fused one would be; name it, as mine={paths[fuse]}"
            )
    elif trec is not None:
        raise InputError("--trec writes the fused run, and none is asked for; give --fuse METHOD")
    if len(paths) == 1:
        for name, value in of_several.items():
            if value is not None:
                raise InputError(
                    f"{name} is of runs beside a baseline, and there is one run; name another, or "
                    "leave the option out"
                )


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


@dataclass(frozen=True)
class _Output:
    """Places where figures go; see the options."""

    json: Path | None
    markdown: Path | None
    html: Path | None
    plot: Path | None
    trec: Path | None
    format: str | None
    differences: int | None

    def check(self, read: Iterable[Path]) -> None:
        """Refuse what cannot be written, or would be written over what is read."""
        if self.format is not None:
            chosen(self.format, FORMATS, "format")
            if self.json == STDOUT:
                raise InputError("--json - and --format both write to standard output; choose one")
            if self.differences is not None and not (self.json or self.markdown or self.html):
                raise InputError(
                    "--format prints one table, without the queries of --differences; leave one of "
                    "the two out"
                )
        if self.plot is not None:
            check_plot(self.plot)
        files = (self.json, self.markdown, self.html, self.plot, self.trec)
        check_files(*files)
        taken = {path.resolve() for path in read}
        for file in files:
            if file is not None and file != STDOUT:
                if file.resolve() in taken:
                    raise InputError(f"{file} is read or written already; name another file")
                taken.add(file.resolve())

    def write(self, comparison: RunComparison, fused: Run | None, tag: str) -> None:
        """Write the files."""
        if self.trec is not None and fused is not None:
            write_untied(self.trec, fused, tag)
        if self.json is not None and self.json != STDOUT:
            told = orjson.dumps(comparison.as_dict(self._most), option=orjson.OPT_INDENT_2)
            write_file(self.json, told + b"\n")
        if self.markdown is not None:
            write_file(self.markdown, runs_as_markdown(comparison, self._most).encode())
        if self.html is not None:
            write_file(self.html, runs_as_html(comparison, self._most).encode())
        if self.plot is not None:
            plot_differences(comparison, self.plot)

    def show(self, comparison: RunComparison) -> None:
        """Print the figures, and on standard error what is to be said of them."""
        for note in comparison.notes:
            complain(note)
        if self.json == STDOUT:
            print_json(comparison.as_dict(self._most))
            return
        if self.format is not None:
            typer.echo(runs_in_one_table(comparison, self.format), nl=False)
            return
        title = f"{comparison.title}: {comparison.n_queries:,} judged queries"
        print_table(title, *runs_table(comparison))
        if not comparison.tests:
            return
        print_table(against_title(comparison), *difference_table(comparison), left=("measure",))
        header, lines = queries_table(comparison, self._most)
        if lines:
            short = [[*line[:-1], _short(line[-1])] for line in lines]
            print_table(queries_title(comparison), header, short, left=("text",))

    @property
    def _most(self) -> int:
        return 10 if self.differences is None else self.differences


def _short(text: str) -> str:
    """A text that fits on a line and has nothing that moves the cursor."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return plain if len(plain) <= _TEXT else f"{plain[: _TEXT - 1]}…"
