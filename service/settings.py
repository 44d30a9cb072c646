"""`Settings`: what the environment says about the service. Read once, then passed on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from lsr.errors import InputError
from lsr.service.engine import Limits

__all__ = ["Settings"]

_ORIGIN = r"^(\*|https?://[^/\s?#@]+)$"
_KEY = re.compile(r"[!-~]{16,}")


def _parts(value: object) -> object:
    """A list from the environment: commas or blanks between its parts."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts)]
Origins = Annotated[
    tuple[Annotated[str, Field(pattern=_ORIGIN)], ...], NoDecode, BeforeValidator(_parts)
]


class Settings(BaseSettings):
    """Options of the service; each is read from `LSR_` and its name in capitals.

    `read` is for the command line. Elsewhere, settings are an argument.
    """

    model_config = SettingsConfigDict(env_prefix="LSR_", frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(
        default=8080, ge=0, le=65_535, description="port to listen on; 0 takes any free one"
    )
    data_dir: Path | None = Field(
        default=None, description="folder of collections that are made by requests; none: none are"
    )
    max_query_characters: int = Field(default=2_048, ge=1, description="longest query taken")
    max_limit: int = Field(default=1_000, ge=1, description="most hits in one answer")
    max_window: int = Field(default=10_000, ge=1, description="greatest offset + limit")
    max_filters: int = Field(default=32, ge=0, description="most fields in one filter")
    max_body_bytes: int = Field(default=1 << 20, ge=1, description="largest request body taken")
    max_bulk_bytes: int = Field(
        default=32 << 20, ge=1, description="largest body of many documents as one JSON"
    )
    max_line_bytes: int = Field(
        default=1 << 20, ge=1, description="longest line in a stream of documents"
    )
    shutdown_seconds: int = Field(
        default=10, ge=1, description="time for requests to finish on shutdown"
    )
    drain_seconds: float = Field(
        default=2.0, ge=0, description="time after SIGTERM while not ready and still answering"
    )
    workers: int = Field(default=1, ge=1, le=256, description="processes that answer")
    keys: Path | None = Field(default=None, description="file of API keys; none: no keys")
    admin_key: SecretStr | None = Field(
        default=None, description="a key for everything, beside those of the file"
    )
    insecure: bool = Field(default=False, description="let other machines in without a key")
    host_names: Names = Field(
        default=(), description="names this service is asked for by, beside its own addresses"
    )
    cors: Origins = Field(default=(), description="sites whose pages may call from a browser")
    proxies: Names = Field(
        default=(), description="addresses of proxies whose X-Forwarded-For is believed"
    )
    tls_cert: Path | None = Field(default=None, description="certificate chain in PEM")
    tls_key: Path | None = Field(default=None, description="private key of it in PEM")
    max_connections: int = Field(
        default=1_000, ge=1, description="connections open at once, in each process"
    )
    max_searches: int = Field(default=8, ge=1, description="searches running at once")
    max_writes: int = Field(default=64, ge=1, description="writes running at once")
    max_heavy: int = Field(default=2, ge=1, description="exports and the like running at once")
    max_waiting: int = Field(
        default=64, ge=0, description="requests of each kind that wait for their turn"
    )
    wait_seconds: float = Field(default=0.5, ge=0, description="longest wait for a turn")
    max_per_minute: int = Field(
        default=0, ge=0, description="requests of one key in a minute, in each process; 0: any"
    )
    request_seconds: float = Field(default=10.0, gt=0, description="time of a search")
    header_seconds: float = Field(default=10.0, gt=0, description="time for a request's headers")
    body_seconds: float = Field(
        default=30.0, gt=0, description="longest pause while a body or an answer is sent"
    )
    idle_seconds: int = Field(
        default=75, ge=1, description="time for the next request on a connection"
    )
    gzip_bytes: int = Field(
        default=4_096, ge=0, description="answers from this size on are compressed; 0: none"
    )
    access_log: bool = Field(default=True, description="whether requests are logged")
    log_format: Literal["json", "text"] = Field(default="json", description="form of the log")

    @classmethod
    def read(cls, **given: object) -> Self:
        """Settings from the environment, where `given` does not say otherwise.

        Raises:
            InputError: a value is not usable; names the variable.
        """
        try:
            settings = cls.model_validate(cls().model_dump() | given) if given else cls()
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            name = str(first["loc"][0])
            where = name if name in given else f"LSR_{name.upper()}"
            raise InputError(f"{where} is {first['input']!r}: {first['msg'].lower()}") from error
        settings._check()
        return settings

    def _check(self) -> None:
        if self.admin_key and not _KEY.fullmatch(self.admin_key.get_secret_value()):
            raise InputError(
                "LSR_ADMIN_KEY must be 16 or more letters, digits and signs of ASCII, without "
                "blanks; make one with: openssl rand -hex 32"
            )
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InputError("TLS needs both --tls-cert and --tls-key; give the other one too")
        if "*" in self.cors and not self.has_keys:
            raise InputError(
                "--cors '*' without keys lets any web page read everything; name the sites, or "
                "set keys by --keys"
            )

    @property
    def has_keys(self) -> bool:
        """Whether requests need a key."""
        return self.keys is not None or self.admin_key is not None

    @property
    def limits(self) -> Limits:
        """Limits of what one search may ask for."""
        return Limits(self.max_query_characters, self.max_limit, self.max_window, self.max_filters)
