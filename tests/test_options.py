"""Options: every field of a plan says what it may be, and refuses everything else by its path."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

from lsr.errors import InputError, QueryError
from lsr.options import check_options, chosen, option, read_options
from lsr.retrieval.feedback import DenseFeedback, SparseFeedback
from lsr.retrieval.fusion import Fusion
from lsr.retrieval.plan import Prf, SearchPlan, plan_from

Field = tuple[str, Mapping[str, Any], Any]


def told(options: Any, path: str = "") -> Iterator[Field]:
    """Path, what it may be, and default of each field, nested ones too."""
    for each in fields(options):
        value = getattr(options, each.name)
        if is_dataclass(value):
            yield from told(value, f"{path}{each.name}.")
        else:
            yield f"{path}{each.name}", each.metadata, value


FIELDS = list(told(SearchPlan()))
NUMBERS = [each for each in FIELDS if each[1]["low"] is not None]
WHOLE = [each for each in NUMBERS if each[1]["whole"]]
WORDS = [each for each in FIELDS if each[1]["choices"]]
FLAGS = [each for each in FIELDS if each[1]["low"] is None and not each[1]["choices"]]


def names(some: list[Field]) -> list[str]:
    return [path for path, _, _ in some]


def nested(path: str, value: object) -> dict[str, Any]:
    """`a.b.c` as `{a: {b: {c: value}}}`."""
    for part in reversed(path.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def got(plan: SearchPlan, path: str) -> object:
    value: Any = plan
    for part in path.split("."):
        value = getattr(value, part)
    return value


def refusal(path: str, value: object) -> str:
    with pytest.raises(QueryError) as caught:
        plan_from(nested(path, value))
    return str(caught.value)


def test_every_field_is_told() -> None:
    assert names(FIELDS) == [
        *("mode", "window"),
        *("fusion.method", "fusion.norm", "fusion.missing", "fusion.weight_sparse", "fusion.rrf_k"),
        *("prf.interpolate", "prf.depth", "prf.weight_sparse_pre", "prf.min_score"),
        *("prf.dense.method", "prf.dense.alpha", "prf.dense.beta"),
        *("prf.sparse.enabled", "prf.sparse.terms", "prf.sparse.alpha", "prf.sparse.beta"),
        *("prf.sparse.max_df", "explain", "allow_partial"),
    ]
    assert names(WHOLE) == ["window", "fusion.rrf_k", "prf.depth", "prf.sparse.terms"]
    assert names(FLAGS) == ["prf.sparse.enabled", "allow_partial"]
    for path, may_be, _ in FIELDS:
        assert may_be["help"].endswith("."), path


def test_defaults_and_ranges_are_those_of_the_specification() -> None:
    plan = SearchPlan()
    assert (plan.mode, plan.window, plan.explain, plan.allow_partial) == (None, 100, "none", False)
    assert plan.fusion == Fusion("convex", "tmm", "exact", None, 60)
    assert plan.fusion.default_weight == 0.3
    assert plan.prf == Prf("none", 3, None, None, DenseFeedback(), SparseFeedback())
    assert plan.prf.dense == DenseFeedback("rocchio", 0.8, 0.2)
    assert plan.prf.sparse == SparseFeedback(False, 10, 1.0, 0.2, 0.1)
    assert {path: (may_be["low"], may_be["high"]) for path, may_be, _ in NUMBERS} == {
        "window": (1, 10_000),
        "fusion.weight_sparse": (0, 1),
        "fusion.rrf_k": (1, 1000),
        "prf.depth": (0, 20),
        "prf.weight_sparse_pre": (0, 1),
        "prf.min_score": (0, 1),
        "prf.dense.alpha": (0, 2),
        "prf.dense.beta": (0, 2),
        "prf.sparse.terms": (1, 200),
        "prf.sparse.alpha": (0, 2),
        "prf.sparse.beta": (0, 2),
        "prf.sparse.max_df": (0, 1),
    }


@pytest.mark.parametrize(("path", "may_be", "default"), NUMBERS, ids=names(NUMBERS))
def test_numbers_just_inside_and_outside(
    path: str, may_be: Mapping[str, Any], default: object
) -> None:
    low, high = may_be["low"], may_be["high"]
    step = 1 if may_be["whole"] else 1e-12
    for value in (low, low + step, high - step, high):
        assert got(plan_from(nested(path, value)), path) == value
    kind = "a whole number" if may_be["whole"] else "a number"
    for value in (low - step, high + step, -high, 1000 * high, 10**400, 10**5000):
        message = refusal(path, value)
        assert message.startswith(f"{path} is ")
        assert message.endswith(f"it must be {kind} from {low:,} to {high:,}")


@pytest.mark.parametrize(("path", "may_be", "default"), NUMBERS, ids=names(NUMBERS))
def test_what_is_no_number(path: str, may_be: Mapping[str, Any], default: object) -> None:
    wrong = [True, False, "1", "", [1], {}, math.nan, math.inf, -math.inf, 1j]
    for value in [*wrong, 1.5, 1.0] if may_be["whole"] else wrong:
        assert refusal(path, value).startswith(f"{path} is {value!r}; it must be a")
    if may_be["optional"]:
        assert got(plan_from(nested(path, None)), path) is None
    else:
        assert refusal(path, None).startswith(f"{path} is None; it must be a")


def test_a_whole_number_is_a_number() -> None:
    assert plan_from({"fusion": {"weight_sparse": 1}}).fusion.weight_sparse == 1
    weight = plan_from({"fusion": {"weight_sparse": np.float64(0.25)}}).fusion.weight_sparse
    assert weight == 0.25


@pytest.mark.parametrize(("path", "may_be", "default"), WORDS, ids=names(WORDS))
def test_words(path: str, may_be: Mapping[str, Any], default: object) -> None:
    for word in may_be["choices"]:
        assert got(plan_from(nested(path, word)), path) == word
    choices = ", ".join(may_be["choices"])
    first = may_be["choices"][0]
    wrong: list[object] = ["", "other", first.upper(), 1, True, [first], {}]
    for value in wrong:
        assert refusal(path, value) == f"{path} is {value!r}; choose {choices}"
    if may_be["optional"]:
        assert got(plan_from(nested(path, None)), path) is None
    else:
        assert refusal(path, None) == f"{path} is None; choose {choices}"


@pytest.mark.parametrize(("path", "may_be", "default"), FLAGS, ids=names(FLAGS))
def test_flags(path: str, may_be: Mapping[str, Any], default: object) -> None:
    for flag in (True, False):
        assert got(plan_from(nested(path, flag)), path) is flag
    wrong: list[object] = [0, 1, "true", "", None, [], math.nan]
    for value in wrong:
        assert refusal(path, value) == f"{path} is {value!r}; it must be true or false"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"windw": 5}, "windw: there is no such field; did you mean window"),
        ({"alpha": 1}, "alpha: there is no such field; there are mode, window, fusion, prf, "),
        ({"fusion": {"nrom": "tmm"}}, "fusion.nrom: there is no such field; did you mean "),
        ({"fusion": {"weight": 0.5}}, "fusion.weight: there is no such field; did you mean"),
        ({"prf": {"dept": 3}}, "prf.dept: there is no such field; did you mean prf.depth"),
        (
            {"prf": {"dense": {"bata": 0.1}}},
            "prf.dense.bata: there is no such field; did you mean prf.dense.beta",
        ),
        (
            {"prf": {"sparse": {"max_fd": 0.1}}},
            "prf.sparse.max_fd: there is no such field; did you mean prf.sparse.max_df",
        ),
        (
            {"prf": {"dense": {"zzz": 0.1}}},
            "prf.dense.zzz: there is no such field; there are method, alpha, beta",
        ),
        ({"": 1}, ": there is no such field; there are mode"),
        ({3: 1}, "3: there is no such field; there are mode"),
        ({"x" * 500: 1}, "x" * 64 + ": there is no such field"),
        ({"fusion": 3}, "fusion must be an object with named fields"),
        ({"fusion": None}, "fusion must be an object with named fields"),
        ({"prf": ["depth"]}, "prf must be an object with named fields"),
        ({"prf": {"dense": "rocchio"}}, "prf.dense must be an object with named fields"),
    ],
)
def test_unknown_fields_and_things_that_are_no_object(
    given: dict[str, object], message: str
) -> None:
    with pytest.raises(QueryError) as caught:
        plan_from(given)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("given", [[], "plan", 3, None])
def test_the_plan_itself_must_be_an_object(given: Any) -> None:
    with pytest.raises(QueryError, match="^the plan must be an object with named fields$"):
        read_options(SearchPlan, given)


@pytest.mark.parametrize("side", ["dense", "sparse"])
def test_feedback_needs_a_weight(side: str) -> None:
    message = f"prf.{side}.alpha and prf.{side}.beta are both 0; give one of them"
    with pytest.raises(QueryError, match=message):
        plan_from({"prf": {side: {"alpha": 0, "beta": 0.0}}})
    for one in ({"alpha": 0}, {"beta": 0}):
        plan_from({"prf": {side: one}})


def test_the_classes_check_themselves() -> None:
    with pytest.raises(QueryError, match=r"^fusion\.norm is 'x'; choose tmm, "):
        Fusion(norm="x")  # type: ignore[arg-type]
    with pytest.raises(QueryError, match=r"^prf\.depth is 21; "):
        Prf(depth=21)
    with pytest.raises(QueryError, match=r"^prf\.dense\.beta is 2\.5; "):
        DenseFeedback(beta=2.5)
    with pytest.raises(QueryError, match=r"^prf\.sparse\.terms is 0; "):
        SparseFeedback(terms=0)
    with pytest.raises(QueryError, match=r"^window is 0; it must be a whole .* from 1 to 10,000$"):
        SearchPlan(window=0)
    with pytest.raises(QueryError, match=r"^mode is 'both'; "):
        replace(SearchPlan(), mode="both")  # type: ignore[arg-type]


def test_long_values_are_cut() -> None:
    message = refusal("explain", "very " * 100)
    assert message.startswith("explain is 'very very")
    assert len(message) < 90


@dataclass(frozen=True)
class Inner:
    size: int = option(3, "A size.", low=1, high=5)


@dataclass(frozen=True)
class Outer:
    share: float = option(0.5, "A share.", low=0.0, high=1.0)
    inner: Inner = field(default_factory=Inner)


def test_what_is_left_out_is_as_in_the_defaults() -> None:
    assert read_options(Outer, {}) == Outer()
    assert read_options(Outer, {"inner": {}}, Outer(0.25, Inner(2))) == Outer(0.25, Inner(2))
    assert read_options(Outer, {"share": 1}, Outer(0.25, Inner(2))) == Outer(1, Inner(2))
    assert read_options(Outer, {"inner": {"size": 5}}, Outer(0.25)) == Outer(0.25, Inner(5))
    check_options(Outer(7.0, Inner()).inner)
    with pytest.raises(QueryError, match=r"^here\.share is 7\.0; it must be a number from 0\.0"):
        check_options(Outer(7.0), "here.")


def test_the_error_is_of_the_class_that_the_options_say() -> None:
    with pytest.raises(InputError, match=r"^share is 7\.0; ") as caught:
        check_options(Outer(7.0), error=InputError)
    assert type(caught.value) is InputError


def test_a_word_is_one_of_those_there_are() -> None:
    assert chosen("b", ("a", "b"), "letter") == "b"
    with pytest.raises(InputError, match=r"^there is no letter 'c'; choose a, b$"):
        chosen("c", ("a", "b"), "letter")
