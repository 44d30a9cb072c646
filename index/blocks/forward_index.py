"""The forward index: every document's vector in one place, heaviest terms first.

A document's `head` holds a fixed number of its heaviest terms in one record, so that its
address follows from its row and most documents are judged by it alone; the others are in its
`tail`. Terms ascend in each. Weights are 8-bit codes on one scale; what the codes leave out lies
apart, in `rest`, and is read for the final scores only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks.config import StoredValues
from lsr.index.jit import kernel
from lsr.sparse import CSR

__all__ = [
    "ForwardIndex",
    "component_dtype",
    "head_length",
    "read_vectors",
    "stored_value",
    "stored_weights",
    "usual_largest",
]

TOP_CODE = 255
TOP_STEP = 65_407
"""The largest 16-bit value: 255 * 256 + 127, as its low byte is signed."""

NARROW = 65_536
"""Vocabularies of at most this many terms have 16-bit components."""

HEAD_LENGTHS = (8, 16, 32, 64, 96, 128)
OUTLIERS = 1e-4
"""So large a share of weights may be cut to the largest code, where values are kept apart."""


@dataclass(frozen=True)
class ForwardIndex:
    """Vectors of documents, by row.

    Attributes:
        head: uint8, shape (n_documents * head_bytes,): records of `head_length` components, then
            as many codes; what is left over is component 0 with code 0.
        tail: uint8: records of components, then codes; filled up like heads to a multiple of as
            many entries as a component has bytes, so that all components are aligned.
        tail_start: int64, shape (n_documents + 1,): entries of tails before each document's.
        rest: int8 or float32, shape (n_documents * head_length + n_tail,): for each entry of head,
            then of tail: the low byte of its 16-bit value, or the weight itself.
        head_length: entries of a head.
        scale: weight of one code.
    """

    head: NDArray[np.uint8]
    tail: NDArray[np.uint8]
    tail_start: NDArray[np.int64]
    rest: NDArray[np.int8] | NDArray[np.float32]
    head_length: int
    scale: float

    @classmethod
    def build(cls, documents: CSR, values: StoredValues) -> ForwardIndex:
        """Lay out `documents`.

        Args:
            values: "u16" or "f32", as in `BuildConfig`.
        """
        n = documents.n_rows
        length = head_length(documents)
        term_type = np.zeros(0, component_dtype(documents.n_terms))
        largest = float(documents.weights.max(initial=0.0))
        if values == "u16":
            # a number that float32 holds, so that the tiniest weights keep their steps too
            scale = 256 * float(np.nextafter(np.float32(largest / TOP_STEP), np.float32(1)))
        else:
            scale = usual_largest(documents.weights) / TOP_CODE
        scale = scale or 1.0
        lengths = np.maximum(np.diff(documents.indptr) - length, 0)
        lengths += -lengths % term_type.itemsize  # so that components are aligned
        tail_start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        width = term_type.itemsize + 1
        head = np.zeros(n * length * width, np.uint8)
        tail = np.zeros(tail_start[-1] * width, np.uint8)
        n_entries = n * length + tail_start[-1]
        rest = np.zeros(n_entries, np.int8 if values == "u16" else np.float32)
        _lay_out(
            documents.indptr,
            documents.terms,
            documents.weights,
            np.float32(scale),
            length,
            term_type,
            head,
            tail,
            tail_start,
            rest,
        )
        return cls(head, tail, tail_start, rest, length, scale)


def component_dtype(n_terms: int) -> type[np.uint16] | type[np.uint32]:
    """The smallest type for the terms of a vocabulary."""
    return np.uint16 if n_terms <= NARROW else np.uint32


def stored_weights(weights: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Weights as "u16" values give them back, to the bit as searches read them."""
    largest = np.float32(TOP_STEP)
    steps = np.minimum(np.rint(weights / np.float32(scale) * np.float32(256)), largest)
    return np.asarray(steps * np.float32(scale / 256), np.float32)


def read_vectors(
    head: NDArray[np.uint8],
    tail: NDArray[np.uint8],
    tail_start: NDArray[np.int64],
    rest: NDArray[np.int8] | NDArray[np.float32],
    length: int,
    scale: float,
    term_type: NDArray[Any],
    n_terms: int,
) -> CSR:
    """The documents of a forward index, with their weights as they are stored.

    Args:
        length: entries of a head.
        term_type: an empty array of the type of components.
    """
    indptr = np.zeros(len(tail_start), np.int64)
    terms = np.empty(len(rest), np.int32)
    weights = np.empty(len(rest), np.float32)
    arrays = (head, tail, tail_start, rest, length, np.float32(scale / 256), term_type)
    n = _read_back(*arrays, indptr, terms, weights)
    return CSR(indptr, terms[:n].copy(), weights[:n].copy(), n_terms)


def head_length(documents: CSR) -> int:
    """Entries of a head: about half of a document's, in whole cache lines if there are many."""
    mean = documents.nnz / max(documents.n_rows, 1)
    return next((n for n in HEAD_LENGTHS if n >= 0.5 * mean), HEAD_LENGTHS[-1])


def usual_largest(weights: NDArray[np.float32]) -> float:
    """A weight that all but a few outliers are below; outliers share the largest code."""
    if len(weights) == 0:
        return 0.0
    place = min(len(weights) - 1, int(len(weights) * (1 - OUTLIERS)))
    return float(np.partition(weights, place)[place])


@kernel
def _lay_out(
    indptr: NDArray[np.int64],
    terms: NDArray[np.int32],
    weights: NDArray[np.float32],
    scale: float,
    length: int,
    term_type: NDArray[np.uint16],
    head: NDArray[np.uint8],
    tail: NDArray[np.uint8],
    tail_start: NDArray[np.int64],
    rest: NDArray[np.int8],
) -> None:
    """Fill `head`, `tail` and `rest`, whose type says how values are stored.

    Args:
        term_type: an empty array of the type of components.
    """
    width = term_type.itemsize
    head_bytes = length * (width + 1)
    head_terms = head.view(term_type.dtype)
    tail_terms = tail.view(term_type.dtype)
    whole = rest.itemsize > 1
    histogram = np.zeros(TOP_CODE + 2, np.int64)
    n_documents = len(indptr) - 1
    for row in range(n_documents):
        begin, end = indptr[row], indptr[row + 1]
        histogram[:] = 0
        for i in range(begin, end):
            histogram[_code(weights[i], scale)] += 1
        # entries above `cut` are in the head, and the first `n_ties` of those at it
        cut, n_above = TOP_CODE + 1, 0
        while cut > 0 and n_above + histogram[cut - 1] <= length:
            cut -= 1
            n_above += histogram[cut]
        cut -= 1
        n_ties = length - n_above
        at_head = 0
        at_tail = 0
        tail_first = tail_start[row]
        tail_length = tail_start[row + 1] - tail_first
        term_base = row * head_bytes // width
        code_base = row * head_bytes + length * width
        tail_term_base = tail_first * (width + 1) // width
        tail_code_base = tail_first * (width + 1) + tail_length * width
        for i in range(begin, end):
            code = _code(weights[i], scale)
            in_head = code > cut
            if code == cut and n_ties > 0:
                in_head = True
                n_ties -= 1
            if in_head:
                head_terms[term_base + at_head] = terms[i]
                head[code_base + at_head] = code
                place = row * length + at_head
                at_head += 1
            else:
                tail_terms[tail_term_base + at_tail] = terms[i]
                tail[tail_code_base + at_tail] = code
                place = n_documents * length + tail_first + at_tail
                at_tail += 1
            if whole:
                rest[place] = weights[i]
            else:
                rest[place] = _step(weights[i], scale) - code * 256


@kernel
def stored_value(code: int, rest: float, step: np.float32, whole: bool) -> np.float32:
    """The stored weight of an entry, from its 8-bit code and its `rest`.

    Args:
        step: the weight of one 16-bit step.
        whole: whether `rest` is the weight itself.
    """
    if whole:
        return np.float32(rest)
    return np.float32(np.float32(np.int32(code) * 256 + np.int32(rest)) * step)


@kernel
def _step(weight: float, scale: float) -> np.int32:
    """The 16-bit value of a weight."""
    return np.int32(min(np.rint(weight / scale * np.float32(256.0)), np.float32(TOP_STEP)))


@kernel
def _code(weight: float, scale: float) -> np.int32:
    """The 8-bit code of a weight."""
    return np.int32((_step(weight, scale) + 128) >> 8)


@kernel
def _read_back(
    head: NDArray[np.uint8],
    tail: NDArray[np.uint8],
    tail_start: NDArray[np.int64],
    rest: NDArray[np.int8],
    length: int,
    step: float,
    term_type: NDArray[np.uint16],
    out_indptr: NDArray[np.int64],
    out_terms: NDArray[np.int32],
    out_weights: NDArray[np.float32],
) -> int:
    """Put each document's head and tail together; what fills them up weighs nothing.

    Returns:
        How many entries there are.
    """
    width = term_type.itemsize
    record = width + 1
    whole = rest.itemsize > 1
    n_documents = len(out_indptr) - 1
    n = 0
    for row in range(n_documents):
        begin = n
        first = tail_start[row]
        n_tail = tail_start[row + 1] - first
        for part, base, size, place in (
            (head, row * length * record, length, row * length),
            (tail, first * record, n_tail, n_documents * length + first),
        ):
            components = part[base : base + size * width].view(term_type.dtype)
            codes = part[base + size * width : base + size * record]
            for i in range(size):
                weight = stored_value(codes[i], rest[place + i], step, whole)
                if weight > 0:
                    out_terms[n] = components[i]
                    out_weights[n] = weight
                    n += 1
        order = np.argsort(out_terms[begin:n])
        out_terms[begin:n] = out_terms[begin:n][order]
        out_weights[begin:n] = out_weights[begin:n][order]
        out_indptr[row + 1] = n
    return n
