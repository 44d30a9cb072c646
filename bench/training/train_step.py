"""A training step beside sentence-transformers' own: same network, same texts, same loss.

`python -m bench.training.train_step` trains all-MiniLM-L6-v2 as an inference-free encoder for a few
steps,
forward, backward and AdamW: by `SpladeLoss` over `SparseMultipleNegativesRankingLoss` as their
documentation has it, and by our `CandidateLoss` (InfoNCE and FLOPS). Steps alternate; the fastest
of each counts. Texts are of one collection's documents, queries their first words.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lsr.datasets.beir import BeirFolder
from lsr.training.config.train import (
    EncoderConfig,
    Ensemble,
    InfoNce,
    OptimConfig,
    Regularizer,
    ScoreConfig,
    Table,
)
from lsr.training.data.batches import BatchPlan
from lsr.training.data.pairs import Pairs, PairsBuilder
from lsr.training.loop.step_dataset import StepDataset, Student, Supervision
from lsr.training.losses.candidate_loss import CandidateLoss
from lsr.training.models.sparse_encoder import make_model


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("collection", type=Path, help="a BEIR folder, such as scifact")
    parser.add_argument("--queries", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    pairs = _pairs(given.collection, 4 * given.queries)
    lines = [_measured(pairs, given, half) for half in (False, True)]
    for line in lines:
        print(
            f"{line['precision']}: ours {line['ours_s']:.2f} s, sentence-transformers "
            f"{line['theirs_s']:.2f} s, {line['ratio']:.2f} of the time"
        )
    if given.json:
        given.json.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


def _pairs(folder: Path, n: int) -> Pairs:
    builder = PairsBuilder()
    for document, _ in zip(BeirFolder(folder).documents(), range(n), strict=False):
        text = document.full_text
        builder.add(" ".join(text.split()[:8]), builder.document(text))
    return builder.build()


def _model(tokens: int) -> Any:
    config = EncoderConfig(query=Table(weights="ones"), max_document_tokens=tokens)
    torch.manual_seed(0)
    return make_model(config, None)


def _measured(pairs: Pairs, given: argparse.Namespace, half: bool) -> dict[str, Any]:
    ours, theirs = _ours(pairs, given), _theirs(pairs, given)
    best = {"ours_s": float("inf"), "theirs_s": float("inf")}
    for step in range(given.steps):
        for name, work in (("ours_s", ours), ("theirs_s", theirs)):
            began = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = work(step)
            loss()
            best[name] = min(best[name], time.perf_counter() - began)
    ratio = best["ours_s"] / best["theirs_s"]
    return {"precision": "bf16" if half else "fp32", **best, "ratio": ratio}


def _stepping(model: Any, value: Callable[[int], Any]) -> Callable[[int], Callable[[], None]]:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 2e-5)

    def work(step: int) -> Callable[[], None]:
        loss = value(step)

        def finish() -> None:
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        return finish

    return work


def _ours(pairs: Pairs, given: argparse.Namespace) -> Callable[[int], Callable[[], None]]:
    model = _model(given.tokens).train()
    student = Student.of(model)
    optim = OptimConfig(steps=given.steps, queries=given.queries, candidates=1)
    steps = StepDataset(
        student,
        BatchPlan(pairs, queries=given.queries, candidates=1, seed=0, steps=given.steps),
        np.array([given.tokens] * len(pairs.documents), np.int32),
        Supervision((), (), Ensemble()),
        optim,
    )
    loss = CandidateLoss(
        (InfoNce(),),
        Regularizer(weight=3e-5),
        ScoreConfig(divide_by_query_mass=False, temperature=1.0),
        steps=given.steps,
        idf=np.ones(student.n_terms, np.float32),
        query_share=np.zeros(student.n_terms, np.float32),
    )
    return _stepping(model, lambda step: torch.stack(list(loss(model, steps[step]).values())).sum())


def _theirs(pairs: Pairs, given: argparse.Namespace) -> Callable[[int], Callable[[], None]]:
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder import losses
    from sentence_transformers.sparse_encoder.modules import (
        Router,
        SparseStaticEmbedding,
        SpladePooling,
        Transformer,
    )

    from lsr.training.models.checkpoint import base_folder

    network = Transformer(base_folder("all-MiniLM-L6-v2"), transformer_task="fill-mask")
    network.max_seq_length = given.tokens
    table = SparseStaticEmbedding(network.tokenizer, frozen=True)
    model = SparseEncoder(
        modules=[Router.for_query_document([table], [network, SpladePooling("max")])]
    ).train()
    loss = losses.SpladeLoss(
        model,
        losses.SparseMultipleNegativesRankingLoss(model),
        document_regularizer_weight=3e-5,
        use_document_regularizer_only=False,
    )
    plan = BatchPlan(pairs, queries=given.queries, candidates=1, seed=0, steps=given.steps)

    def value(step: int) -> Any:
        rows = plan[step].query_rows
        texts = [pairs.queries[row] for row in rows]
        answers = [pairs.documents[pairs.positives[row]] for row in rows]
        features = [
            dict(model.preprocess(texts, task="query")) | {"task": "query"},
            dict(model.preprocess(answers, task="document")) | {"task": "document"},
        ]
        return torch.stack(list(loss(features).values())).sum()

    return _stepping(model, value)


if __name__ == "__main__":
    main()
