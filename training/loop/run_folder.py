"""The folder of a run: what it was asked for, what it did, and the model.

RUN/config.yaml          the whole config, defaults included
RUN/metrics.jsonl        a line every few steps, and for each evaluation
RUN/cache/               what teachers made of the texts; may be deleted, and is made again
RUN/1-NAME/              a stage: checkpoint-N/, done.json, and its encoder/
RUN/model/               the finished model, with its model card
RUN/plots/               learning curves
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.errors import InputError, StorageError
from lsr.files import UNFINISHED, write_atomically
from lsr.training.checks.requirements import cache_of
from lsr.training.config.train import TrainConfig
from lsr.training.config.yaml_file import config_of, written_config

__all__ = ["RunFolder", "StageFolder", "has_run"]


CONFIG = "config.yaml"


def has_run(path: Path, config: TrainConfig) -> bool:
    """Whether a folder holds a run of this config; an empty one, or none, does not.

    Raises:
        InputError: it holds a run of another config (names what differs), or something else.
    """
    file = path / CONFIG
    if not file.exists():
        if path.is_dir() and any(not each.name.endswith(UNFINISHED) for each in path.iterdir()):
            raise InputError(f"{path} holds something other than a run; choose another output")
        return False
    text, before = written_config(config), file.read_text(encoding="utf-8")
    if _as_today(before, str(file)) != text:
        raise InputError(
            f"{path} holds a run of another config ({_difference(before, text)}); choose "
            "another output, or delete that folder"
        )
    return True


@dataclass(frozen=True)
class StageFolder:
    """One stage of a run."""

    path: Path

    @property
    def encoder(self) -> Path:
        """The model that the stage ended with."""
        return self.path / "encoder"

    def outcome(self) -> dict[str, Any] | None:
        """Outcome that `finish` wrote, or None while the stage is not done."""
        try:
            found: dict[str, Any] = json.loads((self.path / "done.json").read_text("utf-8"))
        except FileNotFoundError:
            return None
        return found

    def finish(self, outcome: dict[str, Any]) -> None:
        """Mark the stage as done; its encoder has been saved."""
        write_atomically(self.path / "done.json", json.dumps(outcome, indent=1) + "\n")


class RunFolder:
    """The folder of one run.

    Args:
        path: a new folder, or one that a run of the same config has left.

    Raises:
        InputError: it holds a run of another config (names what differs), or something else.
        StorageError: it cannot be written.
    """

    def __init__(self, path: Path, config: TrainConfig) -> None:
        self.path = path
        self._cache = cache_of(config)
        try:
            path.mkdir(parents=True, exist_ok=True)
            if not has_run(path, config):
                write_atomically(path / CONFIG, written_config(config))
        except OSError as error:
            raise StorageError(f"{path} cannot be written ({error.strerror or error})") from error

    def stage(self, number: int, name: str) -> StageFolder:
        """The folder of a stage, made if there is none; numbers start at 1."""
        folder = self.path / f"{number}-{name}"
        folder.mkdir(exist_ok=True)
        return StageFolder(folder)

    @property
    def metrics(self) -> Path:
        """Figures, a JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def cache(self) -> Path:
        """For teachers' vectors and scores."""
        return self._cache

    @property
    def model(self) -> Path:
        """The finished model."""
        return self.path / "model"


def _as_today(text: str, where: str) -> str:
    """A config that an earlier version wrote, as this one writes it; or the text as it is."""
    import yaml

    try:
        return written_config(config_of(yaml.safe_load(text), (), where))
    except (yaml.YAMLError, InputError, AttributeError):
        return text


def _difference(before: str, now: str) -> str:
    for old, new in zip(before.splitlines(), now.splitlines(), strict=False):
        if old != new:
            return f"{old.strip()!r} there, {new.strip()!r} here"
    return "one has more stages or keys"
