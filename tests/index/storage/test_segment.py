"""Segments: inverted lists and ids in read-only arrays, the same after a trip to disk."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.errors import IndexCorruptError
from lsr.index.storage.segment import Segment, frozen
from lsr.sparse import CSR
from tests.naive import exact as naive
from tests.support.strategies import doc_id_lists, matrices

ARRAYS = [field.name for field in fields(Segment) if field.name != "passages"]
VECTORS = np.eye(2, dtype=np.float32)


def equal(a: Segment, b: Segment) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        and getattr(a, name).dtype == getattr(b, name).dtype
        and getattr(a, name).shape == getattr(b, name).shape
        for name in ARRAYS
    )


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_build_save_load(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    matrix = data.draw(matrices())
    doc_ids = data.draw(doc_id_lists(matrix.n_rows))
    vectors = np.arange(matrix.n_rows * 3, dtype=np.float32).reshape(-1, 3)
    for dense in (None, vectors):
        segment = Segment.build(doc_ids, matrix, dense)
        assert segment.n_documents == matrix.n_rows
        assert segment.n_terms == matrix.n_terms
        assert segment.n_postings == matrix.nnz
        assert segment.doc_ids(np.arange(matrix.n_rows, dtype=np.int32)) == doc_ids
        assert segment.vectors.shape == (matrix.n_rows, 0 if dense is None else 3)
        lists = CSR(segment.list_indptr, segment.list_rows, segment.list_weights, matrix.n_rows)
        lists.validate()
        assert naive.rows_of(lists) == naive.transpose(matrix)
        by_id = sorted(range(len(doc_ids)), key=lambda row: doc_ids[row])
        assert np.argsort(segment.tie_order).tolist() == by_id
        folder = tmp_path_factory.mktemp("segment")
        segment.save(folder)
        loaded = Segment.load(folder)
        assert equal(loaded, segment)
        for part in (segment, loaded):
            for name in ARRAYS:
                array = getattr(part, name)
                assert not array.flags.writeable, name
                assert array.flags.c_contiguous, name
                assert type(array) is np.ndarray, name


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_document_frequency_and_has_terms(data: st.DataObject) -> None:
    matrix = data.draw(matrices())
    segment = Segment.build([f"{i}" for i in range(matrix.n_rows)], matrix)
    found = naive.rows_of(matrix)
    terms = data.draw(st.lists(st.integers(0, matrix.n_terms + 3), max_size=8))
    frequency = segment.document_frequency(np.array(terms, np.int32))
    assert frequency.dtype == np.int64
    assert frequency.tolist() == [sum(term in row for row in found) for term in terms]
    assert segment.has_terms.dtype == np.bool_
    assert segment.has_terms.tolist() == [bool(row) for row in found]
    assert not segment.has_terms.flags.writeable


def test_document_frequency_without_terms_or_documents() -> None:
    terms = np.array([0, 5, 2**31 - 2], np.int32)
    for segment in (
        Segment.build([], CSR.empty(0, 0)),
        Segment.build(["a", "b"], CSR.empty(2, 0)),
        Segment.build([], CSR.empty(0, 4)),
    ):
        assert segment.document_frequency(terms).tolist() == [0, 0, 0]
        assert segment.document_frequency(terms[:0]).tolist() == []
        assert segment.has_terms.tolist() == [False] * segment.n_documents


def test_doc_ids_of_some_rows() -> None:
    segment = Segment.build(["a", "béta", "文"], CSR.empty(3, 0))
    assert segment.doc_ids(np.array([2, 0, 2], np.int32)) == ["文", "a", "文"]
    assert segment.doc_ids(np.zeros(0, np.int32)) == []


def test_counts_must_agree() -> None:
    with pytest.raises(ValueError, match="one row for each id"):
        Segment.build(["a"], CSR.empty(2, 1))
    with pytest.raises(ValueError, match="one row for each id"):
        Segment.build(["a"], CSR.empty(1, 1), np.zeros((2, 3), np.float32))


SMALL = Segment.build(["a", "b"], CSR.from_rows([{0: 1.0}, {1: 1.0}]), VECTORS)


def save_as_0_1(segment: Segment, folder: Path) -> None:
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(segment, name))


def test_one_file_for_each_array_is_read(tmp_path: Path) -> None:
    save_as_0_1(SMALL, tmp_path)
    assert equal(Segment.load(tmp_path), SMALL)


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("content", [None, b"", b"nonsense", b"\x93NUMPY\x01\x00", "short"])
def test_damaged_files_of_0_1(tmp_path: Path, name: str, content: bytes | str | None) -> None:
    save_as_0_1(SMALL, tmp_path)
    path = tmp_path / f"{name}.npy"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] if isinstance(content, str) else content)
    with pytest.raises(IndexCorruptError, match=r"(npy|arrays.bin) cannot be read"):
        Segment.load(tmp_path)


def test_every_truncation_is_an_error(tmp_path: Path) -> None:
    SMALL.save(tmp_path)
    path = tmp_path / "arrays.bin"
    good = path.read_bytes()
    for end in range(len(good)):
        path.write_bytes(good[:end])
        with pytest.raises(IndexCorruptError, match=r"arrays.bin cannot be read"):
            Segment.load(tmp_path)
    path.unlink()
    with pytest.raises(IndexCorruptError, match=r"arrays.bin cannot be read"):
        Segment.load(tmp_path)


def test_a_flipped_bit_of_the_header_is_an_error_or_does_no_harm(tmp_path: Path) -> None:
    """A checksum finds all of them; without it a header is refused, or says what it said."""
    SMALL.save(tmp_path)
    path = tmp_path / "arrays.bin"
    good = path.read_bytes()
    n_errors = 0
    for place in range(good.index(b"]]") if b"]]" in good else 700):
        for bit in range(8):
            path.write_bytes(good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :])
            try:
                loaded = Segment.load(tmp_path)
                assert loaded.n_rows == 2
            except IndexCorruptError:
                n_errors += 1
    assert n_errors > 2_000


def test_frozen_leaves_the_original_alone() -> None:
    array = np.arange(6).reshape(2, 3)
    for source in (array, array.T, array[:, 1]):
        view = frozen(source)
        assert view.tolist() == source.tolist()
        assert view.flags.c_contiguous
        assert not view.flags.writeable
        assert source.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        frozen(array)[0] = 1
