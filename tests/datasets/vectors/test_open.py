"""Vector files: every format there and back, golden bytes, SciPy's own files, chunks."""

from __future__ import annotations

import gzip
import io
import struct
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

import lsr.datasets.vectors.binary
import lsr.datasets.vectors.jsonl
from lsr.datasets.lines import open_binary, zstd
from lsr.datasets.vectors.npz import to_scipy
from lsr.datasets.vectors.open import FORMATS, VectorChunk, VectorFile, write_vectors
from lsr.errors import InputError, StorageError, UnavailableError
from lsr.sparse import CSR
from tests.support.bad_files import wrote
from tests.support.strategies import doc_id_lists, matrices, texts

TOKENS = ("anserini", "seismic")
NAMES = {
    "anserini": "v.jsonl",
    "bigann": "v.csr",
    "scipy": "v.npz",
    "seismic": "v.jsonl",
    "seismic-binary": "v.bin",
}
GOLDEN = CSR.from_rows([{0: 1.5, 3: 2.0}, {}, {1: 7.0, 2: 0.25}], 5)
GOLDEN_BIGANN = (
    struct.pack("<3q", 3, 5, 4)
    + struct.pack("<4q", 0, 2, 2, 4)
    + struct.pack("<4i", 0, 3, 1, 2)
    + struct.pack("<4f", 1.5, 2.0, 7.0, 0.25)
)
GOLDEN_SEISMIC = (
    struct.pack("<I", 3)
    + struct.pack("<III2f", 2, 0, 3, 1.5, 2.0)
    + struct.pack("<I", 0)
    + struct.pack("<III2f", 2, 1, 2, 7.0, 0.25)
)
GOLDEN_LINES = """\
{"id":"x","content":"t","vector":{"a":1.5,"d":2.0}}
{"id":"y","content":"","vector":{}}
{"id":"z","content":"é","vector":{"b":7.0,"c":0.25}}
"""
FEW = settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
"""Files are synced when they are written, which takes its time."""


def same(found: CSR, expected: CSR, *, width: bool = True) -> None:
    found.validate()
    for i in range(3):
        np.testing.assert_array_equal(found[i], expected[i])
    assert not width or found.n_terms == expected.n_terms


def as_dicts(chunk: VectorChunk, vocabulary: list[str]) -> list[dict[str, float]]:
    rows = [chunk.vectors.row(i) for i in range(chunk.vectors.n_rows)]
    return [
        {vocabulary[t]: w for t, w in zip(row.terms.tolist(), row.weights.tolist(), strict=True)}
        for row in rows
    ]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("format_", ["bigann", "seismic-binary"])
@FEW
@given(matrix=matrices(), step=st.integers(1, 9))
def test_numbers_there_and_back(
    tmp_path: Path, format_: str, suffix: str, matrix: CSR, step: int
) -> None:
    path = tmp_path / f"{NAMES[format_]}{suffix}"
    ids = [str(row) for row in range(matrix.n_rows)]
    write_vectors(path, None, ids, matrix)
    file = VectorFile.open(path)
    assert (file.format, file.n_rows, file.vocabulary) == (format_, matrix.n_rows, None)
    chunks = list(file.chunks(step))
    assert [doc_id for chunk in chunks for doc_id in chunk.doc_ids] == ids
    assert all(chunk.texts is None and len(chunk.doc_ids) <= step for chunk in chunks)
    same(CSR.concatenate([chunk.vectors for chunk in chunks]), matrix, width=False)
    whole = file.read_all()
    same(whole.vectors, matrix, width=format_ == "bigann")
    assert whole.vectors.n_terms == file.n_terms
    assert whole.texts is None
    assert file.n_zeros == 0


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
@FEW
@given(matrix=matrices(max_rows=9), step=st.integers(1, 9), compressed=st.booleans())
def test_scipy_wrote_it(
    tmp_path: Path, kind: str, matrix: CSR, step: int, compressed: bool
) -> None:
    path = tmp_path / "v.npz"
    if kind == "bsr" and 0 in (matrix.n_rows, matrix.nnz):
        return
    sparse.save_npz(path, to_scipy(matrix).asformat(kind), compressed=compressed)
    file = VectorFile.open(path)
    assert (file.format, file.n_rows, file.n_terms) == ("scipy", matrix.n_rows, matrix.n_terms)
    same(file.read_all().vectors, matrix)
    parts = [chunk.vectors for chunk in file.chunks(step)]
    assert all(part.n_rows <= step for part in parts)
    same(CSR.concatenate(parts), matrix, width=False)


@FEW
@given(matrix=matrices())
def test_the_bytes_are_those_of_scipy(tmp_path: Path, matrix: CSR) -> None:
    ours, theirs = tmp_path / "a.npz", tmp_path / "b.npz"
    write_vectors(ours, None, [""] * matrix.n_rows, matrix)
    sparse.save_npz(theirs, to_scipy(matrix))
    assert ours.read_bytes() == theirs.read_bytes()


def test_kinds_that_need_scipy_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v.npz"
    for kind in ("csr", "csc"):
        sparse.save_npz(path.with_stem(kind), sparse.eye_array(2, format=kind))
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert VectorFile.open(path.with_stem("csr")).read_all().vectors.nnz == 2
    with pytest.raises(UnavailableError, match=r"kind csc; .*pip install 'lsr-search\[eval\]'"):
        VectorFile.open(path.with_stem("csc")).read_all()


@FEW
@given(matrix=matrices())
def test_scipy_reads_it(tmp_path: Path, matrix: CSR) -> None:
    path = tmp_path / "v.npz"
    write_vectors(path, None, [""] * matrix.n_rows, matrix)
    read = sparse.load_npz(path)
    assert read.format == "csr"
    assert read.shape == (matrix.n_rows, matrix.n_terms)
    same(CSR.from_scipy(read), matrix)
    same(VectorFile.open(path).read_all().vectors, matrix)


@pytest.mark.parametrize("dtype", ["f2", ">f4", "f8", "g", "i8", "u1", "?"])
@pytest.mark.parametrize("kind", ["csr", "coo"])
def test_numbers_of_other_types(tmp_path: Path, dtype: str, kind: str) -> None:
    data = np.array([1, 1, 0], dtype)
    parts = {
        "csr": {"indptr": [0, 2, 3], "indices": [3, 0, 1]},
        "coo": {"row": [0, 0, 1], "col": [3, 0, 1]},
    }
    path = tmp_path / "v.npz"
    big_endian: Any = {name: np.array(part, ">i8") for name, part in parts[kind].items()}
    np.savez(path, format=np.array(kind), shape=np.array([2, 4]), data=data, **big_endian)
    file = VectorFile.open(path)
    same(file.read_all().vectors, CSR.from_rows([{0: 1, 3: 1}, {}], 4))
    assert file.n_zeros == 1


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("format_", TOKENS)
@FEW
@given(
    data=st.data(), matrix=matrices(n_terms=8).filter(lambda m: m.n_rows), step=st.integers(1, 9)
)
def test_tokens_there_and_back(
    tmp_path: Path, format_: str, suffix: str, data: st.DataObject, matrix: CSR, step: int
) -> None:
    ids = data.draw(doc_id_lists(matrix.n_rows))
    vocabulary = data.draw(st.lists(texts(9), min_size=8, max_size=8, unique=True))
    said = data.draw(st.lists(texts(), min_size=matrix.n_rows, max_size=matrix.n_rows))
    path = tmp_path / f"v.jsonl{suffix}"
    write_vectors(path, format_, ids, matrix, vocabulary, said)
    file = VectorFile.open(path)
    assert (file.format, file.n_rows, file.n_terms) == (format_, None, None)
    chunks = list(file.chunks(step))
    assert all(chunk.vectors.n_terms >= chunk.vectors.terms.max(initial=-1) for chunk in chunks)
    whole = file.read_all()
    found = file.vocabulary
    assert found is not None
    assert (whole.doc_ids, whole.texts) == (ids, said)
    assert whole.vectors.n_terms == file.n_terms == len(found)
    expected = as_dicts(VectorChunk(ids, matrix), vocabulary)
    assert as_dicts(whole, found) == expected
    assert [row for chunk in chunks for row in as_dicts(chunk, found)] == expected
    first_seen = dict.fromkeys(token for row in expected for token in row)
    assert found == list(first_seen)


@pytest.mark.parametrize(
    ("format_", "content"),
    [
        ("bigann", GOLDEN_BIGANN),
        ("seismic-binary", GOLDEN_SEISMIC),
        ("seismic", GOLDEN_LINES.encode()),
        (
            "anserini",
            GOLDEN_LINES.replace("content", "contents")
            .replace("2.0", "2")
            .replace("7.0", "7")
            .encode(),
        ),
    ],
)
def test_golden_bytes(tmp_path: Path, format_: str, content: bytes) -> None:
    path = tmp_path / NAMES[format_]
    write_vectors(path, format_, ["x", "y", "z"], GOLDEN, list("abcde"), ["t", "", "é"])
    assert path.read_bytes() == content
    rows = VectorFile.open(wrote(path, content)).read_all()
    same(
        rows.vectors.top_terms(1),
        CSR.from_rows([{rows.vectors.terms[1]: 2.0}, {}, {rows.vectors.terms[2]: 7.0}]),
        width=False,
    )
    assert list(tmp_path.iterdir()) == [path]


def test_weights_without_a_vocabulary_have_numbers_for_tokens(tmp_path: Path) -> None:
    path = tmp_path / "v.ndjson"
    write_vectors(path, None, ["x", "y", "z"], GOLDEN)
    file = VectorFile.open(path)
    assert file.read_all().texts == ["", "", ""]
    assert file.vocabulary == ["0", "3", "1", "2"]


def test_fields_as_others_write_them(tmp_path: Path) -> None:
    lines = [
        '\ufeff{"vector": {"b": 1, "a": 0, "c": 1e-60}, "id": 7, "content": null, "title": "T"}\r',
        "",
        '{"_id": "x:y", "contents": "a: b", "vector": {"a": 2.5}, "deep": {"list": [1, {"a": 1}]}}',
        '{"docid": "\\u003a\\ud83d\\ude00", "text": "t", "vector": {}}',
    ]
    path = wrote(tmp_path / "v.json", "\n".join(lines))
    file = VectorFile.open(path)
    assert file.format == "anserini"
    for _ in range(2):
        chunk = file.read_all()
        assert chunk.doc_ids == ["7", "x:y", ":😀"]
        assert chunk.texts == ["", "a: b", "t"]
        assert file.vocabulary == ["b", "a", "c"]
        same(chunk.vectors, CSR.from_rows([{0: 1}, {1: 2.5}, {}], 3))
        assert file.n_zeros == 2


def test_known_terms_keep_their_numbers(tmp_path: Path) -> None:
    path = wrote(tmp_path / "v.jsonl", '{"id": 1, "vector": {"new": 1, "b": 2}}')
    file = VectorFile.open(path, vocabulary=["a", "b"])
    same(file.read_all().vectors, CSR.from_rows([{1: 2, 2: 1}], 3))
    assert file.vocabulary == ["a", "b", "new"]
    with pytest.raises(InputError, match="a term twice"):
        VectorFile.open(path, vocabulary=["a", "a"])
    with pytest.raises(InputError, match="have no tokens"):
        VectorFile.open(wrote(tmp_path / "v.csr", GOLDEN_BIGANN), vocabulary=["a"])


def test_components_in_any_order_and_zeros(tmp_path: Path) -> None:
    content = struct.pack("<I", 2) + struct.pack("<4I3f", 3, 9, 2, 5, 1.0, 0.0, 3.0)
    content += struct.pack("<2If", 1, 0, -0.0)
    file = VectorFile.open(wrote(tmp_path / "v.bin", content))
    same(file.read_all().vectors, CSR.from_rows([{9: 1, 5: 3}, {}]))
    assert file.n_zeros == 2
    content = struct.pack("<3q2q3i3f", 1, 9, 3, 0, 3, 8, 0, 4, 1.0, 2.0, 1e-45)
    file = VectorFile.open(wrote(tmp_path / "v.csr", content))
    same(file.read_all().vectors, CSR.from_rows([{0: 2, 4: 1e-45, 8: 1}], 9))


def test_a_folder(tmp_path: Path) -> None:
    """All files below it in the order of paths; hidden ones and others are passed over."""
    line = '{{"id": "{0}", "contents": "c", "vector": {{"{0}": 1, "all": 2}}}}\n'.format
    (tmp_path / "sub").mkdir()
    wrote(tmp_path / "b.jsonl", line("b"))
    wrote(tmp_path / "sub" / "c.json.gz", gzip.compress(line("c").encode()))
    wrote(tmp_path / "a.jsonl.zst", zstd.compress(line("a").encode()))
    for other in (".hidden.jsonl", "README.md", "sub/notes.txt"):
        wrote(tmp_path / other, "no vectors")
    file = VectorFile.open(tmp_path)
    assert file.format == "anserini"
    assert file.read_all().doc_ids == ["a", "b", "c"]
    assert file.vocabulary == ["a", "all", "b", "c"]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_an_archive(tmp_path: Path, suffix: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("docs/1.jsonl", "docs/._1.jsonl", "docs/README", "docs/2.jsonl"):
            line = f'{{"id": "{name}", "content": "c", "vector": {{"a": 1}}}}'.encode()
            member = tarfile.TarInfo(name)
            member.size = len(line)
            archive.addfile(member, io.BytesIO(line))
        link = tarfile.TarInfo("docs/3.jsonl")
        link.type = tarfile.DIRTYPE
        archive.addfile(link)
    pack: Any = {"": bytes, ".gz": gzip.compress, ".zst": zstd.compress}[suffix]
    path = wrote(tmp_path / f"v.tar{suffix}", pack(packed.getvalue()))
    file = VectorFile.open(path)
    assert file.format == "seismic"
    assert file.read_all().doc_ids == ["docs/1.jsonl", "docs/2.jsonl"]
    with pytest.raises(InputError, match="read and not written"):
        write_vectors(path, "seismic", ["x", "y", "z"], GOLDEN)


def test_first_bytes_tell_where_the_name_does_not(tmp_path: Path) -> None:
    for format_ in ("bigann", "scipy", *TOKENS):
        path = tmp_path / f"vectors_{format_}"
        write_vectors(path, format_, ["x", "y", "z"], GOLDEN)
        assert VectorFile.open(path).format == format_
    path = wrote(tmp_path / "vectors.gz", gzip.compress(GOLDEN_LINES.encode()))
    assert VectorFile.open(path).format == "seismic"
    path = wrote(tmp_path / "vectors.csr", GOLDEN_SEISMIC)
    same(VectorFile.open(path, "seismic-binary").read_all().vectors, GOLDEN, width=False)


@pytest.mark.parametrize("format_", FORMATS)
def test_chunks_end_by_entries_too(
    tmp_path: Path, format_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One long row is a chunk of its own; no chunk waits for the end of the file."""
    monkeypatch.setattr(lsr.datasets.vectors.binary, "CHUNK_ENTRIES", 4)
    monkeypatch.setattr(lsr.datasets.vectors.jsonl, "CHUNK_ENTRIES", 4)
    rows = [{0: 1.0}, {}, dict.fromkeys(range(9), 2.0), *({1: 1.0, 2: 3.0} for _ in range(6))]
    path = tmp_path / NAMES[format_]
    write_vectors(
        path, format_, [""] * 9 if format_ not in TOKENS else list("abcdefghi"), CSR.from_rows(rows)
    )
    file = VectorFile.open(path)
    parts = [chunk.vectors for chunk in file.chunks()]
    same(CSR.concatenate(parts), CSR.from_rows(rows), width=False)
    assert len(parts) > 3
    assert max(part.nnz for part in parts) < 9 + 4


def test_chunks_come_before_the_file_is_read(tmp_path: Path) -> None:
    path = wrote(tmp_path / "v.jsonl", GOLDEN_LINES + "broken\n")
    chunks = VectorFile.open(path).chunks(3)
    assert next(chunks).doc_ids == ["x", "y", "z"]
    with pytest.raises(InputError, match="line 4"):
        next(chunks)
    with pytest.raises(InputError, match="at least 1"):
        VectorFile.open(path).chunks(0)


def test_refusals_of_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    ids = ["x", "y", "z"]

    def refused(
        message: str, name: str, *given: object, error: type[Exception] = InputError
    ) -> None:
        with pytest.raises(error, match=message):
            write_vectors(tmp_path / name, *given)  # type: ignore[arg-type]
        assert list(tmp_path.iterdir()) == [path]

    wrote(path, "old")
    refused("2 ids for 3 vectors", "v.jsonl", None, ids[:2], GOLDEN)
    refused("2 texts for 3 vectors", "v.jsonl", None, ids, GOLDEN, None, ["a", "b"])
    refused("4 tokens for 5 terms", "v.jsonl", None, ids, GOLDEN, list("abcd"))
    refused("a token twice", "v.jsonl", None, ids, GOLDEN, list("abcda"))
    refused("half a surrogate", "v.jsonl", None, ["x", "y", "\ud800"], GOLDEN)
    refused("zero or negative", "v.csr", None, ids, GOLDEN._replace(weights=-GOLDEN.weights))
    refused("no vector format 'csv'; choose anserini", "v.csv", "csv", ids, GOLDEN)
    refused("the suffix says no format", "v.csv", None, ids, GOLDEN)
    refused("compressed already", "v.npz.gz", None, ids, GOLDEN)
    refused("cannot be written", "none/v.csr", None, ids, GOLDEN, error=StorageError)
    refused("cannot be written", "v.jsonl/v.csr", None, ids, GOLDEN, error=StorageError)
    assert path.read_text() == "old"
    write_vectors(path, None, ids, GOLDEN)
    assert path.read_text().startswith('{"id":"x"')


def test_the_same_vectors_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("v.jsonl.gz", "v.jsonl.zst", "v.npz", "v.csr.gz"):
        contents = []
        for _ in range(2):
            write_vectors(tmp_path / name, None, ["x", "y", "z"], GOLDEN)
            contents.append((tmp_path / name).read_bytes())
        assert contents[0] == contents[1]
    with open_binary(tmp_path / "v.csr.gz") as stream:
        assert stream.read() == GOLDEN_BIGANN
