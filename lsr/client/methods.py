"""Methods of clients made from those that make requests, so that each is written once.

`sent(CollectionCalls.search)` in a class body is a method `search` with the same arguments that
sends the request and gives its result; `awaited` gives that of an asynchronous client.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from lsr.client.call import Call, Flow

__all__ = [
    "AsyncRunner",
    "AsyncSender",
    "Runner",
    "Sender",
    "awaited",
    "awaited_flow",
    "sent",
    "sent_flow",
]

C = TypeVar("C")
P = ParamSpec("P")
T = TypeVar("T")


class Runner(Protocol):
    """Sends requests and waits for their answers."""

    def call(self, call: Call[T], /) -> T:
        """The result of a request."""
        ...

    def run(self, flow: Flow[T], /) -> T:
        """The result of several."""
        ...


class AsyncRunner(Protocol):
    """Sends requests and gives their answers later."""

    async def call(self, call: Call[T], /) -> T:
        """The result of a request."""
        ...

    async def run(self, flow: Flow[T], /) -> T:
        """The result of several."""
        ...


class Sender(Generic[C]):
    """Part of a client: what makes its requests, and what sends them."""

    _calls: C
    _runner: Runner


class AsyncSender(Generic[C]):
    """The same for an asynchronous client."""

    _calls: C
    _runner: AsyncRunner


def sent(make: Callable[Concatenate[C, P], Call[T]]) -> Callable[Concatenate[Sender[C], P], T]:
    """The method that sends the request that `make` makes."""

    def method(self: Sender[C], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._runner.call(make(self._calls, *args, **kwargs))

    return _told(method, make)


def sent_flow(
    make: Callable[Concatenate[C, P], Flow[T]],
) -> Callable[Concatenate[Sender[C], P], T]:
    """The method that sends the requests that `make` makes."""

    def method(self: Sender[C], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._runner.run(make(self._calls, *args, **kwargs))

    return _told(method, make)


def awaited(
    make: Callable[Concatenate[C, P], Call[T]],
) -> Callable[Concatenate[AsyncSender[C], P], Coroutine[Any, Any, T]]:
    """The asynchronous method that sends the request that `make` makes."""

    async def method(self: AsyncSender[C], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._runner.call(make(self._calls, *args, **kwargs))

    return _told(method, make)


def awaited_flow(
    make: Callable[Concatenate[C, P], Flow[T]],
) -> Callable[Concatenate[AsyncSender[C], P], Coroutine[Any, Any, T]]:
    """The asynchronous method that sends the requests that `make` makes."""

    async def method(self: AsyncSender[C], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._runner.run(make(self._calls, *args, **kwargs))

    return _told(method, make)


M = TypeVar("M", bound=Callable[..., Any])


def _told(method: M, make: Callable[..., Any]) -> M:
    """The method with the name, arguments and docstring of what it is made from."""
    signature = inspect.signature(make)
    returned = str(signature.return_annotation)
    inner = returned[returned.find("[") + 1 : -1] if returned.endswith("]") else returned
    setattr(method, "__signature__", signature.replace(return_annotation=inner))  # noqa: B010
    method.__doc__ = make.__doc__
    method.__name__ = make.__name__
    method.__qualname__ = make.__name__
    return method
