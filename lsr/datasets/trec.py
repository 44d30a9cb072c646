"""TREC run and judgement files: reading and writing.

A run line is `query_id Q0 doc_id rank score tag`; a judgement line is `query_id 0 doc_id grade`.
Identifiers must hold no blanks: the format has no way to write them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from lsr.datasets.judgements import add_judgement, is_header, whole_grade
from lsr.datasets.lines import numbered_lines
from lsr.errors import DataError, InputError
from lsr.files import is_text
from lsr.types import Qrel, Qrels, Run, ScoredDoc, ranked

__all__ = ["read_qrels", "read_run", "refuse_blanks", "write_qrels", "write_run"]


def read_qrels(path: Path) -> Qrels:
    """Read judgements, perhaps under a header line.

    Raises:
        DataError: names the line that has not four fields or no whole-number grade, or judges a
            document a second time otherwise.
    """
    qrels: Qrels = {}
    for number, fields in _fields(path, _JUDGEMENT):
        query_id, _, doc_id, grade = fields
        if number > 1 or not is_header(fields):
            qrel = Qrel(query_id, doc_id, whole_grade(grade, path, number))
            add_judgement(qrels, qrel, path, number)
    return qrels


def read_run(path: Path) -> Run:
    """Read a run; hits are put in score order, whatever the order of lines.

    Raises:
        DataError: names the line that has not six fields, no finite score, or repeats a document.
    """
    run: Run = {}
    seen: set[tuple[str, str]] = set()
    for number, (query_id, _, doc_id, _, score, _) in _fields(path, _HIT):
        try:
            value = float(score)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DataError(f"score {score!r} is not a finite number", path=path, line=number)
        if (query_id, doc_id) in seen:
            raise DataError(
                f"document {doc_id!r} twice for query {query_id!r}", path=path, line=number
            )
        seen.add((query_id, doc_id))
        run.setdefault(query_id, []).append(ScoredDoc(query_id, doc_id, value))
    return {query_id: ranked(hits) for query_id, hits in run.items()}


def write_run(path: Path, run: Run, tag: str) -> None:
    """Write a run, ranks from 1.

    Raises:
        InputError: an identifier or the tag holds a blank, or a score is not finite.
    """
    lines: list[str] = []
    for query_id, hits in run.items():
        for rank, hit in enumerate(hits, start=1):
            refuse_blanks(query_id, hit.doc_id, tag)
            if not math.isfinite(hit.score):
                raise InputError(
                    f"document {hit.doc_id!r} has score {hit.score} for query {query_id!r}; "
                    "a TREC file needs a finite number"
                )
            lines.append(f"{query_id} Q0 {hit.doc_id} {rank} {float(hit.score)!r} {tag}\n")
    path.write_text("".join(lines), encoding="utf-8")


def write_qrels(path: Path, qrels: Qrels) -> None:
    """Write judgements.

    Raises:
        InputError: an identifier holds a blank.
    """
    lines: list[str] = []
    for query_id, grades in qrels.items():
        for doc_id, grade in grades.items():
            refuse_blanks(query_id, doc_id)
            lines.append(f"{query_id} 0 {doc_id} {grade}\n")
    path.write_text("".join(lines), encoding="utf-8")


_HIT = "query_id Q0 doc_id rank score tag"
_JUDGEMENT = "query_id 0 doc_id grade"


def _fields(path: Path, columns: str) -> Iterator[tuple[int, list[str]]]:
    n_fields = len(columns.split())
    for number, line in numbered_lines(path):
        if line.strip():
            fields = line.split()
            if len(fields) != n_fields:
                raise DataError(
                    f"{len(fields)} fields where {n_fields} are needed ({columns})",
                    path=path,
                    line=number,
                )
            yield number, fields


def refuse_blanks(*identifiers: str) -> None:
    """Refuse identifiers that a TREC file cannot hold.

    Raises:
        InputError: one is empty, holds a blank, or is no text.
    """
    for identifier in identifiers:
        if not identifier or any(character.isspace() for character in identifier):
            raise InputError(f"{identifier!r} is empty or holds a blank; a TREC file cannot say it")
        if identifier.startswith("\ufeff") or not is_text(identifier):
            raise InputError(
                f"{identifier!r} starts with a byte-order mark or holds half a surrogate pair; "
                "a TREC file cannot say it"
            )
