"""Model folders: made from a config, opened, and saved as sentence-transformers reads them.

A model is a `SparseEncoder`. Both sides alike and shared: one network and its head. Else a
`Router` with a route for queries and one for documents, which may share the network.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Module, Router, Transformer
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling
from torch import nn
from transformers import AutoTokenizer

from lsr.encoders.learned.model_classes import model_classes
from lsr.encoders.model_code import settle_code
from lsr.errors import InputError, StorageError
from lsr.files import sync_tree
from lsr.moved import all_paths
from lsr.training.config.train import (
    Anchored,
    ClsMlm,
    DocumentSide,
    EncoderConfig,
    Epic,
    Mlm,
    Mlp,
    QuerySide,
    Table,
)
from lsr.training.models.activations import Saturation
from lsr.training.models.anchored_head import AnchoredHead
from lsr.training.models.base_network import (
    has_vocabulary_layer,
    open_network,
    reads_both_ways,
    with_padding,
)
from lsr.training.models.checkpoint import (
    Checkpoint,
    attention,
    base_folder,
    loading,
    quiet,
    tokenizer_of,
)
from lsr.training.models.epic_head import EpicDocumentHead, EpicQueryHead
from lsr.training.models.mlm_head import ClsMlmHead, Head, MlmHead, is_stock, routes, tap
from lsr.training.models.mlp_head import ColumnTable, MlpHead

__all__ = [
    "make_model",
    "needs_this_package",
    "open_model",
    "query_table",
    "save_model",
]

Task = Literal["feature-extraction", "fill-mask"]

_HEADS: tuple[type[nn.Module], ...] = (
    AnchoredHead,
    ClsMlmHead,
    ColumnTable,
    EpicDocumentHead,
    EpicQueryHead,
    MlmHead,
    MlpHead,
)


def make_model(
    config: EncoderConfig,
    idf: NDArray[np.float32] | None,
    *,
    average_length: float | None = None,
    device: str | None = None,
) -> SparseEncoder:
    """A new model on the checkpoint that the config names; heads it lacks start at random.

    Embeddings of numbers that the tokenizer does not use are cut off, so that queries and
    documents have one width V.

    Args:
        config: both sides.
        idf: float32, shape (tokens of the tokenizer,): weights of a table, and what an anchored
            head keeps terms by. Only needed by these.
        average_length: tokens of an average document, for an anchored head; None stands for
            `max_document_tokens`.
        device: as torch names it; None takes the best there is.

    Raises:
        InputError: the checkpoint cannot be loaded or used; idf is missing or of another length.
    """
    maker = _Maker(config, idf, average_length or float(config.max_document_tokens))
    return SparseEncoder(
        modules=[*maker.modules()],
        device=device,
        similarity_fn_name="dot",
        max_active_dims=config.max_active,
    )


def open_model(
    name: str | Path, *, device: str | None = None, trust_remote_code: bool = False
) -> SparseEncoder:
    """Any `SparseEncoder`: a folder, one that comes with this package, or a hub id while online.

    A stock masked-LM head (SPLADE, OpenSearch) becomes our `MlmHead`, of the same values and much
    less memory, where its network can be tapped. Other modules stay what they are.

    Raises:
        InputError: there is no such model, or it cannot be loaded.
    """
    found = base_folder(str(name))
    if not Path(found).is_dir() and found.count("/") != 1:
        raise InputError(
            f"{name}: no such model folder; give a folder, or a hub id like owner/name"
        )
    known: dict[str, type] = {
        f"{path}.{head.__name__}": head for head in _HEADS for path in all_paths(head.__module__)
    }
    if Path(found).is_dir():
        known |= model_classes(Path(found))
    with loading(str(name), runs_code=trust_remote_code):
        model = SparseEncoder._load_with_module_classes(
            found,
            known,
            device=device,
            local_files_only=Path(found).is_dir(),
            trust_remote_code=trust_remote_code,
            model_kwargs=attention(runs_code=trust_remote_code),
        )
    for route, modules in routes(model).items():
        for place, module in enumerate(modules):
            if type(module) is SparseStaticEmbedding and route != "query":
                modules[place] = _table_of(module, ColumnTable)
            if place and type(module) is SpladePooling:
                _use_own_head(modules, place, module)
    return model


def save_model(model: SparseEncoder, folder: str | Path) -> None:
    """Write a model as a folder that `sentence_transformers.SparseEncoder(folder)` loads.

    A model whose heads have stock equals is saved with these alone. Other heads are saved as
    classes of this package, which must then be installed and trusted (`trust_remote_code=True`)
    by who loads it; `open_model` needs no such word. Code of a network's own lies in the folder.

    The folder appears, or is replaced, by renames when all is written.

    Raises:
        InputError: `folder` is a file, or a folder of something else; or two networks have code of
            their own in different files of one name.
        StorageError: it cannot be written.
    """
    target = Path(folder).absolute()
    is_empty = target.is_dir() and not any(target.iterdir())
    if target.exists() and not is_empty and not (target / "modules.json").is_file():
        raise InputError(f"{target} is there and holds no model; give another folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise StorageError(f"{target} cannot be written ({error}); give another folder") from error
    try:
        (work / "new").mkdir()
        saved = model if needs_this_package(model) else _stock_twin(model, {})
        assert isinstance(saved, SparseEncoder)
        with quiet():
            saved.save_pretrained(str(work / "new"), create_model_card=False)
        settle_code(work / "new")
        sync_tree(work / "new")
        if target.exists():
            target.rename(work / "old")
        try:
            (work / "new").rename(target)
        except BaseException:
            if (work / "old").exists():
                (work / "old").rename(target)
            raise
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written ({error}); what was there is as before"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def needs_this_package(model: SparseEncoder) -> bool:
    """Whether a saved model has heads that sentence-transformers alone lacks."""
    heads = [part for part in model.modules() if isinstance(part, Head)]
    return not all(map(is_stock, heads))


def query_table(model: SparseEncoder) -> SparseStaticEmbedding | None:
    """The table that weights queries, whose `weight` has shape (V,); None if a network does."""
    found = routes(model)
    first = next(iter(found.get("query", next(iter(found.values())))))
    return first if isinstance(first, SparseStaticEmbedding) else None


class _Maker:
    """The modules of a new model; it loads each network and tokenizer once."""

    def __init__(
        self, config: EncoderConfig, idf: NDArray[np.float32] | None, average_length: float
    ) -> None:
        self._config = config
        self._idf = idf
        self._average_length = average_length
        self._base = Checkpoint.of_config(config)
        self._tokens = tokenizer_of(self._base)
        added = self._tokens.added_tokens_decoder.items()
        named = {number for number, token in added if token.special}
        self._special = sorted(named | set(self._tokens.all_special_ids))

    def modules(self) -> list[Module]:
        """Modules of a `SparseEncoder`."""
        query, document = self._config.query, self._config.document
        shared = self._config.shared and _task(query) == _task(document)
        if isinstance(query, Table) and isinstance(document, Table):
            if query == document:
                return [self._table(ColumnTable, query, self._config.max_document_tokens)]
            shared = False
        document_modules = self._route(document, "document", None)
        first = document_modules[0]
        network = first if shared and isinstance(first, Transformer) else None
        if shared and query == document and not isinstance(query, Epic):
            return document_modules
        query_modules = self._route(query, "query", network)
        return [Router.for_query_document(query_modules, document_modules)]

    def _route(
        self, side: QuerySide | DocumentSide, role: str, network: Transformer | None
    ) -> list[Module]:
        if isinstance(side, Table):
            if role == "query":
                return [self._table(SparseStaticEmbedding, side, self._config.max_query_tokens)]
            return [self._table(ColumnTable, side, self._config.max_document_tokens)]
        base = Checkpoint.of_queries(self._config) if role == "query" else self._base
        network = network or self._network(_task(side), base)
        return [network, self._head(side, role, network)]

    def _table(
        self, kind: type[SparseStaticEmbedding], side: Table, max_tokens: int
    ) -> SparseStaticEmbedding:
        own = AutoTokenizer.from_pretrained(self._base.place, **self._base.options)
        tokenizer = with_padding(own, self._base.name)
        tokenizer.model_max_length = min(max_tokens, tokenizer.model_max_length)
        weight = torch.ones(len(tokenizer)) if side.weights == "ones" else self._idf_of("a table")
        weight[self._special] = 0
        # the class names one kind of tokenizers, and takes any
        return kind(tokenizer, weight=weight, frozen=not side.learned)  # type: ignore[arg-type]

    def _idf_of(self, user: str) -> torch.Tensor:
        n_tokens = len(self._tokens)
        if self._idf is None:
            raise InputError(f"{user} needs an idf for each term; compute it from a corpus first")
        if self._idf.shape != (n_tokens,) or not np.isfinite(self._idf).all():
            raise InputError(
                f"idf has shape {self._idf.shape}; {user} of this base needs {n_tokens} finite "
                "weights, one for each token of its tokenizer"
            )
        return torch.tensor(self._idf, dtype=torch.float32)

    def _network(self, task: Task | None, base: Checkpoint) -> Transformer:
        if base != self._base and tokenizer_of(base).get_vocab() != self._tokens.get_vocab():
            raise InputError(
                f"the query base {base.name!r} has another vocabulary than {self._base.name!r}, so "
                "that no term of a query would meet a document's; choose one of the same tokenizer"
            )
        network = open_network(base, task, self._config.attention)
        n_tokens, n_embeddings = len(self._tokens), network.model.config.vocab_size
        if n_embeddings < n_tokens:
            raise InputError(
                f"the base {base.name!r} has {n_embeddings} embeddings for the {n_tokens} "
                "tokens of its tokenizer; it needs one for each"
            )
        if n_embeddings > n_tokens:
            network.model.resize_token_embeddings(n_tokens)
        pooler = getattr(network.model, "pooler", None)
        if pooler is not None:
            pooler.requires_grad_(False)  # nothing reads it
        longest = network.max_seq_length or self._config.max_document_tokens
        network.max_seq_length = min(longest, self._config.max_document_tokens)
        network.document_length = network.max_seq_length
        network.query_length = min(longest, self._config.max_query_tokens)
        return network

    def _head(self, side: QuerySide | DocumentSide, role: str, network: Transformer) -> Head:
        hidden_size = network.get_embedding_dimension()
        if has_vocabulary_layer(network):
            hidden_size = tap(network).in_features
        if isinstance(side, ClsMlm | Epic) and not reads_both_ways(network):
            raise InputError(
                f"encoder.{role} is {side.kind}, which reads a text's first token, and in the base "
                f"{self._config.base!r} that sees no other; set encoder.attention to bidirectional"
            )
        sizes = (int(hidden_size), len(self._tokens), self._special)
        match side:
            case Mlp():
                return MlpHead(*sizes, side.activation, side.saturation)
            case Mlm():
                return MlmHead(side.activation, side.saturation, side.pooling)
            case ClsMlm():
                return ClsMlmHead(side.activation, side.saturation)
            case Epic():
                return EpicQueryHead(*sizes) if role == "query" else EpicDocumentHead(sizes[0])
            case Anchored():
                return self._anchored(side, sizes)
        raise InputError(f"{side.kind} is no encoder of a network")

    def _anchored(self, side: Anchored, sizes: tuple[int, int, list[int]]) -> AnchoredHead:
        expansion = side.expansion
        head = AnchoredHead(
            *sizes,
            expansion.activation,
            expansion.saturation,
            expansion.pooling,
            k1=side.k1,
            b=side.b,
            own_weight=side.own_weight,
            gated=side.gate,
            min_idf=side.min_idf,
            average_length=self._average_length,
        )
        head.idf.copy_(self._idf_of("an anchored head"))
        return head


def _task(side: QuerySide | DocumentSide) -> Task | None:
    match side:
        case Table():
            return None
        case Mlp():
            return "feature-extraction"
        case _:
            return "fill-mask"


def _use_own_head(modules: nn.Sequential, place: int, pooling: SpladePooling) -> None:
    network = modules[0]
    if not isinstance(network, Transformer) or not has_vocabulary_layer(network):
        return
    is_double = pooling.activation_function == "log1p_relu"
    saturation: Saturation = "double_log" if is_double else "log1p"
    head = MlmHead("relu", saturation, pooling.pooling_strategy)
    try:
        head.attach(network)
    except InputError:
        return  # the stock head does the same, with more memory
    head.train(pooling.training)
    modules[place] = head


def _stock_twin(module: nn.Module, made: dict[int, nn.Module]) -> nn.Module:
    """A module over the same weights with stock classes within, to be saved and not to be run.

    Args:
        made: stock modules by the id of what they stand for, so that shared ones stay so.
    """
    if isinstance(module, (SparseEncoder, Router, nn.ModuleDict, nn.Sequential)):
        twin = copy.copy(module)
        twin._modules = {
            name: None if part is None else _stock_twin(part, made)
            for name, part in module._modules.items()
        }
        return twin
    if isinstance(module, ColumnTable):
        return made.setdefault(id(module), _table_of(module, SparseStaticEmbedding))
    if isinstance(module, MlmHead):
        activation: Literal["relu", "log1p_relu"] = "relu"
        activation = "log1p_relu" if module.saturation == "double_log" else "relu"
        width = module.get_embedding_dimension()
        return made.setdefault(id(module), SpladePooling(module.pooling, activation, width))
    return module


def _table_of(
    table: SparseStaticEmbedding, kind: type[SparseStaticEmbedding]
) -> SparseStaticEmbedding:
    """A table of the same tokenizer and the same parameter."""
    twin = copy.copy(table)
    twin.__class__ = kind
    return twin
