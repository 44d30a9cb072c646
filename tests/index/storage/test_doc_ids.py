"""Identifiers as arrays: their order, reading them back, files that are damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.errors import IndexCorruptError
from lsr.index.storage.doc_ids import DocIds
from tests.support.block_indexes import brief
from tests.support.strategies import doc_id_lists


@brief
@given(st.integers(0, 12).flatmap(doc_id_lists), st.data())
def test_ids_and_their_order(doc_ids: list[str], data: st.DataObject) -> None:
    ids = DocIds.build(doc_ids)
    n = len(doc_ids)
    assert [array.dtype.name for array in ids] == ["int32", "int64", "uint8"]
    assert ids.tie_order.tolist() == [sorted(doc_ids).index(doc_id) for doc_id in doc_ids]
    assert ids.text.tobytes() == "".join(doc_ids).encode()
    assert len(ids.indptr) == n + 1
    rows = data.draw(st.lists(st.integers(0, n - 1))) if n else []
    assert ids.of(np.array(rows, np.int32)) == [doc_ids[row] for row in rows]


def test_ids_of_one_begin_another() -> None:
    ids = DocIds.build(["ab", "", "a", "é", "文"])
    assert ids.tie_order.tolist() == [2, 0, 1, 3, 4]
    assert ids.of(np.array([4, 1, 1, 3], np.int32)) == ["文", "", "", "é"]


@pytest.mark.parametrize("doc_ids", [[], [""], ["b", "a", "文\x00"]])
def test_saved_and_loaded(doc_ids: list[str], tmp_path: Path) -> None:
    ids = DocIds.build(doc_ids)
    ids.save(tmp_path)
    loaded = DocIds.load(tmp_path)
    for name, array in ids._asdict().items():
        again = getattr(loaded, name)
        assert again.dtype == array.dtype
        assert again.tolist() == array.tolist()
    assert loaded.of(np.arange(len(doc_ids), dtype=np.int32)) == doc_ids
    assert {path.name for path in tmp_path.iterdir()} == {f"ids_{n}.npy" for n in DocIds._fields}


@pytest.mark.parametrize("name", DocIds._fields)
def test_files_that_cannot_be_read(name: str, tmp_path: Path) -> None:
    DocIds.build(["b", "a"]).save(tmp_path)
    path = tmp_path / f"ids_{name}.npy"
    whole = path.read_bytes()
    for damaged in (b"", whole[:3], whole[:40], whole[:-1], b"x" + whole[1:]):
        path.write_bytes(damaged)
        with pytest.raises(IndexCorruptError, match=rf"ids_{name}\.npy cannot be read"):
            DocIds.load(tmp_path)
    np.save(path, np.array(["a", {}], object), allow_pickle=True)
    with pytest.raises(IndexCorruptError, match=rf"ids_{name}\.npy cannot be read"):
        DocIds.load(tmp_path)
    path.unlink()
    with pytest.raises(IndexCorruptError, match=rf"ids_{name}\.npy cannot be read"):
        DocIds.load(tmp_path)
