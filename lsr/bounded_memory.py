"""`BoundedMemory`: what was made once and may be made again, within a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

__all__ = ["BoundedMemory"]

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedMemory(Generic[Key, Value]):
    """Values by key, the least recently used of which go first. May be used from many threads.

    Args:
        most_bytes: kept at most, as those who put values in count them.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._n_bytes = 0
        self._kept: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def n_bytes(self) -> int:
        """Bytes of all that is kept."""
        return self._n_bytes

    def get(self, key: Key) -> Value | None:
        """The value of a key, or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def several(self, keys: Sequence[Key]) -> list[Value | None]:
        """The values of keys, or None, in their order."""
        kept = self._kept
        with self._lock:
            found = [kept.get(key) for key in keys]
            for key, each in zip(keys, found, strict=True):
                if each is not None:
                    kept.move_to_end(key)
        return [None if each is None else each[0] for each in found]

    def put(self, key: Key, value: Value, n_bytes: int) -> None:
        """Keep a value, unless it is above the bound by itself."""
        if n_bytes > self._most_bytes:
            return
        with self._lock:
            before = self._kept.pop(key, None)
            self._n_bytes += n_bytes - (before[1] if before is not None else 0)
            self._kept[key] = (value, n_bytes)
            while self._n_bytes > self._most_bytes:
                _, (_, freed) = self._kept.popitem(last=False)
                self._n_bytes -= freed
