"""`Experiment`: methods trained one after another, measured, and kept by what decides them.

work/data-HASH/            rows and collections, cut to the budget
work/base-HASH/            the checkpoint that all start from
work/runs/HASH/            a run of `lsr train`, by config, rows and base; HASH.seconds beside it
work/expanded-HASH/        rows and collections with expanded documents, by the expander's run
work/results/HASH.json     figures, by the run and the collections
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from bench.framework.budget import Budget, TrainingRows, config_for, content_of
from bench.framework.expansion import expanded_folder
from bench.framework.measurement import MeasuredCollection, SetFigures
from bench.framework.methods import EXPANDER, METHODS, Method
from bench.framework.page import Row
from lsr.errors import InputError, LsrError
from lsr.evaluation.suites import SuiteMember
from lsr.files import checksum, read_signed, signed, write_atomically
from lsr.progress import Progress
from lsr.training.config.train import Table, TrainConfig
from lsr.training.loop.run import train_model

__all__ = ["Experiment", "Material"]

DIGITS = 12
"""Of a checksum, in names of files."""
SECONDS_BETWEEN_NOTES = 2.0
"""Of the time that a run has taken so far."""
FAILURES = (LsrError, RuntimeError, MemoryError)
"""What costs a method its row, and not the page."""


@dataclass(frozen=True)
class Material:
    """What methods are trained and measured on.

    Attributes:
        rows: that they are trained on.
        members: what they are measured on.
        folders: BEIR folders of rows, if they can be expanded; none otherwise.
        base: a checkpoint, and a checksum of it.
        dense: the dense model that is measured beside them.
    """

    rows: TrainingRows
    members: Sequence[SuiteMember]
    folders: Sequence[Path]
    base: Path | str
    base_sha256: str
    dense: str


class Experiment:
    """Methods under one budget.

    Args:
        timed: queries that are timed at least, of each collection and method.
        say: is told, in sentences, how far it has come.
    """

    def __init__(
        self,
        work: Path,
        budget: Budget,
        material: Material,
        *,
        timed: int,
        say: Callable[[str], None],
        progress: Progress,
    ) -> None:
        self._work = work
        self._budget = budget
        self._material = material
        self._timed = timed
        self._say = say
        self._progress = progress
        self._plain = self._collections(material.members)
        self._longer: list[MeasuredCollection] | None = None
        self._rows = material.rows
        self._expander: str | None = None

    def sizes(self) -> dict[str, str]:
        """Collections, and how large each is."""
        found = {}
        for each in self._plain:
            held = each.collection
            found[each.name] = f"{held.n_documents:,} documents, {len(held.qrels):,} queries"
        return found

    def rows(self, names: Sequence[str], minutes: float | None = None) -> list[Row]:
        """Rows of the page: BM25, the dense model, and these methods.

        Args:
            minutes: after which no other method is begun; None for no end.
        """
        started = time.monotonic()
        dense = self._material.dense
        rows = [
            self._baseline("BM25", {"system": "bm25"}, lambda each: each.bm25()),
            self._baseline(dense, {"dense": dense}, lambda each: each.dense(dense)),
        ]
        spent: list[float] = []
        for place, name in enumerate(names):
            begun = time.monotonic()
            if minutes is not None and begun - started >= 60 * minutes:
                late = f"not begun in the {minutes:g} minutes of --minutes; run the command again"
                rows.append(self._row(name, failure=late))
                continue
            self._say(f"{name}: method {place + 1} of {len(names)}{_left(spent, names[place:])}")
            rows.append(self._method(name))
            took = time.monotonic() - begun
            if took > SECONDS_BETWEEN_NOTES:  # what was kept tells nothing of what is to come
                spent.append(took)
        return rows

    def close(self) -> None:
        """Close the collections."""
        for each in (*self._plain, *(self._longer or ())):
            each.close()

    def _collections(self, members: Sequence[SuiteMember]) -> list[MeasuredCollection]:
        vectors = self._work / "vectors"
        return [
            MeasuredCollection(member, vectors, self._timed, self._progress) for member in members
        ]

    def _baseline(
        self,
        name: str,
        said: Mapping[str, str],
        measure: Callable[[MeasuredCollection], SetFigures],
    ) -> Row:
        try:
            return Row(name, self._figures(said, self._plain, measure))
        except FAILURES as error:
            return Row(name, {}, failure=_sentence(error))

    def _method(self, name: str) -> Row:
        try:
            if METHODS[name].expanded and self._material.folders:
                self._expand()
            config, content = self._config(METHODS[name])
            model, minutes = self._trained(name, config, content)
            collections = self._plain
            if METHODS[name].expanded and self._longer is not None:
                collections = self._longer
            figures = self._figures(
                {"model": content}, collections, lambda each: each.learned(model)
            )
        except FAILURES as error:
            self._say(f"{name} failed: {_sentence(error)}")
            return self._row(name, failure=_sentence(error))
        return replace(self._row(name), figures=figures, minutes=minutes)

    def _row(self, name: str, failure: str = "") -> Row:
        method = METHODS[name]
        config, _ = self._config(method)
        document: str = config.encoder.document.kind
        if method.expanded:
            document += ", expanded" if self._material.folders else ", not expanded"
        losses = []
        for loss in config.stages[0].losses:
            own = getattr(loss, "candidates", "") == "own"
            losses.append(f"{loss.kind} (own)" if own else loss.kind)
        query = config.encoder.query
        asked = query.weights if isinstance(query, Table) else query.kind
        return Row(
            name,
            {},
            failure=failure,
            query=asked.replace("ones", "binary"),
            document=document.replace("table", "binary"),
            loss=" + ".join(losses),
            tables=method.tables,
        )

    def _config(self, method: Method) -> tuple[TrainConfig, str]:
        rows = self._rows
        if method.expanded and self._expander is not None:
            rows = replace(rows, sha256=checksum([rows.sha256, self._expander]))
        runs, material = self._work / "runs", self._material
        config = config_for(method, self._budget, rows, material.base, runs, self._work / "cache")
        content = content_of(config, rows, material.base_sha256)
        output = str(runs / content[:DIGITS])  # named by content: methods that are equal share it
        return config.model_copy(update={"output": output, "preset": None}), content

    def _trained(self, name: str, config: TrainConfig, content: str) -> tuple[Path, float]:
        """The model of a run, and minutes that training took, over all its beginnings."""
        folder = Path(config.output)
        clock = _Clock(folder.with_name(f"{folder.name}.seconds"))
        done = folder.with_name(f"{folder.name}.done")
        if not done.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)

            def report(_: str, steps: int, total: int, __: Mapping[str, float]) -> None:
                clock.note()
                self._progress(f"{name}: training", steps, total)

            train_model(config, self._progress, report)
            clock.note(last=True)
            write_atomically(done, content + "\n")
        return folder / "model", clock.seconds / 60

    def _expand(self) -> None:
        """Make rows and collections with expanded documents, once."""
        if self._longer is not None:
            return
        config, content = self._config(METHODS[EXPANDER])
        try:
            model, _ = self._trained(EXPANDER, config, content)
        except FAILURES as error:
            raise InputError(
                f"{EXPANDER}, which expands its documents, failed: {_sentence(error)}"
            ) from error
        out = self._work / f"expanded-{content[:DIGITS]}"
        budget = self._budget

        def longer(source: Path, split: str) -> Path:
            return expanded_folder(
                source,
                split,
                model,
                out / split,
                budget.expansion_terms,
                budget.document_tokens,
                self._progress,
            )

        folders = [longer(each, "train") for each in self._material.folders]
        members = [
            replace(each, source=str(longer(Path(each.source), "test")))
            for each in self._material.members
        ]
        sources = [
            {**source, "path": str(folder), "expanded": True}
            for source, folder in zip(self._rows.sources, folders, strict=True)
        ]
        self._rows = replace(self._rows, expanded=sources)
        self._expander = content
        self._longer = self._collections(members)

    def _figures(
        self,
        said: Mapping[str, str],
        collections: Sequence[MeasuredCollection],
        measure: Callable[[MeasuredCollection], SetFigures],
    ) -> dict[str, SetFigures]:
        """Figures by collection, kept or measured."""
        found = {}
        for each in collections:
            key = {**said, "set": each.collection.sha256, "timed": self._timed}
            name = checksum({**key, "lsr": version("lsr-search")})[:DIGITS]
            file = self._work / "results" / f"{name}.json"
            figures = _kept(file)
            if figures is None:
                figures = measure(each)
                file.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(file, signed({**key, "figures": figures.as_dict()}))
            found[each.name] = figures
        return found


class _Clock:
    """Seconds of a run, kept in a file, so that those before an interruption count too."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._before = 0.0
        with suppress(OSError, ValueError):
            self._before = float(file.read_text("utf-8"))
        self.seconds = self._before
        self._begun = self._noted = time.monotonic()

    def note(self, *, last: bool = False) -> None:
        """Count what has passed; written now and then, and at last."""
        now = time.monotonic()
        self.seconds = round(self._before + now - self._begun, 1)
        if last or now - self._noted >= SECONDS_BETWEEN_NOTES:
            self._noted = now
            write_atomically(self._file, f"{self.seconds:.1f}\n")


def _kept(file: Path) -> SetFigures | None:
    """Figures of a file; None where there is none that can be read."""
    try:
        content, is_whole = read_signed(file.read_bytes())
        return SetFigures(**content["figures"]) if is_whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _left(spent: Sequence[float], names: Sequence[str]) -> str:
    if not spent:
        return ""
    minutes = sum(spent) / len(spent) * len(names) / 60
    return f", about {minutes:.0f} minutes left if none is kept from before"


def _sentence(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0]
    return text or type(error).__name__
