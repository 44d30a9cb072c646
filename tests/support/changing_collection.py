"""What tests of changing collections share: an encoder without statistics, and what is there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.protocols import Encoder
from lsr.index.collection.reader import CollectionReader
from lsr.index.storage.manifest import MANIFEST, Manifest
from lsr.retrieval.answers.answer import Answer
from lsr.retrieval.plan import SearchPlan, plan_from
from lsr.sparse import CSR
from lsr.types import Document, EncoderIdentity
from tests.naive import exact as naive

__all__ = [
    "LOADERS",
    "Words",
    "answers",
    "content",
    "found_ids",
    "living",
    "naive_answer",
    "opened",
    "unnamed",
]

WORDS = ("north", "east", "south", "west", "into", "tower", "gate", "harbour", "market", "bridge")


class Words:
    """A sparse encoder without corpus statistics: a term for each of ten words."""

    def __init__(self) -> None:
        self.identity = EncoderIdentity("words", "words", "0" * 64)
        self.n_terms = len(WORDS)

    def encode_corpus(self, batches: Iterable[Sequence[str]]) -> CSR:
        return self.encode_documents([text for batch in batches for text in batch])

    def encode_documents(self, texts: Sequence[str]) -> CSR:
        rows = []
        for text in texts:
            counts = Counter(text.split())
            found = ((term, counts[word]) for term, word in enumerate(WORDS))
            rows.append({term: (1 + term / 7) * n**0.5 for term, n in found if n})
        return CSR.from_rows(rows, self.n_terms)

    def encode_queries(self, texts: Sequence[str]) -> CSR:
        return self.encode_documents(texts)

    def find_terms(self, texts: Sequence[str]) -> list[int | None]:
        return [WORDS.index(text) if text in WORDS else None for text in texts]

    def surface_terms(self, text: str) -> NDArray[np.int32] | None:
        return None

    def term(self, term: int) -> str:
        return WORDS[term]

    def save(self, folder: Path) -> None:
        (folder / "words.json").write_text(json.dumps(WORDS))

    @classmethod
    def load(cls, folder: Path) -> Encoder:
        assert json.loads((folder / "words.json").read_text()) == list(WORDS)
        return cls()


LOADERS = {"words": Words.load, "bm25": Bm25Encoder.load}
"""For `lsr.index.collection.encoder_registry.LOADERS`."""


@contextmanager
def opened(path: Path) -> Iterator[CollectionReader]:
    """The collection, every file compared with its checksum."""
    collection = CollectionReader.open(path)
    try:
        yield collection
    finally:
        collection.close()


def living(collection: CollectionReader) -> list[Document]:
    """All documents that can be found, in row order."""
    return collection.store.documents(collection.live_rows().tolist())


def found_ids(path: Path, text: str, where: Mapping[str, object] | None = None) -> list[str]:
    """Ids of what a collection finds, best first."""
    with opened(path) as collection:
        return [hit.document.doc_id for hit in collection.search(text, where=where).hits]


def content(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def unnamed(path: Path) -> set[str]:
    """Files below a collection's folder that its manifest does not name."""
    files = {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()}
    return files - set(Manifest.read(path).files) - {MANIFEST}


PLANS: Mapping[str, SearchPlan] = {
    "sparse": SearchPlan(mode="sparse"),
    "dense": SearchPlan(mode="dense"),
    "hybrid": SearchPlan(),
    "rrf": plan_from({"fusion": {"method": "rrf", "missing": "zero"}}),
    "fed": plan_from(
        {"prf": {"interpolate": "both", "sparse": {"enabled": True, "max_df": 0.6}}, "window": 4}
    ),
}


def answers(
    collection: CollectionReader,
    queries: Sequence[str],
    plans: Mapping[str, SearchPlan] = PLANS,
    where: Mapping[str, object] | None = None,
) -> dict[tuple[str, str], list[tuple[Document, float]]]:
    """What is found, by query and plan."""

    def hits(answer: Answer) -> list[tuple[Document, float]]:
        return [(hit.document, hit.score) for hit in answer.hits]

    return {
        (query, name): hits(
            collection.search(query, k=min(plan.window, 20), plan=plan, where=where)
        )
        for query in queries
        for name, plan in plans.items()
    }


def naive_answer(collection: CollectionReader, query: str) -> list[tuple[str, float]]:
    """What sparse search should find, from the stored vectors of living documents."""
    rows = collection.live_rows()
    vectors = collection.store.sparse_vectors(rows.tolist(), collection.encoder.n_terms)
    doc_ids = collection.segment.doc_ids(rows)
    (hits,) = naive.scan_batch(
        collection.encoder.encode_queries([query]), vectors, doc_ids, len(rows)
    )
    return [(doc_ids[row], float(score)) for row, score in hits]
