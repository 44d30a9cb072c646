"""Estimate of a run before it begins: what it will do, and how long that takes on this machine.

Each part of a run is named, and timed by doing a little of it with the run's own networks on its
own texts: some seconds for all. Everything that the config names is checked on the way.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from lsr.errors import InputError
from lsr.progress import Progress, no_progress
from lsr.training.checks.disk_space import nearest_folder
from lsr.training.checks.model_code import check_saved_code
from lsr.training.checks.model_files import model_folder
from lsr.training.checks.requirements import cache_of, check_config, teacher_name
from lsr.training.config.train import StageConfig, TrainConfig
from lsr.training.data.run_data import RunData
from lsr.training.data.supervision import miner_places
from lsr.training.data.training_data import TrainingData
from lsr.training.loop.evaluator import EvaluationSet
from lsr.training.loop.initial_model import base_tokenizer
from lsr.training.loop.run import check_run, evaluation_sets, held_out, stage_notes, supervised
from lsr.training.loop.run_folder import has_run
from lsr.training.models.checkpoint import Checkpoint
from lsr.training.planning.clock import Clock, wall_clock
from lsr.training.planning.durations import in_words
from lsr.training.planning.mining import grouping_s, mining_s
from lsr.training.planning.student import MeasuredStudent
from lsr.training.planning.teachers import lexical_s, teacher_cost
from lsr.training.teachers.mining import mined_path

__all__ = ["Estimate", "Part", "estimate_run"]

STAND_IN = "all-MiniLM-L6-v2"
"""Its tokens are counted where the base is not at hand."""


@dataclass(frozen=True)
class Part:
    """Part of a run.

    Attributes:
        name: for people; that of its stage is part of it where there are several.
        seconds: on this machine; None where it cannot be said.
        what: is counted in it.
    """

    name: str
    seconds: float | None
    what: str = ""

    def line(self) -> str:
        """The part in a line."""
        took = "not estimated" if self.seconds is None else in_words(self.seconds)
        return f"  {self.name}: {took}" + (f" ({self.what})" if self.what else "")


@dataclass
class Estimate:
    """Estimate of a run.

    Attributes:
        stages: lines on what is trained on, and how much.
        parts: of the run, in order.
        notes: what people should know before it begins.
    """

    stages: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Of all parts that are estimated."""
        return sum(part.seconds or 0.0 for part in self.parts)

    def lines(self) -> list[str]:
        """For people."""
        lacks = any(part.seconds is None for part in self.parts)
        rest = ", without what is not estimated" if lacks else ""
        return [
            *self.stages,
            f"on this machine ({_machine()}): {in_words(self.seconds)} in all{rest}",
            *(part.line() for part in self.parts),
            *(f"note: {note}" for note in dict.fromkeys(self.notes)),
        ]


def estimate_run(
    config: TrainConfig,
    progress: Progress = no_progress,
    *,
    clock: Clock = wall_clock,
    started_s: float = 0.0,
) -> Estimate:
    """Estimate a run, and check all that it names; nothing is left on disk.

    Args:
        clock: that times are taken by, such as `time.process_time` on a busy machine.
        started_s: what the process took before, for starting.

    Raises:
        InputError, DataError, UnavailableError, StorageError: as `train_model` before it trains,
            but for models of the hub that are not at hand: those are notes.
    """
    if config.stages[0].data is None:
        raise InputError("the first stage has no data; give stages.0.data.sources")
    if has_run(Path(config.output), config):
        check_saved_code(Path(config.output), config.encoder)
    found = Estimate()
    began = clock()
    check_config(config, found.notes.append)
    names = [config.encoder.base, config.encoder.query_base]
    at_hand = all(name is None or model_folder(name) is not None for name in names)
    data = _data(config, progress, found, at_hand=at_hand)
    sets = evaluation_sets(config)
    check_run(config, data, with_model=at_hand)
    opening = clock() - began + started_s
    student = MeasuredStudent(config, data.of(1), clock) if at_hand else None
    if config.idf is not None:
        found.notes.append("the corpus of idf is not part of the estimate")
    if student is None:
        found.parts += [Part("opening", opening, "rows"), Part("warm start", None)]
    else:
        opening += student.opening_s * (1 + len(config.stages))
        batches = student.warm_start_batches
        what = f"{batches:,} batches" if batches else "the base has its head, or needs none"
        found.parts += [
            Part("opening", opening, "libraries, rows, the base"),
            Part("warm start", student.warm_start_s, what),
        ]
    prepared: set[tuple[str, int]] = set()
    for number in range(1, len(config.stages) + 1):
        stage = _Stage(config, number, data.of(number), sets, clock, student)
        found.stages += stage.lines()
        found.notes += stage.notes()
        found.parts += stage.parts(found.notes.append, prepared)
    judged = [*sets, *held_out(data.of(len(config.stages)))]
    found.parts.append(_evaluation(student, judged))
    found.parts.append(_saving(config, student, len(judged)))
    return found


def _data(config: TrainConfig, progress: Progress, found: Estimate, *, at_hand: bool) -> RunData:
    """The rows, in tokens of the base or, where it is not at hand, of another model."""
    if at_hand:
        return RunData(config, base_tokenizer(Checkpoint.of_config(config.encoder)), progress)
    found.notes.append(
        f"tokens are counted as those of {STAND_IN}, and warm start, training, evaluation and "
        "saving are not estimated: the base is not at hand"
    )
    return RunData(config, base_tokenizer(Checkpoint.of(STAND_IN)), progress)


@dataclass(frozen=True)
class _Stage:
    config: TrainConfig
    number: int
    rows: TrainingData
    sets: list[EvaluationSet]
    clock: Clock
    student: MeasuredStudent | None

    @property
    def given(self) -> StageConfig:
        return self.config.stages[self.number - 1]

    @property
    def stage(self) -> StageConfig:
        """With the rows' own scores among its teachers."""
        return supervised(self.given, self.rows)

    @property
    def n_terms(self) -> int:
        """The width of the model's vectors."""
        frequency = self.rows.document_frequency
        return len(frequency) if self.student is None else self.student.n_terms

    def notes(self) -> list[str]:
        """Sentences that people should know before it begins."""
        doubts = [note for each in self.judged for note in each.notes]
        compiled = f"stage {self.given.name}: time of optim.compile is not part of the estimate"
        return [
            *stage_notes(self.config, self.stage, self.rows),
            *doubts,
            *([compiled] if self.given.optim.compile else []),
        ]

    @property
    def judged(self) -> list[EvaluationSet]:
        """The sets that it is measured on."""
        return [*self.sets, *held_out(self.rows)]

    def lines(self) -> list[str]:
        """Rows, steps and teachers of it."""
        stage, rows, optim = self.stage, self.rows, self.given.optim
        if stage.data is None:
            found = [f"stage {stage.name}: the data of the stage before"]
        else:
            longest = self.config.encoder.max_document_tokens
            lengths = np.minimum(rows.lengths, longest)
            counts = ", ".join(f"{name} {n:,}" for name, n in rows.counts().items())
            found = [
                f"stage {stage.name}: {len(rows.pairs):,} rows ({counts}), "
                f"{len(rows.pairs.documents):,} documents of {lengths.mean():.0f} tokens"
            ]
        found.append(
            f"  {optim.steps:,} steps of {optim.queries} queries and about "
            f"{optim.queries * optim.candidates} documents"
        )
        if stage.teachers:
            found.append(f"  teachers: {', '.join(each.kind for each in stage.teachers)}")
        if rows.overlap is not None:
            found.append(f"  {rows.overlap.sentence()}")
        return found

    def parts(self, absent: Callable[[str], None], prepared: set[tuple[str, int]]) -> list[Part]:
        """All parts of the stage, those that cost nothing too.

        Args:
            absent: told of teachers that are not at hand.
            prepared: teachers of stages before, each with the number of the rows' source, which
                find in the cache what these made.
        """
        stage, prefix = self.stage, self._prefix
        cache = cache_of(self.config)
        identities: list[str] = []
        found: list[Part] = []
        for number, teacher in enumerate(stage.teachers, start=1):
            name = f"{prefix}teacher {number} ({teacher.kind})"
            model = getattr(teacher, "model", None)
            if model is not None and model_folder(model) is None:
                absent(
                    f"{teacher_name(self.config, self.given, number)}: {model!r} is not at hand, "
                    "and is not estimated"
                )
                identities.append("")
                found.append(Part(name, None, f"{model} is not at hand"))
                continue
            cost = teacher_cost(teacher, self.rows, self.n_terms, cache, self.clock)
            identities.append(cost.identity)
            key = (cost.identity or name, self._source)
            again = bool(cost.identity) and key in prepared and teacher.kind != "bm25"
            prepared.add(key)
            what = "done in a stage before" if again else cost.counted
            found.append(Part(name, 0.0 if again else cost.seconds, what))
        found.append(self._mining(cache, identities))
        found.append(self._training())
        found.append(self._evaluating())
        return found

    @property
    def _prefix(self) -> str:
        if len(self.config.stages) == 1:
            return ""
        names = [each.name for each in self.config.stages]
        is_told = names.count(self.given.name) == 1
        return f"{self.given.name if is_told else self.number}: "

    @property
    def _source(self) -> int:
        """The number of the stage whose rows are used."""
        stages = self.config.stages
        return next((n for n in range(self.number, 1, -1) if stages[n - 1].data is not None), 1)

    def _mining(self, cache: Path, identities: list[str]) -> Part:
        stage, rows, name = self.stage, self.rows, f"{self._prefix}mining"
        data = stage.data
        terms = stage.scores.lexical_terms
        seconds = 0.0 if terms is None else lexical_s(rows, terms, self.clock)
        told = [] if terms is None else ["own words of documents"]
        n = len(rows.pairs)
        if data is not None and data.mining is not None:
            student = data.mining.teacher == "student"
            if not student and self._mined(cache, identities):
                told.append("negatives are in the cache")
            else:
                seconds += mining_s(stage, rows, self.n_terms, self.clock)
                told.append(f"negatives of {n:,} queries among {len(rows.pairs.documents):,} texts")
            if student and self.student is not None:
                seconds += self.student.evaluation_s(EvaluationSet.held_out(rows.pairs), stage)
        if data is not None and data.group_size is not None:
            seconds += grouping_s(n, data.group_size, self.clock)
            told.append(f"groups of {data.group_size} queries")
        return Part(name, seconds, ", ".join(told) or "none")

    def _mined(self, cache: Path, identities: list[str]) -> bool:
        """Whether the negatives were mined before."""
        stage, pairs = self.stage, self.rows.pairs
        assert stage.data is not None
        assert stage.data.mining is not None
        places = miner_places(stage)
        weights = [stage.teachers[place].weight for place in places]
        return mined_path(
            cache / "mined",
            [identities[place] for place in places],
            pairs.queries,
            pairs.documents,
            pairs.positives,
            stage.data.mining,
            weights=weights if len(places) > 1 else [1.0],
            seed=self.config.seed,
        ).exists()

    def _training(self) -> Part:
        name, optim = f"{self._prefix}training", self.given.optim
        if self.student is None:
            return Part(name, None)
        cost = self.student.step(self.stage, self.rows)
        columns = "the whole vocabulary" if optim.full_head else "sampled columns"
        return Part(
            name,
            cost.seconds * optim.steps,
            f"{optim.steps:,} steps of {_seconds(cost.seconds)}: {cost.documents:.0f} documents, "
            f"{cost.tokens:,.0f} tokens, {columns}",
        )

    def _evaluating(self) -> Part:
        name = f"{self._prefix}evaluation while training"
        if not self.judged:
            return Part(name, 0.0, "no sets")
        steps, every = self.given.optim.steps, self.config.evaluation.every
        times = -(-steps // every)  # every so many steps, and at the last
        what = f"{_many(times, 'time')}, {_many(len(self.judged), 'set')}"
        if self.student is None:
            return Part(name, None, what)
        once = sum(self.student.evaluation_s(each, self.stage) for each in self.judged)
        return Part(name, times * once, what)


def _evaluation(student: MeasuredStudent | None, judged: list[EvaluationSet]) -> Part:
    name = "evaluation at the end"
    if not judged:
        return Part(name, 0.0, "no sets")
    seconds = None if student is None else sum(student.evaluation_s(each) for each in judged)
    return Part(name, seconds, ", ".join(each.name for each in judged))


def _saving(config: TrainConfig, student: MeasuredStudent | None, n_sets: int) -> Part:
    """Checkpoints; and models: at the start, the best so far, of each stage, at the end."""
    checkpoints = sum(-(-each.optim.steps // config.checkpoint_every) for each in config.stages)
    every = config.evaluation.every
    best = sum(-(-each.optim.steps // every) for each in config.stages) if n_sets else 0
    models = 2 + len(config.stages) + best
    what = f"{_many(checkpoints, 'checkpoint')}, {_many(models, 'model')}"
    if student is None:
        return Part("saving", None, what)
    checkpoint, model = student.saving_s(nearest_folder(Path(config.output)))
    return Part("saving", checkpoints * checkpoint + models * model, what)


def _machine() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{_many(os.cpu_count() or 1, 'core')}, {_many(torch.get_num_threads(), 'thread')}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 100 else f"{seconds:,.0f} s"


def _many(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
