"""A collection of long documents: found by their best passage, through every kind of change."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import lsr.index.live.live_collection
from lsr.cli.app import app
from lsr.datasets.beir import write_beir
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.learned.encoder import LearnedEncoder, LearnedOptions, open_learned
from lsr.encoders.protocols import Encoder
from lsr.errors import IndexCorruptError, InputError
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.update import (
    add_documents,
    delete_documents,
    merge_segments,
    sync_documents,
)
from lsr.index.live.live_collection import LiveCollection
from lsr.index.live.operation import Operation
from lsr.index.storage.names import STORE_FILE
from lsr.passages.passage import PassageSettings, passaged_text
from lsr.passages.splitter import PassageSplitter
from lsr.retrieval.plan import plan_from
from lsr.sparse import CSR
from lsr.types import Document, Query
from tests.support.learned_models import inference_free
from tests.support.live import ThreadWorker, searchable
from tests.support.stub_encoders import StubDense

SETTINGS = PassageSettings(tokens=16, overlap=4)
WORDS = ("cat", "dog", "wolf", "bear", "lake", "forest", "king", "queen", "war", "peace")
QUERIES = ("cat by the lake", "king and queen", "zebra", "wolf wolf bear", "mountain red")


def to_array(matrix: CSR) -> NDArray[np.float32]:
    """The matrix with its zeros."""
    made = np.zeros((matrix.n_rows, 300), np.float32)
    made[np.repeat(np.arange(matrix.n_rows), np.diff(matrix.indptr)), matrix.terms] = matrix.weights
    return made


def long(seed: int) -> str:
    rng = np.random.default_rng(seed)
    sentences = [" ".join(rng.choice(WORDS, 6)) + "." for _ in range(int(rng.integers(10, 20)))]
    return f"# Part {seed}\n\n" + " ".join(sentences)


DOCUMENTS = [
    Document("short", "The cat sat by the lake."),
    *(Document(f"long{n}", long(n), f"Long {n}", {"n": n}) for n in range(6)),
    Document("fact", long(9) + "\n\n## Zebras\n\nA zebra is red.\n\n" + long(10), "Fact"),
    Document("empty", ""),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inference_free(tmp_path_factory.mktemp("free"))


@pytest.fixture(params=["learned", "with own words"])
def encoder(request: pytest.FixtureRequest, model: Path) -> Encoder:
    weight = 0.0 if request.param == "learned" else 2.0
    return open_learned(str(model), LearnedOptions(lexical_weight=weight))


def answers(collection: CollectionReader) -> list[object]:
    found: list[object] = []
    for query in QUERIES:
        for plan in (
            plan_from({"mode": "sparse"}),
            plan_from({"mode": "sparse", "prf": {"sparse": {"enabled": True, "max_df": 1.0}}}),
        ):
            hits = collection.search(query, k=20, plan=plan, passages=3).hits
            found.append([(hit.document, hit.score, hit.passages) for hit in hits])
    return found


def test_a_hit_is_a_document_with_its_best_passage(tmp_path: Path, encoder: Encoder) -> None:
    manifest = build_collection(DOCUMENTS, tmp_path / "i", sparse=encoder, passages=SETTINGS)
    assert manifest.n_documents == len(DOCUMENTS)
    with_passages = CollectionReader.open(tmp_path / "i")
    assert with_passages.segment.n_passages > 3 * len(DOCUMENTS)
    hits = with_passages.search("zebra", k=20).hits
    assert len({hit.document.doc_id for hit in hits}) == len(hits)
    fact = next(hit for hit in hits if hit.document.doc_id == "fact")
    (best,) = fact.passages
    text = fact.document.text
    assert text[best.start : best.end].startswith("## Zebras\n\nA zebra is red.")
    assert best.heading == "Part 9 > Zebras"
    assert best.line == text[: text.index("## Zebras")].count("\n") + 1
    assert best.page is None
    several = with_passages.search("zebra", k=20, passages=3).hits[0].passages
    assert len(several) == 3
    assert [each.score for each in several] == sorted((p.score for p in several), reverse=True)
    assert with_passages.search("zebra", passages=0).hits[0].passages == ()
    short = next(hit for hit in hits if hit.document.doc_id == "short")
    assert short.passages == ()


def test_scores_are_of_the_best_passage_and_the_whole_text(tmp_path: Path, model: Path) -> None:
    """As the encoders themselves give them, passage by passage."""
    options = LearnedOptions(lexical_weight=2.0)
    encoder = open_learned(str(model), options)
    build_collection(DOCUMENTS, tmp_path / "i", sparse=encoder, passages=SETTINGS)
    collection = CollectionReader.open(tmp_path / "i")
    own = open_learned(str(model), LearnedOptions(lexical_weight=0.0))
    assert isinstance(own, LearnedEncoder)
    splitter = PassageSplitter(own.tokenizer_json, SETTINGS)
    words = Bm25Encoder(k1=1.2, b=0.75)
    impacts = words.encode_corpus([[each.full_text for each in DOCUMENTS]])
    tokens = own.queries.pieces
    for query in QUERIES:
        asked = own.encode_queries([query]).row(0).as_matrix()
        counts = words.encode_queries([query])
        expected = {}
        for place, document in enumerate(DOCUMENTS):
            texts = passaged_text(document, splitter.passages(document)).passages
            vectors = to_array(own.encode_documents(texts))
            whole = 2.0 * to_array(impacts)[place] @ to_array(counts)[0]
            length = min((len(texts) - 1) / 32, 1)  # the longer, the more is of passages
            whole *= 1 - length / 2
            for passage, text in enumerate(texts):
                for token, count in Counter(tokens.encode_one(text)).items():
                    vectors[passage, token] += length * 2.0 / 7 * count / (count + 0.6)
            expected[document.doc_id] = float((vectors @ to_array(asked)[0]).max() + whole)
        hits = collection.search(query, k=20).hits
        found = {hit.document.doc_id: hit.score for hit in hits}
        assert found == pytest.approx({k: v for k, v in expected.items() if v > 0}, rel=1e-5)


def test_changes_give_what_a_build_gives(tmp_path: Path, encoder: Encoder, model: Path) -> None:
    """Added, replaced, deleted, synced and merged, as if built so; and unchanged until merged."""
    build_collection(DOCUMENTS[:4], tmp_path / "i", sparse=encoder, passages=SETTINGS)
    add_documents(tmp_path / "i", [Document("long1", long(77)), *DOCUMENTS[4:7]])
    delete_documents(tmp_path / "i", ["long0"])
    change = sync_documents(tmp_path / "i", [*DOCUMENTS[:2], DOCUMENTS[7], *DOCUMENTS[2:7]])
    assert (change.n_added, change.n_replaced, change.n_unchanged) == (2, 1, 5)
    before = CollectionReader.open(tmp_path / "i")
    assert before.manifest.passages == {"tokens": 16, "overlap": 4, "whole": 32}
    told = answers(before)
    merge_segments(tmp_path / "i")
    after = CollectionReader.open(tmp_path / "i")
    assert len(after.readers) == 1
    assert after.store.n_documents == before.n_documents == 8
    assert answers(after) == told
    if encoder.identity.parameters.get("lexical_weight", 0) == 0:
        again = open_learned(str(model), LearnedOptions(lexical_weight=0.0))
        build_collection(DOCUMENTS[:8], tmp_path / "new", sparse=again, passages=SETTINGS)
        assert answers(CollectionReader.open(tmp_path / "new")) == told
    explained = before.search("cat by the lake", plan=plan_from({"explain": "full"})).hits
    for hit in explained:
        assert hit.explanation is not None
        assert hit.explanation.terms is not None
        parts = sum(part.value for part in hit.explanation.terms) + hit.explanation.other
        assert parts == pytest.approx(hit.score, rel=1e-5)


def test_dense_vectors_are_of_passages(tmp_path: Path, encoder: Encoder) -> None:
    pytest.importorskip("faiss")
    texts: list[str] = []

    class Dense(StubDense):
        def encode_documents(
            self, some: Sequence[str], progress: Callable[[int], None] | None = None
        ) -> NDArray[np.float32]:
            texts.extend(some)
            return super().encode_documents(some, progress)

    build_collection(DOCUMENTS, tmp_path / "i", sparse=encoder, dense=Dense(), passages=SETTINGS)
    collection = CollectionReader.open(tmp_path / "i", dense=Dense())
    assert any(text.startswith("Fact Part 9 Zebras ## Zebras") for text in texts)
    rows = collection.live_rows()
    query = collection.dense.encode(["zebra"])[0]
    scores = collection.dense.passage_scores(query, rows)
    best = collection.dense.vectors(rows, query)
    for row, each in enumerate(scores):
        assert collection.dense.score(query, rows)[row] == each.max()
        assert best[row] @ query == pytest.approx(float(each.max()), abs=1e-6)
    found = collection.search("zebra", mode="dense", k=9).hits
    assert [hit.score for hit in found] == sorted(
        (float(each.max()) for each in scores), reverse=True
    )
    assert all(hit.passages for hit in found if hit.document.doc_id.startswith("long"))
    both = collection.search("zebra", mode="hybrid", plan=plan_from({"explain": "full"})).hits
    assert all(hit.passages for hit in both if hit.document.doc_id.startswith("long"))


def test_written_documents_are_split(
    tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by their passages before they are published and after it, to the bit."""
    monkeypatch.setattr(lsr.index.live.live_collection, "Worker", ThreadWorker)
    build_collection(DOCUMENTS[:3], tmp_path / "i", sparse=encoder, passages=SETTINGS)
    live = LiveCollection.open(tmp_path / "i")
    try:
        searchable(live, *(Operation.put(document, None) for document in DOCUMENTS[2:]))
        hits = live.view.search("zebra", k=20).hits
        assert next(hit for hit in hits if hit.document.doc_id == "fact").passages
        told = answers(live.view)
        live.publish()
        assert answers(live.view) == told
    finally:
        live.close()
    assert answers(CollectionReader.open(tmp_path / "i")) == told


def test_no_passages_where_none_reads_them(tmp_path: Path, encoder: Encoder) -> None:
    with pytest.raises(InputError, match="reads whole texts"):
        build_collection(DOCUMENTS, tmp_path / "i", sparse=Bm25Encoder(), passages=SETTINGS)
    with pytest.raises(InputError, match="nor a block index"):
        build_collection(DOCUMENTS, tmp_path / "i", sparse=encoder, passages=SETTINGS, blocks=True)
    assert not (tmp_path / "i").exists()


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_short_documents_make_the_same_segment(tmp_path: Path, model: Path, weight: float) -> None:
    """Passages change nothing where no document is split."""
    encoder = open_learned(str(model), LearnedOptions(lexical_weight=weight))
    some = [DOCUMENTS[0], DOCUMENTS[8]]
    build_collection(some, tmp_path / "with", sparse=encoder, passages=SETTINGS)
    again = open_learned(str(model), LearnedOptions(lexical_weight=weight))
    build_collection(some, tmp_path / "without", sparse=again)
    one, other = (
        (tmp_path / name / "segment-000001" / "arrays.bin").read_bytes()
        for name in ("with", "without")
    )
    assert one == other


def test_damaged_passages_are_told(tmp_path: Path, encoder: Encoder) -> None:
    build_collection(DOCUMENTS, tmp_path / "i", sparse=encoder, passages=SETTINGS)
    database = tmp_path / "i" / "segment-000001" / STORE_FILE
    connection = sqlite3.connect(database)
    connection.execute("UPDATE passages SET spans = zeroblob(length(spans))")
    connection.commit()
    connection.close()
    collection = CollectionReader.open(tmp_path / "i", verify=False)
    with pytest.raises(IndexCorruptError, match="passages of the document .*row"):
        collection.search("zebra")


def test_an_evaluation_splits_where_it_is_asked_to(tmp_path: Path, model: Path) -> None:
    """One vector a document otherwise; BM25 reads whole texts all the same."""
    found = {}
    queries = [Query("q", "zebra")]
    write_beir(tmp_path / "set", DOCUMENTS, queries, {"test": {"q": {"fact": 1}}})
    for passages in ("never", "16"):
        words = ["eval", str(tmp_path / "set"), "--systems", "bm25,learned", "--sparse", str(model)]
        words += ["--passages", passages, "--json", "-", "--cache-dir", str(tmp_path / "cache")]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        (collection,) = json.loads(result.stdout)["collections"]
        found[passages] = {each["name"]: each["terms"] for each in collection["systems"]}
    assert found["16"]["bm25"] == found["never"]["bm25"]
    assert found["16"]["learned"] > 2 * found["never"]["learned"]
    refused = CliRunner().invoke(app, ["eval", str(tmp_path / "set"), "--passages", "many"])
    assert refused.exit_code == 2
    assert "--passages is 'many'; give a number of tokens" in refused.output


def test_vectors_of_short_documents_behind_long_ones_are_their_own(
    tmp_path: Path, encoder: Encoder
) -> None:
    """Feedback takes them by passage, also where none of those asked for is split."""
    short = [Document("cats", "A cat by the lake."), Document("kings", "King and queen.")]
    build_collection([DOCUMENTS[1], *short], tmp_path / "i", sparse=encoder, passages=SETTINGS)
    collection = CollectionReader.open(tmp_path / "i")
    query = collection.sparse.encode(["king lake"]).row(0)
    rows = np.array([2, 1], np.int32)
    vectors = collection.sparse.vectors(rows, query)
    for place, row in enumerate(rows.tolist()):
        weights = collection.sparse.document_weights(vectors.row(place), rows[place : place + 1])
        assert np.array_equal(weights[0], vectors.row(place).weights), row
        alone = collection.sparse.vectors(np.array([row, 0], np.int32), query).row(0)
        assert alone.terms.tolist() == vectors.row(place).terms.tolist()


def test_documents_with_vectors_of_their_own_stay_whole(tmp_path: Path, encoder: Encoder) -> None:
    build_collection(DOCUMENTS[:3], tmp_path / "i", sparse=encoder, passages=SETTINGS)
    before = CollectionReader.open(tmp_path / "i")
    given = CSR.from_rows([{5: 1.0, 7: 2.0}], before.encoder.n_terms)
    add_documents(tmp_path / "i", [Document("given", long(40))], vectors=given)
    after = CollectionReader.open(tmp_path / "i")
    assert after.segment.n_passages == before.segment.n_passages + 1
    (row,) = after.store.rows(["given"]).values()
    assert after.store.passages([row]) == [()]
