"""The address of a service, and how httpx's errors become ours. Shared by both clients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from urllib.parse import urlsplit

import httpx

from lsr.client.call import Call, RawAnswer
from lsr.client.retry import Failure
from lsr.errors import InputError, ServiceError

__all__ = ["Address", "Lines", "failure_of", "raw_answer"]

_CONNECT_SECONDS = 5.0
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True)
class Address:
    """Address of a service, and what every request to it has.

    Attributes:
        url: without a slash at its end.
        headers: the key and the client's name.
        timeout: seconds that the service may be silent.
    """

    url: str
    headers: Mapping[str, str]
    timeout: float

    @classmethod
    def of(cls, url: str, key: str | None, timeout: float) -> Address:
        """The address that is meant. Raises InputError."""
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as error:
            raise InputError(f"{url!r} is no address of a service ({error})") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(
                f"{url!r} is no address of a service; write it as http://127.0.0.1:8080"
            )
        if parts.query or parts.fragment:
            raise InputError(f"{url!r} has a part after ? or #, which an address has not")
        if not timeout > 0:
            raise InputError(f"the timeout is {timeout}; it must be above 0")
        headers = {"User-Agent": f"lsr/{version('lsr-search')}"}
        if key is not None:
            if not key or not key.isascii() or not key.isprintable() or " " in key:
                raise InputError("the key is empty, or has characters that no key has")
            headers["Authorization"] = f"Bearer {key}"
        return cls(url.rstrip("/"), headers, timeout)

    @property
    def limits(self) -> httpx.Timeout:
        """The timeouts of httpx."""
        return httpx.Timeout(self.timeout, connect=min(self.timeout, _CONNECT_SECONDS))

    def request(
        self, client: httpx.Client | httpx.AsyncClient, call: Call[object]
    ) -> httpx.Request:
        """A call as httpx sends it, without what is uploaded. Raises InputError."""
        params = {name: value for name, value in call.params.items() if value is not None}
        try:
            return client.build_request(
                call.method,
                self.url + call.path,
                params=params or None,
                headers=dict(call.headers),
                content=call.content,
            )
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise InputError(f"this cannot be sent: {error}") from error


def failure_of(error: httpx.HTTPError | OSError, address: Address) -> Failure:
    """Why no answer came."""
    is_slow = isinstance(error, httpx.TimeoutException)
    reached = not isinstance(error, _UNSENT)
    if is_slow and reached:
        said = f"{address.url} gave no answer within {address.timeout:g} s"
    elif reached:
        said = f"{address.url} broke off ({error or type(error).__name__})"
    else:
        said = f"{address.url} cannot be reached ({error or type(error).__name__}); is it running?"
    return Failure(ServiceError(said), reached, passing=not (is_slow and reached))


def raw_answer(answer: httpx.Response) -> RawAnswer:
    """An answer of httpx as ours."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return RawAnswer(answer.status_code, headers, answer.content)


class Lines:
    """Lines of a body that comes in parts."""

    def __init__(self) -> None:
        self._rest = b""

    def of(self, part: bytes) -> Iterator[bytes]:
        """The lines that end in a part."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        yield from (line for line in lines if line)

    def last(self) -> Iterator[bytes]:
        """The line without an end, if there is one."""
        if self._rest:
            yield self._rest
