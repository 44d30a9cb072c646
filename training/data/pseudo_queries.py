"""Queries made from documents alone: a title, a sentence, or keywords.

They stand in for real queries where there are none (adapting a model to a collection) and make
real ones more varied. Everything is a pure function of the text and a seed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from hashlib import blake2b
from math import log
from typing import Literal

import numpy as np

from lsr.errors import InputError
from lsr.training.data.pairs import NO_ROW, Pairs, PairsBuilder, text_id

__all__ = [
    "KINDS",
    "Kind",
    "pseudo_pairs",
    "pseudo_query",
    "with_pseudo_queries",
    "word_idf",
]

Kind = Literal["title", "sentence", "keywords"]
KINDS: tuple[Kind, ...] = ("title", "sentence", "keywords")
SOURCE_NAME = "pseudo"

_TITLE_WORDS = 20
_SENTENCE_WORDS = (5, 30)
_KEYWORDS = (3, 8)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")

WordWeight = Callable[[str], float]


def word_idf(texts: Iterable[str]) -> WordWeight:
    """Weights of lower-case words, ln(1 + (N - df + 0.5) / (df + 0.5)), of these texts."""
    counts: Counter[str] = Counter()
    n = 0
    for text in texts:
        n += 1
        counts.update(set(_WORD.findall(text.lower())))
    return lambda word: log(1 + (n - counts[word] + 0.5) / (counts[word] + 0.5))


def pseudo_query(text: str, kind: Kind, weight: WordWeight, seed: int = 0) -> str:
    """A query that this document answers; empty when the document has no words.

    title is the first line, or the first sentence where the text is one line or starts with a
    long one, cut to 20 words. sentence is one of 5 to 30 words, drawn, or the title where there is
    none. keywords are 3 to 8 different words of greatest weight, as they follow in the text.

    Args:
        weight: of a lower-case word, such as `word_idf` gives.
        seed: of what is drawn; texts draw independently of each other.

    Raises:
        InputError: there is no such kind.
    """
    draw = _drawn(text, kind, seed)
    if kind == "title":
        return _title(text)
    if kind == "sentence":
        low, high = _SENTENCE_WORDS
        sentences = [" ".join(part.split()) for part in _SENTENCE_END.split(text)]
        usable = [part for part in sentences if low <= len(part.split()) <= high]
        return usable[draw % len(usable)] if usable else _title(text)
    if kind == "keywords":
        low, high = _KEYWORDS
        place: dict[str, int] = {}
        for word in _WORD.findall(text.lower()):
            place.setdefault(word, len(place))
        best = sorted(place, key=lambda word: (-weight(word), place[word]))
        return " ".join(sorted(best[: low + draw % (high - low + 1)], key=place.__getitem__))
    raise InputError(f"there are no pseudo-queries of kind {kind!r}; choose of {', '.join(KINDS)}")


def pseudo_pairs(
    pairs: Pairs, weight: WordWeight, seed: int = 0, kinds: Sequence[Kind] = KINDS
) -> Pairs:
    """A pseudo-query of each kind for each document, the document its positive.

    Documents keep their row numbers. Equal queries of one document count once; a query that is the
    whole document is left out. The source's name is pseudo.
    """
    builder = PairsBuilder()
    ids = zip(pairs.documents, pairs.document_ids, strict=True)
    for row in [builder.document(text, document_id) for text, document_id in ids]:
        text = pairs.documents[row]
        queries = dict.fromkeys(pseudo_query(text, kind, weight, seed) for kind in kinds)
        for query in queries:
            if query and query != " ".join(text.split()):
                builder.add(query, row, source=SOURCE_NAME)
    return builder.build()


def with_pseudo_queries(
    pairs: Pairs,
    share: float,
    weight: WordWeight,
    seed: int = 0,
    kinds: Sequence[Kind] = KINDS,
) -> Pairs:
    """The rows with a share of the queries replaced by pseudo-queries of their positives.

    Which rows, and of which kind, hangs on query, positive and seed alone. The negatives and
    scores of a replaced query leave, since they were another query's; so does the label of half of
    them, as a text that holds the query's very words is too easy an answer. Rows without a label
    stay as they are.

    Raises:
        InputError: the share is not in [0, 1].
    """
    if not 0 <= share <= 1:
        raise InputError(f"the share of pseudo-queries is {share}; give a number from 0 to 1")
    queries, ids = list(pairs.queries), list(pairs.query_ids)
    positives = pairs.positives.copy()
    replaced = np.zeros(len(pairs), np.bool_)
    for row, query in enumerate(pairs.queries):
        positive = int(positives[row])
        if positive == NO_ROW:
            continue
        text = pairs.documents[positive]
        key = f"{query}\n{text}"
        if _drawn(key, "replace", seed) >= share * 2**64:
            continue
        kind = kinds[_drawn(key, "kind", seed) % len(kinds)]
        made = pseudo_query(text, kind, weight, seed)
        if made:
            queries[row], ids[row], replaced[row] = made, text_id(made), True
            if _drawn(key, "label", seed) % 2:
                positives[row] = NO_ROW
    return replace(
        pairs,
        queries=queries,
        query_ids=ids,
        positives=positives,
        negatives=pairs.negatives.emptied(replaced),
        scored=pairs.scored.emptied(replaced),
    )


def _title(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    words = lines[0].split()
    if len(lines) == 1 or len(words) > _TITLE_WORDS:
        words = _SENTENCE_END.split(lines[0].strip())[0].split()
    return " ".join(words[:_TITLE_WORDS])


def _drawn(text: str, kind: str, seed: int) -> int:
    """A number below 2**64 that text, kind and seed decide."""
    digest = blake2b(
        f"{seed}:{kind}:{text}".encode("utf-8", "surrogatepass"), digest_size=8
    ).digest()
    return int.from_bytes(digest, "big")
