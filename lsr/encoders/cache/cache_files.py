"""Files of a cache: shards of a few thousand rows, each found by the SHA-256 of its content.

CACHE/v1-IDENTITY/shard-…/    keys.npy, one .npy for each array, and shard.json with the size and
                              SHA-256 of each; written beside, on disk, and renamed when whole

A shard of which any byte differs is not used; its rows are made again.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError, StorageError
from lsr.files import UNFINISHED, sync, sync_tree
from lsr.locks import held

__all__ = ["KEY_BYTES", "Arrays", "Shard", "ShardFolder"]

FORMAT_VERSION = 1
KEY_BYTES = 32
KEYS, RECORD = "keys", "shard.json"
_LOCK = "lock"

Arrays = dict[str, NDArray[Any]]
"""Named arrays of the rows of a shard."""


class Shard:
    """A shard whose record and keys are whole.

    Attributes:
        keys: of its rows, in order.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder = folder
        record = json.loads((folder / RECORD).read_text("utf-8"))
        if record["identity"] != identity:
            raise ValueError("a shard of another teacher")
        self._files: dict[str, dict[str, Any]] = record["files"]
        keys = self._array(KEYS)
        if keys.dtype != np.uint8 or keys.ndim != 2 or keys.shape[1] != KEY_BYTES:
            raise ValueError("keys of another shape")
        self.keys = [row.tobytes() for row in keys]

    def arrays(self) -> Arrays:
        """All arrays but the keys.

        Raises:
            ValueError, OSError: a file is missing, cut short or changed.
        """
        return {name: self._array(name) for name in self._files if name != KEYS}

    def _array(self, name: str) -> NDArray[Any]:
        content = (self.folder / f"{name}.npy").read_bytes()
        expected = self._files[name]
        if len(content) != expected["size_bytes"]:
            raise ValueError(f"{name} is cut short")
        if hashlib.sha256(content).hexdigest() != expected["sha256"]:
            raise ValueError(f"{name} has changed")
        array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
        return array


class ShardFolder:
    """The shards of one identity below a cache folder.

    Args:
        folder: of the cache; need not exist.
        identity: a SHA-256 in hexadecimal. Others' shards are never seen.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self.path = folder / f"v{FORMAT_VERSION}-{identity[:32]}"
        self._identity = identity

    def names(self) -> list[str]:
        """Names of all shards, in order; none when there is no folder yet."""
        if not self.path.is_dir():
            return []
        return sorted(path.name for path in self.path.iterdir() if path.name[:6] == "shard-")

    def open(self, name: str) -> Shard | None:
        """The shard of that name, or None when it is damaged or gone."""
        try:
            return Shard(self.path / name, self._identity)
        except (OSError, ValueError, KeyError, TypeError, EOFError):
            return None

    def remove(self, name: str) -> None:
        """Take a damaged shard away. Only under the lock."""
        shutil.rmtree(self.path / name, ignore_errors=True)

    def write(self, keys: Sequence[bytes], arrays: Mapping[str, NDArray[Any]]) -> str:
        """Write a shard; it is there, whole, or not at all. Only under the lock.

        Returns:
            Its name.

        Raises:
            StorageError: it cannot be written.
        """
        rows = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), KEY_BYTES)
        name = f"shard-{hashlib.sha256(rows.tobytes()).hexdigest()[:32]}"
        draft: Path | None = None
        try:
            draft = Path(tempfile.mkdtemp(prefix=f"{UNFINISHED}-", dir=self.path))
            files = {}
            for array_name, array in {KEYS: rows, **arrays}.items():
                content = io.BytesIO()
                np.save(content, array, allow_pickle=False)
                (draft / f"{array_name}.npy").write_bytes(content.getvalue())
                files[array_name] = {
                    "size_bytes": len(content.getvalue()),
                    "sha256": hashlib.sha256(content.getvalue()).hexdigest(),
                }
            record = {"identity": self._identity, "files": files}
            (draft / RECORD).write_text(json.dumps(record, indent=2) + "\n", "utf-8")
            sync_tree(draft)
            self.remove(name)
            draft.replace(self.path / name)
            sync(self.path)
            return name
        except OSError as error:
            raise StorageError(
                f"the cache {self.path} cannot be written ({error.strerror or error}); free some "
                "space or choose another cache folder"
            ) from error
        finally:
            if draft is not None:
                shutil.rmtree(draft, ignore_errors=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer, waiting for another; what one left unfinished is cleared.

        Raises:
            InputError: the cache is not a folder.
            StorageError: the folder cannot be made, or written to.
        """
        lock = ExitStack()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.enter_context(held(self.path / _LOCK))
        except (FileExistsError, NotADirectoryError) as error:
            raise InputError(
                f"{self.path.parent} is to hold a cache and is a file; choose a folder"
            ) from error
        except OSError as error:
            raise StorageError(
                f"the cache {self.path} cannot be made ({error.strerror or error}); choose "
                "another cache folder"
            ) from error
        with lock:
            for left in self.path.glob(f"{UNFINISHED}-*"):
                shutil.rmtree(left, ignore_errors=True)
            yield
