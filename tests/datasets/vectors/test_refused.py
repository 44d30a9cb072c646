"""Vector files that are refused: one sentence with the place, and no memory by a false count."""

from __future__ import annotations

import gzip
import io
import json
import random
import struct
import tarfile
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib import format as npy
from numpy.typing import NDArray
from scipy import sparse

from lsr.datasets.vectors.open import VectorFile, write_vectors
from lsr.datasets.vectors.token_weights import _parse_strictly, parse_object, token_weights
from lsr.errors import DataError, InputError
from lsr.sparse import CSR
from tests.support.bad_files import refused, wrote

GOOD = '{"id": 1, "vector": {"a": 1}}\n'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": 2, "vector": {"a": -1}}', "'2' has weight -1.0 for token 'a'; .* not be negative"),
        ('{"id": 2, "vector": {"a": -1e-60}}', "negative"),
        ('{"id": 2, "vector": {"a": NaN}}', "NaN is not a JSON value"),
        ('{"id": 2, "vector": {"a": Infinity}}', "Infinity is not a JSON value"),
        ('{"id": 2, "vector": {"a": 1e999}}', "the weight of 'a' is not a number that float32"),
        ('{"id": 2, "vector": {"a": 1' + "0" * 400 + "}}", "not a number that float32 holds"),
        ('{"id": 2, "vector": {"a": 1' + "0" * 5000 + "}}", "not valid JSON .Exceeds the limit"),
        ('{"id": 2, "vector": {"a": 1e39}}', "weight 1e.39 for token 'a'; it must be a finite"),
        ('{"id": 2, "vector": {"a": "1"}}', "the weight of 'a' must be a number and is text"),
        ('{"id": 2, "vector": {"a": true}}', "the weight of 'a' must be a number and is true"),
        ('{"id": 2, "vector": {"a": null}}', "must be a number and is null"),
        ('{"id": 2, "vector": {"a": [1]}}', "must be a number and is a list"),
        ('{"id": 2, "vector": [0.5, 1]}', "an object of token to weight and is a list"),
        ('{"id": 2, "vector": {"a": 1, "a": 2}}', "'a' stands twice in one object"),
        ('{"id": 2, "vector": {"a": 1, "\\u0061": 2}}', "'a' stands twice in one object"),
        ('{"id": 2, "id": 3, "vector": {}}', "'id' stands twice in one object"),
        ('{"id": 2, "vector": {"\\ud800": 1}}', "half a surrogate pair"),
        ('{"id": 2}', "no field 'vector'"),
        ('{"vector": {}}', "a vector needs an id"),
        ('{"id": "", "vector": {}}', "a vector needs an id"),
        ('{"id": 1.5, "vector": {}}', "a vector needs an id"),
        ('{"id": true, "vector": {}}', "a vector needs an id"),
        ('{"id": 2, "contents": ["t"], "vector": {}}', "field 'contents' must be text"),
        ('[{"id": 2}]', "a JSON object is needed and this is a list"),
        ('{"id": 2, "vector": {"a": 1}', "not valid JSON"),
        ('{"id": 2, "vector": ' + '{"a": ' * 100_000, "nested too deeply"),
        (b'{"id": 2, "vector": {"\xff": 1}}', "byte 23 of the line is not UTF-8"),
    ],
)
def test_lines(tmp_path: Path, line: str | bytes, message: str) -> None:
    content = GOOD.encode() + (line.encode() if isinstance(line, str) else line)
    path = wrote(tmp_path / "v.jsonl", content)
    refused(lambda: VectorFile.open(path).read_all(), path, 2, message)


def test_lines_of_folders_and_archives_are_named(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    path = wrote(tmp_path / "f" / "b.jsonl", "{}")
    wrote(tmp_path / "f" / "a.jsonl", GOOD)
    refused(lambda: VectorFile.open(tmp_path / "f").read_all(), path, 1, "no field 'vector'")
    path = tmp_path / "v.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tmp_path / "f" / "b.jsonl", "b.jsonl")
    named = path / "b.jsonl"
    refused(lambda: VectorFile.open(path).read_all(), named, 1, "no field 'vector'")


@pytest.mark.parametrize("name", ["v.jsonl", "v.csr", "v.bin", "v.npz", "v.bin.gz", "v.tar", "v"])
def test_empty(tmp_path: Path, name: str) -> None:
    content = gzip.compress(b"") if name.endswith(".gz") else b""
    path = wrote(tmp_path / name, content)
    refused(lambda: VectorFile.open(path), path, None, "is empty")
    blank = wrote(tmp_path / "blank.jsonl", " \n\n")
    refused(lambda: VectorFile.open(blank).read_all(), blank, None, "is empty")


def test_not_found_or_not_known(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    refused(lambda: VectorFile.open(path), path, None, "no such file")
    refused(lambda: VectorFile.open(tmp_path).read_all(), tmp_path, None, "has no files .jsonl")
    path = wrote(tmp_path / "v.dat", b"what is this? no vectors, and more than 24 bytes")
    refused(lambda: VectorFile.open(path), path, None, "cannot tell its format; name it: anserini")
    with pytest.raises(InputError, match="no vector format 'csv'; choose anserini, bigann"):
        VectorFile.open(path, "csv")


def bigann(
    n_rows: int = 2, n_cols: int = 5, ends: tuple[int, ...] = (0, 1, 2), **parts: list[float]
) -> bytes:
    indices, data = parts.get("indices", [1, 2]), parts.get("data", [1.0, 1.0])
    head = struct.pack("<3q", n_rows, n_cols, len(data)) + struct.pack(f"<{len(ends)}q", *ends)
    return head + np.array(indices, "<i4").tobytes() + np.array(data, "<f4").tobytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bigann()[:-1], "its head says 2 rows, 5 components, 2 entries, .* takes 64 .* has 63; is"),
        (bigann() + b"\0", "takes 64 bytes, and the file has 65"),
        (bigann()[:20], "ends within its head"),
        (bigann(n_rows=2**40), "is it complete, and of this format"),
        (bigann(n_rows=2**62), "which cannot be; is this a BigANN .csr file"),
        (bigann(n_rows=-1), "which cannot be"),
        (bigann(n_cols=2**31), "which cannot be"),
        (bigann(ends=(1, 1, 2)), "its row offsets start at 1 and not at 0"),
        (bigann(ends=(0, 2, 1)), r"row 1 \(from 0\) has -1 entries"),
        (bigann(ends=(0, 6, 6)), r"row 0 \(from 0\) has 6 entries, with 5 components"),
        (bigann(ends=(0, 1, 1)), "its rows have 1 entries and its head says 2"),
        (bigann(ends=(0, 1, 3)), "ends within its weights"),
        (bigann(ends=(0, 1, 2), indices=[1, 5]), r"row 1 \(from 0\) has component 5, .*0..4"),
        (bigann(indices=[-1, 2]), "row 0 .* has component -1, which is outside 0..4"),
        (bigann(ends=(0, 0, 2), indices=[3, 3]), "row 1 .* has component 3 twice"),
        (bigann(ends=(0, 0, 2), indices=[3, 3], data=[0.0, 1.0]), "component 3 twice"),
        (bigann(data=[1.0, -2.5]), "row 1 .* has weight -2.5 for component 2"),
        (bigann(data=[1.0, float("nan")]), "row 1 .* has weight nan for component 2; .* finite"),
        (bigann(data=[float("inf"), 1.0]), "row 0 .* has weight inf for component 1; .* finite"),
        (bigann(data=[float("-inf"), 1.0]), "row 0 .* has weight -inf"),
    ],
)
def test_bigann(tmp_path: Path, content: bytes, message: str) -> None:
    path = wrote(tmp_path / "v.csr", content)
    refused(lambda: VectorFile.open(path).read_all(), path, None, message)


def seismic(*rows: tuple[list[int], list[float]], count: int | None = None) -> bytes:
    content = struct.pack("<I", len(rows) if count is None else count)
    for components, weights in rows:
        content += struct.pack("<I", len(components)) + np.array(components, "<u4").tobytes()
        content += np.array(weights, "<f4").tobytes()
    return content


ROW = ([1, 2], [1.0, 1.0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\1\0", "ends within its head"),
        (seismic(ROW, count=2**32 - 1), "4,294,967,295 rows, which takes at least .* is it compl"),
        (seismic(ROW, count=2), "ends within a row; is it complete"),
        (seismic(ROW)[:-1], "ends within a row; is it complete"),
        (seismic(ROW) + b"\0", "goes on after its last row"),
        (seismic(ROW) + struct.pack("<I", 9), "goes on after its last row"),
        (struct.pack("<II", 1, 2**32 - 1), "row 0 .* 4,294,967,295 components, more than"),
        (struct.pack("<II", 1, 2**20), "row 0 .* 1,048,576 components, more than the file can"),
        (seismic(ROW, ([7, 2**31 - 1], [1, 1])), "row 1 .* component 2147483647, which is outside"),
        (seismic(ROW, ([2**32 - 1], [1])), "row 1 .* component 4294967295, which is outside"),
        (seismic(ROW, ([4, 3, 4], [1, 1, 1])), "row 1 .* has component 4 twice"),
        (seismic(ROW, ([4], [-1])), "row 1 .* has weight -1.0 for component 4"),
        (seismic(ROW, ([4], [float("nan")])), "row 1 .* has weight nan"),
        (seismic(ROW, ([4], [float("inf")])), "row 1 .* has weight inf"),
    ],
)
def test_seismic_binary(tmp_path: Path, content: bytes, message: str) -> None:
    path = wrote(tmp_path / "v.bin", content)
    refused(lambda: VectorFile.open(path).read_all(), path, None, message)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"format": np.array("lil")}, "a matrix of kind 'lil', and csr, .* save matrix.tocsr"),
        ({"format": np.array(7)}, "a matrix of kind"),
        ({"shape": np.array([2])}, "its shape must be two numbers"),
        ({"shape": np.array([2.0, 3.0])}, "its shape must be two numbers"),
        ({"shape": np.array([-2, 4])}, "its shape is -2 rows of 4 components; at most"),
        ({"shape": np.array([4, 2**40])}, "of 1,099,511,627,776 components; at most"),
        ({"shape": np.array([2**40, 4])}, "its shape is 1,099,511,627,776 rows .*; at most"),
        ({"data": np.array([None])}, "its array 'data' (holds object|has .* bytes and the shape)"),
        ({"data": np.array([1j, 2j, 1j, 1j])}, "holds complex128 and must hold real numbers"),
        ({"data": np.zeros((2, 2, 2, 2))}, "make no"),
        ({"data": np.array(1.0)}, "make no"),
        ({"data": None}, "is no sparse matrix saved by SciPy .*data.npy"),
    ],
)
def test_npz(tmp_path: Path, kind: str, wrong: dict[str, NDArray[Any]], message: str) -> None:
    path = tmp_path / "v.npz"
    sparse.save_npz(path, sparse.csr_array([[1.0, 2, 0, 0], [0, 0, 3, 4]]).asformat(kind))
    with np.load(path) as loaded:
        arrays = dict(loaded) | wrong
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    refused(lambda: VectorFile.open(path).read_all(), path, None, message)


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        ("csr", {"indices": [0, 1, 2, 4]}, "row 1 .* has component 4, which is outside 0..3"),
        ("csr", {"indices": [0, 1, 2, -9]}, "row 1 .* has component -9"),
        ("csr", {"indices": [0, 0, 2, 3]}, "row 0 .* has component 0 twice"),
        ("csr", {"indices": [0.0, 1.0, 2.0, 3.0]}, "holds float64 and must hold whole numbers"),
        ("csr", {"indptr": [0, 2, 3]}, "its rows have 3 entries and it holds 4"),
        ("csr", {"indptr": [0, 2, 5]}, "ends within its array 'indices'"),
        ("csr", {"indptr": [0, 2, 2, 4]}, "make no matrix of 2 rows"),
        ("csr", {"data": [1, 2, 3, -4]}, "row 1 .* has weight -4 for component 3"),
        ("csr", {"data": [1, 2, 3, np.nan]}, "row 1 .* has weight nan"),
        ("csc", {"indices": [0, 0, 1, 2]}, "make no csc matrix"),
        ("csc", {"indices": [0, 0, 1, -1]}, "make no csc matrix"),
        ("csc", {"indptr": [0, 1, 2, 3]}, "make no csc matrix"),
        ("csc", {"indptr": [0, 9, 2, 3, 4]}, "make no csc matrix"),
        ("coo", {"row": [0, 0, 1, 2]}, "make no coo matrix"),
        ("coo", {"col": [0, 0, 2, 3]}, "row 0 .* has component 0 twice"),
        ("coo", {"col": [0, 1, 2]}, "make no coo matrix"),
        ("coo", {"data": [1, 2, 3, -4.0]}, "row 1 .* has weight -4.0 for component 3"),
        ("bsr", {"indices": [99, 1]}, "make no bsr matrix"),
    ],
)
def test_npz_entries(
    tmp_path: Path, kind: str, wrong: dict[str, list[float]], message: str
) -> None:
    path = tmp_path / "v.npz"
    matrix = sparse.csr_array([[1.0, 2, 0, 0], [0, 0, 3, 4]])
    sparse.save_npz(path, matrix.tobsr((1, 2)) if kind == "bsr" else matrix.asformat(kind))
    with np.load(path) as loaded:
        arrays = dict(loaded) | {name: np.array(values) for name, values in wrong.items()}
    np.savez(path, **arrays)
    refused(lambda: VectorFile.open(path).read_all(), path, None, message)


def test_npz_that_is_none(tmp_path: Path) -> None:
    path = wrote(tmp_path / "v.npz", b"PK\3\4 no archive")
    refused(lambda: VectorFile.open(path), path, None, "cannot be read as an .npz file")
    np.savez(path, vectors=np.zeros(3))
    refused(lambda: VectorFile.open(path), path, None, "is no sparse matrix saved by SciPy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("format.npy", b"\x93NUMPY\3\0 and nothing")
    refused(lambda: VectorFile.open(path), path, None, "an array has version")


def _false_head(shape: str) -> bytes:
    """An `.npz` of a CSR matrix whose array `data` claims a shape that it has no bytes for."""
    content = io.BytesIO()
    sparse.save_npz(content, sparse.csr_array([[1.0, 2.0]]))
    forged = io.BytesIO()
    with zipfile.ZipFile(content) as old, zipfile.ZipFile(forged, "w") as new:
        for name in old.namelist():
            array = old.read(name)
            if name == "data.npy":
                head = io.BytesIO()
                parts = {"descr": "<f8", "fortran_order": False, "shape": eval(shape)}
                npy.write_array_header_1_0(head, parts)
                array = head.getvalue() + bytes(16)
            new.writestr(name, array)
    return forged.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.csr", struct.pack("<3q", 2**40, 5, 2**40), "is it complete"),
        ("v.csr.gz", struct.pack("<3q", 2**40, 5, 2**40), "ends within"),
        ("v.csr.gz", struct.pack("<5q", 1, 2**30, 2**30, 0, 2**30), "ends within"),
        ("v.csr.gz", bigann() + b"\0", "goes on after its last row"),
        ("v.bin", struct.pack("<I", 2**32 - 1), "is it complete"),
        ("v.bin.gz", struct.pack("<II", 2**32 - 1, 2**31 - 1), "ends within a row"),
        ("v.npz", _false_head("(2**40,)"), "its array 'data' has 16 bytes and the shape"),
        ("v.npz", _false_head("(2**20, 2**20)"), "its array 'data' has 16 bytes and the shape"),
        ("v.npz", _false_head("(-1, -2)"), r"has 16 bytes and the shape \(-1, -2\)"),
    ],
)
def test_no_memory_by_a_false_count(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    # packed here: a packed parameter has the time in it, and so would the name of its test
    packed = gzip.compress(content) if name.endswith(".gz") else content
    path = wrote(tmp_path / name, packed)
    tracemalloc.start()
    try:
        refused(lambda: VectorFile.open(path).read_all(), path, None, message)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "name", ["v.jsonl.gz", "v.jsonl.zst", "v.bin", "v.bin.gz", "v.csr", "v.csr.zst", "v.npz", "tar"]
)
def test_damaged_anywhere(tmp_path: Path, name: str) -> None:
    """Flipped bits give vectors or one sentence; a cut is never taken for the end."""
    matrix = CSR.from_rows([{i % 7: 1.0 + i, 9: 2.0} for i in range(40)], 10)
    path = tmp_path / name
    if name == "tar":
        lines = tmp_path / "v.jsonl"
        write_vectors(lines, None, [str(i) for i in range(40)], matrix)
        path = tmp_path / "v.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(lines, "v.jsonl")
    else:
        write_vectors(path, None, [str(i) for i in range(40)], matrix)
    content = path.read_bytes()
    chance = random.Random(4)
    for end in chance.sample(range(len(content)), 20):
        wrote(path, content[:end])
        with pytest.raises(DataError):
            VectorFile.open(path).read_all()
    for _ in range(40):
        broken = bytearray(content)
        for _ in range(chance.randint(1, 3)):
            broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        wrote(path, bytes(broken))
        with suppress(DataError):
            VectorFile.open(path).read_all().vectors.validate()


json_text = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(':"a\\\u00e9', max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text(":a\\", max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)


def _written(value: object, draw: st.DataObject) -> str:
    """JSON, some of it with keys twice and escapes that need not be."""
    if isinstance(value, dict):
        pairs = [f"{_written(key, draw)}: {_written(part, draw)}" for key, part in value.items()]
        if draw.draw(st.booleans()) and pairs:
            pairs.append(pairs[0])
        return "{" + " , ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_written(part, draw) for part in value) + "]"
    if isinstance(value, str) and draw.draw(st.booleans()):
        return '"' + "".join(f"\\u{ord(c):04x}" for c in value) + '"'
    return json.dumps(value)


@given(
    value=st.dictionaries(st.text(":a", max_size=2), json_text, max_size=3) | json_text,
    draw=st.data(),
)
def test_the_fast_parser_is_the_strict_one(value: object, draw: st.DataObject) -> None:
    line = _written(value, draw).encode()
    try:
        expected: object = _parse_strictly(line)
    except ValueError as error:
        expected = str(error)
    try:
        found: object = parse_object(line)
    except ValueError as error:
        found = str(error)
    assert found == expected


def test_token_weights() -> None:
    assert token_weights({"a": 1, "b": 0.5}) == {"a": 1, "b": 0.5}
    assert token_weights({}) == {}
    with pytest.raises(ValueError, match="is null"):
        token_weights(None)
    with pytest.raises(ValueError, match="is an object"):
        token_weights({"a": {}})
    with pytest.raises(ValueError, match="the weight of 'b' is not a number that float32 holds"):
        token_weights({"a": 1, "b": -(10**400)})
