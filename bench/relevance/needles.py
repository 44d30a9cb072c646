"""`python -m bench.relevance.needles`: facts in long documents, found by questions.

A document is 5,000 words of consecutive sections of textbooks, with one sentence of another source
at a random place. Its question was asked by a person about that sentence, in other words: at most
two thirds of its words occur in it. Sentences and questions are of `squad_sentences`, without those
that the bundled model was trained on. Measured are the right document first, and the right passage
shown: what the best hit, where it is the right one, shows holds the fact. The same questions over
the bare facts say what a system could reach.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lsr.datasets.lines import open_binary
from lsr.encoders.registry import open_dense, open_sparse
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.passages.passage import PassageSettings
from lsr.types import Document

TRAINED = 2_000
"""Rows of `squad_sentences` that the bundled model was trained on, evenly spread."""
_STOP = frozenset(
    "a an the of in on is are was were what who whom when where how why which did do does to for "
    "and by with from at it its many much one name s be been being that this these those has have "
    "had can could would should as or not".split()
)
_SHOWN = 0.8
"""Share of the fact's words that what is shown must hold."""


@dataclass(frozen=True)
class Needle:
    """A fact in a long document, and a question about it."""

    question: str
    fact: str
    document: Document


@dataclass(frozen=True)
class Measured:
    """Outcome of one system.

    Attributes:
        first, shown: shares of questions.
        seconds: of CPU, for encoding and indexing.
        n_bytes: of the index.
    """

    name: str
    first: float
    first_ten: float
    shown: float
    seconds: float
    n_bytes: int
    n_vectors: int


def words(text: str) -> set[str]:
    """Beginnings of the words that say something."""
    return {word[:5] for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in _STOP}


def needles(data: Path, n: int, n_words: int, seed: int) -> list[Needle]:
    """Documents with a fact each; always the same for a seed."""
    rng = random.Random(seed)
    pairs = list(_rows(data / "train" / "squad_sentences.jsonl.zst"))
    trained = {place * len(pairs) // TRAINED for place in range(TRAINED)}
    known = {text for place in trained for text in pairs[place]}
    facts: dict[str, str] = {}
    for question, fact in pairs:
        asked = words(question)
        is_short = 8 <= len(fact.split()) <= 60
        if question in known or fact in known or len(asked) < 4 or not is_short:
            continue
        if len(asked & words(fact)) <= len(asked) * 2 / 3:
            facts.setdefault(fact, question)
    chosen = rng.sample(sorted(facts), n)
    sections = (section for _, section in _rows(data / "train" / "openstax_sections.jsonl.zst"))
    found = []
    for number, fact in enumerate(chosen):
        sentences = _sentences(sections, n_words)
        sentences.insert(rng.randrange(len(sentences) + 1), fact)
        document = Document(f"document-{number}", " ".join(sentences))
        found.append(Needle(facts[fact], fact, document))
    return found


def _rows(file: Path) -> Iterator[tuple[str, str]]:
    with open_binary(file) as lines:
        for line in lines:
            row = json.loads(line)
            yield row["query"], row["positive"]


def _sentences(sections: Iterator[str], n_words: int) -> list[str]:
    text, length = [], 0
    while length < n_words:
        section = next(sections).strip() + "\n\n"
        text.append(section)
        length += len(section.split())
    return re.split(r"(?<=[.!?]) ", "".join(text))


def measured(
    name: str,
    build: Callable[[Path], object],
    asked: Sequence[Needle],
    folder: Path,
) -> Measured:
    """Build an index, and ask it every question."""
    start = time.process_time()
    build(folder)
    seconds = time.process_time() - start
    collection = CollectionReader.open(folder, verify=False)
    first = ten = shown = 0
    for needle in asked:
        hits = collection.search(needle.question, k=10).hits
        ids = [hit.document.doc_id for hit in hits]
        ten += needle.document.doc_id in ids
        if ids[:1] == [needle.document.doc_id]:
            first += 1
            text = hits[0].document.text
            if hits[0].passages:
                text = text[hits[0].passages[0].start : hits[0].passages[0].end]
            held = words(needle.fact)
            is_one = hits[0].passages or len(text) <= 2 * len(needle.fact)
            shown += bool(is_one) and len(held & words(text)) >= _SHOWN * len(held)
    n = len(asked)
    size = collection.manifest.size_bytes
    n_vectors = collection.segment.n_passages
    collection.close()
    return Measured(name, first / n, ten / n, shown / n, seconds, size, n_vectors)


def systems(
    asked: Sequence[Needle], dense: str | None
) -> Iterator[tuple[str, Callable[[Path], object]]]:
    """Names, and what builds them."""
    whole = [needle.document for needle in asked]
    bare = [Document(needle.document.doc_id, needle.fact) for needle in asked]

    def of(
        documents: list[Document], sparse: str, dense: str | None, tokens: int
    ) -> Callable[[Path], object]:
        settings = PassageSettings(tokens) if tokens else None
        return lambda folder: build_collection(
            documents,
            folder,
            sparse=open_sparse(sparse),
            dense=open_dense(dense) if dense else None,
            passages=settings,
        )

    yield "BM25, whole", of(whole, "bm25", None, 0)
    yield "doc-mini, one vector", of(whole, "doc-mini", None, 0)
    for tokens in (64, 128, 256):
        yield f"doc-mini, passages of {tokens}", of(whole, "doc-mini", None, tokens)
    if dense:
        yield "hybrid, one vector", of(whole, "doc-mini", dense, 0)
        yield "hybrid, passages of 128", of(whole, "doc-mini", dense, 128)
    yield "BM25, bare facts", of(bare, "bm25", None, 0)
    yield "doc-mini, bare facts", of(bare, "doc-mini", None, 0)
    if dense:
        yield "hybrid, bare facts", of(bare, "doc-mini", dense, 0)


def main() -> None:
    """Print a table of all systems."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench.relevance.needles")
    parser.add_argument("--data", type=Path, required=True, help="a folder with train/")
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--words", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dense", default="all-MiniLM-L6-v2", help="a dense model, or none")
    chosen = parser.parse_args()
    asked = needles(chosen.data, chosen.documents, chosen.words, chosen.seed)
    dense = None if chosen.dense == "none" else chosen.dense
    print("| system | right document first | in ten | right passage shown | vectors | MB | CPU s |")
    print("|---|---|---|---|---|---|---|")
    for number, (name, build) in enumerate(systems(asked, dense)):
        with TemporaryDirectory() as folder:
            it = measured(name, build, asked, Path(folder) / f"index-{number}")
        print(
            f"| {it.name} | {it.first:.1%} | {it.first_ten:.1%} | {it.shown:.1%} | "
            f"{it.n_vectors:,} | {it.n_bytes / 1e6:.1f} | {it.seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
