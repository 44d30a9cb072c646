"""Judged collections, read before anything is encoded: what counts, and what is doubtful."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsr.datasets.beir import BeirFolder, write_beir
from lsr.datasets.open import IrDataset
from lsr.errors import InputError
from lsr.evaluation.judged import JudgedCollection, read_judged
from lsr.types import Document, Qrels, Query

DOCUMENTS = [
    Document("1", "a  long\nargument"),
    Document("2", "body", title="head"),
    Document("3", ""),
]
QUERIES = [
    Query("1", "a long argument"),
    Query("2", "other words"),
    Query("3", " "),
    Query("9", "x"),
]
QRELS: Qrels = {"1": {"2": 1}, "2": {"2": 1}, "3": {"1": 1}, "7": {"1": 1, "ghost": 1}}


def read(
    folder: Path, qrels: Qrels = QRELS, documents: list[Document] = DOCUMENTS
) -> JudgedCollection:
    write_beir(folder, documents, QUERIES, {"test": qrels})
    return read_judged(str(folder), BeirFolder(folder))[0]


def test_queries_without_text_count_and_are_named(tmp_path: Path) -> None:
    found = read(tmp_path / "set")
    assert [query.query_id for query in found.queries] == ["1", "2"]
    assert found.qrels == QRELS
    assert found.warnings == (
        "set: 1 judged document is not in the collection, so no system can find them",
        "set: 2 judged queries (3, 7) have no text: counted as 0",
    )


def test_only_a_query_that_is_a_document_is_itself(tmp_path: Path) -> None:
    """In many collections queries and documents are both numbered from 1."""
    assert read(tmp_path / "set").itself == {"1"}
    titled = [*DOCUMENTS[:1], Document("2", "words", title="other"), *DOCUMENTS[2:]]
    assert read(tmp_path / "titled", documents=titled).itself == {"1", "2"}


def test_the_key_is_of_what_is_measured(tmp_path: Path) -> None:
    same = read(tmp_path / "a"), read(tmp_path / "b")
    assert same[0].sha256 == same[1].sha256
    other = [Document("1", "a long argument"), *DOCUMENTS[1:]]
    changed = read(tmp_path / "c", documents=other), read(tmp_path / "d", {"1": {"2": 2}})
    assert len({same[0].sha256, *(each.sha256 for each in changed)}) == 3


def test_wanted_ids_that_are_not_there(tmp_path: Path) -> None:
    read(tmp_path / "set")
    wanted = frozenset({"1", "x", "y"})
    _, absent = read_judged("set", BeirFolder(tmp_path / "set"), wanted=wanted)
    assert absent == {"x", "y"}


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no judged query has text"):
        read(tmp_path / "none", {"3": {"1": 1}, "9": {}})
    dataset = IrDataset("beir/scifact/test")
    with pytest.raises(InputError, match="--split dev: irds:beir/scifact/test has its split in"):
        read_judged("irds:beir/scifact/test", dataset, "dev")
    read(tmp_path / "blank", {"1": {"a b": 1}}, [Document("a b", "x")])
    corpus = BeirFolder(tmp_path / "blank")
    assert read_judged("blank", corpus)[0].n_documents == 1
    with pytest.raises(InputError, match="'a b' is empty or holds a blank"):
        read_judged("blank", corpus, as_run_file=True)
