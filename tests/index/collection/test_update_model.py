"""Any sequence of changes against a plain dict: what is found is what a new build would find."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import lsr.index.collection.encoder_registry
import lsr.index.collection.retrievers
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.protocols import Encoder
from lsr.errors import InputError, NotFoundError
from lsr.index.collection.build import build_collection
from lsr.index.collection.merge_policy import MergePolicy
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.update import (
    Change,
    add_documents,
    delete_documents,
    merge_segments,
    sync_documents,
)
from lsr.index.storage.segment import Segment
from lsr.types import Document
from tests.support.changing_collection import (
    LOADERS,
    PLANS,
    WORDS,
    Words,
    answers,
    living,
    naive_answer,
    opened,
    unnamed,
)
from tests.support.search_sides import Compass

pytest.importorskip("faiss")

DOC_IDS = ("a", "B", "é", "b", "10", "9", "z z", "文", "a2", "😀")
QUERIES = ("north tower", "into market gate west", "bridge")
SOME_PLANS = {name: PLANS[name] for name in ("dense", "hybrid", "fed")}

documents = st.builds(
    Document,
    st.sampled_from(DOC_IDS),
    st.lists(st.sampled_from([*WORDS, "other"]), max_size=6).map(" ".join),
    metadata=st.fixed_dictionaries({}, optional={"odd": st.booleans(), "n": st.integers(0, 2)}),
)
batches = st.lists(documents, min_size=1, max_size=5, unique_by=lambda document: document.doc_id)


class Changes(RuleBasedStateMachine):
    """Changes of a collection with dense vectors and a sparse encoder without statistics.

    What is kept beside it: the documents by id, and readers of earlier generations.
    """

    def __init__(self) -> None:
        super().__init__()
        self.monkeypatch = pytest.MonkeyPatch()
        self.monkeypatch.setattr(lsr.index.collection.encoder_registry, "LOADERS", LOADERS)
        model = Compass()
        self.monkeypatch.setattr(
            lsr.index.collection.retrievers, "open_dense_encoder", lambda name, **_: model
        )
        self.monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # nothing is killed here
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "index"
        self.model: dict[str, Document] = {}
        self.readers: list[tuple[CollectionReader, Any]] = []

    def encoder(self) -> Encoder:
        return Words()

    def build(self, documents: list[Document], path: Path) -> None:
        build_collection(documents, path, sparse=self.encoder(), dense=Compass())

    def teardown(self) -> None:
        for reader, expected in self.readers:
            assert self.answers(reader) == expected, "a reader keeps its generation"
            reader.close()
        self.monkeypatch.undo()
        shutil.rmtree(self.folder)

    @initialize(batch=batches)
    def start(self, batch: list[Document]) -> None:
        self.build(batch, self.path)
        self.model = {document.doc_id: document for document in batch}

    @rule(batch=batches, most=st.integers(1, 3), share=st.sampled_from([0.0, 0.5, 1.0]))
    def add(self, batch: list[Document], most: int, share: float) -> None:
        policy = MergePolicy(segments_per_tier=most, first_tier=3, growth=2, max_deleted=share)
        change = add_documents(self.path, batch, policy=policy)
        self.check_counts(change, batch)
        self.model |= {document.doc_id: document for document in batch}

    @rule(batch=batches)
    def sync(self, batch: list[Document]) -> None:
        change = sync_documents(self.path, batch)
        self.check_counts(change, batch)
        gone = self.model.keys() - {document.doc_id for document in batch}
        assert set(change.difference.deleted) == gone
        self.model = {document.doc_id: document for document in batch}

    def check_counts(self, change: Change, batch: list[Document]) -> None:
        held = [document for document in batch if document.doc_id in self.model]
        n_same = sum(repr(document) == repr(self.model[document.doc_id]) for document in held)
        assert change.n_unchanged >= n_same
        assert change.n_unchanged + change.n_replaced == len(held)
        assert change.n_added == len(batch) - len(held)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from(sorted(self.model)), min_size=1, max_size=4))
        assert delete_documents(self.path, ids).n_deleted == len(set(ids))
        for doc_id in set(ids):
            del self.model[doc_id]

    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        """Nothing is changed: the check after it says so."""
        known = data.draw(st.lists(st.sampled_from(sorted(self.model)))) if self.model else []
        with pytest.raises(NotFoundError, match="there is no document 'never'"):
            delete_documents(self.path, [*known, "never"])
        with pytest.raises(InputError, match="repeats the doc_id"):
            add_documents(self.path, [Document("a", "north"), Document("a", "")])

    @rule()
    def merge(self) -> None:
        with opened(self.path) as collection:
            before = living(collection)
        merge_segments(self.path)
        with opened(self.path) as merged:
            assert living(merged) == before
            assert len(merged.manifest.segments) == 1
            assert merged.manifest.n_deleted == 0
            if before:
                self.build(before, self.folder / "fresh")
                with opened(self.folder / "fresh") as fresh:
                    same_arrays(merged.segment, fresh.segment)
                    assert merged.encoder.identity == fresh.encoder.identity

    @rule()
    def keep_a_reader(self) -> None:
        if len(self.readers) < 2:
            reader = CollectionReader.open(self.path)
            self.readers.append((reader, self.answers(reader)))

    def answers(self, collection: CollectionReader) -> Any:
        return answers(collection, QUERIES[:1], SOME_PLANS)

    @invariant()
    def it_is_what_it_should_be(self) -> None:
        if not self.path.exists():
            return
        assert unnamed(self.path) == set()
        assert [path.name for path in self.folder.iterdir() if path.name[0] == "."] == []
        with opened(self.path) as collection:
            found = living(collection)
            assert {document.doc_id: document for document in found} == self.model
            assert collection.n_documents == len(found) == len(self.model)
            for doc_id in DOC_IDS:
                if doc_id in self.model:
                    assert collection.document(doc_id) == self.model[doc_id]
                else:
                    with pytest.raises(NotFoundError):
                        collection.document(doc_id)
            self.check_search(collection, found)

    def check_search(self, collection: CollectionReader, found: list[Document]) -> None:
        for query in QUERIES:
            hits = collection.search(query, k=20, plan=PLANS["sparse"]).hits
            assert [(h.document.doc_id, h.score) for h in hits] == naive_answer(collection, query)
        if not found:
            assert not any(answers(collection, QUERIES[:1]).values())
            return
        queries = [QUERIES[collection.manifest.generation % len(QUERIES)]]
        self.build(found[::-1], self.folder / "fresh")
        with opened(self.folder / "fresh") as fresh:
            assert answers(collection, queries, SOME_PLANS) == answers(fresh, queries, SOME_PLANS)
            if "odd" in fresh.metadata.fields:
                where = {"odd": True}
                expected = answers(fresh, queries, SOME_PLANS, where)
                assert answers(collection, queries, SOME_PLANS, where) == expected


class Bm25Changes(Changes):
    """The same with statistics: what is found follows from the stored vectors."""

    def encoder(self) -> Encoder:
        return Bm25Encoder()

    def answers(self, collection: CollectionReader) -> Any:
        return answers(collection, QUERIES[:1], {"hybrid": PLANS["hybrid"]})

    def check_search(self, collection: CollectionReader, found: list[Document]) -> None:
        for query in QUERIES:
            hits = collection.search(query, k=20, plan=PLANS["sparse"]).hits
            assert [(h.document.doc_id, h.score) for h in hits] == naive_answer(collection, query)


def same_arrays(one: Any, other: Any) -> None:
    assert isinstance(one, Segment)
    assert isinstance(other, Segment)
    mine, its = one.arrays(), other.arrays()
    assert mine.keys() == its.keys()
    for name in mine:
        assert mine[name].dtype == its[name].dtype
        assert np.array_equal(mine[name], its[name]), name


options = settings(
    max_examples=15,
    stateful_step_count=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestChanges = Changes.TestCase
TestChanges.settings = options
TestBm25Changes = Bm25Changes.TestCase
TestBm25Changes.settings = options
