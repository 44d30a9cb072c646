"""Answers as HTML for a notebook: everything escaped, nothing fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import islice
from typing import TYPE_CHECKING

from lsr.retrieval.answers.passage import PassageMarker
from lsr.retrieval.snippet import Piece

if TYPE_CHECKING:
    from lsr.retrieval.answer import Hit
    from lsr.retrieval.answers.answer import Answer

__all__ = ["answer_html", "escaped", "heading", "hits_table", "marked"]

_LEFT = ' style="text-align:left"'


def answer_html(answer: Answer) -> str:
    """An answer: the query, warnings, and a table of all its hits."""
    warnings = "".join(f"<p>{escaped(each.detail)}</p>" for each in answer.warnings)
    return f"<div>{heading(answer)}{warnings}{hits_table(answer)}</div>"


def heading(answer: Answer, name: str = "") -> str:
    """The query and the number of hits, below the name of the query if it has one."""
    count = f"{answer.mode}, {len(answer):,} of {answer.total:,}"
    before = f"<code>{escaped(name)}</code> " if name else ""
    return f"<p>{before}<b>{escaped(answer.text)}</b> ({count})</p>"


def hits_table(answer: Answer, most: int | None = None) -> str:
    """A table of hits: rank, score, title and identifier, and the passage with its marks.

    Args:
        most: hits at most; default: all.
    """
    if not answer.hits:
        return "<p>no document matches</p>"
    marker = PassageMarker(answer)
    ranked = enumerate(answer.hits, start=answer.first + 1)
    lines = [_line(rank, hit, marker.pieces(hit)) for rank, hit in islice(ranked, most)]
    head = f"<tr><th>rank</th><th>score</th><th{_LEFT}>document</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{''.join(lines)}</tbody></table>"


def _line(rank: int, hit: Hit, passage: list[Piece]) -> str:
    document = hit.document
    title = f"<b>{escaped(document.title)}</b> " if document.title else ""
    name = f"{title}<code>{escaped(document.doc_id)}</code>{_place(hit)}"
    score = f"<td>{rank}</td><td>{hit.score:.4f}</td>"
    return f"<tr>{score}<td{_LEFT}>{name}<br>{marked(passage)}</td></tr>"


def _place(hit: Hit) -> str:
    if not hit.passages:
        return ""
    best = hit.passages[0]
    told = filter(None, [f"line {best.line}", best.page and f"page {best.page}", best.heading])
    return f" <small>{escaped(', '.join(map(str, told)))}</small>"


def marked(pieces: Iterable[Piece]) -> str:
    """A passage with its matching words marked."""
    return "".join(
        f"<mark>{escaped(piece.text)}</mark>" if piece.is_match else escaped(piece.text)
        for piece in pieces
    )


def escaped(text: str) -> str:
    """Text that HTML shows as it is; `$`, of which notebooks make formulas, among it."""
    return escape(text).replace("$", "&#36;")
