"""`Tasks`: long work on collections, one piece at a time for each, with progress and cancel.

A line a task stands in a database, so that after a restart those that were at work are there as
failed ones, and the last thousand can be asked about.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

from lsr.errors import ConflictError, LsrError, NotFoundError, StorageError
from lsr.machine import is_alive

__all__ = [
    "TASKS_FILE",
    "Cancelled",
    "Job",
    "Task",
    "TaskKind",
    "TaskProgress",
    "TaskStatus",
    "Tasks",
]

TaskKind = Literal["publish", "merge", "snapshot", "restore", "rebuild", "calibrate"]
TaskStatus = Literal["waiting", "running", "done", "failed", "cancelled"]

TASKS_FILE = "tasks.sqlite"
"""In the folder of collections."""

HISTORY = 1_000
"""Tasks that are remembered; older ones that have ended are forgotten first."""

WAITING = 100
"""Tasks that may wait."""

_AT_ONCE = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    task_id TEXT PRIMARY KEY,
    owner INTEGER NOT NULL,
    status TEXT NOT NULL,
    body TEXT NOT NULL
)
"""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskProgress:
    """The stage that a task is at, units done, and units in all where known."""

    stage: str
    done: int
    total: int | None


@dataclass(frozen=True)
class Task:
    """A piece of long work. Times are UTC, ISO 8601.

    Attributes:
        result: told by the work when it is done.
        error: one or two sentences, when it has failed.
    """

    id: str
    kind: TaskKind
    collection: str
    status: TaskStatus
    created: str
    progress: TaskProgress | None = None
    started: str | None = None
    ended: str | None = None
    error: str | None = None
    result: Mapping[str, object] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ("done", "failed", "cancelled")


class Cancelled(Exception):  # noqa: N818
    """The task was cancelled."""


class Job:
    """A running task as its work sees it."""

    def __init__(self, told: Callable[[TaskProgress], None]) -> None:
        self._told = told
        self._cancel = threading.Event()
        self._killers: list[Callable[[], None]] = []

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody wants it to end."""
        return self._cancel.is_set()

    def cancel(self) -> None:
        """Ask it to end; it does so at its next report, or is killed."""
        self._cancel.set()
        for kill in self._killers:
            kill()

    def on_cancel(self, kill: Callable[[], None]) -> None:
        """Call this when it shall end, so that what another process does ends too."""
        self._killers.append(kill)
        if self.is_cancelled:
            kill()

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Report. Raises Cancelled when the task shall end."""
        if self.is_cancelled:
            raise Cancelled("the task was cancelled")
        self._told(TaskProgress(stage, done, total))


Work = Callable[[Job], Mapping[str, object]]


class Tasks:
    """The tasks of a service. All methods may be called from many threads.

    Args:
        history: file of the database, opened when it is first needed; None to remember nothing
            beyond this process.

    Raises:
        StorageError: the file cannot be written (from every method).
    """

    def __init__(self, history: Path | None = None) -> None:
        self._lock = threading.Condition()
        self._works: dict[str, Work] = {}
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, Task] = {}
        self._threads: set[threading.Thread] = set()
        self._is_open = True
        self._history = history
        self._connection: sqlite3.Connection | None = None

    @property
    def _database(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = sqlite3.connect(
                    self._history or ":memory:",
                    check_same_thread=False,
                    isolation_level=None,
                    timeout=10,
                )
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute(_SCHEMA)
            except sqlite3.Error as error:
                raise StorageError(f"{self._history} cannot be written ({error})") from error
            self._end_interrupted()
        return self._connection

    def start(self, kind: TaskKind, collection: str, work: Work) -> Task:
        """Queue work; it begins when nothing is done to the same collection.

        Raises:
            ConflictError: too many wait already, or the service stops.
        """
        with self._lock:
            if not self._is_open:
                raise ConflictError("the service is stopping and begins nothing new; ask later")
            if len(self._works) >= WAITING:
                raise ConflictError(
                    f"{WAITING} tasks wait already; wait until some have ended, or cancel them"
                )
            task = Task(secrets.token_hex(8), kind, collection, "waiting", _now())
            self._works[task.id] = work
            self._store(task)
            self._forget()
            self._dispatch()
            return self._tasks[task.id]

    def get(self, task_id: str) -> Task:
        """A task. Raises NotFoundError when there is none of that id."""
        with self._lock:
            if task_id in self._tasks:
                return self._tasks[task_id]
            found = self._read("WHERE task_id = ?", task_id)
            if not found:
                raise NotFoundError(f"there is no task {task_id[:64]!r}; it may be too old")
            return found[0]

    def all(self, collection: str | None = None) -> list[Task]:
        """All tasks that are remembered, the newest first."""
        with self._lock:
            found = [self._tasks.get(task.id, task) for task in self._read("")]
        found.sort(key=lambda task: (task.created, task.id), reverse=True)
        return [task for task in found if collection in (None, task.collection)]

    def cancel(self, task_id: str) -> Task:
        """Ask a task to end. One that waits never begins.

        Raises:
            NotFoundError: there is none of that id.
            ConflictError: it has ended, or another process does it.
        """
        task = self.get(task_id)
        with self._lock:
            task = self._tasks.get(task_id, task)
            if task.has_ended:
                raise ConflictError(f"the task {task_id} has ended already: it is {task.status}")
            if task_id in self._works:
                del self._works[task_id]
                self._store(replace(task, status="cancelled", ended=_now()))
            elif task_id in self._jobs:
                self._jobs[task_id].cancel()
            else:
                raise ConflictError(
                    f"the task {task_id} is done by another process of this service; ask it again"
                )
            return self._tasks[task_id]

    def wait(self, task_id: str, timeout: float) -> Task:
        """A task when it has ended, or when `timeout` seconds have passed."""
        with self._lock:
            self._lock.wait_for(lambda: self.get(task_id).has_ended, timeout)
            return self.get(task_id)

    def close(self) -> None:
        """Cancel what runs and what waits, and wait for it."""
        with self._lock:
            self._is_open = False
            for task_id in list(self._works):
                self.cancel(task_id)
            for job in self._jobs.values():
                job.cancel()
            threads = list(self._threads)
        for thread in threads:
            thread.join()
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _dispatch(self) -> None:
        """Begin what can begin. Under the lock."""
        for task_id in list(self._works):
            busy = {self._tasks[each].collection for each in self._jobs}
            task = self._tasks[task_id]
            if len(self._jobs) >= _AT_ONCE or task.collection in busy:
                continue
            work = self._works.pop(task_id)
            job = self._jobs[task_id] = Job(partial(self._told, task_id))
            self._store(replace(task, status="running", started=_now()))
            thread = threading.Thread(
                target=self._run, args=(task_id, job, work), name=f"lsr-task-{task.kind}"
            )
            self._threads.add(thread)
            thread.start()

    def _run(self, task_id: str, job: Job, work: Work) -> None:
        status: TaskStatus = "failed"
        error: str | None = None
        result: Mapping[str, object] = {}
        try:
            result = work(job)
            status = "done"
        except Cancelled:
            status = "cancelled"
        except LsrError as known:
            error = str(known)
            if job.is_cancelled:
                status, error = "cancelled", None
        except Exception:  # noqa: BLE001
            _log.exception("unexpected error in task %s", task_id)
            error = "something went wrong inside the service; its log says more"
        with self._lock:
            ended = replace(self._tasks[task_id], status=status, ended=_now())
            with suppress(StorageError):
                self._store(replace(ended, error=error, result=dict(result)))
            del self._jobs[task_id]
            self._threads.discard(threading.current_thread())
            self._dispatch()
            self._lock.notify_all()

    def _told(self, task_id: str, progress: TaskProgress) -> None:
        with self._lock:
            self._tasks[task_id] = replace(self._tasks[task_id], progress=progress)

    def _store(self, task: Task) -> None:
        self._tasks[task.id] = task
        try:
            self._database.execute(
                "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?)",
                (task.id, os.getpid(), task.status, json.dumps(asdict(task))),
            )
        except sqlite3.Error as error:
            raise StorageError(f"the tasks cannot be written down ({error})") from error

    def _read(self, where: str, *values: object) -> list[Task]:
        lines = self._database.execute(f"SELECT body FROM tasks {where}", values).fetchall()
        return [_task_of(body) for (body,) in lines]

    def _forget(self) -> None:
        """Forget the oldest that have ended, beyond `HISTORY`."""
        tasks = self.all()
        for task in [task for task in tasks if task.has_ended][HISTORY:]:
            self._tasks.pop(task.id, None)
            self._database.execute("DELETE FROM tasks WHERE task_id = ?", (task.id,))

    def _end_interrupted(self) -> None:
        """Mark as failed what a process did that is not there any more."""
        lines = self._database.execute(
            "SELECT owner, body FROM tasks WHERE status IN ('waiting', 'running')"
        ).fetchall()
        for owner, body in lines:
            if owner == os.getpid() or not is_alive(owner):
                why = "the service was stopped before it was done; start it again"
                self._store(replace(_task_of(body), status="failed", ended=_now(), error=why))


def _task_of(body: str) -> Task:
    values = json.loads(body)
    progress = values.pop("progress")
    return Task(**values, progress=TaskProgress(**progress) if progress else None)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
