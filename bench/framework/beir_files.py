"""BEIR folders that are written: collections cut to a budget, or with other documents."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from lsr.files import sha256_of, write_atomically
from lsr.types import Document, Qrels, Query

__all__ = ["content_of_folder", "cut_collection", "evenly", "written_beir"]


def written_beir(
    folder: Path, documents: Iterable[Document], queries: Iterable[Query], qrels: Qrels, split: str
) -> Path:
    """Write a BEIR folder, its judgements last, so that a folder that has them is whole."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    corpus = [
        json.dumps({"_id": each.doc_id, "title": each.title, "text": each.text}) + "\n"
        for each in documents
    ]
    write_atomically(folder / "corpus.jsonl", "".join(corpus))
    asked = [json.dumps({"_id": each.query_id, "text": each.text}) + "\n" for each in queries]
    write_atomically(folder / "queries.jsonl", "".join(asked))
    judged = [
        f"{query_id}\t{doc_id}\t{grade}\n"
        for query_id, grades in qrels.items()
        for doc_id, grade in grades.items()
    ]
    text = "query-id\tcorpus-id\tscore\n" + "".join(judged)
    write_atomically(folder / "qrels" / f"{split}.tsv", text)
    return folder


def content_of_folder(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below a folder, by its place in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256_of(path) for path in files}


def cut_collection(
    documents: Sequence[Document], queries: Sequence[Query], qrels: Qrels, most: int
) -> tuple[list[Document], list[Query]]:
    """Queries, evenly spread, whose judged documents fit; these documents, then the first others.

    Args:
        queries: judged ones.
        most: documents, but for a first query that has more.
    """
    judged: set[str] = set()
    kept: list[Query] = []
    for n in range(len(queries), 0, -1):
        kept = evenly(queries, n)
        judged = {doc_id for query in kept for doc_id in qrels[query.query_id]}
        if len(judged) <= most:
            break
    first = [each for each in documents if each.doc_id in judged]
    others = [each for each in documents if each.doc_id not in judged]
    return first + others[: max(0, most - len(first))], kept


def evenly(queries: Sequence[Query], n: int) -> list[Query]:
    """At most n of them, evenly spread."""
    n = min(n, len(queries))
    return [queries[place * len(queries) // n] for place in range(n)]
