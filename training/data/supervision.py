"""Supervision of a stage: what its losses learn from, refused before anything runs if missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lsr.errors import InputError
from lsr.training.config.presets import EXPECTS_EXPANDED
from lsr.training.config.train import OwnLoss, RowsTeacher, StageConfig
from lsr.training.data.pairs import NO_ROW, Pairs

__all__ = [
    "check_rows",
    "check_stage",
    "expansion_notes",
    "miner_places",
    "supervision_notes",
    "with_row_scores",
]

BY_SCORES = ("kl", "margin_mse")
"""Losses that learn from teachers' scores."""

BY_LABELS = ("infonce", "term_recall")
"""Losses that learn from labelled positives."""

RANKING = ("bm25", "dense", "sparse")
"""Kinds of teachers that can rank all documents."""


def check_stage(stage: StageConfig) -> None:
    """Refuse what a stage asks for and lacks, whatever its rows are.

    Raises:
        InputError: negatives or groups are to be made by a teacher that it does not have.
    """
    data = stage.data
    if data is None:
        return
    if data.mining is not None and data.mining.teacher != "student":
        miner_places(stage)
    if data.group_size is not None and "dense" not in _kinds(stage):
        raise InputError(
            f"stage {stage.name}: data.group_size needs a dense teacher, which says what is alike; "
            "add one"
        )


def check_rows(stage: StageConfig, pairs: Pairs, held_out: Pairs | None = None) -> None:
    """Refuse losses that nothing in these rows or in the stage's teachers supports.

    Args:
        held_out: rows to be evaluated on, if there are any.

    Raises:
        InputError: a loss lacks scores or labels, or the teacher `rows` has no scores, or no row
            that is held out has a label.
    """
    has_scores = bool(pairs.scored.varied().any())
    by_scores = _losses(stage, BY_SCORES)
    if by_scores and not stage.teachers and not has_scores:
        flat = " (their scores are all equal)" if len(pairs.scored.rows) else ""
        raise InputError(
            f"stage {stage.name}: the loss {' and '.join(by_scores)} needs scores to learn from, "
            f"and there is neither a teacher nor a row with scores{flat}; add a teacher, such as "
            "teachers: [{kind: bm25}], or rows with scores, or take the loss infonce, which needs "
            "labels alone"
        )
    if "rows" in _kinds(stage) and not has_scores:
        raise InputError(
            f"stage {stage.name}: the teacher rows is asked for, and no row has scores that tell "
            "documents apart; give rows with scores, or take it out"
        )
    own = _own(stage)
    if own and not stage.teachers and not has_scores and not _labelled(pairs):
        raise InputError(
            f"stage {stage.name}: the loss {' and '.join(own)} has nothing to learn from: there is "
            "no teacher, no row with scores, and no labelled positive; add one of these"
        )
    by_labels = _losses(stage, BY_LABELS)
    if by_labels and not _labelled(pairs):
        raise InputError(
            f"stage {stage.name}: the loss {' and '.join(by_labels)} needs labelled positives, and "
            "no row has one; give rows with positives, or another loss"
        )
    if held_out is not None and len(held_out) and not _labelled(held_out):
        raise InputError(
            f"stage {stage.name}: data.validation_share holds out {len(held_out):,} rows, and none "
            "has a labelled positive to be measured by; leave it out, and name evaluation.sets"
        )


def with_row_scores(stage: StageConfig, pairs: Pairs) -> StageConfig:
    """The stage with the rows' own scores as its last teacher, if a loss can learn from them."""
    if not (_losses(stage, BY_SCORES) or _own(stage)) or "rows" in _kinds(stage):
        return stage
    if not pairs.scored.varied().any():
        return stage
    return stage.model_copy(update={"teachers": (*stage.teachers, RowsTeacher())})


def supervision_notes(stage: StageConfig, pairs: Pairs) -> list[str]:
    """Sentences on rows that a stage learns nothing of, and on scores that it does not use.

    Args:
        stage: as the config has it, or with the rows' scores as a teacher.
    """
    scored = np.diff(pairs.scored.indptr) > 0
    if not scored.any():
        return []
    by_scores = _losses(stage, BY_SCORES) + _own(stage)
    if not by_scores and "rows" not in _kinds(stage):
        return [
            f"stage {stage.name}: {int(scored.sum()):,} rows have scores, which none of its losses "
            "uses; kl and margin_mse do"
        ]
    notes = []
    flat = int((scored & ~pairs.scored.varied()).sum())
    if flat:
        notes.append(
            f"stage {stage.name}: {flat:,} of {int(scored.sum()):,} rows with scores have no order "
            "(all equal, or one alone), and nothing is learned of these scores"
        )
    alone = not set(_kinds(stage)) - {"rows"}
    if alone and stage.data is not None and stage.data.mining is not None:
        notes.append(
            f"stage {stage.name}: negatives are mined, and no teacher scores them: "
            f"{' and '.join(by_scores)} learns nothing of them"
        )
    bare = int((~scored).sum())
    if bare and alone:
        notes.append(
            f"stage {stage.name}: {bare:,} of {len(pairs):,} rows have no scores, and there is no "
            f"other teacher: {' and '.join(by_scores)} learns nothing of them"
        )
    return notes


def expansion_notes(preset: str | None, stage: StageConfig) -> list[str]:
    """A sentence on documents that a preset expects to be expanded, unless their sources are."""
    if preset not in EXPECTS_EXPANDED or stage.data is None:
        return []
    plain = [source.path for source in stage.data.sources if not source.expanded]
    if not plain:
        return []
    named = plain[0] if len(plain) == 1 else f"{plain[0]} and {len(plain) - 1} more sources"
    return [
        f"stage {stage.name}: {preset} weighs the terms of expanded documents, and {named} is not "
        "said to have them; make them by `lsr expand CORPUS OUT --model` or `--tilde` (docT5query, "
        "TILDE), for training and for search, and set expanded: true beside path"
    ]


def miner_places(stage: StageConfig) -> list[int]:
    """Places of the teachers that hard negatives are mined by.

    Raises:
        InputError: the one asked for is not among the stage's.
    """
    assert stage.data is not None
    assert stage.data.mining is not None
    wanted, kinds = stage.data.mining.teacher, _kinds(stage)
    if wanted == "ensemble":
        places = [place for place, kind in enumerate(kinds) if kind in RANKING]
    else:
        places = [place for place, kind in enumerate(kinds) if kind == wanted][:1]
    if not places:
        raise InputError(
            f"hard negatives are to be mined by {wanted}, which is not among the stage's "
            f"teachers ({', '.join(kinds) or 'none'}); add it, or set data.mining.teacher"
        )
    return places


def _labelled(pairs: Pairs) -> bool:
    """Whether any row has a positive."""
    return bool((pairs.positives != NO_ROW).any())


def _kinds(stage: StageConfig) -> list[str]:
    return [teacher.kind for teacher in stage.teachers]


def _losses(stage: StageConfig, kinds: Sequence[str]) -> list[str]:
    return [loss.kind for loss in stage.losses if loss.kind in kinds]


def _own(stage: StageConfig) -> list[str]:
    """Losses of one's own, which may learn from scores and from labels."""
    return [loss.kind for loss in stage.losses if isinstance(loss, OwnLoss)]
