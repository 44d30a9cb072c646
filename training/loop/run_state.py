"""State of a run, read from its folder: the point from which a resumed run continues."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sentence_transformers import SparseEncoder

from lsr.training.config.train import StageConfig
from lsr.training.data.training_data import TrainingData
from lsr.training.loop.run_folder import RunFolder, StageFolder
from lsr.training.losses.distributed import is_main_process, wait_for_all
from lsr.training.models.sparse_encoder import save_model

__all__ = ["RunState"]


@dataclass
class RunState:
    """The stages that are done, and what has been noted of them.

    Within a stage it is the trainer that resumes, from the stage's last checkpoint.

    Attributes:
        folder: of the run.
        stages: of the run's config.
        n_done: how many of them are done: the first ones.
        steps: optimizer steps of these.
        counts: rows by source of the last stage that was begun.
        notes: what people should know.
    """

    folder: RunFolder
    stages: Sequence[StageConfig]
    n_done: int = 0
    steps: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, folder: RunFolder, stages: Sequence[StageConfig]) -> RunState:
        """State in which the run of a folder stopped; nothing is done in a new one."""
        state = cls(folder, stages)
        for number in range(1, len(stages) + 1):
            done = state.stage_folder(number).outcome()
            if done is None:
                break
            state.n_done = number
            state.steps, state.counts, state.notes = done["steps"], done["counts"], done["notes"]
        return state

    @property
    def stages_left(self) -> range:
        """Numbers of the stages to be trained, counted from 1."""
        return range(self.n_done + 1, len(self.stages) + 1)

    @property
    def encoder(self) -> Path:
        """The model that the last stage done ended with."""
        return self.stage_folder(self.n_done).encoder

    def stage_folder(self, number: int) -> StageFolder:
        """The folder of a stage, counted from 1; 0 is that of the model the run starts from."""
        return self.folder.stage(number, self.stages[number - 1].name if number else "start")

    def begin_stage(self, training_data: TrainingData, notes: Sequence[str] = ()) -> list[str]:
        """Note what the next stage is trained on.

        Args:
            notes: on its rows.

        Returns:
            What was noted of it, and had not been before.
        """
        found = list(notes)
        if training_data.overlap:
            found.append(f"left out: {training_data.overlap.sentence()}")
        new = [note for note in found if note not in self.notes]
        self.notes += new
        self.counts = training_data.counts()
        return new

    def starting_encoder(self, make: Callable[[], tuple[SparseEncoder, str | None]]) -> Path:
        """The model that the next stage starts from.

        Args:
            make: the model that the run starts from, and a note on it or None. Called if no stage
                is done and the folder does not hold that model yet; it is saved there.
        """
        if self.n_done:
            return self.encoder
        start = self.stage_folder(0)
        done = start.outcome()
        if done is None:
            model, note = make()
            save_model(model, start.encoder)
            done = {"notes": [note] if note else []}
            start.finish(done)
        self.notes += done["notes"]
        return start.encoder

    def finish_stage(self, model: SparseEncoder, steps: int, notes: Sequence[str]) -> None:
        """Save what the stage made, and mark it as done.

        Args:
            steps: that it was trained.
            notes: what people should know of it.
        """
        self.n_done += 1
        self.steps += steps
        self.notes += notes
        if is_main_process():
            place = self.stage_folder(self.n_done)
            save_model(model, place.encoder)
            place.finish({"steps": self.steps, "counts": self.counts, "notes": self.notes})
        wait_for_all()
