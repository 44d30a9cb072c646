"""The `Encoder` protocol: text in, sparse vectors out.

Every sparse source (BM25, and each learned encoder) is one of these, so the one engine serves
them all. Query and document sides are named apart because they differ for inference-free models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lsr.passages.passage import PassagedText
from lsr.sparse import CSR
from lsr.types import EncoderIdentity

__all__ = [
    "CorpusEncoder",
    "DenseEncoder",
    "Encoder",
    "FileEncoder",
    "LearningEncoder",
    "PassageEncoder",
    "ResumableEncoder",
    "TokenizedEncoder",
]


@runtime_checkable
class Encoder(Protocol):
    """Turns text into sparse vectors over a vocabulary of `n_terms` terms."""

    @property
    def identity(self) -> EncoderIdentity: ...

    @property
    def n_terms(self) -> int: ...

    def encode_corpus(self, batches: Iterable[Sequence[str]]) -> CSR:
        """Vectors of a whole collection, or of what is added to it, one row per text, in order.

        An encoder with corpus statistics takes them from here first (BM25 does).
        """
        ...

    def encode_documents(self, texts: Sequence[str]) -> CSR:
        """Vectors of documents, one row per text; an empty text is an empty row."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> CSR:
        """Vectors of queries, one row per text; unknown terms are left out."""
        ...

    def find_terms(self, texts: Sequence[str]) -> list[int | None]:
        """The terms that are written so, or None: the inverse of `term`."""
        ...

    def surface_terms(self, text: str) -> NDArray[np.int32] | None:
        """The terms that a query's text itself holds; None when its vector has no others."""
        ...

    def term(self, term: int) -> str:
        """The text of a term, for explanations."""
        ...

    def save(self, folder: Path) -> None:
        """Write what is needed to load this encoder again. The folder exists and is empty."""
        ...


@runtime_checkable
class CorpusEncoder(Encoder, Protocol):
    """An encoder whose vectors depend on statistics of the corpus, as BM25's do.

    `encode_corpus` adds to the statistics; documents encoded earlier keep the weights of their
    time, until the whole collection is encoded again by a `fresh` encoder.
    """

    def fresh(self) -> CorpusEncoder:
        """An encoder with the same options that has seen no corpus."""
        ...


@runtime_checkable
class LearningEncoder(Encoder, Protocol):
    """An encoder that keeps statistics or words of the corpus, and can take in texts alone."""

    def learn(self, texts: Iterable[str]) -> None:
        """Know of these texts what `encode_corpus` would, without making their vectors."""
        ...


@runtime_checkable
class FileEncoder(Encoder, Protocol):
    """An encoder that one file holds, so that a change of it costs one sync."""

    def save_file(self, path: Path) -> None:
        """Write everything that loading it needs to one file."""
        ...


@runtime_checkable
class ResumableEncoder(Encoder, Protocol):
    """A slow encoder whose vectors of documents can be kept, so that what stops can go on."""

    def keep_in(self, folder: Path) -> AbstractContextManager[None]:
        """Keep documents' vectors in a folder while this is open, and take those that are there.

        Vectors that another model made, or the same in another precision, are not taken. The
        folder is made with the first vector, and stays.
        """
        ...


@runtime_checkable
class TokenizedEncoder(Protocol):
    """A sparse or dense encoder whose network reads the tokens of a tokenizer."""

    @property
    def tokenizer_json(self) -> bytes:
        """The tokenizer, as tokenizer.json holds it."""
        ...


@runtime_checkable
class PassageEncoder(Encoder, Protocol):
    """An encoder whose network reads the beginning of a text alone, or is around such a one."""

    @property
    def whole_from(self) -> int:
        """Terms from here on are of the whole text; those below, of a passage."""
        ...

    def encode_passages(
        self, batches: Iterable[Sequence[PassagedText]], *, learn: bool = True
    ) -> CSR:
        """As `encode_corpus`, with a row for each passage.

        A document's first row has, beside its own terms, those of the whole text.

        Args:
            learn: whether the texts are added to the statistics; else as `encode_documents`.
        """
        ...


@runtime_checkable
class DenseEncoder(Protocol):
    """Turns text into dense vectors; an empty text gives a vector of zeros.

    They have unit length, unless the identity's parameters say `similarity` dot.
    """

    @property
    def identity(self) -> EncoderIdentity: ...

    @property
    def dimension(self) -> int: ...

    def encode_documents(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Vectors, shape (n_texts, dimension), calling `progress` with the number done."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors, shape (n_texts, dimension)."""
        ...
