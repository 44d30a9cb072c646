"""Batches as a pure function of seed and step, and their parts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lsr.errors import InputError
from lsr.training.data.batches import Batch, BatchPlan, micro_batches
from lsr.training.data.pairs import Pairs, PairsBuilder, joined
from lsr.training.data.ragged import RowLists
from tests.training.data.test_pairs import made


def plain(n: int, source: str = "a") -> Pairs:
    rows = ((f"{source} q{i}", f"{source} p{i}", [f"{source} n{i}"]) for i in range(n))
    return made(*rows, source=source)


def same(one: Batch, other: Batch) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("query_rows", "document_rows", "positives", "candidates", "masked")
    )


@st.composite
def any_pairs(draw: st.DrawFn) -> Pairs:
    """Few texts, so that queries share positives, and negatives are positives elsewhere."""
    builder = PairsBuilder()
    texts = [f"d{i}" for i in range(draw(st.integers(1, 12)))]
    rows = [builder.document(text) for text in texts]
    some = st.lists(st.sampled_from(rows), max_size=5)
    for _ in range(draw(st.integers(1, 20))):
        scored = draw(some)
        builder.add(
            draw(st.sampled_from(["q", "r", "s", "t"])),
            draw(st.sampled_from([-1, *rows])),
            negatives=draw(some),
            scored=scored,
            scores=[1.0] * len(scored),
            source=draw(st.sampled_from(["x", "y"])),
        )
    return builder.build()


@settings(max_examples=100, deadline=None)
@given(
    pairs=any_pairs(),
    queries=st.integers(1, 24),
    candidates=st.integers(1, 6),
    seed=st.integers(0, 5),
    data=st.data(),
)
def test_every_batch_keeps_its_promises(
    pairs: Pairs, queries: int, candidates: int, seed: int, data: st.DataObject
) -> None:
    groups = data.draw(
        st.none() | st.lists(st.integers(0, 3), min_size=len(pairs), max_size=len(pairs))
    )
    suspects = RowLists.of([[0] if row % 3 == 0 else [] for row in range(len(pairs))])
    plan = BatchPlan(
        pairs,
        queries=queries,
        candidates=candidates,
        seed=seed,
        steps=30,
        weights=data.draw(st.sampled_from([None, {"x": 3.0}, {"x": 0.01, "y": 1.0}])),
        groups=None if groups is None else np.array(groups),
        suspects=suspects,
    )
    known = pairs.known_positives()
    n_documents = len(pairs.documents)
    for step in data.draw(st.lists(st.integers(0, 29), min_size=1, max_size=4)):
        batch = plan[step]
        assert len(batch.query_rows) == min(queries, len(pairs))
        assert len(set(batch.document_rows.tolist())) == len(batch.document_rows)
        assert batch.masked.shape == (len(batch.query_rows), len(batch.document_rows))
        assert batch.document_rows.dtype == np.int32
        assert batch.positives.dtype == np.int64
        for place, row in enumerate(batch.query_rows):
            positive = int(pairs.positives[row])
            column = int(batch.positives[place])
            assert (column >= 0) == (positive >= 0)
            if positive >= 0:
                assert batch.document_rows[column] == positive
            answers = {*known.of(int(row)).tolist(), *suspects[int(row)].tolist()}
            for document, masked in zip(
                batch.document_rows.tolist(), batch.masked[place].tolist(), strict=True
            ):
                assert masked == (document in answers and document != positive)
            usable = int((~batch.masked[place]).sum())
            possible = n_documents - len(answers - {positive})
            assert usable >= min(candidates, possible)
            assert int(batch.own[place].sum()) <= candidates
            assert not (batch.own[place] & batch.masked[place]).any()
            assert positive < 0 or batch.own[place, column]
        assert batch.own.any(axis=0).all(), "each document was brought by a query"
        assert len(batch.document_rows) <= queries * candidates
        assert batch.candidates.shape == (len(batch.query_rows), candidates)
        assert np.array_equal(
            np.unique(batch.candidates[batch.candidates >= 0]), np.arange(len(batch.document_rows))
        )
        for place in range(len(batch.query_rows)):
            brought = batch.candidates[place]
            brought = brought[brought >= 0]
            assert len(set(brought.tolist())) == len(brought)
            assert not batch.masked[place, brought].any(), "no other answer is a candidate"
            if batch.positives[place] >= 0:
                assert brought[0] == batch.positives[place]


@settings(max_examples=60, deadline=None)
@given(pairs=any_pairs(), seed=st.integers(0, 9), grouped=st.booleans())
def test_a_step_does_not_depend_on_those_before(pairs: Pairs, seed: int, grouped: bool) -> None:
    groups = np.arange(len(pairs)) // 3 if grouped else None

    def plan() -> BatchPlan:
        return BatchPlan(pairs, queries=4, candidates=3, seed=seed, steps=12, groups=groups)

    through = list(plan())
    assert len(through) == len(plan()) == 12
    backwards = plan()
    for step in reversed(range(12)):
        assert same(backwards[step], through[step])
    assert same(plan()[7], through[7])


def test_another_seed_is_another_order() -> None:
    pairs = plain(64)
    one, other = (BatchPlan(pairs, queries=8, candidates=2, seed=s, steps=2) for s in (0, 1))
    assert one[0].query_rows.tolist() != other[0].query_rows.tolist()
    assert one[0].query_rows.tolist() != one[1].query_rows.tolist()


def test_an_epoch_has_every_row_once_and_the_next_another_order() -> None:
    plan = BatchPlan(plain(40), queries=8, candidates=1, seed=3, steps=10)
    assert plan.steps_per_epoch == 5
    epochs = [
        np.concatenate([plan[step].query_rows for step in range(first, first + 5)]).tolist()
        for first in (0, 5)
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(40))
    assert epochs[0] != epochs[1]


def test_sources_are_drawn_by_weight_and_their_rows_evenly() -> None:
    pairs = joined([plain(90, "a"), plain(30, "b")])
    plan = BatchPlan(
        pairs, queries=12, candidates=1, seed=0, steps=100, weights={"a": 1.0, "b": 6.0}
    )
    drawn = Counter(row for batch in plan for row in batch.query_rows.tolist())
    of_a = sum(drawn[row] for row in range(90))
    assert sum(drawn.values()) == 1200
    assert of_a == pytest.approx(1200 * 90 / (90 + 180), abs=12)
    counts_a = [drawn[row] for row in range(90)]
    counts_b = [drawn[row] for row in range(90, 120)]
    assert max(counts_a) - min(counts_a) <= 2
    assert max(counts_b) - min(counts_b) <= 2


def test_a_source_of_small_weight_still_comes() -> None:
    pairs = joined([plain(90, "a"), plain(2, "b")])
    plan = BatchPlan(pairs, queries=46, candidates=1, seed=0, steps=8, weights={"b": 1e-6})
    assert any(row >= 90 for batch in plan for row in batch.query_rows)


def test_groups_stay_together() -> None:
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(12), 4))
    plan = BatchPlan(plain(48), queries=8, candidates=1, seed=0, steps=12, groups=groups)
    pairs_of_groups = set()
    for batch in plan:
        halves = groups[batch.query_rows].reshape(2, 4)
        assert (halves == halves[:, :1]).all()
        pairs_of_groups.add(frozenset(halves[:, 0].tolist()))
    assert len(pairs_of_groups) > 6
    first_epoch = np.concatenate([plan[step].query_rows for step in range(6)])
    assert sorted(first_epoch.tolist()) == list(range(48))


def test_candidates_come_from_whom_they_are_asked_of() -> None:
    pairs = plain(20)
    asked: list[int] = []

    def candidates_of(row: int) -> NDArray[np.int32]:
        asked.append(row)
        offered = [pairs.positives[row], *((2 * np.arange(10) + 1 + row) % 40)]
        return np.array(offered, np.int32)

    plan = BatchPlan(pairs, queries=1, candidates=4, seed=0, steps=20, candidates_of=candidates_of)
    drawn = set()
    for batch in plan:
        row = int(batch.query_rows[0])
        assert batch.document_rows[0] == pairs.positives[row]
        others = batch.document_rows[1:].tolist()
        assert len(others) == 3
        assert set(others) <= set(candidates_of(row).tolist())
        drawn.add(tuple(np.searchsorted(np.sort(candidates_of(row)), others)))
    assert len(drawn) > 5
    assert set(asked) == set(range(20))


def test_known_negatives_come_first_and_random_documents_fill_up() -> None:
    pairs = plain(30)
    plan = BatchPlan(pairs, queries=1, candidates=4, seed=0, steps=30)
    fills = set()
    for batch in plan:
        row = int(batch.query_rows[0])
        assert [pairs.documents[d] for d in batch.document_rows[:2]] == [f"a p{row}", f"a n{row}"]
        assert len(batch.document_rows) == 4
        fills.update(batch.document_rows[2:].tolist())
    assert len(fills) > 20


def test_fewer_documents_than_wanted() -> None:
    pairs = made(("q", "a", ["b"]), ("q", "c", []))
    batch = BatchPlan(pairs, queries=9, candidates=9, seed=0, steps=1)[0]
    assert len(batch.query_rows) == 2
    assert sorted(batch.document_rows.tolist()) == [0, 1, 2]
    for place, row in enumerate(batch.query_rows):
        other = pairs.documents.index("c" if row == 0 else "a")
        hidden = batch.document_rows[batch.masked[place]].tolist()
        assert hidden == [other]
        assert (batch.candidates[place] >= 0).sum() == 2, "its own and b"
        assert (batch.candidates[place, 2:] == -1).all()


def test_what_a_plan_refuses() -> None:
    pairs = plain(4)
    with pytest.raises(InputError, match="no rows to train on"):
        BatchPlan(made(), queries=1, candidates=1, seed=0, steps=1)
    for queries, candidates, steps, seed in (
        (0, 1, 1, 0),
        (1, 0, 1, 0),
        (1, 1, -1, 0),
        (1, 1, 1, -1),
    ):
        with pytest.raises(InputError, match="a plan needs"):
            BatchPlan(pairs, queries=queries, candidates=candidates, seed=seed, steps=steps)
    with pytest.raises(InputError, match="source 'a' has weight 0"):
        BatchPlan(pairs, queries=1, candidates=1, seed=0, steps=1, weights={"a": 0.0})
    with pytest.raises(InputError, match="groups has 3 entries where there are 4"):
        BatchPlan(pairs, queries=1, candidates=1, seed=0, steps=1, groups=np.zeros(3, int))
    plan = BatchPlan(pairs, queries=1, candidates=1, seed=0, steps=1)
    with pytest.raises(IndexError):
        plan[1]


@settings(max_examples=200, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 50), max_size=80),
    micro_batch=st.integers(1, 20),
    max_tokens=st.integers(50, 400),
)
def test_micro_batches_hold_every_row_once_within_both_limits(
    lengths: list[int], micro_batch: int, max_tokens: int
) -> None:
    parts = micro_batches(np.array(lengths, np.int32), micro_batch, max_tokens)
    places = [place for part in parts for place in part.tolist()]
    assert sorted(places) == list(range(len(lengths)))
    ordered = [lengths[place] for place in places]
    assert ordered == sorted(lengths, reverse=True)
    for part in parts:
        assert 0 < len(part) <= micro_batch
        assert len(part) * max(lengths[place] for place in part) <= max_tokens


def test_micro_batches_are_as_full_as_they_may_be() -> None:
    parts = micro_batches(np.array([1, 10, 5, 5, 10, 1]), 4, 20)
    assert [part.tolist() for part in parts] == [[1, 4], [2, 3, 0, 5]]


def test_a_text_beyond_the_limit_is_refused() -> None:
    with pytest.raises(InputError, match="300 tokens does not fit optim.max_tokens 256"):
        micro_batches(np.array([3, 300]), 8, 256)
    with pytest.raises(InputError, match="must be 1 or more"):
        micro_batches(np.array([3]), 0, 256)
