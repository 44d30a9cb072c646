"""Times of teachers: what the cache lacks, by a few batches of each teacher's own network."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from lsr.encoders.cache.vector_cache import VectorCache
from lsr.encoders.learned.lexical_terms import LexicalTerms
from lsr.encoders.lexical import words_encoder
from lsr.progress import no_progress
from lsr.training.config.train import Bm25Teacher, RowsTeacher, ScoreFileTeacher
from lsr.training.config.train import Teacher as TeacherConfig
from lsr.training.data.hub_files import local_file
from lsr.training.data.training_data import TrainingData
from lsr.training.loop.stage_teachers import open_teacher, pairs_to_score
from lsr.training.planning.clock import Clock, seconds_of
from lsr.training.teachers.bm25 import Bm25Scorer, TokenRows
from lsr.training.teachers.cross_encoder import CrossEncoderScorer
from lsr.training.teachers.protocol import Teacher
from lsr.training.teachers.score_file import CHECKED, ScoreFile

__all__ = ["TeacherCost", "bm25_sample", "lexical_s", "teacher_cost"]

T = TypeVar("T")

QUANTILES = (1 / 6, 3 / 6, 5 / 6)
"""Of texts by length: where the batches that are timed are taken."""

BM25_DOCUMENTS = 20_000
STEMMED = 300


class TeacherCost(NamedTuple):
    """Cost of preparing a teacher.

    Attributes:
        seconds: of preparing it.
        counted: what is to be done, for people.
        identity: of the teacher, by which others find what it made.
    """

    seconds: float
    counted: str
    identity: str


def teacher_cost(
    config: TeacherConfig, rows: TrainingData, n_terms: int, cache: Path, clock: Clock
) -> TeacherCost:
    """Cost of preparing a teacher for the rows of a stage.

    Args:
        n_terms: the width of the model's vectors.
        cache: what it finds there costs nothing.

    Raises:
        InputError: it cannot be opened.
    """
    match config:
        case Bm25Teacher():
            return _bm25(rows, n_terms, clock)
        case RowsTeacher():
            return TeacherCost(0.0, "scores of the rows", "")
        case ScoreFileTeacher():
            path = local_file(config.path)
            file = ScoreFile(path, rows.pairs.query_ids, rows.pairs.document_ids)
            seconds = seconds_of(file.check, clock)
            return TeacherCost(seconds, f"reading the first {CHECKED:,} scores", "")
    with tempfile.TemporaryDirectory(prefix="lsr-estimate-") as work:
        began = clock()
        teacher = open_teacher(config, rows, n_terms, Path(work))
        opening = clock() - began
        kept = VectorCache(cache, teacher.identity, name=teacher.name)
        if isinstance(teacher, CrossEncoderScorer):
            return _pairs(teacher, rows, kept, opening, clock)
        return _texts(teacher, rows, kept, opening, clock)


def lexical_s(rows: TrainingData, terms: LexicalTerms, clock: Clock) -> float:
    """Seconds of counting the stems that the student's score gets beside its own."""
    pairs = rows.pairs
    some = pairs.documents[:STEMMED]
    encoder = words_encoder(terms)
    took = seconds_of(lambda: encoder.encode_corpus([some]), clock)
    size = sum(map(len, pairs.documents)) + sum(map(len, pairs.queries))
    return took * size / max(sum(map(len, some)), 1)


def bm25_sample(rows: TrainingData, n_terms: int) -> tuple[Bm25Scorer, int]:
    """BM25 over the first documents of the rows, not prepared; and how many these are."""
    n = min(len(rows.pairs.documents), BM25_DOCUMENTS)
    tokens = rows.document_tokens
    documents = TokenRows(tokens.indptr[: n + 1], tokens.tokens[: int(tokens.indptr[n])])
    queries = TokenRows(rows.query_tokens.indptr, rows.query_tokens.tokens)
    return Bm25Scorer(queries, documents, n_terms), n


def _bm25(rows: TrainingData, n_terms: int, clock: Clock) -> TeacherCost:
    pairs = rows.pairs
    scorer, n = bm25_sample(rows, n_terms)
    took = seconds_of(
        lambda: scorer.prepare(pairs.queries, pairs.documents[:n], no_progress), clock
    )
    counted = f"{len(pairs.queries):,} queries, {len(pairs.documents):,} documents"
    queries, documents = (
        TokenRows(each.indptr, each.tokens) for each in (rows.query_tokens, rows.document_tokens)
    )
    identity = Bm25Scorer(queries, documents, n_terms).identity
    return TeacherCost(took * len(pairs.documents) / n, counted, identity)


def _texts(
    teacher: Teacher, rows: TrainingData, kept: VectorCache, opening: float, clock: Clock
) -> TeacherCost:
    pairs = rows.pairs
    queries = sorted(kept.missing("query", pairs.queries), key=len)
    documents = sorted(kept.missing("document", pairs.documents), key=len)
    known = len(set(pairs.queries)) + len(set(pairs.documents)) - len(queries) - len(documents)
    counted = f"{len(queries):,} queries, {len(documents):,} documents"
    counted += f"; {known:,} texts are in the cache" if known else ""
    if not queries and not documents:
        return TeacherCost(0.0, counted, teacher.identity)
    teacher.prepare(["a", "an"], ["a", "an"], no_progress)  # the first call is slower
    seconds = opening + _scaled(
        documents, lambda some: teacher.prepare([], some, no_progress), clock
    )
    seconds += _scaled(queries, lambda some: teacher.prepare(some, [], no_progress), clock)
    return TeacherCost(seconds, counted, teacher.identity)


def _pairs(
    teacher: CrossEncoderScorer,
    rows: TrainingData,
    kept: VectorCache,
    opening: float,
    clock: Clock,
) -> TeacherCost:
    texts = rows.pairs
    every = [
        (texts.queries[q], texts.documents[d]) for q, d in zip(*pairs_to_score(texts), strict=True)
    ]
    missing = sorted(kept.missing_pairs(every), key=lambda pair: len(pair[0]) + len(pair[1]))
    known = len(set(every)) - len(missing)
    counted = f"{len(missing):,} pairs" + (f"; {known:,} are in the cache" if known else "")
    if not missing:
        return TeacherCost(0.0, counted, teacher.identity)

    def score(some: Sequence[tuple[str, str]]) -> None:
        teacher.prepare([q for q, _ in some], [d for _, d in some])
        places = np.arange(len(some))
        teacher.prepare_pairs(places, places)

    score([("a", "a")])
    return TeacherCost(opening + _scaled(missing, score, clock), counted, teacher.identity)


def _scaled(items: Sequence[T], work: Callable[[Sequence[T]], object], clock: Clock) -> float:
    """Seconds for all items, ordered by length, by those of a few batches of them."""
    size = 32 if torch.cuda.is_available() else 8
    if len(items) <= len(QUANTILES) * size:
        parts = [items] if items else []
    else:
        starts = [int(quantile * (len(items) - size)) for quantile in QUANTILES]
        parts = [items[start : start + size] for start in starts]
    took = sum(seconds_of(partial(work, part), clock) for part in parts)
    return took * len(items) / max(sum(map(len, parts)), 1)
