"""`serve`: a port, the collections, and a server that stops when it is told to."""

from __future__ import annotations

import errno
import ipaddress
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType

import uvicorn

from lsr.errors import StorageError
from lsr.service.app import create_app
from lsr.service.catalog import Catalog, collection_names
from lsr.service.engine import SearchEngine
from lsr.service.settings import Settings

__all__ = ["serve"]

_log = logging.getLogger(__name__)


def serve(
    paths: Iterable[Path],
    settings: Settings,
    announce: Callable[[str], None],
) -> None:
    """Serve collections until SIGTERM or SIGINT; then finish what is running and return.

    Args:
        paths: index folders; each is served under its own name in lower case.
        announce: called with the address once requests are answered.

    Raises:
        StorageError: the port is in use, or may not be taken.
        InputError: a folder's name cannot be a collection's, or two have the same.
        IndexStateError: a collection is missing, damaged or of another version.
    """
    named = collection_names(paths)
    with closing(_listen(settings.host, settings.port)) as listener:
        if not _is_loopback(listener):
            _log.warning(
                "%s can be reached from other machines, and this service asks for no key",
                settings.host,
            )
        catalog = Catalog.open(named)
        engine = SearchEngine(catalog, settings.limits)
        config = uvicorn.Config(
            create_app(engine, settings),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.shutdown_seconds,
        )
        server = _AnnouncingServer(config, lambda: announce(_url(settings.host, listener)))
        with closing(catalog), _stopping(server):
            server.run(sockets=[listener])


class _AnnouncingServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()


@contextmanager
def _stopping(server: uvicorn.Server) -> Iterator[None]:
    """Make a signal a wish to stop, not a death.

    uvicorn raises the signals it caught once more when it has stopped; here that does no harm.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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


def _url(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"
