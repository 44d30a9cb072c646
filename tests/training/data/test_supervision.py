"""Losses that have nothing to learn from are refused; rows that teach nothing are counted."""

from __future__ import annotations

from typing import Any

import pytest

from lsr.errors import InputError
from lsr.training.config.train import StageConfig
from lsr.training.data.pairs import NO_ROW, Pairs, PairsBuilder
from lsr.training.data.supervision import (
    check_rows,
    check_stage,
    expansion_notes,
    supervision_notes,
    with_row_scores,
)

Given = tuple[str, tuple[float, ...]]
LABELLED: Given = ("p", ())
SCORED: Given = ("", (1.0, 2.0))
FLAT: Given = ("p", (2.0, 2.0))
ALONE: Given = ("", (2.0,))


def rows(*given: Given) -> Pairs:
    builder = PairsBuilder()
    for number, (positive, scores) in enumerate(given):
        builder.add(
            f"q{number}",
            builder.document(positive) if positive else NO_ROW,
            scored=[builder.document(f"d{place}") for place in range(len(scores))],
            scores=scores,
        )
    return builder.build()


def stage(*losses: str, teachers: tuple[str, ...] = (), **given: Any) -> StageConfig:
    return StageConfig.model_validate(
        {
            "losses": [{"kind": kind} for kind in losses],
            "teachers": [{"kind": kind} for kind in teachers],
            **given,
        }
    )


@pytest.mark.parametrize("loss", ["kl", "margin_mse"])
def test_losses_by_scores_need_some(loss: str) -> None:
    for pairs in (rows(LABELLED), rows(FLAT, LABELLED), rows(ALONE)):
        with pytest.raises(InputError, match=f"stage train: the loss {loss} needs scores"):
            check_rows(stage(loss), pairs)
    with pytest.raises(InputError, match="the loss kl and margin_mse needs scores"):
        check_rows(stage("kl", "margin_mse", "infonce"), rows(LABELLED))
    with pytest.raises(InputError, match=r"row with scores \(their scores are all equal\)"):
        check_rows(stage(loss), rows(FLAT))
    check_rows(stage(loss, teachers=("bm25",)), rows(LABELLED))
    check_rows(stage(loss), rows(LABELLED, SCORED))


def test_losses_by_labels_need_some() -> None:
    with pytest.raises(InputError, match="the loss infonce and term_recall needs labelled"):
        check_rows(stage("infonce", "term_recall"), rows(SCORED))
    check_rows(stage("infonce", "term_recall"), rows(SCORED, LABELLED))
    with pytest.raises(InputError, match="holds out 1 rows, and none has a labelled positive"):
        check_rows(stage("kl"), rows(SCORED), rows(SCORED))
    check_rows(stage("kl"), rows(SCORED), rows(SCORED, LABELLED))


def test_a_teacher_of_rows_needs_scores() -> None:
    with pytest.raises(InputError, match="the teacher rows is asked for, and no row has scores"):
        check_rows(stage("kl", teachers=("rows", "bm25")), rows(FLAT, LABELLED))
    check_rows(stage("kl", teachers=("rows", "bm25")), rows(SCORED))


def test_rows_with_scores_are_a_teacher_where_a_loss_learns_of_it() -> None:
    def kinds(given: StageConfig, *of: Given) -> list[str]:
        return [teacher.kind for teacher in with_row_scores(given, rows(*of)).teachers]

    assert kinds(stage("kl"), SCORED, LABELLED) == ["rows"]
    assert kinds(stage("margin_mse", teachers=("bm25",)), SCORED) == ["bm25", "rows"]
    assert kinds(stage("kl", teachers=("rows", "bm25")), SCORED) == ["rows", "bm25"]
    assert kinds(stage("kl", teachers=("bm25",)), LABELLED, FLAT) == ["bm25"]
    assert kinds(stage("infonce"), SCORED, LABELLED) == []


def test_rows_that_teach_nothing_are_counted() -> None:
    given = rows(SCORED, FLAT, ALONE, LABELLED)
    flat = "stage train: 2 of 3 rows with scores have no order (all equal, or one alone), "
    alone, bare = supervision_notes(with_row_scores(stage("kl"), given), given)
    assert alone.startswith(flat)
    assert bare == (
        "stage train: 1 of 4 rows have no scores, and there is no other teacher: "
        "kl learns nothing of them"
    )
    (only,) = supervision_notes(stage("kl", teachers=("bm25",)), given)
    assert only.startswith(flat)
    (unused,) = supervision_notes(stage("infonce"), given)
    assert unused.startswith("stage train: 3 rows have scores, which none of its losses uses")
    assert supervision_notes(stage("kl"), rows(SCORED)) == []
    mining = {"sources": [{"path": "a.jsonl"}], "mining": {"teacher": "student"}}
    (mined,) = supervision_notes(stage("kl", data=mining), rows(SCORED))
    assert "no teacher scores them" in mined
    assert supervision_notes(stage("kl", teachers=("bm25",), data=mining), rows(SCORED)) == []
    assert supervision_notes(stage("infonce"), rows(LABELLED)) == []


def test_negatives_and_groups_need_their_teachers() -> None:
    sources = {"sources": [{"path": "a.jsonl"}]}
    for data, message in (
        ({"group_size": 4}, "group_size needs a dense teacher"),
        ({"mining": {"teacher": "dense"}}, "mined by dense, which is not among .*bm25, rows"),
    ):
        with pytest.raises(InputError, match=message):
            check_stage(stage("kl", teachers=("bm25", "rows"), data=sources | data))
    for teacher in ("student", "ensemble", "bm25"):
        mining = {"mining": {"teacher": teacher}}
        check_stage(stage("kl", teachers=("bm25", "rows"), data=sources | mining))
    with pytest.raises(InputError, match="mined by ensemble, which is not among .*rows"):
        check_stage(stage("kl", teachers=("rows",), data=sources | {"mining": {}}))


def test_a_preset_of_expanded_documents_says_so_once() -> None:
    plain, expanded = {"path": "a.jsonl"}, {"path": "b.jsonl", "expanded": True}
    (note,) = expansion_notes("tildev2", stage("infonce", data={"sources": [plain, expanded]}))
    assert "tildev2 weighs the terms of expanded documents, and a.jsonl is not" in note
    assert "lsr expand" in note
    assert expansion_notes("tildev2", stage("infonce", data={"sources": [expanded]})) == []
    assert expansion_notes("splade-doc", stage("infonce", data={"sources": [plain]})) == []
    assert expansion_notes(None, stage("infonce", data={"sources": [plain]})) == []
    assert expansion_notes("unicoil", stage("infonce")) == [], "rows of the stage before"
