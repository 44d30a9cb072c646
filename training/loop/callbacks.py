"""Reports of a run while it trains: figures for people, metrics.jsonl for programs, and guards."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from lsr.errors import ModelError
from lsr.files import write_atomically
from lsr.training.config.train import GuardConfig
from lsr.training.loop.guards import reason_to_stop
from lsr.training.loop.metrics_log import read_metrics
from lsr.training.losses.candidate_loss import CandidateLoss
from lsr.training.losses.distributed import is_main_process

__all__ = ["Report", "TrainingCallback", "no_report"]

Report = Callable[[str, int, int, Mapping[str, float]], None]
"""Called with (stage, steps done, steps in all, figures by name)."""

SPEED = "steps_per_second"
SMOOTHING = 0.9
EVERY = 10
"""Steps between lines of metrics.jsonl; the first and the last have one too."""


def no_report(stage: str, done: int, total: int, figures: Mapping[str, float]) -> None:
    """A `Report` that says nothing."""


class TrainingCallback(TrainerCallback, ExportableState):
    """Follows one stage.

    Smoothed figures, and how long a better score has been waited for, are part of a checkpoint, so
    that a resumed run logs what it would have logged.

    Args:
        loss: whose figures are followed.
        metrics: the file that lines are added to.
        stage: its name.
        guard: when to stop.
        patience: evaluations without a better score before it stops; None: never.

    Attributes:
        reason: why training stopped by itself, or None.
        failed: whether that was a failure rather than enough.
    """

    def __init__(
        self,
        loss: CandidateLoss,
        metrics: Path,
        *,
        stage: str,
        guard: GuardConfig,
        patience: int | None = None,
        report: Report = no_report,
    ) -> None:
        self.reason: str | None = None
        self.failed = False
        self._stage = stage
        self._loss = loss
        self._guard = guard
        self._patience = patience
        self._metrics = metrics
        self._report = report
        self._figures: dict[str, float] = {}
        self._waited = 0
        self._best = -math.inf
        self._began = time.perf_counter()
        self._first = 0

    def raise_reason(self, folder: Path) -> None:
        """Raise ModelError with the reason, and where checkpoints are."""
        raise ModelError(f"training stopped: {self.reason}; checkpoints are in {folder}")

    def state(self) -> dict[str, Any]:
        """State that a checkpoint holds, in the trainer's `trainer_state.json`."""
        figures = {name: value for name, value in self._figures.items() if name != SPEED}
        waiting = {"waited": self._waited, "best": None if math.isinf(self._best) else self._best}
        return {"args": {}, "attributes": {"figures": figures, **waiting}}

    def _resume(self, kept: Mapping[str, Any]) -> None:
        self._figures = dict(kept["figures"])
        self._waited = kept["waited"]
        self._best = -math.inf if kept["best"] is None else kept["best"]

    def on_train_begin(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **given: object,  # noqa: ARG002
    ) -> None:
        """Start the clock, go on from the checkpoint, forget lines of steps done again."""
        self._began = time.perf_counter()
        self._first = state.global_step
        checkpointed = cast(dict[str, Any], state.stateful_callbacks)  # by the name of their class
        kept = checkpointed.get(type(self).__name__)  # none in those of version 0.1
        if self._first and kept is not None:
            self._resume(kept["attributes"])
        checkpointed[type(self).__name__] = self.state()
        if is_main_process() and self._metrics.exists():
            kept = [
                line
                for line in read_metrics(self._metrics)
                if line["stage"] != self._stage or int(line["step"]) <= self._first
            ]
            write_atomically(self._metrics, "".join(json.dumps(line) + "\n" for line in kept))

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **given: object,  # noqa: ARG002
    ) -> None:
        """Refuse to apply a step that is not finite.

        Raises:
            ModelError: the loss is not a number; the last checkpoint is whole.
        """
        last = self._loss.last
        reason = reason_to_stop(self._guard, state.global_step + 1, last, {"terms": math.nan})
        if reason is not None:
            raise ModelError(reason)

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,
        **given: object,  # noqa: ARG002
    ) -> None:
        """Note figures, write them, and stop if something is wrong."""
        now = {"loss": self._loss.last, **self._loss.observed}
        for name, value in now.items():
            before = self._figures.get(name, value)
            self._figures[name] = SMOOTHING * before + (1 - SMOOTHING) * value
        step = state.global_step
        seconds = time.perf_counter() - self._began
        self._figures[SPEED] = (step - self._first) / max(seconds, 1e-9)
        self._report(self._stage, step, state.max_steps, self._figures)
        if step % EVERY == 0 or step in (1, state.max_steps):
            self._write({"step": step, **self._figures})
        reason = reason_to_stop(self._guard, step, now["loss"], self._figures)
        if reason is None and step > self._loss.warmup_steps:
            reason = self._loss.out_of_reach()
        if reason is not None:
            self.reason, self.failed = reason, True
            control.should_training_stop = True

    def on_evaluate(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **given: object,  # noqa: ARG002
    ) -> None:
        """Write the figures, and stop when they have not improved for long enough."""
        metrics = metrics or {}
        self._write({"step": state.global_step, **metrics})
        named = {name.removeprefix("eval_"): value for name, value in metrics.items()}
        self._figures |= {name: named[name] for name in ("score",) if name in named}
        score = metrics.get("eval_score", -math.inf)
        self._waited = 0 if score > self._best else self._waited + 1
        self._best = max(self._best, score)
        if self._patience is not None and self._waited >= self._patience:
            self.reason = (
                f"no better score in {self._waited} evaluations, at step {state.global_step:,}"
            )
            control.should_training_stop = True

    def _write(self, line: Mapping[str, float]) -> None:
        rounded = {
            name: float(f"{value:.6g}") if isinstance(value, float) else value
            for name, value in {"stage": self._stage, **line}.items()
        }
        if not is_main_process():
            return
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rounded) + "\n")
