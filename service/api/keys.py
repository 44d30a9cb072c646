"""`/v1/keys`: API keys, for admins."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from lsr.service.api.schemas.problem import Problem
from lsr.service.problems import Refusal
from lsr.service.security.authenticator import Authenticator
from lsr.service.security.grant import Scope
from lsr.service.security.keys import Key, KeyFile

__all__ = ["NewKey", "keys_router"]


class NewKey(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(description="For people and the log.", examples=["shop"])
    scope: Scope = Field(default="read", description="Each allows what those before it allow.")
    collections: list[str] | None = Field(
        default=None, description="Names or aliases it is limited to; all when left out."
    )
    filter: dict[str, Any] | None = Field(
        default=None,
        description="What every document must match that it reads or writes.",
        examples=[{"tenant": "a"}],
    )


class KnownKey(BaseModel):
    """A key without its secret."""

    id: str = Field(description="What it is revoked by.")
    name: str = Field(description="For people and the log.")
    scope: Scope = Field(description="The most it allows.")
    collections: list[str] | None = Field(description="Names or aliases it is limited to.")
    filter: dict[str, Any] | None = Field(description="What its documents must match.")
    created: str = Field(description="When it was made, UTC.")


class CreatedKey(KnownKey):
    """A new key."""

    key: str = Field(description="The key itself, shown this once.")


class KnownKeys(BaseModel):
    """All keys."""

    keys: list[KnownKey] = Field(description="Oldest first.")


_REFUSED: dict[int | str, dict[str, Any]] = {
    409: {"model": Problem, "description": "The service runs without a file of keys."},
}


def keys_router(authenticator: Authenticator) -> APIRouter:
    """`/v1/keys`."""
    router = APIRouter(prefix="/v1/keys", tags=["keys"], responses=_REFUSED)

    def file() -> KeyFile:
        if authenticator.keys is None:
            detail = "the service has no file of keys; start it with --keys FILE"
            raise Refusal(409, "conflict", detail)
        return authenticator.keys

    @router.get("", summary="List the keys, without their secrets")
    def list_keys() -> KnownKeys:
        return KnownKeys(keys=[KnownKey(**_fields(key)) for key in file().list()])

    @router.post(
        "",
        status_code=201,
        summary="Make a key",
        responses={422: {"model": Problem, "description": "It cannot be made as asked."}},
    )
    def create_key(request: NewKey, response: Response) -> CreatedKey:
        key, secret = file().create(
            request.name, request.scope, collections=request.collections, filter=request.filter
        )
        response.headers["Cache-Control"] = "no-store"
        return CreatedKey(**_fields(key), key=secret)

    @router.delete(
        "/{key_id}",
        summary="Revoke a key, from the next request on",
        responses={404: {"model": Problem, "description": "There is no such thing."}},
    )
    def revoke_key(key_id: str) -> KnownKey:
        return KnownKey(**_fields(file().revoke(key_id)))

    return router


def _fields(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope,
        "collections": list(key.collections) if key.collections is not None else None,
        "filter": dict(key.filter) if key.filter is not None else None,
        "created": key.created,
    }
