"""BEIR folders, read and written."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.datasets.beir import BeirFolder, write_beir
from lsr.datasets.lines import zstd
from lsr.datasets.open import open_qrels
from lsr.errors import InputError
from lsr.types import Document, Query
from tests.support.bad_files import refused, wrote
from tests.support.strategies import texts

DOCUMENTS = [
    Document("d1", "text\nof two lines", "T\t1", {"year": 2001, "tags": ["a", "é"], "x": None}),
    Document("d 2", "", "", {"metadata": 1, "_id": "other"}),
    Document("文😀", "\u2028 odd \u0085 separators \x0b\x0c\x1c"),
]
QUERIES = [Query("q1", "one?"), Query("q 2", "")]
QRELS = {"test": {"q1": {"d1": 2, "文😀": 0}, "q 2": {"d 2": 1}}, "dev": {"q1": {"d1": -1}}}


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_beir_round_trip(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "set"
    write_beir(folder, DOCUMENTS, QUERIES, QRELS)
    if suffix:
        pack = gzip.compress if suffix == ".gz" else zstd.compress
        for path in [*folder.glob("*.jsonl"), *folder.glob("qrels/*.tsv")]:
            wrote(path.with_name(path.name + suffix), pack(path.read_bytes()))
            path.unlink()
    assert BeirFolder.recognises(folder)
    corpus = BeirFolder(folder)
    assert corpus.name == "set"
    assert list(corpus.documents()) == DOCUMENTS
    assert list(corpus.queries()) == QUERIES
    assert corpus.qrels("test") == QRELS["test"]
    assert corpus.qrels("dev") == QRELS["dev"]
    refused(
        lambda: corpus.qrels("train"),
        folder / "qrels",
        None,
        "no judgements for split 'train'; there are: dev, test",
    )


@settings(max_examples=50, deadline=None)
@given(
    documents=st.lists(
        st.builds(
            Document,
            texts(5).filter(bool),
            texts(),
            texts(),
            st.dictionaries(texts(5), st.none() | st.booleans() | st.integers() | texts(5)),
        ),
        unique_by=lambda document: document.doc_id,
    )
)
def test_any_document_round_trips(
    documents: list[Document], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("beir")
    write_beir(folder, documents, [], {})
    assert list(BeirFolder(folder).documents()) == documents


def beir(tmp_path: Path) -> Path:
    write_beir(tmp_path, DOCUMENTS, QUERIES, QRELS)
    return tmp_path


def test_beir_without_parts(tmp_path: Path) -> None:
    assert not BeirFolder.recognises(tmp_path)
    refused(lambda: BeirFolder(tmp_path), tmp_path, None, "no corpus.jsonl here")
    wrote(tmp_path / "corpus.jsonl", '{"_id": "a", "text": "x"}')
    corpus = BeirFolder(tmp_path)
    refused(lambda: list(corpus.queries()), tmp_path, None, "no queries.jsonl here")
    refused(lambda: corpus.qrels("test"), tmp_path / "qrels", None, "'test'; there are: none")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "x"}', "a query needs _id and text"),
        ('{"_id": "", "text": "x"}', "a query needs _id and text"),
        ('{"_id": true, "text": "x"}', "a query needs _id and text"),
        ('{"_id": "q2"}', "a query needs _id and text"),
        ('{"_id": "q2", "text": 5}', "a query needs _id and text"),
        ('{"_id": "q1", "text": "x"}', "query 'q1' was seen before"),
        ("[]", "a JSON object is needed"),
        ("{", "not valid JSON"),
    ],
)
def test_bad_queries(tmp_path: Path, line: str, message: str) -> None:
    folder = beir(tmp_path)
    path = wrote(folder / "queries.jsonl", f'\n{{"_id": "q1", "text": "x"}}\n{line}\n')
    refused(lambda: list(BeirFolder(folder).queries()), path, 3, message)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q1\td1", "a judgement is query id"),
        ("q1\td1\t1\t2", "a judgement is query id"),
        ("q1\td1\tx", "grade 'x' is not a whole number"),
        ("q1\td1\t1.5", "grade '1.5' is not a whole number"),
        ("q1\td1\tinf", "grade 'inf' is not a whole number"),
        ("q1 d1 1", "a judgement is query id"),
        ("q1\td1\t2", "'d1' has grade 2 for query 'q1', and grade 1 further up"),
    ],
)
def test_bad_qrels(tmp_path: Path, line: str, message: str) -> None:
    folder = beir(tmp_path)
    path = wrote(
        folder / "qrels" / "test.tsv", f"query-id\tcorpus-id\tscore\r\n\r\nq1\td1\t1\r\n{line}\r\n"
    )
    refused(lambda: BeirFolder(folder).qrels("test"), path, 4, message)


@pytest.mark.parametrize(
    "content",
    [
        "qid\tdocid\trel\nq1\td1\t1\nq1\td2\t0\n",
        "query_id\tdoc_id\trelevance\r\nq1\td1\t1.0\r\nq1\td2\t0.0\r\n",
        "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td1\t1\nq1\td2\t0\n",
        "qid docid Label\nq1 d1 1\nq1 d2 0\n",
        "q1\td1\t1e0\nq1\td2\t-0\n",
    ],
)
def test_qrels_as_others_write_them(tmp_path: Path, content: str) -> None:
    folder = beir(tmp_path)
    path = wrote(folder / "qrels" / "test.tsv", content)
    assert BeirFolder(folder).qrels("test") == {"q1": {"d1": 1, "d2": 0}}
    assert open_qrels(path) == {"q1": {"d1": 1, "d2": 0}}


def test_qrels_without_header(tmp_path: Path) -> None:
    folder = beir(tmp_path)
    wrote(folder / "qrels" / "test.tsv", "q1\td1\t1\nq1\td2\t0\n")
    assert BeirFolder(folder).qrels("test") == {"q1": {"d1": 1, "d2": 0}}


@pytest.mark.parametrize("bad", ["a\tb", "a\nb"])
def test_ids_that_qrels_cannot_hold_are_refused(tmp_path: Path, bad: str) -> None:
    """Otherwise the file is written, and cannot be read."""
    with pytest.raises(InputError, match="tab or a line end"):
        write_beir(tmp_path, DOCUMENTS, QUERIES, {"test": {"q1": {bad: 1}}})
    with pytest.raises(InputError, match="tab or a line end"):
        write_beir(tmp_path, DOCUMENTS, QUERIES, {"test": {bad: {"d1": 1}}})
