"""The teachers of a stage, made from their configs and prepared, and what they mine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SparseEncoder

from lsr.encoders.dense_recipe import DenseOptions
from lsr.training.config.train import (
    Bm25Teacher,
    CrossEncoderTeacher,
    DenseTeacher,
    RowsTeacher,
    ScoreFileTeacher,
    SparseTeacher,
    StageConfig,
)
from lsr.training.config.train import Teacher as TeacherConfig
from lsr.training.data.batches import row_candidates
from lsr.training.data.hub_files import local_file
from lsr.training.data.pairs import NO_ROW, Pairs
from lsr.training.data.supervision import miner_places
from lsr.training.data.training_data import TrainingData
from lsr.training.loop.stage_context import StageContext
from lsr.training.teachers.bm25 import Bm25Scorer, TokenRows
from lsr.training.teachers.mining import mine_once
from lsr.training.teachers.protocol import PairTeacher, Teacher
from lsr.training.teachers.row_scores import RowScores

__all__ = ["mined_candidates", "miners", "open_teacher", "pairs_to_score", "prepared_teachers"]


def prepared_teachers(context: StageContext, n_terms: int) -> list[Teacher]:
    """Teachers that know the rows of a stage.

    Args:
        n_terms: the width of the model's vectors.

    Raises:
        InputError: a model cannot be loaded, or a score file is of another run.
    """
    training_data, cache = context.training_data, context.run_folder.cache
    pairs = training_data.pairs
    teachers: list[Teacher] = []
    for config in context.stage.teachers:
        teacher = open_teacher(config, training_data, n_terms, cache)
        teacher.prepare(pairs.queries, pairs.documents, context.progress)
        if isinstance(teacher, PairTeacher):
            teacher.prepare_pairs(*pairs_to_score(pairs), context.progress)
        teachers.append(teacher)
    return teachers


def open_teacher(
    config: TeacherConfig, training_data: TrainingData, n_terms: int, cache: Path
) -> Teacher:
    """A teacher of a stage, not prepared.

    Args:
        n_terms: the width of the model's vectors.
        cache: for what it makes of texts.

    Raises:
        InputError: its model cannot be loaded.
    """
    match config:
        case Bm25Teacher():
            queries, documents = (
                TokenRows(tokens.indptr, tokens.tokens)
                for tokens in (training_data.query_tokens, training_data.document_tokens)
            )
            return Bm25Scorer(queries, documents, n_terms, k1=config.k1, b=config.b)
        case DenseTeacher():
            from lsr.training.teachers.dense import open_dense

            return open_dense(
                config.model,
                cache,
                options=DenseOptions(
                    similarity=config.similarity,
                    pooling=config.pooling,
                    query_prompt=config.query_prompt,
                    document_prompt=config.document_prompt,
                    dimensions=config.dimensions,
                    trust_remote_code=config.trust_remote_code,
                ),
                max_tokens=config.max_tokens,
                precision=config.precision,
            )
        case SparseTeacher():
            from lsr.training.teachers.sparse import open_sparse

            return open_sparse(config.model, cache, trust_remote_code=config.trust_remote_code)
        case CrossEncoderTeacher():
            from lsr.training.teachers.cross_encoder import open_crossencoder

            return open_crossencoder(
                config.model, cache, trust_remote_code=config.trust_remote_code
            )
        case ScoreFileTeacher():
            from lsr.training.teachers.score_file import ScoreFile

            pairs = training_data.pairs
            return ScoreFile(local_file(config.path), pairs.query_ids, pairs.document_ids)
        case RowsTeacher():
            scored = training_data.pairs.scored
            rows = np.repeat(np.arange(len(scored)), np.diff(scored.indptr))
            scores = np.zeros(0, np.float32) if scored.scores is None else scored.scores
            return RowScores(rows, scored.rows, scores)


def pairs_to_score(pairs: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of every query with its positive and with the candidates that its row brings."""
    candidates_of = row_candidates(pairs)
    queries: list[int] = []
    documents: list[int] = []
    for row in range(len(pairs)):
        found = {*candidates_of(row).tolist(), int(pairs.positives[row])} - {NO_ROW}
        queries += [row] * len(found)
        documents += sorted(found)
    return np.array(queries, np.int64), np.array(documents, np.int64)


def mined_candidates(
    teachers: Sequence[Teacher], model: SparseEncoder, context: StageContext
) -> Callable[[int], NDArray[np.int32]]:
    """Hard negatives by the stage's teachers, or by the model as it is, beside those of the rows.

    Args:
        teachers: of the stage, prepared.

    Raises:
        InputError: the teacher asked for is not among the stage's, or cannot rank.
    """
    stage, pairs = context.stage, context.training_data.pairs
    cache, progress = context.run_folder.cache, context.progress
    assert stage.data is not None
    assert stage.data.mining is not None
    if stage.data.mining.teacher == "student":
        from lsr.training.teachers.sparse import SparseScorer

        student = SparseScorer(model, cache, name="student")
        student.prepare(pairs.queries, pairs.documents, progress)
        by: list[Teacher] = [student]
        weights = [1.0]
    else:
        by, weights = miners(teachers, stage)
    mined = mine_once(
        cache / "mined",
        by,
        pairs.queries,
        pairs.documents,
        pairs.positives,
        stage.data.mining,
        weights=weights,
        seed=context.config.seed,
        progress=progress,
    )
    of_row = row_candidates(pairs)

    def candidates_of(query_row: int) -> NDArray[np.int32]:
        return np.concatenate([of_row(query_row), mined.of(query_row)])

    return candidates_of


def miners(teachers: Sequence[Teacher], stage: StageConfig) -> tuple[list[Teacher], list[float]]:
    """The teachers that negatives are mined by, and their weights."""
    places = miner_places(stage)
    weights = [stage.teachers[place].weight for place in places]
    return [teachers[place] for place in places], weights if len(places) > 1 else [1.0]
