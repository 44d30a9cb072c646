"""Which segments are merged, and how often that makes a document be written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.errors import InputError
from lsr.index.collection.merge_policy import MergePolicy
from lsr.index.storage.manifest import SegmentRecord

SMALL = MergePolicy(segments_per_tier=3, first_tier=10, growth=4)


def record(number: int, n_rows: int, n_deleted: int = 0) -> SegmentRecord:
    return SegmentRecord(f"segment-{number:06}", n_rows, n_deleted, 1, n_rows, None, True)


def chosen(policy: MergePolicy, sizes: list[int], n_new: int) -> list[int]:
    """Places of the segments that are merged."""
    records = [record(i, size) for i, size in enumerate(sizes)]
    return [records.index(each) for each in policy.chosen(records, n_new)]


def test_tiers() -> None:
    assert [SMALL.tier(n) for n in (0, 1, 10, 11, 40, 41, 160, 161)] == [0, 0, 0, 1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("sizes", "n_new", "expected"),
    [
        ([], 5, []),
        ([5, 5], 5, []),
        ([5, 5, 5], 5, [0, 1, 2]),
        ([500, 5, 5, 5], 5, [1, 2, 3]),
        ([5, 5, 5], 30, []),
        # a full tier takes the smaller ones along
        ([20, 5, 30, 40], 12, [0, 1, 2, 3]),
        # three of one tier become one of the next, which is full then as well
        ([20, 30, 40, 5, 5, 5], 5, [0, 1, 2, 3, 4, 5]),
        ([0, 0, 0, 0, 0], 5, []),
    ],
)
def test_full_tiers(sizes: list[int], n_new: int, expected: list[int]) -> None:
    assert chosen(SMALL, sizes, n_new) == expected


def test_segments_that_are_mostly_deleted() -> None:
    records = [record(0, 100, 51), record(1, 100, 50), record(2, 100, 100)]
    assert SMALL.chosen(records, 1) == records[:1]
    assert MergePolicy(max_deleted=0.0).chosen(records, 1) == records[:2]
    assert MergePolicy(max_deleted=1.0).chosen(records, 1) == []


@settings(max_examples=60, deadline=None)
@given(
    batches=st.lists(st.integers(1, 60), max_size=60),
    most=st.integers(1, 4),
    growth=st.integers(2, 5),
)
def test_no_tier_overflows(batches: list[int], most: int, growth: int) -> None:
    policy = MergePolicy(segments_per_tier=most, first_tier=4, growth=growth)
    sizes: list[int] = []
    for n_new in batches:
        merged = chosen(policy, sizes, n_new)
        rest = [size for i, size in enumerate(sizes) if i not in merged]
        sizes = [*rest, n_new + sum(sizes[i] for i in merged)]
        tiers = [policy.tier(size) for size in sizes]
        assert max(np.bincount(tiers)) <= most
    assert sum(sizes) == sum(batches)


def test_writing_one_document_at_a_time_is_affordable() -> None:
    policy = MergePolicy(segments_per_tier=8, first_tier=10, growth=8)
    sizes: list[int] = []
    n_written = 0
    for _ in range(5_000):
        merged = chosen(policy, sizes, 1)
        size = 1 + sum(sizes[i] for i in merged)
        n_written += size
        sizes = [size for i, size in enumerate(sizes) if i not in merged] + [size]
    assert n_written < 8 * 5_000
    assert len(sizes) <= 8 * 4


@pytest.mark.parametrize(
    "wrong",
    [{"segments_per_tier": 0}, {"growth": 1}, {"first_tier": 0}, {"max_deleted": 1.5}],
)
def test_wrong_numbers(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(wrong))} is .*; it must be") as caught:
        MergePolicy(**wrong)
    assert caught.value.code == "invalid_input"
