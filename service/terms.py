"""`QueryTerms`: a query, ready to be marked in texts."""

from __future__ import annotations

from lsr.analysis import Analyzer
from lsr.encoder import Encoder
from lsr.snippet import Piece, highlight, snippet

__all__ = ["QueryTerms"]


class QueryTerms:
    """The words of a query as the collection's own analysis sees them.

    Encoders without an `Analyzer` are shown by English stems.
    """

    def __init__(self, text: str, encoder: Encoder) -> None:
        own = getattr(encoder, "analyzer", None)
        self._analyzer = own if isinstance(own, Analyzer) else Analyzer()
        self._terms = frozenset(self._analyzer.terms(text))

    def highlight(self, text: str) -> list[Piece]:
        """The whole text with its matches told apart."""
        return highlight(text, self._terms, self._analyzer)

    def snippet(self, text: str) -> list[Piece]:
        """The passage of the text that matches best."""
        return snippet(text, self._terms, self._analyzer)
