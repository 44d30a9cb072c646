"""Documents and queries like those of learned sparse encoders, made from a seed.

    python -m bench.engine.generator --documents 100000 --out S100k.npz [--queries 2000] [--seed 0]

30,522 terms, about 118.5 to a document. Popularity follows a Zipf-Mandelbrot law: the most popular
term is in 46 % of the documents, the hundredth in 10 %. A document has a first and a second topic
(2,000 topics for 100,000 documents, 12,000 for a million; every other time the second is related to
the first) and background terms. A topic is 80 terms, each with a chance of appearing and a typical
weight, so that documents of one topic resemble each other in both. Weights are log-normal, capped
at 3.2, and smaller for background terms.

A query is made as a document would be, which gives it relevant neighbours: it takes the topics of a
document of the collection and draws its terms anew. Long queries (about 43 terms, SPLADE-like) have
weights of their own, popular terms and expansions included; short ones (about 7 terms,
inference-free) are weighted by the inverse document frequency.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bench.engine.truth import exact_top
from lsr.sparse import CSR

N_TERMS = 30_522
TOPIC_TERMS = 80
RELATED_TOPICS = 20
LARGEST_WEIGHT = 3.2
CHUNK_DOCUMENTS = 50_000

ZIPF_SCALE, ZIPF_SHIFT, ZIPF_EXPONENT = 6.1, 19.2, 0.86
"""Share of documents that hold the term of rank r: scale / (r + shift) ** exponent."""


class Recipe(NamedTuple):
    """How much of each source a row takes.

    Attributes:
        first, second: what the chances of the terms of its topics are multiplied by.
        background: mean number of background terms, drawn by popularity.
        topic_weight, background_weight: typical weights.
        spread: standard deviation of the logarithm of a weight.
        length_spread: the same of the row's length, which multiplies the number of terms.
        rare: a drawn term of popularity p is kept with a chance of (1 - p) ** rare.
        least: rows with fewer terms are drawn again.
    """

    first: float
    second: float
    background: float
    topic_weight: float
    background_weight: float
    spread: float
    length_spread: float
    rare: float
    least: int


DOCUMENT = Recipe(1.0, 0.6, 59.9, 0.75, 0.33, 0.5, 0.15, 0.0, 8)
LONG_QUERY = Recipe(0.465, 0.28, 16.0, 0.8, 0.3, 0.6, 0.2, 0.7, 8)
SHORT_QUERY = Recipe(0.1, 0.055, 1.3, 1.0, 1.0, 0.1, 0.2, 1.7, 3)


class Topics(NamedTuple):
    """What documents and queries are drawn from.

    Attributes:
        terms: int32, shape (n_topics, TOPIC_TERMS), the most characteristic first.
        strengths: float32, the same shape; a term's typical weight in the topic, about 1.
        chances: float32, shape (TOPIC_TERMS,); of a term to appear, by its place in the topic.
        cumulative: float64, shape (N_TERMS,); the sum of the popularities up to a rank.
        term_of_rank: int32, shape (N_TERMS,).
        popularity: float32, shape (N_TERMS,), by term; the share of documents that hold it.
    """

    terms: NDArray[np.int32]
    strengths: NDArray[np.float32]
    chances: NDArray[np.float32]
    cumulative: NDArray[np.float64]
    term_of_rank: NDArray[np.int32]
    popularity: NDArray[np.float32]


class Collection(NamedTuple):
    """A collection and its two sets of queries, all of N_TERMS terms."""

    documents: CSR
    queries_long: CSR
    queries_short: CSR


def make(n_documents: int, n_queries: int, seed: int = 0) -> Collection:
    """Make a collection; the same arguments give the same arrays.

    Raises:
        ValueError: there are no documents for queries to resemble.
    """
    if n_documents < 1 or n_queries < 0:
        raise ValueError(f"{n_documents} documents and {n_queries} queries; at least 1 and 0")
    of_topics, of_documents, of_queries = np.random.default_rng(seed).spawn(3)
    topics = make_topics(n_topics(n_documents), of_topics)
    pairs = _topic_pairs(len(topics.terms), n_documents, of_documents)
    documents = _draw_rows(topics, pairs, DOCUMENT, of_documents)
    about = pairs[of_queries.integers(n_documents, size=(2, n_queries))]
    queries_long = _draw_rows(topics, about[0], LONG_QUERY, of_queries)
    words = _draw_rows(topics, about[1], SHORT_QUERY, of_queries)
    idf = inverse_document_frequencies(documents)
    return Collection(documents, queries_long, words._replace(weights=idf[words.terms]))


def n_topics(n_documents: int) -> int:
    """2,000 topics for 100,000 documents, 12,000 for a million, and so on; at least 4."""
    growth: float = (n_documents / 100_000) ** math.log10(6)
    return max(4, round(2_000 * growth))


def inverse_document_frequencies(documents: CSR) -> NDArray[np.float32]:
    """BM25's, greater than 0, of shape (n_terms,)."""
    counts = np.bincount(documents.terms, minlength=documents.n_terms)
    return np.log1p((documents.n_rows - counts + 0.5) / (counts + 0.5)).astype(np.float32)


def make_topics(n: int, rng: np.random.Generator) -> Topics:
    """Draw `n` topics; popular terms are in many of them."""
    ranks = np.arange(1, N_TERMS + 1)
    popularity = ZIPF_SCALE / (ranks + ZIPF_SHIFT) ** ZIPF_EXPONENT
    cumulative = np.cumsum(-np.log1p(-popularity))
    cumulative /= cumulative[-1]
    term_of_rank = rng.permutation(N_TERMS).astype(np.int32)
    terms = np.empty((n, TOPIC_TERMS), np.int32)
    _draw_topics(rng, cumulative, term_of_rank, terms)
    places = np.linspace(0, 1, TOPIC_TERMS, dtype=np.float32)
    noise = rng.standard_normal((n, TOPIC_TERMS), dtype=np.float32)
    strengths = np.exp(np.float32(0.5) - np.float32(0.9) * places + np.float32(0.4) * noise)
    by_term = np.empty(N_TERMS, np.float32)
    by_term[term_of_rank] = popularity
    return Topics(terms, strengths, 0.85 - 0.75 * places, cumulative, term_of_rank, by_term)


def _topic_pairs(n_topics: int, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """First and second topic of `n` documents, shape (n, 2)."""
    first = rng.integers(n_topics, size=n)
    near = first + rng.integers(1, RELATED_TOPICS + 1, size=n)
    anywhere = rng.integers(n_topics, size=n)
    second = np.where(rng.random(n) < 0.5, near % n_topics, anywhere)
    return np.stack([first, second], axis=1)


def _draw_rows(
    topics: Topics, pairs: NDArray[np.int64], recipe: Recipe, rng: np.random.Generator
) -> CSR:
    lengths, terms, weights = [np.zeros(1, np.int64)], [], []
    for start in range(0, len(pairs), CHUNK_DOCUMENTS):
        part = pairs[start : start + CHUNK_DOCUMENTS]
        buffer = _draw_chunk(rng, part, topics, recipe)
        lengths.append(buffer[0])
        terms.append(buffer[1])
        weights.append(buffer[2])
    all_terms = np.concatenate([np.zeros(0, np.int32), *terms])
    terms.clear()
    all_weights = np.concatenate([np.zeros(0, np.float32), *weights])
    return CSR(np.cumsum(np.concatenate(lengths)), all_terms, all_weights, N_TERMS)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _draw_topics(rng: Any, cumulative: Any, term_of_rank: Any, terms: Any) -> None:
    seen = np.full(len(term_of_rank), -1, np.int64)
    for topic in range(len(terms)):
        place = 0
        while place < terms.shape[1]:
            term = term_of_rank[np.searchsorted(cumulative, rng.random())]
            if seen[term] != topic:
                seen[term] = topic
                terms[topic, place] = term
                place += 1


@njit(cache=True)  # type: ignore[untyped-decorator]
def _draw_chunk(rng: Any, pairs: Any, topics: Any, recipe: Any) -> tuple[Any, Any, Any]:
    """Lengths int64, terms int32 and weights float32 of one row for each pair of topics."""
    n = len(pairs)
    lengths = np.zeros(n, np.int64)
    capacity = 1024
    terms, weights = np.empty(capacity, np.int32), np.empty(capacity, np.float32)
    dense = np.zeros(len(topics.term_of_rank), np.float32)
    used = 0
    for row in range(n):
        found = [np.int32(0) for _ in range(0)]
        while len(found) < recipe.least:
            for term in found:
                dense[term] = 0
            found.clear()
            length = np.exp(recipe.length_spread * rng.standard_normal())
            for which in range(2):
                topic = pairs[row, which]
                share = (recipe.first if which == 0 else recipe.second) * length
                typical = recipe.topic_weight * (1.0 if which == 0 else 0.8)
                for place in range(topics.terms.shape[1]):
                    term = topics.terms[topic, place]
                    kept = (1 - topics.popularity[term]) ** recipe.rare
                    if rng.random() < topics.chances[place] * share * kept:
                        weight = typical * topics.strengths[topic, place]
                        weight *= np.exp(recipe.spread * rng.standard_normal())
                        _put(dense, found, term, weight)
            for _ in range(rng.poisson(recipe.background * length)):
                term = topics.term_of_rank[np.searchsorted(topics.cumulative, rng.random())]
                if rng.random() < (1 - topics.popularity[term]) ** recipe.rare:
                    weight = np.exp(recipe.spread * rng.standard_normal())
                    _put(dense, found, term, recipe.background_weight * weight)
        if used + len(found) > capacity:
            capacity = 2 * capacity + len(found)
            terms = np.concatenate((terms[:used], np.empty(capacity - used, np.int32)))
            weights = np.concatenate((weights[:used], np.empty(capacity - used, np.float32)))
        ordered = np.sort(np.array(found))
        for term in ordered:
            terms[used] = term
            weights[used] = dense[term]
            dense[term] = 0
            used += 1
        lengths[row] = len(found)
    return lengths, terms[:used].copy(), weights[:used].copy()


@njit(cache=True)  # type: ignore[untyped-decorator]
def _put(dense: Any, found: Any, term: Any, weight: Any) -> None:
    if dense[term] == 0:
        found.append(term)
    dense[term] = min(LARGEST_WEIGHT, max(dense[term], weight))


def describe(made: Collection) -> str:
    """Figures of a collection beside which others are comparable, on one line."""
    documents, n = made.documents, made.documents.n_rows
    counts = np.bincount(documents.terms, minlength=documents.n_terms)
    popular = np.sort(counts)[::-1] / n
    parts = [
        f"{n:,} documents of {documents.nnz / n:.1f} terms",
        f"top term in {popular[0]:.1%}, 100th in {popular[99]:.1%}",
        f"mean weight {documents.weights.mean():.2f}",
    ]
    for name, queries in (("long", made.queries_long), ("short", made.queries_short)):
        rows = max(queries.n_rows, 1)
        mass = counts[queries.terms].sum() / rows / n
        parts.append(f"{name} queries of {queries.nnz / rows:.1f} terms, {mass:.2f} N postings")
    return "; ".join(parts)


def save(made: Collection, path: Path, k: int = 10) -> None:
    """Write a collection and the exact best `k` scores of its queries as an .npz file."""
    arrays: dict[str, Any] = {"n_terms": np.int64(made.documents.n_terms)}
    for prefix, matrix in zip(("", "qa_", "qb_"), made, strict=True):
        for name in ("indptr", "terms", "weights"):
            arrays[prefix + name] = getattr(matrix, name)
    arrays["qa_top"] = exact_top(made.documents, made.queries_long, k)
    arrays["qb_top"] = exact_top(made.documents, made.queries_short, k)
    np.savez(path, **arrays)


def load(path: Path) -> Collection:
    """Read what `save` wrote."""
    with np.load(path) as arrays:
        n_terms = int(arrays["n_terms"])
        return Collection(
            *(
                CSR(arrays[f"{p}indptr"], arrays[f"{p}terms"], arrays[f"{p}weights"], n_terms)
                for p in ("", "qa_", "qb_")
            )
        )


def main() -> None:
    """Make a collection, print its figures, and save it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=2_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, metavar="FILE", required=True, help="an .npz file")
    options = parser.parse_args()
    made = make(options.documents, options.queries, options.seed)
    print(describe(made))
    save(made, options.out)


if __name__ == "__main__":
    main()
