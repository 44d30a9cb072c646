"""Terms of an encoder that are words: feedback adds no special tokens to a query."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.protocols import Encoder

__all__ = ["word_mask"]

_SPECIAL = re.compile(r"\[[A-Za-z0-9_]+\]|</?[a-z]+>|<\|.*\|>")
"""Pattern of tokens that are not words, as models write them."""


def word_mask(encoder: Encoder) -> NDArray[np.bool_]:
    """Mask of terms but special tokens, shape (n_terms,)."""
    terms = (encoder.term(term) for term in range(encoder.n_terms))
    words = (term[:1] not in "[<" or not _SPECIAL.fullmatch(term) for term in terms)
    return np.fromiter(words, bool, encoder.n_terms)
