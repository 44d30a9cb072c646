"""`Worker`: long work on a collection in a process of its own, so that searches keep theirs.

The child reads a line of JSON for each task and answers in lines: progress, and then a result or
an error. It ends when its parent does. Killing it is safe at any moment: a change of a collection
is visible as a whole, or not at all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lsr import errors
from lsr.encoders.protocols import Encoder
from lsr.errors import LsrError, StorageError, TaskCancelledError
from lsr.machine import WINDOWS
from lsr.progress import Progress, no_progress

__all__ = ["Tasks", "Worker", "serve_tasks"]


class Worker:
    """A child process that does one task at a time. It is started with the first.

    Args:
        collection: the folder that it works on.
    """

    def __init__(self, collection: Path) -> None:
        self._collection = collection
        self._process: subprocess.Popen[bytes] | None = None
        self._busy = threading.Lock()
        self._closed = False

    def run(
        self, task: str, options: Mapping[str, Any] | None = None, progress: Progress = no_progress
    ) -> dict[str, Any]:
        """Do a task, and wait for its end; another that runs is waited for first.

        Args:
            task: one of those that `serve_tasks` knows.
            options: what it takes, as JSON.

        Raises:
            TaskCancelledError: the process was killed.
            LsrError: what the task raised.
        """
        with self._busy:
            if self._closed:
                raise TaskCancelledError("the collection is being closed; nothing was changed")
            process = self._started()
            try:
                answer = self._asked(process, task, options or {}, progress)
            except BaseException:  # of the caller's progress: the next task must not hear of it
                self._forget()
                raise
            if answer is None:
                self._forget()
                raise TaskCancelledError(f"the task {task} was stopped; nothing was changed")
        if "error" in answer:
            raise _error(answer["error"], answer["message"])
        result: dict[str, Any] = answer["result"]
        return result

    def _asked(
        self,
        process: subprocess.Popen[bytes],
        task: str,
        options: Mapping[str, Any],
        progress: Progress,
    ) -> dict[str, Any] | None:
        """The last line that a process says of a task; None when it was killed."""
        assert process.stdin is not None
        assert process.stdout is not None
        line = json.dumps({"task": task, "options": dict(options)})
        with suppress(BrokenPipeError):
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
            for text in process.stdout:
                if not text.endswith(b"\n"):
                    break  # it was killed in the middle of a word
                answer: dict[str, Any] = json.loads(text)
                if "progress" not in answer:
                    return answer
                progress(*answer["progress"])
        return None

    def cancel(self) -> None:
        """Kill the process, and with it the task that runs."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """Kill the process; there will be no other."""
        self._closed = True
        self.cancel()
        with self._busy:
            self._forget()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._forget()
            code = "from lsr.index.live.worker import serve_tasks; serve_tasks()"
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, str(self._collection)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # a Ctrl-C for the service is not for its child
                start_new_session=not WINDOWS,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        return self._process

    def _forget(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        process.wait()


def serve_tasks() -> None:
    """Do the tasks that come on standard input; the life of the child process."""
    collection = Path(sys.argv[1])
    lines = _lines_until_death()
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever else is printed must not come between the answers
    tasks = Tasks(collection)

    def progress(stage: str, done: int, total: int | None) -> None:
        answers.write(json.dumps({"progress": [stage, done, total]}).encode() + b"\n")

    while True:
        request = json.loads(lines())
        try:
            answer: dict[str, Any] = {"result": tasks.run(request, progress)}
        except LsrError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        except Exception as error:  # noqa: BLE001
            answer = {"error": "LsrError", "message": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer).encode() + b"\n")


class Tasks:
    """Work of the child process, task by task."""

    def __init__(self, collection: Path) -> None:
        self._collection = collection
        self._encoder: Encoder | None = None

    def run(self, request: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """Do a task; see `Worker.run`. Returns its result."""
        from lsr.index.collection.update import merge_segments
        from lsr.index.live.publication import publish_log

        if request["task"] == "publish":
            encoder, self._encoder = self._encoder, None  # one that fails has learned half
            manifest, grown = publish_log(self._collection, encoder=encoder, progress=progress)
            self._encoder = grown or encoder
            return {"generation": manifest.generation, "log_seq": manifest.log_seq}
        if request["task"] == "merge":
            change = merge_segments(self._collection, progress=progress)
            return {"generation": change.manifest.generation, "n_merged": change.n_merged}
        raise StorageError(f"there is no task {request['task']!r}")


def _lines_until_death() -> Callable[[], bytes]:
    """A function that gives the next line of standard input; the process ends with that."""
    lines: list[bytes] = []
    there = threading.Semaphore(0)

    def read() -> None:
        for line in sys.stdin.buffer:
            lines.append(line)
            there.release()
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()

    def following() -> bytes:
        there.acquire()
        return lines.pop(0)

    return following


def _error(name: str, message: str) -> LsrError:
    kind = getattr(errors, name, LsrError)
    if issubclass(kind, errors.DataError):
        kind = errors.InputError  # its constructor takes more
    error: LsrError = kind(message)
    return error
