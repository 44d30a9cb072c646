"""The encoder of collections whose vectors were made elsewhere: it encodes no text.

A query is a vector too: an object of token to weight in JSON, such as `{"cat": 1.5}`. Without a
vocabulary a token is the number of a component.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from lsr.datasets.vectors.token_weights import parse_object, token_weights
from lsr.errors import IndexCorruptError, InputError, QueryError
from lsr.files import is_text
from lsr.sparse import CSR, MAX_TERMS
from lsr.types import EncoderIdentity

__all__ = ["PrecomputedEncoder"]

_HEAVIEST = 3.4028234663852886e38
"""The greatest float32."""


class PrecomputedEncoder:
    """Names the terms of given vectors, and reads given query vectors.

    Args:
        n_terms: the width of the vectors.
        vocabulary: the token of each term, different from each other; None when components are
            numbers and no more.
        name: where the vectors come from, for people.

    Raises:
        InputError: the vocabulary has another length, repeats a token, or one is not text.
    """

    def __init__(
        self, n_terms: int, vocabulary: Sequence[str] | None = None, name: str = "precomputed"
    ) -> None:
        if not 0 <= n_terms <= MAX_TERMS:
            raise InputError(f"{n_terms:,} terms; from 0 to {MAX_TERMS:,} fit")
        self._n_terms = n_terms
        self._name = name
        self._tokens = None if vocabulary is None else list(vocabulary)
        self._numbers = {token: term for term, token in enumerate(self._tokens or ())}
        if self._tokens is None:
            return
        if len(self._tokens) != n_terms:
            raise InputError(
                f"a vocabulary of {len(self._tokens):,} tokens for {n_terms:,} terms; give one each"
            )
        if len(self._numbers) != n_terms:
            raise InputError("the vocabulary has a token twice; every term needs its own")
        for token in self._tokens:
            if not is_text(token):
                raise InputError(
                    f"the token {token[:64]!r} holds half a surrogate pair, which is not text"
                )

    @property
    def identity(self) -> EncoderIdentity:
        parameters: dict[str, str | int | float | bool] = {
            "n_terms": self._n_terms,
            "vocabulary": self._tokens is not None,
        }
        digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
        for token in self._tokens or ():
            digest.update(f"{len(token)} {token}".encode())
        return EncoderIdentity("precomputed", self._name, digest.hexdigest(), parameters)

    @property
    def n_terms(self) -> int:
        return self._n_terms

    @property
    def vocabulary(self) -> list[str] | None:
        """The token of each term, or None."""
        return None if self._tokens is None else list(self._tokens)

    def term(self, term: int) -> str:
        """The token of a term, or its number as text."""
        return str(term) if self._tokens is None else self._tokens[term]

    def encode_corpus(self, batches: Iterable[Sequence[str]]) -> NoReturn:  # noqa: ARG002
        """Refused: there is no model to encode text with. Raises InputError."""
        self.encode_documents(())

    def encode_documents(self, texts: Sequence[str]) -> NoReturn:  # noqa: ARG002
        """Refused: there is no model to encode text with. Raises InputError."""
        raise InputError(
            "this collection is of vectors made elsewhere, and text cannot be encoded for it; give "
            "the documents' vectors"
        )

    def encode_queries(self, texts: Sequence[str]) -> CSR:
        """The vectors that the texts are in JSON; a blank text is an empty vector.

        Tokens that no document has are left out, and so are zeros.

        Raises:
            QueryError: a text is no such object, or a weight is negative or not finite.
        """
        return CSR.from_rows((self._query(text) for text in texts), self._n_terms)

    def find_terms(self, texts: Sequence[str]) -> list[int | None]:
        """The terms of these tokens, or None where there is none."""
        if self._tokens is None:
            return [self._component(text) for text in texts]
        return [self._numbers.get(text) for text in texts]

    def surface_terms(self, text: str) -> None:  # noqa: ARG002
        """None: a query's vector has the terms of its text and no others."""
        return

    def _query(self, text: str) -> dict[int, float]:
        if not text.strip():
            return {}
        if not text.lstrip().startswith("{"):
            self._refuse("")
        try:
            weights = token_weights(parse_object(text.encode(errors="surrogatepass")))
        except ValueError as error:
            self._refuse(f"; this one cannot be read: {error}")
        vector: dict[int, float] = {}
        terms = self.find_terms(list(weights))
        for (token, weight), term in zip(weights.items(), terms, strict=True):
            if not 0 <= weight <= _HEAVIEST:
                self._refuse(f"; the weight of {token[:64]!r} must be finite and not below 0")
            if self._tokens is None and not _is_number(token):
                self._refuse(f"; {token[:64]!r} is not the number of a component")
            if term is not None and np.float32(weight) > 0:
                vector[term] = weight
        return vector

    def _refuse(self, reason: str) -> NoReturn:
        token = "17" if self._tokens is None else "cat"
        raise QueryError(
            "this collection was built from vectors made elsewhere, so a query must be a vector: "
            f'send `sparse_vector`, or write the query as JSON, like {{"{token}": 1.5}}{reason}'
        )

    def _component(self, text: str) -> int | None:
        if not _is_number(text) or len(text) > 10 or int(text) >= self._n_terms:
            return None
        return int(text)

    def save(self, folder: Path) -> None:
        """Write `encoder.json` and, if there is one, `vocabulary.txt`: a token a line, as JSON."""
        state = {
            "kind": "precomputed",
            "name": self._name,
            "n_terms": self._n_terms,
            "vocabulary": self._tokens is not None,
        }
        (folder / "encoder.json").write_text(json.dumps(state, indent=2) + "\n")
        if self._tokens is not None:
            lines = [f"{json.dumps(token, ensure_ascii=False)}\n" for token in self._tokens]
            (folder / "vocabulary.txt").write_bytes("".join(lines).encode())

    @classmethod
    def load(cls, folder: Path) -> PrecomputedEncoder:
        """Read what `save` wrote.

        Raises:
            IndexCorruptError: a file is missing, or the files do not fit together.
        """
        try:
            state = json.loads((folder / "encoder.json").read_text("utf-8"))
            tokens = None
            if state["vocabulary"]:
                lines = (folder / "vocabulary.txt").read_bytes().decode().split("\n")[:-1]
                tokens = [_token(line) for line in lines]
            return cls(int(state["n_terms"]), tokens, str(state["name"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError, InputError) as error:
            raise IndexCorruptError(
                f"{folder}: the encoder of precomputed vectors cannot be read ({error}); "
                "build the index again"
            ) from error


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and (text[0] != "0" or text == "0")


def _token(line: str) -> str:
    token = json.loads(line)
    if not isinstance(token, str):
        raise ValueError(f"{line[:40]!r} is no token")
    return token
