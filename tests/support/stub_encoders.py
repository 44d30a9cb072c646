"""Encoders for tests that need no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lsr.types import EncoderIdentity


class StubDense:
    """Three numbers from a text; counts what it was asked for."""

    dimension = 3

    def __init__(self, sha256: str = "stub") -> None:
        self.identity = EncoderIdentity("dense", "stub", sha256)
        self.encoded: list[list[str]] = []
        self.fail_at: int | None = None

    def encode_documents(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        if self.fail_at == len(self.encoded):
            raise KeyboardInterrupt
        self.encoded.append(list(texts))
        vectors = np.array([[len(text), 1, text.count("e")] for text in texts], np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        if progress is not None:
            progress(len(texts))
        return vectors

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.encode_documents(texts)
