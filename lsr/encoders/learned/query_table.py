"""Queries of inference-free models: the distinct tokens of a text, each at its weight in a table.

    w(t, q) = table[t] for every token t of q, whether it occurs once or more often

(Geng et al. 2024). It takes a tokenizer and NumPy, and nothing that loads torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.tokenizer import WordPieces
from lsr.errors import InputError
from lsr.sparse import CSR

__all__ = ["QueryTable", "vocabulary_list"]


class QueryTable:
    """A tokenizer and a weight for each of its tokens. May be used from several threads at once.

    Args:
        pieces: cuts texts into tokens, and truncates them.
        weights: float32, shape (n_terms,), finite. Terms of weight 0 or less (special tokens)
            are in no query.
        prompt: put before every text.

    Raises:
        InputError: a weight is not finite.
    """

    def __init__(
        self, pieces: WordPieces, weights: NDArray[np.float32], *, prompt: str = ""
    ) -> None:
        if weights.ndim != 1 or not np.isfinite(weights).all():
            raise InputError("the query table must be a row of finite weights; make it again")
        self.weights = np.ascontiguousarray(weights, np.float32)
        self.pieces = pieces
        self._prompt = prompt

    @classmethod
    def open(cls, model: ModelFolder) -> QueryTable:
        """The query side of a model.

        Raises:
            InputError: its queries need the network, or a file of it cannot be read.
        """
        pieces = WordPieces(model.tokenizer_json(), *model.truncation())
        weights = model.query_weights(pieces.vocabulary)
        return cls(pieces, weights, prompt=model.prompts.get("query", ""))

    @property
    def n_terms(self) -> int:
        return len(self.weights)

    @cached_property
    def vocabulary(self) -> list[str]:
        """The token of each term."""
        return vocabulary_list(self.pieces.vocabulary, self.n_terms)

    def encode(self, texts: Sequence[str]) -> CSR:
        """Query vectors, one row per text.

        Raises:
            InputError: a text holds half a surrogate pair.
        """
        if len(texts) == 1:
            return CSR.one_row(self.weights_of(texts[0]), self.n_terms)
        asked = [self._prompt + text for text in texts] if self._prompt else texts
        indptr, tokens = self.pieces.encode(asked)
        keys = np.repeat(np.arange(len(texts), dtype=np.int64) * self.n_terms, np.diff(indptr))
        known = tokens < self.n_terms
        if not known.all():
            keys, tokens = keys[known], tokens[known]
        weighs = self.weights[tokens] > 0
        keys = (keys + tokens)[weighs]
        keys.sort()
        distinct = np.ones(len(keys), bool)
        np.not_equal(keys[1:], keys[:-1], out=distinct[1:])
        keys = keys[distinct]
        ends = np.searchsorted(keys, np.arange(len(texts) + 1, dtype=np.int64) * self.n_terms)
        terms = (keys % max(self.n_terms, 1)).astype(np.int32)
        return CSR(ends.astype(np.int64), terms, self.weights[terms], self.n_terms)

    def weights_of(self, text: str) -> dict[int, float]:
        """The terms of one query, and their weights; faster than `encode`. Raises as it does."""
        weigh = self._weight_of
        tokens = self.pieces.encode_one(self._prompt + text)
        return {token: weigh[token] for token in tokens if token in weigh}

    @cached_property
    def _weight_of(self) -> dict[int, float]:
        """The weights above 0: looked up one by one, a dictionary is faster than an array."""
        above = np.flatnonzero(self.weights > 0)
        return dict(zip(above.tolist(), self.weights[above].tolist(), strict=True))


def vocabulary_list(vocabulary: dict[str, int], n_terms: int) -> list[str]:
    """The token of each of `n_terms` terms; a number that the tokenizer lacks gets a name."""
    tokens = {number: token for token, number in vocabulary.items()}
    return [tokens.get(term, f"[no token {term}]") for term in range(n_terms)]
