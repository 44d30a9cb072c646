"""A sharded collection built in tasks, which any number of machines may do.

    documents ─ slices ─ count each ─ merge ─> encoder ─ build each shard ─> shards.json

Slices are of documents as they come, so the merged encoder is the one that one index of all of them
has; a document's shard goes by its identifier. What a task writes has a name made of what it read,
so a task that is done again, or by two machines, does no harm, and a build that stopped goes on.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

from lsr.backend.sharded_collection import shard_of
from lsr.backend.shards_file import SHARDS, ShardRecord, ShardsFile, is_sharded
from lsr.encoders.corpus.statistics import CountingEncoder, Statistics
from lsr.encoders.protocols import DenseEncoder
from lsr.errors import IndexMissingError, InputError, StorageError
from lsr.files import sha256_of, writing
from lsr.index.collection.build import build_collection
from lsr.index.collection.encoder_registry import LOADERS
from lsr.index.storage.manifest import MANIFEST, Manifest
from lsr.locks import FileLock
from lsr.progress import Progress, no_progress
from lsr.types import Document

__all__ = ["MOST_SHARDS", "LocalTasks", "Tasks", "build_sharded"]

MOST_SHARDS = 1_024
SLICE = 10_000
"""Documents of a slice: enough that a task is worth its start."""
WORK = ".build"
LOCK = ".lock"
ENCODER = "encoder"
Result = TypeVar("Result")
OpenDense = Callable[[], DenseEncoder]


class Tasks(Protocol):
    """Runs functions of this module, here or elsewhere; all see the same folders."""

    def map(
        self,
        function: Callable[..., Result],
        arguments: Sequence[tuple[Any, ...]],
        report: Callable[[int], None],
    ) -> list[Result]:
        """Results in the order of the arguments; `report` is told how many are done."""
        ...


class LocalTasks:
    """Tasks in this process, one after the other."""

    def map(
        self,
        function: Callable[..., Result],
        arguments: Sequence[tuple[Any, ...]],
        report: Callable[[int], None],
    ) -> list[Result]:
        """See `Tasks`."""
        results = []
        for given in arguments:
            results.append(function(*given))
            report(len(results))
        return results


@dataclass(frozen=True)
class _Part:
    """The documents of a slice that belong to one shard."""

    path: Path
    sha256: str


def build_sharded(
    documents: Iterable[Document],
    target: Path,
    n_shards: int,
    *,
    sparse: CountingEncoder,
    dense: OpenDense | None = None,
    tasks: Tasks | None = None,
    source: str = "",
    slice_documents: int = SLICE,
    vector_cache: Path | None = None,
    progress: Progress = no_progress,
) -> ShardsFile:
    """Build a sharded collection, and publish it at `target` by one rename.

    Args:
        documents: read once; at least one.
        target: a folder that is not there, is empty, or holds a sharded collection, which it
            replaces. Every machine that does tasks sees it under this path.
        n_shards: from 1 to 1,024.
        sparse: its statistics are those of all documents in the end; it stays as it is.
        dense: opens a dense model, where a task needs it.
        source: what the documents are, for people.
        vector_cache: a folder where models' vectors stay, for later builds.

    Raises:
        InputError: there are no documents, an id is empty or repeated, or `target` is something
            else.
        StorageError: the disk is full, or there is no permission.
    """
    if not 1 <= n_shards <= MOST_SHARDS:
        raise InputError(f"{n_shards} shards were asked for; give from 1 to {MOST_SHARDS:,}")
    before = _state(target)
    tasks = tasks or LocalTasks()
    try:
        target.mkdir(parents=True, exist_ok=True)
        lock = FileLock.take(target / LOCK)
    except OSError as error:
        raise _refusal(target, error) from error
    if lock is None:
        raise StorageError(f"another build of {target} is at work; wait for it to end")
    try:
        work = target / WORK
        work.mkdir(exist_ok=True)
        slices = list(_slices(documents, work, slice_documents, progress))
        if not slices:
            shutil.rmtree(work)
            raise InputError(
                f"{source or 'the source'} holds no documents; there is nothing to build"
            )
        empty = sparse.learned_from(())
        kind = empty.identity.kind
        _save(empty, work / "empty")
        counted = tasks.map(
            _count,
            [(path, kind, work / "empty", n_shards) for path in slices],
            lambda done: progress("count", done, len(slices)),
        )
        encoder = empty.learned_from([Statistics.load(path) for path, _ in counted])
        _save(encoder, work / ENCODER)
        parts = [[each[shard] for _, each in counted] for shard in range(n_shards)]
        folders = tasks.map(
            _build,
            [
                (target, number, parts[number], kind, work / ENCODER, dense, source, vector_cache)
                for number in range(n_shards)
            ],
            lambda done: progress("shards", done, n_shards),
        )
        generation = 1 if before is None else before.generation + 1
        now = datetime.now(UTC).isoformat(timespec="seconds")
        records = tuple(ShardRecord.of(target / name) for name in folders)
        made = ShardsFile(generation, now, version("lsr-search"), source, records)
        made.write(target)
        _remove_unnamed(target, made)
    except OSError as error:
        raise _refusal(target, error) from error
    finally:
        lock.release(remove=True)
        with suppress(OSError):
            target.rmdir()  # where nothing came of it
    return made


def _refusal(target: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{target} cannot be written ({error.strerror or error}); nothing was published, so "
        "free some space or choose another place and build again"
    )


def _state(target: Path) -> ShardsFile | None:
    """The sharded collection that is there. Raises InputError for anything else."""
    if is_sharded(target):
        return ShardsFile.read(target)
    try:
        others = [path.name for path in target.iterdir() if path.name not in (WORK, LOCK)]
        others = [name for name in others if not name.startswith("shard-")]
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise InputError(f"{target} is a file; give a folder that is not there yet") from error
    if others:
        what = "an index that is not sharded" if MANIFEST in others else f"other files: {others[0]}"
        raise InputError(
            f"{target} holds {what}; choose another place, or remove it first if it is of no use"
        )
    return None


def _slices(
    documents: Iterable[Document], work: Path, size: int, progress: Progress
) -> Iterator[Path]:
    """Files of documents in their order. An interrupted build's are written again."""
    stream, done = iter(documents), 0
    progress("read", 0, None)
    while some := list(islice(stream, size)):
        path = work / f"slice-{done:012}.jsonl"
        _write(path, some)
        yield path
        done += len(some)
        progress("read", done, None)


def _write(path: Path, documents: Iterable[Document]) -> None:
    with writing(path) as stream:
        for each in documents:
            stream.write(json.dumps(asdict(each), ensure_ascii=False).encode() + b"\n")


def _read(path: Path) -> Iterator[Document]:
    with path.open("rb") as stream:
        for line in stream:
            yield Document(**json.loads(line))


def _save(encoder: CountingEncoder, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    encoder.save(folder)


@lru_cache(maxsize=2)
def _loaded(kind: str, folder: Path, changed: int) -> CountingEncoder:  # noqa: ARG001
    encoder = LOADERS[kind](folder)
    assert isinstance(encoder, CountingEncoder)
    return encoder


def _encoder(kind: str, folder: Path) -> CountingEncoder:
    return _loaded(kind, folder, folder.stat().st_mtime_ns)


def _count(path: Path, kind: str, encoder: Path, n_shards: int) -> tuple[Path, list[_Part]]:
    """A task: the statistics of a slice, and its documents by shard."""
    documents = list(_read(path))
    counts = path.with_suffix(".counts")
    _encoder(kind, encoder).count([[each.full_text for each in documents]]).save(counts)
    of_shards: list[list[Document]] = [[] for _ in range(n_shards)]
    for each in documents:
        of_shards[shard_of(each.doc_id, n_shards)].append(each)
    parts = []
    for number, some in enumerate(of_shards):
        part = path.with_suffix(f".part-{number}.jsonl")
        _write(part, some)
        parts.append(_Part(part, sha256_of(part)))
    return counts, parts


def _build(
    target: Path,
    number: int,
    parts: Sequence[_Part],
    kind: str,
    encoder: Path,
    dense: OpenDense | None,
    source: str,
    vector_cache: Path | None,
) -> str:
    """A task: the index of a shard, in a folder named by what it is made of; its name."""
    sparse = _encoder(kind, encoder)
    model = None if dense is None else dense()
    content = [number, sparse.identity.sha256, None if model is None else model.identity.sha256]
    content += [part.sha256 for part in parts]
    name = f"shard-{number}-{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]}"
    if not _is_whole(target / name):
        build_collection(
            (document for part in parts for document in _read(part.path)),
            target / name,
            sparse=sparse,
            dense=model,
            source=source,
            vector_cache=vector_cache,
            allow_empty=True,
            learn=False,
        )
    return name


def _is_whole(folder: Path) -> bool:
    """Whether a shard was built before; its name says what of, and its manifest is written last."""
    try:
        Manifest.read(folder)
    except IndexMissingError:
        return False
    return True


def _remove_unnamed(target: Path, made: ShardsFile) -> None:
    """Remove what the build needed, and shards of the generation before."""
    shutil.rmtree(target / WORK, ignore_errors=True)
    named = {record.folder for record in made.shards}
    for path in target.glob("*shard-*"):
        if path.name not in named and path.name != SHARDS:
            shutil.rmtree(path, ignore_errors=True)
