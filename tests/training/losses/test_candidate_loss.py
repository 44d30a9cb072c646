"""The loss of a batch does not depend on how it is computed: parts, columns, processes."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.learned.lexical_terms import LexicalTerms
from lsr.training.config.train import (
    EncoderConfig,
    Ensemble,
    InfoNce,
    Kl,
    MarginMse,
    OptimConfig,
    Regularizer,
    ScoreConfig,
    Table,
)
from lsr.training.data.batches import BatchPlan
from lsr.training.data.pairs import PairsBuilder
from lsr.training.data.training_data import lexical_rows
from lsr.training.loop.step_dataset import StepDataset, Student, Supervision
from lsr.training.losses.candidate_loss import CandidateLoss
from lsr.training.models.sparse_encoder import make_model
from lsr.training.regularizers.top_k import top_k
from tests.support.tiny_models import WORDS, tiny_base

TEXTS = [" ".join(WORDS[first : first + 5 + first % 7]) for first in range(20, 100, 4)]
Outcome = tuple[dict[str, float], dict[str, Tensor | None]]
LOSSES = (Kl(), InfoNce(weight=0.5), MarginMse(weight=0.1))


class Halves:
    """A teacher that knows something of every pair."""

    name, identity = "halves", "0"

    def scores(self, query_rows: Any, document_rows: Any) -> Any:
        return np.cos(query_rows[:, None] * 3.0 + document_rows).astype(np.float32)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("models") / "base")


def made(
    base: Path, regularizer: Regularizer | None = None, **optim: Any
) -> tuple[Any, CandidateLoss, StepDataset]:
    config = EncoderConfig(base=str(base), query=Table(learned=True), max_document_tokens=32)
    torch.manual_seed(0)
    idf = np.linspace(1, 3, 183, dtype=np.float32)
    model = make_model(config, idf).eval()
    builder = PairsBuilder()
    for n, text in enumerate(TEXTS):
        builder.add(" ".join(text.split()[: 1 + n % 3]), builder.document(text))
    pairs = builder.build()
    settings = OptimConfig(**{"steps": 3, "queries": 6, "sampled_columns": 40} | optim)
    student = Student.of(model)
    assert student.by_columns
    steps = StepDataset(
        student,
        BatchPlan(pairs, queries=6, candidates=2, seed=0, steps=3),
        np.array([len(text.split()) + 2 for text in pairs.documents], np.int32),
        Supervision([Halves()], [1.0], Ensemble(scale=3.0)),  # type: ignore[list-item]
        settings,
    )
    loss = CandidateLoss(
        LOSSES,
        regularizer or Regularizer(weight=0.3, warmup=0.0),
        ScoreConfig(temperature="learned"),
        steps=3,
        idf=idf,
        query_share=np.full(student.n_terms, 0.1, np.float32),
        recompute=settings.recompute,
    )
    return model, loss, steps


def value_and_gradients(
    base: Path, regularizer: Regularizer | None = None, **optim: Any
) -> Outcome:
    model, loss, steps = made(base, regularizer, **optim)
    parts = loss(model, steps[2])
    torch.stack(list(parts.values())).sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    gradients |= {name: parameter.grad for name, parameter in loss.named_parameters()}
    assert gradients["temperature.log_value"] is not None
    return {name: part.item() for name, part in parts.items()}, gradients


def assert_same(one: Outcome, other: Outcome) -> None:
    assert one[0] == pytest.approx(other[0], rel=1e-5, abs=1e-6)
    for name, gradient in one[1].items():
        again = other[1][name]
        if gradient is None or again is None:
            assert gradient is again
        else:
            assert torch.allclose(gradient, again, rtol=1e-3, atol=1e-6), name


@pytest.mark.parametrize(
    "optim",
    [{"micro_batch": 1}, {"micro_batch": 5, "recompute": True}, {"max_tokens": 40}],
)
def test_parts_of_a_batch_change_nothing(base: Path, optim: dict[str, Any]) -> None:
    assert_same(value_and_gradients(base, micro_batch=64), value_and_gradients(base, **optim))


def test_only_the_heaviest_terms_enter_the_scores(base: Path) -> None:
    """Top-k as a regulariser (EPIC): other terms change nothing, and get no gradient."""
    few = Regularizer(weight=0.3, warmup=0.0, top_k=4)
    model, loss, steps = made(base, few, full_head=True)
    outcome = loss(model, steps[2])
    assert loss.observed["terms"] == 4

    def pruned(_: Any, given: Any, made: dict[str, Any]) -> dict[str, Any]:
        weights = made["sentence_embedding"]
        is_query = len(weights) == len(steps[2]["known"])
        return made if is_query else {**made, "sentence_embedding": top_k(weights, 4)}

    model.register_forward_hook(pruned)
    _, plain, steps = made(base, Regularizer(weight=0.3, warmup=0.0), full_head=True)
    again = plain(model, steps[2])
    assert {name: part.item() for name, part in outcome.items()} == pytest.approx(
        {name: part.item() for name, part in again.items()}, rel=1e-5
    )


def test_the_penalty_of_queries_is_flops_or_l1(base: Path) -> None:
    for kind in ("flops", "l1"):
        settings = Regularizer.model_validate(
            {"weight": 0.3, "warmup": 0.0, "query_weight": 0.2, "query_kind": kind}
        )
        model, loss, steps = made(base, settings)
        parts = loss(model, steps[2])
        queries = model(dict(steps[2]["query"]))["sentence_embedding"]
        means = {"flops": queries.mean(0).square().sum(), "l1": queries.sum(1).mean()}
        assert parts[f"query_{kind}"].item() == pytest.approx(0.2 * means[kind].item())


CANDIDATES = Regularizer(weight=0.3, warmup=0.0, flops_over="candidates")


def test_flops_by_candidates_is_the_reference_of_the_batch(base: Path) -> None:
    """Value and gradient, against documents in the order of their queries, position by position."""
    model, loss, steps = made(base, CANDIDATES, full_head=True)
    middle = int((loss._documents(model, steps[2]) != 0).sum(1).median())
    masked = CANDIDATES.model_copy(update={"free_terms": middle})
    for settings in (CANDIDATES, masked, CANDIDATES.model_copy(update={"kind": "idf_flops"})):
        model, loss, steps = made(base, settings, full_head=True)
        batch = steps[2]
        loss.losses = ()
        found = loss(model, batch)["flops"]
        documents = loss._documents(model, batch)[batch["candidates"].flatten()]
        if settings.free_terms is not None:
            free = (documents != 0).sum(1) <= settings.free_terms
            assert 0 < int(free.sum()) < len(free)
            documents = documents * ~free[:, None]
        if settings.kind == "idf_flops":
            documents = documents / loss.idf
        expected = 0.3 * documents.reshape(6, 2, -1).mean(0).square().sum()
        assert found.item() == pytest.approx(expected.item(), rel=1e-6)
        parameters = [each for each in model.parameters() if each.requires_grad]
        got = torch.autograd.grad(found, parameters, allow_unused=True)
        for one, other in zip(
            got, torch.autograd.grad(expected, parameters, allow_unused=True), strict=True
        ):
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_flops_by_candidates_does_not_hang_on_parts_or_columns(base: Path) -> None:
    whole = value_and_gradients(base, CANDIDATES, full_head=True)
    parts = {"micro_batch": 5, "recompute": True, "sampled_columns": 10_000}
    assert_same(whole, value_and_gradients(base, CANDIDATES, **parts))
    plain = value_and_gradients(base, full_head=True)[0]
    assert 2 * plain["flops"] < whole[0]["flops"] < 4 * plain["flops"]
    assert whole[0]["kl"] == pytest.approx(plain["kl"], rel=1e-6)


def test_all_columns_sampled_are_the_whole_vocabulary(base: Path) -> None:
    by_columns = value_and_gradients(base, sampled_columns=10_000)
    assert_same(by_columns, value_and_gradients(base, full_head=True))


def test_a_sample_of_columns_changes_the_ranking_losses_not_at_all(base: Path) -> None:
    few = value_and_gradients(base, sampled_columns=10)[0]
    all_of_them = value_and_gradients(base, full_head=True)[0]
    for name in ("kl", "infonce", "margin_mse"):
        assert few[name] == pytest.approx(all_of_them[name], rel=1e-5)
    assert few["flops"] != all_of_them["flops"]


def test_without_teachers_a_query_without_a_label_says_nothing(base: Path) -> None:
    _, _, steps = made(base)
    positives = steps.plan.pairs.positives
    positives[:] = np.where(np.arange(len(positives)) % 2, -1, positives)
    labels_alone = dataclasses.replace(steps.supervision, teachers=(), weights=())
    batch = dataclasses.replace(steps, supervision=labels_alone)[0]
    labelled = batch["positives"] >= 0
    assert 0 < labelled.sum() < len(labelled)
    assert not batch["known"][~labelled].any()
    assert not batch["target"][~labelled].any()
    assert torch.equal(batch["target"].argmax(1)[labelled], batch["positives"][labelled])
    assert batch["target"].sum(1)[labelled].tolist() == [1.0] * int(labelled.sum())


def test_labels_need_no_teacher(base: Path) -> None:
    """InfoNCE is over all candidates, also where the teachers know none of them."""

    class Silent(Halves):
        def scores(self, query_rows: Any, document_rows: Any) -> Any:
            return np.full((len(query_rows), len(document_rows)), np.nan, np.float32)

    model, loss, steps = made(base, full_head=True)
    loss.losses = (InfoNce(),)
    silent = dataclasses.replace(steps.supervision, teachers=(Silent(),))  # type: ignore[arg-type]
    quiet = dataclasses.replace(steps, supervision=silent)[0]
    assert not quiet["known"].any()
    loss.temperature.fitted.fill_(True)
    assert loss(model, quiet)["infonce"].item() == loss(model, steps[0])["infonce"].item() > 0


@pytest.mark.parametrize("kind", ["infonce", "margin_mse"])
def test_a_loss_over_own_candidates_is_as_written_out(base: Path, kind: str) -> None:
    """Value and gradient, query by query over the texts that each of them brought."""
    model, loss, steps = made(base, full_head=True)
    loss.losses = (InfoNce(candidates="own") if kind == "infonce" else MarginMse(candidates="own"),)
    batch, plan = steps[2], steps.plan[2]
    assert 2 * len(plan.query_rows) > len(plan.document_rows), "some documents are of two queries"
    scores: list[Tensor] = []
    loss.temperature.register_forward_hook(lambda _, __, given: scores.append(given))
    value = loss(model, batch)[kind]
    (gradient,) = torch.autograd.grad(value, scores[0], retain_graph=True)

    given = scores[0].detach().requires_grad_()
    each = []
    for place, positive in enumerate(plan.positives.tolist()):
        others = [d for d in np.flatnonzero(plan.own[place]).tolist() if d != positive]
        assert len(others) == 1
        if kind == "infonce":
            both = torch.stack([given[place, positive], given[place, others[0]]])
            each.append(both.logsumexp(0) - given[place, positive])
        else:
            target = batch["teacher"][place, positive] - batch["teacher"][place, others[0]]
            each.append((given[place, positive] - given[place, others[0]] - target) ** 2)
    naive = loss.losses[0].weight * torch.stack(each).mean()
    assert value.item() == pytest.approx(naive.item(), rel=1e-5)
    assert torch.allclose(gradient, torch.autograd.grad(naive, given)[0], atol=1e-7)
    assert (gradient[~torch.from_numpy(plan.own)] == 0).all()


def test_its_figures_are_of_the_batch(base: Path) -> None:
    model, loss, steps = made(base, full_head=True)
    batch = steps[0]
    loss(model, batch)
    documents = loss._documents(model, batch).detach()
    assert loss.observed["terms"] == pytest.approx(float((documents > 0).sum(1).float().mean()))
    assert loss.observed["flops"] == pytest.approx(
        float((documents > 0).sum()) / len(documents) / 10
    )


def test_lexical_terms_are_scored_as_in_search(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, loss, steps = made(base, full_head=True)
    pairs = steps.plan.pairs
    terms = LexicalTerms(weight=2.0)
    steps = dataclasses.replace(steps, lexical=lexical_rows(pairs, terms))
    batch = steps[1]
    bm25 = Bm25Encoder(k1=terms.k1, b=terms.b, analysis=1)
    documents = to_scipy(bm25.encode_corpus([pairs.documents]))
    asked = to_scipy(bm25.encode_queries(pairs.queries)._replace(n_terms=documents.shape[1]))
    rows = steps.plan[1]
    expected = 2.0 * (asked[rows.query_rows] @ documents[rows.document_rows].T).toarray()
    assert expected.any()
    assert np.allclose(batch["lexical"], expected, rtol=1e-5)

    seen: list[Tensor] = []
    monkeypatch.setattr(loss.temperature, "fit", lambda ranked, *_: seen.append(ranked))
    loss(model, steps[1])
    loss(model, dataclasses.replace(steps, lexical=None)[1])
    mass = model(dict(steps[1]["query"]))["sentence_embedding"].sum(1, keepdim=True)
    assert torch.allclose(seen[0], seen[1] + batch["lexical"] / mass, atol=1e-5)


PROGRAM = """
import json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from accelerate import PartialState
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
state = PartialState(cpu=True)
from tests.training.losses.test_candidate_loss import CANDIDATES, made
assert state.num_processes == 2
for way in sys.argv[2:]:
    model, loss, steps = made(Path(sys.argv[1]), CANDIDATES if way == "candidates" else None)
    if way == "sharded":
        layers = [part for part in model.modules() if type(part).__name__ == "BertLayer"]
        assert len(layers) == 2
        for part in [*layers, model]:
            fully_shard(part)
        assert all(isinstance(parameter, DTensor) for parameter in model.parameters())
        wrapped = model
    else:
        wrapped = DistributedDataParallel(model)
    parts = loss(wrapped, steps[2])
    torch.stack(list(parts.values())).sum().backward()
    names = ("LayerNorm.weight", "decoder.bias", "query.0.weight")
    grads = {n: p.grad for n, p in model.named_parameters() if n.endswith(names)}
    whole = {n: g.full_tensor() if isinstance(g, DTensor) else g for n, g in grads.items()}
    sums = {n: float(g.abs().sum()) for n, g in whole.items()}
    if state.is_main_process:
        print(json.dumps([{name: part.item() for name, part in parts.items()}, sums]))
state.destroy_process_group()
"""


WAYS = ("replicated", "sharded", "candidates")


def run(base: Path, processes: int) -> list[list[dict[str, float]]]:
    """Values and sums of gradients, by way."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(base), *WAYS],
            env={**os.environ, **common, "PYTHONPATH": ".", "RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in map(str, range(processes))
    ]
    outputs = [process.communicate(timeout=200) for process in started]
    assert [process.returncode for process in started] == [0] * processes, outputs
    return [json.loads(line) for line in outputs[0][0].splitlines()[-len(WAYS) :]]


def test_two_processes_are_one(base: Path) -> None:
    """Loss, lambda's meaning and gradients: each process encodes half of the documents.

    Sharded is by FSDP2, whose layers and whole hold half of each parameter.
    """
    for way, two in zip(WAYS, run(base, 2), strict=True):
        values, gradients = value_and_gradients(base, CANDIDATES if way == "candidates" else None)
        assert two[0] == pytest.approx(values, rel=1e-6, abs=1e-6), way
        assert len(two[1]) > 3
        for name, total in two[1].items():
            gradient = gradients[name]
            assert gradient is not None
            assert total == pytest.approx(float(gradient.abs().sum()), rel=1e-4), (way, name)
