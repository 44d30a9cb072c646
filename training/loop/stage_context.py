"""Context of a stage: configs, rows, folders and listeners, in one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lsr.progress import Progress, no_progress
from lsr.training.config.train import StageConfig, TrainConfig
from lsr.training.data.training_data import TrainingData
from lsr.training.loop.callbacks import Report, no_report
from lsr.training.loop.evaluator import EvaluationSet
from lsr.training.loop.run_folder import RunFolder

__all__ = ["StageContext"]


@dataclass(frozen=True)
class StageContext:
    """All that training a stage needs beside the model.

    Attributes:
        config: of the whole run.
        stage: of this stage.
        training_data: its rows.
        evaluation_sets: what the model is measured on; none for no evaluation.
        run_folder: for metrics, and for what teachers make of texts.
        checkpoints: the folder of the stage.
    """

    config: TrainConfig
    stage: StageConfig
    training_data: TrainingData
    evaluation_sets: Sequence[EvaluationSet]
    run_folder: RunFolder
    checkpoints: Path
    progress: Progress = no_progress
    report: Report = no_report
