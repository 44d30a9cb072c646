"""Times of mining and grouping: a few queries over a part of the documents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lsr.progress import no_progress
from lsr.training.config.train import MiningConfig, StageConfig
from lsr.training.data.supervision import miner_places
from lsr.training.data.training_data import TrainingData
from lsr.training.planning.clock import Clock, seconds_of
from lsr.training.planning.stand_ins import RandomTerms, RandomVectors
from lsr.training.planning.teachers import bm25_sample
from lsr.training.teachers.mining import CHUNK, mine, neighbour_groups
from lsr.training.teachers.protocol import Teacher

__all__ = ["grouping_s", "mining_s"]

MINED_QUERIES = 64
GROUPED_QUERIES = 2048


def mining_s(stage: StageConfig, rows: TrainingData, n_terms: int, clock: Clock) -> float:
    """Seconds of mining for all queries of a stage, its teachers prepared.

    Args:
        n_terms: the width of the model's vectors.
    """
    assert stage.data is not None
    assert stage.data.mining is not None
    pairs, wanted = rows.pairs, stage.data.mining
    scorer, n_documents = bm25_sample(rows, n_terms)
    n_queries = min(len(pairs.queries), MINED_QUERIES)
    teachers: list[Teacher] = []
    for kind in _kinds(stage, wanted):
        if kind == "bm25":
            scorer.prepare(pairs.queries, pairs.documents[:n_documents], no_progress)
            teachers.append(scorer)
        elif kind == "dense":
            teachers.append(RandomVectors(n_queries, n_documents))
        else:
            teachers.append(RandomTerms(n_queries, n_documents))
    positives = np.where(pairs.positives < n_documents, pairs.positives, -1)[:n_queries]

    def work() -> None:
        queries, documents = pairs.queries[:n_queries], pairs.documents[:n_documents]
        mine(teachers, queries, documents, positives, wanted)

    work()  # builds what searching needs, once
    share = n_documents / len(pairs.documents)
    return seconds_of(work, clock) * len(pairs.queries) / n_queries / share


def grouping_s(n_queries: int, size: int, clock: Clock) -> float:
    """Seconds of putting so many queries into groups of `size`."""
    some = min(n_queries, GROUPED_QUERIES)
    vectors = RandomVectors(some, 1).vectors[0]
    took = seconds_of(lambda: neighbour_groups(vectors, size), clock)
    return took * n_queries / some * min(n_queries, CHUNK) / some


def _kinds(stage: StageConfig, wanted: MiningConfig) -> Sequence[str]:
    if wanted.teacher == "student":
        return ["sparse"]
    return [stage.teachers[place].kind for place in miner_places(stage)]
