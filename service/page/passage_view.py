"""`passage_place`: where in its document a hit's best passage stands, in words."""

from __future__ import annotations

from lsr.service.engine import FoundHit

__all__ = ["passage_place"]


def passage_place(hit: FoundHit) -> str:
    """Headings, and the page or else the line; empty for a document that was not split."""
    if not hit.passages:
        return ""
    best = hit.passages[0]
    place = f"line {best.line:,}" if best.page is None else f"page {best.page:,}"
    return f"{best.heading} · {place}" if best.heading else place
