"""A small index with both sides, opened so that what is asked of each side is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

import lsr.index.collection.retrievers
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.retrieval.answers.answer import Answer
from lsr.retrieval.feedback import SparseFeedback
from lsr.retrieval.hybrid import HybridSearcher
from lsr.retrieval.plan import Interpolation, Prf, SearchPlan
from lsr.retrieval.retriever import DenseSide, SparseSide
from lsr.types import Document
from tests.support.search_sides import Compass, Watched

__all__ = [
    "CONDITIONS",
    "QUERY",
    "TEXTS",
    "Opened",
    "build",
    "codes",
    "fails",
    "fed",
    "ids",
    "pairs",
    "unfed",
]

TEXTS = {
    "gate": "north east gate",
    "tower-2": "north tower tower",
    "tower-1": "north tower tower",
    "bridge": "east bridge north north",
    "harbour": "south harbour",
    "market": "west market tower",
    "plain": "plain tower without any of these words",
    "into": "into",
}
"""`plain` has no dense vector, `into` no term."""

CONDITIONS: tuple[Interpolation, ...] = ("pre", "post", "both", "dense_only")
QUERY = "north tower"


def document(doc_id: str) -> Document:
    return Document(doc_id, TEXTS[doc_id], "", {"id": doc_id, "odd": doc_id in ("plain", "into")})


def build(target: Path) -> Path:
    """Build it at `target`."""
    build_collection(map(document, TEXTS), target, sparse=Bm25Encoder(), dense=Compass())
    return target


class Opened:
    """A collection whose sides are watched."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.encoder = Compass()
        monkeypatch.setattr(
            lsr.index.collection.retrievers, "open_dense_encoder", lambda name, **_: self.encoder
        )
        self.collection = CollectionReader.open(path)
        self.sparse = Watched(self.collection.sparse)
        self.dense = Watched(self.collection.dense)
        sides = (cast(SparseSide, self.sparse), cast(DenseSide, self.dense))
        searcher = HybridSearcher(*sides, self.collection.segment.tie_order)
        monkeypatch.setattr(self.collection, "hybrid", searcher)

    def search(self, text: str = QUERY, plan: SearchPlan | None = None, **more: Any) -> Answer:
        return self.collection.search(text, plan=plan or SearchPlan(), k=more.pop("k", 8), **more)


def pairs(answer: Answer) -> list[tuple[str, float]]:
    return [(hit.document.doc_id, hit.score) for hit in answer.hits]


def ids(answer: Answer) -> list[str]:
    return [hit.document.doc_id for hit in answer.hits]


def codes(answer: Answer) -> list[str]:
    return [notice.code for notice in answer.warnings]


def fed(interpolate: Any, **prf: Any) -> SearchPlan:
    """A plan with feedback on both sides, and everything explained."""
    sparse = SparseFeedback(enabled=True, max_df=1.0)
    return SearchPlan(prf=Prf(interpolate, sparse=sparse, **prf), explain="full")


def unfed(plan: SearchPlan) -> SearchPlan:
    """The same without feedback: for `dense_only`, plain dense search."""
    mode = "dense" if plan.prf.interpolate == "dense_only" else plan.mode
    return replace(plan, mode=mode, prf=Prf())


def fails(error: Exception, at_call: int | None = None) -> Callable[[int], None]:
    """For `Watched.before`: raise at one call, or at every."""

    def check(call: int) -> None:
        if at_call in (None, call):
            raise error

    return check
