"""Texts of a database made into vectors, checked, and stored beside them.

Vectors that are ready outlive an interrupt: dense ones in the staging folder, a learned model's in
a folder of their own.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.protocols import DenseEncoder, Encoder, ResumableEncoder
from lsr.errors import InputError, ModelError
from lsr.files import writing
from lsr.index.storage.document_store_writer import StoreWriter
from lsr.progress import Progress
from lsr.sparse import CSR

__all__ = ["encode_dense", "encode_sparse", "resumable", "take_sparse"]

SPARSE_CHUNK = 250
"""Texts encoded between two reports; a learned model takes about ten seconds for them."""
DENSE_CHUNK = 512
"""Texts encoded between two points from which an interrupted run can go on."""


@contextmanager
def resumable(encoder: Encoder, target: Path, cache: Path | None = None) -> Iterator[None]:
    """Keep what a slow encoder makes of documents until this ends well.

    The vectors lie beside the collection, in `.NAME.encoding`, and go when this ends; after an
    interrupt they stay, and the next change of the collection takes them.

    Args:
        encoder: nothing is kept of one that is no `ResumableEncoder`.
        target: the collection's folder.
        cache: a folder where they lie instead, and stay.
    """
    if not isinstance(encoder, ResumableEncoder):
        yield
        return
    folder = target.absolute().parent / f".{target.name}.encoding"
    with encoder.keep_in(cache or folder):
        yield
    if cache is None:
        shutil.rmtree(folder, ignore_errors=True)


def encode_sparse(store: StoreWriter, encoder: Encoder, progress: Progress) -> CSR:
    """Encode and store the sparse vectors of all documents that are in the store so far.

    An encoder with corpus statistics adds the documents to them first.

    Raises:
        ModelError: the encoder gave vectors that cannot be indexed.
    """
    texts = _reported(store.texts(), "encode", store.n_documents, progress)
    vectors = encoder.encode_corpus(texts)
    try:
        vectors.validate()
    except InputError as error:
        raise ModelError(
            f"the sparse encoder {encoder.identity.name!r} gave vectors that cannot be indexed "
            f"({error}); nothing was changed, so check the model and try again"
        ) from error
    store.add_sparse(vectors)
    return vectors


def take_sparse(store: StoreWriter, encoder: Encoder, vectors: CSR) -> CSR:
    """Store vectors that were made elsewhere, one for each document that is in the store so far.

    Raises:
        InputError: they are not one for each document, or not over the encoder's vocabulary.
    """
    if vectors.n_rows != store.n_documents:
        raise InputError(
            f"{vectors.n_rows:,} sparse vectors for {store.n_documents:,} documents; give one each"
        )
    taken = vectors._replace(n_terms=encoder.n_terms)
    taken.validate()
    store.add_sparse(taken)
    return taken


def encode_dense(
    store: StoreWriter, model: DenseEncoder, kept: Path, progress: Progress
) -> NDArray[np.float32]:
    """Encode and store the dense vectors of all documents that are in the store so far.

    A text that occurs twice is encoded once, so that its vectors are equal.

    Args:
        kept: a folder for vectors that are ready, and are used when it is all done again.

    Returns:
        float32, shape (n_documents, dimension).

    Raises:
        ModelError: the model gave numbers that are not finite.
    """
    place: dict[str, int] = {}
    rows = [place.setdefault(text, len(place)) for batch in store.texts() for text in batch]
    texts = list(place)
    vectors = np.zeros((len(texts), model.dimension), np.float32)
    for start in range(0, len(texts), DENSE_CHUNK):
        chunk = texts[start : start + DENSE_CHUNK]
        path = kept / f"{_fingerprint(model.identity.sha256, chunk)}.npy"
        try:
            encoded = np.load(path, allow_pickle=False)
            if encoded.shape != (len(chunk), model.dimension) or not np.isfinite(encoded).all():
                raise ValueError("not the vectors of these texts")
        except (OSError, EOFError, ValueError):
            report = partial(_report_dense, progress, start, len(texts))
            encoded = model.encode_documents(chunk, report)
            _check_dense(encoded, chunk, model)
            with writing(path) as stream:
                np.save(stream, encoded)
        vectors[start : start + len(chunk)] = encoded
        progress("dense", start + len(chunk), len(texts))
    all_rows: NDArray[np.float32] = vectors[rows]
    store.add_dense(all_rows)
    return all_rows


def _check_dense(encoded: NDArray[np.float32], texts: Sequence[str], model: DenseEncoder) -> None:
    finite = np.isfinite(encoded).all(axis=1)
    if not finite.all():
        raise ModelError(
            f"the dense model {model.identity.name!r} gave numbers that are not finite for the "
            f"text {texts[int(np.argmin(finite))][:60]!r}; nothing was changed, so check the model "
            "and try again"
        )


def _reported(
    batches: Iterator[list[str]], stage: str, total: int, progress: Progress
) -> Iterator[Sequence[str]]:
    """The batches in parts, so that slow encoders are heard of, and what they made is kept."""
    done = 0
    for batch in batches:
        for start in range(0, len(batch), SPARSE_CHUNK):
            part = batch[start : start + SPARSE_CHUNK]
            yield part
            done += len(part)
            progress(stage, done, total)


def _report_dense(progress: Progress, before: int, total: int, done: int) -> None:
    progress("dense", before + done, total)


def _fingerprint(model: str, texts: Sequence[str]) -> str:
    digest = hashlib.sha256(model.encode())
    for text in texts:
        digest.update(f"{len(text)} {text}".encode())
    return digest.hexdigest()
