"""The network of a learned sparse model, in torch: documents, and queries where they need it.

Beside `lsr.encoders.dense` and `lsr.encoders.dense_onnx_graph`, the only file that reaches torch,
and only when a model is loaded. What is stock (a masked language model and SPLADE pooling) is
computed without holding batch x length x vocabulary:

    w_t(d) = ln(1 + relu(max_i z[i, t]))

(Formal et al. 2021; the maximum of a rising function is that function of the maximum), in pieces
of the vocabulary that stay in the cache, over the tokens of one document at a time.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.learned.model_classes import has_own_code, model_classes
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.packed_model import unpacked
from lsr.encoders.learned.pruning import rows_of
from lsr.encoders.learned.text_batches import (
    Batching,
    of_one_length,
    one_by_one,
    padded,
    rows_stand_alone,
)
from lsr.errors import InputError, ModelError, UnavailableError
from lsr.sparse import CSR

if TYPE_CHECKING:
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sparse_encoder.modules import SpladePooling
    from torch import Tensor, nn

__all__ = ["Precision", "TorchNetwork", "resolved_precision"]

Precision = Literal["auto", "fp32", "bf16"]

VOCABULARY_PIECE = 4_096
"""Columns of logits at a time: for 256 tokens 4 MB in float32, which a core's cache holds."""
TOLERANCE = 1e-3
_ROUTES = {"query": ("query",), "document": ("document", "passage", "corpus")}


class TorchNetwork:
    """A sentence-transformers `SparseEncoder`.

    Args:
        model: the folder.
        precision: "bf16" computes matrix products in bfloat16 (weights differ by about 1%);
            "auto" does so where the machine is built for it.
        trust_remote_code: run the code that the model brings along.

    Attributes:
        batches: puts texts together; on a CPU those of one number of tokens, or none.

    Raises:
        UnavailableError: sentence-transformers is not installed.
        InputError: the model cannot be loaded.
    """

    def __init__(
        self, model: ModelFolder, precision: Precision = "auto", *, trust_remote_code: bool = False
    ) -> None:
        self._folder = model
        self.precision = resolved_precision(precision)
        self._model = _load(model, trust_remote_code)
        self._half = self.precision == "bf16"
        self.batches = _batching(self._model, self._half)
        self._pooled = {side: _PooledRoute.find(self._model, side, self._half) for side in _ROUTES}
        if self._half:
            _halve(self._model)

    @property
    def encoder(self) -> SparseEncoder:
        """The `SparseEncoder` itself."""
        return self._model

    @property
    def n_terms(self) -> int:
        """The width of a vector."""
        return int(self._model.get_embedding_dimension() or self.encode(["a"], "document").n_terms)

    def encode(self, texts: Sequence[str], side: Literal["query", "document"]) -> CSR:
        """Vectors, one row per text, in order; a blank text is an empty row.

        On a CPU a vector depends on its text alone, to the last bit; on a GPU batches are padded,
        and the last bits may differ.

        Raises:
            ModelError: the model gave numbers that are not finite.
        """
        import torch

        named = (i for i, text in enumerate(texts) if text.strip())
        order = sorted(named, key=lambda i: -len(texts[i]))
        names = (self._folder.prompts.get(name) for name in _ROUTES[side])
        prompt = next((text for text in names if text), None)
        places: list[int] = []
        parts: list[CSR] = []
        with torch.inference_mode(), self._autocast():
            for rows, batch in self.batches(self._model, [texts[i] for i in order], side, prompt):
                places += rows
                parts.append(self._encode_batch(batch, side))
        encoded = CSR.concatenate(parts) if parts else CSR.empty(0, 0)
        place = np.full(len(texts), encoded.n_rows, np.int64)
        place[[order[i] for i in places]] = np.arange(len(places))
        blank = CSR.empty(1, encoded.n_terms)
        return CSR.concatenate([encoded, blank]).take(place.tolist())

    def _encode_batch(self, features: dict[str, Any], side: str) -> CSR:
        import torch

        pooled = self._pooled[side]
        if pooled is not None:
            weights = pooled.weights(features)
        else:
            weights = self._model(features, task=side)["sentence_embedding"]
        if weights.is_sparse:
            weights = weights.to_dense()
        if not torch.isfinite(weights).all():
            raise ModelError(
                f"the sparse model in {self._folder.path} gave numbers that are not finite; "
                "train it anew, or encode with --precision fp32"
            )
        array: NDArray[np.float32] = weights.float().cpu().numpy()
        return rows_of(array)

    def _autocast(self) -> AbstractContextManager[object]:
        import torch

        if not self._half:
            return nullcontext()
        return torch.autocast(self._model.device.type, dtype=torch.bfloat16)


class _PooledRoute:
    """A stock route: a transformer whose last step is the decoder, and SPLADE pooling."""

    def __init__(
        self, transformer: Transformer, pooling: SpladePooling, decoder: nn.Linear, half: bool
    ) -> None:
        import torch

        self._transformer = transformer
        self._decoder = decoder
        self._twice = pooling.activation_function == "log1p_relu"
        self._sums = pooling.pooling_strategy == "sum"
        self.by_batch = decoder.weight.is_cuda  # on a processor a document's logits fit the cache
        kind = torch.bfloat16 if half else torch.float32
        self._weight = decoder.weight.detach().to(kind)
        bias = decoder.bias
        self._bias = None if bias is None else bias.detach().float()

    @classmethod
    def find(cls, model: SparseEncoder, side: str, half: bool) -> _PooledRoute | None:
        """The route of one side, if it is stock and this gives what the model gives."""
        import torch
        from sentence_transformers.sparse_encoder.modules import Router, SpladePooling, Transformer

        modules = list(model)
        if len(modules) == 1 and isinstance(modules[0], Router):
            routes = modules[0].sub_modules
            route = routes[side] if side in routes else torch.nn.Sequential()
            modules = list(route) if isinstance(route, torch.nn.Sequential) else []
        if len(modules) != 2:
            return None
        transformer, pooling = modules
        if not isinstance(transformer, Transformer) or type(pooling) is not SpladePooling:
            return None
        if transformer.transformer_task not in ("fill-mask", "text-generation"):
            return None
        decoder = transformer.model.get_output_embeddings()
        if not isinstance(decoder, torch.nn.Linear):
            return None
        full = cls(transformer, pooling, decoder, half=False)
        features = model.preprocess(["a short example, of some words"], task=side)
        features = {k: v.to(model.device) if hasattr(v, "to") else v for k, v in features.items()}
        with torch.inference_mode():
            expected = model(dict(features), task=side)["sentence_embedding"]
            same = torch.allclose(full.weights(features), expected, atol=TOLERANCE)
        if not same:
            return None
        return cls(transformer, pooling, decoder, half=True) if half else full

    def weights(self, features: dict[str, Any]) -> Tensor:
        """Term weights, float32, shape (batch, vocabulary)."""
        import torch

        given = self._decoder.forward
        vars(self._decoder)["forward"] = (
            _unchanged  # the logits are then the states before the decoder
        )
        try:
            hidden = self._transformer(dict(features))["token_embeddings"].to(self._weight.dtype)
        finally:
            vars(self._decoder)["forward"] = given
        mask = features["attention_mask"].bool()
        n_terms = self._weight.shape[0]
        pieces = [slice(i, i + VOCABULARY_PIECE) for i in range(0, n_terms, VOCABULARY_PIECE)]
        weights = torch.empty(len(mask), n_terms, device=hidden.device)
        if self.by_batch:
            for piece in pieces:
                weights[:, piece] = self._pool_batch(hidden @ self._weight[piece].T, mask, piece)
        else:
            for row, (states, real) in enumerate(zip(hidden, mask, strict=True)):
                own = states[real]
                for piece in pieces:
                    weights[row, piece] = self._pool(own @ self._weight[piece].T, piece)
        return weights if self._sums else self._activated(weights)

    def _pool_batch(self, logits: Tensor, mask: Tensor, piece: slice) -> Tensor:
        """As `_pool`, of all documents at once: logits (batch, length, terms)."""
        bias = 0.0 if self._bias is None else self._bias[piece]
        if self._sums:
            return (self._activated(logits.float() + bias) * mask[..., None]).sum(dim=1)
        return logits.masked_fill(~mask[..., None], float("-inf")).amax(dim=1).float() + bias

    def _pool(self, logits: Tensor, piece: slice) -> Tensor:
        bias = None if self._bias is None else self._bias[piece]
        if self._sums:
            wide = logits.float()
            return self._activated(wide if bias is None else wide + bias).sum(dim=0)
        highest = logits.amax(dim=0).float()
        return highest if bias is None else highest + bias

    def _activated(self, logits: Tensor) -> Tensor:
        logits = logits.relu().log1p()
        return logits.log1p() if self._twice else logits


def _batching(model: SparseEncoder, half: bool) -> Batching:
    """The batches of a machine: as large as they may be, so that a vector is of its text alone."""
    import torch

    if model.device.type == "cuda":
        return padded
    kinds = (torch.float32, torch.bfloat16) if half else (torch.float32,)
    return of_one_length if all(map(rows_stand_alone, kinds)) else one_by_one


def resolved_precision(precision: Precision) -> Literal["fp32", "bf16"]:
    """The precision that "auto" stands for on this machine.

    Raises:
        InputError: there is no such precision.
        UnavailableError: torch is not installed.
    """
    if precision == "fp32" or precision == "bf16":
        return precision
    if precision != "auto":
        raise InputError(f"there is no precision {precision!r} in torch; choose fp32 or bf16")
    _check_installed()
    import torch

    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    has = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return "bf16" if has is not None and has() else "fp32"


def _check_installed() -> None:
    if importlib.util.find_spec("sentence_transformers") is None:
        raise UnavailableError(
            "encoding documents with a sparse model needs sentence-transformers, which is not "
            "installed; run: pip install 'lsr-search[dense]', or export the model to ONNX elsewhere"
        )


def _load(folder: ModelFolder, trust_remote_code: bool) -> SparseEncoder:
    _check_installed()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the folder has everything
    import torch
    from sentence_transformers import SparseEncoder
    from transformers.utils import logging as transformers_logging

    device = "cuda" if torch.cuda.is_available() else "cpu"
    place = unpacked(folder.path)
    transformers_logging.disable_progress_bar()
    try:
        model = SparseEncoder._load_with_module_classes(
            str(place),
            model_classes(place),
            device=device,
            trust_remote_code=trust_remote_code,
        )
    except (OSError, ValueError, ImportError, AttributeError, KeyError) as error:
        if not trust_remote_code and has_own_code(folder.modules):
            raise InputError(
                f"the sparse model in {folder.path} runs code of its own, which is not run unless "
                "you trust it; read it, then give --trust-remote-code to lsr index build, lsr "
                "eval, lsr encode or lsr export, or trust_remote_code=True to lsr.load_encoder"
            ) from error
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(
            f"the sparse model in {folder.path} cannot be loaded ({reason}); give a folder that "
            "sentence-transformers' SparseEncoder was saved in"
        ) from error
    finally:
        transformers_logging.enable_progress_bar()
    return model.eval()


def _halve(model: nn.Module) -> None:
    """Keep the weights of matrix products in bfloat16, so that they are not cast in each batch."""
    import torch

    tied = {
        id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)
    }
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and id(module.weight) not in tied:
            module.to(torch.bfloat16)


def _unchanged(states: Tensor) -> Tensor:
    return states
