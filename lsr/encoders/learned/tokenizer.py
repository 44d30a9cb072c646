"""Texts to token numbers by a model's tokenizer: the package tokenizers, and a shorter way round.

A WordPiece tokenizer in the manner of BERT cuts each word on its own. So where a text is plain
ASCII, words are looked up in a table of words seen before, which is five times as fast; whatever
is not plain, or not in the table, goes through the package. The numbers are the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError

__all__ = ["WordPieces"]

MOST_WORDS = 1 << 17
"""Words that are remembered; others are cut anew each time."""

_WORDS = re.compile(r"[A-Za-z0-9]+|[!-/:-@\[-`{-~]")


class WordPieces:
    """A tokenizer without special tokens at the ends. May be used from several threads at once.

    Args:
        tokenizer_json: what `tokenizer.json` holds.
        max_tokens: longer texts are truncated; None for no limit.
        truncation_side: which end is cut off.

    Attributes:
        tokenizer_json, max_tokens, truncation_side: as they were given.

    Raises:
        InputError: this is no tokenizer.
    """

    def __init__(
        self,
        tokenizer_json: bytes,
        max_tokens: int | None = None,
        truncation_side: str = "right",
    ) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Any = Tokenizer.from_str(tokenizer_json.decode("utf-8"))
            content = json.loads(tokenizer_json)
        except Exception as error:  # the package raises nothing narrower
            raise InputError(f"the tokenizer cannot be read ({error}); save it again") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.tokenizer_json = tokenizer_json
        self.max_tokens = max_tokens
        self.truncation_side = truncation_side
        self._keeps_left = truncation_side != "left"
        self._plain = _plain_pattern(content)
        self._lowers = bool((content.get("normalizer") or {}).get("lowercase"))
        self._words = _Words(self._tokenizer)

    @property
    def vocabulary(self) -> dict[str, int]:
        """Token to number, added tokens included."""
        vocabulary: dict[str, int] = self._tokenizer.get_vocab()
        return vocabulary

    def encode(
        self, texts: Sequence[str], *, whole: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The token numbers of all texts, in order.

        Args:
            whole: truncate nothing.

        Returns:
            `indptr`, shape (n_texts + 1,), and `tokens`; text i has the slice
            `tokens[indptr[i]:indptr[i + 1]]`.

        Raises:
            InputError: a text holds half a surrogate pair.
        """
        found: list[Sequence[int] | None] = [self._looked_up(text) for text in texts]
        rest = [place for place, ids in enumerate(found) if ids is None]
        for place, ids in zip(rest, self._slowly([texts[i] for i in rest]), strict=True):
            found[place] = ids
        cut = [(ids or ()) if whole else self._truncated(ids or ()) for ids in found]
        indptr = np.zeros(len(cut) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, cut), np.int64, len(cut)), out=indptr[1:])
        return indptr, np.fromiter(chain.from_iterable(cut), np.int64, int(indptr[-1]))

    def encode_one(self, text: str) -> Sequence[int]:
        """The token numbers of one text. Raises as `encode`."""
        ids = self._looked_up(text)
        return self._truncated(self._slowly([text])[0] if ids is None else ids)

    def _looked_up(self, text: str) -> list[int] | None:
        """The numbers of a plain text, not truncated; None for another."""
        if self._plain is None or not self._plain.fullmatch(text):
            return None
        words = _WORDS.findall(text.lower() if self._lowers else text)
        return list(chain.from_iterable(map(self._words.__getitem__, words)))

    def _truncated(self, ids: Sequence[int]) -> Sequence[int]:
        most = self.max_tokens
        if most is None or len(ids) <= most:
            return ids
        return ids[:most] if self._keeps_left else ids[len(ids) - most :]

    def _slowly(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        try:
            encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        except TypeError as error:
            raise InputError(
                "a text holds half a surrogate pair, which is not text; take it out"
            ) from error
        return [encoding.ids for encoding in encodings]


class _Words(dict[str, list[int]]):
    """Word to token numbers; one that is looked up for the first time is cut into pieces."""

    def __init__(self, tokenizer: Any) -> None:
        super().__init__()
        self._tokenizer = tokenizer

    def __missing__(self, word: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(word, add_special_tokens=False).ids
        if len(self) < MOST_WORDS and len(word) <= 64:
            self[word] = ids
        return ids


def _plain_pattern(content: dict[str, Any]) -> re.Pattern[str] | None:
    """Pattern of the texts whose words may be looked up; None if those of no text may.

    Printable ASCII, without the characters that added tokens such as [MASK] begin with.
    """
    kinds = [(content.get(part) or {}).get("type") for part in ("normalizer", "pre_tokenizer")]
    model = (content.get("model") or {}).get("type")
    if kinds != ["BertNormalizer", "BertPreTokenizer"] or model != "WordPiece":
        return None
    first = {token.get("content", "")[:1] for token in content.get("added_tokens") or ()}
    first |= {character.swapcase() for character in first}
    allowed = [chr(code) for code in (9, 10, 13, *range(32, 127)) if chr(code) not in first]
    return re.compile(f"[{re.escape(''.join(allowed))}]*")
