"""The loss of a batch: what the losses and regularisers of the config say of one set of weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lsr.training.config.train import (
    InfoNce,
    Kl,
    Loss,
    MarginMse,
    OwnLoss,
    Regularizer,
    ScoreConfig,
    TermRecall,
)
from lsr.training.losses.distributed import gather_rows
from lsr.training.losses.infonce import infonce
from lsr.training.losses.kl import kl
from lsr.training.losses.margin_mse import margin_mse
from lsr.training.losses.own_loss import open_loss
from lsr.training.losses.temperature import Temperature, spread
from lsr.training.losses.term_recall import term_recall
from lsr.training.regularizers.anti_zero import anti_zero
from lsr.training.regularizers.controller import SparsityController
from lsr.training.regularizers.df_flops import DocumentFrequencies, df_flops
from lsr.training.regularizers.flops import active_terms, flops, free_terms, retrieval_flops
from lsr.training.regularizers.idf_flops import idf_flops
from lsr.training.regularizers.lp import lp
from lsr.training.regularizers.schedule import quadratic_warmup
from lsr.training.regularizers.top_k import top_k

__all__ = ["CandidateLoss"]


class CandidateLoss(nn.Module):
    """Scores of every query with every document of the batch, and what they cost.

    Args:
        losses, regularizer, scores: see the config.
        steps: of the stage, for the warm-up of lambda.
        idf: of the vocabulary, float32 [V]; for regularisers and statistics.
        query_share: how many queries of the run have each term, float32 [V]: what retrieval FLOPS
            are counted with.
        recompute: see `OptimConfig`.

    Raises:
        InputError: a loss of one's own cannot be made.

    Attributes:
        observed: figures of the last step, by name: `terms` active, retrieval `flops`, `lambda`
            where there is a regulariser, and `spread`: how many times wider scores are than the
            teachers'.
        last: the loss of the last step.
    """

    idf: Tensor
    query_share: Tensor

    def __init__(
        self,
        losses: Sequence[Loss],
        regularizer: Regularizer,
        scores: ScoreConfig,
        *,
        steps: int,
        idf: NDArray[np.float32],
        query_share: NDArray[np.float32],
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.losses = tuple(losses)
        self.own = nn.ModuleDict(
            {str(n): open_loss(each) for n, each in enumerate(losses) if isinstance(each, OwnLoss)}
        )
        self.regularizer = regularizer
        self.divide = scores.divide_by_query_mass
        self.recompute = recompute
        self.warmup_steps = max(1, round(regularizer.warmup * steps))
        given = scores.temperature
        self.temperature = (
            Temperature(given) if isinstance(given, str) else Temperature("fixed", given)
        )
        wanted = regularizer.target_flops or regularizer.target_terms
        self.controller = (
            SparsityController(regularizer.weight, wanted, warmup_steps=self.warmup_steps)
            if wanted
            else None
        )
        self.register_buffer("idf", torch.from_numpy(np.array(idf, np.float32)), persistent=False)
        self.register_buffer(
            "query_share", torch.from_numpy(np.array(query_share, np.float32)), persistent=False
        )
        self.frequencies = DocumentFrequencies(len(idf)) if regularizer.kind == "df_flops" else None
        self.observed: dict[str, float] = {}
        self.last = 0.0

    def out_of_reach(self) -> str | None:
        """Why the wanted sparsity cannot be had, or None."""
        return None if self.controller is None else self.controller.reason()

    def missed_target(self) -> str | None:
        """By how much the wanted sparsity was missed, or None."""
        return None if self.controller is None else self.controller.missed()

    def forward(self, model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
        """The parts of the loss, already weighted, by name.

        Args:
            model: the `SparseEncoder`, perhaps wrapped for several processes.
            batch: an item of `StepDataset`.
        """
        queries = model(batch["query"])["sentence_embedding"]
        documents = self._documents(model, batch)
        if self.regularizer.top_k is not None:
            documents = top_k(documents, self.regularizer.top_k)
        columns, n_query = batch["columns"], batch["n_query_columns"]
        mass = queries.sum(1, keepdim=True)
        if columns is not None:
            ranked = queries[:, columns[:n_query]] @ documents[:, :n_query].T
        else:
            ranked = queries @ documents.T
        ranked = ranked.float()
        if "lexical" in batch:
            ranked = ranked + batch["lexical"]
        if self.divide:
            ranked = ranked / mass.clamp(min=1e-6)
        known = batch["known"]
        self.temperature.fit(ranked.detach(), batch["teacher"], known)
        scores = self.temperature(ranked)
        parts = self._ranking(scores, documents, batch)
        parts |= self._sparsity(documents, queries, batch)
        with torch.no_grad():
            self.last = float(torch.stack(list(parts.values())).sum())
            wide = spread(batch["teacher"], known)
            self.observed["spread"] = spread(scores, known) / wide if wide > 0 else 1.0
        return parts

    def _documents(self, model: nn.Module, batch: dict[str, Any]) -> Tensor:
        """Weights of all documents of the batch, float32 [D, C]."""
        encoded = []
        for features in batch["documents"]:
            given = dict(features)
            if batch["columns"] is not None:
                given["columns"] = batch["columns"]
            if self.recompute and torch.is_grad_enabled():
                encoded.append(checkpoint(_encode, model, given, use_reentrant=False))
            else:
                encoded.append(_encode(model, given))
        mine = torch.cat(encoded)[batch["order"]]
        return gather_rows(mine.float(), batch["known"].shape[1])

    def _ranking(
        self, scores: Tensor, documents: Tensor, batch: dict[str, Any]
    ) -> dict[str, Tensor]:
        known, positives = batch["known"], batch["positives"]
        parts: dict[str, Tensor] = {}
        for number, loss in enumerate(self.losses):
            match loss:
                case Kl():
                    value = kl(scores, batch["target"], known)
                case InfoNce():
                    allowed = batch["allowed"]  # labels need no teacher
                    counted = allowed & batch["own"] if loss.candidates == "own" else allowed
                    value = infonce(scores, positives, counted)
                case MarginMse():
                    counted = known & batch["own"] if loss.candidates == "own" else known
                    value = margin_mse(scores, batch["teacher"], positives, counted)
                case TermRecall():
                    value = term_recall(documents, batch["recall"], batch["present"])
                case _:
                    columns = torch.arange(scores.shape[1], device=scores.device)
                    labels = columns == positives[:, None]
                    value = self.own[str(number)](scores, batch["teacher"], labels, known)
            part = loss.weight * value
            parts[loss.kind] = parts[loss.kind] + part if loss.kind in parts else part
        return parts

    def _sparsity(
        self, documents: Tensor, queries: Tensor, batch: dict[str, Any]
    ) -> dict[str, Tensor]:
        settings = self.regularizer
        columns, sample = batch["columns"], batch["column_weights"]
        with torch.no_grad():
            terms = float(active_terms(documents, sample).mean())
            shares = self.query_share if columns is None else self.query_share[columns]
            used = (documents > 0).float().mean(0) * sample
            costs = float(retrieval_flops(shares, used))
        weight = settings.weight
        if self.controller is not None:
            weight = float(self.controller.weight)
            if self.training:
                self.controller.update(costs if settings.target_flops else terms)
        weight *= quadratic_warmup(batch["step"], self.warmup_steps)
        self.observed = {"terms": terms, "flops": costs}
        if settings.kind != "none":
            self.observed["lambda"] = weight
        pushed = documents
        if settings.free_terms is not None:
            pushed = free_terms(documents, sample, settings.free_terms)
        positions = batch["candidates"] if settings.flops_over == "candidates" else None
        parts: dict[str, Tensor] = {}
        match settings.kind:
            case "flops":
                parts["flops"] = weight * flops(pushed, sample, positions=positions)
            case "idf_flops":
                idf = self.idf if columns is None else self.idf[columns]
                parts["flops"] = weight * idf_flops(pushed, idf, sample, positions=positions)
            case "df_flops":
                assert self.frequencies is not None
                if self.training:
                    self.frequencies.update(documents.detach(), columns)
                share = self.frequencies.share(columns)
                alpha, beta = settings.df_share, settings.df_steepness
                parts["flops"] = weight * df_flops(pushed, share, sample, alpha, beta)
            case "l1":
                parts["l1"] = weight * lp(pushed, sample, 1.0)
            case "none":
                pass
        if settings.query_weight > 0:
            rising = settings.query_weight * quadratic_warmup(batch["step"], self.warmup_steps)
            ones = torch.ones_like(queries[0]).float()
            penalty = lp if settings.query_kind == "l1" else flops
            parts[f"query_{settings.query_kind}"] = rising * penalty(queries.float(), ones)
        if settings.anti_zero > 0:
            parts["anti_zero"] = settings.anti_zero * anti_zero(queries, documents, sample)
        return parts


def _encode(model: nn.Module, features: dict[str, Any]) -> Tensor:
    # modules write into the dict they are given; a second call must find it as it was
    encoded: Tensor = model(dict(features))["sentence_embedding"]
    return encoded
