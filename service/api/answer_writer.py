"""Answers of searches as JSON, written once, in the shape of `SearchAnswer`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from functools import lru_cache
from typing import Any

import orjson

from lsr.retrieval.answer import Hit
from lsr.retrieval.plan import SearchPlan
from lsr.service.engine import FoundHit, Search, SearchResult
from lsr.service.search.explained import Explained

__all__ = ["answer_content", "explain_content", "written"]


def answer_content(result: SearchResult, search: Search, request_id: str) -> dict[str, Any]:
    """An answer as plain values and records that `written` writes."""
    answer = result.answer
    return {
        "collection": result.collection,
        "generation": answer.generation,
        "mode": answer.mode,
        "limit": result.limit,
        "offset": result.offset,
        "total": answer.total,
        "n_matches": answer.n_matches,
        "plan": _plan(answer.plan),
        "prf": answer.prf,
        "warnings": [{"code": each.code, "detail": each.detail} for each in answer.warnings],
        "partial": result.is_partial,
        "hits": _hits(result.hits, search),
        "facets": answer.facets,
        "cursor": result.cursor,
        "models": result.models,
        "request_id": request_id,
        "took_ms": {stage: round(ms, 3) for stage, ms in answer.took_ms.items()},
    }


def explain_content(told: Explained, request_id: str) -> dict[str, Any]:
    """A report on one document, in the shape of `ExplainAnswer`."""
    warnings = [{"code": each.code, "detail": each.detail} for each in told.warnings]
    return {
        "collection": told.collection,
        "generation": told.generation,
        "doc_id": told.doc_id,
        "found": told.rank is not None,
        "rank": told.rank,
        "score": told.score,
        "passes_filter": told.passes_filter,
        "explanation": told.explanation,
        "dense_score": told.dense_score,
        "plan": _plan(told.plan),
        "warnings": warnings,
        "request_id": request_id,
    }


def written(content: Mapping[str, Any]) -> bytes:
    """Content as JSON in UTF-8."""
    try:
        return orjson.dumps(content)
    except TypeError:  # metadata with whole numbers of more than 64 bits
        return json.dumps(content, default=_plain, ensure_ascii=False).encode()


def _hits(hits: Iterable[FoundHit], search: Search) -> list[dict[str, Any]]:
    has_title, has_text = search.wants("title"), search.wants("text")
    has_metadata, has_snippet = search.wants("metadata"), search.snippets
    told: list[dict[str, Any]] = []
    for hit in hits:
        document = hit.document
        metadata = document.metadata if has_metadata else _metadata(document.metadata, search)
        content: dict[str, Any] = {
            "doc_id": document.doc_id,
            "score": hit.score,
            "title": document.title if has_title else None,
            "snippet": hit.passage if has_snippet else None,
            "metadata": metadata,
            "explanation": hit.explanation,
        }
        if has_text:
            content["text"] = document.text
        if hit.passages:
            content["passages"] = hit.passages
        if hit.collapsed is not None:
            content["collapsed"] = {
                "value": hit.collapsed.value,
                "n_hits": hit.collapsed.n_hits,
                "hits": [_inner(other, search) for other in hit.collapsed.hits],
            }
        if hit.marks is not None:
            content["marks"] = [
                {"field": field, "start": start, "end": end, "term": term}
                for field, marks in hit.marks.items()
                for start, end, term in marks
            ]
        told.append(content)
    return told


def _inner(hit: Hit, search: Search) -> dict[str, Any]:
    document = hit.document
    content = {
        "doc_id": document.doc_id,
        "score": hit.score,
        "title": document.title if search.wants("title") else None,
        "metadata": _metadata(document.metadata, search),
    }
    return {**content, "passages": hit.passages} if hit.passages else content


def _metadata(metadata: Mapping[str, object], search: Search) -> Mapping[str, object] | None:
    if search.wants("metadata"):
        return metadata
    names = search.metadata_names
    if not names:
        return None
    found = {name: _within(metadata, name) for name in names}
    return {name: value for name, value in found.items() if value is not _ABSENT}


_ABSENT = object()


def _within(value: object, name: str) -> object:
    """A field of metadata; a dotted name reaches into an object unless it is a field itself."""
    if not isinstance(value, Mapping):
        return _ABSENT
    if name in value:
        return value[name]
    first, _, rest = name.partition(".")
    return _within(value[first], rest) if rest and first in value else _ABSENT


@lru_cache(maxsize=1024)
def _plan(plan: SearchPlan) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps(plan))


def _plain(value: object) -> object:
    if isinstance(value, orjson.Fragment):
        return orjson.loads(orjson.dumps(value))
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is no part of an answer")
