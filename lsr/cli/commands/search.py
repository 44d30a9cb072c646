"""`lsr search`: search an index with one query, or with one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsr.cli.answers.printed import print_answer
from lsr.cli.answers.prompt import answer_lines
from lsr.cli.answers.remote import local_answer, remote_analyzer
from lsr.cli.index_options import (
    AsJson,
    Backend,
    RayAddress,
    Replicas,
    SearchedIndex,
    chosen_ray,
)
from lsr.cli.plan_options import Interpolate, ModeName, Settings, WeightSparse, plan_fields
from lsr.cli.remote import ServiceKey, ServiceUrl, refuse_options, remote_collection
from lsr.cli.unpublished import warn_of_unpublished
from lsr.encoders.analysis import Analyzer
from lsr.encoders.lexical import analyzer_of
from lsr.errors import InputError, QueryError
from lsr.retrieval.filter_text import filter_from_texts
from lsr.retrieval.plan import plan_from

if TYPE_CHECKING:
    from lsr.backend.ray_options import RayOptions
    from lsr.client.client import RemoteCollection
    from lsr.retrieval.answers.answer import Answer
    from lsr.retrieval.filter import Filter

__all__ = ["search"]

_TIMEOUT_MS = 10_000
"""As long as a service takes for a search at most."""


def search(
    index: SearchedIndex,
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT",
            help="The query; without it, one after the other is asked for, or read from a pipe, "
            "one a line.",
            show_default=False,
        ),
    ] = None,
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
    passages: Annotated[
        int, typer.Option(min=1, help="Passages shown of each hit whose document was split.")
    ] = 1,
    verify: Annotated[
        bool, typer.Option(help="Compare the index with its checksums first.", show_default=True)
    ] = True,
    backend: Backend = "local",
    replicas: Replicas = None,
    ray_address: RayAddress = None,
    url: ServiceUrl = None,
    key: ServiceKey = None,
    as_json: AsJson = False,
) -> None:
    """Search an index and print the best documents.

    Without TEXT, a prompt takes one query after the other, and the index is opened once; an empty
    line or Ctrl-D ends it.

    Example: lsr search my-index "how to rotate a key" -k 5
    """
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
        "passages": None if passages == 1 else passages,
    }
    refined = {
        name: value for name, value in refined.items() if value is not None and value is not False
    }
    ray = chosen_ray(backend, ray_address, replicas)
    wanted = _Wanted(k, offset, conditions, given, refined, ray)
    with _opened(index, verify, url, key, wanted) as (ask, analyzer):

        def answer(query: str, as_lines: bool) -> None:
            found = ask(query)
            print_answer(
                found, analyzer, offset, explain=explain, as_json=as_json, as_lines=as_lines
            )

        if text is not None:
            answer(text, False)
        elif answer_lines(partial(answer, as_lines=True), shows_query=not as_json):
            raise typer.Exit(2)


@dataclass(frozen=True)
class _Wanted:
    """All that is asked for beside the query."""

    k: int | None
    offset: int
    conditions: Filter | None
    given: Mapping[str, Any]
    refined: Mapping[str, Any]
    ray: RayOptions | None


@contextmanager
def _opened(
    index: str, verify: bool, url: str | None, key: str | None, wanted: _Wanted
) -> Iterator[tuple[Callable[[str], Answer], Analyzer]]:
    """What answers a query, be it the folder or a service, and what finds its words in texts."""
    with remote_collection(Path(index), url, key, writes=False) as remote:
        if remote is not None:
            unused = {"--no-verify": not verify, "--backend ray": wanted.ray is not None}
            refuse_options(remote, unused)
            yield partial(_asked_remotely, remote, wanted), remote_analyzer(remote.info())
            return
    from lsr.backend.open import open_collection
    from lsr.backend.qdrant.address import is_address
    from lsr.backend.shards_file import is_sharded

    in_qdrant = is_address(index)
    if in_qdrant and not verify:
        raise InputError("--no-verify is for a folder; points of Qdrant are compared as they come")
    if not in_qdrant and not is_sharded(Path(index)):
        warn_of_unpublished(Path(index))
    elif wanted.refined:
        what = "in Qdrant" if in_qdrant else "sharded"
        raise QueryError(
            f"{index} is {what}, and {', '.join(wanted.refined)} of all shards cannot be told yet; "
            "leave it out"
        )
    place = index if in_qdrant else Path(index)
    collection = open_collection(place, verify=verify, ray=wanted.ray)
    with closing(collection):
        plan = plan_from(wanted.given, collection.default_plan)
        yield (
            partial(
                collection.search,
                k=wanted.k,
                offset=wanted.offset,
                where=wanted.conditions,
                plan=plan,
                **wanted.refined,
            ),
            analyzer_of(collection.encoder),
        )


def _asked_remotely(remote: RemoteCollection, wanted: _Wanted, text: str) -> Answer:
    return local_answer(
        text,
        remote.search(
            text,
            limit=wanted.k,
            offset=wanted.offset or None,
            filter=wanted.conditions.as_json() if wanted.conditions else None,
            plan=wanted.given,
            fields=("title", "text", "metadata"),
            snippet=False,
            timeout_ms=_TIMEOUT_MS,
            **wanted.refined,
        ),
    )
