"""`lsr search`: one query against an index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.console import print_json
from lsr.cli.index import AsJson, IndexPath
from lsr.errors import QueryError

__all__ = ["search"]

_SHOWN_CHARACTERS = 160


def search(
    index: IndexPath,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The query.")],
    k: Annotated[
        int | None,
        typer.Option("-k", "--limit", help="Hits wanted; 10 by default, or all if fewer."),
    ] = None,
    offset: Annotated[int, typer.Option(help="Hits to leave out at the front.")] = 0,
    mode: Annotated[str, typer.Option(help="sparse or dense.")] = "sparse",
    where: Annotated[
        list[str] | None,
        typer.Option("--filter", help="field=value that hits must have; may be repeated."),
    ] = None,
    verify: Annotated[
        bool, typer.Option(help="Check the index for damage first.", show_default=True)
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Search an index and print the best documents."""
    from lsr.index.collection import Collection

    collection = Collection(Path(index), verify=verify)
    collection.warm_up(mode)
    answer = collection.search(
        text,
        k=k,
        offset=offset,
        mode=mode,
        where=dict(_condition(part) for part in where or []),
    )
    collection.close()
    if as_json:
        print_json(
            {
                "text": answer.text,
                "mode": answer.mode,
                "hits": [
                    {
                        "doc_id": hit.document.doc_id,
                        "score": hit.score,
                        "title": hit.document.title,
                        "text": hit.document.text,
                        "metadata": hit.document.metadata,
                    }
                    for hit in answer.hits
                ],
                "took_ms": answer.took_ms,
            }
        )
        return
    for rank, hit in enumerate(answer.hits, start=offset + 1):
        line = " ".join(hit.document.text.split())
        shown = line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"
        typer.echo(f"{rank:3}  {hit.score:8.4f}  {hit.document.doc_id}  {hit.document.title}")
        typer.echo(f"     {shown}")
    if not answer.hits:
        typer.echo("no document matches", err=True)


def _condition(text: str) -> tuple[str, object]:
    """`field=value`; the value is read as JSON where it is a JSON scalar, else as text."""
    field, equals, value = text.partition("=")
    if not equals or not field:
        raise QueryError(f"{text!r} is not a filter; write field=value")
    try:
        parsed = json.loads(value)
    except ValueError:
        return field, value
    return field, parsed if isinstance(parsed, str | int | float | bool) else value
