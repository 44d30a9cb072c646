"""Answers of a view: the same before a publication and after it, to the bit, for every encoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import lsr.index.live.live_collection
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.dense import DEFAULT_DENSE_MODEL
from lsr.encoders.precomputed import PrecomputedEncoder
from lsr.encoders.protocols import DenseEncoder, Encoder
from lsr.encoders.registry import open_dense, open_sparse
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.live.buffer import Buffer
from lsr.index.live.encoding import encoded
from lsr.index.live.live_collection import LiveCollection
from lsr.index.live.log import Entry
from lsr.index.live.operation import Operation, body_of
from lsr.retrieval.plan import plan_from
from lsr.sparse import CSR
from lsr.types import Document
from tests.support.live import ThreadWorker, hits, put, searchable, view_documents

FIRST = [
    Document("heron", "The grey heron waits in shallow water for fish.", "Heron"),
    Document("otter", "Otters hunt fish in rivers.", "Otter", {"legs": 4}),
    Document("pike", "The pike is a fish of rivers and lakes.", "Pike"),
    Document("plain", "Striped grass eater of the plains."),
]
CHANGES = [
    put("eel", "An eel is a long fish that lives in rivers and in the sea."),
    put("otter", "Sea otters crack shells with stones on their bellies.", legs=4),
    put("empty", ""),
    Operation.delete("plain"),
    put("plain", "Plains are wide and flat, with grass and few trees."),
    Operation("patch", "heron", fields={"title": "The grey heron", "metadata": {"legs": 2}}),
    Operation.delete("pike"),
    put("twin-b", "Two documents of one text."),
    put("twin-a", "Two documents of one text."),
]
QUERIES = ("fish of rivers", "otter stones", "grass plains", "two text", "heron")
TOKENS = ["cat", "dog", "owl", "eel"]


@dataclass(frozen=True)
class Kind:
    """A sort of collection: what it is built with, and how often its documents are encoded."""

    sparse: str
    dense: str | None = None


KINDS = {
    "bm25": Kind("bm25"),
    "learned with lexical terms": Kind("doc-mini"),
    "hybrid": Kind("bm25", DEFAULT_DENSE_MODEL),
}


@pytest.fixture(autouse=True)
def _in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsr.index.live.live_collection, "Worker", ThreadWorker)


def models(kind: Kind) -> tuple[Encoder, DenseEncoder | None]:
    if kind.dense is None:
        return open_sparse(kind.sparse), None
    try:
        return open_sparse(kind.sparse), open_dense(kind.dense)
    except Exception as error:  # noqa: BLE001
        pytest.skip(f"{kind.dense} is not on this machine: {error}")


def everything(view: CollectionReader) -> object:
    modes = view.modes
    return [
        view_documents(view),
        hits(view, QUERIES),
        [
            [(hit.document.doc_id, hit.score) for hit in view.search(query, k=50, plan=plan).hits]
            for query in QUERIES
            for plan in [plan_from({"mode": mode}) for mode in modes]
        ],
        view.store.sparse_vectors(view.live_rows().tolist(), view.segment.n_terms)._replace(
            n_terms=0
        )[1:],
    ]


def same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(np.sort(one), np.sort(np.asarray(other))))
    if isinstance(one, (list, tuple)):
        assert isinstance(other, (list, tuple))
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.parametrize("name", KINDS)
def test_a_publication_changes_no_answer(name: str, tmp_path: Path) -> None:
    sparse, dense = models(KINDS[name])
    build_collection(FIRST, tmp_path / "ix", sparse=sparse, dense=dense)
    with LiveCollection.open(tmp_path / "ix") as live, LiveCollection.open(tmp_path / "ix") as too:
        searchable(live, *CHANGES[:4])
        searchable(live, *CHANGES[4:])
        before = everything(live.view)
        assert too.wait_searchable(live.state.acknowledged, 30)
        assert same(everything(too.view), before), "another process has the same answers"
        view = live.view
        live.publish()
        assert live.state.published == live.state.acknowledged
        assert live.view.manifest.log_seq > view.manifest.log_seq
        assert same(everything(live.view), before)
        assert same(everything(view), before), "the view of before can still be asked"
        searchable(live, put("late", "A late fish of the rivers."))
        live.publish()
        before = everything(live.view)
        live.merge()
        if sparse.identity.kind != "bm25" and "n_terms" not in sparse.identity.parameters:
            assert same(everything(live.view), before)
        found = view_documents(live.view)
        too.follow()
        assert view_documents(too.view) == found
    with LiveCollection.open(tmp_path / "ix") as again:
        assert view_documents(again.view) == found


def test_vectors_made_elsewhere(tmp_path: Path) -> None:
    build_collection(
        [Document("b", "first"), Document("a", "second")],
        tmp_path / "ix",
        sparse=PrecomputedEncoder(4, TOKENS),
        vectors=CSR.from_rows([{0: 1.5, 2: 0.5}, {1: 2.0}]),
    )
    queries = ('{"cat": 2, "dog": 1}', '{"eel": 1, "owl": 1}')
    with LiveCollection.open(tmp_path / "ix") as live:
        new = Document("c", "third")
        searchable(live, Operation("put", "c", new, sparse={"eel": 0.75, "cat": 0.125}))
        before = hits(live.view, queries)
        assert before == {
            queries[0]: [("b", 3.0), ("a", 2.0), ("c", 0.25)],
            queries[1]: [("c", 0.75), ("b", 0.5)],
        }
        live.publish()
        assert hits(live.view, queries) == before
        live.merge()
        assert hits(live.view, queries) == before


@pytest.fixture
def random_entries() -> tuple[list[list[Entry]], Bm25Encoder]:
    """Batches of operations with their vectors."""
    rng = np.random.default_rng(3)
    encoder = Bm25Encoder()
    seq, batches = 0, []
    for _ in range(12):
        batch = []
        for _ in range(int(rng.integers(1, 9))):
            seq += 1
            doc_id = f"d{rng.integers(12)}"
            words = " ".join(rng.choice(["north", "east", "tower"], int(rng.integers(0, 4))))
            body = None if rng.random() < 0.3 else body_of(Document(doc_id, words))
            batch.append(Entry(seq, doc_id, body, None))
        vectors = encoded(batch, encoder, None, 0)
        batches.append(
            [
                Entry(each.seq, each.doc_id, each.body, None, made.terms, made.weights, made.dense)
                for each, made in zip(batch, vectors, strict=True)
            ]
        )
    return batches, encoder


def test_a_buffer_is_a_dict(random_entries: tuple[list[list[Entry]], Bm25Encoder]) -> None:
    """The newest version of each document, once; an older buffer is as it was."""
    batches, encoder = random_entries
    known: dict[str, Entry] = {}
    buffers = [Buffer()]
    wanted: list[dict[str, int]] = [{}]
    for batch in batches:
        known |= {entry.doc_id: entry for entry in batch}
        buffers.append(buffers[-1].plus(batch, encoder.n_terms))
        wanted.append({i: e.seq for i, e in known.items() if e.body is not None})
        assert buffers[-1].newest == {doc_id: entry.seq for doc_id, entry in known.items()}
    for buffer, here in zip(buffers, wanted, strict=True):
        found: dict[str, int] = {}
        for reader in buffer.readers:
            rows = reader.live_rows().tolist()
            assert len(rows) == reader.record.n_documents
            for document, version in reader.store.stored(rows):
                assert document.doc_id not in found
                found[document.doc_id] = version
        assert found == here
    assert max(len(buffer.readers) for buffer in buffers) <= 9
