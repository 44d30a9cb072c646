"""Seventy short documents about five topics, and a dense encoder that knows just these."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.types import Document, EncoderIdentity

__all__ = ["DOCUMENTS", "Topics"]

TOPICS = (("heron", "bird"), ("river", "stream"), ("otter", "fur"), ("night", "dark"), ("boat",))
PLANTS = "alder beech cedar elder fir hazel iris lotus maple oak poplar reed sedge willow".split()


class Topics:
    """A dense encoder for tests: an axis for each topic, whatever word it is named by."""

    identity = EncoderIdentity("dense", "topics", "0" * 64, {})
    dimension = len(TOPICS) + 1

    def encode_documents(self, texts: Any, progress: Any = None) -> NDArray[np.float32]:
        return self.encode_queries(texts)

    def encode_queries(self, texts: Any) -> NDArray[np.float32]:
        found = [
            [float(any(word in text.lower() for word in topic)) for topic in TOPICS] + [0.1]
            for text in texts
        ]
        vectors = np.array(found, np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def _document(n: int) -> Document:
    topics = [TOPICS[(n + k * (n % 3 + 1)) % 5] for k in range(2 + n % 3)]
    words = [topic[(n // (k + 2)) % len(topic)] for k, topic in enumerate(topics)]
    text = f"A {' and a '.join(words)} beside the {PLANTS[n // 5]}."
    return Document(f"d{n:02}", text, f"{words[0].title()} {words[1]}", {"year": 2000 + n % 4})


DOCUMENTS = [_document(n) for n in range(70)]
"""Each plant is in five of them: few enough to be learned by feedback."""
