"""Tasks: one at a time for a collection, cancelled, remembered over a restart, bounded."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from lsr.errors import ConflictError, InputError, NotFoundError
from lsr.service import tasks as module
from lsr.service.tasks import Job, Tasks

WAIT = 30.0


@pytest.fixture
def tasks(tmp_path: Path) -> Iterator[Tasks]:
    made = Tasks(tmp_path / "tasks.sqlite")
    yield made
    made.close()


def test_a_task_runs_and_tells_its_result(tasks: Tasks) -> None:
    def work(job: Job) -> Mapping[str, object]:
        job.progress("encode", 3, 10)
        return {"n": 5}

    begun = tasks.start("merge", "birds", work)
    assert begun.status in ("waiting", "running", "done")
    done = tasks.wait(begun.id, WAIT)
    assert (done.status, done.result, done.error) == ("done", {"n": 5}, None)
    assert done.progress is not None
    assert (done.progress.stage, done.progress.done, done.progress.total) == ("encode", 3, 10)
    assert done.started is not None
    assert done.ended is not None
    assert done.created <= done.started <= done.ended
    assert tasks.all() == [done]
    assert tasks.all("fish") == []


def test_one_at_a_time_for_a_collection_and_cancel(tasks: Tasks) -> None:
    go_on, running, order = threading.Event(), threading.Event(), []

    def slow(job: Job) -> Mapping[str, object]:
        running.set()
        go_on.wait(WAIT)
        job.progress("late", 1, None)
        order.append("first")
        return {}

    first = tasks.start("merge", "birds", slow)

    def quick(name: str) -> Mapping[str, object]:
        order.append(name)
        return {}

    second = tasks.start("publish", "birds", lambda job: quick("second"))
    third = tasks.start("publish", "birds", lambda job: quick("third"))
    other = tasks.start("publish", "fish", lambda job: {})
    assert running.wait(WAIT)
    assert tasks.wait(other.id, WAIT).status == "done"
    assert tasks.get(second.id).status == "waiting"
    assert tasks.cancel(second.id).status == "cancelled"
    go_on.set()
    assert tasks.wait(third.id, WAIT).status == "done"
    assert tasks.get(first.id).status == "done"
    assert order == ["first", "third"]
    with pytest.raises(ConflictError, match="has ended already"):
        tasks.cancel(first.id)
    with pytest.raises(NotFoundError):
        tasks.cancel("x")


def test_running_work_is_cancelled_at_its_next_report(tasks: Tasks) -> None:
    running = threading.Event()

    def endless(job: Job) -> Mapping[str, object]:
        while True:
            job.progress("merge", 0, None)
            running.set()

    task = tasks.start("merge", "birds", endless)
    assert running.wait(WAIT)
    tasks.cancel(task.id)
    assert tasks.wait(task.id, WAIT).status == "cancelled"


def test_failures(tasks: Tasks, caplog: pytest.LogCaptureFixture) -> None:
    def refused(job: Job) -> Mapping[str, object]:
        raise InputError("no blocks")

    def broken(job: Job) -> Mapping[str, object]:
        raise RuntimeError("secret")

    known = tasks.wait(tasks.start("calibrate", "a", refused).id, WAIT)
    assert (known.status, known.error) == ("failed", "no blocks")
    unknown = tasks.wait(tasks.start("calibrate", "a", broken).id, WAIT)
    assert unknown.status == "failed"
    assert "secret" not in (unknown.error or "")
    assert "secret" in caplog.text


def test_too_many_wait(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 2)
    go_on = threading.Event()

    def slow(job: Job) -> Mapping[str, object]:
        go_on.wait(WAIT)
        return {}

    for _ in range(3):
        tasks.start("merge", "birds", slow)
    with pytest.raises(ConflictError, match="2 tasks wait already"):
        tasks.start("merge", "birds", slow)
    go_on.set()


def test_the_history_is_bounded(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HISTORY", 3)
    begun = [tasks.wait(tasks.start("merge", "a", lambda job: {}).id, WAIT).id for _ in range(6)]
    kept = {task.id for task in tasks.all()}
    assert len(kept) <= 4
    assert set(begun[-3:]) <= kept


def test_a_restart_shows_what_was_interrupted(tmp_path: Path) -> None:
    code = f"""
import os, threading
from pathlib import Path
from lsr.service.tasks import Tasks
tasks = Tasks(Path({str(tmp_path / "tasks.sqlite")!r}))
done = tasks.start("merge", "fish", lambda job: {{"n": 1}})
tasks.wait(done.id, 30)
running = threading.Event()
def work(job):
    running.set()
    threading.Event().wait()
tasks.start("merge", "birds", work)
tasks.start("snapshot", "birds", work)
running.wait(30)
os.kill(os.getpid(), 9)
"""
    died = subprocess.run([sys.executable, "-c", code], check=False)
    assert died.returncode == -9
    again = Tasks(tmp_path / "tasks.sqlite")
    found = {(task.kind, task.collection): task for task in again.all()}
    assert found["merge", "fish"].status == "done"
    assert found["merge", "fish"].result == {"n": 1}
    for kind in ("merge", "snapshot"):
        task = found[kind, "birds"]
        assert task.status == "failed"
        assert "stopped before it was done" in (task.error or "")
    again.close()


def test_another_process_that_lives_keeps_its_tasks(tmp_path: Path) -> None:
    go_on = threading.Event()

    def slow(job: Job) -> Mapping[str, object]:
        go_on.wait(WAIT)
        return {}

    first = Tasks(tmp_path / "tasks.sqlite")
    task = first.start("merge", "birds", slow)
    code = f"""
from pathlib import Path
from lsr.service.tasks import Tasks
tasks = Tasks(Path({str(tmp_path / "tasks.sqlite")!r}))
print(*(task.status for task in tasks.all()), tasks.get({task.id!r}).status)
tasks.close()
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["running", "running"]
    go_on.set()
    assert first.wait(task.id, WAIT).status == "done"
    first.close()
    assert os.getpid()
