"""`lsr index calibrate`: choose parameters of approximate search for a recall."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.console import print_json, shown_progress
from lsr.cli.index_options import AsJson, IndexPath
from lsr.datasets.open import open_queries

__all__ = ["calibrate"]


def calibrate(
    index: IndexPath,
    recall: Annotated[
        float, typer.Option(help="Share of the true hits to find, above 0, at most 1.")
    ] = 0.97,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="File of queries: JSON lines with _id and text, or id TAB text; default: "
            "queries made of documents."
        ),
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, help="Hits that recall is measured over.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Choose parameters of approximate search for a recall, and store them with the index.

    Later searches are exact or approximate, whichever is faster. Delete calibration.json in the
    index to return to exact search. An index has blocks for approximate search from 100,000
    documents, or by lsr index build --blocks always.

    Example: lsr index calibrate my-index --recall 0.99
    """
    from lsr.index.collection.reader import CollectionReader

    collection = CollectionReader.open(index)
    texts = None if queries is None else [query.text for query in open_queries(queries)]
    with shown_progress() as progress:
        calibration = collection.calibrate(texts, recall, k=k, progress=progress)
    collection.close()
    if as_json:
        print_json({"index": str(index), **calibration.to_dict()})
        return
    params = calibration.params
    chosen = (
        f"query_cut {params.query_cut}, heap_factor {params.heap_factor}, n_knn {params.n_knn}"
        if params.strategy != "exact"
        else "exact search only: no parameters reach it"
    )
    typer.echo(
        f"{index}: recall {calibration.recall:.4f} (wanted {recall}) by {chosen}; "
        f"{calibration.approximate_us:,.0f} µs a query, exactly {calibration.exact_us:,.0f} µs; "
        f"{calibration.n_queries:,} {calibration.source}"
    )
