"""All that a config names outside itself: models, files, folders, packages, accounts.

Each is asked for before the first step, so that a run does not end on a wrong name after an hour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import constants, get_token
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils._validators import validate_repo_id
from transformers.integrations.integration_utils import (
    INTEGRATION_TO_CALLBACK,
    get_available_reporting_integrations,
)

from lsr.datasets.open import open_corpus
from lsr.errors import InputError, UnavailableError
from lsr.training.checks.disk_space import check_room, check_writable, run_bytes, vector_bytes
from lsr.training.checks.model_code import base_models, check_base_code, check_model_code
from lsr.training.checks.model_files import check_model_files
from lsr.training.config.train import (
    CrossEncoderTeacher,
    DenseTeacher,
    ScoreFileTeacher,
    SparseTeacher,
    StageConfig,
    TrainConfig,
)
from lsr.training.data.hub_files import local_file
from lsr.training.data.training_data import TrainingData
from lsr.training.teachers.score_file import ScoreFile

__all__ = [
    "Absent",
    "cache_of",
    "check_cache_room",
    "check_config",
    "check_output_room",
    "check_stage_files",
    "teacher_name",
]

Absent = Callable[[str], None]
"""Told, in a sentence, what may be there when the run begins and is not now."""


def _refuse(sentence: str) -> None:
    """An `Absent` for runs, which need everything now.

    Raises:
        InputError: always.
    """
    raise InputError(sentence)


def check_config(config: TrainConfig, absent: Absent = _refuse) -> None:
    """Check what does not depend on rows; reads no weights.

    Args:
        absent: of models on the hub, and of the hub itself, which a dry run can do without.

    Raises:
        InputError, DataError: something named is not there, or not what it should be.
        UnavailableError: a package that is asked for is not installed.
        StorageError: a folder cannot be written.
    """
    check_writable(Path(config.output), "output")
    if config.cache is not None:
        check_writable(Path(config.cache), "cache")
    if config.idf is not None:
        open_corpus(config.idf)
    for name in config.report_to:
        _check_reporter(name)
    if config.push_to_hub is not None:
        _check_hub(config.push_to_hub, absent)
    if any(not probe.strip() for probe in config.evaluation.probes):
        raise InputError("evaluation.probes has a text without words; take it out")
    _check_models(config, absent)


def check_stage_files(config: TrainConfig, stage: StageConfig, rows: TrainingData) -> None:
    """Check the score files of a stage against its rows.

    Raises:
        InputError, DataError: one cannot be read, or is of another run.
    """
    for number, teacher in enumerate(stage.teachers, start=1):
        if not isinstance(teacher, ScoreFileTeacher):
            continue
        try:
            path = local_file(teacher.path)
            ScoreFile(path, rows.pairs.query_ids, rows.pairs.document_ids).check()
        except InputError as error:
            raise InputError(f"{teacher_name(config, stage, number)}: {error}") from error


def check_cache_room(config: TrainConfig, stage: StageConfig, rows: TrainingData) -> None:
    """Check that what the stage's teachers make of its texts has room on disk.

    Raises:
        StorageError: there is too little.
    """
    check_room(cache_of(config), vector_bytes(stage, rows), f"cache of stage {stage.name}")


def check_output_room(config: TrainConfig) -> None:
    """Check that checkpoints and models have room on disk; raises as `check_cache_room`."""
    check_room(Path(config.output), run_bytes(config), "output")


def cache_of(config: TrainConfig) -> Path:
    """The folder for what teachers make of texts."""
    return Path(config.output) / "cache" if config.cache is None else Path(config.cache)


def teacher_name(config: TrainConfig, stage: StageConfig, number: int) -> str:
    """A teacher for messages: its stage, its number from 1, and its kind.

    Stages of equal name are told apart by their number.
    """
    names = Counter(each.name for each in config.stages)
    told = stage.name
    if names[stage.name] > 1:
        place = next(n for n, each in enumerate(config.stages, 1) if each is stage)
        told = f"{place} ({stage.name})"
    return f"stage {told}, teacher {number} ({stage.teachers[number - 1].kind})"


def _check_models(config: TrainConfig, absent: Absent) -> None:
    bases = base_models(config.encoder)
    wanted = [*bases]
    coded: list[tuple[str, str, bool]] = []
    made: set[Path] = set()  # by the stages before
    for place, stage in enumerate(config.stages, start=1):
        for number, teacher in enumerate(stage.teachers, start=1):
            if not isinstance(teacher, DenseTeacher | SparseTeacher | CrossEncoderTeacher):
                continue
            if Path(teacher.model).absolute() not in made:
                what = teacher_name(config, stage, number)
                wanted.append((what, teacher.model))
                coded.append((what, teacher.model, teacher.trust_remote_code))
        made.add(Path(config.output, f"{place}-{stage.name}", "encoder").absolute())
    away = set()
    for what, model in wanted:
        if (reason := check_model_files(model, what)) is not None:
            away.add(model)
            absent(reason)
    if not any(model in away for _, model in bases):
        check_base_code(config.encoder)
    for what, model, trusts in coded:
        if model not in away:
            check_model_code(model, what, trusts=trusts)


def _check_reporter(name: str) -> None:
    if name not in INTEGRATION_TO_CALLBACK:
        raise InputError(
            f"report_to: there is no reporter {name!r}; known: {', '.join(INTEGRATION_TO_CALLBACK)}"
        )
    if name not in get_available_reporting_integrations():
        raise UnavailableError(
            f"report_to: {name} is not installed; run: pip install {name}, or take it out"
        )


def _check_hub(name: str, absent: Absent) -> None:
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise InputError(
            f"push_to_hub: {name!r} is no hub id ({error}); give OWNER/NAME"
        ) from error
    if get_token() is None:
        raise InputError(
            "push_to_hub: there is no token for the hub; run `hf auth login`, or set HF_TOKEN"
        )
    if constants.HF_HUB_OFFLINE:
        absent("push_to_hub: the hub is not asked (HF_HUB_OFFLINE is set); unset it to push")
