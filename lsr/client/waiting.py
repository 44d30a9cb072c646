"""Waiting for the end of a task."""

from __future__ import annotations

from lsr.client.call import Call, Flow, Pause, part, record
from lsr.client.problems import problem_error
from lsr.client.resources import Task
from lsr.errors import ServiceError, TaskCancelledError

__all__ = ["ended", "task_call"]

_FIRST_SECONDS, _MOST_SECONDS = 0.05, 2.0


def task_call(task_id: str) -> Call[Task]:
    """The state of a task. Raises NotFoundError."""
    return Call("GET", f"/v1/tasks/{part(task_id)}", record(Task), repeatable=True)


def ended(task: Task, timeout: float | None) -> Flow[Task]:
    """The task when it is done.

    Args:
        timeout: seconds to wait at most, or None.

    Raises:
        ServiceError: it is still at work, or has failed.
        TaskCancelledError: it was cancelled.
    """
    waited, pause = 0.0, _FIRST_SECONDS
    while not task.has_ended:
        if timeout is not None and waited >= timeout:
            raise ServiceError(
                f"task {task.id} ({task.kind}) is still {task.status} after {timeout:g} s; it goes "
                "on, ask again later"
            )
        yield Pause(pause)
        waited, pause = waited + pause, min(_MOST_SECONDS, pause * 1.5)
        task = yield task_call(task.id)
    if task.status == "cancelled":
        raise TaskCancelledError(f"task {task.id} ({task.kind}) was cancelled")
    if task.status == "failed":
        raise problem_error({"detail": task.error or f"task {task.id} ({task.kind}) failed"}, 500)
    return task
