"""Example queries: questions for what `lsr demo` serves, elsewhere titles of documents."""

from __future__ import annotations

from lsr.encoders.analysis import ENGLISH_STOP_WORDS
from lsr.errors import NotFoundError
from lsr.index.collection.reader import CollectionReader
from lsr.types import Document

__all__ = ["N_EXAMPLES", "example_queries"]

N_EXAMPLES = 3
_N_LOOKED_AT = 96
_MAX_WORDS = 7
_MAX_CHARACTERS = 60
_ENDS = (". ", ": ", "; ", " (", "? ")
_QUESTIONS = {
    "how do I replace a pattern in a string?": "re.sub",
    "which word is close to a misspelled one?": "difflib.get_close_matches",
    "how do I measure the time that code takes?": "timeit",
    "what is the median of a list of numbers?": "statistics.median",
}
"""Questions about Python, each with the docstring that answers it; BM25 finds these too."""


def example_queries(collection: CollectionReader) -> tuple[str, ...]:
    """Up to three short queries, spread over the collection, the same every time.

    A collection of Python's docstrings has questions that it answers. Elsewhere whole titles of
    three to seven words come before others.
    """
    questions = [text for text, doc_id in _QUESTIONS.items() if _has(collection, doc_id)]
    if len(questions) >= N_EXAMPLES:
        return tuple(questions[:N_EXAMPLES])
    rows = collection.live_rows()
    rows = rows[:: max(1, len(rows) // _N_LOOKED_AT)][:_N_LOOKED_AT]
    found = [_query_of(document) for document in collection.store.documents(rows.tolist())]
    good = dict.fromkeys(query for query, is_good in found if is_good)
    rest = dict.fromkeys(query for query, _ in found if query and query not in good)
    chosen = list(good)[:: max(1, len(good) // N_EXAMPLES)][:N_EXAMPLES]
    return tuple([*chosen, *rest][:N_EXAMPLES])


def _has(collection: CollectionReader, doc_id: str) -> bool:
    try:
        collection.document(doc_id)
    except NotFoundError:
        return False
    return True


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
