"""A learned sparse model's folder, read without torch: where its query table is, and its hash.

The folder is one of sentence-transformers' `SparseEncoder`: `modules.json`, in it a `Router` whose
query route is one `SparseStaticEmbedding` (then queries need no network), or a transformer for
both sides. A masked language model with an `idf.json` beside it (OpenSearch's layout) counts as the
first, one without (SPLADE's) as the second.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.learned.bundled_models import bundled_folder, bundled_models
from lsr.encoders.learned.recommended import SearchDefaults
from lsr.errors import DataError, InputError

__all__ = ["EXPORT_FILE", "TABLE_FILE", "ModelFolder", "read_tensor"]

EXPORT_FILE = "lsr-sparse-onnx.json"
"""Describes a model exported to ONNX (`lsr.encoders.learned.onnx_network`), beside its graph."""

TABLE_FILE = "weights.npy"
"""In such an export, below `query/`: the query table."""

_INFLUENTIAL = (
    "*.safetensors",
    "*.bin",
    "*.model",
    "*.onnx",
    "*.onnx.data",
    "config.json",
    "config_sentence_transformers.json",
    "idf.json",
    EXPORT_FILE,
    "merges.txt",
    "modules.json",
    "router_config.json",
    "sentence_*_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    TABLE_FILE,
)
"""Files of a module that its output depends on; a README is none. (`search_defaults.json` is kept
with each index.)"""

_CODE = "*.py"
"""Code of its own, which a model's output depends on where it is trusted."""

_FRAMEWORK = {"DualEncoder", "MLM", "MLP", "BINARY", "CLS_MLM"}
"""Kinds of checkpoints of the framework of Nguyen et al. 2023, in their config.json."""

_BERT = {"BertTokenizer", "DistilBertTokenizer", "PreTrainedTokenizer", "TokenizersBackend"}
"""Classes of tokenizers that a vocab.txt alone describes, without "Fast" at their ends."""

_MOST_TOKENS = 1_000_000
"""Limits above this stand for none, in tokenizer_config.json."""


@dataclass(frozen=True)
class ModelFolder:
    """A model on disk.

    Attributes:
        path: the folder.
        query: the folder of the query route's table, or None where queries need the network.
        modules: folders of all modules, the model's own among them.
        prompts: name to text that goes before what is encoded.
        max_active: entries kept of a vector by default, or None.
        defaults: how it is used best, as its authors found.
    """

    path: Path
    query: Path | None
    modules: tuple[Path, ...]
    prompts: dict[str, str]
    max_active: int | None
    defaults: SearchDefaults

    @classmethod
    def open(cls, name: str) -> ModelFolder:
        """Find out what a folder, a model that comes with this package, or one of the hub, holds.

        Raises:
            InputError: there is no such model, or the folder holds none.
        """
        path = Path(name) if Path(name).is_dir() else bundled_folder(name) or _downloaded(name)
        if (path / EXPORT_FILE).is_file():
            modules = [path, path / "query"]
        elif (path / "modules.json").is_file():
            modules = [path / _name(entry, "path") for entry in _json(path / "modules.json", list)]
        elif (path / "config.json").is_file():
            _check_no_framework(path)
            modules = [path]
        else:
            raise InputError(
                f"{path} holds no model (there is no modules.json, nor config.json); give a folder "
                "that sentence-transformers' SparseEncoder was saved in"
            )
        query = path if (path / "idf.json").is_file() else None
        if (path / "query" / TABLE_FILE).is_file():
            query = path / "query"
        for module in list(modules):
            if (module / "router_config.json").is_file():
                routes = _json(module / "router_config.json", dict).get("structure") or {}
                folders = {key: [module / name for name in names] for key, names in routes.items()}
                modules += [folder for names in folders.values() for folder in names]
                table = folders.get("query") or []
                static = len(table) == 1 and "SparseStaticEmbedding" in table[0].name
                query = table[0] if static else None
        config: dict[str, Any] = {}
        if (path / "config_sentence_transformers.json").is_file():
            config = _json(path / "config_sentence_transformers.json", dict)
        prompts = {key: str(text) for key, text in (config.get("prompts") or {}).items() if text}
        return cls(
            path=path,
            query=query,
            modules=tuple(dict.fromkeys([path, *modules])),
            prompts=prompts,
            max_active=config.get("max_active_dims"),
            defaults=SearchDefaults.read(path),
        )

    def sha256(self, *, with_code: bool = False) -> str:
        """The hash of all files that the model's output depends on, whatever the folder's place.

        Args:
            with_code: count the code that the folder brings along.
        """
        patterns = (*_INFLUENTIAL, _CODE) if with_code else _INFLUENTIAL
        found = {
            file.relative_to(self.path).as_posix(): file
            for folder in self.modules
            for pattern in patterns
            for file in folder.glob(pattern)
            if file.is_file()
        }
        digest = hashlib.sha256()
        for name in sorted(found):
            digest.update(f"{len(name)} {name}".encode())
            with found[name].open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()

    def tokenizer_json(self) -> bytes:
        """The tokenizer that queries are cut by; of a BERT, vocab.txt alone will do.

        Raises:
            DataError: there is none of the package tokenizers.
        """
        folders = (*([self.query] if self.query else []), *self.modules)
        for folder in folders:
            if (folder / "tokenizer.json").is_file():
                return (folder / "tokenizer.json").read_bytes()
        for folder in folders:
            if (folder / "vocab.txt").is_file():
                return _tokenizer_of(folder)
        raise DataError(
            "has no tokenizer.json; load and save the model with sentence-transformers, which "
            "writes one",
            path=self.path,
        )

    def truncation(self) -> tuple[int | None, str]:
        """The greatest number of tokens of a query, or None; and the side that is cut off."""
        for folder in (*([self.query] if self.query else []), *self.modules):
            if (folder / "tokenizer_config.json").is_file():
                config = _json(folder / "tokenizer_config.json", dict)
                most = config.get("model_max_length")
                limited = isinstance(most, int | float) and most < _MOST_TOKENS
                side = str(config.get("truncation_side") or "right")
                return (int(most) if limited else None), side
        return None, "right"

    def query_weights(self, vocabulary: dict[str, int]) -> NDArray[np.float32]:
        """The query table, shape (n_terms,).

        Args:
            vocabulary: token to number, of the tokenizer.

        Raises:
            DataError: the table cannot be read.
            InputError: the model has none.
        """
        if self.query is None:
            raise InputError(f"{self.path} has no query table: its queries need the network")
        if (self.query / TABLE_FILE).is_file():
            return _table(self.query / TABLE_FILE)
        idf = self._idf_json()
        if idf is None:
            return read_tensor(self.query / "model.safetensors", "weight").reshape(-1)
        weights = np.zeros(len(vocabulary), np.float32)
        unknown = vocabulary.get("[UNK]", vocabulary.get("<unk>", -1))
        for token, weight in _json(idf, dict).items():
            number = vocabulary.get(token, unknown)
            if 0 <= number < len(weights):
                weights[number] = weight
        return weights

    def _idf_json(self) -> Path | None:
        assert self.query is not None
        config: dict[str, Any] = {}
        if self.query != self.path and (self.query / "config.json").is_file():
            config = _json(self.query / "config.json", dict)
        named = str(config.get("path") or "")
        has_tensor = self.query != self.path and (self.query / "model.safetensors").is_file()
        if has_tensor and not named.endswith(".json"):
            return None
        places = [self.query / Path(named).name, self.path / Path(named).name] if named else []
        places += [self.query / "idf.json", self.path / "idf.json"]
        return next((place for place in places if place.is_file()), None)


def read_tensor(path: Path, name: str) -> NDArray[np.float32]:
    """One array of a safetensors file, as float32.

    Raises:
        DataError: there is no such file or array, or its bytes do not fit its shape.
    """
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > 100_000_000:
                raise ValueError("its head is longer than any")
            head = json.loads(stream.read(length))[name]
            first, last = head["data_offsets"]
            stream.seek(8 + length + first)
            data = stream.read(last - first)
        if head["dtype"] == "BF16":
            wide = np.frombuffer(data, "<u2").astype(np.uint32) << 16
            return wide.view(np.float32).reshape(head["shape"])
        kind = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}[head["dtype"]]
        return np.frombuffer(data, kind).astype(np.float32).reshape(head["shape"])
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise DataError(
            f"the array {name!r} cannot be read ({error}); save the model again", path=path
        ) from error


def _tokenizer_of(folder: Path) -> bytes:
    """The tokenizer.json that transformers makes of a BERT's vocab.txt."""
    from tokenizers import BertWordPieceTokenizer
    from tokenizers.models import WordPiece

    config: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            config |= _json(folder / name, dict)
    kind = str(config.get("tokenizer_class") or "BertTokenizer")
    if kind.removesuffix("Fast") not in _BERT:
        raise DataError(
            f"has a vocab.txt of the tokenizer {kind} and no tokenizer.json; load and save the "
            "model with sentence-transformers, which writes one",
            path=folder,
        )
    special = {}
    for name in ("unk", "sep", "cls", "pad", "mask"):
        token = config.get(f"{name}_token") or f"[{name.upper()}]"
        special[f"{name}_token"] = str(token["content"] if isinstance(token, dict) else token)
    try:
        tokenizer = BertWordPieceTokenizer(
            vocab=WordPiece.read_file(str(folder / "vocab.txt")),
            clean_text=True,
            handle_chinese_chars=config.get("tokenize_chinese_chars", True),
            strip_accents=config.get("strip_accents"),
            lowercase=config.get("do_lower_case", True),
            **special,
        )
    except Exception as error:  # the package raises nothing narrower
        raise DataError(
            f"is no vocabulary of a BERT ({error}); save the model again", path=folder / "vocab.txt"
        ) from error
    return str(tokenizer.to_str()).encode()


def _check_no_framework(folder: Path) -> None:
    kind = _json(folder / "config.json", dict).get("model_type")
    if kind in _FRAMEWORK:
        raise InputError(
            f"{folder} is a checkpoint of thongnt99/learned-sparse-retrieval (model_type {kind}), "
            "whose classes neither transformers nor lsr has; train that method here with lsr train "
            "(docs/training.md), or take the model from a folder of sentence-transformers"
        )


def _table(path: Path) -> NDArray[np.float32]:
    try:
        return np.asarray(np.load(path, allow_pickle=False), np.float32).reshape(-1)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"cannot be read ({error}); export the model again", path=path) from error


def _downloaded(name: str) -> Path:
    """The folder of a model of the hub, downloaded when it is not here yet."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, ignore_patterns=["*.onnx", "*.h5", "*.msgpack"]))
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(
            f"the sparse model {name!r} cannot be loaded ({reason}); give bm25, a folder that "
            "holds a SparseEncoder, one of lsr models "
            f"({', '.join(each.name for each in bundled_models())}), or a hub id while online"
        ) from error


def _json(path: Path, kind: type[Any]) -> Any:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot be read ({error}); save the model again", path=path) from error
    if not isinstance(content, kind):
        raise DataError(f"is no JSON {kind.__name__}; save the model again", path=path)
    return content


def _name(entry: object, key: str) -> str:
    return str(entry.get(key) or "") if isinstance(entry, dict) else ""
