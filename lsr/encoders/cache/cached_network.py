"""Vectors of a network that are kept on disk between calls."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lsr.encoders.cache.vector_cache import VectorCache
from lsr.encoders.learned.model_source import Network
from lsr.sparse import CSR

__all__ = ["CachedNetwork"]


class CachedNetwork:
    """A `Network` that encodes no document twice.

    Args:
        network: what encodes.
        folder: where vectors are kept.
        key: of the model and how it computes; vectors of other keys are not taken.
    """

    def __init__(self, network: Network, folder: Path, key: str) -> None:
        self._network = network
        identity = hashlib.sha256(key.encode()).hexdigest()
        self._cache = VectorCache(folder, identity, name="learned", remembers=True)

    @property
    def n_terms(self) -> int:
        return self._network.n_terms

    def encode(self, texts: Sequence[str], side: Literal["query", "document"]) -> CSR:
        """Vectors, one row per text; documents from the folder where they are there.

        Raises:
            StorageError: the folder cannot be written.
        """
        if side == "query" or not texts:
            return self._network.encode(texts, side)
        return self._cache.sparse(
            "document", texts, lambda chunk, _: self._network.encode(chunk, "document")
        )
