"""The two sides of a learned model: what makes its queries' vectors, and what its documents'.

Each is made of ready parts and reads nothing from disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.cache.cached_network import CachedNetwork
from lsr.encoders.corpus.idf import CorpusFrequencies, shrunk_idf
from lsr.encoders.learned.model_source import Network
from lsr.encoders.learned.pruning import ActiveTerms
from lsr.encoders.learned.query_table import QueryTable
from lsr.encoders.learned.tokenizer import WordPieces
from lsr.sparse import CSR

__all__ = ["DocumentSide", "NetworkQueries", "QuerySide", "TableQueries"]


class TableQueries:
    """Queries by a table: the model's, or that of the collection, shrunk towards the model's.

    Args:
        pieces: cuts texts into tokens.
        model_weights: float32, shape (n_terms,), the model's table.
        prompt: put before every query.
        min_idf: tokens that weigh less by the table are left out.
        corpus: the collection's frequencies so far (`lsr.encoders.corpus.idf.shrunk_idf`);
            None for the model's table alone.

    Raises:
        InputError: the frequencies are not one for each weight, or a weight is not finite.
    """

    def __init__(
        self,
        pieces: WordPieces,
        model_weights: NDArray[np.float32],
        *,
        prompt: str = "",
        min_idf: float = 0.0,
        corpus: CorpusFrequencies | None = None,
    ) -> None:
        self.pieces = pieces
        self.prompt = prompt
        self.n_terms = len(model_weights)
        self.model_weights = model_weights
        self._min_idf = min_idf
        self._corpus = corpus
        self._table = self._made()

    @property
    def weights(self) -> NDArray[np.float32]:
        """The weight of each term in queries, float32, shape (n_terms,)."""
        return self._table.weights

    @property
    def frequencies(self) -> CorpusFrequencies:
        """Frequencies in the collection; those of no documents where the table is the model's."""
        return self._corpus or CorpusFrequencies.none(self.n_terms)

    def count(self, texts: Sequence[str]) -> None:
        """Add documents to the frequencies, whole ones: only queries are truncated."""
        if self._corpus is not None:
            self._corpus = self._corpus.plus(*self.pieces.encode(texts, whole=True))
            self._table = self._made()

    def with_frequencies(self, tokens: NDArray[np.int64], n_documents: int) -> TableQueries:
        """The same by the frequencies of another collection, where it is counted at all.

        Args:
            tokens: shape (n_terms,); of length 0 for a collection without documents.
        """
        corpus = None
        if self._corpus is not None:
            corpus = CorpusFrequencies.none(self.n_terms)
            corpus = CorpusFrequencies(tokens, n_documents) if len(tokens) else corpus
        return TableQueries(
            self.pieces,
            self.model_weights,
            prompt=self.prompt,
            min_idf=self._min_idf,
            corpus=corpus,
        )

    def encode(self, texts: Sequence[str]) -> CSR:
        """Query vectors, one row per text. Raises as `QueryTable.encode`."""
        return self._table.encode(texts)

    def weights_of(self, text: str) -> dict[int, float]:
        """The terms of one query, and their weights; faster than `encode`."""
        return self._table.weights_of(text)

    def surface_terms(self, text: str) -> None:  # noqa: ARG002
        """None: a query's vector has the terms of its text and no others."""
        return

    def save(self, folder: Path) -> None:
        """Write `weights.npy`, and `document_frequency.npy` where the collection is counted."""
        np.save(folder / "weights.npy", self.model_weights)
        if self._corpus is not None:
            np.save(folder / "document_frequency.npy", self._corpus.df)

    def _made(self) -> QueryTable:
        weights = self.model_weights
        if self._corpus is not None:
            weights = shrunk_idf(self._corpus.df, self._corpus.n_documents, weights)
        weights = np.where(weights < self._min_idf, np.float32(0), weights)
        return QueryTable(self.pieces, weights, prompt=self.prompt)


class NetworkQueries:
    """Queries by the model's network, as SPLADE's are.

    Args:
        pieces: cuts texts into tokens, for `surface_terms`.
        network: encodes; it puts the prompt before a query itself.
        n_terms: the width of its vectors.
        prompt: what it puts there.
    """

    weights = None

    def __init__(
        self, pieces: WordPieces, network: Network, n_terms: int, *, prompt: str = ""
    ) -> None:
        self.pieces = pieces
        self.prompt = prompt
        self.n_terms = n_terms
        self._network = network

    @property
    def frequencies(self) -> CorpusFrequencies:
        """None are counted: there is no table."""
        return CorpusFrequencies.none(self.n_terms)

    def count(self, texts: Sequence[str]) -> None:
        """Nothing to count: there is no table."""

    def with_frequencies(self, tokens: NDArray[np.int64], n_documents: int) -> NetworkQueries:  # noqa: ARG002
        """The same: there is no table."""
        return self

    def encode(self, texts: Sequence[str]) -> CSR:
        """Query vectors, one row per text. Raises as `Network.encode`."""
        return self._network.encode(texts, "query")._replace(n_terms=self.n_terms)

    def surface_terms(self, text: str) -> NDArray[np.int32]:
        """The tokens of the text, to which a network adds others."""
        ids = {number for number in self.pieces.encode_one(text) if number < self.n_terms}
        return np.array(sorted(ids), np.int32)

    def save(self, folder: Path) -> None:
        """Nothing to write: the network stays where it is."""


QuerySide = TableQueries | NetworkQueries


class DocumentSide:
    """Documents by a network, of whose vectors the heaviest entries are kept.

    Args:
        network: encodes.
        kept: which entries of a vector.
        key: of the network and how it computes: same key, same vectors.
        n_terms: the width of vectors.
    """

    def __init__(self, network: Network, kept: ActiveTerms, key: str, n_terms: int) -> None:
        self._network = network
        self._kept = kept
        self._key = key
        self._n_terms = n_terms

    def encode(self, texts: Sequence[str]) -> CSR:
        """Vectors, one row per text; a blank text is an empty row. Raises as `Network.encode`."""
        vectors = self._network.encode(texts, "document")
        return self._kept.of(vectors)._replace(n_terms=self._n_terms)

    @contextmanager
    def keep_in(self, folder: Path) -> Iterator[None]:
        """Keep the network's vectors, whole ones; see `ResumableEncoder`."""
        network = self._network
        self._network = CachedNetwork(network, folder, self._key)
        try:
            yield
        finally:
            self._network = network
