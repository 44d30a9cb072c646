"""A bounded memory of masks, the least recently used of which go first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lsr.index.storage.segment import frozen
from lsr.retrieval.filter import Clause

__all__ = ["MaskCache"]

Mask = NDArray[np.bool_]

MASK_BYTES = 64 * 1024 * 1024
"""Bytes of masks that are kept for a segment."""


class MaskCache:
    """Masks by clause. May be used from many threads.

    Args:
        most_bytes: kept at most; one mask is always kept.
    """

    def __init__(self, most_bytes: int = MASK_BYTES) -> None:
        self._most_bytes = most_bytes
        self._n_bytes = 0
        self._masks: OrderedDict[Clause, Mask] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._masks)

    def get(self, clause: Clause, make: Callable[[], Mask]) -> Mask:
        """The mask of a clause, read-only, made now if it is not there."""
        with self._lock:
            found = self._masks.get(clause)
            if found is not None:
                self._masks.move_to_end(clause)
                return found
        made = frozen(make())
        with self._lock:
            if clause not in self._masks:
                self._masks[clause] = made
                self._n_bytes += made.nbytes
            while self._n_bytes > self._most_bytes and len(self._masks) > 1:
                _, dropped = self._masks.popitem(last=False)
                self._n_bytes -= dropped.nbytes
        return made
