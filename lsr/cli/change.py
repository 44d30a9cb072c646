"""Output of the commands that change an index, and of their interruption."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from lsr.cli.console import print_json
from lsr.datasets.open import Corpus, reading_of
from lsr.datasets.reading import FILES_EXTRA
from lsr.passages.grammars import GRAMMARS, grammar_of, is_code

if TYPE_CHECKING:
    from lsr.client.resources import CollectionInfo
    from lsr.index.collection.update import Change

__all__ = ["goes_on", "print_change", "print_reading", "print_remote_change", "reading_fields"]


@contextmanager
def goes_on(index: Path) -> Iterator[None]:
    """Have Ctrl-C told with how to go on, where vectors were kept for the same command."""
    try:
        yield
    except KeyboardInterrupt as error:
        from lsr.index.collection.encode import has_kept

        if not has_kept(index):
            raise
        raise KeyboardInterrupt("the same command goes on where it stopped") from error


def print_reading(corpus: Corpus | None, *, is_split: bool = False) -> None:
    """Say what was passed over of a corpus, and which encodings were guessed; often nothing.

    Args:
        is_split: whether long documents are split, and so whether code that is split without its
            grammar is told.
    """
    reading = None if corpus is None else reading_of(corpus)
    for line in () if reading is None else reading.lines():
        typer.echo(line)
    if reading is not None and is_split and (line := _unparsed(reading.kinds)):
        typer.echo(line)


def _unparsed(kinds: Mapping[str, int]) -> str:
    """Says how many files of code are split as plain text; empty where none is."""
    found = {kind: n for kind, n in sorted(kinds.items()) if is_code(kind) and not grammar_of(kind)}
    if not found:
        return ""
    n = sum(found.values())
    told = f"{n:,} code {'file is' if n == 1 else 'files are'} split as plain text, if long"
    missing = [kind for kind in found if kind in GRAMMARS]
    if missing:
        return f"{told}; along functions and classes by: {FILES_EXTRA} ({', '.join(missing)})"
    return f"{told}: there is no grammar for {', '.join(found)}"


def reading_fields(corpus: Corpus | None) -> dict[str, Any]:
    """The same for JSON: `reading`, where the source is files."""
    reading = None if corpus is None else reading_of(corpus)
    return {} if reading is None else {"reading": reading.to_dict()}


def print_change(
    index: Path,
    change: Change,
    as_json: bool,
    corpus: Corpus | None = None,
    documents: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Print what was done, the new state of the index and what was read, as text or JSON.

    Args:
        documents: ids of documents by what was done with them, for JSON.
    """
    manifest = change.manifest
    counts = {
        "added": change.n_added,
        "replaced": change.n_replaced,
        "deleted": change.n_deleted,
        "segments merged": change.n_merged,
        "unchanged": change.n_unchanged,
    }
    state = {
        "generation": manifest.generation,
        "n_documents": manifest.n_documents,
        "n_deleted": manifest.n_deleted,
        "n_segments": len(manifest.segments),
    }
    is_split = manifest.passages is not None
    _print(str(index), counts, state, as_json, corpus, documents or {}, is_split=is_split)


def print_remote_change(
    index: Path,
    info: CollectionInfo,
    as_json: bool,
    *,
    added: int = 0,
    replaced: int = 0,
    deleted: int = 0,
    merged: int = 0,
    unchanged: int = 0,
    corpus: Corpus | None = None,
) -> None:
    """The same of a collection of a service."""
    counts = {
        "added": added,
        "replaced": replaced,
        "deleted": deleted,
        "segments merged": merged,
        "unchanged": unchanged,
    }
    state = {
        "generation": info.generation,
        "n_documents": info.n_documents,
        "n_deleted": info.n_deleted,
        "n_segments": len(info.raw.get("segments", ())),
    }
    _print(str(index), counts, state, as_json, corpus, {})


def _print(
    index: str,
    counts: Mapping[str, int],
    state: Mapping[str, int],
    as_json: bool,
    corpus: Corpus | None,
    documents: Mapping[str, Sequence[str]],
    *,
    is_split: bool = False,
) -> None:
    if as_json:
        done = {f"n_{name.split()[-1]}": count for name, count in counts.items()}
        read = reading_fields(corpus)
        print_json({"index": index, "done": done, **documents, **state, **read})
        return
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    typer.echo(
        f"{index}: {told or 'nothing to do'}; now generation {state['generation']}, "
        f"documents {state['n_documents']:,}, segments {state['n_segments']:,}"
    )
    print_reading(corpus, is_split=is_split)
