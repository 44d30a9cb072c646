"""The best model of a stage so far, kept on disk so that a resumed run knows it too."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lsr.files import write_atomically, writing

__all__ = ["BestModel"]


@dataclass(frozen=True)
class BestModel:
    """The weights with the highest score; of equal ones the first.

    Attributes:
        folder: of the stage.
    """

    folder: Path

    @property
    def score(self) -> float | None:
        """The highest score, or None before there is one."""
        found = self._read()
        return None if found is None else float(found["score"])

    def offer(self, model: nn.Module, step: int, score: float) -> bool:
        """Keep the model if its score is not negative and higher than all before."""
        before = self.score
        if score < 0 or (before is not None and score <= before):
            return False
        state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
        with writing(self.folder / "best.pt") as stream:
            torch.save({"step": step, "score": score, "state": state}, stream)
        note = json.dumps({"step": step, "score": score}) + "\n"
        write_atomically(self.folder / "best.json", note)
        return True

    def restore(self, model: nn.Module) -> int | None:
        """Give the model the best weights; returns their step, or None if there are none."""
        if self._read() is None:
            return None
        found = torch.load(self.folder / "best.pt", map_location="cpu", weights_only=True)
        model.load_state_dict(found["state"])
        return int(found["step"])

    def _read(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((self.folder / "best.json").read_text("utf-8"))
        except FileNotFoundError:
            return None
        return found
