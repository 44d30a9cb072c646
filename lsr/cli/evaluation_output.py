"""Files and tables of `lsr eval`: refused before anything is measured, written when it is done."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import typer

from lsr.cli.console import complain, print_json, print_table
from lsr.errors import InputError, StorageError
from lsr.evaluation.report import CollectionReport, as_json, mean_report
from lsr.evaluation.reports.markdown import as_markdown
from lsr.evaluation.reports.plot import check_plot, plot
from lsr.evaluation.reports.single_table import FORMATS, single_table
from lsr.evaluation.reports.tables import mean_table, report_comparisons, stage_table, table
from lsr.options import chosen

__all__ = ["STDOUT", "EvaluationOutput", "check_files", "write_file"]

STDOUT = Path("-")


@dataclass(frozen=True)
class EvaluationOutput:
    """Places where figures go.

    Attributes:
        json, markdown, plot: files; `-` for JSON on standard output.
        folders: folders that will be written to.
        format: one of `FORMATS`: one table on standard output, in place of one a collection.
        significance: whether differences from the baseline are printed with their p-values.
    """

    json: Path | None
    markdown: Path | None
    plot: Path | None
    folders: tuple[Path, ...]
    format: str | None
    significance: bool = False

    def check(self) -> None:
        """Refuse what cannot be written.

        Raises:
            InputError: a path is a folder where a file is needed, or the other way round; or two
                things would go to standard output.
            StorageError: a place cannot be written to.
            UnavailableError: a plot is wanted and Matplotlib is not installed.
        """
        if self.format is not None:
            chosen(self.format, FORMATS, "format")
            if self.json == STDOUT:
                raise InputError("--json - and --format both write to standard output; choose one")
        if self.significance and (self.format is not None or self.json == STDOUT):
            raise InputError(
                "--significance prints a table, and --format and --json - print something else "
                "that has these figures; leave it out"
            )
        if self.plot is not None:
            check_plot(self.plot)
        check_files(self.json, self.markdown, self.plot)
        for folder in self.folders:
            if folder.exists() and not folder.is_dir():
                raise InputError(f"{folder} is a file; name a folder")
            _check_place(folder, folder)

    def show(self, report: CollectionReport) -> None:
        """Print a collection's tables, and on standard error what is to be said of it."""
        for sentence in report.warnings:
            complain(f"warning: {sentence}")
        for sentence in report.notes:
            complain(f"{report.dataset}: {sentence}")
        for name, reason in report.unavailable.items():
            complain(f"{name} is not available: {reason}")
        if self.json == STDOUT or self.format is not None:
            return
        title = f"{report.title}: {report.n_documents:,} documents, "
        print_table(f"{title}{report.n_queries:,} judged queries", *table(report))
        compared = report_comparisons(report) if self.significance else None
        if compared is not None:
            print_table(
                f"against {report.baseline} by query: paired t-test, corrected by Holm",
                *compared,
                left=("measure",),
            )
        if any(result.stage_ms for result in report.results):
            print_table("milliseconds a query, mean, by stage", *stage_table(report))

    def finish(self, reports: Sequence[CollectionReport]) -> None:
        """Print the means, and write the files.

        Raises:
            StorageError: a file cannot be written.
        """
        if len(reports) > 1:
            mean = mean_report(reports)
            if left_out := ", ".join(mean.left_out):
                complain(f"not in the mean, as not measured on every collection: {left_out}")
            if self.json != STDOUT and self.format is None:
                print_table(f"mean of {mean.n_collections} collections", *mean_table(mean))
        if self.format is not None:
            typer.echo(single_table(reports, self.format), nl=False)
        if self.json == STDOUT:
            print_json(as_json(reports))
        elif self.json is not None:
            write_file(
                self.json, orjson.dumps(as_json(reports), option=orjson.OPT_INDENT_2) + b"\n"
            )
        if self.markdown is not None:
            write_file(self.markdown, as_markdown(reports).encode())
        if self.plot is not None:
            plot(list(reports), self.plot)


def check_files(*files: Path | None) -> None:
    """Refuse files that cannot be written; None and `-` are passed over.

    Raises:
        InputError: a path is a folder.
        StorageError: a place cannot be written to.
    """
    for file in files:
        if file is not None and file != STDOUT:
            if file.is_dir():
                raise InputError(f"{file} is a folder; name a file")
            _check_place(file, file.parent)


def _check_place(path: Path, folder: Path) -> None:
    """Try to write in the nearest folder that is there."""
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror})") from error


def write_file(path: Path, content: bytes) -> None:
    """Write a file; folders are made. Raises StorageError where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror})") from error
