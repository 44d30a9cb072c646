"""Small arrays beside the segments: the order of rows across them, and the deleted ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lsr.errors import IndexCorruptError
from lsr.index.storage.segment import Segment
from lsr.index.storage.tie_order import count_before, load_tie_order, tie_order_of
from lsr.index.storage.tombstones import load_tombstones, save_tombstones
from lsr.sparse import CSR
from tests.naive import exact as naive


def segment(doc_ids: list[str]) -> Segment:
    return Segment.build(doc_ids, CSR.empty(len(doc_ids), 0))


ids = st.text(st.sampled_from("aAb\x00é文😀 "), min_size=1, max_size=3)


@settings(max_examples=200, deadline=None)
@given(
    groups=st.lists(st.lists(ids, unique=True, max_size=12), min_size=1, max_size=5),
    n_known=st.integers(0, 5),
)
def test_as_one_sort(groups: list[list[str]], n_known: int) -> None:
    """Of all segments at once, or of those behind known ones; an id may be in several."""
    doc_ids = [doc_id for group in groups for doc_id in group]
    segments = [segment(group) for group in groups]
    n_known = min(n_known, len(groups))
    known = (n_known, tie_order_of(segments[:n_known])) if n_known else None
    tie_order = tie_order_of(segments, known)
    assert tie_order.dtype == np.int32
    assert not tie_order.flags.writeable
    assert tie_order.tolist() == naive.tie_order(groups)
    assert [doc_ids[row] for row in np.argsort(tie_order)] == sorted(doc_ids)


@pytest.mark.parametrize("or_equal", [True, False])
def test_few_comparisons_for_few_ids(or_equal: bool) -> None:
    """The kernel in plain Python over an array that counts what is looked at."""
    many = segment([f"d{i:05}" for i in range(20_000)])
    few = segment(["d00007", "d10000", "d10001", "d19999", "e"])
    looks = CountedReads(many.row_at_tie)
    counts = np.zeros(5, np.int64)
    count_before.py_func(
        *(few.id_bytes, few.id_indptr, few.row_at_tie),
        *(many.id_bytes, many.id_indptr, looks),
        or_equal,
        counts,
    )
    assert counts.tolist() == [place + or_equal for place in (7, 10_000, 10_001, 19_999)] + [20_000]
    assert looks.n_reads < 250


class CountedReads:
    """An array whose elements are counted when they are read."""

    def __init__(self, array: NDArray[np.int32]) -> None:
        self._array = array
        self.n_reads = 0

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, i: int) -> np.int32:
        self.n_reads += 1
        found: np.int32 = self._array[i]
        return found


def test_tie_order_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "t.npy"
    np.save(path, np.array([1, 0, 2], np.int32))
    tie_order = load_tie_order(path, 3)
    assert tie_order.tolist() == [1, 0, 2]
    assert not tie_order.flags.writeable


@pytest.mark.parametrize(
    "content", [None, b"", b"nonsense", np.arange(2, dtype=np.int32), np.arange(3.0)]
)
def test_no_tie_order(tmp_path: Path, content: object) -> None:
    path = tmp_path / "t.npy"
    if isinstance(content, np.ndarray):
        np.save(path, content)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(IndexCorruptError, match=r"t.npy cannot be read .*; restore it"):
        load_tie_order(path, 3)


@settings(max_examples=60, deadline=None)
@given(flags=st.lists(st.booleans(), max_size=40))
def test_tombstones_come_back(flags: list[bool], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("tombstones") / "t.npy"
    save_tombstones(path, np.array(flags, bool))
    deleted = load_tombstones(path, len(flags), sum(flags))
    assert deleted.dtype == np.bool_
    assert deleted.tolist() == flags
    for n_rows, n_deleted in ((len(flags) + 8, sum(flags)), (len(flags), sum(flags) + 1)):
        with pytest.raises(IndexCorruptError, match=r"t.npy cannot be read .*; restore it"):
            load_tombstones(path, n_rows, n_deleted)


@pytest.mark.parametrize("content", [None, b"", b"nonsense", np.zeros(1, np.int8)])
def test_no_tombstones(tmp_path: Path, content: object) -> None:
    path = tmp_path / "t.npy"
    if isinstance(content, np.ndarray):
        np.save(path, content)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(IndexCorruptError, match=r"t.npy cannot be read"):
        load_tombstones(path, 3, 0)
