"""Example queries for a collection, taken from the titles of its documents."""

from __future__ import annotations

from lsr.index.collection import Collection
from lsr.types import Document

__all__ = ["N_EXAMPLES", "example_queries"]

N_EXAMPLES = 3
_N_LOOKED_AT = 48
_MAX_WORDS = 7
_MAX_CHARACTERS = 60


def example_queries(collection: Collection) -> tuple[str, ...]:
    """Up to three short queries, spread over the collection, the same every time."""
    n_documents = collection.n_documents
    step = max(1, n_documents // _N_LOOKED_AT)
    rows = range(0, n_documents, step)[:_N_LOOKED_AT]
    seen = dict.fromkeys(_query_of(collection.store.document(row)) for row in rows)
    queries = [query for query in seen if query]
    # Three to six words read like a query; the sort is stable, so the choice is too.
    queries.sort(key=lambda query: not 3 <= len(query.split()) <= 6)
    good = [query for query in queries if 3 <= len(query.split()) <= 6] or queries
    spread = max(1, len(good) // N_EXAMPLES)
    chosen = good[::spread][:N_EXAMPLES]
    chosen += [query for query in queries if query not in chosen][: N_EXAMPLES - len(chosen)]
    return tuple(chosen)


def _query_of(document: Document) -> str:
    text = " ".join((document.title or document.text[: 4 * _MAX_CHARACTERS]).split())
    for end in (". ", ": ", "; ", " (", "? "):
        text = text.split(end)[0]
    words = text.split()[:_MAX_WORDS]
    while words and len(" ".join(words)) > _MAX_CHARACTERS:
        words.pop()
    return " ".join(words).strip(" .,;:!?\"'")
