"""The collections that requests are measured on: built once, and kept for the next run."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.types import Document

__all__ = ["abstracts", "folder", "queries"]

_KEPT = Path(".lsr/bench-service")
_LANGUAGES = ("en", "de", "fr", "es", "it")


def folder(n_documents: int) -> Path:
    """A BM25 collection: abstracts of scifact up to 5,183, else their sentences mixed anew.

    Raises:
        SystemExit: LSR_DATA does not name a folder that holds eval/scifact.
    """
    path = _KEPT / f"bm25-{n_documents}"
    if not path.exists():
        found = abstracts()
        documents = found[:n_documents] if n_documents <= len(found) else _mixed(found, n_documents)
        path.parent.mkdir(parents=True, exist_ok=True)
        build_collection(list(documents), path, sparse=Bm25Encoder())
    return path


def abstracts() -> list[Document]:
    """The documents of scifact, with a year and a language each."""
    lines = (_data() / "corpus.jsonl").read_text("utf-8").splitlines()
    rng = random.Random(0)
    return [
        Document(line["_id"], line["text"], line["title"], _metadata(rng))
        for line in map(json.loads, lines)
    ]


def queries() -> list[str]:
    """The claims of scifact: about twelve words each."""
    lines = (_data() / "queries.jsonl").read_text("utf-8").splitlines()
    return [str(json.loads(line)["text"]) for line in lines]


def _data() -> Path:
    path = Path(os.environ.get("LSR_DATA", "")) / "eval" / "scifact"
    if not path.is_dir():
        raise SystemExit("set LSR_DATA to a folder that holds eval/scifact")
    return path


def _metadata(rng: random.Random) -> dict[str, object]:
    tags = rng.sample(("cells", "genes", "mice", "drugs", "trials", "cohorts"), 2)
    return {"year": rng.randint(1990, 2024), "lang": rng.choice(_LANGUAGES), "tags": tags}


def _mixed(found: list[Document], n_documents: int) -> Iterator[Document]:
    sentences = [each for document in found for each in document.text.split(". ") if each]
    rng = random.Random(1)
    for number in range(n_documents):
        text = ". ".join(rng.choices(sentences, k=rng.randint(2, 9)))
        yield Document(f"d{number}", text, rng.choice(found).title, _metadata(rng))
