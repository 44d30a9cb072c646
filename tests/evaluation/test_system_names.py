"""Names of systems: wildcards, one or several models, and names that clash."""

from __future__ import annotations

import pytest

from lsr.errors import InputError
from lsr.evaluation.system_names import (
    KINDS,
    chosen_kinds,
    is_learned,
    named_systems,
    needs_dense,
)


def names(kinds: str, sparse: list[str], dense: list[str]) -> list[str]:
    return [spec.name for spec in named_systems(chosen_kinds(kinds), sparse, dense)]


def test_one_model_a_side_keeps_the_names_of_the_conditions() -> None:
    assert names(",".join(KINDS), ["a/b"], ["c"]) == list(KINDS)


def test_every_condition_with_every_model() -> None:
    kinds = "bm25,learned,dense,prf:pre,learned:prf:pre,learned:prf:sparse"
    found = named_systems(chosen_kinds(kinds), ["x/splade", "unicoil"], ["ance", "y/tct"])
    assert [spec.name for spec in found] == [
        "bm25",
        "splade",
        "unicoil",
        "ance",
        "tct",
        "prf:pre+ance",
        "prf:pre+tct",
        "splade:prf:pre+ance",
        "splade:prf:pre+tct",
        "unicoil:prf:pre+ance",
        "unicoil:prf:pre+tct",
        "splade:prf:sparse",
        "unicoil:prf:sparse",
    ]
    assert [(spec.sparse, spec.dense) for spec in found[-4:-2]] == [
        ("unicoil", "ance"),
        ("unicoil", "y/tct"),
    ]


def test_models_that_end_alike_keep_their_whole_names() -> None:
    assert names("learned", ["runs/a/model", "runs/b/model"], ["c"]) == [
        "runs-a-model",
        "runs-b-model",
    ]


def test_wildcards() -> None:
    assert chosen_kinds("prf:*") == [kind for kind in KINDS if kind.startswith("prf:")]
    learned = chosen_kinds("learned:prf:*")
    assert learned == [
        "learned:prf:pre",
        "learned:prf:post",
        "learned:prf:both",
        "learned:prf:sparse",
    ]
    assert all(is_learned(kind) for kind in learned)
    assert [needs_dense(kind) for kind in learned] == [True, True, True, False]


def test_refusals() -> None:
    with pytest.raises(
        InputError, match="not a system: magic, learned:prf:dense; choose from bm25"
    ):
        chosen_kinds("bm25,magic,learned:prf:dense")
    with pytest.raises(InputError, match="nothing given"):
        chosen_kinds(" , ")
    with pytest.raises(InputError, match="--sparse a is given twice"):
        names("learned", ["a", "a"], ["c"])
