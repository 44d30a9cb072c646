"""`AsyncClient`: the same as `Client`, for programs with an event loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx

from lsr.client.address import Address, Lines, failure_of, raw_answer
from lsr.client.call import Call, Flow, Pause, RawAnswer
from lsr.client.collection_calls import CollectionCalls, Wait
from lsr.client.documents import MOST_LINES, Adding, new_key
from lsr.client.methods import AsyncSender, awaited, awaited_flow
from lsr.client.problems import error_of
from lsr.client.records import read_record
from lsr.client.resources import Added, StoredDocument, Written
from lsr.client.retry import Failure, Retry, exchange
from lsr.client.search_request import Fields
from lsr.client.service_calls import ServiceCalls
from lsr.types import Document

__all__ = ["AsyncClient", "AsyncRemoteCollection"]

T = TypeVar("T")

_PART_BYTES = 1 << 16


class AsyncConnection:
    """Sends requests, and sends them again where that may help."""

    def __init__(
        self, address: Address, retry: Retry, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.address = address
        self._retry = retry
        self._http = httpx.AsyncClient(
            headers=dict(address.headers), timeout=address.limits, transport=transport
        )

    async def call(self, call: Call[T], /) -> T:
        """The result of a request."""
        steps = exchange(call, self._retry)
        reply: RawAnswer | Failure | None = None
        try:
            while True:
                step = steps.send(reply)
                reply = None
                if step is None:
                    reply = await self._answer(call)
                else:
                    await asyncio.sleep(step.seconds)
        except StopIteration as end:
            result: T = end.value
            return result

    async def run(self, flow: Flow[T], /) -> T:
        """The result of several requests."""
        reply: Any = None
        try:
            while True:
                step = flow.send(reply)
                reply = None
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                else:
                    reply = await self.call(step)
        except StopIteration as end:
            result: T = end.value
            return result

    async def parts(self, call: Call[Any]) -> AsyncIterator[bytes]:
        """The body of an answer in parts. Raises LsrError."""
        request = self.address.request(self._http, call)
        try:
            answer = await self._http.send(request, stream=True)
            try:
                if answer.status_code != 200:
                    await answer.aread()
                    raise error_of(raw_answer(answer))
                async for part in answer.aiter_bytes():
                    yield part
            finally:
                await answer.aclose()
        except httpx.HTTPError as error:
            raise failure_of(error, self.address).error from error

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _answer(self, call: Call[Any]) -> RawAnswer | Failure:
        request = self.address.request(self._http, call)
        if call.upload is not None:
            length = str(call.upload.stat().st_size)
            request = self._http.build_request(
                call.method,
                request.url,
                headers={**call.headers, "Content-Length": length},
                content=_file_parts(call.upload),
            )
        try:
            return raw_answer(await self._http.send(request))
        except httpx.HTTPError as error:
            return failure_of(error, self.address)


class AsyncRemoteCollection(AsyncSender[CollectionCalls]):
    """A collection of a service, by its name or an alias. Made by `AsyncClient.collection`."""

    def __init__(self, connection: AsyncConnection, name: str) -> None:
        self.name = name
        self._connection = connection
        self._calls = CollectionCalls(name)
        self._runner = connection

    info = awaited(CollectionCalls.info)
    search = awaited(CollectionCalls.search)
    msearch = awaited(CollectionCalls.msearch)
    explain = awaited(CollectionCalls.explain)
    encode = awaited(CollectionCalls.encode)
    suggest = awaited(CollectionCalls.suggest)
    get = awaited(CollectionCalls.get)
    put = awaited(CollectionCalls.put)
    patch = awaited(CollectionCalls.patch)
    delete = awaited(CollectionCalls.delete)
    delete_many = awaited(CollectionCalls.delete_many)
    delete_where = awaited(CollectionCalls.delete_where)
    page = awaited(CollectionCalls.page)
    merge = awaited_flow(CollectionCalls.merge)
    publish = awaited_flow(CollectionCalls.publish)
    calibrate = awaited_flow(CollectionCalls.calibrate)
    snapshots = awaited(CollectionCalls.snapshots)
    create_snapshot = awaited_flow(CollectionCalls.create_snapshot)
    delete_snapshot = awaited(CollectionCalls.delete_snapshot)
    verify_snapshot = awaited(CollectionCalls.verify_snapshot)
    restore = awaited_flow(CollectionCalls.restore)
    upload = awaited(CollectionCalls.upload)

    async def add(
        self,
        documents: Iterable[Document | Mapping[str, Any]]
        | AsyncIterable[Document | Mapping[str, Any]],
        *,
        wait: Wait = "acknowledged",
        key: str | None = None,
        told: Callable[[Written], None] | None = None,
        chunk: int = MOST_LINES,
    ) -> Added:
        """Store documents, a chunk a request; as `RemoteCollection.add`.

        Args:
            documents: also those that come with time, of an asynchronous generator.
            wait, key, told, chunk: as there.

        Raises:
            LsrError: a request could not be done. Chunks before it are on disk.
        """
        adding = Adding(key or new_key(), told, chunk)
        async for document in _each(documents):
            ready = adding.feed(document)
            if ready is not None:
                sending = self._calls.add_chunk(ready, "acknowledged")
                adding.take(ready, await self._runner.call(sending))
        rest = adding.rest()
        for ready in rest:
            last = wait if ready is rest[-1] else "acknowledged"
            adding.take(ready, await self._runner.call(self._calls.add_chunk(ready, last)))
        return adding.added()

    async def iter(
        self,
        *,
        filter: Fields | None = None,  # noqa: A002
        fields: Sequence[str] | None = None,
        page: int = 500,
    ) -> AsyncIterator[StoredDocument]:
        """Documents in order of doc_id, fetched `page` at a time."""
        cursor: str | None = None
        while True:
            found = await self._runner.call(
                self._calls.page(limit=page, cursor=cursor, filter=filter, fields=fields)
            )
            for document in found.documents:
                yield document
            cursor = found.cursor
            if cursor is None:
                return

    async def export(self) -> AsyncIterator[StoredDocument]:
        """All documents of one moment, as a stream."""
        lines = Lines()
        async for part in self._connection.parts(self._calls.export()):
            for line in lines.of(part):
                yield read_record(StoredDocument, json.loads(line))
        for line in lines.last():
            yield read_record(StoredDocument, json.loads(line))

    async def download_snapshot(self, name: str, file: Path | str) -> Path:
        """Write a snapshot to a file, a tar. A file that is there whole is never cut short."""
        target = Path(file)
        beside = target.with_name(f"{target.name}.part")
        try:
            with beside.open("wb") as stream:
                async for part in self._connection.parts(self._calls.download(name)):
                    await asyncio.to_thread(stream.write, part)
            return beside.replace(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


class AsyncClient(AsyncSender[ServiceCalls]):
    """A service, for programs with an event loop: `Client` with `await`.

    Its methods have the arguments of `Client`'s; `iter` and `export` are for `async for`. It closes
    itself as an asynchronous context manager.

    Example:
        >>> import asyncio, lsr
        >>> async def name() -> str:
        ...     async with lsr.AsyncClient("http://127.0.0.1:8080") as client:
        ...         return client.collection("notes").name
        >>> asyncio.run(name())
        'notes'
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout: float = 30.0,
        retry: Retry | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        address = Address.of(url, key, timeout)
        self._connection = AsyncConnection(address, retry or Retry(), transport)
        self._calls = ServiceCalls()
        self._runner = self._connection

    ready = awaited(ServiceCalls.ready)
    collections = awaited(ServiceCalls.collections)
    create_collection = awaited(ServiceCalls.create_collection)
    delete_collection = awaited(ServiceCalls.delete_collection)
    aliases = awaited(ServiceCalls.aliases)
    set_alias = awaited(ServiceCalls.set_alias)
    delete_alias = awaited(ServiceCalls.delete_alias)
    change_aliases = awaited(ServiceCalls.change_aliases)
    tasks = awaited(ServiceCalls.tasks)
    task = awaited(ServiceCalls.task)
    cancel = awaited(ServiceCalls.cancel)
    wait = awaited_flow(ServiceCalls.wait)
    keys = awaited(ServiceCalls.keys)
    create_key = awaited(ServiceCalls.create_key)
    delete_key = awaited(ServiceCalls.delete_key)

    def collection(self, name: str) -> AsyncRemoteCollection:
        """A handle of a collection; nothing is sent before it is used."""
        return AsyncRemoteCollection(self._connection, name)

    async def close(self) -> None:
        """Close all connections."""
        await self._connection.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


async def _each(
    documents: Iterable[Document | Mapping[str, Any]] | AsyncIterable[Document | Mapping[str, Any]],
) -> AsyncIterator[Document | Mapping[str, Any]]:
    if isinstance(documents, AsyncIterable):
        async for document in documents:
            yield document
    else:
        for document in documents:
            yield document


async def _file_parts(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as stream:
        while part := await asyncio.to_thread(stream.read, _PART_BYTES):
            yield part
