"""Queries as callers give them: texts, texts by id, a DataFrame, or records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lsr.datasets.frames import Frame, FrameRows, frame_queries
from lsr.errors import QueryError
from lsr.types import Query

__all__ = ["Queries", "queries_of"]

Queries = Iterable[str | Query] | Mapping[str, str] | Frame
"""Texts, whose ids are their places from "0" on, records, texts by id, or a table (qid, query)."""


def queries_of(queries: Queries) -> list[Query]:
    """The queries, with ids that are unique, and all of them with text.

    Raises:
        QueryError: something is no query, an id comes twice, or a text is blank.
        DataError: a row of a table is wrong.
    """
    rows = FrameRows.of(queries)
    if rows is not None:
        found = list(frame_queries(rows))
    elif isinstance(queries, Mapping):
        found = [_query(text, query_id) for query_id, text in queries.items()]
    elif isinstance(queries, str | bytes) or not isinstance(queries, Iterable):
        raise QueryError(
            f"the queries are a {type(queries).__name__}; give a list of texts, a dict of id to "
            "text, or a DataFrame with the columns qid and query"
        )
    else:
        found = [
            each if isinstance(each, Query) else _query(each, place)
            for place, each in enumerate(queries)
        ]
    seen: set[str] = set()
    for query in found:
        if query.query_id in seen:
            raise QueryError(f"query {query.query_id!r} comes twice; ids must be unique")
        seen.add(query.query_id)
        if not query.text.strip():
            raise QueryError(f"query {query.query_id!r} is empty; write at least one word")
    return found


def _query(text: object, query_id: object) -> Query:
    if isinstance(query_id, bool) or not isinstance(query_id, str | int) or query_id == "":
        raise QueryError(f"a query has the id {query_id!r}; ids are text or whole numbers")
    if not isinstance(text, str):
        raise QueryError(
            f"query {query_id!r} is a {type(text).__name__}; a query is a text, or an lsr.Query"
        )
    return Query(str(query_id), text)
