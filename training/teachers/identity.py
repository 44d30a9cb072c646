"""Identity of a sentence-transformers model: all that its output depends on."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from torch import nn

__all__ = ["model_sha256"]

OF_THE_FOLDER = ("_name_or_path", "transformers_version")
OF_THE_LAST_CALL = ("truncation", "padding")


def model_sha256(model: nn.Module, code_sha256: str = "") -> str:
    """SHA-256 of a model's weights, modules with their options, tokenizer and prompts.

    Weights alone are not enough: pooling, activation and truncation have none. A difference that
    does not matter costs a cache miss; one that does is never missed.

    Args:
        model: a SentenceTransformer, SparseEncoder or CrossEncoder.
        code_sha256: of code of its own that it runs; empty for none.
    """
    digest = hashlib.sha256(code_sha256.encode())
    for name, module in model.named_modules():
        described = [name, type(module).__qualname__, module.extra_repr(), *_options(module)]
        digest.update(json.dumps(described, sort_keys=True, default=str).encode())
    for name in ("prompts", "default_prompt_name", "max_active_dims", "activation_fn"):
        digest.update(f"{name} {getattr(model, name, None)!r}\n".encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()


def _options(module: nn.Module) -> list[Any]:
    """Settings of a module, beside its weights."""
    found: list[Any] = [getattr(module, "max_seq_length", None)]
    described = getattr(module, "get_config_dict", None)
    if described is not None:
        found.append(described())
    as_dict = getattr(getattr(module, "config", None), "to_dict", None)
    if as_dict is not None:
        options = as_dict()
        found.append({name: options[name] for name in options if name not in OF_THE_FOLDER})
    backend = getattr(getattr(module, "tokenizer", None), "backend_tokenizer", None)
    if backend is not None:
        rules = json.loads(backend.to_str())
        found.append({name: rules[name] for name in rules if name not in OF_THE_LAST_CALL})
    return found
