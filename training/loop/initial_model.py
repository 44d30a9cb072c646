"""What a run starts from: a finished sparse encoder, or a checkpoint that becomes one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer

from lsr.datasets.open import open_corpus
from lsr.encoders.learned.idf import shrunk_idf
from lsr.errors import InputError
from lsr.progress import Progress
from lsr.training.config.train import Table, TrainConfig, WarmStart
from lsr.training.data.tokens import special_ids, tokenize, vocabulary_size
from lsr.training.data.training_data import TrainingData
from lsr.training.export.idf_table import table_of
from lsr.training.models.mlm_head import Head
from lsr.training.models.sparse_encoder import (
    base_folder,
    has_trained_head,
    make_model,
    open_model,
    query_table,
)
from lsr.training.models.warm_start import warm_start

__all__ = ["base_tokenizer", "corpus_idf", "is_sparse_encoder", "starting_model"]


def is_sparse_encoder(base: str) -> bool:
    """Whether a folder holds a whole sparse encoder rather than a network to build one on."""
    try:
        modules = json.loads((Path(base_folder(base)) / "modules.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    kinds = [str(module.get("type", "")) for module in modules]
    sparse = ("Router", "SpladePooling", "SparseStaticEmbedding")
    return any(kind.endswith(sparse) or kind.startswith("lsr.training.") for kind in kinds)


def base_tokenizer(base: str) -> Any:
    """The tokenizer of a checkpoint or sparse encoder.

    Raises:
        InputError: there is no such model, or it has none.
    """
    if is_sparse_encoder(base):
        return open_model(base_folder(base)).tokenizer
    try:
        return AutoTokenizer.from_pretrained(base_folder(base))
    except (OSError, ValueError) as error:
        raise InputError(
            f"the base {base!r} cannot be loaded ({str(error).splitlines()[0]}); give a folder "
            "with a checkpoint and its tokenizer, or a hub id while online"
        ) from error


def corpus_idf(corpus: str, base: str, progress: Progress) -> NDArray[np.float32]:
    """Weights of the base's terms by a corpus, which is anything that `lsr index build` takes."""
    tokenizer = base_tokenizer(base)
    texts = [document.full_text for document in open_corpus(corpus).documents()]
    tokens = tokenize(texts, tokenizer, progress=progress)
    return table_of(tokens, vocabulary_size(tokenizer), special_ids(tokenizer))


def starting_model(
    config: TrainConfig,
    training_data: TrainingData,
    idf: NDArray[np.float32] | None,
    progress: Progress,
) -> tuple[Any, str | None]:
    """The model that training begins with, and what was done to it, in a sentence.

    A finished encoder keeps its parts; its query table is drawn towards the run's documents, and
    learned if the config says so. A
    checkpoint gets the heads of the config, and a start of its masked-LM head if it has none.

    Args:
        idf: of the vocabulary by a corpus that the config names; None for the run's documents.
    """
    torch.manual_seed(config.seed)
    base = config.encoder.base
    n_documents = len(training_data.pairs.documents)
    if is_sparse_encoder(base):
        model = open_model(base_folder(base))
        table = query_table(model)
        if table is None:
            return model, None
        own = table.weight.detach().cpu().numpy()
        frequency = np.zeros(len(own), np.int64)
        frequency[: len(training_data.document_frequency)] = training_data.document_frequency
        drawn = shrunk_idf(frequency, n_documents, own) if idf is None else idf
        with torch.no_grad():
            table.weight.copy_(torch.from_numpy(drawn))
        if isinstance(config.encoder.query, Table) and config.encoder.query.learned:
            table.frozen = False
            table.weight.requires_grad_(True)
        return model, f"the query table was drawn towards the idf of {n_documents:,} documents"
    tokenizer = base_tokenizer(base)
    own = training_data.idf(special_ids(tokenizer)) if idf is None else idf
    mean = float(training_data.document_tokens.lengths.mean())
    model = make_model(config.encoder, own, average_length=mean)
    return model, _started_head(model, config, training_data, progress)


def _started_head(
    model: Any, config: TrainConfig, training_data: TrainingData, progress: Progress
) -> str | None:
    wanted = config.warm_start
    heads = [module for module in model.modules() if isinstance(module, Head)]
    transformers = [
        module
        for module in model.modules()
        if getattr(module, "transformer_task", None) == "fill-mask"
    ]
    if not heads or not transformers or wanted == "never":
        return None
    if wanted == "auto" and has_trained_head(config.encoder.base):
        return None
    settings = wanted if isinstance(wanted, WarmStart) else WarmStart()
    said = ""
    for transformer in transformers:
        decoder = transformer.model.get_output_embeddings()
        result = warm_start(
            transformer,
            decoder,
            training_data.pairs.documents,
            settings,
            seed=config.seed,
            progress=progress,
        )
        said = (
            f"the masked-LM head was started on {settings.steps:,} batches: it copies "
            f"{result['accuracy']:.1%} of tokens"
        )
    return said
