"""`RayTasks`: the tasks of a build on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lsr.backend.ray.connection import connect
from lsr.backend.ray.faults import ours
from lsr.backend.ray.package import ray
from lsr.backend.ray.worker import own_version, run_task
from lsr.errors import ServiceError, StorageError

__all__ = ["RayTasks"]

Result = TypeVar("Result")
RETRIES = 3


class RayTasks:
    """Tasks on a Ray cluster, all at once; those whose worker is lost are done again.

    Args:
        address: of the cluster, see `connect`.

    Raises:
        InputError, ServiceError: as `connect`.
    """

    def __init__(self, address: str | None = None) -> None:
        connect(address)

    def map(
        self,
        function: Callable[..., Result],
        arguments: Sequence[tuple[Any, ...]],
        report: Callable[[int], None],
    ) -> list[Result]:
        """See `Tasks`. The first error, or an interrupt, cancels the tasks that are left.

        Raises:
            LsrError: what a task raised.
            StorageError: a node does not see the folder.
            ServiceError: a node has another version of lsr, or a task ends on none.
        """
        task = ray.remote(run_task).options(max_retries=RETRIES, scheduling_strategy="SPREAD")
        wanted = own_version()
        places = {
            task.remote(wanted, function, given): place for place, given in enumerate(arguments)
        }
        results: dict[int, Result] = {}
        waiting = list(places)
        try:
            while waiting:
                ready, waiting = ray.wait(waiting)
                for each in ready:
                    results[places[each]] = _result(each)
                report(len(results))
        finally:
            for each in places:
                if places[each] not in results:
                    ray.cancel(each, force=True)
        return [results[place] for place in range(len(arguments))]


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        found = ours(error)
        if isinstance(found, FileNotFoundError):
            raise StorageError(
                f"a Ray node does not find {found.filename}; build in a folder that all nodes see "
                "under one path, such as one of NFS"
            ) from error
        raise found from error
    except ray.exceptions.RayError as error:
        raise ServiceError(
            f"a task of the build was lost {RETRIES + 1} times ({ours(error)}); build again, and "
            "it goes on where it stopped"
        ) from error
