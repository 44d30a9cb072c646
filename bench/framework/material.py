"""What a command line asks to be trained and measured on, read and cut."""

from __future__ import annotations

import argparse
from itertools import chain
from pathlib import Path
from typing import Any

from bench.framework.base import prepared_base
from bench.framework.beir_files import content_of_folder
from bench.framework.budget import Budget, TrainingRows
from bench.framework.experiment import DIGITS, Material
from bench.framework.rows import DataFolder, Limits, cut_evaluation, cut_training
from lsr.datasets.beir import BeirFolder
from lsr.errors import InputError
from lsr.evaluation.evaluate import DEFAULT_METRICS
from lsr.evaluation.suites import SuiteMember, members
from lsr.files import checksum
from lsr.progress import Progress

__all__ = ["given_material"]


def given_material(given: argparse.Namespace, budget: Budget, progress: Progress) -> Material:
    """Rows, collections and the base; what is cut is written to the work folder.

    Raises:
        InputError: neither --data nor both --train and --eval are given, or one cannot be used.
        DataError: a collection cannot be read.
    """
    if given.data is None and (given.train is None or given.eval is None):
        raise InputError("give --data FOLDER, or both --train SOURCES and --eval COLLECTIONS")
    listed = None if given.eval is None else given.eval.split(",")
    folders: list[Path] = []
    notes: list[str] = []
    if given.data is None:
        chosen = members(listed or [])
    else:
        data = DataFolder(given.data, listed)
        limits = Limits(given.max_documents, given.train_queries)
        read = {"sources": [str(each) for each in data.evaluated], "limits": vars(limits)}
        out = given.work / f"data-{checksum(read)[:DIGITS]}"
        measured = [cut_evaluation(each, limits, out / "test") for each in data.evaluated]
        chosen = [SuiteMember(str(each), DEFAULT_METRICS) for each in measured]
        if given.train is None:
            folders, notes = cut_training(data.sources(), data.evaluated, limits, out / "train")
    if given.train is None:
        rows = _of_folders(folders, notes)
    else:
        sources: list[dict[str, Any]] = [{"path": each} for each in given.train.split(",")]
        rows = TrainingRows(sources, None, checksum(sources))
    texts = [
        document.full_text
        for document in chain.from_iterable(BeirFolder(each).documents() for each in folders)
    ]
    name = checksum([budget.base, budget.layers, rows.sha256])[:DIGITS]
    given.work.mkdir(parents=True, exist_ok=True)
    base = prepared_base(budget.base, budget.layers, texts, given.work / f"base-{name}", progress)
    held = content_of_folder(base) if isinstance(base, Path) else base
    return Material(rows, chosen, folders, base, checksum(held), given.dense)


def _of_folders(folders: list[Path], notes: list[str]) -> TrainingRows:
    """Folders as sources that are drawn from alike, whatever their numbers of judgements."""
    sizes = []
    for folder in folders:
        qrels = BeirFolder(folder).qrels("train")
        sizes.append(sum(grade > 0 for grades in qrels.values() for grade in grades.values()))
        notes.append(f"trained on {len(qrels):,} queries of {folder.name}, {sizes[-1]:,} pairs")
    sources: list[dict[str, Any]] = [
        {"path": str(folder), "split": "train", "weight": max(sizes) / max(size, 1)}
        for folder, size in zip(folders, sizes, strict=True)
    ]
    return TrainingRows(
        sources, None, checksum([content_of_folder(each) for each in folders]), tuple(notes)
    )
