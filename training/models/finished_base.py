"""A finished sparse encoder as base: what it is made of, and what a config may ask of it."""

from __future__ import annotations

from typing import Any

from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling
from torch import nn

from lsr.errors import InputError
from lsr.training.config.encoder import DocumentSide, EncoderConfig, QuerySide, Table
from lsr.training.models.anchored_head import AnchoredHead
from lsr.training.models.epic_head import EpicDocumentHead, EpicQueryHead
from lsr.training.models.mlm_head import ClsMlmHead, MlmHead, routes
from lsr.training.models.mlp_head import MlpHead

__all__ = ["is_plain_table", "obeying", "side_kinds"]

_KINDS: tuple[tuple[type[nn.Module], str], ...] = (
    (SparseStaticEmbedding, "table"),
    (EpicQueryHead, "epic"),
    (EpicDocumentHead, "epic"),
    (AnchoredHead, "anchored"),
    (ClsMlmHead, "cls_mlm"),
    (MlmHead, "mlm"),
    (SpladePooling, "mlm"),
    (MlpHead, "mlp"),
)
"""Classes of last modules, and kinds of sides; subclasses before their own."""


def side_kinds(model: SparseEncoder) -> tuple[str, str]:
    """The kinds of a model's query and document side, by the names of `EncoderConfig`.

    A module of no such kind is named by its class.
    """
    query, document = _sides(model)
    return _kind(query), _kind(document)


def is_plain_table(table: SparseStaticEmbedding) -> bool:
    """Whether a query table has the weight 1 for all terms that it has (BINARY)."""
    weight = table.weight.detach()
    return bool(((weight == 0) | (weight == 1)).all())


def obeying(model: SparseEncoder, config: EncoderConfig) -> SparseEncoder:
    """The model with the lengths and the pruning that a config asks for.

    Only what the config says itself counts, not its defaults.

    Raises:
        InputError: it asks for other parts than the model has; names the key.
    """
    asked = config.model_fields_set
    if "query_base" in asked and config.query_base is not None:
        raise InputError(
            f"encoder.query_base: the base {config.base!r} is a finished sparse encoder, which has "
            "its queries' network; leave query_base out, or start from a checkpoint"
        )
    if config.attention is not None:
        raise InputError(
            f"encoder.attention: the base {config.base!r} is a finished sparse encoder, which "
            "has its own; leave attention out, or start from a checkpoint"
        )
    for name, modules in zip(("query", "document"), _sides(model), strict=True):
        if name in asked:
            _check_side(name, getattr(config, name), modules, config.base)
    networks = [_network(modules) for modules in _sides(model)]
    if "shared" in asked and all(network is not None for network in networks):
        shares = networks[0] is networks[1]
        if shares != config.shared:
            raise InputError(
                f"encoder.shared is {str(config.shared).lower()}, and the base {config.base!r} "
                f"{'shares one network' if shares else 'has two networks'}; leave shared out, or "
                "start from a checkpoint"
            )
    for name, modules in zip(("query", "document"), _sides(model), strict=True):
        limit = f"max_{name}_tokens"
        if limit in asked:
            _set_length(modules, name, getattr(config, limit))
    if "max_active" in asked:
        model.max_active_dims = config.max_active
    return model


def _sides(model: SparseEncoder) -> tuple[nn.Sequential, nn.Sequential]:
    found = routes(model)
    one = next(iter(found.values()))
    return found.get("query", one), found.get("document", one)


def _kind(modules: nn.Sequential) -> str:
    last = list(modules)[-1]
    known = (kind for kind_of, kind in _KINDS if isinstance(last, kind_of))
    return next(known, type(last).__name__)


def _network(modules: nn.Sequential) -> Transformer | None:
    first = next(iter(modules))
    return first if isinstance(first, Transformer) else None


def _check_side(
    name: str, wanted: QuerySide | DocumentSide, modules: nn.Sequential, base: str
) -> None:
    kind, last = _kind(modules), list(modules)[-1]
    advice = f"leave encoder.{name} out, or start from a checkpoint"
    if wanted.kind != kind:
        raise InputError(
            f"encoder.{name} is {wanted.kind}, and the base {base!r} is a finished sparse encoder "
            f"whose {name} side is {kind}; {advice}"
        )
    for part in ("activation", "saturation", "pooling"):
        has = getattr(last, part, None)
        if part in wanted.model_fields_set and has is not None and has != getattr(wanted, part):
            raise InputError(
                f"encoder.{name}.{part} is {getattr(wanted, part)}, and that of the base {base!r} "
                f"is {has}; {advice}"
            )
    if (
        isinstance(wanted, Table)
        and isinstance(last, SparseStaticEmbedding)
        and wanted.weights == "ones"
        and not is_plain_table(last)
    ):
        raise InputError(
            f"encoder.{name}.weights is ones, and the base {base!r} has a table of other weights; "
            f"{advice}"
        )


def _set_length(modules: nn.Sequential, name: str, n_tokens: int) -> None:
    first = next(iter(modules))
    if isinstance(first, Transformer):
        longest = getattr(first.model.config, "max_position_embeddings", n_tokens)
        length = min(n_tokens, int(longest))
        setattr(first, f"{name}_length", length)
        first.max_seq_length = max(first.max_seq_length or length, length)
    elif isinstance(first, SparseStaticEmbedding):
        tokenizer: Any = first.tokenizer  # of transformers, whatever its annotation says
        tokenizer.model_max_length = n_tokens
