"""Pickled scores by ids, as sentence-transformers' cross-encoder scores of MS MARCO are kept.

A pickle may name any function to be called as it is read. Here none can be: it may hold dicts,
numbers and text alone.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from lsr.datasets.lines import open_binary
from lsr.errors import DataError

__all__ = ["pickled_scores"]


class _Refused(pickle.UnpicklingError):
    """The pickle names something other than its own values."""


class _PlainUnpickler(pickle.Unpickler):
    """Reads values that a pickle holds in itself; what it would import is refused by name."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise _Refused(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise _Refused(f"an object kept elsewhere ({pid!r})")


def pickled_scores(path: Path) -> Iterator[tuple[str, str, float]]:
    """Query id, document id and score of each pair in a pickle of `{query_id: {doc_id: score}}`.

    Args:
        path: plain, or packed (`.gz`, `.zst`). The whole of it is in memory at once.

    Raises:
        DataError: it cannot be read, holds anything but dicts, numbers and text, or a score is not
            finite in 32 bits.
    """
    with open_binary(path) as stream:
        try:
            scores = _PlainUnpickler(stream).load()
        except _Refused as error:
            raise DataError(
                f"the pickle would load {error}; give one of dicts, numbers and text alone, or "
                "JSON lines of query_id, doc_id, score",
                path=path,
            ) from error
        except (
            pickle.UnpicklingError,
            EOFError,
            ValueError,
            IndexError,
            KeyError,
            AttributeError,
            TypeError,
            MemoryError,
            OverflowError,
        ) as error:
            reason = str(error) or type(error).__name__
            raise DataError(f"is not a whole pickle ({reason})", path=path) from error
    if not isinstance(scores, dict):
        raise DataError("the pickle is not a dict of query ids to dicts of scores", path=path)
    for query_id, found in scores.items():
        if not isinstance(found, dict) or not _is_id(query_id):
            raise DataError(f"query {query_id!r} has no dict of document ids to scores", path=path)
        for doc_id, score in found.items():
            if not _is_id(doc_id) or not _is_score(score):
                raise DataError(
                    f"document {doc_id!r} of query {query_id!r} has the score {score!r}, which is "
                    "no number that fits 32 bits",
                    path=path,
                )
            yield str(query_id), str(doc_id), float(score)


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _is_score(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) <= float(np.finfo(np.float32).max)
