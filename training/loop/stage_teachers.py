"""The teachers of a stage, made from their configs and prepared, and what they mine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError
from lsr.progress import Progress
from lsr.training.config import train as given
from lsr.training.data.batches import given_candidates
from lsr.training.data.training_data import TrainingData
from lsr.training.teachers.bm25 import Bm25Scorer, TokenRows
from lsr.training.teachers.mining import mine_once
from lsr.training.teachers.protocol import Teacher

__all__ = ["mined_candidates", "prepared_teachers"]


def prepared_teachers(
    configs: Sequence[given.Teacher],
    training_data: TrainingData,
    n_terms: int,
    cache: Path,
    progress: Progress,
) -> list[Teacher]:
    """Teachers that know the rows of a stage.

    Args:
        cache: the folder for what they make of texts.

    Raises:
        InputError: a model cannot be loaded, or a score file is of another run.
    """
    pairs = training_data.pairs
    teachers: list[Teacher] = []
    for config in configs:
        teacher = _opened(config, training_data, n_terms, cache)
        teacher.prepare(pairs.queries, pairs.documents, progress)
        if config.kind == "cross_encoder":
            queries, documents = _own_pairs(training_data)
            teacher.prepare_pairs(queries, documents, progress)  # type: ignore[attr-defined]
        teachers.append(teacher)
    return teachers


def _opened(
    config: given.Teacher, training_data: TrainingData, n_terms: int, cache: Path
) -> Teacher:
    match config:
        case given.Bm25Teacher():
            queries, documents = (
                TokenRows(tokens.indptr, tokens.tokens)
                for tokens in (training_data.query_tokens, training_data.document_tokens)
            )
            return Bm25Scorer(queries, documents, n_terms, k1=config.k1, b=config.b)
        case given.DenseTeacher():
            from lsr.training.teachers.dense import open_dense

            return open_dense(
                config.model, cache, max_tokens=config.max_tokens, precision=config.precision
            )
        case given.SparseTeacher():
            from lsr.training.teachers.sparse import open_sparse

            return open_sparse(config.model, cache)
        case given.CrossEncoderTeacher():
            from lsr.training.teachers.cross_encoder import open_crossencoder

            return open_crossencoder(config.model, cache)
        case given.ScoreFileTeacher():
            from lsr.training.teachers.score_file import ScoreFile

            pairs = training_data.pairs
            return ScoreFile(Path(config.path), pairs.query_ids, pairs.document_ids)


def _own_pairs(training_data: TrainingData) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every query with its positive and the candidates that its row brings."""
    candidates_of = given_candidates(training_data.pairs)
    queries: list[int] = []
    documents: list[int] = []
    for row in range(len(training_data.pairs)):
        own = {*candidates_of(row).tolist(), int(training_data.pairs.positives[row])} - {-1}
        queries += [row] * len(own)
        documents += sorted(own)
    return np.array(queries, np.int64), np.array(documents, np.int64)


def mined_candidates(
    teachers: Sequence[Teacher],
    stage: given.StageConfig,
    training_data: TrainingData,
    model: Any,
    cache: Path,
    seed: int,
    progress: Progress,
) -> Callable[[int], NDArray[np.int32]]:
    """Hard negatives by the stage's teachers, or by the model as it is, beside those given.

    Raises:
        InputError: the teacher asked for is not among the stage's, or cannot rank.
    """
    assert stage.data is not None
    assert stage.data.mining is not None
    wanted = stage.data.mining.teacher
    kinds = [config.kind for config in stage.teachers]
    weights = [config.weight for config in stage.teachers]
    if wanted == "student":
        from lsr.training.teachers.sparse import SparseScorer

        student = SparseScorer(model, cache, name="student")
        student.prepare(training_data.pairs.queries, training_data.pairs.documents, progress)
        chosen: list[Teacher] = [student]
        weights = [1.0]
    elif wanted == "ensemble":
        ranks = [kind in ("bm25", "dense", "sparse") for kind in kinds]
        chosen = [teacher for teacher, able in zip(teachers, ranks, strict=True) if able]
        weights = [weight for weight, able in zip(weights, ranks, strict=True) if able]
    elif wanted in kinds:
        chosen, weights = [teachers[kinds.index(wanted)]], [1.0]
    else:
        chosen = []
    if not chosen:
        raise InputError(
            f"hard negatives are to be mined by {wanted}, which is not among the stage's teachers "
            f"({', '.join(kinds) or 'none'}); add it, or set data.mining.teacher"
        )
    mined = mine_once(
        cache / "mined",
        chosen,
        training_data.pairs.queries,
        training_data.pairs.documents,
        training_data.pairs.positives,
        stage.data.mining,
        weights=weights,
        seed=seed,
        progress=progress,
    )
    own = given_candidates(training_data.pairs)

    def candidates_of(query_row: int) -> NDArray[np.int32]:
        return np.concatenate([own(query_row), mined.of(query_row)])

    return candidates_of
