"""A whole run: stages one after another, each from where it stopped, and a model at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import PartialState
from sentence_transformers import SparseEncoder

from lsr.encoders.learned.recommended import SearchDefaults
from lsr.errors import InputError, ModelError, UnavailableError
from lsr.files import UNFINISHED
from lsr.progress import Progress, no_progress
from lsr.training.checks.disk_space import nearest_folder
from lsr.training.checks.model_code import check_saved_code
from lsr.training.checks.reach import target_notes
from lsr.training.checks.requirements import (
    check_cache_room,
    check_config,
    check_output_room,
    check_stage_files,
)
from lsr.training.config.train import StageConfig, TrainConfig
from lsr.training.data.run_data import RunData
from lsr.training.data.supervision import (
    check_rows,
    check_stage,
    expansion_notes,
    supervision_notes,
    with_row_scores,
)
from lsr.training.data.training_data import TrainingData
from lsr.training.loop.callbacks import Report, no_report
from lsr.training.loop.evaluator import EvaluationSet, SetFigures, evaluate_model, top_terms
from lsr.training.loop.initial_model import (
    base_tokenizer,
    initial_model,
    is_sparse_encoder,
    unstarted_model,
)
from lsr.training.loop.metrics_log import plot_curves
from lsr.training.loop.model_card import write_model_card
from lsr.training.loop.run_folder import RunFolder, has_run
from lsr.training.loop.run_state import RunState
from lsr.training.loop.stage import run_stage
from lsr.training.loop.stage_context import StageContext
from lsr.training.losses.distributed import is_main_process, main_process_first
from lsr.training.models.checkpoint import Checkpoint, base_folder
from lsr.training.models.sparse_encoder import open_model, save_model

__all__ = [
    "Notice",
    "TrainingResult",
    "check_run",
    "evaluation_sets",
    "held_out",
    "stage_notes",
    "supervised",
    "train_model",
]

Notice = Callable[[str], None]
"""Called with what people should know before a stage is trained, in a sentence."""


@dataclass(frozen=True)
class TrainingResult:
    """Outcome of a run.

    Attributes:
        model: the folder of the model.
        steps: optimizer steps of all stages.
        figures: of the evaluation sets.
        notes: what people should know.
    """

    model: Path
    steps: int
    figures: list[SetFigures]
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "model": str(self.model),
            "steps": self.steps,
            "figures": [asdict(each) for each in self.figures],
            "notes": self.notes,
        }


def train_model(
    config: TrainConfig,
    progress: Progress = no_progress,
    report: Report = no_report,
    *,
    training_data: TrainingData | None = None,
    notice: Notice = lambda _: None,
) -> TrainingResult:
    """Do the run, or go on with it.

    Args:
        notice: told what was noted of a stage and its rows, before it is trained; it is among the
            notes of the result too.
        training_data: rows made elsewhere, in place of the first stage's data.

    Raises:
        InputError, DataError: something in the config or data is wrong, a model is not there, or
            a loss has nothing to learn from; nothing was made.
        UnavailableError: a package that the config asks for is not installed.
        ModelError: training stopped because it went wrong; checkpoints are kept.
        StorageError: the run folder cannot be written.
    """
    if training_data is None and config.stages[0].data is None:
        raise InputError("the first stage has no data; give stages.0.data.sources")
    is_new = not has_run(Path(config.output), config)
    if is_new:
        check_config(config)
    else:
        check_saved_code(Path(config.output), config.encoder)
    sets = evaluation_sets(config)
    tokenizer = (
        base_tokenizer(Checkpoint.of_config(config.encoder))
        if training_data is None
        else training_data.tokenizer
    )
    PartialState()  # joins the other processes, where there are any
    data = RunData(config, tokenizer, progress, first=training_data)
    if is_new:
        check_run(config, data)
    with main_process_first():
        folder = RunFolder(Path(config.output), config)
    state = RunState.read(folder, config.stages)
    for number in state.stages_left:
        rows = data.of(number)
        stage = supervised(config.stages[number - 1], rows)
        judged = [*sets, *held_out(rows)]
        doubts = [note for each in judged for note in each.notes]
        for note in state.begin_stage(rows, [*stage_notes(config, stage, rows), *doubts]):
            notice(note)
        with main_process_first():
            start = state.starting_encoder(partial(initial_model, config, rows, progress))
            model = open_model(start, trust_remote_code=config.encoder.trust_remote_code)
        context = StageContext(
            config,
            stage,
            rows,
            evaluation_sets=judged,
            run_folder=folder,
            checkpoints=state.stage_folder(number).path,
            progress=progress,
            report=report,
        )
        steps, notes = run_stage(model, context)
        state.finish_stage(model, steps, notes)
    judged = [*sets, *held_out(data.of(len(config.stages)))]
    return _finished(config, state, judged, progress)


def check_run(config: TrainConfig, data: RunData, *, with_model: bool = True) -> None:
    """Refuse what cannot be done with these rows and this base, before anything is made.

    Args:
        data: rows of all stages are read and checked; the first ones last, which stay.
        with_model: whether the base is at hand, and is opened and checked too.

    Raises:
        InputError, DataError: see `train_model`.
        StorageError: there is too little room on disk.
    """
    for stage in config.stages:
        check_stage(stage)
        wants_table = any(loss.kind == "term_recall" for loss in stage.losses)
        has_table = config.encoder.query.kind == "table" or is_sparse_encoder(config.encoder.base)
        if wants_table and not has_table:
            raise InputError(
                f"stage {stage.name}: the loss term_recall needs a table on the query side; "
                "set encoder.query to {kind: table}, or take another loss"
            )
    for number in range(len(config.stages), 0, -1):
        rows = data.of(number)
        check_rows(config.stages[number - 1], rows.pairs, rows.validation)
        check_stage_files(config, config.stages[number - 1], rows)
        check_cache_room(config, config.stages[number - 1], rows)
    check_output_room(config)
    if with_model:
        model = unstarted_model(config, data.of(1))
        if config.encoder.trust_remote_code:
            _check_saving(model, config)


def _check_saving(model: SparseEncoder, config: TrainConfig) -> None:
    """Refuse a model whose code does not let it be opened where it was saved.

    It is saved for a moment, where the run's folder will be.
    """
    place = nearest_folder(Path(config.output))
    with tempfile.TemporaryDirectory(prefix=".", suffix=UNFINISHED, dir=place) as folder:
        saved = Path(folder, "model")
        save_model(model, saved)
        try:
            open_model(saved, trust_remote_code=True)
        except InputError as error:
            raise InputError(
                f"a model of the base {config.encoder.base!r} cannot be opened again by the code "
                f"that was saved with it ({error.__cause__}); choose another base"
            ) from error


def evaluation_sets(config: TrainConfig) -> list[EvaluationSet]:
    """The judged collections that the config names.

    Raises:
        InputError, DataError: one cannot be read, or has nothing to measure by.
    """
    most = config.evaluation.max_documents
    return [EvaluationSet.read(each, most) for each in config.evaluation.sources]


def supervised(stage: StageConfig, rows: TrainingData) -> StageConfig:
    """The stage with the rows' own scores among its teachers.

    Raises:
        InputError: a loss has nothing to learn from.
    """
    check_rows(stage, rows.pairs, rows.validation)
    return with_row_scores(stage, rows.pairs)


def stage_notes(config: TrainConfig, stage: StageConfig, rows: TrainingData) -> list[str]:
    """Sentences on rows and documents not as expected, and on targets out of reach."""
    return [
        *rows.pairs.notes,
        *expansion_notes(config.preset, stage),
        *supervision_notes(stage, rows.pairs),
        *target_notes(stage),
    ]


def held_out(rows: TrainingData) -> list[EvaluationSet]:
    """The rows that are kept from training, as a set; none where there are none."""
    return [EvaluationSet.held_out(rows.validation)] if len(rows.validation) else []


def _finished(
    config: TrainConfig, state: RunState, sets: list[EvaluationSet], progress: Progress
) -> TrainingResult:
    """Measure the model of the last stage, and write the model folder with all that belongs to it.

    Raises:
        ModelError: it cannot be pushed to the hub; the folder is written.
    """
    model = open_model(state.encoder, trust_remote_code=config.encoder.trust_remote_code)
    folder = state.folder
    figures = []
    for done, each in enumerate(sets, start=1):
        figures.append(evaluate_model(model, each))
        progress("evaluate", done, len(sets))
    notes = [*state.notes, *_probe_notes(model, config.evaluation.probes)]
    if is_main_process():
        save_model(model, folder.model)
        defaults = config.search_defaults or SearchDefaults.read(
            Path(base_folder(config.encoder.base))
        )
        if defaults != SearchDefaults():
            defaults.write(folder.model)
        write_model_card(folder.model, model, config, state.counts, figures, notes)
        with suppress(UnavailableError):
            plot_curves(folder.metrics, folder.path / "plots")
    if config.push_to_hub is not None and is_main_process():
        try:
            model.push_to_hub(config.push_to_hub, local_model_path=str(folder.model))
        except OSError as error:
            raise ModelError(
                f"the model is in {folder.model}, but cannot be pushed to {config.push_to_hub} "
                f"({str(error).splitlines()[0]})"
            ) from error
    return TrainingResult(folder.model, state.steps, figures, notes)


def _probe_notes(model: SparseEncoder, probes: tuple[str, ...]) -> list[str]:
    """The heaviest terms of texts that the config asks about."""
    if not probes:
        return []
    notes = []
    for probe, terms in zip(probes, top_terms(model, probes), strict=True):
        named = ", ".join(f"{term} {weight:.2f}" for term, weight in terms)
        notes.append(f"{probe[:60]!r} becomes {named}")
    return notes
