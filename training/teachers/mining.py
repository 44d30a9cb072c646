"""Hard negatives from teachers' rankings, and groups of neighbouring queries.

A candidate's score is the weighted mean over teachers of its min-max normalised score, over the
union of the teachers' first `last_rank` documents; what a teacher did not list is scored by it.
Known positives, and documents of the same text, are no candidates. One that scores above the
positive less a margin is taken for a false negative (as in NV-Retriever, de Souza Moreira et al.
2024, but on the normalised scale).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError, StorageError
from lsr.files import writing
from lsr.progress import Progress, no_progress
from lsr.training.config.train import MiningConfig
from lsr.training.teachers.nearest import nearest_rows
from lsr.training.teachers.protocol import Teacher

__all__ = ["Mined", "mine", "mine_once", "mined_path", "neighbour_groups"]

RANKED_AT_ONCE = 1024
SCORED_AT_ONCE = 16
"""Queries whose lists are scored at once, all against the union of their lists."""

NEIGHBOURS = 48
CHUNK = 1 << 15


class Mined(NamedTuple):
    """Hard negatives by query.

    Attributes:
        indptr: int64, shape (n_queries + 1,); query i has the slice `indptr[i]:indptr[i + 1]`.
        rows: int32, shape (n_negatives,): document rows, best ranked first.
    """

    indptr: NDArray[np.int64]
    rows: NDArray[np.int32]

    def of(self, query_row: int) -> NDArray[np.int32]:
        """The hard negatives of one query; there may be none."""
        return self.rows[self.indptr[query_row] : self.indptr[query_row + 1]]


def mine(
    teachers: Sequence[Teacher],
    queries: Sequence[str],
    documents: Sequence[str],
    positives: NDArray[np.integer],
    config: MiningConfig,
    *,
    weights: Sequence[float] | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Mined:
    """Draw hard negatives for each query from the ranks `config` names.

    Ranks are counted from 1 without the positives. Where fewer candidates remain than
    `config.per_query`, all are taken, and where none remains, the query has none.

    Args:
        teachers: prepared with these texts, and able to rank. One alone is a ranking as it is.
        queries: of the run. Queries of equal text share their positives.
        documents: of the run.
        positives: shape (n_queries,): document row of each query's positive, −1 where there is
            none; then there is no margin.
        weights: of the teachers, above 0; by default equal.
        seed: of the draw, which depends on nothing but it and the query's row.

    Raises:
        InputError: no teacher, ranks that are in no order, or a teacher that cannot rank.
    """
    shares = _shares(teachers, weights)
    if not 1 <= config.first_rank <= config.last_rank:
        raise InputError(
            f"hard negatives from rank {config.first_rank} to {config.last_rank}; first_rank must "
            "not be above last_rank"
        )
    same_text = _group_numbers(documents)
    known = _known_texts(queries, positives, same_text)
    taken: list[NDArray[np.int32]] = []
    for first in range(0, len(queries), RANKED_AT_ONCE):
        rows = np.arange(first, min(first + RANKED_AT_ONCE, len(queries)))
        depth = config.last_rank + max(len(known[row]) for row in rows)
        listed = np.hstack([teacher.best(rows, depth).rows for teacher in teachers])
        for low in range(0, len(rows), SCORED_AT_ONCE):
            part = slice(low, low + SCORED_AT_ONCE)
            some = rows[part]
            labelled = np.asarray(positives)[some]
            wanted = np.unique(np.concatenate([listed[part].ravel(), labelled]))
            wanted = wanted[wanted >= 0]
            is_listed = np.zeros((len(some), len(wanted)), bool)
            for i, line in enumerate(listed[part]):
                is_listed[i, np.searchsorted(wanted, line[line >= 0])] = True
            scores = _combined(teachers, shares, some, wanted, is_listed)
            for i, row in enumerate(some.tolist()):
                mark = np.inf
                if labelled[i] >= 0 and config.margin is not None:
                    mark = scores[i, np.searchsorted(wanted, labelled[i])] - config.margin
                places = np.flatnonzero(is_listed[i])
                places = places[np.argsort(-scores[i, places], kind="stable")]
                ranked = _distinct(same_text[wanted[places]], known[row])
                order = places[ranked[config.first_rank - 1 : config.last_rank]]
                left = wanted[order[scores[i, order] <= mark]]
                taken.append(_drawn(left, config.per_query, seed, row))
        progress("hard negatives", int(rows[-1]) + 1, len(queries))
    lengths = [len(some) for some in taken]
    return Mined(
        np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
        np.concatenate([np.zeros(0, np.int32), *taken]),
    )


def mine_once(
    folder: Path,
    teachers: Sequence[Teacher],
    queries: Sequence[str],
    documents: Sequence[str],
    positives: NDArray[np.integer],
    config: MiningConfig,
    *,
    weights: Sequence[float] | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Mined:
    """As `mine`, but kept in `folder` by a hash of all it depends on, and read the next time.

    A file that is damaged is mined again.

    Raises:
        InputError: as `mine`.
        StorageError: the file cannot be written.
    """
    path = mined_path(
        folder,
        [teacher.identity for teacher in teachers],
        queries,
        documents,
        positives,
        config,
        weights=weights,
        seed=seed,
    )
    found = _read(path)
    if found is None:
        found = mine(
            teachers,
            queries,
            documents,
            positives,
            config,
            weights=weights,
            seed=seed,
            progress=progress,
        )
        _write(found, path)
    return found


def mined_path(
    folder: Path,
    identities: Sequence[str],
    queries: Sequence[str],
    documents: Sequence[str],
    positives: NDArray[np.integer],
    config: MiningConfig,
    *,
    weights: Sequence[float] | None = None,
    seed: int = 0,
) -> Path:
    """The file in which `mine_once` keeps what it mines, by a hash of all that depends on.

    Args:
        identities: of the teachers.
    """
    described = [config.model_dump(), seed, _shares(identities, weights).tolist()]
    described += list(identities)
    key = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for texts in (queries, documents):
        key.update(f"\n{len(texts)}\n".encode())
        for text in texts:
            key.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    key.update(np.asarray(positives, "<i8").tobytes())
    return folder / f"negatives-{key.hexdigest()[:32]}.npz"


def neighbour_groups(
    vectors: NDArray[np.floating], size: int = 8, *, seed: int = 0, chunk: int = CHUNK
) -> NDArray[np.int32]:
    """Put queries with like positives into groups, for harder negatives within a batch.

    In an order drawn at random, a query that is in no group yet takes its nearest neighbours that
    are in none either. Those whose groups stay too small are put together in that order.
    Neighbours are looked for among `chunk` queries drawn at random, so that time and memory grow
    with the number of queries and not with its square.

    Args:
        vectors: float16 or float32, shape (n_queries, dimension): dense vectors of the queries'
            positives.
        size: queries of a group; the last group may have fewer.

    Returns:
        int32, shape (n_queries,): the group of each query, from 0.

    Raises:
        InputError: `size` is below 1.
    """
    if size < 1:
        raise InputError(f"groups of {size} queries; give at least 1")
    order = np.random.default_rng(seed).permutation(len(vectors))
    whole: list[int] = []
    rest: list[int] = []
    for first in range(0, len(order), chunk):
        rows = order[first : first + chunk]
        own = vectors[rows]
        near = nearest_rows(own, own, min(max(NEIGHBOURS, size), len(rows))).rows.tolist()
        free = bytearray(b"\1") * len(rows)
        for i in range(len(rows)):
            if not free[i]:
                continue
            free[i] = 0
            members = [i]
            for j in near[i]:
                if len(members) == size:
                    break
                if free[j]:
                    free[j] = 0
                    members.append(j)
            (whole if len(members) == size else rest).extend(rows[members].tolist())
    groups = np.empty(len(order), np.int32)
    groups[np.array(whole + rest, np.int64)] = np.arange(len(order)) // size
    return groups


def _shares(teachers: Sequence[object], weights: Sequence[float] | None) -> NDArray[np.float64]:
    if not teachers:
        raise InputError("hard negatives need a teacher that ranks; name one, such as bm25")
    shares = np.ones(len(teachers)) if weights is None else np.asarray(weights, np.float64)
    if len(shares) != len(teachers) or not (np.isfinite(shares).all() and (shares > 0).all()):
        raise InputError(f"{len(teachers)} teachers need as many weights above 0, not {weights}")
    total: NDArray[np.float64] = shares / shares.sum()
    return total


def _group_numbers(texts: Sequence[str]) -> NDArray[np.int64]:
    """Equal numbers for texts that differ in case and white space only."""
    numbers: dict[str, int] = {}
    alike = [
        numbers.setdefault(" ".join(text.casefold().split()), i) for i, text in enumerate(texts)
    ]
    return np.array(alike, np.int64)


def _known_texts(
    queries: Sequence[str], positives: NDArray[np.integer], same_text: NDArray[np.int64]
) -> list[set[int]]:
    """Numbers of the texts that are positives of each query, or of one of equal text."""
    of_text: dict[int, set[int]] = {}
    groups = _group_numbers(queries).tolist()
    for group, positive in zip(groups, np.asarray(positives).tolist(), strict=True):
        some = of_text.setdefault(group, set())
        if positive >= 0:
            some.add(int(same_text[positive]))
    return [of_text[group] for group in groups]


def _combined(
    teachers: Sequence[Teacher],
    shares: NDArray[np.float64],
    query_rows: NDArray[np.integer],
    document_rows: NDArray[np.integer],
    is_listed: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Mean of normalised scores, shape (n_queries, n_documents).

    The least and the largest score are those of listed documents; an unlisted positive may be
    below 0.
    """
    total = np.zeros(is_listed.shape)
    for teacher, share in zip(teachers, shares, strict=True):
        scores = teacher.scores(query_rows, document_rows).astype(np.float64)
        least = np.where(is_listed, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
        most = np.where(is_listed, scores, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
        spread = np.where(most > least, most - least, 1.0)
        total += share * (scores - np.where(np.isfinite(least), least, 0.0)) / spread
    return total


def _distinct(texts: NDArray[np.int64], known: set[int]) -> NDArray[np.int64]:
    """Places in a ranking whose texts are no positives; of equal texts the first."""
    met = set(known)
    places = []
    for place, text in enumerate(texts.tolist()):
        if text not in met:
            met.add(text)
            places.append(place)
    return np.array(places, np.int64)


def _drawn(rows: NDArray[np.integer], n: int, seed: int, query_row: int) -> NDArray[np.int32]:
    """`n` of `rows` at random, in their order, or all where there are no more."""
    if len(rows) > n:
        draw = np.random.default_rng([seed, query_row])
        rows = rows[np.sort(draw.choice(len(rows), n, replace=False))]
    return rows.astype(np.int32)


def _checksum(mined: Mined) -> NDArray[np.uint8]:
    digest = hashlib.sha256(mined.indptr.tobytes() + mined.rows.tobytes()).digest()
    return np.frombuffer(digest, np.uint8)


def _read(path: Path) -> Mined | None:
    """Mined rows that `_write` stored, or None when the file is missing or damaged."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            mined = Mined(stored["indptr"], stored["rows"])
            return mined if np.array_equal(stored["checksum"], _checksum(mined)) else None
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, BadZipFile):
        return None


def _write(mined: Mined, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with writing(path) as stream:
            np.savez(stream, indptr=mined.indptr, rows=mined.rows, checksum=_checksum(mined))
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written ({error.strerror or error}); free some space or choose "
            "another cache folder"
        ) from error
