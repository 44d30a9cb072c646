"""Routes of tasks."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from lsr.service.api.bodies import refused
from lsr.service.api.schemas import tasks as task_schemas
from lsr.service.api.schemas.tasks import TaskSaid
from lsr.service.tasks import Task, Tasks

__all__ = ["task_said", "tasks_router"]


def tasks_router(tasks: Tasks) -> APIRouter:
    """`/v1/tasks`."""
    router = APIRouter(prefix="/v1/tasks", tags=["tasks"])

    @router.get("", summary="List the tasks, the newest first", responses=refused(422, 500))
    def list_tasks(
        collection: Annotated[str | None, Query(description="Only those of this one.")] = None,
        limit: Annotated[int, Query(ge=1, le=1_000, description="Most tasks.")] = 100,
    ) -> task_schemas.Tasks:
        found = tasks.all(collection)[:limit]
        return task_schemas.Tasks(tasks=[task_said(task) for task in found])

    @router.get("/{task_id}", summary="How a task stands", responses=refused(404, 422, 500))
    def read_task(task_id: str) -> TaskSaid:
        return task_said(tasks.get(task_id))

    @router.delete(
        "/{task_id}",
        summary="Cancel a task; one that runs ends a little later",
        responses=refused(404, 409, 422, 500),
    )
    def cancel_task(task_id: str) -> TaskSaid:
        return task_said(tasks.cancel(task_id))

    return router


def task_said(task: Task) -> TaskSaid:
    """A task as answers have it."""
    return TaskSaid.model_validate(asdict(task))
