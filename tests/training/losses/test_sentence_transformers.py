"""Our losses inside sentence-transformers' SpladeLoss, on a tiny model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lsr.errors import InputError
from lsr.training.losses.sentence_transformers import (
    AntiZeroLoss,
    DfFlopsLoss,
    EnsembleKlLoss,
    IdfFlopsLoss,
    LpLoss,
)
from tests.support.tiny_models import tiny_base

QUERIES = ["cat heart", "moon orbit"]
POSITIVES = ["the heart of a cat is small", "the moon is in orbit"]
NEGATIVES = ["a king eats bread", "a fish in the sea"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import MLMTransformer, SpladePooling

    folder: Path = tiny_base(tmp_path_factory.mktemp("base"))
    return SparseEncoder(modules=[MLMTransformer(str(folder)), SpladePooling()], device="cpu")


def features(model: Any) -> list[dict[str, Tensor]]:
    return [model.preprocess(texts) for texts in (QUERIES, POSITIVES, NEGATIVES)]


def regularizers(n_terms: int) -> list[nn.Module]:
    return [
        IdfFlopsLoss(torch.rand(n_terms) + 0.1),
        DfFlopsLoss(n_terms),
        LpLoss(),
        AntiZeroLoss(),
    ]


@pytest.mark.parametrize("which", range(4), ids=["idf_flops", "df_flops", "l1", "anti_zero"])
def test_they_train_inside_splade_loss(model: Any, which: int) -> None:
    from sentence_transformers.sparse_encoder.losses import SpladeLoss

    regularizer = regularizers(len(model.tokenizer))[which]
    loss = SpladeLoss(
        model,
        loss=EnsembleKlLoss(n_teachers=2, temperature="learned"),
        document_regularizer=regularizer,
        document_regularizer_weight=1e-2,
        query_regularizer=LpLoss(2.0),
        query_regularizer_weight=1e-2,
    )
    model.train()
    labels = torch.tensor([[[9.0, 1.0], [0.8, 0.1]], [[7.0, 2.0], [0.9, math.nan]]])
    parts = loss(features(model), labels)
    assert set(parts) == {"base_loss", "document_regularizer_loss", "query_regularizer_loss"}
    model.zero_grad()
    torch.stack(list(parts.values())).sum().backward()
    gradients = [p.grad for p in loss.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)
    model.zero_grad()
    loss(features(model), labels)["document_regularizer_loss"].backward()
    assert sum(float(p.grad.abs().sum()) for p in model.parameters() if p.grad is not None) > 0


def test_an_optimizer_step_lowers_the_distillation_loss(model: Any) -> None:
    from sentence_transformers.sparse_encoder.losses import SpladeLoss

    loss = SpladeLoss(
        model,
        loss=EnsembleKlLoss(scale=4.0),
        document_regularizer=LpLoss(),
        document_regularizer_weight=0.0,
        query_regularizer_weight=0.0,
    )
    model.train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # so that both values are of the same thing
    labels = torch.tensor([[0.2, 0.9], [0.1, 0.7]])
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    values = []
    for _ in range(2):
        value = loss(features(model), labels)["base_loss"]
        values.append(float(value.detach()))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert values[1] < values[0]


# Numbers by hand

DOCUMENTS = torch.tensor([[1.0, 0.0, 2.0], [3.0, 0.0, 0.0]])


def test_regularizers_by_hand() -> None:
    idf = IdfFlopsLoss([0.5, 3.0, 2.0])
    assert float(idf.compute_loss_from_embeddings(DOCUMENTS)) == pytest.approx(16.25)
    masked = IdfFlopsLoss([0.5, 3.0, 2.0], threshold=1)
    assert float(masked.compute_loss_from_embeddings(DOCUMENTS)) == pytest.approx(1.25)
    assert float(LpLoss().compute_loss_from_embeddings(DOCUMENTS)) == pytest.approx(3.0)
    assert float(AntiZeroLoss().compute_loss_from_embeddings(DOCUMENTS)) == pytest.approx(1 / 9)
    sparse = DOCUMENTS.to_sparse()
    assert float(LpLoss().compute_loss_from_embeddings(sparse)) == pytest.approx(3.0)


def test_df_flops_counts_while_training_only() -> None:
    loss = DfFlopsLoss(3, alpha=0.5, beta=1.0)
    # shares 1, 0 and a half: activations 1, 0 and a half
    assert float(loss.compute_loss_from_embeddings(DOCUMENTS)) == pytest.approx(4 + 0.25)
    loss.eval()
    before = loss.frequencies.with_term.clone()
    loss.compute_loss_from_embeddings(DOCUMENTS)
    assert torch.equal(loss.frequencies.with_term, before)


def test_ensemble_kl_by_hand() -> None:
    loss = EnsembleKlLoss(2, [3.0, 1.0], scale=2.0, label_share=0.1, temperature=2.0)
    query = torch.tensor([[1.0, 2.0]])
    candidates = [torch.tensor([[2.0, 1.0]]), torch.tensor([[0.0, 1.0]])]  # scores 4 and 2
    labels = torch.tensor([[[5.0, 1.0], [0.0, 1.0]]])  # means 3/4 and 1/4
    # target: 0.9 softmax(1.5, 0.5) + 0.1 of the first; student: softmax(2, 1)
    likely = math.e / (1 + math.e)
    p = 0.9 * likely + 0.1
    expected = p * math.log(p / likely) + (1 - p) * math.log((1 - p) / (1 - likely))
    found = loss.compute_loss_from_embeddings([query, *candidates], labels)
    assert float(found) == pytest.approx(expected, abs=1e-6)
    flat = loss.compute_loss_from_embeddings([query, *candidates], labels.flatten(1))
    assert float(flat) == pytest.approx(expected, abs=1e-6)


# Refusals


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="one finite number"):
        IdfFlopsLoss([1.0, -1.0])
    with pytest.raises(InputError, match="has 2 terms and documents have 3"):
        IdfFlopsLoss([1.0, 1.0]).compute_loss_from_embeddings(DOCUMENTS)
    with pytest.raises(InputError, match="alpha"):
        DfFlopsLoss(3, alpha=2.0)
    with pytest.raises(InputError, match="p of the Lp"):
        LpLoss(0.0)
    with pytest.raises(InputError, match="one weight"):
        EnsembleKlLoss(2, [1.0])
    loss = EnsembleKlLoss()
    with pytest.raises(InputError, match="two columns"):
        loss.compute_loss_from_embeddings([DOCUMENTS, DOCUMENTS], torch.zeros(2, 1))
    for labels in (None, torch.zeros(2, 3)):
        with pytest.raises(InputError, match=r"teachers' scores as \(2, 1, 2\)"):
            loss.compute_loss_from_embeddings([DOCUMENTS] * 3, labels)
