"""The training data of a run, stage by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsr.progress import Progress, no_progress
from lsr.training.config.train import TrainConfig
from lsr.training.data.training_data import TrainingData, load_training_data

if TYPE_CHECKING:
    from lsr.training.data.tokens import AnyTokenizer

__all__ = ["RunData"]


class RunData:
    """Reads the rows of a stage when they are asked for, and keeps the last ones.

    Args:
        config: its first stage has data, or `first` stands for them.
        tokenizer: the model's, opened once for the run.
        first: the first stage's rows, made elsewhere; default: read as the config says.
    """

    def __init__(
        self,
        config: TrainConfig,
        tokenizer: AnyTokenizer,
        progress: Progress = no_progress,
        *,
        first: TrainingData | None = None,
    ) -> None:
        self._config = config
        self._tokenizer = tokenizer
        self._progress = progress
        self._first = first
        self._number = 1
        self._kept = first

    def of(self, number: int) -> TrainingData:
        """Rows of a stage, counted from 1: its own, or those of the nearest stage before.

        Raises:
            InputError, DataError: see `load_training_data`.
        """
        stages = self._config.stages
        source = next((n for n in range(number, 1, -1) if stages[n - 1].data is not None), 1)
        if self._kept is None or self._number != source:
            self._kept, self._number = self._loaded(source), source
        return self._kept

    def _loaded(self, number: int) -> TrainingData:
        if number == 1 and self._first is not None:
            return self._first
        stage, encoder = self._config.stages[number - 1], self._config.encoder
        assert stage.data is not None
        longest = encoder.max_document_tokens
        return load_training_data(
            stage.data,
            self._tokenizer,
            max_query_tokens=encoder.max_query_tokens,
            max_document_tokens=min(longest, stage.optim.max_document_tokens or longest),
            seed=self._config.seed,
            progress=self._progress,
        )
