"""Answers on the terminal: hits with the passages that matched, and explanations, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from lsr.cli.console import complain, print_json
from lsr.encoders.analysis import Analyzer
from lsr.retrieval.answers.passage import SHOWN_CHARACTERS
from lsr.retrieval.snippet import snippet

if TYPE_CHECKING:
    from lsr.retrieval.answer import Collapsed, Hit
    from lsr.retrieval.answers.answer import Answer
    from lsr.retrieval.explanation import Explanation, SidePart

__all__ = ["print_answer"]


def print_answer(
    answer: Answer,
    analyzer: Analyzer,
    offset: int = 0,
    *,
    explain: bool,
    as_json: bool,
    as_lines: bool = False,
) -> None:
    """Print the hits of an answer, each with the passage that matched, or all of it as JSON.

    Args:
        analyzer: finds the query's words in texts; they are marked where that is a terminal.
        offset: hits that were left out at the front.
        explain: whether to say what feedback learned from.
        as_lines: whether JSON is one line, as where more answers follow.
    """
    if as_json:
        print_json(_as_json(answer), one_line=as_lines)
        return
    for warning in answer.warnings:
        complain(f"warning: {warning.detail}")
    for rank, hit in enumerate(answer.hits, start=offset + 1):
        _print_hit(rank, hit, analyzer.terms(answer.text), analyzer)
    if answer.n_matches is not None:
        typer.echo(f"{answer.n_matches:,} match")
    for facet in answer.facets:
        counts = ", ".join(f"{each.value} {each.count:,}" for each in facet.values)
        typer.echo(f"{facet.field}: {counts or 'none'}; without: {facet.n_missing:,}")
    if answer.prf.applied and explain:
        learned = ", ".join(document.doc_id for document in answer.prf.feedback)
        typer.echo(f"feedback from: {learned}")
    if not answer.hits:
        complain("no document matches")


def _print_hit(rank: int, hit: Hit, terms: Sequence[str], analyzer: Analyzer) -> None:
    document = hit.document
    best = hit.passages[0] if hit.passages else None
    place = document.doc_id if best is None else f"{document.doc_id}:{best.line}"
    typer.echo(f"{rank:3}  {hit.score:8.4f}  {typer.style(place, bold=True)}  {document.title}")
    if best is None:
        typer.echo(f"     {_marked(document.text, terms, analyzer)}")
    for passage in hit.passages:
        shown = _marked(document.text[passage.start : passage.end], terms, analyzer)
        where = f"page {passage.page}" if passage.page else ""
        if passage is not best:
            where = ", ".join(filter(None, [f"line {passage.line}", where]))
        told = ": ".join(filter(None, [where, passage.heading]))
        typer.echo(f"     {typer.style(f'{told}: ', dim=True) if told else ''}{shown}")
    if hit.collapsed is not None and hit.collapsed.n_hits > 1:
        typer.echo(f"     and {hit.collapsed.n_hits - 1:,} more with {hit.collapsed.value!r}")
    if hit.explanation is not None:
        for sentence in _explained(hit.explanation):
            typer.echo(f"     {sentence}")


def _marked(text: str, terms: Sequence[str], analyzer: Analyzer) -> str:
    """The part of a text that has most of the terms, these in colour on a terminal."""
    return "".join(
        typer.style(piece.text, fg="yellow", bold=True) if piece.is_match else piece.text
        for piece in snippet(text, terms, analyzer, SHOWN_CHARACTERS)
    )


def _explained(why: Explanation) -> list[str]:
    sides = [
        _side(name, part)
        for name, part in (("sparse", why.sparse), ("dense", why.dense))
        if part is not None
    ]
    sentences = [f"= {' + '.join(sides)}"]
    if why.rank_before_prf is not None:
        sentences.append(f"place before feedback: {why.rank_before_prf}")
    if why.prf is not None:
        documents = ", ".join(f"{each.doc_id} {each.value:.3f}" for each in why.prf.by_feedback)
        sentences.append(f"dense: the query {why.prf.dense_query:.3f}, {documents}")
    if why.terms:
        words = [
            f"{'+' if part.origin != 'query' else ''}{part.term} {part.value:.3f}"
            for part in why.terms
        ]
        rest = [f"other {why.other:.3f}"] if why.other else []
        sentences.append(f"sparse: {', '.join(words + rest)}")
    return sentences


def _side(name: str, part: SidePart) -> str:
    place = f"place {part.rank}" if part.rank else part.source
    return (
        f"{part.contribution:.4f} {name} ({part.weight:g} x {part.norm:.4f}, raw {part.raw:.4f}, "
        f"{place})"
    )


def _as_json(answer: Answer) -> dict[str, object]:
    return {
        "text": answer.text,
        "mode": answer.mode,
        "generation": answer.generation,
        "total": answer.total,
        "n_matches": answer.n_matches,
        "facets": answer.facets,
        "plan": answer.plan,
        "prf": answer.prf,
        "warnings": [warning._asdict() for warning in answer.warnings],
        **({} if answer.shards is None else {"shards": asdict(answer.shards)}),
        "hits": [
            {
                "doc_id": hit.document.doc_id,
                "score": hit.score,
                "title": hit.document.title,
                "text": hit.document.text,
                "metadata": hit.document.metadata,
                "explanation": hit.explanation,
                **({"passages": hit.passages} if hit.passages else {}),
                **({} if hit.collapsed is None else {"collapsed": _collapsed(hit.collapsed)}),
            }
            for hit in answer.hits
        ],
        "took_ms": answer.took_ms,
    }


def _collapsed(collapsed: Collapsed) -> dict[str, object]:
    return {"value": collapsed.value, "n_hits": collapsed.n_hits}
