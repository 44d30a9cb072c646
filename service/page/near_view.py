"""`NearView`: what a page says where the words of a query were not found as they are written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from lsr.retrieval.snippet import Piece
from lsr.service.page.query_string import PageQuery
from lsr.service.suggest import Suggestion
from lsr.service.terms import QueryTerms

__all__ = ["NearView", "near_view"]


class Marked(Protocol):
    """A hit with its matches told apart."""

    @property
    def title(self) -> list[Piece]: ...
    @property
    def snippet(self) -> list[Piece]: ...


class Suggester(Protocol):
    """Knows the words of collections."""

    def suggest(self, name: str, text: str) -> Suggestion: ...


@dataclass(frozen=True)
class NearView:
    """Sentences above the hits.

    Attributes:
        nothing_matched: whether none of the hits has any word of the query.
        meant: what the query may have meant, and its address; None where nothing is near.
    """

    nothing_matched: bool
    meant: tuple[str, str] | None


def near_view(
    query: PageQuery, hits: Iterable[Marked], terms: QueryTerms, suggester: Suggester | None
) -> NearView | None:
    """View of a first page of hits; None where its hits have all words of the query.

    Args:
        terms: of the query.
        suggester: asked only where a word is in none of the hits; None where none may be.
    """
    pieces = (piece for hit in hits for piece in (*hit.title, *hit.snippet))
    marked = " ".join(piece.text for piece in pieces if piece.is_match and not piece.is_added)
    missing = set(terms.analyzer.terms(query.text)) - set(terms.analyzer.terms(marked))
    if not missing:
        return None
    meant = suggester.suggest(query.collection, query.text).text if suggester else None
    return NearView(
        nothing_matched=not marked,
        meant=None if meant is None else (meant, query.meaning(meant)),
    )
