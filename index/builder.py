"""Documents in, a published collection out: the stages of a build, one after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.encoder import Encoder, Progress, VectorEncoder, no_progress
from lsr.errors import InputError, ModelError, StorageError
from lsr.index.manifest import Manifest, record_files
from lsr.index.segment import Segment
from lsr.index.staging import Staging
from lsr.index.store import StoreWriter
from lsr.sparse import CSR
from lsr.types import Document
from lsr.vectors import VectorIndex

__all__ = ["ENCODER_FOLDER", "GRAPH_FILE", "SEGMENT_FOLDER", "STORE_FILE", "build_collection"]

STORE_FILE = "documents.sqlite"
SEGMENT_FOLDER = "segment"
ENCODER_FOLDER = "encoder"
GRAPH_FILE = "vectors.hnsw"
DENSE_CHUNK = 512
"""Texts encoded between two points from which an interrupted build can go on."""


def build_collection(
    documents: Iterable[Document],
    target: Path,
    *,
    sparse: Encoder,
    dense: VectorEncoder | None = None,
    source: str = "",
    vector_cache: Path | None = None,
    progress: Progress = no_progress,
) -> Manifest:
    """Build a collection and publish it at `target`, replacing one that is there.

    Until the last moment nothing at `target` changes; an exception, an interrupt or a kill leaves
    it as it was. Dense vectors encoded by an interrupted build are used by the next.

    Args:
        documents: read once; at least one.
        target: the collection's folder, or where it shall be.
        sparse: gives the vectors of the inverted lists; keeps its statistics in the collection.
        dense: gives dense vectors as well.
        source: what the documents are, for people.
        vector_cache: a folder where dense vectors stay after the build, for later builds.

    Raises:
        InputError: no documents, an id that is empty or repeated, or `target` is something else.
        StorageError: the disk is full, there is no permission, or another build is running.
    """
    try:
        with Staging(target) as staging:
            store_path = staging.folder / STORE_FILE
            store = StoreWriter(store_path)
            try:
                if vector_cache is not None:
                    vector_cache.mkdir(parents=True, exist_ok=True)
                kept = vector_cache or staging.kept
                manifest = _fill(staging, store, documents, sparse, dense, source, kept, progress)
            except BaseException:
                store.abandon()
                raise
            progress("publish", 0, None)
            staging.publish(manifest)
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written ({error.strerror or error}); nothing was changed, "
            "so free some space or choose another place and build again"
        ) from error
    return manifest


def _fill(
    staging: Staging,
    store: StoreWriter,
    documents: Iterable[Document],
    sparse: Encoder,
    dense: VectorEncoder | None,
    source: str,
    kept: Path,
    progress: Progress,
) -> Manifest:
    for n_read in store.add_documents(_readable(documents, source)):
        progress("read", n_read, None)
    if store.n_documents == 0:
        raise InputError(f"{source or 'the source'} holds no documents; there is nothing to build")

    vectors = sparse.encode_corpus(_reported(store.texts(), "encode", store.n_documents, progress))
    _check_sparse(vectors, sparse)
    store.add_sparse(vectors)
    encoder_folder = staging.folder / ENCODER_FOLDER
    encoder_folder.mkdir()
    sparse.save(encoder_folder)

    dense_vectors = None
    if dense is not None:
        dense_vectors = _encode_dense(store, dense, kept, progress)
        store.add_dense(dense_vectors)

    progress("index", 0, None)
    segment = Segment.build(store.doc_ids(), vectors, dense_vectors)
    segment_folder = staging.folder / SEGMENT_FOLDER
    segment_folder.mkdir()
    segment.save(segment_folder)
    if dense_vectors is not None:
        index = VectorIndex(dense_vectors, segment.tie_order)
        index.write_graph(segment_folder / GRAPH_FILE)
    store.close()

    progress("checksum", 0, None)
    return Manifest(
        generation=staging.generation,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        lsr_version=version("lsr-search"),
        folder=staging.folder.name,
        source=source,
        n_documents=segment.n_documents,
        n_terms=segment.n_terms,
        n_postings=segment.n_postings,
        sparse=sparse.identity,
        dense=dense.identity if dense is not None else None,
        files=record_files(staging.root, staging.folder),
    )


def _check_dense(encoded: NDArray[np.float32], texts: Sequence[str], model: VectorEncoder) -> None:
    finite = np.isfinite(encoded).all(axis=1)
    if not finite.all():
        raise ModelError(
            f"the dense model {model.identity.name!r} gave numbers that are not finite for the "
            f"text {texts[int(np.argmin(finite))][:60]!r}; nothing was changed, so check the model "
            "and build again"
        )


def _check_sparse(vectors: CSR, encoder: Encoder) -> None:
    try:
        vectors.validate()
    except InputError as error:
        raise ModelError(
            f"the sparse encoder {encoder.identity.name!r} gave vectors that cannot be indexed "
            f"({error}); nothing was changed, so check the model and build again"
        ) from error


def _readable(documents: Iterable[Document], source: str) -> Iterator[Document]:
    """The documents; what goes wrong with reading is not taken for trouble with writing."""
    try:
        yield from documents
    except OSError as error:
        raise InputError(
            f"{source or 'the source'} cannot be read ({error.strerror or error}); check it, "
            "and build again"
        ) from error


def _reported(
    batches: Iterator[list[str]], stage: str, total: int, progress: Progress
) -> Iterator[Sequence[str]]:
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        progress(stage, done, total)


def _encode_dense(
    store: StoreWriter, dense: VectorEncoder, kept: Path, progress: Progress
) -> NDArray[np.float32]:
    """Vectors of all rows. A text that occurs twice is encoded once, so that its vectors are equal.

    Raises:
        ModelError: the model gave numbers that are not finite.
    """
    place: dict[str, int] = {}
    rows = [place.setdefault(text, len(place)) for batch in store.texts() for text in batch]
    texts = list(place)
    vectors = np.zeros((len(texts), dense.dimension), np.float32)
    for start in range(0, len(texts), DENSE_CHUNK):
        chunk = texts[start : start + DENSE_CHUNK]
        path = kept / f"{_fingerprint(dense.identity.sha256, chunk)}.npy"
        try:
            encoded = np.load(path, allow_pickle=False)
            if encoded.shape != (len(chunk), dense.dimension) or not np.isfinite(encoded).all():
                raise ValueError("not the vectors of these texts")
        except (OSError, EOFError, ValueError):
            report = partial(_report_dense, progress, start, len(texts))
            encoded = dense.encode_documents(chunk, report)
            _check_dense(encoded, chunk, dense)
            unfinished = path.with_suffix(".unfinished")
            with unfinished.open("wb") as stream:
                np.save(stream, encoded)
            unfinished.replace(path)
        vectors[start : start + len(chunk)] = encoded
        progress("dense", start + len(chunk), len(texts))
    all_rows: NDArray[np.float32] = vectors[rows]
    return all_rows


def _report_dense(progress: Progress, before: int, total: int, done: int) -> None:
    progress("dense", before + done, total)


def _fingerprint(model: str, texts: Sequence[str]) -> str:
    digest = hashlib.sha256(model.encode())
    for text in texts:
        digest.update(f"{len(text)} {text}".encode())
    return digest.hexdigest()
