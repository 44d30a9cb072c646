"""`Client`: a service's collections from Python, over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx

from lsr.client.address import Address, Lines, failure_of, raw_answer
from lsr.client.call import Call, Flow, Pause, RawAnswer
from lsr.client.collection_calls import CollectionCalls, Wait
from lsr.client.documents import MOST_LINES, Adding, new_key
from lsr.client.methods import Sender, sent, sent_flow
from lsr.client.problems import error_of
from lsr.client.records import read_record
from lsr.client.resources import Added, StoredDocument, Written
from lsr.client.retry import Failure, Retry, exchange
from lsr.client.search_request import Fields
from lsr.client.service_calls import ServiceCalls
from lsr.types import Document

__all__ = ["Client", "RemoteCollection"]

T = TypeVar("T")


class Connection:
    """Sends requests, and sends them again where that may help. May be used by many threads."""

    def __init__(
        self, address: Address, retry: Retry, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.address = address
        self._retry = retry
        self._http = httpx.Client(
            headers=dict(address.headers), timeout=address.limits, transport=transport
        )

    def call(self, call: Call[T], /) -> T:
        """The result of a request."""
        steps = exchange(call, self._retry)
        reply: RawAnswer | Failure | None = None
        try:
            while True:
                step = steps.send(reply)
                reply = None
                if step is None:
                    reply = self._answer(call)
                else:
                    time.sleep(step.seconds)
        except StopIteration as end:
            result: T = end.value
            return result

    def run(self, flow: Flow[T], /) -> T:
        """The result of several requests."""
        reply: Any = None
        try:
            while True:
                step = flow.send(reply)
                reply = None
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                else:
                    reply = self.call(step)
        except StopIteration as end:
            result: T = end.value
            return result

    def parts(self, call: Call[Any]) -> Iterator[bytes]:
        """The body of an answer in parts. Raises LsrError."""
        request = self.address.request(self._http, call)
        try:
            answer = self._http.send(request, stream=True)
            try:
                if answer.status_code != 200:
                    answer.read()
                    raise error_of(raw_answer(answer))
                yield from answer.iter_bytes()
            finally:
                answer.close()
        except httpx.HTTPError as error:
            raise failure_of(error, self.address).error from error

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _answer(self, call: Call[Any]) -> RawAnswer | Failure:
        request = self.address.request(self._http, call)
        try:
            if call.upload is None:
                return raw_answer(self._http.send(request))
            with call.upload.open("rb") as stream:
                request = self._http.build_request(
                    call.method, request.url, headers=dict(call.headers), content=stream
                )
                return raw_answer(self._http.send(request))
        except httpx.HTTPError as error:
            return failure_of(error, self.address)


class RemoteCollection(Sender[CollectionCalls]):
    """A collection of a service, by its name or an alias. Made by `Client.collection`."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.name = name
        self._connection = connection
        self._calls = CollectionCalls(name)
        self._runner = connection

    info = sent(CollectionCalls.info)
    search = sent(CollectionCalls.search)
    msearch = sent(CollectionCalls.msearch)
    explain = sent(CollectionCalls.explain)
    encode = sent(CollectionCalls.encode)
    suggest = sent(CollectionCalls.suggest)
    get = sent(CollectionCalls.get)
    put = sent(CollectionCalls.put)
    patch = sent(CollectionCalls.patch)
    delete = sent(CollectionCalls.delete)
    delete_many = sent(CollectionCalls.delete_many)
    delete_where = sent(CollectionCalls.delete_where)
    page = sent(CollectionCalls.page)
    merge = sent_flow(CollectionCalls.merge)
    publish = sent_flow(CollectionCalls.publish)
    calibrate = sent_flow(CollectionCalls.calibrate)
    snapshots = sent(CollectionCalls.snapshots)
    create_snapshot = sent_flow(CollectionCalls.create_snapshot)
    delete_snapshot = sent(CollectionCalls.delete_snapshot)
    verify_snapshot = sent(CollectionCalls.verify_snapshot)
    restore = sent_flow(CollectionCalls.restore)
    upload = sent(CollectionCalls.upload)

    def add(
        self,
        documents: Iterable[Document | Mapping[str, Any]],
        *,
        wait: Wait = "acknowledged",
        key: str | None = None,
        told: Callable[[Written], None] | None = None,
        chunk: int = MOST_LINES,
    ) -> Added:
        """Store documents, a chunk a request; at most two chunks of them are in memory.

        Args:
            documents: a mapping has `doc_id`, `text` and, where wanted, `title`, `metadata`,
                `vectors` and `if_version`.
            wait: for what, after the last chunk.
            key: a name for the whole; the same documents with it again are written once, so that
                an interrupted call can be repeated. Made when left out.
            told: called with the outcome of every document.
            chunk: documents in a request at most, 1 to 1,000.

        Raises:
            LsrError: a request could not be done. Chunks before it are on disk.
        """
        adding = Adding(key or new_key(), told, chunk)
        for document in documents:
            ready = adding.feed(document)
            if ready is not None:
                adding.take(ready, self._runner.call(self._calls.add_chunk(ready, "acknowledged")))
        rest = adding.rest()
        for ready in rest:
            last = wait if ready is rest[-1] else "acknowledged"
            adding.take(ready, self._runner.call(self._calls.add_chunk(ready, last)))
        return adding.added()

    def iter(
        self,
        *,
        filter: Fields | None = None,  # noqa: A002
        fields: Sequence[str] | None = None,
        page: int = 500,
    ) -> Iterator[StoredDocument]:
        """Documents in order of doc_id, fetched `page` at a time."""
        cursor: str | None = None
        while True:
            found = self._runner.call(
                self._calls.page(limit=page, cursor=cursor, filter=filter, fields=fields)
            )
            yield from found.documents
            cursor = found.cursor
            if cursor is None:
                return

    def export(self) -> Iterator[StoredDocument]:
        """All documents of one moment, as a stream."""
        lines = Lines()
        for part in self._connection.parts(self._calls.export()):
            for line in lines.of(part):
                yield read_record(StoredDocument, json.loads(line))
        for line in lines.last():
            yield read_record(StoredDocument, json.loads(line))

    def download_snapshot(self, name: str, file: Path | str) -> Path:
        """Write a snapshot to a file, a tar. A file that is there whole is never cut short."""
        target = Path(file)
        beside = target.with_name(f"{target.name}.part")
        try:
            with beside.open("wb") as stream:
                for part in self._connection.parts(self._calls.download(name)):
                    stream.write(part)
            return beside.replace(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


class Client(Sender[ServiceCalls]):
    """A service, such as `lsr serve` starts; a context manager that closes itself.

    Requests that do no harm when they are sent twice are sent again, after a wait, when the service
    cannot be reached or is overloaded. Writes have an idempotency key for that. Errors are those of
    `lsr.errors`, with what the service says. May be used by many threads.

    Args:
        url: the service's address.
        key: an API key, where it asks for one.
        timeout: seconds that the service may be silent in a request.
        retry: how often, and after which waits, a request is sent again.
        transport: httpx's, for special cases such as a socket in a file.

    Raises:
        InputError: the address or the key cannot be one.

    Example:
        >>> import lsr
        >>> client = lsr.Client("http://127.0.0.1:8080")
        >>> client.collection("notes").name
        'notes'
        >>> client.close()
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout: float = 30.0,
        retry: Retry | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._connection = Connection(Address.of(url, key, timeout), retry or Retry(), transport)
        self._calls = ServiceCalls()
        self._runner = self._connection

    ready = sent(ServiceCalls.ready)
    collections = sent(ServiceCalls.collections)
    create_collection = sent(ServiceCalls.create_collection)
    delete_collection = sent(ServiceCalls.delete_collection)
    aliases = sent(ServiceCalls.aliases)
    set_alias = sent(ServiceCalls.set_alias)
    delete_alias = sent(ServiceCalls.delete_alias)
    change_aliases = sent(ServiceCalls.change_aliases)
    tasks = sent(ServiceCalls.tasks)
    task = sent(ServiceCalls.task)
    cancel = sent(ServiceCalls.cancel)
    wait = sent_flow(ServiceCalls.wait)
    keys = sent(ServiceCalls.keys)
    create_key = sent(ServiceCalls.create_key)
    delete_key = sent(ServiceCalls.delete_key)

    def collection(self, name: str) -> RemoteCollection:
        """A handle of a collection; nothing is sent before it is used."""
        return RemoteCollection(self._connection, name)

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
