"""One stage of a run: teachers prepared, candidates mined, and the trainer let go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Transformer
from torch import nn
from transformers import PreTrainedModel

from lsr.errors import InputError
from lsr.training.config.train import StageConfig
from lsr.training.data.batches import BatchPlan
from lsr.training.data.training_data import (
    TrainingData,
    lexical_rows,
    queries_by_document,
    term_share,
)
from lsr.training.loop.best_model import BestModel
from lsr.training.loop.callbacks import TrainingCallback
from lsr.training.loop.evaluator import evaluate_model
from lsr.training.loop.stage_context import StageContext
from lsr.training.loop.stage_teachers import mined_candidates, prepared_teachers
from lsr.training.loop.step_dataset import StepDataset, Student, Supervision
from lsr.training.loop.trainer import LsrTrainer, last_checkpoint, training_arguments
from lsr.training.losses.candidate_loss import CandidateLoss
from lsr.training.losses.distributed import main_process_first, refuse_sharding
from lsr.training.models.adapters import add_adapters, merge_adapters
from lsr.training.models.networks import checkpoint_gradients
from lsr.training.models.sparse_encoder import query_table
from lsr.training.teachers.dense import DenseScorer
from lsr.training.teachers.mining import neighbour_groups
from lsr.training.teachers.protocol import Teacher

__all__ = ["documents_cut", "freeze", "run_stage", "stage_loss"]


def run_stage(model: SparseEncoder, context: StageContext) -> tuple[int, list[str]]:
    """Train a model in place, from the stage's last checkpoint if there is one.

    Returns:
        The steps done, and notes: why it ended before its last step, or missed its target.

    Raises:
        InputError, UnavailableError: the model cannot be trained as the stage's `optim` says.
        ModelError: it went wrong; the last whole checkpoint is kept.
    """
    config, stage, folder = context.config, context.stage, context.checkpoints
    refuse_sharding()
    _prepare(model, stage, config.seed)
    student = Student.of(model)
    steps = _step_dataset(student, context)
    loss = stage_loss(stage, context.training_data, student.n_terms)
    callback = TrainingCallback(
        loss,
        context.run_folder.metrics,
        stage=stage.name,
        guard=config.guard,
        patience=config.evaluation.patience,
        report=context.report,
    )
    evaluates = bool(context.evaluation_sets)
    trainer = LsrTrainer(
        model,
        training_arguments(config, stage.optim, folder, evaluating=evaluates),
        lambda first: replace(steps, first=first),
        loss,
        stage.optim,
        callbacks=[callback],
        evaluate_model=partial(_figures, model, context) if evaluates else None,
        best=BestModel(folder),
    )
    checkpoint = last_checkpoint(folder)
    with documents_cut(model, stage.optim.max_document_tokens):
        trainer.train(None if checkpoint is None else str(checkpoint))
        if callback.failed:
            callback.raise_reason(folder)
        if evaluates:
            trainer.evaluate_last()
            trainer.best.restore(model)
    merge_adapters(model)
    said = {"ended early": callback.reason, "missed its target": loss.missed_target()}
    notes = [f"stage {stage.name} {what}: {why}" for what, why in said.items() if why]
    return trainer.state.global_step, notes


@contextmanager
def documents_cut(model: nn.Module, max_tokens: int | None) -> Iterator[None]:
    """Let networks read no more tokens of a document than these."""
    networks = [module for module in model.modules() if isinstance(module, Transformer)]
    before = [network.document_length for network in networks]
    try:
        for network in networks:
            if max_tokens is not None:
                own = network.document_length or network.max_seq_length or max_tokens
                network.document_length = min(own, max_tokens)
        yield
    finally:
        for network, length in zip(networks, before, strict=True):
            network.document_length = length


def _step_dataset(student: Student, context: StageContext) -> StepDataset:
    """The stage's batches: teachers prepared, candidates mined, rows planned."""
    stage, training_data = context.stage, context.training_data
    with main_process_first():
        teachers = prepared_teachers(context, student.n_terms)
        candidates_of = None
        if stage.data is not None and stage.data.mining is not None:
            candidates_of = mined_candidates(teachers, student.model, context)
    pairs, optim, seed = training_data.pairs, stage.optim, context.config.seed
    plan = BatchPlan(
        pairs,
        queries=optim.queries,
        candidates=optim.candidates,
        seed=seed,
        steps=optim.steps,
        weights=training_data.weights,
        candidates_of=candidates_of,
        groups=_groups(stage, teachers, seed),
    )
    wants_recall = any(loss.kind == "term_recall" for loss in stage.losses)
    if wants_recall and query_table(student.model) is None:
        raise InputError("the loss term_recall needs a table on the query side")
    terms = stage.scores.lexical_terms
    return StepDataset(
        student,
        plan,
        training_data.lengths,
        Supervision(teachers, [each.weight for each in stage.teachers], stage.ensemble),
        optim,
        labelled_queries=queries_by_document(pairs) if wants_recall else None,
        lexical=None if terms is None else lexical_rows(pairs, terms),
    )


def stage_loss(stage: StageConfig, training_data: TrainingData, n_terms: int) -> CandidateLoss:
    """The loss of a stage over its rows.

    Args:
        n_terms: the width of the model's vectors.
    """
    return CandidateLoss(
        stage.losses,
        stage.regularizer,
        stage.scores,
        steps=stage.optim.steps,
        idf=_padded(training_data.idf(), n_terms),
        query_share=_padded(term_share(training_data.query_tokens, n_terms), n_terms),
        recompute=stage.optim.recompute,
    )


def _groups(stage: StageConfig, teachers: Sequence[Teacher], seed: int) -> NDArray[np.int32] | None:
    """Queries that are alike, by the dense teacher's vectors of them."""
    if stage.data is None or stage.data.group_size is None:
        return None
    vectors = [each.query_vectors for each in teachers if isinstance(each, DenseScorer)]
    if not vectors:
        raise InputError("data.group_size needs a dense teacher, which says what is alike; add one")
    return neighbour_groups(vectors[0], stage.data.group_size, seed=seed)


def _padded(table: NDArray[np.float32], n_terms: int) -> NDArray[np.float32]:
    """The vocabulary may be wider than the tokenizer's."""
    return np.pad(table, (0, n_terms - len(table)))


def freeze(model: nn.Module, stage: StageConfig) -> None:
    """Freeze what the stage does not train, and set its dropout."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = stage.optim.dropout
        network = getattr(module, "base_model", None)
        if not isinstance(network, PreTrainedModel):
            continue
        if stage.optim.freeze_backbone:
            network.requires_grad_(False)
        if stage.optim.freeze_embeddings:
            network.get_input_embeddings().requires_grad_(False)


def _prepare(model: nn.Module, stage: StageConfig, seed: int) -> None:
    """Freeze what the stage does not train, and put its adapters in.

    Raises:
        InputError: the network has no such adapters, or no gradient checkpointing.
        UnavailableError: peft is not installed.
    """
    freeze(model, stage)
    if stage.optim.gradient_checkpointing:
        checkpoint_gradients(model)
    if stage.optim.lora is not None:
        add_adapters(model, stage.optim.lora, seed=seed)


def _figures(model: SparseEncoder, context: StageContext) -> dict[str, float]:
    """Figures by name; `score` is the mean nDCG@10, or −1 where FLOPS are above the cap."""
    found: dict[str, float] = {}
    figures = [evaluate_model(model, each) for each in context.evaluation_sets]
    for each in figures:
        for name, value in each.metrics.items():
            found[f"{each.name} {name}"] = value
        found |= {f"{each.name} terms": each.terms, f"{each.name} flops": each.flops}
    score = float(np.mean([each.metrics["nDCG@10"] for each in figures]))
    cap = context.config.evaluation.max_flops
    costs = float(np.mean([each.flops for each in figures]))
    return found | {"score": -1.0 if cap is not None and costs > cap else score}
