"""Vectors of operations: made by a collection's own models, in batches, as the log keeps them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.dense_recipe import Similarity, scaled_vector
from lsr.encoders.protocols import DenseEncoder, Encoder, LearningEncoder
from lsr.errors import InputError, ModelError
from lsr.index.collection.encode import encoded_texts, whole_from
from lsr.index.live.log import Entry, Vectors
from lsr.index.live.operation import Operation
from lsr.index.live.passaged import Passaged, lengths_of
from lsr.passages.passage import PassagedText, Split, passaged_text
from lsr.sparse import CSR

__all__ = ["Given", "checked_given", "dense_of", "encoded", "given_of", "learn", "sparse_of"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Given:
    """Vectors of the caller's, in the collection's own spaces."""

    terms: NDArray[np.int32] | None
    weights: NDArray[np.float32] | None
    dense: NDArray[np.float32] | None


def encoded(
    entries: Sequence[Entry],
    encoder: Encoder,
    dense: DenseEncoder | None,
    dimension: int,
    similarity: Similarity = "cosine",
    split: Split | None = None,
) -> list[Vectors]:
    """The vectors of operations, in their order.

    Only the last version of a document is encoded. The models sort texts by length themselves. An
    encoder that learns does so in the order of the operations, as `learn` would.

    Args:
        dense: the dense model; None where no text needs it.
        dimension: of the dense vectors; 0 without a dense side.
        similarity: by which they are compared.
        split: gives the passages of a document; one with vectors of the caller's stays whole.

    Raises:
        ModelError: a model gave numbers that cannot be indexed.
    """
    newest = {entry.doc_id: entry.seq for entry in entries}
    puts = [each for each in entries if each.body is not None and newest[each.doc_id] == each.seq]
    given = {entry.seq: _given(entry, encoder, dimension, similarity) for entry in puts}
    passages = {
        entry.seq: tuple(split(entry.document)) if split and entry.given is None else ()
        for entry in puts
    }
    texts = {entry.seq: passaged_text(entry.document, passages[entry.seq]) for entry in puts}
    sparse_parts: dict[int, tuple[bytes, bytes]] = {}
    dense_parts: dict[int, bytes] = {}
    noted: dict[int, bytes] = {}
    own = [entry.seq for entry in puts if given[entry.seq].terms is None]
    if own:
        vectors = encoded_texts(encoder, [texts[seq] for seq in own])
        try:
            vectors.validate()
        except InputError as error:
            raise ModelError(
                f"the sparse encoder {encoder.identity.name!r} gave vectors that cannot be "
                f"indexed ({error}); the documents are kept and wait, so check the model"
            ) from error
        for seq, (first, last) in zip(own, _edges(texts[each] for each in own), strict=True):
            places = vectors.indptr[first : last + 1]
            part = slice(places[0], places[-1])
            sparse_parts[seq] = _bytes(vectors.terms[part], vectors.weights[part])
            if passages[seq]:
                lengths = tuple(np.diff(places).tolist())
                noted[seq] = Passaged(passages[seq], lengths, whole_from(encoder)).to_bytes()
    asked = [entry.seq for entry in puts if given[entry.seq].dense is None] if dimension else []
    if asked:
        assert dense is not None
        matrix = dense.encode_documents([part for seq in asked for part in texts[seq].passages])
        if not np.isfinite(matrix).all():
            raise ModelError(
                f"the dense model {dense.identity.name!r} gave numbers that are not finite; the "
                "documents are kept and wait, so check the model"
            )
        for seq, (first, last) in zip(asked, _edges(texts[each] for each in asked), strict=True):
            dense_parts[seq] = matrix[first:last].astype("<f4").tobytes()
    for seq, each in given.items():
        if each.terms is not None and each.weights is not None:
            sparse_parts[seq] = _bytes(each.terms, each.weights)
        if each.dense is not None:
            dense_parts[seq] = each.dense.astype("<f4").tobytes()
    learned = set(own)
    found = []
    for entry in entries:
        terms, weights = sparse_parts.get(entry.seq, (None, None))
        found.append(
            Vectors(
                entry.seq,
                terms,
                weights,
                dense_parts.get(entry.seq),
                entry.seq in learned,
                noted.get(entry.seq),
            )
        )
    return found


def _edges(texts: Iterable[PassagedText]) -> Iterator[tuple[int, int]]:
    """First and last passage, exclusive, of each document."""
    return pairwise(accumulate((len(text.passages) for text in texts), initial=0))


def learn(entries: Sequence[Entry], encoder: Encoder) -> None:
    """Let an encoder know of operations that were encoded by another of its kind.

    Without any it is not touched: the keeper's own may be learning in another thread.
    """
    texts = [entry.document.full_text for entry in entries if entry.learned]
    if texts and isinstance(encoder, LearningEncoder):
        encoder.learn(texts)


def given_of(operation: Operation) -> str | None:
    """Vectors of the caller's as JSON, or None."""
    if operation.sparse is None and operation.dense is None:
        return None
    sparse = None if operation.sparse is None else dict(operation.sparse)
    dense = None if operation.dense is None else list(operation.dense)
    return json.dumps({"sparse": sparse, "dense": dense})


def checked_given(
    given: str | None, encoder: Encoder, dimension: int, similarity: Similarity
) -> Given:
    """Vectors of the caller's as the collection takes them.

    Raises:
        InputError: a term is not in the vocabulary, or the dense vector has another number of
            components, or is too long.
    """
    if given is None:
        return Given(None, None, None)
    content: dict[str, Any] = json.loads(given)
    terms = weights = dense = None
    if content["sparse"] is not None:
        names = list(content["sparse"])
        known = encoder.find_terms(names)
        missing = [name for name, term in zip(names, known, strict=True) if term is None]
        if missing:
            raise InputError(
                f"vectors.sparse: the vocabulary of this collection has no term {missing[0][:64]!r}"
                f" (and lacks {len(missing):,} of {len(names):,} in all)"
            )
        order = np.argsort(np.array(known, np.int64))
        terms = np.array(known, np.int32)[order]
        weights = np.array(list(content["sparse"].values()), np.float32)[order]
    if content["dense"] is not None:
        dense = np.array(content["dense"], np.float32)
        if dense.shape != (dimension,):
            raise InputError(
                f"vectors.dense has {dense.size:,} numbers and this collection needs {dimension:,}"
            )
        dense = scaled_vector(dense, similarity)
    return Given(terms, weights, dense)


def _given(entry: Entry, encoder: Encoder, dimension: int, similarity: Similarity) -> Given:
    """The caller's vectors; without those that do not fit a collection that was built anew since.

    Then a model makes them, and where there is none the document has no terms.
    """
    try:
        return checked_given(entry.given, encoder, dimension, similarity)
    except InputError as error:
        _log.error("vectors of document %r are left out: %s", entry.doc_id, error)
    if encoder.identity.kind != "precomputed":
        return Given(None, None, None)
    return Given(np.zeros(0, np.int32), np.zeros(0, np.float32), None)


def sparse_of(entries: Sequence[Entry], n_terms: int) -> CSR:
    """The sparse vectors of entries, a row for each passage."""
    indptr = np.concatenate([[0], np.cumsum(lengths_of(entries))]).astype(np.int64)
    terms = np.frombuffer(b"".join(entry.terms or b"" for entry in entries), "<i4")
    weights = np.frombuffer(b"".join(entry.weights or b"" for entry in entries), "<f4")
    return CSR(indptr, terms.astype(np.int32), weights.astype(np.float32), n_terms)


def dense_of(entries: Sequence[Entry], dimension: int) -> NDArray[np.float32]:
    """The dense vectors of entries, a row for each passage; zeros where there is none."""
    parts = [np.zeros((0, dimension), np.float32)]
    for entry in entries:
        if entry.dense is None:
            parts.append(np.zeros((1, dimension), np.float32))
        else:
            parts.append(np.frombuffer(entry.dense, "<f4").reshape(-1, dimension))
    return np.concatenate(parts)


def _bytes(terms: NDArray[np.int32], weights: NDArray[np.float32]) -> tuple[bytes, bytes]:
    return terms.astype("<i4").tobytes(), weights.astype("<f4").tobytes()
