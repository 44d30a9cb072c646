"""Room that a run takes on disk, beside what is free; and whether its folders can be written."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from lsr.errors import StorageError
from lsr.files import UNFINISHED
from lsr.training.checks.model_files import model_folder, weight_bytes
from lsr.training.config.train import (
    CrossEncoderTeacher,
    DenseTeacher,
    SparseTeacher,
    StageConfig,
    TrainConfig,
)
from lsr.training.data.training_data import TrainingData

__all__ = ["check_room", "check_writable", "nearest_folder", "run_bytes", "vector_bytes"]

KEY_BYTES = 32
"""Of a row in the cache, beside its vector."""

SPARSE_BYTES = 300 * 8
"""A sparse teacher's vector: terms, each with a number and a weight."""

DENSE_WIDTH = 768
"""Dimensions of a teacher that does not say how many it has."""


def nearest_folder(path: Path) -> Path:
    """The folder itself, or the nearest above that is there."""
    path = path.absolute()
    return next(each for each in (path, *path.parents) if each.exists())


def check_writable(path: Path, what: str) -> None:
    """Refuse a folder in which nothing can be written; it need not exist, and is not made.

    Raises:
        StorageError: it cannot.
    """
    there = nearest_folder(path)
    reason = None if there.is_dir() else f"{there} is a file"
    if reason is None:
        try:
            with tempfile.TemporaryDirectory(prefix=".", suffix=UNFINISHED, dir=there):
                return
        except OSError as error:
            reason = error.strerror or str(error)
    raise StorageError(f"{what}: {path} cannot be written ({reason}); choose another folder")


def run_bytes(config: TrainConfig) -> int:
    """Bytes of checkpoints and models: what a run leaves, and what it holds while it writes.

    A checkpoint has the weights twice, the second time as a model folder, and two numbers of the
    optimizer for each weight. There is one more than are kept while it is written. Beside them
    stand the model at the start, the best one, and one for each stage; and the finished model.
    """
    names = [config.encoder.base, config.encoder.query_base]
    folders = [model_folder(name) for name in names if name is not None]
    weights = sum(weight_bytes(folder) for folder in folders if folder is not None)
    checkpoints = 4 * (config.checkpoints_kept + 1) * len(config.stages)
    return weights * (checkpoints + 1 + 2 * len(config.stages) + 1)


def vector_bytes(stage: StageConfig, rows: TrainingData) -> int:
    """Bytes of what the stage's teachers make of its texts."""
    texts = len(rows.pairs.queries) + len(rows.pairs.documents)
    total = 0
    for teacher in stage.teachers:
        match teacher:
            case DenseTeacher():
                width = teacher.dimensions or _width(teacher.model)
                total += texts * (2 * width + KEY_BYTES)
            case SparseTeacher():
                total += texts * (SPARSE_BYTES + KEY_BYTES)
            case CrossEncoderTeacher():
                total += len(rows.pairs) * (4 + KEY_BYTES)
    return total


def check_room(path: Path, needed: int, what: str) -> None:
    """Refuse a folder on a disk that has less room than is needed.

    Args:
        needed: bytes; what the folder holds already is counted as room.

    Raises:
        StorageError: there is too little.
    """
    free = shutil.disk_usage(nearest_folder(path)).free
    held = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    if needed > free + held:
        raise StorageError(
            f"{what}: {path} needs about {_size(needed)}, and {_size(free + held)} are free; free "
            "some space, choose another folder, or keep fewer checkpoints (checkpoints_kept)"
        )


def _width(model: str) -> int:
    folder = model_folder(model)
    try:
        config = json.loads(((folder or Path()) / "config.json").read_text("utf-8"))
        return int(config["hidden_size"])
    except (OSError, ValueError, KeyError, TypeError):
        return DENSE_WIDTH


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e8 else f"{n_bytes / 1e6:,.1f} MB"
