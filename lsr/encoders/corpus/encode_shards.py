"""A collection encoded to files, shard by shard, so that an interrupted run goes on where it was.

A folder of `shard-00000.jsonl`, ... in the form that `lsr index build --vectors` reads, and a
hidden file that says what made them. A shard appears by one rename; a run that is started again
keeps those whose documents are the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from lsr.datasets.vectors.open import VectorFile, write_vectors
from lsr.errors import DataError, InputError, StorageError
from lsr.files import UNFINISHED, write_atomically
from lsr.progress import Progress, no_progress
from lsr.sparse import CSR
from lsr.types import Document

__all__ = [
    "SHARD_DOCUMENTS",
    "EncodedShards",
    "ShardPlan",
    "encode_shards",
    "whole_impacts",
    "write_one_file",
]

SHARD_DOCUMENTS = 4_096
PLAN_FILE = ".lsr-encode.json"
"""Hidden, so that readers of a folder of vectors pass it over."""


@dataclass(frozen=True)
class ShardPlan:
    """Plan that all shards of a folder share; a folder with another plan is not continued.

    Attributes:
        encoder_sha256: identity of the encoder with its options.
        side: "document" or "query".
        scale: weights are multiplied by this and rounded to whole numbers; 0 to leave them.
        texts: whether texts are written beside the vectors.
        shard_documents: documents in a shard, but for the last.
    """

    encoder_sha256: str
    side: str = "document"
    scale: float = 0.0
    texts: bool = True
    shard_documents: int = SHARD_DOCUMENTS


@dataclass(frozen=True)
class EncodedShards:
    """Counts of an encoding run: documents, entries of new shards, shards kept from before."""

    n_documents: int
    n_entries: int
    n_kept: int


def encode_shards(
    documents: Iterable[Document],
    folder: Path,
    encode: Callable[[Sequence[str]], CSR],
    vocabulary: Sequence[str],
    plan: ShardPlan,
    *,
    total: int | None = None,
    progress: Progress = no_progress,
) -> EncodedShards:
    """Encode documents into a folder; shards that are there and still right are kept.

    Args:
        documents: read once.
        folder: made when it is not there.
        encode: texts to vectors, one row per text.
        vocabulary: the token of each term.
        plan: how, and by what.
        total: documents in all, for the progress, if known.

    Raises:
        InputError: there are no documents, or the folder holds something else.
        StorageError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = _resume(folder, plan)
        _write_plan(folder, plan, known)  # before the first shard, so that one is never alone
        written: dict[str, str] = {}
        n_documents = n_entries = n_kept = 0
        for number, chunk in enumerate(_chunks(documents, plan.shard_documents)):
            name = f"shard-{number:05}.jsonl"
            fingerprint = _fingerprint(chunk)
            if known.get(name) == fingerprint and (folder / name).is_file():
                n_kept += 1
            else:
                vectors = encode([document.full_text for document in chunk])
                if plan.scale:
                    vectors = whole_impacts(vectors, plan.scale)
                n_entries += vectors.nnz
                doc_ids = [document.doc_id for document in chunk]
                texts = [document.full_text for document in chunk] if plan.texts else None
                write_vectors(folder / name, "anserini", doc_ids, vectors, vocabulary, texts)
            written[name] = fingerprint
            _write_plan(folder, plan, known | written)
            n_documents += len(chunk)
            progress("encode", n_documents, total)
        if not n_documents:
            raise InputError("there are no documents to encode; check the source")
        for name in known.keys() - written.keys():
            (folder / name).unlink(missing_ok=True)
        _write_plan(folder, plan, written)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written ({error.strerror or error}); shards that are whole are "
            "kept, so free some space and run this again"
        ) from error
    return EncodedShards(n_documents, n_entries, n_kept)


def whole_impacts(vectors: CSR, scale: float) -> CSR:
    """Weights times `scale`, rounded to whole numbers; those that round to 0 are dropped.

    Raises:
        InputError: `scale` is not a positive number.
    """
    if not (np.isfinite(scale) and scale > 0):
        raise InputError(f"a scale of {scale} is not a positive number; 100 is usual")
    whole = np.rint(vectors.weights.astype(np.float64) * scale)
    kept = whole > 0
    indptr = np.concatenate([[0], np.cumsum(kept)])[vectors.indptr].astype(np.int64)
    weights = whole[kept].astype(np.float32)
    return CSR(indptr, vectors.terms[kept], weights, vectors.n_terms)


def write_one_file(folder: Path, file: Path, vocabulary: Sequence[str]) -> int:
    """Put all shards of a folder into one `.npz` file, and their ids, a line each, beside it.

    Args:
        file: ends in `.npz`; ids go to the same name with `.ids.txt` at its end.
        vocabulary: as the shards were written with; components are numbered by it.

    Returns:
        How many vectors there are.
    """
    ids: list[str] = []
    parts: list[CSR] = []
    for shard in sorted(folder.glob("shard-*.jsonl")):
        chunk = VectorFile.open(shard, "anserini", vocabulary).read_all()
        ids += chunk.doc_ids
        parts.append(chunk.vectors)
    vectors = CSR.concatenate(parts)._replace(n_terms=len(vocabulary))
    write_vectors(file, "scipy", ids, vectors)
    try:
        lines = "".join(f"{doc_id}\n" for doc_id in ids)
        write_atomically(file.with_name(f"{file.name}.ids.txt"), lines)
    except OSError as error:
        raise StorageError(f"the ids of {file} cannot be written ({error.strerror})") from error
    return len(ids)


def _resume(folder: Path, plan: ShardPlan) -> dict[str, str]:
    """Name to fingerprint of the shards that are there."""
    path = folder / PLAN_FILE
    if not path.is_file():
        if any(not each.name.endswith(UNFINISHED) for each in folder.iterdir()):
            raise InputError(
                f"{folder} holds files that are no shards of lsr encode; name another folder"
            )
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
        before, shards = ShardPlan(**content["plan"]), dict(content["shards"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError("is damaged; delete the folder and start again", path=path) from error
    if before != plan:
        raise InputError(
            f"{folder} holds vectors of another model or other options; name another folder, or "
            "delete this one"
        )
    return shards


def _write_plan(folder: Path, plan: ShardPlan, shards: dict[str, str]) -> None:
    write_atomically(folder / PLAN_FILE, json.dumps({"plan": vars(plan), "shards": shards}))


def _chunks(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    source = iter(documents)
    while chunk := list(islice(source, size)):
        yield chunk


def _fingerprint(documents: Sequence[Document]) -> str:
    digest = hashlib.sha256()
    for document in documents:
        for part in (document.doc_id, document.full_text):
            digest.update(f"{len(part)} {part}".encode(errors="surrogatepass"))
    return digest.hexdigest()
