"""Kernels that score documents by their stored weights, to the bit as exact search does."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks import layout as at
from lsr.index.blocks.forward_index import stored_value
from lsr.index.jit import kernel
from lsr.index.kernels.prefetch import prefetch
from lsr.index.kernels.scratch import clear_query, put_query, scratch_parts
from lsr.index.kernels.top_k import SCORE_SHIFT, SPARE_KEYS, TIE_MASK, keep_best

__all__ = [
    "Forward",
    "Vectors",
    "forward_views",
    "put_hits",
    "room_for_places",
    "score_rows_stored",
    "score_stored",
    "search_rows",
    "stored_keys",
]


Vectors = tuple[Any, ...]
"""The arguments of `stored_keys` but for the keys: documents and a query."""

Forward = tuple[Any, ...]
"""Arrays that `forward_views` gives."""

LAG = 6
"""Documents fetched ahead of the one that is scored."""

LINE = 64


@kernel
def forward_views(
    blob: NDArray[np.uint8],
    layout: NDArray[np.int64],
    term_type: NDArray[np.uint16],
    rest_type: NDArray[np.int8],
) -> Forward:
    """The forward index as whole arrays, made once for many documents.

    A slice for every document would take longer than the document: Numba counts its references.

    Args:
        blob, layout: a packed block index, see `lsr.index.blocks.layout`.
        term_type, rest_type: empty arrays of the types of components and rest.
    """
    head = at.part(blob, layout, at.HEAD, np.uint8)
    tail = at.part(blob, layout, at.TAIL, np.uint8)
    return (
        head.view(term_type.dtype),
        head,
        tail.view(term_type.dtype),
        tail,
        at.part(blob, layout, at.TAIL_START, np.int64),
        at.part(blob, layout, at.REST, rest_type.dtype),
        layout[at.HEAD_LENGTH],
        np.float32(layout[at.SCALE : at.SCALE + 1].view(np.float64)[0] / 256),
    )


@kernel
def _matches(
    codes_of: NDArray[np.uint8],
    terms: NDArray[np.uint16],
    begin: int,
    length: int,
    places: NDArray[np.int32],
    n_places: int,
) -> np.int64:
    """Append the places, from `begin` on, of terms that the query has.

    It has no branches, which a processor could not foretell, and counts without signs, which would
    have every place tested for being negative.

    Returns:
        How many places there are now.
    """
    n = np.uint64(n_places)
    first = np.uint64(begin)
    for i in range(np.uint64(length)):
        places[n] = i
        n += np.uint64(codes_of[terms[first + i]] > np.uint8(0))
    return np.int64(n)


@kernel
def score_stored(
    head_terms: NDArray[np.uint16],
    head: NDArray[np.uint8],
    tail_terms: NDArray[np.uint16],
    tail: NDArray[np.uint8],
    tail_start: NDArray[np.int64],
    stored: NDArray[np.int8],
    length: int,
    step: np.float32,
    codes_of: NDArray[np.uint8],
    weights_of: NDArray[np.float32],
    places: NDArray[np.int32],
    row: int,
) -> np.float32:
    """One document's score: float32, summed in ascending order of terms.

    Head and tail ascend each; what both have of the query is merged.

    Args:
        head_terms … step: see `forward_views`.
        codes_of: by term, above 0 where the query has it.
        weights_of: the query's weights by term.
        places: working memory, see `room_for_places`.
    """
    width = head_terms.itemsize
    record = width + 1
    whole = stored.itemsize > 1
    first = tail_start[row]
    n = tail_start[row + 1] - first
    h_begin = row * length * record
    t_begin = first * record
    h_terms = h_begin // width
    t_terms = t_begin // width
    h_codes = h_begin + length * width
    t_codes = t_begin + n * width
    h_rest = row * length
    t_rest = (len(tail_start) - 1) * length + first
    n_head = _matches(codes_of, head_terms, h_terms, length, places, 0)
    n_all = _matches(codes_of, tail_terms, t_terms, n, places, n_head)
    score = np.float32(0.0)
    h = 0
    t = n_head
    while h < n_head or t < n_all:
        in_head = t == n_all
        if h < n_head and not in_head:
            in_head = head_terms[h_terms + places[h]] < tail_terms[t_terms + places[t]]
        if in_head:
            place = np.int64(places[h])
            h += 1
            term = head_terms[h_terms + place]
            value = stored_value(head[h_codes + place], stored[h_rest + place], step, whole)
        else:
            place = np.int64(places[t])
            t += 1
            term = tail_terms[t_terms + place]
            value = stored_value(tail[t_codes + place], stored[t_rest + place], step, whole)
        score += weights_of[term] * value
    return score


@kernel
def _fetch(
    head: NDArray[np.uint8],
    tail: NDArray[np.uint8],
    tail_start: NDArray[np.int64],
    stored: NDArray[np.int8],
    length: int,
    record: int,
    row: int,
) -> None:
    """Ask for the cache lines that scoring a document reads."""
    first = tail_start[row]
    last = tail_start[row + 1]
    for place in range(row * length * record, (row + 1) * length * record, LINE):
        prefetch(head, place)
    for place in range(first * record, last * record, LINE):
        prefetch(tail, place)
    step = LINE // stored.itemsize
    for place in range(row * length, (row + 1) * length, step):
        prefetch(stored, place)
    rest = (len(tail_start) - 1) * length
    for place in range(rest + first, rest + last, step):
        prefetch(stored, place)


@kernel
def room_for_places(layout: NDArray[np.int64], n_query: int) -> NDArray[np.int32]:
    """Working memory of `score_stored` for queries of `n_query` terms."""
    return np.empty(2 * layout[at.HEAD_LENGTH] + n_query + 5, np.int32)


@kernel
def stored_keys(
    blob: NDArray[np.uint8],
    layout: NDArray[np.int64],
    term_type: NDArray[np.uint16],
    rest_type: NDArray[np.int8],
    codes_of: NDArray[np.uint8],
    weights_of: NDArray[np.float32],
    places: NDArray[np.int32],
    tie_order: NDArray[np.int32],
    keys: NDArray[np.uint64],
) -> None:
    """Turn keys `anything << 32 | row` into `bits of the stored score << 32 | tie`.

    Of two, the larger one stands first: by score descending, then by tie order ascending.

    Args:
        blob, layout, term_type, rest_type: see `forward_views`.
        codes_of, weights_of: the query by term, as `put_query` spreads it.
        places: working memory, see `room_for_places`.
        tie_order: int32, shape (n_documents,): place of each row among equal scores.
    """
    forward = forward_views(blob, layout, term_type, rest_type)
    _fill_keys(*forward, codes_of, weights_of, places, tie_order, keys)


@kernel
def _fill_keys(
    head_terms: NDArray[np.uint16],
    head: NDArray[np.uint8],
    tail_terms: NDArray[np.uint16],
    tail: NDArray[np.uint8],
    tail_start: NDArray[np.int64],
    stored: NDArray[np.int8],
    length: int,
    step: np.float32,
    codes_of: NDArray[np.uint8],
    weights_of: NDArray[np.float32],
    places: NDArray[np.int32],
    tie_order: NDArray[np.int32],
    keys: NDArray[np.uint64],
) -> None:
    """`stored_keys` of `forward_views`: arguments cost less in a loop than parts of a tuple."""
    score = np.empty(1, np.float32)
    bits = score.view(np.int32)
    record = head_terms.itemsize + 1
    for i in range(-2 * LAG, len(keys)):
        if i + 2 * LAG < len(keys):
            prefetch(tail_start, np.int64(keys[i + 2 * LAG] & TIE_MASK))
        if -LAG <= i < len(keys) - LAG:
            ahead = np.int64(keys[i + LAG] & TIE_MASK)
            _fetch(head, tail, tail_start, stored, length, record, ahead)
        if i < 0:
            continue
        row = np.int64(keys[i] & TIE_MASK)
        score[0] = score_stored(
            head_terms,
            head,
            tail_terms,
            tail,
            tail_start,
            stored,
            length,
            step,
            codes_of,
            weights_of,
            places,
            row,
        )
        keys[i] = (np.uint64(bits[0]) << SCORE_SHIFT) | (TIE_MASK - np.uint64(tie_order[row]))


@kernel
def put_hits(
    keys: NDArray[np.uint64],
    row_at_tie: NDArray[np.int32],
    out_rows: NDArray[np.int32],
    out_bits: NDArray[np.int32],
) -> None:
    """Write the hits of one query, whose keys ascend: rows and the bits of scores, the best first.

    Documents that score 0 have nothing in common with the query, and are none.
    """
    n = len(keys)
    for place in range(len(out_rows)):
        key = keys[n - 1 - place] if place < n else np.uint64(0)
        score = np.int32(key >> SCORE_SHIFT)
        out_bits[place] = score
        out_rows[place] = row_at_tie[np.int64(TIE_MASK - (key & TIE_MASK))] if score > 0 else -1


@kernel
def score_rows_stored(
    query_terms: NDArray[np.int32],
    query_weights: NDArray[np.float32],
    rows: NDArray[np.int32],
    blob: NDArray[np.uint8],
    layout: NDArray[np.int64],
    term_type: NDArray[np.uint16],
    rest_type: NDArray[np.int8],
    scratch: NDArray[np.uint8],
    out_scores: NDArray[np.float32],
) -> None:
    """Scores of chosen rows by their stored weights.

    Args:
        query_terms, query_weights: the query, terms ascending; those without a list are ignored.
        blob, layout, term_type, rest_type: see `forward_views`.
        scratch: `scratch_bytes` of zeros.
        out_scores: float32, of the length of `rows`; takes the scores.
    """
    n_terms = layout[at.N_TERMS]
    _, _, codes_of, weights_of, _, _ = scratch_parts(scratch, layout[at.N_DOCUMENTS], n_terms)
    known = np.searchsorted(query_terms, n_terms)
    put_query(query_terms[:known], query_weights[:known], 1, codes_of, weights_of)
    places = room_for_places(layout, known)
    forward = forward_views(blob, layout, term_type, rest_type)
    for i in range(len(rows)):
        out_scores[i] = score_stored(*forward, codes_of, weights_of, places, np.int64(rows[i]))
    clear_query(query_terms[:known], codes_of, weights_of)


@kernel
def search_rows(
    query_indptr: NDArray[np.int64],
    query_terms: NDArray[np.int32],
    query_weights: NDArray[np.float32],
    first: int,
    last: int,
    rows: NDArray[np.int32],
    blob: NDArray[np.uint8],
    layout: NDArray[np.int64],
    term_type: NDArray[np.uint16],
    rest_type: NDArray[np.int8],
    tie_order: NDArray[np.int32],
    row_at_tie: NDArray[np.int32],
    scratch: NDArray[np.uint8],
    out_rows: NDArray[np.int32],
    out_scores: NDArray[np.float32],
) -> None:
    """Exact top-k of queries `first` to `last - 1` among `rows`, each of which is scored.

    Args:
        blob, layout, term_type, rest_type: see `forward_views`.
        scratch: `scratch_bytes` of zeros.
        query_indptr … query_weights, tie_order, row_at_tie, out_rows, out_scores: as in
            `search_blocks`.
    """
    k = out_rows.shape[1]
    n_terms = layout[at.N_TERMS]
    _, _, codes_of, weights_of, _, _ = scratch_parts(scratch, layout[at.N_DOCUMENTS], n_terms)
    keys = np.empty(k + SPARE_KEYS, np.uint64)
    out_bits = out_scores.view(np.int32)
    for q in range(first, last):
        begin, end = query_indptr[q], query_indptr[q + 1]
        end = begin + np.searchsorted(query_terms[begin:end], n_terms)
        q_terms = query_terms[begin:end]
        put_query(q_terms, query_weights[begin:end], 1, codes_of, weights_of)
        places = room_for_places(layout, len(q_terms))
        n = np.int64(0)
        done = np.int64(0)
        while done < len(rows):
            n_new = min(np.int64(len(keys) - n), np.int64(len(rows) - done))
            for i in range(n_new):
                keys[n + i] = np.uint64(rows[done + i])
            new = keys[n : n + n_new]
            stored_keys(
                blob, layout, term_type, rest_type, codes_of, weights_of, places, tie_order, new
            )
            n = np.int64(keep_best(keys, n + n_new, k))
            done += n_new
        put_hits(keys[:n], row_at_tie, out_rows[q], out_bits[q])
        clear_query(q_terms, codes_of, weights_of)
