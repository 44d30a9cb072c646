"""A whole run: stages one after another, each from where it stopped, and a model at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState

from lsr.encoders.learned.recommended import SearchDefaults
from lsr.errors import InputError, ModelError, UnavailableError
from lsr.progress import Progress, no_progress
from lsr.training.config.train import StageConfig, TrainConfig
from lsr.training.data.tokens import vocabulary_size
from lsr.training.data.training_data import TrainingData, load_training_data
from lsr.training.loop.callbacks import Report, no_report
from lsr.training.loop.evaluator import EvaluationSet, SetFigures, evaluate_model, top_terms
from lsr.training.loop.initial_model import base_tokenizer, corpus_idf, starting_model
from lsr.training.loop.metrics_log import plot_curves
from lsr.training.loop.model_card import write_model_card
from lsr.training.loop.run_folder import RunFolder
from lsr.training.loop.stage import run_stage
from lsr.training.losses.distributed import is_main_process, main_process_first, wait_for_all
from lsr.training.models.checkpoint import base_folder
from lsr.training.models.sparse_encoder import open_model, save_model

__all__ = ["Outcome", "estimate", "train_model"]


@dataclass(frozen=True)
class Outcome:
    """What a run ended with.

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
) -> Outcome:
    """Do the run, or go on with it.

    Args:
        training_data: rows made elsewhere, in place of the first stage's data.

    Raises:
        InputError, DataError: something in the config or data is wrong; nothing was trained.
        ModelError: training stopped because it went wrong; checkpoints are kept.
        StorageError: the run folder cannot be written.
    """
    if training_data is None and config.stages[0].data is None:
        raise InputError("the first stage has no data; give stages.0.data.sources")
    sets = [
        EvaluationSet.read(Path(each), config.evaluation.max_documents)
        for each in config.evaluation.sets
    ]
    PartialState()  # joins the other processes, where there are any
    with main_process_first():
        folder = RunFolder(Path(config.output), config)
    notes: list[str] = []
    model: Any = None
    judged = sets
    steps, counts = 0, {}
    for number, stage in enumerate(config.stages, start=1):
        place = folder.stage(number, stage.name)
        done = place.outcome()
        if done is not None and number < len(config.stages) and _is_done(folder, config, number):
            steps, counts, notes = done["steps"], done["counts"], done["notes"]
            continue
        if stage.data is not None and not (number == 1 and training_data is not None):
            training_data = _gathered(config, stage, progress)
        elif training_data is None:
            training_data = _gathered(config, _data_of(config, number), progress)
        if training_data.overlap:
            notes.append(f"left out: {training_data.overlap.sentence()}")
        counts = training_data.counts()
        judged = [*sets, *_held_out(training_data)]
        if done is not None:
            model = open_model(place.encoder)
            steps, notes = done["steps"], done["notes"]
        else:
            with main_process_first():
                model = _starting_model(config, folder, number, training_data, progress, notes)
            trained, reason = run_stage(
                model, config, stage, training_data, place, folder, judged, progress, report
            )
            if reason:
                notes.append(f"stage {stage.name} ended early: {reason}")
            steps += trained
            if is_main_process():
                save_model(model, place.encoder)
                done = {"steps": steps, "counts": counts, "notes": notes}
                place.finish(done)
            wait_for_all()
    return _finished(config, folder, model, judged, steps, counts, notes, progress)


def estimate(config: TrainConfig, progress: Progress = no_progress) -> list[str]:
    """What a run would do, in lines: rows, lengths, steps, and the cost of its forward passes."""
    lines = []
    for stage in config.stages:
        if stage.data is None:
            lines.append(f"stage {stage.name}: the data of the stage before")
            continue
        training_data = _gathered(config, stage, progress)
        optim = stage.optim
        lengths = np.minimum(training_data.lengths, config.encoder.max_document_tokens)
        documents = optim.queries * optim.candidates
        tokens = optim.steps * documents * float(lengths.mean())
        rows = ", ".join(f"{name} {n:,}" for name, n in training_data.counts().items())
        lines += [
            f"stage {stage.name}: {len(training_data.pairs):,} rows ({rows}), "
            f"{len(training_data.pairs.documents):,} documents of {lengths.mean():.0f} tokens",
            f"  {optim.steps:,} steps of {optim.queries} queries and about {documents} documents: "
            f"{tokens / 1e6:,.1f} million tokens, about "
            f"{tokens / CPU_TOKENS_PER_SECOND / 60:,.0f} minutes for a network of 22 million "
            "parameters on two cores",
        ]
        if training_data.overlap is not None:
            lines.append(f"  {training_data.overlap.sentence()}")
    return lines


CPU_TOKENS_PER_SECOND = 2800
"""Measured with all-MiniLM-L6-v2, whole steps, bf16, two cores with AVX512-bf16."""


def _held_out(training_data: TrainingData) -> list[EvaluationSet]:
    return (
        [EvaluationSet.held_out(training_data.validation)] if len(training_data.validation) else []
    )


def _is_done(folder: RunFolder, config: TrainConfig, number: int) -> bool:
    """Whether the next stage is done or under way, so that this one's model is not needed."""
    after = folder.stage(number + 1, config.stages[number].name)
    return after.outcome() is not None


def _data_of(config: TrainConfig, number: int) -> StageConfig:
    return next(stage for stage in reversed(config.stages[:number]) if stage.data is not None)


def _gathered(config: TrainConfig, stage: StageConfig, progress: Progress) -> TrainingData:
    assert stage.data is not None
    tokenizer = base_tokenizer(config.encoder.base)
    return load_training_data(
        stage.data,
        tokenizer,
        vocabulary_size(tokenizer),
        max_query_tokens=config.encoder.max_query_tokens,
        max_document_tokens=min(
            config.encoder.max_document_tokens,
            stage.optim.max_document_tokens or config.encoder.max_document_tokens,
        ),
        seed=config.seed,
        progress=progress,
    )


def _starting_model(
    config: TrainConfig,
    folder: RunFolder,
    number: int,
    training_data: TrainingData,
    progress: Progress,
    notes: list[str],
) -> Any:
    """The model of the stage before, or the one that the run starts from."""
    if number > 1:
        return open_model(folder.stage(number - 1, config.stages[number - 2].name).encoder)
    start = folder.stage(0, "start")
    done = start.outcome()
    if done is not None:
        notes += done["notes"]
        return open_model(start.encoder)
    idf = None if config.idf is None else corpus_idf(config.idf, config.encoder.base, progress)
    model, said = starting_model(config, training_data, idf, progress)
    save_model(model, start.encoder)
    start.finish({"notes": [said] if said else []})
    notes += [said] if said else []
    return open_model(start.encoder)


def _finished(
    config: TrainConfig,
    folder: RunFolder,
    model: Any,
    sets: Sequence[EvaluationSet],
    steps: int,
    counts: Mapping[str, int],
    notes: list[str],
    progress: Progress,
) -> Outcome:
    figures = []
    for done, each in enumerate(sets, start=1):
        figures.append(evaluate_model(model, each))
        progress("evaluate", done, len(sets))
    if config.evaluation.probes:
        for probe, terms in zip(
            config.evaluation.probes, top_terms(model, config.evaluation.probes), strict=True
        ):
            said = ", ".join(f"{term} {weight:.2f}" for term, weight in terms)
            notes.append(f"{probe[:60]!r} becomes {said}")
    if is_main_process():
        save_model(model, folder.model)
        defaults = config.search_defaults or SearchDefaults.read(
            Path(base_folder(config.encoder.base))
        )
        if defaults != SearchDefaults():
            defaults.write(folder.model)
        write_model_card(folder.model, config, counts, figures, notes)
        with suppress(UnavailableError):
            plot_curves(folder.metrics, folder.path / "plots")
    if config.push_to_hub is not None and is_main_process():
        try:
            model.push_to_hub(config.push_to_hub)
        except OSError as error:
            raise ModelError(
                f"the model is in {folder.model}, but cannot be pushed to {config.push_to_hub} "
                f"({str(error).splitlines()[0]})"
            ) from error
    return Outcome(folder.model, steps, figures, notes)
