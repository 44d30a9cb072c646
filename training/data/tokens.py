"""Token numbers of many texts in one flat array: what statistics, BM25 and batches are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lsr.errors import InputError
from lsr.progress import Progress, no_progress

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    AnyTokenizer = PreTrainedTokenizerBase | Tokenizer

__all__ = ["Tokenized", "special_ids", "tokenize", "vocabulary_size"]

BATCH_TEXTS = 1024


@dataclass(frozen=True, slots=True)
class Tokenized:
    """Token numbers of texts, without special tokens.

    Attributes:
        indptr: int64 [n_texts + 1]: text i is `tokens[indptr[i]:indptr[i + 1]]`.
        tokens: uint16 [n_tokens], or int32 when the vocabulary is greater than 65,536.
    """

    indptr: NDArray[np.int64]
    tokens: NDArray[np.uint16] | NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __getitem__(self, i: int) -> NDArray[np.uint16] | NDArray[np.int32]:
        return self.tokens[self.indptr[i] : self.indptr[i + 1]]

    @property
    def lengths(self) -> NDArray[np.int32]:
        """Tokens of each text, int32 [n_texts]."""
        return np.diff(self.indptr).astype(np.int32)


def tokenize(
    texts: Sequence[str],
    tokenizer: AnyTokenizer,
    max_tokens: int | None = None,
    progress: Progress = no_progress,
) -> Tokenized:
    """Token numbers of all texts, without special tokens.

    Args:
        texts: any; an empty one has no tokens.
        tokenizer: a fast tokenizer of transformers, or one of tokenizers. It is not changed.
        max_tokens: kept of each text, from its start; None for all.

    Raises:
        InputError: the tokenizer is none of these, `max_tokens` is below 1, or a text is not
            Unicode.
    """
    if max_tokens is not None and max_tokens < 1:
        raise InputError("max_tokens must be 1 or more")
    backend = Tokenizer.from_str(_backend(tokenizer).to_str())
    backend.no_padding()
    backend.no_truncation()
    if max_tokens is not None:
        backend.enable_truncation(max_tokens)
    dtype = np.dtype(np.uint16 if vocabulary_size(tokenizer) <= 2**16 else np.int32)
    lengths = np.zeros(len(texts) + 1, np.int64)
    parts: list[NDArray[Any]] = [np.empty(0, dtype)]
    for start in range(0, len(texts), BATCH_TEXTS):
        batch = list(texts[start : start + BATCH_TEXTS])
        try:
            encodings = backend.encode_batch_fast(batch, add_special_tokens=False)
        except (TypeError, UnicodeEncodeError) as error:
            raise InputError(
                f"one of texts {start} to {start + len(batch) - 1} holds half a surrogate pair, "
                "which is no character; mend the source"
            ) from error
        ids = [encoding.ids for encoding in encodings]
        lengths[start + 1 : start + 1 + len(ids)] = [len(one) for one in ids]
        parts.append(np.fromiter(chain.from_iterable(ids), dtype))
        progress("tokenize", start + len(batch), len(texts))
    return Tokenized(np.cumsum(lengths), np.concatenate(parts))


def special_ids(tokenizer: AnyTokenizer) -> NDArray[np.int32]:
    """Numbers of the special tokens, ascending, int32."""
    added = _backend(tokenizer).get_added_tokens_decoder()
    found = {number for number, token in added.items() if token.special}
    found |= set(getattr(tokenizer, "all_special_ids", ()))
    return np.array(sorted(found), np.int32)


def vocabulary_size(tokenizer: AnyTokenizer) -> int:
    """One more than the greatest token number."""
    return max(_backend(tokenizer).get_vocab(with_added_tokens=True).values(), default=-1) + 1


def _backend(tokenizer: AnyTokenizer) -> Tokenizer:
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not isinstance(backend, Tokenizer):
        raise InputError(
            f"the tokenizer is a {type(tokenizer).__name__}; one with a tokenizer.json is needed"
        )
    return backend
