"""`serve`: a port, the collections, and a server that stops when it is told to."""

from __future__ import annotations

import asyncio
import errno
import gc
import ipaddress
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, cast

import uvicorn

from lsr.errors import InputError, StorageError
from lsr.service.app import create_app
from lsr.service.catalog import Catalog, collection_names
from lsr.service.engine import SearchEngine
from lsr.service.limits.accepting import Acceptor, Share
from lsr.service.limits.connections import ConnectionLimits, Connections, protocol_class
from lsr.service.logs import drop_doubles
from lsr.service.middleware import Stopping
from lsr.service.process import check_workers, most_connections, new_loop
from lsr.service.settings import Settings

__all__ = ["run_server", "serve"]

_SWITCH_SECONDS = 0.0005
"""How long a thread that computes keeps the event loop waiting; by default ten times that."""
_COLLECTED_FROM = 10_000
"""Objects made and kept since the garbage collector looked at the young ones; Python's: 700."""
_log = logging.getLogger(__name__)


def serve(
    paths: Iterable[Path],
    settings: Settings,
    announce: Callable[[str], None],
) -> None:
    """Serve collections until SIGTERM or SIGINT; then finish what is running and return.

    Args:
        paths: index folders; each is served under its own name in lower case. There may be none
            where the settings name a folder of collections.
        announce: called with the address once requests are answered.

    Raises:
        StorageError: the port is in use, or may not be taken.
        InputError: a folder's name cannot be a collection's, or two have the same; or other
            machines could come in without a key; or there cannot be several processes.
        IndexStateError: a collection is missing, damaged or of another version.
    """
    named = collection_names(paths)
    check_workers(settings.workers)
    _check_files(settings)
    with closing(_listen(settings.host, settings.port)) as listener:
        _check_exposure(listener, settings)
        if settings.workers > 1:
            from lsr.service.workers import supervise

            supervise(named, settings, listener, lambda: announce(_url(settings, listener)))
        else:
            run_server(named, settings, listener, lambda: announce(_url(settings, listener)))


def run_server(
    named: Mapping[str, Path],
    settings: Settings,
    listener: socket.socket,
    announce: Callable[[], None],
    follow: Callable[[uvicorn.Server], None] | None = None,
    share: Share | None = None,
) -> None:
    """Answer in this process until told to stop.

    Args:
        listener: may be shared with other processes.
        follow: called with the server before it runs.
        share: of the connections, where several processes take them.

    Raises:
        IndexStateError: a collection cannot be used.
    """
    catalog = Catalog.open(named, settings.data_dir, address=_url(settings, listener))
    with closing(catalog):
        stopping = Stopping()
        engine = SearchEngine(catalog, settings.limits)
        connections = Connections(
            ConnectionLimits(
                most_connections(settings.max_connections),
                settings.header_seconds,
                settings.body_seconds,
            ),
            share,
        )
        config = uvicorn.Config(
            create_app(engine, settings, stopping, _spare_collector),
            http=protocol_class(connections),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=settings.idle_seconds,
            timeout_graceful_shutdown=settings.shutdown_seconds,
            forwarded_allow_ips=list(settings.proxies),
            proxy_headers=bool(settings.proxies),
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
        )
        drop_doubles()
        sys.setswitchinterval(_SWITCH_SECONDS)
        server = _Server(
            config, listener, catalog, connections, stopping, settings.drain_seconds, announce
        )
        if follow is not None:
            follow(server)
        with _stopping(server), asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(server.serve(sockets=[]))


def _spare_collector() -> None:
    """Have the garbage collector leave what is there for good, and look less often at the rest.

    Else it goes through all objects of the libraries in the middle of requests, .1 s each time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTED_FROM, 20, 20)


class _Server(uvicorn.Server):
    """uvicorn's, which announces itself, watches its connections, and stops in stages."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        catalog: Catalog,
        connections: Connections,
        stopping: Stopping,
        drain_seconds: float,
        announce: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._listener = listener
        self._catalog = catalog
        self._connections = connections
        self._stop = stopping
        self._drain_seconds = drain_seconds
        self._announce = announce
        self.is_urgent = False
        self._connecting: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._report)
        await super().startup(sockets)
        if self.started:
            self._connections.watch(loop, self.server_state.connections)
            self._acceptor = Acceptor(
                self._listener,
                self._take,
                lambda sentence: self._connections.warn("files", sentence),
                self._connections.share,
            )
            self._acceptor.start()
            self._announce()

    def _take(self, connection: socket.socket) -> None:
        """Begin to serve an accepted connection."""
        loop, config = asyncio.get_running_loop(), self.config

        make = cast(Callable[..., asyncio.Protocol], config.http_protocol_class)
        protocol = partial(
            make,
            config=config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=loop,
        )
        task = loop.create_task(self._connected(protocol, connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connected(
        self, protocol: Callable[[], asyncio.Protocol], connection: socket.socket
    ) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                protocol, connection, ssl=self.config.ssl
            )
        except OSError as error:  # the client left, or knows no TLS
            _log.debug("a connection did not come about: %s", error)
            connection.close()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that it stops, go on answering for a while, then stop."""
        self._stop.has_begun = True
        self._catalog.not_ready = "the service is shutting down; try another"
        end = asyncio.get_running_loop().time() + self._drain_seconds
        while not self.is_urgent and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.05)
        self._acceptor.stop()
        self._listener.close()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.is_urgent = self.is_urgent or self.should_exit or sig == signal.SIGINT
        super().handle_exit(sig, frame)

    def _report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, ConnectionError):
            _log.debug("a connection broke: %s", error)
        else:
            loop.default_exception_handler(context)


@contextmanager
def _stopping(server: uvicorn.Server) -> Iterator[None]:
    """Make a signal a wish to stop, not a death.

    uvicorn raises the signals it caught once more when it has stopped; here that does no harm.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        server.handle_exit(number, frame)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_files(settings: Settings) -> None:
    for path, what in (
        (settings.keys, "file of keys"),
        (settings.tls_cert, "certificate"),
        (settings.tls_key, "private key"),
    ):
        if path is not None and not path.is_file():
            more = f"; make it with: lsr keys create NAME --keys {path}" if what[0] == "f" else ""
            raise InputError(f"there is no {what} at {path}{more}")


def _check_exposure(listener: socket.socket, settings: Settings) -> None:
    """Refuse to be reached from other machines without a key."""
    if settings.has_keys or _is_loopback(listener):
        return
    if not settings.insecure:
        raise InputError(
            f"{settings.host} can be reached from other machines, and no keys are set; give "
            "--keys FILE (see lsr keys create) or LSR_ADMIN_KEY, or --insecure to let everybody "
            "read and write"
        )
    _log.warning(
        "%s can be reached from other machines, and this service asks for no key", settings.host
    )


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, so that nobody else can take the port while collections are opened."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise StorageError(
            f"the host {host!r} is not an address of this machine; use 127.0.0.1, or 0.0.0.0 for "
            "all addresses"
        ) from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2_048)
    except OSError as error:
        listener.close()
        raise StorageError(_refusal(host, port, error)) from error
    return listener


def _refusal(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is in use by another program; stop that, or choose another "
            "port (0 takes any free one)"
        )
    if error.errno == errno.EACCES:
        return f"port {port} may not be opened by this user; choose one above 1023"
    return f"cannot listen on {host} port {port} ({error.strerror}); choose another host or port"


def _is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0].split("%")[0]).is_loopback


def _url(settings: Settings, listener: socket.socket) -> str:
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://{shown}:{listener.getsockname()[1]}"
