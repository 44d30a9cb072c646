"""Models whose networks are kept in eight bits on disk: a quarter of the size.

A packed folder is one of sentence-transformers whose `model.safetensors` became
`model.int8.safetensors`: each matrix as int8 with a float32 scale for each row (`NAME.scale`), all
else in float32. Queries need no network and read the folder as it is; for documents it is unpacked
once into the user's cache. It needs NumPy and safetensors, no torch.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.errors import DataError, InputError, StorageError

__all__ = ["PACKED_FILE", "pack", "packed_matrix", "unpacked", "user_cache"]

PACKED_FILE = "model.int8.safetensors"
PLAIN_FILE = "model.safetensors"
SCALE = ".scale"
SMALLEST = 1 << 16
"""Matrices with fewer numbers stay in float32."""


def pack(source: Path, target: Path) -> int:
    """Write a packed copy of a model's folder; returns its bytes.

    Args:
        target: where it shall be; nothing may be there.

    Raises:
        InputError: there is something, or the model has no network in safetensors.
        StorageError: it cannot be written.
    """
    if target.exists():
        raise InputError(f"{target} is there already; name another folder")
    from safetensors.numpy import load_file, save_file

    networks = [file for file in source.rglob(PLAIN_FILE) if _is_network(file)]
    if not networks:
        raise InputError(f"{source} has no network in {PLAIN_FILE} that could be packed")
    try:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(".*"))
        for file in networks:
            tensors: dict[str, NDArray[np.generic]] = {}
            for name, values in load_file(file).items():
                if values.ndim == 2 and values.size >= SMALLEST:
                    tensors[name], tensors[name + SCALE] = packed_matrix(values)
                else:
                    tensors[name] = values.astype(np.float32)
            place = target / file.relative_to(source)
            save_file(tensors, place.with_name(PACKED_FILE))
            place.with_name(PACKED_FILE).chmod(0o644)
            place.unlink()
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise StorageError(f"{target} cannot be written ({error.strerror or error})") from error
    return sum(file.stat().st_size for file in target.rglob("*") if file.is_file())


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
    from safetensors.numpy import save_file

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
        try:
            whole = work / "model"
            shutil.copytree(folder, whole)
            for file in packed:
                place = whole / file.relative_to(folder)
                save_file(_whole(place), place.with_name(PLAIN_FILE), metadata={"format": "pt"})
                place.unlink()
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


def user_cache() -> Path:
    """Where this user's derived files are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lsr"


def _matters(file: Path) -> bool:
    """Whether it is more than words and figures about the model."""
    return file.is_file() and file.suffix != ".md" and file.name != "figures.json"


def _is_network(file: Path) -> bool:
    """Whether it holds more than a query table."""
    return (file.parent / "config.json").is_file() and file.stat().st_size > SMALLEST * 16


def _whole(file: Path) -> dict[str, NDArray[np.float32]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(file)
        return {
            name: values * tensors[name + SCALE][:, None] if values.dtype == np.int8 else values
            for name, values in tensors.items()
            if not name.endswith(SCALE)
        }
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise DataError(f"is damaged ({error}); install the model again", path=file) from error
