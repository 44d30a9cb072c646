"""Dense encoders exported to ONNX: the vectors of `lsr.encoders.dense`, served without torch.

`lsr.encoders.dense_onnx_export` writes such a folder: the graph from token ids to vectors
(model.onnx), the tokenizer, which truncates and pads (tokenizer.json), and a description with the
recipe of the vectors and the SHA-256 of both (lsr-onnx.json). ONNX Runtime is imported when an
encoder is opened.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.dense_recipe import (
    QUERY_MARK,
    QUERY_TOKENS,
    TCT_COLBERT,
    DenseOptions,
    DenseRecipe,
    filled,
)
from lsr.errors import DataError, InputError, UnavailableError
from lsr.files import read_signed, sha256_of, signed, write_atomically
from lsr.machine import user_cache
from lsr.types import EncoderIdentity

__all__ = [
    "DESCRIPTION_FILE",
    "MODEL_FILE",
    "OUTPUT",
    "TOKENIZER_FILE",
    "TOKEN_COLUMNS",
    "OnnxDescription",
    "OnnxEncoder",
    "cached_export",
    "cached_exports",
    "is_export",
]

FORMAT_VERSION = 2
OLD_FORMAT = 1
"""Of lsr 0.1, whose exports have one prompt for all texts, and give vectors of unit length."""
DESCRIPTION_FILE = "lsr-onnx.json"
MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
OUTPUT = "vector"
TOKEN_COLUMNS = {
    "input_ids": "ids",
    "attention_mask": "attention_mask",
    "token_type_ids": "type_ids",
}
"""Inputs that a graph may have, and the attribute of a tokenizer's encoding that feeds each."""


@dataclass(frozen=True)
class OnnxDescription:
    """Description of an export, the content of `lsr-onnx.json`.

    Attributes:
        model: the name that the model was exported by.
        sha256: the torch model's identity hash, so that indexes made with either go with both.
        recipe: how the vectors are made; the graph does the rest after the prompt.
        inputs: names of the graph's inputs, all int64, shape (batch, tokens).
        files: name to SHA-256 of the other files.
    """

    model: str
    sha256: str
    recipe: DenseRecipe
    inputs: tuple[str, ...]
    files: dict[str, str]

    @property
    def identity(self) -> EncoderIdentity:
        return EncoderIdentity("dense", self.model, self.sha256, self.recipe.parameters)

    def write(self, folder: Path) -> None:
        """Write the description into the folder that it is of."""
        content = {"format_version": FORMAT_VERSION, **asdict(self)}
        write_atomically(folder / DESCRIPTION_FILE, signed(content))

    @classmethod
    def read(cls, folder: Path) -> OnnxDescription:
        """Read and check the description of an export.

        Raises:
            InputError: there is none, another version of lsr wrote it, or it is damaged.
        """
        path = folder / DESCRIPTION_FILE
        try:
            content, is_intact = read_signed(path.read_text("utf-8"))
            version = content.pop("format_version")
            if version in (OLD_FORMAT, FORMAT_VERSION) and is_intact:
                return cls._from_content(content, version)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InputError(
                f"{folder} holds no model exported to ONNX (there is no {DESCRIPTION_FILE}); make "
                f"one with: lsr export-onnx MODEL {folder}"
            ) from error
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror}); check it", path=path) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(path, "it is not a description", "MODEL") from error
        if version not in (OLD_FORMAT, FORMAT_VERSION):
            reason = f"it has format {version} and this lsr reads {OLD_FORMAT} and {FORMAT_VERSION}"
        else:
            reason = "it has changed since it was written"
        raise _damaged(path, reason, str(content.get("model", "MODEL")))

    @classmethod
    def _from_content(cls, content: dict[str, Any], version: int) -> OnnxDescription:
        told = dict(content)
        if version == OLD_FORMAT:
            prompt = told.pop("prompt")
            sizes = told.pop("dimension"), told.pop("max_tokens")
            recipe = DenseRecipe(*sizes, query_prompt=prompt, document_prompt=prompt, is_old=True)
        else:
            recipe = DenseRecipe(**told["recipe"])
        return cls(**{**told, "recipe": recipe, "inputs": tuple(told["inputs"])})

    def check_files(self, folder: Path) -> None:
        """Compare every file with its checksum.

        Raises:
            InputError: names the first that is missing or differs.
        """
        for name, sha256 in self.files.items():
            path = folder / name
            try:
                found = sha256_of(path)
            except OSError as error:
                raise _damaged(path, f"it is lost ({error.strerror})", self.model) from error
            if found != sha256:
                raise _damaged(path, "it has changed since it was written", self.model)


class OnnxEncoder:
    """A `DenseEncoder` over an export, on the CPU. May be used from several threads at once.

    Each text is computed on OMP_NUM_THREADS threads; without that variable, on one a core.

    Args:
        folder: what `lsr export-onnx` wrote.

    Raises:
        InputError: the folder is no export, or a file of it is missing or damaged.
        UnavailableError: onnxruntime is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._description = OnnxDescription.read(folder)
        self.name = self._description.model
        if importlib.util.find_spec("onnxruntime") is None:
            raise UnavailableError(
                f"the dense model in {folder} needs onnxruntime, which is not installed; "
                "run: pip install 'lsr-search[onnx]'"
            )
        self._description.check_files(folder)
        self._session = _open_session(folder / MODEL_FILE, self.name)
        self._tokenizer = _open_tokenizer(folder / TOKENIZER_FILE)
        self._tokenizer_json = self._tokenizer.to_str().encode()
        self._tokenizer.no_padding()

    @property
    def recipe(self) -> DenseRecipe:
        """The recipe of the vectors."""
        return self._description.recipe

    @property
    def dimension(self) -> int:
        return self.recipe.dimension

    @property
    def tokenizer_json(self) -> bytes:
        """The tokenizer, as tokenizer.json holds it."""
        content: bytes = self._tokenizer_json
        return content

    @property
    def identity(self) -> EncoderIdentity:
        return self._description.identity

    def encode_documents(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Vectors, shape (n_texts, dimension); an empty text gives a row of zeros.

        Args:
            texts: a vector depends on its text alone, to the last bit.
            progress: called with the number of texts done so far.
        """
        return self._encode(texts, self.recipe.document_prompt, progress)

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors, shape (n_texts, dimension); an empty text gives a row of zeros."""
        return self._encode(texts, self.recipe.query_prompt, None)

    def _encode(
        self, texts: Sequence[str], prompt: str, progress: Callable[[int], None] | None
    ) -> NDArray[np.float32]:
        is_marked, most = self.recipe.pooling == TCT_COLBERT, None
        prompted = [prompt + text for text in texts]
        if is_marked and prompt == QUERY_MARK:
            prompted, most = [filled(text) for text in prompted], QUERY_TOKENS
        encodings = self._tokenizer.encode_batch(prompted, add_special_tokens=not is_marked)
        vectors, done = np.zeros((len(texts), self.dimension), np.float32), 0
        # one by one: a row of ONNX Runtime's products depends on how many stand beside it
        for place, (text, encoding) in enumerate(zip(texts, encodings, strict=True)):
            if text:
                vectors[place] = self._encode_one(encoding, most)
                done += 1
                if progress is not None:
                    progress(done)
        return vectors

    def _encode_one(self, encoding: Any, most: int | None) -> Any:
        tokens = {
            name: np.array([getattr(encoding, TOKEN_COLUMNS[name])[:most]], np.int64)
            for name in self._description.inputs
        }
        return self._session.run(None, tokens)[0][0]


def is_export(folder: Path) -> bool:
    """Whether the folder says that it is one, be it whole or not."""
    return (folder / DESCRIPTION_FILE).is_file()


def cached_export(model: str, options: DenseOptions | None = None) -> Path:
    """Folder where the export of the model of that name is looked for; it need not exist.

    Exports by other options lie beside it, each in a folder of its own.
    """
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", model)[-64:].strip(".-")
    name = f"{readable or 'model'}-{_short_hash(model)}"
    given = options.given() if options is not None else {}
    given.pop("trust_remote_code", None)  # a graph runs no code
    if given:
        name += f"-{_short_hash(json.dumps(given, sort_keys=True))}"
    return user_cache() / "onnx" / name


def cached_exports(model: str) -> list[Path]:
    """All exports of the model of that name that are there, the one without options first."""
    first = cached_export(model)
    return [
        each for each in (first, *sorted(first.parent.glob(f"{first.name}-*"))) if is_export(each)
    ]


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _open_session(path: Path, model: str) -> Any:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    options = onnxruntime.SessionOptions()
    threads = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    options.intra_op_num_threads = int(threads) if threads.isdecimal() else 0  # 0: one a core
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised
    # idle threads would spin between queries, on cores that the sparse side needs
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented) as error:
        raise _damaged(path, f"onnxruntime {onnxruntime.__version__} refuses it", model) from error


def _open_tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(path))


def _damaged(path: Path, reason: str, model: str) -> DataError:
    return DataError(
        f"{reason}, so this export cannot be used; make it again with: lsr export-onnx {model} "
        f"{path.parent}",
        path=path,
    )
