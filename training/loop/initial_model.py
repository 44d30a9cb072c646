"""Initial model of a run: a finished sparse encoder, or a checkpoint that becomes one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from huggingface_hub import hf_hub_download
from numpy.typing import NDArray
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Transformer
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from lsr.datasets.open import open_corpus
from lsr.encoders.corpus.idf import shrunk_idf
from lsr.errors import InputError
from lsr.progress import Progress
from lsr.training.config.train import Table, TrainConfig, WarmStart
from lsr.training.data.tokens import special_ids, tokenize, vocabulary_size
from lsr.training.data.training_data import TrainingData
from lsr.training.export.idf_table import table_of
from lsr.training.models.base_network import is_decoder
from lsr.training.models.checkpoint import Checkpoint, base_folder, has_trained_head
from lsr.training.models.finished_base import is_plain_table, obeying
from lsr.training.models.mlm_head import ClsMlmHead, Head, routes
from lsr.training.models.sparse_encoder import make_model, open_model, query_table
from lsr.training.models.warm_start import warm_start

if TYPE_CHECKING:
    from lsr.training.data.tokens import AnyTokenizer

__all__ = [
    "base_tokenizer",
    "initial_model",
    "is_sparse_encoder",
    "networks_to_start",
    "reads_first_token",
    "unstarted_model",
]

TOKENIZER_OPTIONS = (
    "do_lower_case",
    "processor_kwargs",
    "tokenizer_args",
    "tokenizer_name_or_path",
)
"""Keys of sentence_bert_config.json by which a module changes the tokenizer that its folder has."""


def is_sparse_encoder(base: str) -> bool:
    """Whether a model is a whole sparse encoder rather than a network to build one on.

    Args:
        base: a folder, a model that is installed, or a hub id, which is asked for one small file;
            False where the hub cannot be reached and the file is not on this machine.
    """
    file = _file_of(base, "modules.json")
    modules = () if file is None else _json(file) or ()
    kinds = [str(module.get("type", "")) for module in modules]
    sparse = ("Router", "SpladePooling", "SparseStaticEmbedding")
    return any(kind.endswith(sparse) or kind.startswith("lsr.training.") for kind in kinds)


def base_tokenizer(base: Checkpoint) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint or sparse encoder, read without the network's weights.

    Raises:
        InputError: there is no such model, or it has none.
    """
    folder: Path | str = base.place
    if is_sparse_encoder(base.name):
        found = _tokenizer_folder(Path(folder))
        if found is None:
            tokenizer: PreTrainedTokenizerBase = _opened(base).tokenizer
            return tokenizer
        folder = found
    try:
        return AutoTokenizer.from_pretrained(str(folder), **base.options)
    except (OSError, ValueError) as error:
        raise InputError(
            f"the base {base.name!r} cannot be loaded ({str(error).splitlines()[0]}); give a "
            "folder with a checkpoint and its tokenizer, or a hub id while online"
        ) from error


def _file_of(base: str, name: str) -> Path | None:
    """A file of a model; None where a hub id has none, or cannot be asked."""
    folder = Path(base_folder(base))
    if folder.is_dir():
        return folder / name
    try:
        return Path(hf_hub_download(base, name))
    except (OSError, ValueError):
        return None


def _opened(base: Checkpoint) -> SparseEncoder:
    return open_model(base.place, trust_remote_code=base.code is not None)


def _tokenizer_folder(model: Path) -> Path | None:
    """Tokenizer folder of a sparse encoder's first module, or of the first of its router.

    None where there is none, the module changes it, or the model is not in a folder.
    """
    if not model.is_dir():
        return None
    folder = model / str(_json(model / "modules.json")[0].get("path", ""))
    router = _json(folder / "router_config.json")
    if router is not None:
        folder /= next(iter(router["structure"].values()))[0]
    if not all((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
        return None
    options = _json(folder / "sentence_bert_config.json") or {}
    return None if any(options.get(name) for name in TOKENIZER_OPTIONS) else folder


def _json(file: Path) -> Any:
    """Content of a JSON file; None where there is no such file, or no JSON in it."""
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def initial_model(
    config: TrainConfig, training_data: TrainingData, progress: Progress
) -> tuple[SparseEncoder, str | None]:
    """The model that training begins with, and what was done to it, in a sentence.

    A finished encoder keeps its parts, and a config that asks for others is refused; its query
    table is shrunk towards the run's documents, unless it is one of ones, and learned if the config
    says so. A checkpoint gets the heads of the config, and a start of its
    masked-LM head if it has none. Weights of terms are by the corpus that the config names, if it
    names one, in place of the run's documents.

    Raises:
        InputError: the base cannot be loaded, or contradicts the config.
    """
    torch.manual_seed(config.seed)
    idf = None
    if config.idf is not None:
        idf = _corpus_idf(config.idf, training_data.tokenizer, progress)
    if is_sparse_encoder(config.encoder.base):
        return _finished_encoder(config, training_data, idf)
    model = unstarted_model(config, training_data, idf)
    return model, _warm_started(model, config, training_data, progress)


def unstarted_model(
    config: TrainConfig, training_data: TrainingData, idf: NDArray[np.float32] | None = None
) -> SparseEncoder:
    """The initial model before its head is started, or its table drawn towards the documents.

    Args:
        idf: of a corpus, in place of the documents'.

    Raises:
        InputError: the base cannot be loaded, or contradicts the config.
    """
    if is_sparse_encoder(config.encoder.base):
        return obeying(_opened(Checkpoint.of_config(config.encoder)), config.encoder)
    mean = float(training_data.document_tokens.lengths.mean())
    table = training_data.idf() if idf is None else idf
    return make_model(config.encoder, table, average_length=mean)


def _corpus_idf(corpus: str, tokenizer: AnyTokenizer, progress: Progress) -> NDArray[np.float32]:
    """Weights of the tokenizer's terms by a corpus: anything that `lsr index build` takes."""
    texts = [document.full_text for document in open_corpus(corpus).documents()]
    tokens = tokenize(texts, tokenizer, progress=progress)
    return table_of(tokens, vocabulary_size(tokenizer), special_ids(tokenizer))


def _finished_encoder(
    config: TrainConfig, training_data: TrainingData, idf: NDArray[np.float32] | None
) -> tuple[SparseEncoder, str | None]:
    model = unstarted_model(config, training_data)
    table, wanted = query_table(model), config.encoder.query
    if table is None:
        return model, None
    if isinstance(wanted, Table) and wanted.learned:
        table.frozen = False
        table.weight.requires_grad_(True)
    is_said = "query" in config.encoder.model_fields_set
    wants_idf = is_said and isinstance(wanted, Table) and wanted.weights == "idf"
    if is_plain_table(table) and not wants_idf:
        return model, None
    n_documents = len(training_data.pairs.documents)
    own = table.weight.detach().cpu().numpy()
    frequency = np.zeros(len(own), np.int64)
    frequency[: len(training_data.document_frequency)] = training_data.document_frequency
    drawn = shrunk_idf(frequency, n_documents, own) if idf is None else idf
    with torch.no_grad():
        table.weight.copy_(torch.from_numpy(drawn))
    return model, f"the query table was drawn towards the idf of {n_documents:,} documents"


def networks_to_start(model: SparseEncoder, config: TrainConfig) -> list[Transformer]:
    """Networks of a new model whose masked-LM heads are to be started; perhaps none."""
    wanted = config.warm_start
    transformers = [
        module
        for module in model.modules()
        if isinstance(module, Transformer) and module.transformer_task == "fill-mask"
    ]
    base = Checkpoint.of_config(config.encoder)
    if isinstance(wanted, WarmStart) and is_decoder(base):
        raise InputError(
            "warm_start grows a masked-LM head on a checkpoint without one, and the base "
            f"{base.name!r} is a decoder, which has its own; leave it out"
        )
    if wanted == "never" or not any(isinstance(module, Head) for module in model.modules()):
        return []
    if wanted != "auto":
        return transformers
    bases: dict[int, Checkpoint] = {}
    if config.encoder.query_base is not None:
        own = Checkpoint.of_queries(config.encoder)
        bases = {id(part): own for part in routes(model).get("query") or ()}
    return [each for each in transformers if not has_trained_head(bases.get(id(each), base))]


def reads_first_token(model: SparseEncoder, transformer: Transformer) -> bool:
    """Whether all heads after a network read its first token alone."""
    heads = [
        module
        for modules in routes(model).values()
        if any(module is transformer for module in modules)
        for module in modules
        if isinstance(module, Head)
    ]
    return bool(heads) and all(isinstance(head, ClsMlmHead) for head in heads)


def _warm_started(
    model: SparseEncoder, config: TrainConfig, training_data: TrainingData, progress: Progress
) -> str | None:
    wanted = config.warm_start
    settings = wanted if isinstance(wanted, WarmStart) else WarmStart()
    note = None
    for transformer in networks_to_start(model, config):
        decoder = transformer.model.get_output_embeddings()
        result = warm_start(
            transformer,
            decoder,
            training_data.pairs.documents,
            settings,
            first_token=reads_first_token(model, transformer),
            seed=config.seed,
            progress=progress,
        )
        note = (
            f"the masked-LM head was started on {settings.steps:,} batches: it copies "
            f"{result['accuracy']:.1%} of tokens"
        )
    return note
