"""Queries of inference-free models: the distinct tokens of a text, each at its weight in a table.

    w(t, q) = table[t] for every token t of q, whether it occurs once or more often

(Geng et al. 2024). It takes a tokenizer and NumPy, and nothing that loads torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError
from lsr.modelfolder import ModelFolder
from lsr.sparse import CSR
from lsr.wordpieces import WordPieces

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
        asked = [self._prompt + text for text in texts] if self._prompt else texts
        if len(asked) == 1:
            return self._encode_one(asked[0])
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

    def _encode_one(self, text: str) -> CSR:
        """As `encode`, without what only pays for many."""
        terms = np.array(sorted(set(self.pieces.encode_one(text))), np.int32)
        terms = terms[: int(terms.searchsorted(self.n_terms))]
        terms = terms[self.weights[terms] > 0]
        return CSR(np.array([0, len(terms)]), terms, self.weights[terms], self.n_terms)


def vocabulary_list(vocabulary: dict[str, int], n_terms: int) -> list[str]:
    """The token of each of `n_terms` terms; a number that the tokenizer lacks gets a name."""
    tokens = {number: token for token, number in vocabulary.items()}
    return [tokens.get(term, f"[no token {term}]") for term in range(n_terms)]
