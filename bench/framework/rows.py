"""Training rows and evaluation collections of a data folder, cut to a budget.

FOLDER/eval/NAME are BEIR folders. The training queries of those that are evaluated are the rows,
where there are any; else the pairs of FOLDER/train. What is left after cutting is written to the
work folder, so that it can be expanded, and so that a run hangs on nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.framework.beir_files import cut_collection, evenly, written_beir
from lsr.datasets.beir import BeirFolder
from lsr.errors import InputError
from lsr.evaluation.evaluate import judged_queries
from lsr.training.config.data import Source
from lsr.training.data.overlap import find_overlap
from lsr.training.data.pairs import NO_ROW, Pairs, joined, normalised_text
from lsr.training.data.sources import read_source
from lsr.types import Document, Qrels, Query

__all__ = ["DataFolder", "Limits", "cut_evaluation", "cut_training"]

PREFERRED = ("scifact", "nfcorpus")
"""Collections that are evaluated where none are named, if they are there."""


@dataclass(frozen=True)
class Limits:
    """Limits of what is read.

    Attributes:
        documents: of each collection that is evaluated.
        queries: of each source that is trained on.
    """

    documents: int = 1000
    queries: int = 400


class DataFolder:
    """A folder of evaluation collections, and perhaps of training pairs.

    Args:
        names: collections to evaluate; None for `PREFERRED`, or all.

    Raises:
        InputError: there is no such folder, it has no collection, or not the one that is named.
    """

    def __init__(self, path: Path, names: Sequence[str] | None = None) -> None:
        if not path.is_dir():
            raise InputError(f"--data {path}: no such folder; give one that has eval/NAME in it")
        folders = sorted((path / "eval").glob("*")) if (path / "eval").is_dir() else []
        there = {each.name: each for each in folders if BeirFolder.recognises(each)}
        if not there:
            raise InputError(
                f"--data {path}: there is no BEIR folder in {path / 'eval'}; put collections "
                "there, each with corpus.jsonl, queries.jsonl and qrels/test.tsv"
            )
        wanted = names or [name for name in PREFERRED if name in there] or list(there)
        if unknown := [name for name in wanted if name not in there]:
            raise InputError(
                f"--eval {unknown[0]}: there is no such collection in {path / 'eval'}; there are "
                f"{', '.join(there)}"
            )
        self.evaluated = [there[name] for name in wanted]
        self.pairs = sorted(path.glob("train/*.jsonl*"))
        self.path = path

    def sources(self) -> list[Path]:
        """Sources of rows.

        Raises:
            InputError: there are none.
        """
        judged = [each for each in self.evaluated if "train" in BeirFolder(each).splits()]
        if not judged and not self.pairs:
            raise InputError(
                f"--data {self.path}: nothing to train on: no collection has qrels/train.tsv, and "
                f"there are no pairs in {self.path / 'train'}; add either, or name --train"
            )
        return judged or self.pairs


def cut_evaluation(source: Path, limits: Limits, out: Path) -> Path:
    """Write a collection's test split, cut."""
    folder = BeirFolder(source)
    qrels = folder.qrels("test")
    queries = judged_queries(list(folder.queries()), qrels)
    documents, kept = cut_collection(list(folder.documents()), queries, qrels, limits.documents)
    judged: Qrels = {query.query_id: qrels[query.query_id] for query in kept}
    return written_beir(out / folder.name, documents, kept, judged, "test")


def cut_training(
    sources: Sequence[Path], evaluated: Sequence[Path], limits: Limits, out: Path
) -> tuple[list[Path], list[str]]:
    """Write rows as BEIR folders with a split `train`, without what is evaluated.

    Returns:
        The folders, and sentences on what was left out.

    Raises:
        InputError: nothing is left of a source.
    """
    asked = {
        normalised_text(query.text).lower()
        for folder in map(BeirFolder, evaluated)
        for query in judged_queries(list(folder.queries()), folder.qrels("test"))
    }
    folders: list[Path] = []
    notes: list[str] = []
    for source in sources:
        if source.is_dir():
            beir = BeirFolder(source)
            qrels = beir.qrels("train")
            judged = evenly(judged_queries(list(beir.queries()), qrels), limits.queries)
            queries = [q for q in judged if normalised_text(q.text).lower() not in asked]
            wanted = {doc_id for query in queries for doc_id in qrels[query.query_id]}
            everything = list(beir.documents())
            documents = [each for each in everything if each.doc_id in wanted]
            others = [each for each in everything if each.doc_id not in wanted]
            documents += others[: max(0, limits.documents - len(documents))]
            left_out = len(judged) - len(queries)
        else:
            pairs = read_source(Source(path=str(source), limit=limits.queries))
            report = find_overlap(pairs, list(evaluated))
            kept = report.without(pairs)
            left_out = len(pairs) - len(kept)
            documents, queries, qrels = _as_collection(joined([kept]))
        name = source.name.split(".")[0]
        if not queries:
            raise InputError(f"{source}: all its queries are evaluated; choose other sources")
        if left_out:
            notes.append(f"{name}: {left_out} training queries are evaluated, and left out")
        chosen: Qrels = {query.query_id: qrels[query.query_id] for query in queries}
        folders.append(written_beir(out / name, documents, queries, chosen, "train"))
    return folders, notes


def _as_collection(pairs: Pairs) -> tuple[list[Document], list[Query], Qrels]:
    """Rows as documents, queries and judgements; known negatives are judged 0."""
    documents = [
        Document(str(row), text) for row, text in enumerate(pairs.documents) if text.strip()
    ]
    queries = [Query(str(row), text) for row, text in enumerate(pairs.queries)]
    qrels: Qrels = {}
    for row, positive in enumerate(pairs.positives.tolist()):
        grades = {str(other): 0 for other in pairs.negatives[row].tolist()}
        if positive != NO_ROW:
            grades[str(positive)] = 1
        qrels[str(row)] = grades
    return documents, queries, qrels
