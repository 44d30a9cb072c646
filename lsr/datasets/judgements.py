"""Judgements as files have them: header lines, grades, and pairs that are judged twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lsr.errors import DataError
from lsr.types import Qrel, Qrels

__all__ = ["add_judgement", "is_header", "whole_grade"]

_GRADE_NAMES = ("score", "rel", "relevance", "grade", "label", "judgement", "judgment", "qrel")


def is_header(fields: Sequence[str]) -> bool:
    """Whether the fields of a first line name columns: the last is a name of the grade."""
    return bool(fields) and fields[-1].strip().casefold() in _GRADE_NAMES


def whole_grade(text: str, path: Path, number: int) -> int:
    """The grade that a text says, such as `1`, `1.0` or `-2`.

    Args:
        path, number: its file and line, for the message.

    Raises:
        DataError: it is no whole number.
    """
    try:
        value = float(text)
        if value.is_integer():
            return int(value)
    except ValueError:
        pass
    raise DataError(f"grade {text.strip()!r} is not a whole number", path=path, line=number)


def add_judgement(qrels: Qrels, qrel: Qrel, path: Path, number: int) -> None:
    """Put a judgement with the others.

    Raises:
        DataError: the document has another grade for the query already.
    """
    grades = qrels.setdefault(qrel.query_id, {})
    before = grades.setdefault(qrel.doc_id, qrel.relevance)
    if before != qrel.relevance:
        raise DataError(
            f"document {qrel.doc_id!r} has grade {qrel.relevance} for query {qrel.query_id!r}, "
            f"and grade {before} further up; keep one of them",
            path=path,
            line=number,
        )
