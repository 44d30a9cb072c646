"""Answers that are more than one record: lists, streams of statuses, nothing at all."""

from __future__ import annotations

import json
from dataclasses import dataclass

from lsr.client.answers import SearchAnswer
from lsr.client.call import RawAnswer
from lsr.client.documents import ChunkResult
from lsr.client.problems import problem_error
from lsr.client.records import read_record
from lsr.client.resources import Snapshot, Written
from lsr.errors import LsrError, ServiceError

__all__ = ["Snapshots", "answers", "nothing", "statuses"]


@dataclass(frozen=True)
class Snapshots:
    """All snapshots of a collection."""

    snapshots: list[Snapshot]


def nothing(answer: RawAnswer) -> None:
    """Read nothing."""


def answers(answer: RawAnswer) -> list[SearchAnswer | LsrError]:
    """Answers to several searches, each of which may have failed alone."""
    found: list[SearchAnswer | LsrError] = []
    for result in answer.json()["results"]:
        problem = result.get("problem")
        if problem is not None:
            found.append(problem_error(problem, int(problem.get("status", 500))))
        else:
            found.append(read_record(SearchAnswer, result.get("answer")))
    return found


def statuses(answer: RawAnswer) -> ChunkResult:
    """The status lines of a stream of documents, and the summary at its end.

    Raises:
        LsrError: something went wrong in between.
        ServiceError: the end is missing.
    """
    try:
        lines = [json.loads(line) for line in answer.body.split(b"\n") if line.strip()]
    except ValueError as error:
        raise ServiceError("the answer to a stream of documents is not JSON lines") from error
    if not lines or "n_written" not in lines[-1]:
        raise ServiceError(
            "the answer to a stream of documents ends early; send it again with the same key"
        )
    *results, summary = lines
    if "error" in summary:
        raise problem_error({"detail": summary["error"], "code": summary.get("code")}, 500)
    return ChunkResult(
        [read_record(Written, each) for each in results],
        int(summary.get("seq", 0)),
        summary.get("searchable"),
    )
