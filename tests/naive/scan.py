"""Plain twins of the lists of exact search and of the search itself, and vectors to try them on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.forward_index import stored_weights
from lsr.index.blocks.scan_lists import TOP_CODE, WINDOW
from lsr.sparse import CSR

__all__ = [
    "Lists",
    "as_stored",
    "exact_hits",
    "exact_scores",
    "known_floors",
    "make_lists",
    "vectors",
]


class Lists(NamedTuple):
    """What `ScanLists` holds."""

    starts: list[int]
    rows: list[int]
    codes: list[int]
    steps: list[np.float32]
    errors: list[np.float32]
    lengths: list[int]


def make_lists(documents: CSR, weights: NDArray[np.float32], window: int = WINDOW) -> Lists:
    """The lists of documents with these weights."""
    lists: dict[tuple[int, int], list[tuple[int, np.float32]]] = {}
    largest = [np.float32(0)] * documents.n_terms
    lengths = [0] * documents.n_terms
    indptr, terms = documents.indptr.tolist(), documents.terms.tolist()
    for row in range(documents.n_rows):
        for i in range(indptr[row], indptr[row + 1]):
            place = row % window, weights[i]
            lists.setdefault((row // window, terms[i]), []).append(place)
            largest[terms[i]] = max(largest[terms[i]], weights[i])
            lengths[terms[i]] += 1
    steps = [most / np.float32(TOP_CODE) or most for most in largest]
    made = Lists([0], [], [], steps, [], lengths)
    worst = [np.float32(0)] * documents.n_terms
    for w in range(-(-documents.n_rows // window)):
        for term in range(documents.n_terms):
            for row, weight in lists.get((w, term), []):
                code = code_of(weight, steps[term])
                made.rows.append(row)
                made.codes.append(code)
                error = abs(float(weight) - float(steps[term]) * code)
                worst[term] = max(worst[term], np.float32(error))
            made.starts.append(len(made.rows))
    made.errors.extend(np.float32(error * np.float32(1 + 1e-6)) for error in worst)
    return made


def code_of(weight: np.float32, step: np.float32) -> int:
    """The nearest code that is not 0."""
    if step == 0:
        return 1
    return max(1, min(TOP_CODE, int(float(weight) / float(step) + 0.5)))


def as_stored(documents: CSR, index: BlockIndex) -> CSR:
    """The documents with their weights as `index` gives them back, zeros among them."""
    if index.config.values == "f32":
        return documents
    return documents._replace(weights=stored_weights(documents.weights, index.scale))


def exact_scores(documents: CSR, queries: CSR) -> NDArray[np.float32]:
    """Scores of all documents, shape (n_queries, n_rows), summed in ascending order of terms."""
    rows = np.repeat(np.arange(documents.n_rows), np.diff(documents.indptr))
    order = np.argsort(documents.terms, kind="stable")
    edges = np.searchsorted(documents.terms[order], np.arange(documents.n_terms + 1))
    scores = np.zeros((queries.n_rows, documents.n_rows), np.float32)
    with np.errstate(over="ignore", under="ignore"):
        for line in range(queries.n_rows):
            query = queries.row(line)
            for term, weight in zip(query.terms.tolist(), query.weights, strict=True):
                if term < documents.n_terms:
                    postings = order[edges[term] : edges[term + 1]]
                    scores[line, rows[postings]] += weight * documents.weights[postings]
    return scores


def exact_hits(
    scores: NDArray[np.float32],
    k: int,
    tie_order: NDArray[np.int32] | None = None,
    allowed: NDArray[np.bool_] | None = None,
) -> list[list[tuple[int, float]]]:
    """The `k` best rows of each line: score descending, then tie order ascending."""
    ties = np.arange(scores.shape[1]) if tie_order is None else tie_order
    found = []
    for line in scores:
        passing = line > 0 if allowed is None else (line > 0) & allowed
        rows = np.flatnonzero(passing)
        rows = rows[np.lexsort((ties[rows], -line[rows]))][:k]
        found.append(list(zip(rows.tolist(), line[rows].tolist(), strict=True)))
    return found


def known_floors(
    scores: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None, way: str
) -> NDArray[np.float32] | None:
    """Scores that `k` allowed documents have: the k-th best ones, or less."""
    if way == "none":
        return None
    passing = scores if allowed is None else scores[:, allowed]
    floors = np.zeros(len(scores), np.float32)
    if k <= passing.shape[1]:
        floors = -np.partition(-passing, k - 1, axis=1)[:, k - 1]
    rng = np.random.default_rng(k)
    if way == "below":
        return np.nextafter(floors, np.float32(0))
    if way == "far":
        return floors * rng.random(len(floors), np.float32)
    if way == "mixed":
        shares = rng.choice(np.array([0, 0.5, 0.999, 1], np.float32), len(floors))
        return np.asarray(floors * shares, np.float32)
    return floors


def vectors(rng: np.random.Generator, n: int, n_terms: int, per_row: int, kind: str = "any") -> CSR:
    """`n` rows of at most `per_row` terms, some of them empty.

    Args:
        kind: of weights: "equal", "few" different ones, "any", "outliers" beside them, "tiny" ones
            that float32 cannot hold exactly, "huge" ones whose sums it only just holds.
    """
    drawn = np.sort(rng.integers(0, n_terms, (n, per_row)), axis=1)
    kept: NDArray[Any] = np.ones(drawn.shape, np.bool_)
    kept[:, 1:] = drawn[:, 1:] != drawn[:, :-1]
    kept &= np.arange(per_row) < rng.integers(0, 2 * per_row, n)[:, None]
    indptr = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int64)
    size = int(indptr[-1])
    weights = rng.lognormal(0, 1, size)
    if kind == "equal":
        weights[:] = 0.7
    elif kind == "few":
        weights = rng.choice([0.25, 0.5, 1.0, 3.0], size)
    elif kind == "outliers":
        weights[rng.random(size) < 0.02] *= 300
    elif kind == "tiny":
        weights *= 1e-42
    elif kind == "huge":
        weights = np.minimum(weights * 2e36, 1e37)
    made = np.maximum(weights, 2.0**-149).astype(np.float32)
    return CSR(indptr, drawn[kept].astype(np.int32), made, n_terms)
