"""`lsr index add --vectors`: by the rules of `lsr index build --vectors`, and refused by them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lsr.datasets.vectors.open import write_vectors
from lsr.index.storage.manifest import Manifest
from lsr.sparse import CSR
from tests.support.changing_collection import content, naive_answer, opened
from tests.support.command_line import done, refused

Lines = list[tuple[str, dict[str, float]]]

FIRST: Lines = [("a", {"cat": 1.5, "owl": 0.5}), ("b", {"dog": 2.0})]
SECOND: Lines = [("c", {"eel": 3.0, "cat": 0.25}), ("d", {"dog": 0.5, "ant": 4.0})]
UPDATE: Lines = [("b", {"ant": 1.0, "cat": 2.0}), ("c", {"dog": 1.0})]


def vectors_file(path: Path, lines: Lines) -> Path:
    records = ({"id": i, "content": f"text of {i}", "vector": vector} for i, vector in lines)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def documents_file(path: Path, *doc_ids: str) -> Path:
    records = ({"nr": i, "body": f"words of {i}"} for i in doc_ids)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """An index of two vectors of tokens."""
    file = vectors_file(tmp_path / "first.jsonl", FIRST)
    done("index", "build", "--vectors", file, tmp_path / "index")
    return tmp_path / "index"


def hits(path: Path, query: str) -> list[tuple[str, float]]:
    with opened(path) as collection:
        told = [(hit.document.doc_id, hit.score) for hit in collection.search(query).hits]
        assert told == naive_answer(collection, query)
        return told


def arrays(path: Path) -> dict[str, bytes]:
    """Every array of a collection of one segment, and its vocabulary."""
    names = [*path.glob("segment-*/arrays.bin"), *path.glob("encoder-*/*")]
    return {name.name: name.read_bytes() for name in names if name.name != "encoder.json"}


def test_documents_are_added_and_replaced(index: Path, tmp_path: Path) -> None:
    update = vectors_file(tmp_path / "update.jsonl", UPDATE)
    assert done("index", "add", index, "--vectors", update) == (
        f"{index}: 1 added, 1 replaced; now generation 2, documents 3, segments 2\n"
    )
    for _ in range(2):
        assert hits(index, '{"cat": 1, "dog": 4}') == [("c", 4.0), ("b", 2.0), ("a", 1.5)]
        assert hits(index, '{"ant": 1}') == [("b", 1.0)]
        assert "text of c" in done("search", index, '{"dog": 1}')
        done("index", "merge", index)
    sparse = Manifest.read(index).sparse
    assert (sparse.name, sparse.parameters["n_terms"]) == ("first.jsonl", 4)
    assert "files are as they were written" in done("index", "verify", index)


def test_terms_that_are_known_change_no_encoder(index: Path, tmp_path: Path) -> None:
    before = Manifest.read(index)
    file = vectors_file(tmp_path / "known.jsonl", [("c", {"owl": 1.0})])
    assert json.loads(done("index", "add", index, "--vectors", file, "--json"))["done"] == {
        "n_added": 1,
        "n_replaced": 0,
        "n_deleted": 0,
        "n_merged": 0,
        "n_unchanged": 0,
    }
    after = Manifest.read(index)
    assert (after.encoder, after.sparse) == (before.encoder, before.sparse)
    assert hits(index, '{"owl": 1}') == [("c", 1.0), ("a", 0.5)]


def test_added_and_merged_is_built_at_once(index: Path, tmp_path: Path) -> None:
    done("index", "add", index, "--vectors", vectors_file(tmp_path / "second.jsonl", SECOND))
    done("index", "merge", index)
    whole = vectors_file(tmp_path / "whole.jsonl", FIRST + SECOND)
    done("index", "build", "--vectors", whole, tmp_path / "at-once")
    assert arrays(index) == arrays(tmp_path / "at-once")


def test_with_texts_matched_by_id(index: Path, tmp_path: Path) -> None:
    """Vectors that no document asks for are left aside, as in a build."""
    texts = documents_file(tmp_path / "texts.jsonl", "d", "c")
    file = vectors_file(tmp_path / "second.jsonl", [*SECOND, ("e", {"cat": 9.0})])
    columns = ("--columns", "doc_id=nr,text=body")
    told = done("index", "add", index, texts, "--vectors", file, *columns)
    assert "2 added; now generation 2, documents 4" in told
    assert hits(index, '{"cat": 1, "ant": 1}') == [("d", 4.0), ("a", 1.5), ("c", 0.25)]
    assert "words of d" in done("search", index, '{"ant": 1}')


@pytest.mark.parametrize("name", ["v.bin", "v.csr", "v.npz"])
def test_files_of_numbers(tmp_path: Path, name: str) -> None:
    """They hold no ids: row numbers are the ids, so vectors replace those of the same rows."""
    path = tmp_path / "index"
    parts = [
        CSR.from_rows([{0: 1.0}, {2: 2.0}], 3),
        CSR.from_rows([{1: 4.0}], 2),
        CSR.from_rows([{0: 5.0}, {1: 1.0}, {4: 3.0}], 5),
    ]
    for number, vectors in enumerate(parts):
        (tmp_path / f"{number}").mkdir()
        file = tmp_path / f"{number}" / name
        write_vectors(file, None, [str(row) for row in range(vectors.n_rows)], vectors)
        if number == 0:
            done("index", "build", "--vectors", file, path)
        else:
            done("index", "add", path, "--vectors", file)
        assert Manifest.read(path).n_terms == (3, 3, 5)[number]
    assert hits(path, '{"0": 1, "1": 2, "2": 1, "4": 1}') == [("0", 5.0), ("2", 3.0), ("1", 2.0)]


def test_an_index_of_empty_vectors_learns_tokens(tmp_path: Path) -> None:
    empty = vectors_file(tmp_path / "empty.jsonl", [("a", {}), ("b", {})])
    done("index", "build", "--vectors", empty, tmp_path / "index")
    done("index", "add", tmp_path / "index", "--vectors", vectors_file(empty, SECOND))
    assert hits(tmp_path / "index", '{"eel": 1}') == [("c", 3.0)]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--vectors", "nothing.jsonl"], "nothing.jsonl: there is no such file"),
        (["--vectors", "good.jsonl", "--vector-format", "sparse"], "no vector format 'sparse'"),
        (["--vectors", "good.jsonl", "--vector-format", "scipy"], "good.jsonl"),
        (["--vectors", "no-id.jsonl"], "line 2: a vector needs an id, text or a whole number"),
        (["--vectors", "twice.jsonl"], "'c'"),
        (["--vectors", "negative.jsonl"], "line 1: document 'c' has"),
        (["texts.jsonl", "--vector-format", "scipy"], "and none is given; name it with --vectors"),
        (["--vectors", "blank.jsonl"], "blank.jsonl: is empty"),
        (["texts.jsonl", "--vectors", "good.jsonl"], "has no vector for the document 'x'; give"),
        (
            ["--vectors", "numbers.npz"],
            "components of scipy files are numbers, and those of this index are tokens; give",
        ),
        (["texts.jsonl"], "made elsewhere, and text cannot be encoded for it; give the documents'"),
    ],
)
def test_refused(index: Path, tmp_path: Path, words: list[str], sentence: str) -> None:
    vectors_file(tmp_path / "good.jsonl", SECOND)
    vectors_file(tmp_path / "twice.jsonl", [SECOND[0], SECOND[0]])
    vectors_file(tmp_path / "negative.jsonl", [("c", {"cat": -1.0})])
    (tmp_path / "no-id.jsonl").write_text(
        '{"id": "c", "vector": {"cat": 1}}\n{"vector": {"cat": 1}}\n'
    )
    (tmp_path / "blank.jsonl").write_text("\n\n")
    (tmp_path / "texts.jsonl").write_text('{"_id": "c", "text": ""}\n{"_id": "x", "text": ""}\n')
    write_vectors(tmp_path / "numbers.npz", None, ["0"], CSR.from_rows([{0: 1.0}]))
    before = content(tmp_path)
    in_place = [str(tmp_path / word) if "." in word else word for word in words]
    assert sentence in refused("index", "add", index, *in_place)
    assert content(tmp_path) == before


def test_tokens_do_not_fit_numbers(tmp_path: Path) -> None:
    """Not even tokens that are numbers: they would be numbered anew."""
    numbers, tokens = tmp_path / "numbers.csr", tmp_path / "tokens.jsonl"
    write_vectors(numbers, None, ["0"], CSR.from_rows([{0: 1.0, 1: 2.0}]))
    done("index", "build", "--vectors", numbers, tmp_path / "index")
    vectors_file(tokens, [("c", {"0": 1.0, "1": 2.0})])
    before = content(tmp_path)
    assert "of seismic files are tokens, and those of this index are numbers; give vectors of" in (
        refused("index", "add", tmp_path / "index", "--vectors", tokens)
    )
    assert content(tmp_path) == before


def test_an_index_that_encodes_texts_takes_no_vectors(tmp_path: Path) -> None:
    texts = documents_file(tmp_path / "texts.jsonl", "a", "b")
    columns = ("--columns", "doc_id=nr,text=body")
    done("index", "build", texts, tmp_path / "index", *columns, "--sparse", "bm25")
    file = vectors_file(tmp_path / "first.jsonl", FIRST)
    before = content(tmp_path)
    for source in ([], [texts, *columns]):
        sentence = refused("index", "add", tmp_path / "index", *source, "--vectors", file)
        assert "index encodes texts by 'bm25' and takes no vectors made elsewhere; leave" in (
            sentence
        )
    assert content(tmp_path) == before


def test_a_format_without_a_file_of_vectors(tmp_path: Path) -> None:
    texts = documents_file(tmp_path / "texts.jsonl", "a")
    words = ("--sparse", "bm25", "--vector-format", "scipy")
    assert "name it with --vectors FILE" in refused("index", "build", texts, tmp_path / "i", *words)
    assert not (tmp_path / "i").exists()


def test_no_index(tmp_path: Path) -> None:
    file = vectors_file(tmp_path / "first.jsonl", FIRST)
    sentence = refused("index", "add", tmp_path / "nothing", "--vectors", file)
    assert "nothing does not exist; make one with: lsr index build" in sentence
    assert list(tmp_path.iterdir()) == [file]
