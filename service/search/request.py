"""`Search`: one search of a collection as it is asked for, `Limits`: what may be asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lsr.errors import QueryError
from lsr.files import is_text
from lsr.retrieval.filter import Filter

__all__ = ["Limits", "Search", "Vectors", "check_search"]

_WHOLE = ("title", "text", "metadata")


@dataclass(frozen=True)
class Limits:
    """Limits of what one search may ask for.

    Attributes:
        queries_characters: of the queries of several searches in one request, together.
        explained: hits of one answer that are explained in full.
        passages: of one hit.
        passage_characters: scanned for the snippets and marks of one answer.
        encoded_queries, encoded_documents: texts of one request that are encoded as such.
        document_characters: the longest text that is encoded as a document.
        timeout_ms: stands in when a request does not say, and the most it may say.
    """

    query_characters: int = 2_048
    hits: int = 1_000
    window: int = 10_000
    filters: int = 32
    queries_characters: int = 20_480
    explained: int = 200
    passages: int = 20
    passage_characters: int = 2_000_000
    encoded_queries: int = 100
    encoded_documents: int = 8
    document_characters: int = 20_000
    timeout_ms: tuple[int, int] = (1_000, 10_000)


@dataclass(frozen=True)
class Vectors:
    """A query as the caller's own vectors: weights by term, and numbers."""

    sparse: Mapping[str, float] | None = None
    dense: Sequence[float] | None = None


@dataclass(frozen=True)
class Search:
    """A search as it is asked for.

    Attributes:
        limit: hits wanted; None for 10. Fewer come where fewer match.
        offset: hits to leave out at the front.
        where: a filter that every hit must pass.
        within: the filter of a key, which every hit must pass too.
        plan: fields of a `SearchPlan`; others are as the collection's default.
        vectors: override what the models would make of the text.
        passages: of each hit whose document was split, best first, at most.
        snippets: whether a part of each hit's best passage, or of its text, is chosen.
        pieces: whether titles and snippets come in pieces, matches told apart.
        marks: whether the places of matches are told.
        fields: parts of documents wanted: title, text, metadata, metadata.NAME; None for title and
            metadata.
        min_score: hits with a lower score are left out.
        timeout_ms: when what is not done yet is left out; None for no such moment.
        cursor: of the page before.
        facets, sort, collapse, count: see `lsr.retrieval.refinement`.
    """

    text: str = ""
    limit: int | None = None
    offset: int = 0
    where: Mapping[str, object] = field(default_factory=dict)
    within: Filter | None = None
    plan: Mapping[str, object] = field(default_factory=dict)
    vectors: Vectors | None = None
    passages: int = 1
    snippets: bool = True
    pieces: bool = False
    marks: bool = False
    fields: tuple[str, ...] | None = None
    min_score: float | None = None
    timeout_ms: int | None = None
    cursor: str | None = None
    facets: tuple[object, ...] = ()
    sort: tuple[object, ...] = ()
    collapse: Mapping[str, object] | None = None
    count: bool = False

    def wants(self, name: str) -> bool:
        """Whether a part of documents is wanted, whole."""
        return name != "text" if self.fields is None else name in self.fields

    @property
    def metadata_names(self) -> tuple[str, ...]:
        """Metadata fields that are wanted one by one."""
        start = "metadata."
        given = self.fields or ()
        return tuple(name[len(start) :] for name in given if name.startswith(start))


def check_search(search: Search, limit: int, limits: Limits) -> None:
    """Raise QueryError when a search asks for what there is not, or for more than may be had."""
    if len(search.text) > limits.query_characters:
        raise QueryError(
            f"the query has {len(search.text):,} characters; "
            f"write at most {limits.query_characters:,}"
        )
    where = search.where
    values = [value for value in where.values() if isinstance(value, str)]
    if not all(map(is_text, [search.text, *where, *values])):
        raise QueryError("the request holds half a surrogate pair, which is not text")
    if not 1 <= limit <= limits.hits:
        raise QueryError(
            f"the limit is {limit:,} and one answer holds at most {limits.hits:,} hits; "
            f"ask for 1 to {limits.hits:,}"
        )
    if search.offset < 0:
        raise QueryError(f"the offset is {search.offset:,}; it must be 0 or more")
    if search.offset + limit > limits.window:
        raise QueryError(
            f"offset and limit reach hit {search.offset + limit:,}; they can reach "
            f"{limits.window:,}, so narrow the search with more words or a filter"
        )
    if len(where) > limits.filters:
        raise QueryError(f"the filter has {len(where):,} fields; give at most {limits.filters}")
    inner = search.collapse.get("inner", 0) if search.collapse else 0
    if isinstance(inner, int) and limit * (1 + inner) > limits.hits:
        raise QueryError(
            f"collapse.inner is {inner:,} and the limit {limit:,}: {limit * (1 + inner):,} hits; "
            f"one answer holds at most {limits.hits:,}, so ask for fewer"
        )
    if search.plan.get("explain") == "full" and limit > limits.explained:
        raise QueryError(
            f"the limit is {limit:,} and explain is full; one answer explains at most "
            f"{limits.explained:,} hits in full, so ask for fewer, or for explain scores"
        )
    if not 1 <= search.passages <= limits.passages:
        raise QueryError(
            f"passages is {search.passages:,}; ask for 1 to {limits.passages} of each hit"
        )
    _check_fields(search.fields or ())
    if search.timeout_ms is not None and not 1 <= search.timeout_ms <= limits.timeout_ms[1]:
        raise QueryError(
            f"timeout_ms is {search.timeout_ms:,}; it must be from 1 to {limits.timeout_ms[1]:,}"
        )
    if search.cursor is not None and search.offset:
        raise QueryError("both a cursor and an offset were given; a cursor says where to go on")


def _check_fields(fields: Sequence[str]) -> None:
    for name in fields:
        if name not in _WHOLE and not (name.startswith("metadata.") and len(name) > 9):
            raise QueryError(
                f"fields: there is no {name[:64]!r}; choose title, text, metadata, or metadata.NAME"
            )
