"""Texts of evaluation sets among the training rows: found, told, left out.

Two texts overlap when they share 12 words in a row; a text shorter than that only with a text of
the very same words. Words are lower-case runs of letters and digits. Everything is compared by
64-bit hashes in NumPy, evaluation texts in portions, so memory does not grow with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsr.datasets.beir import BeirFolder
from lsr.errors import InputError
from lsr.progress import Progress, no_progress
from lsr.training.data.pairs import NO_ROW, Pairs

__all__ = ["Overlap", "OverlapReport", "find_overlap", "shingles"]

SHINGLE_WORDS = 12
MAX_HASHES = 32_000_000
"""Hashes of evaluation texts compared at once: 256 MB."""

_WORD = re.compile(r"[^\W_]+")
_LOWER_OR_BLANK = bytes(
    ord(chr(code).lower()) if chr(code).isascii() and chr(code).isalnum() else ord(" ")
    for code in range(256)
)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_TABLE_BITS = 24
_TEXTS_AT_ONCE = 2048
_EXAMPLES = 3


class Overlap(NamedTuple):
    """An example: which set, what of the run, and how the text starts."""

    evaluation_set: str
    kind: str
    row: int
    start: str


@dataclass(frozen=True, slots=True)
class OverlapReport:
    """Overlap of a run with evaluation sets.

    Attributes:
        query_rows: int32, ascending: rows whose query or positive overlaps.
        document_rows: int32, ascending: documents that overlap, positives or not.
        counts: for each set, (queries, documents) of the run that overlap with it.
        examples: a few of each set.
    """

    query_rows: NDArray[np.int32]
    document_rows: NDArray[np.int32]
    counts: dict[str, tuple[int, int]]
    examples: list[Overlap] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(len(self.query_rows) or len(self.document_rows))

    def without(self, pairs: Pairs) -> Pairs:
        """The rows that do not overlap, and their documents that do not."""
        return pairs.without(self.query_rows, self.document_rows)

    def sentence(self) -> str:
        """Counts and an example, for people."""
        if not self:
            return f"no text of the run is in {len(self.counts)} evaluation sets"
        parts = [
            f"{name}: {queries:,} queries and {documents:,} documents"
            for name, (queries, documents) in self.counts.items()
            if queries or documents
        ]
        example = self.examples[0]
        return (
            f"texts of the run are in evaluation sets ({'; '.join(parts)}), "
            f"such as the {example.kind} {example.start!r}"
        )


def find_overlap(
    pairs: Pairs,
    folders: Sequence[str | Path],
    progress: Progress = no_progress,
    max_hashes: int = MAX_HASHES,
) -> OverlapReport:
    """Compare all queries and documents of a run with those of BEIR folders.

    Args:
        max_hashes: of evaluation texts in memory at once; the run is read once for each such
            portion.

    Raises:
        DataError: a folder is not one of BEIR's, or a line of it is wrong.
        InputError: two folders have the same name.
    """
    sets = {Path(folder).resolve().name: BeirFolder(Path(folder)) for folder in folders}
    if len(sets) != len(folders):
        raise InputError("two evaluation sets have the same folder name; rename one")
    names = list(sets)
    n_queries = len(pairs)
    hit = np.zeros((len(names), n_queries + len(pairs.documents)), np.bool_)
    for portion in _portions(sets, max_hashes):
        _mark(chain(pairs.queries, pairs.documents), portion, names, hit, progress)
    any_hit: NDArray[np.bool_] = np.logical_or.reduce(hit, axis=0)
    in_documents = any_hit[n_queries:]
    by_positive = (pairs.positives != NO_ROW) & np.append(in_documents, False)[pairs.positives]
    counts = {
        name: (int(row[:n_queries].sum()), int(row[n_queries:].sum()))
        for name, row in zip(names, hit, strict=True)
    }
    return OverlapReport(
        np.flatnonzero(any_hit[:n_queries] | by_positive).astype(np.int32),
        np.flatnonzero(in_documents).astype(np.int32),
        counts,
        _examples(pairs, names, hit),
    )


def shingles(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of all runs of 12 words, and the text that each is of.

    A text of fewer words has one hash, of all of them; one without words has none. Hashes are
    equal within one process only.
    """
    words = [_words(text) for text in texts]
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    total = int(lengths.sum())
    word_hash = np.fromiter(map(hash, chain.from_iterable(words)), np.int64, total).view(np.uint64)
    starts = np.cumsum(lengths) - lengths
    n_long = np.maximum(lengths - SHINGLE_WORDS + 1, 0)
    first = np.arange(int(n_long.sum())) + np.repeat(starts - (np.cumsum(n_long) - n_long), n_long)
    long_hash = np.zeros(len(first), np.uint64)
    for place in range(SHINGLE_WORDS):
        long_hash = long_hash * _BASE + word_hash[first + place]
    short = np.flatnonzero((lengths > 0) & (lengths < SHINGLE_WORDS))
    short_hash = lengths[short].astype(np.uint64)
    for place in range(SHINGLE_WORDS - 1):
        inside = np.flatnonzero(lengths[short] > place)
        word = word_hash[starts[short[inside]] + place]
        short_hash[inside] = short_hash[inside] * _BASE + word
    hashes = _mixed(np.concatenate([long_hash, short_hash]))
    return hashes, np.concatenate([np.repeat(np.arange(len(words)), n_long), short])


def _words(text: str) -> list[bytes]:
    """Lower-case runs of letters and digits; without a regular expression where text is ASCII."""
    if text.isascii():
        return text.encode("ascii").translate(_LOWER_OR_BLANK).split()
    return [word.encode("utf-8", "surrogatepass") for word in _WORD.findall(text.lower())]


def _mixed(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """High bits that depend on all bits (the finaliser of SplitMix64, Steele et al. 2014)."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def _distinct(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Ascending, each once; much faster than np.unique, which hashes them again."""
    hashes.sort()
    return hashes[np.append(True, hashes[1:] != hashes[:-1])] if len(hashes) else hashes


def _texts(folder: BeirFolder) -> Iterator[str]:
    for document in folder.documents():
        yield document.full_text
    for query in folder.queries():
        yield query.text


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while block := list(islice(iterator, _TEXTS_AT_ONCE)):
        yield block


def _portions(
    sets: dict[str, BeirFolder], max_hashes: int
) -> Iterator[list[tuple[str, NDArray[np.uint64]]]]:
    """Hashes of the sets, in portions of `max_hashes` or just above, by set and ascending."""
    portion: list[tuple[str, NDArray[np.uint64]]] = []
    held = 0
    for name, folder in sets.items():
        parts: list[NDArray[np.uint64]] = []
        for block in _blocks(_texts(folder)):
            parts.append(shingles(block)[0])
            held += len(parts[-1])
            if held >= max_hashes:
                portion.append((name, _distinct(np.concatenate(parts))))
                yield portion
                portion, parts, held = [], [], 0
        if parts:
            portion.append((name, _distinct(np.concatenate(parts))))
    if portion:
        yield portion


def _mark(
    texts: Iterable[str],
    portion: list[tuple[str, NDArray[np.uint64]]],
    names: list[str],
    hit: NDArray[np.bool_],
    progress: Progress,
) -> None:
    shift = np.uint64(64 - _TABLE_BITS)
    table = np.zeros(2**_TABLE_BITS, np.bool_)  # most hashes are known to be absent at one look
    for _, hashes in portion:
        table[hashes >> shift] = True
    done = 0
    for block in _blocks(texts):
        hashes, text = shingles(block)
        likely = np.flatnonzero(table[hashes >> shift])
        for name, known in portion:
            if not len(known):
                continue
            place = np.searchsorted(known, hashes[likely])
            found = known[np.minimum(place, len(known) - 1)] == hashes[likely]
            hit[names.index(name), done + text[likely[found]]] = True
        done += len(block)
        progress("overlap", done, hit.shape[1])


def _examples(pairs: Pairs, names: list[str], hit: NDArray[np.bool_]) -> list[Overlap]:
    examples = []
    for name, row in zip(names, hit, strict=True):
        for place in np.flatnonzero(row)[:_EXAMPLES]:
            is_query = place < len(pairs)
            number = int(place) if is_query else int(place) - len(pairs)
            text = pairs.queries[number] if is_query else pairs.documents[number]
            kind = "query" if is_query else "document"
            examples.append(Overlap(name, kind, number, " ".join(text.split())[:80]))
    return examples
