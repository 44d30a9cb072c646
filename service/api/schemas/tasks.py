"""Schemas of tasks and snapshots."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from lsr.service.tasks import TaskKind, TaskStatus

__all__ = [
    "RestoreAnswer",
    "RestoreBody",
    "SnapshotBody",
    "SnapshotSaid",
    "Snapshots",
    "TaskSaid",
    "Tasks",
    "VerifyAnswer",
]

_STRICT = ConfigDict(extra="forbid", strict=True)


class Progress(BaseModel):
    """The stage a task is at."""

    stage: str = Field(description="What is done now.", examples=["merge"])
    done: int = Field(description="Units done in this stage.")
    total: int | None = Field(description="Units in all, where known.")


class TaskSaid(BaseModel):
    """A piece of long work."""

    id: str = Field(description="To ask again with.", examples=["9f86d081884c7d65"])
    kind: TaskKind = Field(description="What is done.")
    collection: str = Field(description="The collection it is done to.", examples=["birds"])
    status: TaskStatus = Field(description="How it stands.")
    progress: Progress | None = Field(description="How far it is.")
    created: datetime = Field(description="When it was asked for, UTC.")
    started: datetime | None = Field(description="When it began.")
    ended: datetime | None = Field(description="When it ended.")
    error: str | None = Field(description="What is wrong and what to do, when it has failed.")
    result: dict[str, Any] = Field(description="What came of it, when it is done.")


class Tasks(BaseModel):
    """Tasks, the newest first."""

    tasks: list[TaskSaid] = Field(description="Those that are remembered.")


class SnapshotBody(BaseModel):
    """A snapshot to be made."""

    model_config = _STRICT

    name: str | None = Field(
        default=None,
        description="1 to 64 of a-z, 0-9, `_`, `-`; the time when left out.",
        examples=["monday"],
    )


class SnapshotSaid(BaseModel):
    """A snapshot."""

    name: str = Field(description="Its name.", examples=["monday"])
    created: datetime | None = Field(description="When it was made, UTC.")
    generation: int | None = Field(description="Of the collection.")
    n_documents: int | None = Field(description="Published documents.")
    seq: int | None = Field(description="The last operation that is in it.")
    size_bytes: int | None = Field(description="Bytes of its files.")
    error: str | None = Field(description="What is wrong, where it cannot be read.")


class Snapshots(BaseModel):
    """The snapshots of a collection."""

    snapshots: list[SnapshotSaid] = Field(description="In order of name.")


class VerifyAnswer(BaseModel):
    """Whether a snapshot is as it was written."""

    snapshot: str = Field(description="Its name.")
    is_intact: bool = Field(description="Whether every byte is.")
    damage: list[str] = Field(description="A sentence for each file that is not.")


class RestoreBody(BaseModel):
    """A snapshot to be put back."""

    model_config = _STRICT

    snapshot: str = Field(description="Its name.", examples=["monday"])
    collection: str | None = Field(
        default=None, description="Whose snapshot it is, where it is of another collection."
    )


class RestoreAnswer(BaseModel):
    """A collection that was put back."""

    collection: str = Field(description="Its name.")
    snapshot: str = Field(description="The snapshot's name.")
    n_documents: int = Field(description="Published documents.")
