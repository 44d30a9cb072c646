"""`lsr search`: search an index with one query."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lsr.cli.console import complain, print_json
from lsr.cli.index_options import AsJson, IndexPath
from lsr.cli.plan_options import Interpolate, ModeName, Settings, WeightSparse, plan_fields
from lsr.cli.unpublished import warn_of_unpublished
from lsr.retrieval.filter_text import filter_from_texts
from lsr.retrieval.plan import plan_from

if TYPE_CHECKING:
    from lsr.retrieval.answer import Answer, Hit
    from lsr.retrieval.explanation import Explanation, SidePart

__all__ = ["search"]

_SHOWN_CHARACTERS = 160


def search(
    index: IndexPath,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The query.")],
    k: Annotated[
        int | None, typer.Option("-k", "--limit", help="Hits wanted; default: 10.")
    ] = None,
    offset: Annotated[int, typer.Option(help="Hits to skip at the front.")] = 0,
    mode: ModeName = None,
    weight_sparse: WeightSparse = None,
    interpolate: Interpolate = None,
    settings: Settings = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print where each score comes from.")
    ] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            help="field=value, field!=value, field>=value … that every hit must pass; may be "
            "repeated.",
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option(help="Compare the index with its checksums first.", show_default=True)
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Search an index and print the best documents."""
    from lsr.index.collection.reader import CollectionReader

    given = plan_fields(mode, weight_sparse, interpolate, settings)
    if explain:
        given.setdefault("explain", "full")
    conditions = filter_from_texts(where) if where else None
    collection = CollectionReader.open(Path(index), verify=verify)
    plan = plan_from(given, collection.default_plan)
    warn_of_unpublished(Path(index))
    answer = collection.search(text, k=k, offset=offset, where=conditions, plan=plan)
    collection.close()
    if as_json:
        print_json(_as_json(answer))
        return
    for warning in answer.warnings:
        complain(f"warning: {warning.detail}")
    for rank, hit in enumerate(answer.hits, start=offset + 1):
        _print_hit(rank, hit)
    if answer.prf.applied and explain:
        learned = ", ".join(document.doc_id for document in answer.prf.feedback)
        typer.echo(f"feedback from: {learned}")
    if not answer.hits:
        complain("no document matches")


def _print_hit(rank: int, hit: Hit) -> None:
    line = " ".join(hit.document.text.split())
    shown = line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"
    typer.echo(f"{rank:3}  {hit.score:8.4f}  {hit.document.doc_id}  {hit.document.title}")
    typer.echo(f"     {shown}")
    if hit.explanation is not None:
        for sentence in _explained(hit.explanation):
            typer.echo(f"     {sentence}")


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
        "plan": answer.plan,
        "prf": answer.prf,
        "warnings": [warning._asdict() for warning in answer.warnings],
        "hits": [
            {
                "doc_id": hit.document.doc_id,
                "score": hit.score,
                "title": hit.document.title,
                "text": hit.document.text,
                "metadata": hit.document.metadata,
                "explanation": hit.explanation,
            }
            for hit in answer.hits
        ],
        "took_ms": answer.took_ms,
    }
