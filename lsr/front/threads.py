"""Work on threads: awaited by an event loop, or shared out over many queries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import update_wrapper
from typing import Any, ParamSpec, TypeVar

from lsr.errors import QueryError
from lsr.progress import ProgressLike, reported

__all__ = ["awaited", "each_on_threads"]

P = ParamSpec("P")
Result = TypeVar("Result")
Item = TypeVar("Item")


def awaited(
    method: Callable[P, Result], name: str, doc: str
) -> Callable[P, Coroutine[Any, Any, Result]]:
    """A method that does the same on a thread of the event loop's, in the caller's context.

    Cancelled, it returns at once; the thread ends what it does, and its result is dropped.

    Args:
        name, doc: of the new method.
    """

    async def run(*args: P.args, **kwargs: P.kwargs) -> Result:
        return await asyncio.to_thread(method, *args, **kwargs)

    update_wrapper(run, method)  # its arguments, which notebooks show
    run.__name__, run.__doc__ = name, doc
    run.__qualname__ = f"{method.__qualname__.rpartition('.')[0]}.{name}"
    return run


def each_on_threads(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    n_threads: int,
    progress: ProgressLike,
) -> list[Result]:
    """The results of all items, in order; the first error ends it.

    Args:
        progress: told of the stage "search".

    Raises:
        QueryError: `n_threads` is below 1.
    """
    if n_threads < 1:
        raise QueryError(f"{n_threads} threads; at least 1 is needed")
    done: list[Result] = []
    with reported(progress) as report:
        report("search", 0, len(items))
        for result in _results(work, items, n_threads):
            done.append(result)
            report("search", len(done), len(items))
    return done


def _results(
    work: Callable[[Item], Result], items: Sequence[Item], n_threads: int
) -> Iterator[Result]:
    if n_threads == 1 or len(items) < 2:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            yield from pool.map(work, items)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
