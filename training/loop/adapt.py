"""Label-free adaptation: a model fitted to a collection by teachers, with queries made of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lsr.datasets.open import open_corpus
from lsr.encoders.learned.recommended import SearchDefaults
from lsr.errors import InputError
from lsr.progress import Progress, no_progress
from lsr.training.checks.model_code import check_base_code, check_saved_code
from lsr.training.config.train import EncoderConfig, TrainConfig
from lsr.training.config.yaml_file import config_of
from lsr.training.data.pairs import PairsBuilder
from lsr.training.data.pseudo_queries import pseudo_pairs, word_idf
from lsr.training.data.training_data import TrainingData
from lsr.training.loop.callbacks import Report, no_report
from lsr.training.loop.initial_model import base_tokenizer, is_sparse_encoder
from lsr.training.loop.run import Notice, TrainingResult, train_model
from lsr.training.loop.run_folder import has_run
from lsr.training.models.checkpoint import Checkpoint, base_folder

__all__ = ["adapt_model", "collection_training_data"]

MAX_DOCUMENTS = 200_000
"""Documents that queries are made of; of a larger collection the first."""


def adapt_model(
    model: str,
    corpus: str,
    output: Path,
    *,
    steps: int = 300,
    dense: str | None = "all-MiniLM-L6-v2",
    settings: Sequence[str] = (),
    trust_remote_code: bool = False,
    progress: Progress = no_progress,
    report: Report = no_report,
    notice: Notice = lambda _: None,
) -> TrainingResult:
    """Train a model on a collection's own texts, and give it the collection's idf.

    Args:
        model: a model folder, a hub id, or a base checkpoint, which gets a masked-LM head and an
            idf table.
        corpus: as `lsr index build` takes it.
        output: the run folder; run again, an interrupted adaptation goes on.
        dense: the dense teacher beside BM25, or None.
        settings: `key=value` over the config of the stage.
        trust_remote_code: run the code that the model brings along.
        notice: see `train_model`.

    Raises:
        InputError: the model or collection cannot be used, a setting is unknown, or the model
            brings code along that is not trusted.
    """
    if trust_remote_code:
        settings = [*settings, "encoder.trust_remote_code=true"]
    config = _config(model, corpus, output, steps=steps, dense=dense, settings=settings)
    if has_run(output, config):
        check_saved_code(output, config.encoder)
    else:
        check_base_code(config.encoder, trusting="give --trust-remote-code")
    most_tokens = config.stages[0].optim.max_document_tokens
    training_data = collection_training_data(
        corpus, config.encoder, config.seed, progress, most_tokens=most_tokens
    )
    return train_model(config, progress, report, training_data=training_data, notice=notice)


def _config(
    model: str,
    corpus: str,
    output: Path,
    *,
    steps: int,
    dense: str | None,
    settings: Sequence[str],
) -> TrainConfig:
    """The settings of `configs/doc-mini.yaml`, without labels; all can be set.

    Where the model is used with lexical terms, the network is trained without them all the same:
    they find the document that a query was made of, and beside them it forgets what it knows
    (docs/experiments/2026-11-23-adaptation-to-vaswani.md). So does a finished model at the rates of
    a new one (docs/experiments/2026-11-23-adaptation-at-low-rates.md).
    """
    teachers: list[dict[str, object]] = [{"kind": "bm25"}]
    if dense is not None:
        teachers.append({"kind": "dense", "model": dense})
    lr, head_lr = (1e-5, 5e-5) if is_sparse_encoder(model) else (5e-5, 3e-4)
    lexical = SearchDefaults.read(Path(base_folder(model))).lexical_terms
    mining = {
        "teacher": "ensemble",
        "per_query": 8,
        "first_rank": 1,
        "last_rank": 24,
        "margin": None,
    }
    stage = {
        "name": "adapt",
        "data": {
            "sources": [{"path": corpus}],
            "mining": mining,
            "group_size": None if dense is None else 8,
        },
        "teachers": teachers,
        "ensemble": {"scale": 12, "label_share": 0.0},
        "regularizer": {"weight": 1e-3, "target_terms": 200 if lexical is None else 120},
        "optim": {
            "steps": steps,
            "lr": lr,
            "head_lr": head_lr,
            "candidates": 2,
            "freeze_embeddings": True,
            "max_grad_norm": 5.0,
            "precision": "auto",
        },
    }
    config = {"output": str(output), "encoder": {"base": model}, "stages": [stage]}
    return config_of(config, settings, "lsr adapt")


def collection_training_data(
    corpus: str,
    encoder: EncoderConfig,
    seed: int,
    progress: Progress = no_progress,
    *,
    most_tokens: int | None = None,
) -> TrainingData:
    """A title, a sentence and keywords of each document as queries.

    The document is the query's positive.

    Args:
        most_tokens: read of a document, if fewer than the encoder reads.

    Raises:
        InputError: no document has text that a query can be made of.
    """
    builder = PairsBuilder()
    for n, document in enumerate(open_corpus(corpus).documents(), start=1):
        if document.full_text.strip():
            builder.document(document.full_text, document.doc_id)
        progress("read", n, None)
        if n >= MAX_DOCUMENTS:
            break
    documents = builder.build()
    pairs = pseudo_pairs(documents, word_idf(documents.documents), seed)
    if not len(pairs):
        raise InputError(f"{corpus} has no text to make queries of; give documents with text")
    longest = encoder.max_document_tokens
    return TrainingData.from_pairs(
        pairs,
        base_tokenizer(Checkpoint.of_config(encoder)),
        max_query_tokens=encoder.max_query_tokens,
        max_document_tokens=min(longest, most_tokens or longest),
        progress=progress,
    )
