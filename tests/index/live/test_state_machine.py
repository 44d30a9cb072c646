"""A live collection against a dict, by random operations of several who change it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

import lsr.index.live.live_collection
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import StorageError
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.update import add_documents, delete_documents, merge_segments
from lsr.index.live.live_collection import LiveCollection
from lsr.index.live.operation import Operation, Written
from lsr.types import Document
from tests.support.live import ThreadWorker, eventually, hits, killed, view_documents

IDS = st.sampled_from(["a", "b", "c", "d/e", "é", "f"])
WORDS = ("north", "east", "tower", "gate", "harbour")
TEXTS = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
FIRST = [Document("a", "north tower"), Document("b", "east gate"), Document("z", "harbour")]


def alone(change: Callable[[], object]) -> None:
    """Make a change when no other writer is at work.

    A keeper publishes what another left, as soon as it takes over.
    """

    def is_made() -> bool:
        try:
            change()
        except StorageError as error:
            if "another writer" not in str(error):
                raise
            return False
        return True

    eventually(is_made)


class Living(RuleBasedStateMachine):
    """`here` is what must be there: documents and versions, by id."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "index"
        self.here: dict[str, tuple[Document, int]] = {}
        self.pending: set[str] = set()
        """Ids with operations that may be in the log alone."""

    @initialize()
    def build(self) -> None:
        build_collection(FIRST, self.path, sparse=Bm25Encoder())
        self.here = {document.doc_id: (document, 0) for document in FIRST}
        self.live = LiveCollection.open(self.path)
        self.other: LiveCollection | None = None
        self.last = 0

    def write(self, operation: Operation, *, by_other: bool = False) -> Written:
        live = self.other if by_other and self.other is not None else self.live
        (written,) = live.write([operation])
        if written.is_done:
            assert written.seq == self.last + 1, "numbers have no gaps"
            self.last = written.seq
            self.pending.add(operation.doc_id)
        else:
            assert written.seq == self.last
        return written

    @rule(doc_id=IDS, text=TEXTS, by_other=st.booleans())
    def put(self, doc_id: str, text: str, by_other: bool) -> None:
        document = Document(doc_id, text, metadata={"n": len(text)})
        written = self.write(Operation.put(document), by_other=by_other)
        assert written.status == ("replaced" if doc_id in self.here else "created")
        self.here[doc_id] = (document, written.version)

    @rule(doc_id=IDS, text=TEXTS, off=st.sampled_from([0, 0, 1, -1]))
    def put_if_version(self, doc_id: str, text: str, off: int) -> None:
        version = self.here[doc_id][1] if doc_id in self.here else 0
        document = Document(doc_id, text)
        written = self.write(Operation.put(document, version + off))
        is_wrong = off != 0 or (version == 0 and doc_id in self.here)
        assert (written.status == "conflict") == is_wrong
        if not is_wrong:
            self.here[doc_id] = (document, written.version)

    @rule(doc_id=IDS, by_other=st.booleans())
    def delete(self, doc_id: str, by_other: bool) -> None:
        written = self.write(Operation.delete(doc_id), by_other=by_other)
        assert written.status == ("deleted" if doc_id in self.here else "missing")
        self.here.pop(doc_id, None)

    @rule(doc_id=IDS, text=TEXTS)
    def patch(self, doc_id: str, text: str) -> None:
        fields = {"text": text, "metadata": {"patched": True}}
        written = self.write(Operation("patch", doc_id, fields=fields))
        assert written.status == ("replaced" if doc_id in self.here else "missing")
        if doc_id in self.here:
            old = self.here[doc_id][0]
            metadata = dict(old.metadata) | {"patched": True}
            self.here[doc_id] = (Document(doc_id, text, old.title, metadata), written.version)

    @rule()
    def publish(self) -> None:
        self.agree()
        self.live.publish()
        assert self.live.state.published == self.last
        self.pending.clear()
        self.agree()

    @rule()
    def merge(self) -> None:
        """Also while operations wait, which are encoded again then."""
        self.live.merge()
        self.agree()

    @rule(ends=st.sampled_from([LiveCollection.close, killed]))
    def reopen(self, ends: Callable[[LiveCollection], None]) -> None:
        """Where there are two, the other takes over."""
        ends(self.live)
        self.live = self.other or LiveCollection.open(self.path)
        self.other = None

    @precondition(lambda self: self.other is None)
    @rule()
    def open_another(self) -> None:
        self.other = LiveCollection.open(self.path)

    @rule(doc_id=IDS, text=TEXTS)
    def add_directly(self, doc_id: str, text: str) -> None:
        if doc_id not in self.pending:
            document = Document(doc_id, text)
            alone(lambda: add_documents(self.path, [document]))
            self.here[doc_id] = (document, 0)
            self.follow()

    @rule(doc_id=IDS)
    def delete_directly(self, doc_id: str) -> None:
        if doc_id not in self.pending and doc_id in self.here:
            alone(lambda: delete_documents(self.path, [doc_id]))
            del self.here[doc_id]
            self.follow()

    @rule()
    def merge_directly(self) -> None:
        alone(lambda: merge_segments(self.path))
        self.follow()

    @rule(text=TEXTS)
    def build_again(self, text: str) -> None:
        self.publish()
        document = Document("b", text)
        alone(lambda: build_collection([document], self.path, sparse=Bm25Encoder()))
        self.here = {"b": (document, 0)}
        self.follow()

    def follow(self) -> None:
        for live in self.handles():
            live.follow()

    def handles(self) -> list[LiveCollection]:
        return [self.live] if self.other is None else [self.live, self.other]

    @rule()
    def agree(self) -> None:
        for live in self.handles():
            self.agree_with(live)

    def agree_with(self, live: LiveCollection) -> None:
        eventually(lambda: live.state.searchable >= self.last, live.state)
        eventually(lambda: view_documents(live.view) == self.here)
        view = live.view
        assert view.n_documents == len(self.here)
        for word, found in hits(view, WORDS).items():
            has = {i for i, (document, _) in self.here.items() if word in document.text}
            assert {doc_id for doc_id, _ in found} == has, word
        assert live.state.acknowledged == self.last
        eventually(lambda: live.state.error is None, live.state)
        for doc_id in "abz":
            stored = live.stored(doc_id)
            known = None if stored is None else (stored.document, stored.version)
            assert known == self.here.get(doc_id)
        changed = {i for i, (document, _) in self.here.items() if document.metadata.get("patched")}
        if changed:
            passing = view.search("north east tower gate", k=50, where={"patched": True}).hits
            assert {hit.document.doc_id for hit in passing} <= changed

    def teardown(self) -> None:
        try:
            if hasattr(self, "live"):
                self.agree()
                self.have_the_same_answers()
                self.live.merge()
                self.follow()
                self.agree()
                if self.here:
                    self.compare_with_scratch()
        finally:
            for live in self.handles() if hasattr(self, "live") else []:
                live.close()
            shutil.rmtree(self.folder)

    def have_the_same_answers(self) -> None:
        """From every process, once all have followed."""
        first, last = self.handles()[0], self.handles()[-1]
        eventually(lambda: hits(first.view, WORDS) == hits(last.view, WORDS), "other answers")

    def compare_with_scratch(self) -> None:
        """After a merge, ids and scores are those of a build from these documents."""
        view = self.live.view
        documents = view.store.documents(view.live_rows().tolist())
        build_collection(documents, self.folder / "scratch", sparse=Bm25Encoder())
        scratch = CollectionReader.open(self.folder / "scratch")
        assert hits(view, WORDS) == hits(scratch, WORDS)
        scratch.close()


@pytest.fixture(autouse=True)
def _in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsr.index.live.live_collection, "Worker", ThreadWorker)


TestLiving = Living.TestCase
TestLiving.settings = settings(
    max_examples=int(os.environ.get("LSR_SOAK_EXAMPLES", "10")),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
