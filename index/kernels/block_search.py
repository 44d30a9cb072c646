"""The kernel of block search: Seismic's query processing (Bruch et al., SIGIR 2024), re-arranged.

Blocks of all visited lists are taken in one descending order of estimates. Documents are judged
by the heads of their 8-bit vectors, those that may matter by the whole, and the best few by their
stored weights. Estimates and first scores are whole numbers in one unit: a code of the query times
a code of a document.

Loops count in unsigned numbers where Numba would else test every index for being negative.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks import layout as at
from lsr.index.blocks.neighbours import neighbour
from lsr.index.jit import kernel
from lsr.index.kernels.block_estimates import estimate, falling, heaviest
from lsr.index.kernels.block_scores import Vectors, put_hits, room_for_places, stored_keys
from lsr.index.kernels.block_visits import visit
from lsr.index.kernels.scratch import clear_query, put_query, scratch_parts
from lsr.index.kernels.sparse_dot import FEW_TERMS
from lsr.index.kernels.top_k import TIE_MASK, keep_best

__all__ = ["search_blocks"]

QUERY_TOP = 255
SPARE_CANDIDATES = 1_024
LARGEST_SCORE = 2**31 - 1


@kernel
def search_blocks(
    query_indptr: NDArray[np.int64],
    query_terms: NDArray[np.int32],
    query_weights: NDArray[np.float32],
    first: int,
    last: int,
    blob: NDArray[np.uint8],
    layout: NDArray[np.int64],
    term_type: NDArray[np.uint16],
    entry_type: NDArray[np.uint32],
    rest_type: NDArray[np.int8],
    tie_order: NDArray[np.int32],
    row_at_tie: NDArray[np.int32],
    blocked: NDArray[np.uint8],
    query_cut: int,
    heap_factor: float,
    n_knn: int,
    scratch: NDArray[np.uint8],
    out_rows: NDArray[np.int32],
    out_scores: NDArray[np.float32],
) -> None:
    """Approximate top-k of queries `first` to `last - 1`.

    Args:
        query_indptr, query_terms, query_weights: the queries as a CSR; terms without a list are
            ignored.
        blob, layout: a packed block index, see `lsr.index.blocks.layout`.
        term_type, entry_type, rest_type: empty arrays of the types of components, of summaries'
            entries and of rest.
        tie_order: int32, shape (n_documents,): place of each row among equal scores.
        row_at_tie: int32, shape (n_documents,): the inverse of `tie_order`.
        blocked: bits of rows that are not returned, as `np.packbits(…, bitorder="little")` gives
            them, or empty.
        query_cut, heap_factor, n_knn: see `SearchParams`. With a heap factor of 0 nothing is
            skipped: every document in a visited list gets its stored weights' score.
        scratch: `scratch_bytes` of zeros, and of `blocked` bits at the visited ones.
        out_rows, out_scores: as in `scan_batch`.
    """
    k = out_rows.shape[1]
    n_documents = layout[at.N_DOCUMENTS]
    n_terms = layout[at.N_TERMS]
    seen, visited, codes_of, weights_of, _, counters = scratch_parts(scratch, n_documents, n_terms)
    everything = heap_factor == 0.0
    n_final = k + k // 4 + 10
    n_room = n_documents if everything else n_final + SPARE_CANDIDATES
    candidates = np.empty(n_room, np.uint64)
    heap = np.empty(k, np.int32)
    out_bits = out_scores.view(np.int32)
    longest = 0
    for q in range(first, last):
        longest = max(longest, query_indptr[q + 1] - query_indptr[q])
    chosen = np.empty(min(query_cut, longest), np.int64)
    few_terms = np.empty(FEW_TERMS, term_type.dtype)
    few_codes = np.empty(FEW_TERMS, np.uint16)
    places = room_for_places(layout, longest)
    vectors = (blob, layout, term_type, rest_type, codes_of, weights_of, places, tie_order)
    if len(blocked) > 0:
        visited[: len(blocked)] = blocked

    for q in range(first, last):
        start = query_indptr[q]
        end = query_indptr[q + 1]
        while end > start and query_terms[end - 1] >= n_terms:
            end -= 1
        q_terms = query_terms[start:end]
        q_weights = query_weights[start:end]
        top = min(QUERY_TOP, LARGEST_SCORE // (256 * max(len(q_terms), 1)))
        put_query(q_terms, q_weights, top, codes_of, weights_of)
        n_few = len(q_terms) if len(q_terms) <= FEW_TERMS else 0
        for i in range(n_few):
            few_terms[i] = q_terms[i]
            few_codes[i] = codes_of[q_terms[i]]
        n_chosen = heaviest(q_weights, chosen)
        blocks, estimates = estimate(
            blob, layout, term_type, entry_type, q_terms, codes_of, chosen[:n_chosen], everything
        )
        order, shift = falling(estimates)
        n_seen, n_hits = visit(
            blob,
            layout,
            term_type,
            codes_of,
            few_terms[:n_few],
            few_codes[:n_few],
            blocks,
            estimates,
            order,
            shift,
            heap_factor,
            heap,
            visited,
            seen,
            candidates,
            n_final,
            counters,
        )
        counters[0] += len(blocks)
        if not everything:
            n_hits = keep_best(candidates, n_hits, n_final)
        hits = candidates[:n_hits]
        stored_keys(*vectors, hits)
        n_hits = keep_best(candidates, n_hits, k)
        if n_knn > 0:
            n_seen, n_hits = _visit_neighbours(
                vectors,
                row_at_tie,
                n_knn,
                visited,
                seen,
                n_seen,
                candidates,
                n_hits,
                k,
            )
        put_hits(candidates[:n_hits], row_at_tie, out_rows[q], out_bits[q])
        for i in range(n_seen):
            row = np.uint32(seen[i])
            bit = np.uint8(1) << np.uint8(row & np.uint32(7))
            visited[row >> np.uint32(3)] &= np.uint8(255) - bit
        clear_query(q_terms, codes_of, weights_of)
    if len(blocked) > 0:
        visited[: len(blocked)] = 0


@kernel
def _visit_neighbours(
    vectors: Vectors,
    row_at_tie: NDArray[np.int32],
    n_knn: int,
    visited: NDArray[np.uint8],
    seen: NDArray[np.int32],
    n_seen: int,
    candidates: NDArray[np.uint64],
    n_hits: int,
    k: int,
) -> tuple[int, int]:
    """Score the stored neighbours of hits that were not seen; the `k` best are left in front.

    Returns:
        How many documents were seen by now, and how many hits there are.
    """
    blob, layout = vectors[0], vectors[1]
    packed = at.part(blob, layout, at.NEIGHBOURS, np.uint8)
    n_stored = layout[at.N_NEIGHBOURS]
    n_documents = layout[at.N_DOCUMENTS]
    hits = candidates[:n_hits].copy()
    for i in range(len(hits)):
        row = np.int64(row_at_tie[np.int64(TIE_MASK - (hits[i] & TIE_MASK))])
        for j in range(min(n_knn, n_stored)):
            other = neighbour(packed, n_documents, row * n_stored + j)
            bit = np.uint8(1) << np.uint8(other & 7)
            if other == row or visited[other >> 3] & bit:
                continue
            visited[other >> 3] |= bit
            seen[n_seen] = other
            n_seen += 1
            if n_hits == len(candidates):
                n_hits = keep_best(candidates, n_hits, k)
            candidates[n_hits] = np.uint64(other)
            one = candidates[n_hits : n_hits + 1]
            stored_keys(*vectors, one)
            n_hits += 1
    return n_seen, keep_best(candidates, n_hits, k)
