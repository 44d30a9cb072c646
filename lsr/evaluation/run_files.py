"""Run files: those of other programs as systems, and ours for other programs.

trec_eval pays no heed to the order of lines or the column of ranks: it sorts by score, held in 32
bits, and equal scores by doc_id descending. A given file is read that way. In a file of ours no two
scores of a query are equal in 32 bits, so trec_eval measures the order that was measured here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsr.datasets.runs import open_run
from lsr.datasets.trec import write_run
from lsr.errors import InputError, StorageError
from lsr.evaluation.evaluate import SystemRun, named
from lsr.evaluation.judged import JudgedCollection
from lsr.files import sha256_of
from lsr.progress import Progress
from lsr.types import Qrels, Query, Run, ScoredDoc

__all__ = [
    "GivenRun",
    "RunFile",
    "in_trec_order",
    "judged_run",
    "run_path",
    "save_run",
    "untied",
    "write_untied",
]

DATASET = "{dataset}"
_NAME = re.compile(r"[^\s/=]+")


@dataclass(frozen=True)
class RunFile:
    """A system by the files of its runs.

    Attributes:
        name: of the system.
        pattern: the path, with `{dataset}` in it where there is a file for each collection.
    """

    name: str
    pattern: str

    @classmethod
    def parse(cls, given: str) -> RunFile:
        """Read `NAME=PATH`. Raises InputError for anything else."""
        name, equals, pattern = given.partition("=")
        if not equals or not pattern or not _NAME.fullmatch(name):
            raise InputError(
                f"--run {given}: write NAME=PATH, as splade=runs/{DATASET}.splade.trec, with a "
                "name without blanks and slashes"
            )
        return cls(name, pattern)

    def path(self, dataset: str) -> Path:
        """The file of a collection. Raises InputError where there is none."""
        path = Path(self.pattern.replace(DATASET, dataset))
        if not path.is_file():
            raise InputError(f"--run {self.name}: {path} is no file; check the path")
        return path

    def check(self, datasets: Sequence[str]) -> None:
        """Refuse one file for several collections, and files that are not there."""
        if len(datasets) > 1 and DATASET not in self.pattern:
            raise InputError(
                f"--run {self.name} names one file for {len(datasets)} collections; write "
                f"{DATASET} where the collection's name stands in the path ({', '.join(datasets)})"
            )
        for dataset in datasets:
            self.path(dataset)

    def doc_ids(self, dataset: str) -> set[str]:
        """All that its run of a collection ranks. Raises DataError where a line is wrong."""
        run = open_run(self.path(dataset))
        return {hit.doc_id for hits in run.values() for hit in hits}


@dataclass(frozen=True)
class GivenRun:
    """A run read from a file, as a system: there are no times and no size.

    Attributes:
        sha256: of the file.
        notes: sentences on what was in it that does not count, and on what was not.
    """

    name: str
    run: Run
    sha256: str
    notes: tuple[str, ...]
    size_bytes: None = None

    @classmethod
    def read(cls, file: RunFile, collection: JudgedCollection, depth: int) -> GivenRun:
        """Read the run of a collection, in the order of trec_eval.

        Raises:
            InputError: none of its queries is judged.
            DataError: a line is wrong.
        """
        path = file.path(collection.name)
        run, said = judged_run(
            file.name, open_run(path), path.name, collection.qrels, collection.name
        )
        notes: list[str] = []
        # queries that have text are counted by the evaluation, as those of every system
        textless = set(collection.qrels) - {query.query_id for query in collection.queries}
        if mute := [query_id for query_id in textless if query_id not in run]:
            notes.append(f"{file.name}: {named(sorted(mute))} without hits, counted as 0")
        most = max(len(hits) for hits in run.values())
        if most < min(depth, collection.n_documents):
            notes.append(
                f"{file.name}: {path.name} has at most {most:,} hits a query, where {depth:,} count"
            )
        return cls(file.name, run, sha256_of(path), (*notes, *said))

    def answer(self, queries: Sequence[Query], k: int, progress: Progress) -> SystemRun:  # noqa: ARG002
        """The run as it is, whatever is asked."""
        return SystemRun(self.run, [])


def judged_run(
    name: str, run: Run, source: str, qrels: Qrels, title: str
) -> tuple[Run, tuple[str, ...]]:
    """The part of a run that counts, in the order of trec_eval, and sentences on the rest.

    Args:
        name, source: of the run, and of its file, for messages.
        title: of the judgements.

    Raises:
        InputError: none of its queries is judged.
    """
    judged = {query_id: run[query_id] for query_id in qrels if query_id in run}
    if not judged:
        raise InputError(
            f"{name}: no query of {source} is judged in {title}; is it a run of this collection "
            "and split?"
        )
    notes: list[str] = []
    if others := len(run) - len(judged):
        are = "query of {} is" if others == 1 else "queries of {} are"
        notes.append(f"{name}: {others:,} {are.format(source)} not judged: left out")
    if not any(hit.doc_id in qrels[query_id] for query_id in judged for hit in judged[query_id]):
        notes.append(
            f"{name}: no document of {source} is judged for its query; is it a run of {title}?"
        )
    if tied := sum(map(_has_ties, judged.values())):
        notes.append(
            f"{name}: hits of equal scores in {tied:,} of {len(judged):,} queries count in the "
            "order of trec_eval, by doc_id descending"
        )
    return in_trec_order(judged), tuple(notes)


def run_path(folder: Path, dataset: str, system: str) -> Path:
    """The place of a run's file."""
    return folder / f"{dataset}.{system}.trec"


def save_run(folder: Path, dataset: str, system: str, run: Run) -> str:
    """Save a run, see `untied`, and return the file's SHA-256.

    Raises:
        StorageError: the folder cannot be written.
    """
    path = run_path(folder, dataset, system)
    write_untied(path, run, system)
    return sha256_of(path)


def write_untied(path: Path, run: Run, tag: str) -> None:
    """Write a run as TREC has it, see `untied`; folders are made.

    Raises:
        InputError: an id is one that a TREC file cannot hold.
        StorageError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_run(path, untied(run), tag)
    except OSError as error:
        raise StorageError(f"the run cannot be saved as {path} ({error.strerror})") from error


def untied(run: Run) -> Run:
    """The run with scores that fall from hit to hit, also in 32 bits.

    A score that would not be below the one before becomes the next smaller number of 32 bits; all
    others are as they were.
    """
    return {query_id: _falling(hits) for query_id, hits in run.items()}


def _falling(hits: list[ScoredDoc]) -> list[ScoredDoc]:
    lowest, before = np.float32(-np.inf), np.float32(np.inf)
    fallen: list[ScoredDoc] = []
    for hit in hits:
        score = np.float32(hit.score)
        if not score < before:
            score = np.nextafter(before, lowest)
            hit = hit._replace(score=float(score))
        fallen.append(hit)
        before = score
    return fallen


def in_trec_order(run: Run) -> Run:
    """The run as trec_eval orders it: by score in 32 bits, equal ones by doc_id descending."""
    return {query_id: _as_trec_eval(hits) for query_id, hits in run.items()}


def _as_trec_eval(hits: list[ScoredDoc]) -> list[ScoredDoc]:
    scores = dict(zip((hit.doc_id for hit in hits), _in_32_bits(hits), strict=True))
    by_id = sorted(hits, key=lambda hit: hit.doc_id, reverse=True)
    return sorted(by_id, key=lambda hit: -scores[hit.doc_id])


def _has_ties(hits: list[ScoredDoc]) -> bool:
    return len(set(_in_32_bits(hits))) < len(hits)


def _in_32_bits(hits: Sequence[ScoredDoc]) -> list[float]:
    with np.errstate(over="ignore"):  # as trec_eval: what is too large is infinite
        scores: list[float] = np.array([hit.score for hit in hits]).astype(np.float32).tolist()
    return scores
