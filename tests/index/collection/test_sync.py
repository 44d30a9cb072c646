"""A collection kept in step with a source: what is encoded, what is published, what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import lsr.index.collection.encoder_registry
from lsr.datasets.open import open_corpus
from lsr.errors import DataError, IndexCorruptError, InputError
from lsr.index.collection.build import build_collection
from lsr.index.collection.update import Change, Difference, add_documents, sync_documents
from lsr.index.storage.manifest import Manifest
from lsr.sparse import CSR
from lsr.types import Document
from tests.support.changing_collection import LOADERS, Words, content, living, opened

N_FILES = 300


class Counting(Words):
    """Counts the texts of documents that it encodes."""

    encoded: list[str]

    def __init__(self) -> None:
        super().__init__()
        self.encoded = []

    def encode_documents(self, texts: Sequence[str]) -> CSR:
        self.encoded += texts
        return super().encode_documents(texts)


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> Counting:
    counting = Counting()
    loaders = {**LOADERS, "words": lambda *_: counting}
    monkeypatch.setattr(lsr.index.collection.encoder_registry, "LOADERS", loaders)
    return counting


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "notes"
    path.mkdir()
    for number in range(N_FILES):
        (path / f"{number}.md").write_text(f"# Note {number}\nnorth tower gate {number}\n")
    return path


@pytest.fixture
def index(folder: Path, encoder: Counting) -> Path:
    path = folder.parent / "index"
    build_collection(documents(folder), path, sparse=encoder)
    encoder.encoded.clear()
    return path


def documents(folder: Path) -> list[Document]:
    return list(open_corpus(str(folder)).documents())


def counts(change: Change) -> tuple[int, int, int, int]:
    return change.n_added, change.n_replaced, change.n_deleted, change.n_unchanged


def test_an_unchanged_folder_is_not_encoded_and_not_published(
    folder: Path, index: Path, encoder: Counting
) -> None:
    before = content(index.parent)
    assert counts(sync_documents(index, documents(folder))) == (0, 0, 0, N_FILES)
    added = add_documents(index, documents(folder))
    assert counts(added) == (0, 0, 0, N_FILES)
    assert added.manifest.generation == 1
    assert encoder.encoded == []
    assert content(index.parent) == before


def test_an_addition_encodes_what_is_new_alone(
    folder: Path, index: Path, encoder: Counting
) -> None:
    (folder / "new.md").write_text("# New\nmarket\n")
    assert counts(add_documents(index, documents(folder))) == (1, 0, 0, N_FILES)
    assert encoder.encoded == ["New # New\nmarket"]


def test_changed_deleted_renamed(folder: Path, index: Path, encoder: Counting) -> None:
    (folder / "7.md").write_text("# Note 7\nharbour\n")
    (folder / "8.md").unlink()
    (folder / "9.md").rename(folder / "moved.md")
    expected = Difference(("moved.md",), ("7.md",), ("8.md", "9.md"))
    before = content(index.parent)
    tried = sync_documents(index, documents(folder), dry_run=True)
    assert tried.difference == expected
    assert (content(index.parent), encoder.encoded) == (before, [])
    change = sync_documents(index, documents(folder))
    assert change.difference == expected
    assert counts(change) == counts(tried) == (1, 1, 2, N_FILES - 3)
    assert len(encoder.encoded) == 2
    assert change.manifest.generation == 2
    with opened(index) as collection:
        assert sorted(living(collection), key=repr) == sorted(documents(folder), key=repr)
        assert [hit.document.doc_id for hit in collection.search("harbour").hits] == ["7.md"]
    # a deletion alone encodes nothing
    encoder.encoded.clear()
    (folder / "10.md").unlink()
    assert counts(sync_documents(index, documents(folder))) == (0, 0, 1, N_FILES - 2)
    assert encoder.encoded == []


@pytest.mark.parametrize(
    ("held", "given", "is_same"),
    [
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, True),
        ({"a": 1}, {}, False),
    ],
)
def test_metadata_are_content(
    tmp_path: Path,
    encoder: Counting,
    held: dict[str, object],
    given: dict[str, object],
    is_same: bool,
) -> None:
    build_collection([Document("a", "north", "", held)], tmp_path / "i", sparse=encoder)
    change = sync_documents(tmp_path / "i", [Document("a", "north", "", given)])
    assert change.n_unchanged == int(is_same)
    assert change.n_replaced == int(not is_same)


def test_what_was_deleted_is_new_again(folder: Path, index: Path) -> None:
    all_of_them = documents(folder)
    sync_documents(index, all_of_them[1:])
    change = sync_documents(index, all_of_them)
    assert counts(change) == (1, 0, 0, N_FILES - 1)


def test_an_empty_source_deletes_nothing_by_itself(index: Path) -> None:
    before = content(index.parent)
    with pytest.raises(InputError, match="the source holds no documents, and index would lose all"):
        sync_documents(index, [])
    assert content(index.parent) == before
    assert counts(sync_documents(index, [], allow_empty=True)) == (0, 0, N_FILES, 0)
    assert Manifest.read(index).n_documents == 0


def test_a_folder_that_vanishes_while_it_is_read_changes_nothing(folder: Path, index: Path) -> None:
    def vanishing() -> Iterator[Document]:
        for number, document in enumerate(open_corpus(str(folder)).documents()):
            yield document
            if number == 5:
                raise DataError("there is no such file; check the path", path=folder)

    before = content(index.parent)
    with pytest.raises(DataError, match="no such file"):
        sync_documents(index, vanishing())
    assert content(index.parent) == before


def test_a_file_that_changes_while_it_is_read_comes_with_the_next(
    folder: Path, index: Path
) -> None:
    def written_to() -> Iterator[Document]:
        for document in open_corpus(str(folder)).documents():
            (folder / "0.md").write_text("# Note 0\nbridge\n")  # it was read: it is the first
            yield document

    assert counts(sync_documents(index, written_to()))[3] == N_FILES
    assert sync_documents(index, documents(folder)).difference.replaced == ("0.md",)


def test_killed_before_the_commit(
    folder: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "7.md").write_text("# Note 7\nharbour\n")
    (folder / "8.md").unlink()
    before = content(index)
    with monkeypatch.context() as patch:
        patch.setattr("lsr.index.collection.transaction.commit", _killed)
        with pytest.raises(KeyboardInterrupt):
            sync_documents(index, documents(folder))
    assert content(index) == before
    assert counts(sync_documents(index, documents(folder))) == (0, 1, 1, N_FILES - 2)


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("known", ["0.md", "new"])
def test_an_id_twice_is_refused_with_its_place(folder: Path, index: Path, known: str) -> None:
    one = next(each for each in documents(folder) if each.doc_id == "0.md")
    given = [*documents(folder), Document(known, one.text, one.title, one.metadata)]
    again = [*given, given[-1]] if known == "new" else given
    for change in (sync_documents, add_documents):
        with pytest.raises(InputError, match=f"document {len(again)} of the source repeats"):
            change(index, again)


def test_damage_is_not_taken_for_a_difference(folder: Path, index: Path) -> None:
    store = index / "segment-000001" / "documents.sqlite"
    raw = store.read_bytes()
    assert raw.count(b"gate 77") == 1
    store.write_bytes(raw.replace(b"gate 77", b"gate 78"))
    with pytest.raises(IndexCorruptError, match="'77.md' in row"):
        sync_documents(index, documents(folder))
