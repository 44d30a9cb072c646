"""Collections with blocks: approximate search once it is calibrated, through every change."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lsr.cli.app import app
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import IndexCorruptError, InputError
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.segment_reader import SegmentReader
from lsr.index.collection.update import add_documents, delete_documents, merge_segments
from lsr.index.search.auto_searcher import AutoSearcher
from lsr.index.search.exact_searcher import ExactSearcher
from lsr.index.storage.manifest import Manifest
from lsr.types import Document

WORDS = [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(300)]
N = 800


def made(n: int, seed: int, prefix: str = "d") -> list[Document]:
    rng = np.random.default_rng(seed)
    topics = [rng.choice(WORDS, 30) for _ in range(15)]
    return [
        Document(
            f"{prefix}{row}",
            " ".join([*rng.choice(topics[row % 15], 20), *rng.choice(WORDS, 10)]),
        )
        for row in range(n)
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    build_collection(made(N, 0), tmp_path / "index", sparse=Bm25Encoder(), blocks=True)
    return tmp_path / "index"


def questions() -> list[str]:
    return [" ".join(document.text.split()[:5]) for document in made(200, 1)]


def searchers(collection: CollectionReader) -> list[type]:
    return [type(part.open_searcher()) for part in parts(collection)]


def parts(collection: CollectionReader) -> tuple[SegmentReader, ...]:
    return collection._snapshot.readers


def test_small_collections_have_no_blocks(tmp_path: Path) -> None:
    build_collection(made(20, 0), tmp_path / "index", sparse=Bm25Encoder())
    collection = CollectionReader.open(tmp_path / "index")
    with pytest.raises(InputError, match="--blocks always"):
        collection.calibrate(None, 0.9)


def test_search_is_exact_until_calibrated(path: Path) -> None:
    collection = CollectionReader.open(path)
    assert searchers(collection) == [ExactSearcher]
    tuned = collection.calibrate(questions(), 0.9)
    assert tuned.recall > 0.85
    assert tuned.source == "given queries"
    opened = CollectionReader.open(path)
    assert searchers(opened) == [AutoSearcher]
    assert Manifest.read(path).generation == 1
    (path / "calibration.json").write_text("[]")
    with pytest.raises(IndexCorruptError, match=r"calibration\.json"):
        CollectionReader.open(path)


def test_scores_are_those_of_exact_search(path: Path) -> None:
    exact = CollectionReader.open(path)
    exact.calibrate(None, 0.8)
    auto = CollectionReader.open(path)
    searcher = parts(auto)[0].open_searcher()
    assert isinstance(searcher, AutoSearcher)
    queries = auto.encoder.encode_queries(questions())
    found = searcher.search_batch(queries, 10)
    for q in range(queries.n_rows):
        rows = found.rows[q][found.rows[q] >= 0]
        scores = exact.sparse.score(queries.row(q), rows)
        assert np.array_equal(scores, found.scores[q][: len(rows)])


def test_blocks_live_through_changes(path: Path) -> None:
    CollectionReader.open(path).calibrate(questions(), 0.9)
    add_documents(path, [*made(5, 7, "new"), Document("d3", "quite another text")])
    delete_documents(path, ["d0"])
    changed = CollectionReader.open(path)
    assert searchers(changed) == [AutoSearcher, ExactSearcher]
    for text in questions()[:40]:
        hits = changed.search(text).hits
        assert not {"d0"} & {hit.document.doc_id for hit in hits}
    assert changed.search("another quite").hits[0].document.doc_id == "d3"
    merge_segments(path)
    merged = CollectionReader.open(path)
    assert searchers(merged) == [AutoSearcher]
    assert parts(merged)[0].blocks is not None
    assert merged.search("another quite").hits[0].document.doc_id == "d3"


def test_damaged_blocks_are_found(path: Path) -> None:
    blocks = path / "segment-000001" / "blocks.bin"
    content = bytearray(blocks.read_bytes())
    content[len(content) // 2] ^= 1
    blocks.write_bytes(content)
    with pytest.raises(IndexCorruptError, match=r"blocks\.bin has changed"):
        CollectionReader.open(path)


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_commands(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    lines = [json.dumps({"_id": each.doc_id, "text": each.text}) for each in made(N, 0)]
    corpus.write_text("\n".join(lines), encoding="utf-8")
    run("index", "build", corpus, tmp_path / "a", "--blocks", "always", "--sparse", "bm25")
    queries = tmp_path / "queries.tsv"
    queries.write_text("\n".join(f"q{i}\t{text}" for i, text in enumerate(questions())))
    told = run("index", "calibrate", tmp_path / "a", "--recall", "0.9", "--queries", queries)
    assert "recall 0.9" in told or "recall 1.0" in told
    assert "200 given queries" in told
    assert "queries made of documents" in run("index", "calibrate", tmp_path / "a")

    exported = tmp_path / "vectors.jsonl"
    run("index", "export", tmp_path / "a", exported, "--format", "seismic")
    run(
        "index",
        "build",
        "--vectors",
        exported,
        tmp_path / "b",
        "--blocks",
        "always",
        "--sparse",
        "bm25",
    )
    run("index", "build", "--vectors", exported, corpus, tmp_path / "c")
    first = CollectionReader.open(tmp_path / "a")
    query = first.encoder.encode_queries([questions()[0]]).row(0)
    weights = {
        first.sparse.term(term): weight
        for term, weight in zip(query.terms.tolist(), query.weights.tolist(), strict=True)
    }
    expected = [(hit.document.doc_id, hit.score) for hit in first.search(questions()[0]).hits]
    for name in ("b", "c"):
        hits = CollectionReader.open(tmp_path / name).search(json.dumps(weights)).hits
        assert [hit.document.doc_id for hit in hits] == [doc_id for doc_id, _ in expected]
        assert [hit.score for hit in hits] == pytest.approx([score for _, score in expected])


def test_commands_that_are_wrong(tmp_path: Path) -> None:
    vectors = tmp_path / "vectors.jsonl"
    vectors.write_text('{"id": "a", "content": "", "vector": {"x": 1.0}}\n')
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"_id": "b", "text": "words"}\n')
    for arguments, sentence in (
        (["build", tmp_path / "index"], "the folder to write is missing"),
        (["build", "--vectors", vectors, corpus, tmp_path / "i"], "no vector for the document 'b'"),
        (["build", corpus, tmp_path / "i", "--blocks", "some"], "choose auto, always, never"),
    ):
        result = CliRunner().invoke(app, ["index", *map(str, arguments)])
        assert result.exit_code == 2
        assert sentence in result.output
        assert not (tmp_path / "i").exists()
