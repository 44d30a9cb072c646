"""Small arrays beside the segments: the order of rows across them, and the deleted ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lsr.index.storage.tie_order
from lsr.errors import IndexCorruptError
from lsr.index.storage.segment import Segment
from lsr.index.storage.tie_order import load_tie_order, tie_order_of
from lsr.index.storage.tombstones import load_tombstones, save_tombstones
from lsr.sparse import CSR


def segment(doc_ids: list[str]) -> Segment:
    return Segment.build(doc_ids, CSR.empty(len(doc_ids), 0))


ids = st.text(st.sampled_from("aAb\x00é文😀 "), min_size=1, max_size=3)


@settings(max_examples=150, deadline=None)
@given(
    groups=st.lists(st.lists(ids, unique=True, max_size=12), min_size=1, max_size=5),
    few=st.sampled_from([0, 1, 16, 10**9]),
)
def test_as_one_sort(groups: list[list[str]], few: int) -> None:
    """By merging and by bisection; a doc_id may be in more than one segment."""
    doc_ids = [doc_id for group in groups for doc_id in group]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lsr.index.storage.tie_order, "FEW", few)
        tie_order = tie_order_of([segment(group) for group in groups])
    assert tie_order.dtype == np.int32
    assert sorted(tie_order.tolist()) == list(range(len(doc_ids)))
    assert [doc_ids[row] for row in np.argsort(tie_order)] == sorted(doc_ids)


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
