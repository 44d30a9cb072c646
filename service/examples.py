"""Example queries for a collection, taken from the titles of its documents."""

from __future__ import annotations

from lsr.encoders.analysis import ENGLISH_STOP_WORDS
from lsr.index.collection.reader import CollectionReader
from lsr.types import Document

__all__ = ["N_EXAMPLES", "example_queries"]

N_EXAMPLES = 3
_N_LOOKED_AT = 96
_MAX_WORDS = 7
_MAX_CHARACTERS = 60
_ENDS = (". ", ": ", "; ", " (", "? ")


def example_queries(collection: CollectionReader) -> tuple[str, ...]:
    """Up to three short queries, spread over the collection, the same every time.

    Whole titles of three to seven words come before others.
    """
    rows = collection.live_rows()
    rows = rows[:: max(1, len(rows) // _N_LOOKED_AT)][:_N_LOOKED_AT]
    found = [_query_of(document) for document in collection.store.documents(rows.tolist())]
    good = dict.fromkeys(query for query, is_good in found if is_good)
    rest = dict.fromkeys(query for query, _ in found if query and query not in good)
    chosen = list(good)[:: max(1, len(good) // N_EXAMPLES)][:N_EXAMPLES]
    return tuple([*chosen, *rest][:N_EXAMPLES])


def _query_of(document: Document) -> tuple[str, bool]:
    """The beginning of a document, and whether it reads like a query."""
    text = " ".join((document.title or document.text[: 4 * _MAX_CHARACTERS]).split())
    for end in _ENDS:
        text = text.split(end)[0]
    words = text.split()
    is_whole = len(words) <= _MAX_WORDS and len(text) <= _MAX_CHARACTERS
    words = words[:_MAX_WORDS]
    while words and (
        len(" ".join(words)) > _MAX_CHARACTERS
        or (not is_whole and words[-1].lower() in ENGLISH_STOP_WORDS)
    ):
        words.pop()
    query = " ".join(words).strip(" .,;:!?\"'")
    return query, is_whole and bool(document.title) and len(words) >= 3
