"""Sharded indexes on the command line: what `build` and `info` do for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsr.backend.shards_file import ShardsFile
from lsr.cli.change import print_reading, reading_fields
from lsr.cli.console import print_json, shown_progress
from lsr.cli.index_options import chosen_ray
from lsr.datasets.open import Corpus
from lsr.encoders.corpus.statistics import CountingEncoder
from lsr.encoders.protocols import DenseEncoder, Encoder
from lsr.errors import InputError
from lsr.types import Document

if TYPE_CHECKING:
    from lsr.backend.build import Tasks

__all__ = ["Shards", "build_shards", "described_shards"]

Shards = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Build N shards, which are searched as one index and may lie on many machines; "
        "documents stay whole.",
    ),
]


def build_shards(
    corpus: Corpus | None,
    documents: Iterable[Document] | None,
    target: Path,
    where: tuple[int | None, str, str | None],
    encoder: Encoder,
    dense: Callable[[], DenseEncoder] | None,
    unused: Mapping[str, object],
    source: str,
    as_json: bool,
) -> None:
    """Build a sharded index, and say what was built.

    Args:
        corpus, documents: the source, and what is read of it.
        where: how many shards, the backend, and the address of its cluster.
        dense: opens the dense model.
        unused: options that shards do not take, by name; what is given of them is refused.

    Raises:
        InputError: such an option was given, or the encoder keeps no statistics; or as
            `build_sharded`.
    """
    from lsr.backend.build import build_sharded

    n_shards, ray = where[0], chosen_ray(*where[1:])
    if n_shards is None:
        raise InputError("--backend ray builds shards; say how many with --shards N")
    given = [name for name, value in unused.items() if value]
    if given or corpus is None or documents is None:
        raise InputError(
            f"{' and '.join(given) or 'SOURCE'} does not go with --shards; leave one of them out"
        )
    if not isinstance(encoder, CountingEncoder):
        raise InputError(f"{encoder.identity.name} keeps no statistics; leave --shards out")
    tasks: Tasks | None = None
    if ray is not None:
        from lsr.backend.ray.tasks import RayTasks

        tasks, target = RayTasks(ray.address), target.absolute()
    with shown_progress() as progress:
        made = build_sharded(
            documents,
            target,
            n_shards,
            sparse=encoder,
            dense=dense,
            tasks=tasks,
            source=source,
            progress=progress,
        )
    if as_json:
        print_json({"index": str(target), **described_shards(made), **reading_fields(corpus)})
        return
    described = described_shards(made)
    typer.echo(
        f"{target}: {described['n_documents']:,} documents in {n_shards} shards, "
        f"{described['n_postings']:,} postings, {described['size_bytes'] / 1e6:.1f} MB; "
        f'try: lsr search {target} "your words"'
    )
    print_reading(corpus)


def described_shards(made: ShardsFile) -> dict[str, Any]:
    """A sharded index in fields, with one line for each shard under `shards`."""
    return {
        "generation": made.generation,
        "created": made.created,
        "source": made.source,
        "n_documents": sum(each.n_documents for each in made.shards),
        "n_postings": sum(each.n_postings for each in made.shards),
        "size_bytes": sum(each.size_bytes for each in made.shards),
        "shards": [
            {"folder": each.folder, "n_documents": each.n_documents, "size_bytes": each.size_bytes}
            for each in made.shards
        ],
    }
