"""`Settings`: what the environment says about the service. Read once, then passed on."""

from __future__ import annotations

from typing import Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from lsr.errors import InputError
from lsr.service.engine import Limits

__all__ = ["Settings"]


class Settings(BaseSettings):
    """Options of the service; each is read from `LSR_` and its name in capitals.

    `read` is for the command line. Elsewhere, settings are an argument.
    """

    model_config = SettingsConfigDict(env_prefix="LSR_", frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(
        default=8080, ge=0, le=65_535, description="port to listen on; 0 takes any free one"
    )
    max_query_characters: int = Field(default=2_048, ge=1, description="longest query taken")
    max_limit: int = Field(default=1_000, ge=1, description="most hits in one answer")
    max_window: int = Field(default=10_000, ge=1, description="greatest offset + limit")
    max_filters: int = Field(default=32, ge=0, description="most fields in one filter")
    max_body_bytes: int = Field(default=1 << 20, ge=1, description="largest request body taken")
    shutdown_seconds: int = Field(
        default=10, ge=1, description="time for requests to finish on shutdown"
    )

    @classmethod
    def read(cls, **given: object) -> Self:
        """Settings from the environment, where `given` does not say otherwise.

        Raises:
            InputError: a value is not usable; names the variable.
        """
        try:
            return cls.model_validate(cls().model_dump() | given) if given else cls()
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            name = "_".join(str(part) for part in first["loc"])
            where = name if name in given else f"LSR_{name.upper()}"
            raise InputError(f"{where} is {first['input']!r}: {first['msg'].lower()}") from error

    @property
    def limits(self) -> Limits:
        """Limits of what one search may ask for."""
        return Limits(self.max_query_characters, self.max_limit, self.max_window, self.max_filters)
