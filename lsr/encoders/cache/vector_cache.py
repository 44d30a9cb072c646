"""Cache on disk of what teachers make of texts, by content: nothing is encoded twice.

A row is found by the SHA-256 of the teacher's identity, the side, and the text. So another model, a
changed model or another truncation never shares rows, and a run that adds texts, or was
interrupted, encodes only what is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.cache.cache_files import Arrays, ShardFolder
from lsr.errors import ModelError
from lsr.progress import Progress, no_progress
from lsr.sparse import CSR

__all__ = ["SHARD_ROWS", "Side", "Tick", "VectorCache"]

SHARD_ROWS = 4096
"""Rows of a shard: what is lost at most when a run is interrupted."""

Side = Literal["query", "document"]

Tick = Callable[[int], None]
"""Called with the number of rows of a chunk that are done."""

T = TypeVar("T")
Encode = Callable[[list[T], Tick], Arrays]


class VectorCache:
    """Rows of one teacher, from a folder that teachers and runs share.

    Args:
        folder: of the cache; it is made when the first row is written.
        identity: a SHA-256 in hexadecimal of all that rows depend on beside the text.
        name: of the teacher, for progress and messages.
        remembers: whether the keys of shards stay in memory, some 200 bytes a row, so that many
            small calls do not read them again and again.

    Attributes:
        n_found: rows taken from the folder so far.
        n_made: rows made so far.
        n_damaged: shards found damaged so far, whose rows were made again.
    """

    def __init__(
        self,
        folder: Path,
        identity: str,
        *,
        name: str,
        shard_rows: int = SHARD_ROWS,
        remembers: bool = False,
    ) -> None:
        self.name = name
        self.n_found = self.n_made = self.n_damaged = 0
        self._identity = identity
        self._folder = ShardFolder(folder, identity)
        self._shard_rows = shard_rows
        self._remembers = remembers
        self._remembered: set[str] = set()
        self._shard_of: dict[bytes, str] = {}

    def dense(
        self,
        side: Side,
        texts: Sequence[str],
        encode: Callable[[list[str], Tick], NDArray[np.float32]],
        progress: Progress = no_progress,
    ) -> NDArray[np.float16]:
        """Vectors of texts, float16, shape (n_texts, dimension), made by `encode` where missing.

        Raises:
            ModelError: a vector is not finite in 16 bits.
            StorageError: the folder cannot be written.
        """

        def made(chunk: list[str], tick: Tick) -> Arrays:
            with np.errstate(over="ignore"):
                vectors = encode(chunk, tick).astype(np.float16)
            self._check_finite(vectors)
            return {"values": vectors}

        gathered = _Rectangle(len(texts), np.float16)
        self._gather(side, texts, _text_bytes, made, gathered, progress)
        return gathered.rows((0,))

    def sparse(
        self,
        side: Side,
        texts: Sequence[str],
        encode: Callable[[list[str], Tick], CSR],
        progress: Progress = no_progress,
    ) -> CSR:
        """Sparse vectors of texts, one row each; raises as `dense` does."""

        def made(chunk: list[str], tick: Tick) -> Arrays:
            matrix = encode(chunk, tick)
            self._check_finite(matrix.weights)
            return {**matrix._asdict(), "n_terms": np.array(matrix.n_terms)}

        gathered = _SparseRows(len(texts))
        self._gather(side, texts, _text_bytes, made, gathered, progress)
        return gathered.rows()

    def numbers(
        self,
        pairs: Sequence[tuple[str, str]],
        score: Callable[[list[tuple[str, str]], Tick], NDArray[np.float32]],
        progress: Progress = no_progress,
    ) -> NDArray[np.float32]:
        """A number for each (query, document), float32, shape (n_pairs,); raises as `dense`."""

        def made(chunk: list[tuple[str, str]], tick: Tick) -> Arrays:
            numbers = np.asarray(score(chunk, tick), np.float32)
            self._check_finite(numbers)
            return {"values": numbers}

        gathered = _Rectangle(len(pairs), np.float32)
        self._gather("pair", pairs, _pair_bytes, made, gathered, progress)
        return gathered.rows(())

    def missing(self, side: Side, texts: Sequence[str]) -> list[str]:
        """Different texts whose vectors the folder does not have."""
        return [texts[place] for place in self._missing(side, texts, _text_bytes)]

    def missing_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Different pairs of query and document whose numbers the folder does not have."""
        return [pairs[place] for place in self._missing("pair", pairs, _pair_bytes)]

    def _missing(self, side: str, items: Sequence[T], as_bytes: Callable[[T], bytes]) -> list[int]:
        places = self._places(side, items, as_bytes)
        for name in self._folder.names():
            shard = self._folder.open(name)
            for key in () if shard is None else shard.keys:
                places.pop(key, None)
        return [found[0] for found in places.values()]

    def _places(
        self, side: str, items: Sequence[T], as_bytes: Callable[[T], bytes]
    ) -> dict[bytes, list[int]]:
        """Places of equal items, by the key of their row."""
        places: dict[bytes, list[int]] = {}
        start = hashlib.sha256(f"{self._identity}\n{side}\n".encode())
        for place, item in enumerate(items):
            digest = start.copy()
            digest.update(as_bytes(item))
            places.setdefault(digest.digest(), []).append(place)
        return places

    def _gather(
        self,
        side: str,
        items: Sequence[T],
        as_bytes: Callable[[T], bytes],
        encode: Encode[T],
        gathered: _Gathered,
        progress: Progress,
    ) -> None:
        """Hand every item's row to `gathered`: first what the folder has, then what is made."""
        places = self._places(side, items, as_bytes)
        total = len(places)
        seen: set[str] = set()
        stage = f"{self.name}: {side}"
        damaged = self._take(places, seen, gathered)
        progress(stage, total - len(places), total)
        if not places:
            return
        with self._folder.lock():
            # another run may have made some meanwhile
            for name in damaged + self._take(places, seen, gathered):
                self._folder.remove(name)
            missing = list(places)
            done = total - len(missing)
            for first in range(0, len(missing), self._shard_rows):
                keys = missing[first : first + self._shard_rows]
                at = done + first
                arrays = encode(
                    [items[places[key][0]] for key in keys], _ticks(progress, stage, at, total)
                )
                self._remember(self._folder.write(keys, arrays), keys)
                _put(gathered, [places[key] for key in keys], range(len(keys)), arrays)
                self.n_made += len(keys)
                progress(stage, at + len(keys), total)

    def _take(
        self, places: dict[bytes, list[int]], seen: set[str], gathered: _Gathered
    ) -> list[str]:
        """Take rows from shards not yet seen, and their keys out of `places`.

        Returns:
            Names of those that are damaged.
        """
        damaged = []
        holders = {self._shard_of.get(key) for key in places}
        for name in self._folder.names():
            if name in seen or (name in self._remembered and name not in holders):
                continue
            shard = self._folder.open(name)
            rows = [] if shard is None else [i for i, key in enumerate(shard.keys) if key in places]
            try:
                if shard is None:
                    raise ValueError("damaged")
                arrays = shard.arrays() if rows else {}
            except (OSError, ValueError, KeyError, EOFError):
                self.n_damaged += 1
                self._remembered.discard(name)
                damaged.append(name)
                continue
            finally:
                seen.add(name)
            self._remember(name, shard.keys)
            if rows:
                _put(gathered, [places.pop(shard.keys[row]) for row in rows], rows, arrays)
                self.n_found += len(rows)
        return damaged

    def _remember(self, name: str, keys: Sequence[bytes]) -> None:
        if self._remembers and name not in self._remembered:
            self._remembered.add(name)
            self._shard_of.update(dict.fromkeys(keys, name))

    def _check_finite(self, values: NDArray[Any]) -> None:
        if not np.isfinite(values).all():
            raise ModelError(
                f"the teacher {self.name} gives numbers that are not finite; try it in another "
                "precision, or leave it out"
            )


def _ticks(progress: Progress, stage: str, done: int, total: int) -> Tick:
    """Progress of a shard as progress of the whole, given the number done before."""
    return lambda n: progress(stage, done + n, total)


class _Gathered(Protocol):
    def put(self, places: NDArray[np.int64], rows: NDArray[np.int64], arrays: Arrays) -> None:
        """Row `rows[i]` of a shard's arrays is row `places[i]` of the result."""
        ...


def _put(gathered: _Gathered, places: list[list[int]], rows: Sequence[int], arrays: Arrays) -> None:
    repeated = np.repeat(np.asarray(rows, np.int64), [len(some) for some in places])
    gathered.put(np.array([i for some in places for i in some], np.int64), repeated, arrays)


class _Rectangle:
    """Rows of equal length, or single numbers."""

    def __init__(self, n_rows: int, dtype: type[np.floating[Any]]) -> None:
        self._n_rows, self._dtype = n_rows, dtype
        self._rows: NDArray[Any] | None = None

    def put(self, places: NDArray[np.int64], rows: NDArray[np.int64], arrays: Arrays) -> None:
        values = arrays["values"]
        if self._rows is None:
            self._rows = np.empty((self._n_rows, *values.shape[1:]), self._dtype)
        self._rows[places] = values[rows]

    def rows(self, empty_shape: tuple[int, ...]) -> NDArray[Any]:
        return np.zeros((0, *empty_shape), self._dtype) if self._rows is None else self._rows


class _SparseRows:
    """Rows of a sparse matrix."""

    def __init__(self, n_rows: int) -> None:
        self._parts: list[CSR] = []
        self._places: list[NDArray[np.int64]] = []
        self._n_rows = n_rows

    def put(self, places: NDArray[np.int64], rows: NDArray[np.int64], arrays: Arrays) -> None:
        shard = CSR(arrays["indptr"], arrays["terms"], arrays["weights"], int(arrays["n_terms"]))
        self._parts.append(shard.take(rows.tolist()))
        self._places.append(places)

    def rows(self) -> CSR:
        if not self._parts:
            return CSR.empty(0, 0)
        order = np.argsort(np.concatenate(self._places))
        return CSR.concatenate(self._parts).take(order.tolist())


def _text_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _pair_bytes(pair: tuple[str, str]) -> bytes:
    query, document = (_text_bytes(text) for text in pair)
    return len(query).to_bytes(8, "big") + query + document
