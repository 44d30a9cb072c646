"""Our losses and regularisers for scripts of one's own, inside sentence-transformers' SpladeLoss.

    SpladeLoss(
        model,
        loss=EnsembleKlLoss(n_teachers=2),
        document_regularizer=DfFlopsLoss(n_terms=30522),
        document_regularizer_weight=1e-3,
    )

Each has `compute_loss_from_embeddings`, which is all that SpladeLoss asks of a part. Embeddings
are [B, V]: of queries first, then of the candidates by columns of the data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from lsr.errors import InputError
from lsr.training.losses import kl
from lsr.training.losses.ensemble import Normalization, combined, targets
from lsr.training.losses.temperature import Temperature
from lsr.training.regularizers import (
    DocumentFrequencies,
    df_activation,
    df_flops,
    free_terms,
    idf_flops,
    inverse_mass,
    lp,
)

__all__ = ["AntiZeroLoss", "DfFlopsLoss", "EnsembleKlLoss", "IdfFlopsLoss", "LpLoss"]


def _dense(embeddings: Tensor) -> Tensor:
    return embeddings.to_dense() if embeddings.is_sparse else embeddings


class IdfFlopsLoss(nn.Module):
    """IDF-aware FLOPS (Geng et al. 2024) of documents that hold their IDF, for binary queries.

    Where the query side holds the IDF, as an inference-free one does, FLOPS itself is IDF-aware:
    use sentence-transformers' FlopsLoss there.

    Attributes:
        idf: float32 [V].
    """

    idf: Tensor

    def __init__(self, idf: Sequence[float] | Tensor, threshold: float | None = None) -> None:
        """
        Args:
            idf: of each term of the vocabulary, 0 or more.
            threshold: documents with no more active terms are not pushed; None pushes all.

        Raises:
            InputError: idf is not one finite number of 0 or more for each term.
        """
        super().__init__()
        table = torch.as_tensor(idf, dtype=torch.float32).detach().clone()
        if table.ndim != 1 or not bool((table.isfinite() & (table >= 0)).all()):
            raise InputError("the IDF table must be one finite number of 0 or more for each term.")
        self.register_buffer("idf", table)
        self.threshold = threshold

    def compute_loss_from_embeddings(self, embeddings: Tensor) -> Tensor:
        """The penalty of documents [D, V], a scalar.

        Raises:
            InputError: the vocabulary is not of the table's size.
        """
        weights = _dense(embeddings)
        if weights.shape[1] != len(self.idf):
            raise InputError(
                f"the IDF table has {len(self.idf)} terms and documents have {weights.shape[1]}: "
                "make the table with the model's tokenizer."
            )
        if self.threshold is not None:
            weights = free_terms(weights, None, self.threshold)
        return idf_flops(weights, self.idf)


class DfFlopsLoss(nn.Module):
    """DF-FLOPS (Porco et al. 2025), with document frequencies of the batches it is given."""

    def __init__(
        self,
        n_terms: int,
        alpha: float = 0.1,
        beta: float = 10.0,
        decay: float = 0.99,
        threshold: float | None = None,
    ) -> None:
        """
        Args:
            n_terms: size of the vocabulary.
            alpha, beta: see `lsr.training.regularizers.df_activation`.
            decay: see `lsr.training.regularizers.DocumentFrequencies`.
            threshold: documents with no more active terms are not pushed; None pushes all.

        Raises:
            InputError: a number is out of its range.
        """
        super().__init__()
        df_activation(torch.zeros(1), alpha, beta)
        self.frequencies = DocumentFrequencies(n_terms, decay)
        self.alpha, self.beta, self.threshold = alpha, beta, threshold

    def compute_loss_from_embeddings(self, embeddings: Tensor) -> Tensor:
        """The penalty of documents [D, V], a scalar; in training mode they are counted first."""
        weights = _dense(embeddings)
        if self.training and torch.is_grad_enabled():
            self.frequencies.update(weights)
        if self.threshold is not None:
            weights = free_terms(weights, None, self.threshold)
        return df_flops(weights, self.frequencies.share(), None, self.alpha, self.beta)


class LpLoss(nn.Module):
    """Mean over documents of sum_t |w|^p; L1 by default."""

    def __init__(self, p: float = 1.0) -> None:
        """
        Args:
            p: at least 1.

        Raises:
            InputError: p is below 1.
        """
        super().__init__()
        lp(torch.zeros(1, 1), None, p)
        self.p = p

    def compute_loss_from_embeddings(self, embeddings: Tensor) -> Tensor:
        """The penalty of texts [B, V], a scalar."""
        return lp(_dense(embeddings), None, self.p)


class AntiZeroLoss(nn.Module):
    """Penalty that keeps all weights from going to 0 together."""

    def compute_loss_from_embeddings(self, embeddings: Tensor) -> Tensor:
        """The penalty of texts [B, V], a scalar."""
        return inverse_mass(_dense(embeddings))


class EnsembleKlLoss(nn.Module):
    """Distillation from several teachers at once (Geng et al. 2024).

    Labels are the teachers' raw scores of each row's candidates, [B, teachers, candidates], or
    the same flat, teacher after teacher; NaN where a teacher does not know the pair. They may be
    of any scale: each teacher's are normalised here.

    Attributes:
        temperature: of the student's scores; `auto` takes it from the first batch.
    """

    def __init__(
        self,
        n_teachers: int = 1,
        weights: Sequence[float] | None = None,
        normalization: Normalization = "min_max",
        scale: float = 12.0,
        label_share: float = 0.0,
        temperature: float | Literal["auto", "learned"] = "auto",
    ) -> None:
        """
        Args:
            n_teachers: how many scores each candidate has.
            weights: of the teachers; None for equal ones.
            normalization: see `lsr.training.losses.ensemble.normalized`.
            scale: what the mean is multiplied with before the softmax.
            label_share: how much of the target is the first candidate alone, as the positive.
            temperature: a number, or a mode of `lsr.training.losses.temperature.Temperature`.

        Raises:
            InputError: a number is out of its range.
        """
        super().__init__()
        self.weights = [1.0] * n_teachers if weights is None else list(weights)
        self.normalization, self.scale, self.label_share = normalization, scale, label_share
        self.temperature = (
            Temperature(temperature)
            if isinstance(temperature, str)
            else Temperature("fixed", temperature)
        )
        self._targets(torch.zeros(1, n_teachers, 2))

    def _targets(self, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, known = combined(list(labels.unbind(dim=1)), self.weights, self.normalization)
        positives = torch.zeros(len(mean), dtype=torch.int64, device=mean.device)
        return mean, known, targets(mean, known, self.scale, self.label_share, positives)

    def compute_loss_from_embeddings(
        self, embeddings: list[Tensor], labels: Tensor | None = None
    ) -> Tensor:
        """KL of the student's distribution over each row's candidates, a scalar.

        Args:
            embeddings: of queries, then of each column of candidates, each [B, V].
            labels: see the class.

        Raises:
            InputError: there are fewer than two candidates, or labels are not of that shape.
        """
        query, *candidates = (_dense(each) for each in embeddings)
        if len(candidates) < 2:
            raise InputError(
                f"a row has {len(candidates)} candidates: distillation needs two columns beside "
                "the query's at least."
            )
        shape = (len(query), len(self.weights), len(candidates))
        if labels is None or labels.numel() != shape[0] * shape[1] * shape[2]:
            given = None if labels is None else tuple(labels.shape)
            raise InputError(f"labels have shape {given}: give the teachers' scores as {shape}.")
        mean, known, probabilities = self._targets(labels.detach().reshape(shape))
        scores = torch.stack([(query * each).sum(dim=1) for each in candidates], dim=1)
        scores = self.temperature(scores, self.scale * mean, known)
        return kl(scores, probabilities, known)
