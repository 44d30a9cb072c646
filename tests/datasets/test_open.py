"""One call that knows every kind of source."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lsr.datasets.beir import BeirFolder, write_beir
from lsr.datasets.open import Corpus, IrDataset, JudgedCorpus, open_corpus, open_judged_corpus
from lsr.datasets.records import Columns, JsonLines, Table
from lsr.datasets.text_folder import TextFolder
from lsr.errors import DataError, InputError, UnavailableError
from lsr.types import Document, Query


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    write_beir(
        tmp_path / "beir", [Document("d", "x")], [Query("q", "x")], {"test": {"q": {"d": 1}}}
    )
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("# A")
    (tmp_path / "empty").mkdir()
    for name in (
        "a.jsonl",
        "a.ndjson",
        "a.jsonl.gz",
        "a.JSONL.zst",
        "a.csv",
        "a.tsv.gz",
        "a.pdf",
        "a.xml",
    ):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("beir", BeirFolder),
        ("notes", TextFolder),
        ("a.jsonl", JsonLines),
        ("a.ndjson", JsonLines),
        ("a.jsonl.gz", JsonLines),
        ("a.JSONL.zst", JsonLines),
        ("a.csv", Table),
        ("a.tsv.gz", Table),
    ],
)
def test_kinds(sources: Path, name: str, kind: type) -> None:
    corpus = open_corpus(str(sources / name))
    assert isinstance(corpus, kind)
    assert isinstance(corpus, Corpus)
    assert corpus.name == name.split(".")[0]
    assert isinstance(corpus, JudgedCorpus) is (kind is BeirFolder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "no such file or folder; check the path"),
        ("absent.jsonl", "no such file or folder; check the path"),
        ("a.pdf", "no text can be read of this file; .*1 file"),
        ("a.xml", "cannot tell what this is"),
        ("empty", "no text files"),
    ],
)
def test_refused(sources: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=f"^{sources / name}: {message}"):
        open_corpus(str(sources / name))


def test_columns(sources: Path) -> None:
    (sources / "a.csv").write_text("k,text\n7,x\n")
    columns = Columns(doc_id="k")
    assert list(open_corpus(str(sources / "a.csv"), columns).documents()) == [Document("7", "x")]
    for name in ("beir", "notes"):
        assert open_corpus(str(sources / name), Columns()).name == name
        with pytest.raises(InputError, match="has no columns to choose"):
            open_corpus(str(sources / name), columns)


def test_judged(sources: Path) -> None:
    corpus = open_judged_corpus(str(sources / "beir"))
    assert list(corpus.queries()) == [Query("q", "x")]
    assert corpus.qrels("test") == {"q": {"d": 1}}
    with pytest.raises(DataError, match="evaluation needs queries and judgements"):
        open_judged_corpus(str(sources / "a.jsonl"))


class Doc(NamedTuple):
    doc_id: str
    text: str
    title: str

    def default_text(self) -> str:
        return f"{self.title} {self.text}"


class Page(NamedTuple):
    doc_id: str
    body: str

    def default_text(self) -> str:
        return self.body


def registered(
    dataset_id: str, docs: list[Any], *, judged: bool = True, broken: Exception | None = None
) -> None:
    """Put a collection into the catalogue of the real library, without files or network."""
    import ir_datasets
    from ir_datasets.datasets.base import Dataset
    from ir_datasets.formats import BaseDocs, BaseQrels, BaseQueries, GenericQuery, TrecQrel

    class Docs(BaseDocs):  # type: ignore[misc]
        def docs_iter(self) -> Iterator[Any]:
            yield from docs
            if broken:
                raise broken

        def docs_cls(self) -> type:
            return Doc

    class Queries(BaseQueries):  # type: ignore[misc]
        def queries_iter(self) -> Iterator[Any]:
            yield GenericQuery("q1", "what?")

    class Judgements(BaseQrels):  # type: ignore[misc]
        def qrels_iter(self) -> Iterator[Any]:
            yield TrecQrel("q1", "d1", 2, "0")
            yield TrecQrel("q1", "d2", 0, "0")

    parts = [Docs(), Queries(), Judgements()] if judged else [Docs()]
    if dataset_id not in ir_datasets.registry:
        ir_datasets.registry.register(dataset_id, Dataset(*parts))


def test_ir_datasets() -> None:
    pytest.importorskip("ir_datasets")
    registered("lsr-tests/judged", [Doc("d1", "text", "Title"), Doc("d2", "", "")])
    corpus = open_judged_corpus("irds:lsr-tests/judged")
    assert isinstance(corpus, IrDataset)
    assert corpus.name == "lsr-tests-judged"
    for _ in range(2):
        assert list(corpus.documents()) == [Document("d1", "text", "Title"), Document("d2", "")]
    assert list(corpus.queries()) == [Query("q1", "what?")]
    assert corpus.qrels("any") == {"q1": {"d1": 2, "d2": 0}}
    with pytest.raises(InputError, match="has no columns to choose"):
        open_corpus("irds:lsr-tests/judged", Columns(doc_id="x"))


def test_ir_datasets_without_parts() -> None:
    pytest.importorskip("ir_datasets")
    registered("lsr-tests/plain", [Page("p", "a page")], judged=False)
    corpus = IrDataset("lsr-tests/plain")
    assert list(corpus.documents()) == [Document("p", "a page")]
    with pytest.raises(DataError, match="^lsr-tests/plain: this collection has no queries"):
        list(corpus.queries())
    with pytest.raises(DataError, match="^lsr-tests/plain: this collection has no qrels"):
        corpus.qrels("test")


@pytest.mark.parametrize(
    "error",
    [OSError("connection lost"), RuntimeError("connection lost", ["a source", "another"])],
    ids=["OSError", "RuntimeError"],
)
def test_ir_datasets_that_cannot_be_fetched(error: Exception) -> None:
    """The second is what ir_datasets raises when no source of a file answers."""
    pytest.importorskip("ir_datasets")
    dataset_id = f"lsr-tests/{type(error).__name__}"
    registered(dataset_id, [Doc("d1", "text", "")], broken=error)
    with pytest.raises(DataError, match=r"could not be fetched or read \(connection lost\)$"):
        list(IrDataset(dataset_id).documents())


def test_unknown_ir_datasets_id() -> None:
    pytest.importorskip("ir_datasets")
    with pytest.raises(DataError, match="^no/such/thing: no such id in ir_datasets"):
        open_corpus("irds:no/such/thing")


def test_ir_datasets_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(UnavailableError, match=r"pip install 'lsr-search\[eval\]'"):
        open_corpus("irds:beir/scifact/test")


def test_one_file_of_a_kind_that_is_read_in_folders(tmp_path: Path) -> None:
    (tmp_path / "keys.md").write_text("# Keys\n\nThey rotate.")
    with zipfile.ZipFile(tmp_path / "notes.zip", "w") as archive:
        archive.writestr("in/a.txt", "a heron")
        archive.writestr("b.bin", b"\0")
    (tmp_path / "ignored.md").write_text("beside it")
    found = {
        name: [each.doc_id for each in open_corpus(str(tmp_path / name)).documents()]
        for name in ("keys.md", "notes.zip")
    }
    assert found == {"keys.md": ["keys.md"], "notes.zip": ["notes.zip/in/a.txt"]}
    with pytest.raises(InputError, match="has no columns to choose"):
        open_corpus(str(tmp_path / "keys.md"), Columns(doc_id="k"))
