"""The trainer: Hugging Face's loop over our batches and loss, with a resume that changes nothing.

From sentence-transformers' `SparseEncoderTrainer` come several processes, mixed precision,
compilation, reporters, pushing to the hub and checkpoints as their users know them. Ours are the
batches (`StepDataset`), the loss (`CandidateLoss`), what else a checkpoint holds (the state of the
loss), learning rates by part, and how a model is saved.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.sparse_encoder import (
    SparseEncoderTrainer,
    SparseEncoderTrainingArguments,
)
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PrinterCallback, TrainerCallback
from transformers.trainer_utils import TrainOutput

from lsr.errors import StorageError
from lsr.training.config.train import OptimConfig, TrainConfig
from lsr.training.loop.best_model import BestModel
from lsr.training.loop.step_dataset import StepDataset
from lsr.training.losses.candidate_loss import CandidateLoss
from lsr.training.models.adapters import merged_adapters
from lsr.training.models.precision import resolved_precision
from lsr.training.models.sparse_encoder import save_model

__all__ = ["LsrTrainer", "last_checkpoint", "training_arguments"]

MODEL_STATE = "model.pt"
LOSS_STATE = "loss.pt"
COMPLETE = "complete"


def training_arguments(
    config: TrainConfig, optim: OptimConfig, folder: Path, *, evaluating: bool
) -> SparseEncoderTrainingArguments:
    """The arguments of one stage, whose checkpoints go into `folder`."""
    automatic = optim.precision == "auto"
    precision = resolved_precision("auto") if automatic else optim.precision
    schedules = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
    return SparseEncoderTrainingArguments(
        output_dir=str(folder),
        use_cpu=not torch.cuda.is_available(),
        max_steps=optim.steps,
        learning_rate=optim.lr,
        lr_scheduler_type=schedules[optim.schedule],
        warmup_steps=round(optim.warmup * optim.steps),
        weight_decay=optim.weight_decay,
        max_grad_norm=optim.max_grad_norm,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        torch_compile=optim.compile,
        seed=config.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=config.checkpoint_every,
        save_total_limit=config.checkpoints_kept,
        eval_strategy="steps" if evaluating else "no",
        eval_steps=config.evaluation.every if evaluating else None,
        ignore_data_skip=True,
        disable_tqdm=True,
        report_to=list(config.report_to) or "none",
        router_mapping={"query": "query", "document": "document"},
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
    )


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint in a stage's folder, or None."""
    whole = [path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE}")]
    return max(whole, key=lambda path: int(path.name.rsplit("-", 1)[-1]), default=None)


class LsrTrainer(SparseEncoderTrainer):
    """Trains a model by a `CandidateLoss` over `StepDataset`.

    Args:
        steps: makes the batches from a step on; a run that resumes begins in the middle.
        loss: has its state saved with every checkpoint.
        optim: learning rates by part.
        evaluate_model: figures by name, with `score` among them; None for no evaluation.
        best: where the model with the highest score is kept.
    """

    def __init__(
        self,
        model: SparseEncoder,
        arguments: SparseEncoderTrainingArguments,
        steps: Callable[[int], StepDataset],
        loss: CandidateLoss,
        optim: OptimConfig,
        *,
        callbacks: list[TrainerCallback],
        evaluate_model: Callable[[], dict[str, float]] | None = None,
        best: BestModel,
    ) -> None:
        self.best = best
        self._candidate_loss = loss
        self._steps = steps
        self._optim = optim
        self._evaluate_model = evaluate_model
        self._resumed_at = 0
        self._evaluated_at = -1
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=steps(0),
            eval_dataset={} if evaluate_model else None,
            loss=loss,
            callbacks=callbacks,
        )
        self.remove_callback(PrinterCallback)  # the run says it in its own way

    def preprocess_dataset(self, dataset: Any = None, dataset_name: str | None = None) -> Any:  # noqa: ARG002
        """Batches are ready as they are."""
        return dataset

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """None: the run writes its own model card."""

    def get_train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Whole batches, from the step that the run stands at.

        Every process gets all of them, and encodes its share of the documents.
        """
        loader = DataLoader(
            self._steps(self._resumed_at),
            batch_size=None,
            generator=torch.Generator(),  # the common one is dropout's, and a resume sets it before
        )
        self._train_dataloader = loader
        return loader

    def train(
        self,
        resume_from_checkpoint: str | bool | None = None,
        trial: Any = None,
        ignore_keys_for_eval: list[str] | None = None,
    ) -> TrainOutput:
        """Train from the beginning, or from a checkpoint as if nothing had happened."""
        if isinstance(resume_from_checkpoint, str):
            self._resumed_at = int(Path(resume_from_checkpoint).name.rsplit("-", 1)[-1])
        return super().train(resume_from_checkpoint, trial, ignore_keys_for_eval)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,  # noqa: ARG002
    ) -> Tensor | tuple[Tensor, dict[str, Any]]:
        """The sum of the loss's parts, which are logged by name."""
        parts = self._candidate_loss(model, inputs)
        self.track_loss_components(parts)
        total = torch.stack(list(parts.values())).sum()
        return (total, {}) if return_outputs else total

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds active terms, retrieval FLOPS and lambda to a step's figures, for reporters."""
        if "loss" in logs:
            names = {"flops": "retrieval_flops"}
            seen = self._candidate_loss.observed.items()
            logs = logs | {names.get(name, name): value for name, value in seen}
        super().log(logs, start_time)

    def evaluate(self, *args: object, **kwargs: object) -> dict[str, float]:  # noqa: ARG002
        """Figures of the evaluation sets, as `eval_` metrics."""
        assert self._evaluate_model is not None
        self._evaluated_at = self.state.global_step
        metrics = {f"eval_{name}": value for name, value in self._evaluate_model().items()}
        if self.args.should_save:
            self.best.offer(self.model, self.state.global_step, metrics["eval_score"])
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def evaluate_last(self) -> None:
        """Evaluate the model as training left it, if that was not done."""
        if self._evaluated_at != self.state.global_step:
            self.evaluate()

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW; parts have their own rates, vectors and the query table no decay."""
        if self.optimizer is not None:
            return self.optimizer
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        trained = model if model is not None else self.model
        named = [*trained.named_parameters(), *self._candidate_loss.named_parameters()]
        for name, parameter in named:
            if parameter.requires_grad:
                rate = self._rate(name)
                decay = self._optim.weight_decay if parameter.ndim > 1 else 0.0
                groups.setdefault((rate, decay), []).append(parameter)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": parameters, "lr": rate, "weight_decay": decay}
                for (rate, decay), parameters in groups.items()
            ],
            lr=self._optim.lr,
            fused=True,
        )
        return self.optimizer

    def _rate(self, name: str) -> float:
        rates = self._optim
        if name.endswith("query.0.weight") or name.startswith("temperature"):
            return rates.table_lr
        inside = ".model." in name or name.startswith("model.")
        head = not inside or any(part in name for part in (".cls.", "lm_head", ".vocab_", ".head."))
        return rates.head_lr if head and rates.head_lr is not None else rates.lr

    # What a checkpoint holds

    @property
    def _folder(self) -> Path:
        """Of the stage: checkpoints lie in it."""
        assert self.args.output_dir is not None
        return Path(self.args.output_dir)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ARG002
        folder = Path(output_dir) if output_dir else self._folder
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.model.state_dict(), folder / MODEL_STATE)
        with merged_adapters(self.model):
            save_model(self.model, folder / "encoder")

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            torch.save(self._candidate_loss.state_dict(), Path(output_dir) / LOSS_STATE)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """The mark comes last: a checkpoint without it is not used, and the one before it stays."""
        folder = self._folder / f"checkpoint-{self.state.global_step}"
        if (folder / COMPLETE).exists():
            return
        try:
            super()._save_checkpoint(model, trial)
            if self.args.should_save:
                (folder / COMPLETE).touch()
        except (OSError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "write" not in str(error):
                raise
            shutil.rmtree(folder, ignore_errors=True)
            raise StorageError(
                f"the checkpoint {folder} cannot be written ({str(error).splitlines()[0]}); the "
                "one before it is whole: free some space, and run again to resume"
            ) from error

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: nn.Module | None = None
    ) -> None:
        folder = Path(resume_from_checkpoint)
        state = torch.load(folder / MODEL_STATE, map_location="cpu", weights_only=True)
        (model or self.model).load_state_dict(state)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            path = Path(checkpoint) / LOSS_STATE
            state = torch.load(path, map_location="cpu", weights_only=True)
            self._candidate_loss.load_state_dict(state)
