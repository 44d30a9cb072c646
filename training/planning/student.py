"""Times of the model that is trained: a few real steps on a few real texts, and what they say."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SparseEncoder

from lsr.training.config.train import OptimConfig, StageConfig, TrainConfig, WarmStart
from lsr.training.data.batches import BatchPlan
from lsr.training.data.training_data import TrainingData, queries_by_document
from lsr.training.loop.evaluator import EvaluationSet, evaluate_model
from lsr.training.loop.initial_model import networks_to_start, reads_first_token, unstarted_model
from lsr.training.loop.stage import documents_cut, freeze, stage_loss
from lsr.training.loop.step_dataset import StepDataset, Student, Supervision
from lsr.training.losses.candidate_loss import CandidateLoss
from lsr.training.models.precision import resolved_precision
from lsr.training.models.sparse_encoder import save_model
from lsr.training.models.warm_start import warm_start
from lsr.training.planning.clock import Clock, Marks, seconds_of
from lsr.training.planning.stand_ins import RandomVectors
from lsr.types import Query

__all__ = ["MeasuredStudent", "StepCost"]

T = TypeVar("T")

STEPS = 3
"""Steps that are timed; of a CPU's the first is not counted."""

SAMPLED_QUERIES = 32


def sample_size() -> int:
    """Documents in a timed batch: what a GPU is busy with, or a CPU done with soon."""
    return 256 if torch.cuda.is_available() else 16


@dataclass(frozen=True)
class StepCost:
    """Cost of a training step.

    Attributes:
        seconds: of a whole step.
        documents: in it, on average.
        tokens: of these, on average.
    """

    seconds: float
    documents: float
    tokens: float


class MeasuredStudent:
    """The model that a run would start from, timed at what the run would do with it.

    Args:
        config: of the run.
        rows: of the first stage.
        clock: that times are taken by.

    Attributes:
        opening_s: of opening it once.
        warm_start_s: of the whole warm start, 0 where there is none.

    Raises:
        InputError: the base cannot be loaded, or contradicts the config.
    """

    def __init__(self, config: TrainConfig, rows: TrainingData, clock: Clock) -> None:
        self._config, self._clock = config, clock
        began = clock()
        torch.manual_seed(config.seed)
        self.model: SparseEncoder = unstarted_model(config, rows)
        networks = networks_to_start(self.model, config)
        self.opening_s = clock() - began
        wanted = config.warm_start
        settings = wanted if isinstance(wanted, WarmStart) else WarmStart()
        self.warm_start_batches = len(networks) * (settings.steps + settings.masked_lm_steps)
        self.warm_start_s = 0.0
        for network in networks:
            few = min(STEPS, settings.steps)
            masked = min(STEPS, settings.masked_lm_steps)
            short = settings.model_copy(update={"steps": few, "masked_lm_steps": masked})
            marks = Marks(clock)
            decoder = network.model.get_output_embeddings()
            first = reads_first_token(self.model, network)
            documents = rows.pairs.documents
            warm_start(network, decoder, documents, short, first_token=first, progress=marks)
            calibration = (clock() - marks.last) * (2 if masked else 1)
            copying, predicting = marks.step("copying head"), marks.step("masked language model")
            self.warm_start_s += (
                settings.steps * copying + settings.masked_lm_steps * predicting + calibration
            )

    @property
    def n_terms(self) -> int:
        """Width of its vectors."""
        return Student.of(self.model).n_terms

    def step(self, stage: StageConfig, rows: TrainingData) -> StepCost:
        """Cost of a step of a stage: a few small ones, in proportion to the tokens of whole ones.

        Args:
            rows: of the stage.
        """
        optim, pairs, seed = stage.optim, rows.pairs, self._config.seed
        queries = min(optim.queries, len(pairs))
        few = max(1, min(queries, sample_size() // optim.candidates))
        micro = max(1, round(optim.micro_batch * few / queries))
        small = optim.model_copy(update={"steps": STEPS, "queries": few, "micro_batch": micro})
        student = Student.of(self.model)
        recall = any(loss.kind == "term_recall" for loss in stage.losses)
        plans = [
            BatchPlan(pairs, queries=n, candidates=optim.candidates, seed=seed, steps=STEPS)
            for n in (few, queries)
        ]
        scores = RandomVectors(len(pairs.queries), len(pairs.documents))
        steps = StepDataset(
            student,
            plans[0],
            rows.lengths,
            Supervision([scores], [1.0], stage.ensemble),
            small,
            labelled_queries=queries_by_document(pairs) if recall else None,
        )
        loss = stage_loss(stage, rows, student.n_terms).to(self.model.device)
        with self._as_in(stage):
            done = self._timed_steps(steps, loss, optim)
        sizes = [_sizes(plan, rows.lengths) for plan in plans]
        whole = sizes[1].mean(0)
        rates = [seconds / tokens for seconds, tokens in zip(done[0], sizes[0][:, 1], strict=True)]
        return StepCost(min(rates) * float(whole[1]) + done[1], float(whole[0]), float(whole[1]))

    def evaluation_s(self, judged: EvaluationSet, stage: StageConfig | None = None) -> float:
        """Seconds of measuring it on a set once; in a stage documents may be cut."""
        if not judged.documents or not judged.queries:
            return 0.0
        longest_first = sorted(judged.documents, key=lambda each: -len(each.full_text))
        documents = _spread(longest_first, sample_size())
        queries: list[Query] = _spread(judged.queries, SAMPLED_QUERIES)
        some = EvaluationSet(judged.name, documents, queries, judged.qrels, cut=True)
        cut = None if stage is None else stage.optim.max_document_tokens
        with documents_cut(self.model, cut):
            took = min(
                seconds_of(lambda: evaluate_model(self.model, some), self._clock) for _ in range(2)
            )
        # each of the few is encoded twice: for the ranking, and to count its terms
        a_document = took / (2 * len(documents))
        scores = np.random.default_rng(0).random(len(judged.documents))
        ranking = seconds_of(lambda: np.lexsort((np.arange(len(scores)), -scores)), self._clock)
        counted = min(64, len(judged.documents))
        return a_document * (len(judged.documents) + counted) + ranking * len(judged.queries)

    def saving_s(self, place: Path) -> tuple[float, float]:
        """Seconds of writing a checkpoint, and of writing a model folder.

        Args:
            place: a folder on the disk that is written to; nothing stays in it.
        """
        with tempfile.TemporaryDirectory(prefix=".", suffix=".unfinished", dir=place) as folder:
            state = Path(folder) / "state.pt"
            weights = seconds_of(lambda: torch.save(self.model.state_dict(), state), self._clock)
            model = seconds_of(lambda: save_model(self.model, Path(folder) / "model"), self._clock)
        return model + 3 * weights, model  # weights, and two numbers of the optimizer for each

    @contextmanager
    def _as_in(self, stage: StageConfig) -> Iterator[None]:
        """Frozen, cut and training as in a stage; as before afterwards."""
        before = [(each, each.requires_grad) for each in self.model.parameters()]
        freeze(self.model, stage)
        self.model.train()
        try:
            with documents_cut(self.model, stage.optim.max_document_tokens):
                yield
        finally:
            self.model.eval()
            for parameter, trained in before:
                parameter.requires_grad_(trained)
                parameter.grad = None

    def _timed_steps(
        self, steps: StepDataset, loss: CandidateLoss, optim: OptimConfig
    ) -> tuple[list[float], float]:
        """Seconds of forward and backward pass by step, and of the optimizer in one."""
        trained = [each for each in self.model.parameters() if each.requires_grad]
        optimizer = torch.optim.AdamW(trained, 0.0, fused=True)
        passes, updates = [], []
        for number in range(len(steps)):
            began = self._clock()
            with _precision(optim):
                batch = _on(steps[number], self.model.device)
                total = torch.stack(list(loss(self.model, batch).values())).sum()
            total.backward()
            passed = self._clock()
            torch.nn.utils.clip_grad_norm_(trained, optim.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            updates.append(self._clock() - passed)
            passes.append(passed - began)
        return passes, min(updates)


def _precision(optim: OptimConfig) -> torch.autocast:
    wanted = resolved_precision("auto") if optim.precision == "auto" else optim.precision
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(wanted)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.autocast(device, kind or torch.bfloat16, enabled=kind is not None)


def _on(value: object, device: torch.device) -> object:
    """Tensors within a batch, brought to the device."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {name: _on(each, device) for name, each in value.items()}
    return [_on(each, device) for each in value] if isinstance(value, list) else value


def _sizes(plan: BatchPlan, lengths: NDArray[np.int32]) -> NDArray[np.float64]:
    """Documents and their tokens in each batch of a plan, shape (n_steps, 2)."""
    rows = [plan[step].document_rows for step in range(len(plan))]
    return np.array([[len(each), float(lengths[each].sum())] for each in rows])


def _spread(items: Sequence[T], n: int) -> list[T]:
    """At most `n` of them, evenly spread."""
    places = np.linspace(0, len(items) - 1, min(n, len(items))).astype(int)
    return [items[place] for place in places]
