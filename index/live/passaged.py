"""`Passaged`: which passages the vectors of an operation are of, as the log keeps it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsr.index.live.log import Entry
from lsr.passages.passage import Passage
from lsr.passages.passage_rows import PassageRows

__all__ = ["Passaged", "lengths_of", "passage_rows", "passaged", "split_of"]


@dataclass(frozen=True)
class Passaged:
    """The passages of a document, and how its vectors are shared out among them.

    Attributes:
        lengths: entries of each passage's sparse vector.
        whole_from: terms from here on are of the whole document.
    """

    passages: tuple[Passage, ...]
    lengths: tuple[int, ...]
    whole_from: int

    def to_bytes(self) -> bytes:
        """The inverse of `passaged`."""
        content = {
            "passages": [list(each) for each in self.passages],
            "lengths": self.lengths,
            "whole_from": self.whole_from,
        }
        return json.dumps(content, ensure_ascii=False).encode()


def passaged(entry: Entry) -> Passaged | None:
    """The inverse of `Passaged.to_bytes`; None of a document that stayed whole."""
    if entry.passages is None:
        return None
    content = json.loads(entry.passages)
    passages = tuple(Passage(*each) for each in content["passages"])
    return Passaged(passages, tuple(content["lengths"]), content["whole_from"])


def split_of(entries: Sequence[Entry]) -> dict[str, tuple[Passage, ...]]:
    """The passages of documents that were split, by id."""
    found = ((entry.doc_id, passaged(entry)) for entry in entries)
    return {doc_id: each.passages for doc_id, each in found if each is not None}


def lengths_of(entries: Sequence[Entry]) -> NDArray[np.int64]:
    """Entries of the sparse vectors of all passages, one after the other."""
    lengths: list[int] = []
    for entry in entries:
        split = passaged(entry)
        lengths.extend([len(entry.terms or b"") // 4] if split is None else split.lengths)
    return np.array(lengths, np.int64)


def passage_rows(entries: Sequence[Entry]) -> PassageRows | None:
    """The passages of a segment of these; None where all documents are whole."""
    found = [passaged(entry) for entry in entries]
    split = [each for each in found if each is not None]
    if not split:
        return None
    counts = [1 if each is None else len(each.passages) for each in found]
    return PassageRows(np.cumsum([0, *counts]), split[0].whole_from)
