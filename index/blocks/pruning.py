"""Static pruning: which entries of documents become postings (Bruch et al. 2024, section 5)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError
from lsr.index.blocks.config import GlobalPruning, ListPruning, NoPruning, Pruning
from lsr.index.jit import kernel
from lsr.sparse import CSR

__all__ = ["PrunedLists", "prune"]

MAX_POSTINGS = 2**32 - 1
_BIN_BITS = 12
"""Weights are told apart by their bits above these: to one part in 2,048."""


class PrunedLists(NamedTuple):
    """Inverted lists of what was kept.

    Attributes:
        indptr: int64, shape (n_terms + 1,).
        rows: int32, ascending in each list.
        weights: float32.
    """

    indptr: NDArray[np.int64]
    rows: NDArray[np.int32]
    weights: NDArray[np.float32]


def prune(documents: CSR, pruning: Pruning) -> PrunedLists:
    """The postings that `pruning` keeps.

    Where more entries are equal than fit, those kept are spread evenly over the documents.

    Raises:
        InputError: more postings than can be numbered.
    """
    n_kept = documents.nnz
    longest = documents.n_rows
    if isinstance(pruning, GlobalPruning):
        n_kept = min(n_kept, documents.n_terms * pruning.n_postings)
        longest = max(1, int(pruning.n_postings * pruning.max_fraction))
    elif isinstance(pruning, ListPruning):
        longest = pruning.n_postings
    else:
        assert isinstance(pruning, NoPruning)
    if n_kept > MAX_POSTINGS:
        raise InputError(
            f"{n_kept:,} postings, and a segment holds {MAX_POSTINGS:,} at most; "
            "prune more, or split the collection"
        )
    bits = documents.weights.view(np.int32)
    cut, n_ties, n_tied = _threshold(bits, n_kept)
    lengths = np.zeros(documents.n_terms, np.int64)
    _count(documents.terms, bits, cut, n_ties, n_tied, lengths)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = np.empty(indptr[-1], np.int32)
    weights = np.empty(indptr[-1], np.float32)
    _fill(
        documents.indptr,
        documents.terms,
        documents.weights,
        bits,
        cut,
        n_ties,
        n_tied,
        indptr[:-1].copy(),
        rows,
        weights,
    )
    return _capped(PrunedLists(indptr, rows, weights), longest)


def _threshold(bits: NDArray[np.int32], n_kept: int) -> tuple[int, int, int]:
    """The bin from which on entries are kept, how many of that bin, and of how many."""
    counts = np.bincount(bits >> _BIN_BITS, minlength=1)
    above = np.cumsum(counts[::-1])
    place = int(np.searchsorted(above, n_kept))
    if place >= len(above):
        return 0, 0, 0
    cut = len(counts) - 1 - place
    tied = int(counts[cut])
    return cut, n_kept - (int(above[place]) - tied), tied


@kernel
def _is_kept(level: int, cut: int, seen: int, n_ties: int, n_tied: int) -> bool:
    """Whether an entry stays; of those at the cut, every so-manieth does."""
    if level != cut or n_tied == 0:
        return level >= cut
    return (seen + 1) * n_ties // n_tied > seen * n_ties // n_tied


@kernel
def _count(
    terms: NDArray[np.int32],
    bits: NDArray[np.int32],
    cut: int,
    n_ties: int,
    n_tied: int,
    lengths: NDArray[np.int64],
) -> None:
    seen = 0
    for i in range(len(terms)):
        level = bits[i] >> _BIN_BITS
        if _is_kept(level, cut, seen, n_ties, n_tied):
            lengths[terms[i]] += 1
        seen += level == cut


@kernel
def _fill(
    indptr: NDArray[np.int64],
    terms: NDArray[np.int32],
    weights: NDArray[np.float32],
    bits: NDArray[np.int32],
    cut: int,
    n_ties: int,
    n_tied: int,
    cursors: NDArray[np.int64],
    out_rows: NDArray[np.int32],
    out_weights: NDArray[np.float32],
) -> None:
    seen = 0
    for row in range(len(indptr) - 1):
        for i in range(indptr[row], indptr[row + 1]):
            level = bits[i] >> _BIN_BITS
            if _is_kept(level, cut, seen, n_ties, n_tied):
                place = cursors[terms[i]]
                out_rows[place] = row
                out_weights[place] = weights[i]
                cursors[terms[i]] = place + 1
            seen += level == cut


def _capped(lists: PrunedLists, longest: int) -> PrunedLists:
    """Lists cut to their heaviest `longest`; among equals the lower rows stay."""
    lengths = np.diff(lists.indptr)
    if not (lengths > longest).any():
        return lists
    kept = np.ones(len(lists.rows), bool)
    for term in np.flatnonzero(lengths > longest):
        part = slice(lists.indptr[term], lists.indptr[term + 1])
        weights = lists.weights[part]
        least = np.partition(weights, len(weights) - longest)[len(weights) - longest]
        above = weights > least
        ties = np.flatnonzero(weights == least)[: longest - int(above.sum())]
        above[ties] = True
        kept[part] = above
    indptr = np.concatenate([[0], np.cumsum(np.minimum(lengths, longest))]).astype(np.int64)
    return PrunedLists(indptr, lists.rows[kept], lists.weights[kept])
