"""Models whose networks are kept in eight bits on disk: a quarter of the size.

A packed folder (`lsr export MODEL OUT --format packed`) is one of sentence-transformers whose
`model.safetensors` became `model.int8.safetensors`: each matrix as int8 with a float32 scale for
each row (`NAME.scale`) and perhaps for each column (`NAME.columns`), all else in float32. Queries
need no network and read the folder as it is. For documents in torch it is unpacked once into the
user's cache; without torch they take the graph in `onnx/`, which is given these matrices as they
are. It needs NumPy and safetensors, no torch.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.errors import DataError, StorageError
from lsr.files import sync_tree
from lsr.machine import user_cache

__all__ = [
    "AS_INT8",
    "AS_IT_IS",
    "COLUMNS",
    "GRAPH_FOLDER",
    "PACKED_FILE",
    "PLAIN_FILE",
    "SCALE",
    "TURNED",
    "graph_matrices",
    "is_network",
    "packed_matrix",
    "unpack",
    "unpacked",
]

GRAPH_FOLDER = "onnx"
PACKED_FILE = "model.int8.safetensors"
PLAIN_FILE = "model.safetensors"
SCALE = ".scale"
COLUMNS = ".columns"
AS_INT8, AS_IT_IS, TURNED = "int8:", "float:", "turned:"
"""Before a parameter's name, how a graph wants it: int8 (in, out), float32 (out, in), or (in, out).
"""
SMALLEST = 1 << 16
"""Matrices with fewer numbers stay in float32."""


def packed_matrix(values: NDArray[np.generic]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A matrix, shape (n, m), as int8 of that shape and a scale for each row, shape (n,)."""
    wide = values.astype(np.float32)
    scale = np.maximum(np.abs(wide).max(axis=1) / 127, np.finfo(np.float32).tiny)
    return np.rint(wide / scale[:, None]).astype(np.int8), scale.astype(np.float32)


def unpacked(folder: Path) -> Path:
    """The folder itself, or, if it is packed, one in the user's cache with its networks whole.

    Raises:
        DataError: a packed file is damaged.
        StorageError: the cache cannot be written.
    """
    packed = sorted(folder.rglob(PACKED_FILE))
    if not packed:
        return folder
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if _matters(file)):
        digest.update(file.relative_to(folder).as_posix().encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    target = user_cache() / "models" / f"{folder.resolve().name}-{digest.hexdigest()[:16]}"
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
        try:
            whole = work / "model"
            unpack(folder, whole)
            sync_tree(whole)
            try:
                whole.rename(target)
            except OSError:
                if not target.is_dir():  # another process was faster
                    raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"the model {folder.name} cannot be unpacked into {target.parent} "
            f"({error.strerror or error}); free some space there, or set XDG_CACHE_HOME"
        ) from error
    return target


def unpack(folder: Path, whole: Path) -> None:
    """Write a copy of a packed folder with its networks whole, at a path that is free.

    Raises:
        DataError: a packed file is damaged.
        OSError: the copy cannot be written; what there is of it stays.
    """
    from safetensors.numpy import save_file

    shutil.copytree(folder, whole, ignore=shutil.ignore_patterns(GRAPH_FOLDER))
    for file in sorted(folder.rglob(PACKED_FILE)):
        place = whole / file.relative_to(folder)
        save_file(_whole(file), place.with_name(PLAIN_FILE), metadata={"format": "pt"})
        place.unlink()


def graph_matrices(file: Path, names: Iterable[str]) -> dict[str, NDArray[np.generic]]:
    """Matrices of a packed file as a graph wants them.

    Args:
        names: of parameters, with `AS_INT8`, `AS_IT_IS` or `TURNED` before each.

    Raises:
        DataError: the file is damaged, or lacks one.
    """
    tensors = _read(file)
    found: dict[str, NDArray[np.generic]] = {}
    for name in names:
        form, parameter = name[: name.index(":") + 1], name[name.index(":") + 1 :]
        try:
            if form == AS_INT8:
                found[name] = np.ascontiguousarray(tensors[parameter].T)
            else:
                whole = _plain(tensors, parameter)
                found[name] = np.ascontiguousarray(whole.T) if form == TURNED else whole
        except KeyError as error:
            raise _damaged(file, error) from error
    return found


def is_network(file: Path) -> bool:
    """Whether it holds more than a query table."""
    return (file.parent / "config.json").is_file() and file.stat().st_size > SMALLEST * 16


def _matters(file: Path) -> bool:
    """Whether it is more than words and figures about the model."""
    return file.is_file() and file.suffix != ".md" and file.name != "figures.json"


def _whole(file: Path) -> dict[str, NDArray[np.float32]]:
    tensors = _read(file)
    try:
        return {
            name: _plain(tensors, name) for name in tensors if not name.endswith((SCALE, COLUMNS))
        }
    except (ValueError, KeyError) as error:
        raise _damaged(file, error) from error


def _plain(tensors: dict[str, NDArray[np.generic]], name: str) -> NDArray[np.float32]:
    values = tensors[name].astype(np.float32)
    if tensors[name].dtype == np.int8:
        values *= tensors[name + SCALE].astype(np.float32)[:, None]
        if name + COLUMNS in tensors:
            values *= tensors[name + COLUMNS].astype(np.float32)
    return values


def _read(file: Path) -> dict[str, NDArray[np.generic]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors: dict[str, NDArray[np.generic]] = load_file(file)
        return tensors
    except (OSError, ValueError, SafetensorError) as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> DataError:
    return DataError(f"is damaged ({error}); install the model again", path=file)
