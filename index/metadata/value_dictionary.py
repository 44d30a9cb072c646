"""The distinct values of a field, in order, as one array of bytes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from lsr.retrieval.scalar import Scalar, scalar_of

__all__ = ["ValueDictionary"]

_FEW = 500


class ValueDictionary(Sequence[bytes]):
    """Values in canonical JSON, in UTF-8, ascending; a value's code is its place.

    Args:
        values: ascending as bytes, each once.

    Attributes:
        is_small: whether there are so few values that all of them are read at once, and kept.
    """

    def __init__(self, values: Sequence[bytes]) -> None:
        self._text = b"".join(values)
        self._edges = np.zeros(len(values) + 1, np.int64)
        np.cumsum([len(value) for value in values], out=self._edges[1:])
        self.is_small = len(values) <= _FEW
        self._scalars: list[Scalar] | None = None

    def __len__(self) -> int:
        return len(self._edges) - 1

    def __getitem__(self, code: Any) -> Any:
        return self._text[self._edges[code] : self._edges[code + 1]]

    def find(self, value: bytes) -> int:
        """The code of a value, or -1."""
        code = bisect_left(self, value)
        return code if code < len(self) and self[code] == value else -1

    def scalar(self, code: int) -> Scalar:
        """The value of a code, as metadata has it."""
        if not self.is_small:
            return scalar_of(str(self[code], "utf-8"))
        if self._scalars is None:
            self._scalars = [scalar_of(value) for value in self.stored()]
        return self._scalars[code]

    def stored(self) -> list[str]:
        """All values in canonical JSON."""
        edges = self._edges.tolist()
        text = self._text
        return [str(text[a:b], "utf-8") for a, b in pairwise(edges)]
