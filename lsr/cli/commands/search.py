"""`lsr search`: search an index with one query."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsr.cli.console import complain, print_json
from lsr.cli.index_options import AsJson, IndexPath
from lsr.cli.plan_options import Interpolate, ModeName, Settings, WeightSparse, plan_fields
from lsr.cli.remote import ServiceKey, ServiceUrl, refuse_options, remote_collection
from lsr.cli.remote_answer import local_answer
from lsr.cli.unpublished import warn_of_unpublished
from lsr.retrieval.filter_text import filter_from_texts
from lsr.retrieval.plan import plan_from

if TYPE_CHECKING:
    from lsr.retrieval.answer import Answer, Collapsed, Hit
    from lsr.retrieval.explanation import Explanation, SidePart
    from lsr.retrieval.filter import Filter

__all__ = ["search"]

_SHOWN_CHARACTERS = 160
_TIMEOUT_MS = 10_000
"""As long as a service takes for a search at most."""


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
    facets: Annotated[
        list[str] | None,
        typer.Option("--facet", help="Count matches by a field's values; may be repeated."),
    ] = None,
    sort: Annotated[
        list[str] | None,
        typer.Option(
            help="Order by a field, as year or year:desc, in place of scores; may be repeated."
        ),
    ] = None,
    collapse: Annotated[
        str | None, typer.Option(help="One hit for each value of a field, the best.")
    ] = None,
    min_score: Annotated[float | None, typer.Option(help="Leave out hits of lower scores.")] = None,
    count: Annotated[bool, typer.Option("--count", help="Count all that match.")] = False,
    verify: Annotated[
        bool, typer.Option(help="Compare the index with its checksums first.", show_default=True)
    ] = True,
    url: ServiceUrl = None,
    key: ServiceKey = None,
    as_json: AsJson = False,
) -> None:
    """Search an index and print the best documents."""
    given = plan_fields(mode, weight_sparse, interpolate, settings)
    if explain:
        given.setdefault("explain", "full")
    conditions = filter_from_texts(where) if where else None
    refined: dict[str, Any] = {
        "facets": facets,
        "sort": sort,
        "collapse": collapse,
        "min_score": min_score,
        "count": count,
    }
    refined = {
        name: value for name, value in refined.items() if value is not None and value is not False
    }
    with remote_collection(index, url, key, writes=False) as remote:
        if remote is not None:
            refuse_options(remote, {"--no-verify": not verify})
            answer = local_answer(
                text,
                remote.search(
                    text,
                    limit=k,
                    offset=offset or None,
                    filter=conditions.as_json() if conditions else None,
                    plan=given,
                    fields=("title", "text", "metadata"),
                    snippet=False,
                    timeout_ms=_TIMEOUT_MS,
                    **refined,
                ),
            )
        else:
            answer = _search(index, verify, text, k, offset, conditions, given, refined)
    _print_answer(answer, offset, explain, as_json)


def _search(
    index: Path,
    verify: bool,
    text: str,
    k: int | None,
    offset: int,
    conditions: Filter | None,
    given: Mapping[str, Any],
    refined: Mapping[str, Any],
) -> Answer:
    from lsr.index.collection.reader import CollectionReader

    warn_of_unpublished(Path(index))
    collection = CollectionReader.open(Path(index), verify=verify)
    plan = plan_from(given, collection.default_plan)
    answer = collection.search(text, k=k, offset=offset, where=conditions, plan=plan, **refined)
    collection.close()
    return answer


def _print_answer(answer: Answer, offset: int, explain: bool, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(answer))
        return
    for warning in answer.warnings:
        complain(f"warning: {warning.detail}")
    for rank, hit in enumerate(answer.hits, start=offset + 1):
        _print_hit(rank, hit)
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


def _print_hit(rank: int, hit: Hit) -> None:
    line = " ".join(hit.document.text.split())
    shown = line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"
    typer.echo(f"{rank:3}  {hit.score:8.4f}  {hit.document.doc_id}  {hit.document.title}")
    typer.echo(f"     {shown}")
    if hit.collapsed is not None and hit.collapsed.n_hits > 1:
        typer.echo(f"     and {hit.collapsed.n_hits - 1:,} more with {hit.collapsed.value!r}")
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
        "n_matches": answer.n_matches,
        "facets": answer.facets,
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
                **({} if hit.collapsed is None else {"collapsed": _collapsed(hit.collapsed)}),
            }
            for hit in answer.hits
        ],
        "took_ms": answer.took_ms,
    }


def _collapsed(collapsed: Collapsed) -> dict[str, object]:
    return {"value": collapsed.value, "n_hits": collapsed.n_hits}
