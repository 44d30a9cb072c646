"""Texts of a database made into vectors, checked, and stored beside them.

Vectors that are ready outlive an interrupt: dense ones in the staging folder, a learned model's in
a folder of their own.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.protocols import (
    DenseEncoder,
    Encoder,
    PassageEncoder,
    ResumableEncoder,
    TokenizedEncoder,
)
from lsr.errors import InputError, ModelError
from lsr.files import writing
from lsr.index.storage.document_store_writer import StoreWriter
from lsr.index.storage.names import kept_folder
from lsr.passages.passage import PassagedText, PassageSettings, Split
from lsr.passages.passage_rows import at_first_passages
from lsr.passages.splitter import PassageSplitter
from lsr.progress import Progress
from lsr.sparse import CSR

__all__ = [
    "encode_dense",
    "encode_sparse",
    "encoded_texts",
    "has_kept",
    "resumable",
    "splitting",
    "take_sparse",
    "whole_from",
]

SPARSE_CHUNK = 250
"""Texts encoded at most between two reports; a learned model takes about ten seconds for them."""
FIRST_CHUNK = 4
"""Texts before the first report; parts double from there, so that the rate is known early."""
DENSE_CHUNK = 512
"""Texts encoded between two points from which an interrupted run can go on."""

Text = TypeVar("Text")


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
    folder = _encoding_folder(target)
    with encoder.keep_in(cache or folder):
        yield
    if cache is None:
        shutil.rmtree(folder, ignore_errors=True)


def has_kept(target: Path) -> bool:
    """Whether vectors lie beside a collection that the next change takes over, should it need them.

    Args:
        target: the collection's folder, which may not be there yet.
    """
    learned = _encoding_folder(target).glob("v*/shard-*")
    dense = kept_folder(target.absolute()).glob("*.npy")
    return any(learned) or any(dense)


def _encoding_folder(target: Path) -> Path:
    return target.absolute().parent / f".{target.name}.encoding"


def encode_sparse(
    store: StoreWriter, encoder: Encoder, progress: Progress, *, learn: bool = True
) -> CSR:
    """Encode and store the sparse vectors of all passages that are in the store so far.

    An encoder that reads no passages gives vectors of whole documents.

    Args:
        learn: whether an encoder with corpus statistics adds the documents to them first.

    Raises:
        ModelError: the encoder gave vectors that cannot be indexed.
    """
    total = store.n_documents
    if store.has_passages and isinstance(encoder, PassageEncoder):
        texts = _reported(store.passaged_texts(), "encode", total, progress)
        vectors = encoder.encode_passages(texts, learn=learn)
    else:
        parts = _reported(store.texts(), "encode", total, progress)
        vectors = encoder.encode_corpus(parts) if learn else _known(encoder, parts)
        if store.has_passages:
            vectors = at_first_passages(vectors, store.passage_counts)
    try:
        vectors.validate()
    except InputError as error:
        raise ModelError(
            f"the sparse encoder {encoder.identity.name!r} gave vectors that cannot be indexed "
            f"({error}); nothing was changed, so check the model and try again"
        ) from error
    store.add_sparse(vectors)
    return vectors


def _known(encoder: Encoder, batches: Iterable[Sequence[str]]) -> CSR:
    """Vectors of texts by what the encoder knows of the corpus already."""
    parts = [encoder.encode_documents(batch) for batch in batches]
    return CSR.concatenate(parts)._replace(n_terms=encoder.n_terms)


def encoded_texts(encoder: Encoder, texts: Sequence[PassagedText]) -> CSR:
    """Vectors of a few documents, a row for each passage, of which the encoder learns."""
    counts = [len(text.passages) for text in texts]
    if max(counts, default=1) > 1 and isinstance(encoder, PassageEncoder):
        return encoder.encode_passages([texts])
    whole = encoder.encode_corpus([[text.whole for text in texts]])
    return at_first_passages(whole, counts) if sum(counts) > len(texts) else whole


def splitting(
    settings: Mapping[str, int] | None,
    encoder: Encoder,
    dense: DenseEncoder | None = None,
) -> Split | None:
    """The function that splits long documents by the tokenizer of the network that reads them.

    Args:
        settings: of `PassageSettings`, by name; None where documents stay whole.
        dense: the dense model, whose tokenizer counts where `encoder` reads whole texts.

    Raises:
        InputError: no model reads passages.
    """
    if settings is None:
        return None
    reader = encoder if isinstance(encoder, TokenizedEncoder) else dense
    if not isinstance(reader, TokenizedEncoder):
        raise InputError(
            f"{encoder.identity.name} reads whole texts, so there is nothing to split them for; "
            "leave passages out, or choose a learned or a dense model"
        )
    return _splitter(reader.tokenizer_json, PassageSettings(**settings)).passages


@lru_cache(maxsize=2)
def _splitter(tokenizer_json: bytes, settings: PassageSettings) -> PassageSplitter:
    return PassageSplitter(tokenizer_json, settings)


def whole_from(encoder: Encoder) -> int:
    """The first term that is of whole documents: 0 for an encoder that reads no passages."""
    return encoder.whole_from if isinstance(encoder, PassageEncoder) else 0


def take_sparse(store: StoreWriter, encoder: Encoder, vectors: CSR) -> CSR:
    """Store vectors that were made elsewhere, one for each document that is in the store so far.

    Raises:
        InputError: they are not one for each document, or not over the encoder's vocabulary.
    """
    if vectors.n_rows != store.passage_counts.sum():
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
    """Encode and store the dense vectors of all passages that are in the store so far.

    A text that occurs twice is encoded once, so that its vectors are equal.

    Args:
        kept: a folder for vectors that are ready, and are used when it is all done again.

    Returns:
        float32, shape (n_passages, dimension).

    Raises:
        ModelError: the model gave numbers that are not finite.
    """
    place: dict[str, int] = {}
    passages = (each for batch in store.passaged_texts() for each in batch)
    rows = [place.setdefault(text, len(place)) for each in passages for text in each.passages]
    texts = list(place)
    vectors = np.zeros((len(texts), model.dimension), np.float32)
    progress("dense", 0, len(texts))
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
    batches: Iterator[list[Text]], stage: str, total: int, progress: Progress
) -> Iterator[Sequence[Text]]:
    """The batches in parts, so that slow encoders are heard of, and what they made is kept."""
    done, size = 0, FIRST_CHUNK
    progress(stage, done, total)
    for batch in batches:
        start = 0
        while start < len(batch):
            size = min(size, SPARSE_CHUNK)
            part = batch[start : start + size]
            yield part
            start += size
            size *= 2
            done += len(part)
            progress(stage, done, total)


def _report_dense(progress: Progress, before: int, total: int, done: int) -> None:
    progress("dense", before + done, total)


def _fingerprint(model: str, texts: Sequence[str]) -> str:
    digest = hashlib.sha256(model.encode())
    for text in texts:
        digest.update(f"{len(text)} {text}".encode())
    return digest.hexdigest()
