"""Rows of sparse vectors on their way in: what readers of vector files yield, and what they check.

Files say things that a `CSR` cannot: components in any order, zeros, numbers of other types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from lsr.sparse import CSR

__all__ = ["CHUNK_ENTRIES", "CHUNK_ROWS", "RawRows", "VectorChunk", "VectorReader", "checked_rows"]

CHUNK_ROWS = 8_192
CHUNK_ENTRIES = 2**21
"""Entries after which a chunk ends, however few rows it has."""


@dataclass(frozen=True)
class VectorChunk:
    """Some documents of a vector file, in its order.

    Attributes:
        vectors: a row for each id. Without a width in the file, `n_terms` counts the terms seen
            so far: it grows from chunk to chunk.
        texts: what the documents say, blank where a line has no text; None when the format has
            none.
    """

    doc_ids: list[str]
    vectors: CSR
    texts: list[str] | None = None


class VectorReader(Protocol):
    """One format, opened.

    Attributes:
        n_rows, n_terms: None while the file has not told.
        vocabulary: the text of each term seen so far; None when components are numbers.
        n_zeros: weights of zero that the last pass dropped.
    """

    @property
    def n_rows(self) -> int | None: ...

    @property
    def n_terms(self) -> int | None: ...

    @property
    def vocabulary(self) -> list[str] | None: ...

    @property
    def n_zeros(self) -> int: ...

    def chunks(self, n_rows: int) -> Iterator[VectorChunk]: ...


class RawRows(NamedTuple):
    """Rows as a file has them.

    Attributes:
        lengths: int64, shape (n_rows,), 0 or more each.
        components: whole numbers, shape (n_entries,), in any order within a row.
        weights: numbers of any real type, shape (n_entries,).
    """

    lengths: NDArray[np.int64]
    components: NDArray[Any]
    weights: NDArray[Any]


def _number(component: int) -> str:
    return f"component {component}"


def checked_rows(
    raw: RawRows,
    n_terms: int,
    refuse: Callable[[int, str], NoReturn],
    label: Callable[[int], str] = _number,
) -> tuple[CSR, int]:
    """Rows as a matrix: components sorted, zeros dropped.

    Args:
        refuse: raises; called with the first row that is wrong (counted from 0 in `raw`) and what
            it has.
        label: what messages call a component.

    Returns:
        The matrix, and how many zeros there were. A weight too small for float32 is a zero.
    """
    given = raw.weights
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        weights = given.astype(np.float32)
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(raw.lengths, dtype=np.int64)])
    rows = np.repeat(np.arange(len(raw.lengths)), raw.lengths)
    components = raw.components.astype(np.int64)

    def check(wrong: NDArray[np.bool_], what: Callable[[int], str]) -> None:
        if wrong.any():
            entry = int(np.argmax(wrong))
            refuse(int(rows[entry]), what(entry))

    check(
        (components < 0) | (components >= n_terms),
        lambda i: f"component {components[i]}, which is outside 0..{n_terms - 1}",
    )
    check(
        ~np.isfinite(weights),
        lambda i: (
            f"weight {given[i]} for {label(int(components[i]))}; "
            "it must be a finite number that float32 holds"
        ),
    )
    check(
        given < 0,
        lambda i: (
            f"weight {given[i]} for {label(int(components[i]))}; weights must not be negative, so "
            "clip them when the vectors are made"
        ),
    )
    falls = np.diff(components, prepend=-1) <= 0
    falls[indptr[:-1][raw.lengths > 0]] = False
    if falls.any():
        order = np.argsort(rows * np.int64(n_terms) + components)
        components, weights = components[order], weights[order]
        twice = np.zeros(len(rows), bool)
        twice[1:] = (np.diff(components) == 0) & (np.diff(rows) == 0)
        check(
            twice, lambda i: f"{label(int(components[i]))} twice; add its weights up, or drop one"
        )
    zero = weights == 0
    n_zeros = int(np.count_nonzero(zero))
    if n_zeros:
        dropped = np.concatenate([np.zeros(1, np.int64), np.cumsum(zero)])
        indptr = indptr - dropped[indptr]
        components, weights = components[~zero], weights[~zero]
    return CSR(indptr, components.astype(np.int32), weights, n_terms), n_zeros
