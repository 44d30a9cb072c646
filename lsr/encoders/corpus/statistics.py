"""`Statistics`: what an encoder keeps of a corpus, apart from its vectors.

Parts of a corpus are counted by themselves, and no network runs. Merged in the order of the parts
they are those of the whole: words are numbered by their first appearance, and all else is a sum of
integers.

    count(part) ─> Statistics ─ merge, in order ─> encoder.learned_from ─> encode_documents(part)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.protocols import Encoder
from lsr.errors import IndexVersionError, InputError
from lsr.files import writing

__all__ = ["CountingEncoder", "Statistics", "check_counter", "merged"]

_KIND = "lsr statistics"
_VERSION = 1
_DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True, eq=False)
class Statistics:
    """Counts of documents.

    Attributes:
        counter: what counts: the hash of the encoder as it is without a corpus.
        n_documents: that were counted.
        n_words: in all of them; 0 where the encoder has no lexical terms.
        words: in how many documents each stem occurs, in the order of first appearance.
        tokens: int64: in how many each token of a model occurs; of length 0 where none are counted.
    """

    counter: str
    n_documents: int = 0
    n_words: int = 0
    words: Mapping[str, int] = field(default_factory=dict)
    tokens: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def save(self, path: Path) -> None:
        """Write one file: a line of JSON, the stems, a line each, and int64.

        Raises:
            OSError: it cannot be written; what was there stays.
        """
        names = "".join(f"{stem}\n" for stem in self.words).encode()
        state = {"kind": _KIND, "version": _VERSION, "counter": self.counter}
        state |= {"n_documents": self.n_documents, "n_words": self.n_words}
        state |= {"n_tokens": len(self.tokens), "words_bytes": len(names)}
        counts = np.fromiter(self.words.values(), "<i8", len(self.words))
        with writing(path) as stream:
            stream.write(json.dumps(state).encode() + b"\n" + names)
            stream.write(self.tokens.astype("<i8").tobytes() + counts.tobytes())

    @classmethod
    def load(cls, path: Path) -> Statistics:
        """Read what `save` wrote.

        Raises:
            InputError: there is no such file, or it holds no statistics, or damaged ones.
            IndexVersionError: another version of lsr wrote it.
        """
        try:
            first, _, rest = path.read_bytes().partition(b"\n")
            state = json.loads(first)
            if state["kind"] != _KIND:
                raise ValueError("another kind of file")
            if state["version"] != _VERSION:
                raise IndexVersionError(
                    f"{path}: statistics of format {state['version']}, and this lsr reads "
                    f"{_VERSION}; count again, or use the lsr that wrote them"
                )
            length, n_tokens = int(state["words_bytes"]), int(state["n_tokens"])
            words = rest[:length].decode().split("\n")[:-1]
            counts = np.frombuffer(rest[length:], "<i8").astype(np.int64)
            if len(counts) != n_tokens + len(words) or len(set(words)) != len(words):
                raise ValueError(f"{len(counts):,} counts of {len(words):,} words")
            n_documents = int(state["n_documents"])
            if len(counts) and not 0 <= counts.min() <= counts.max() <= n_documents:
                raise ValueError("a count beyond the number of documents")
            found = dict(zip(words, counts[n_tokens:].tolist(), strict=True))
            tokens = counts[:n_tokens]
            return cls(str(state["counter"]), n_documents, int(state["n_words"]), found, tokens)
        except _DAMAGE as error:
            raise InputError(
                f"{path}: statistics cannot be read ({error}); count the documents again"
            ) from error


@runtime_checkable
class CountingEncoder(Encoder, Protocol):
    """An encoder whose statistics are counted, merged and given to it, without any vector."""

    def count(self, batches: Iterable[Sequence[str]]) -> Statistics:
        """Those of these texts alone. The encoder stays as it is."""
        ...

    def learned_from(self, parts: Sequence[Statistics]) -> Self:
        """An encoder with the same options that knows these parts of a corpus, in their order.

        Its `encode_documents` gives the vectors that `encode_corpus` of all of them would.

        Raises:
            InputError: another encoder counted them, or this one with other options.
        """
        ...


def merged(counter: str, parts: Iterable[Statistics]) -> Statistics:
    """Statistics of parts of a corpus as those of the whole.

    Args:
        counter: what counts them; what no parts have otherwise.
        parts: in order.

    Raises:
        InputError: another encoder counted a part, or this one with other options.
    """
    n_documents = n_words = 0
    words: dict[str, int] = {}
    tokens = np.zeros(0, np.int64)
    for part in _checked(counter, parts):
        n_documents += part.n_documents
        n_words += part.n_words
        for stem, count in part.words.items():
            words[stem] = words.get(stem, 0) + count
        if len(part.tokens):
            tokens = part.tokens + (tokens if len(tokens) else 0)
    return Statistics(counter, n_documents, n_words, words, tokens)


def _checked(counter: str, parts: Iterable[Statistics]) -> Iterator[Statistics]:
    for number, part in enumerate(parts, 1):
        check_counter(counter, part, f"part {number} of the statistics")
        yield part


def check_counter(counter: str, statistics: Statistics, name: str) -> None:
    """Raise InputError when statistics were counted by another encoder than this one.

    Args:
        name: of the statistics, for people.
    """
    if statistics.counter != counter:
        raise InputError(
            f"{name} was counted by another encoder, or by this one with other options; count it "
            "again with the model and the options of the build"
        )
