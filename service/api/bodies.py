"""Bodies, ids in paths and declared answers, as all routes that take documents share them."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import unquote_to_bytes

import orjson
from fastapi import Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException

from lsr.errors import InputError
from lsr.index.live.live_collection import LiveCollection
from lsr.service.api.schemas.problem import Problem
from lsr.service.catalog import Catalog
from lsr.service.collections.documents import read_json

__all__ = [
    "DOC_ID",
    "JSON",
    "NDJSON",
    "TAR",
    "WAIT_SECONDS",
    "WRITE_PROBLEMS",
    "IfVersion",
    "Key",
    "Responses",
    "Wait",
    "check_media_type",
    "declared_body",
    "doc_id_of",
    "is_searchable",
    "json_answer",
    "json_body",
    "media_type",
    "refused",
    "validated",
]

JSON = "application/json"
NDJSON = "application/x-ndjson"
TAR = "application/x-tar"
WAIT_SECONDS = 10.0
"""How long an answer waits for searches to see what was written."""

DOC_ID = "{doc_id:doc_id}"
"""The last part of a path: an id that may hold slashes, newlines and all else."""

IfVersion = Annotated[
    int | None,
    Query(ge=0, description="The version that the document must have now; 0: none."),
]
Wait = Annotated[
    Literal["acknowledged", "searchable"],
    Query(description="Answer when it is on disk, or when searches see it, for up to 10 seconds."),
]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="A name for this request; sent again, it changes nothing and is answered as "
        "before.",
        pattern=r"^[!-~]*$",
        max_length=200,
        min_length=1,
    ),
]
Responses = dict[int | str, dict[str, Any]]
M = TypeVar("M", bound=BaseModel)

_SAID = {
    404: "There is no such thing.",
    409: "What is there stands against it.",
    413: "The request is too large.",
    415: "The body has another media type.",
    422: "The request cannot be done as asked.",
    500: "Something went wrong inside.",
    503: "Not now; `detail` says why.",
    507: "The machine refuses to store it.",
}


class _DocIdConvertor(Convertor[str]):
    regex = r"[\s\S]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("doc_id", _DocIdConvertor())


def refused(*statuses: int) -> Responses:
    """Declarations of the problems that a route can answer with."""
    return {status: {"model": Problem, "description": _SAID[status]} for status in statuses}


WRITE_PROBLEMS = refused(404, 409, 413, 415, 422, 500, 503, 507)


def media_type(request: Request) -> str:
    """The media type of the body, in lower case without parameters; empty when none is named."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def check_media_type(request: Request, *allowed: str) -> str:
    """The media type of the body. Raises HTTPException 415 when it is none of `allowed`."""
    given = media_type(request)
    if given not in allowed:
        said = f"the body is said to be {given[:80]!r}" if given else "the body has no Content-Type"
        raise HTTPException(415, f"{said}; send Content-Type: {' or '.join(allowed)}")
    return given


async def json_body(request: Request, model: type[M]) -> M:
    """The body of a request, read and checked.

    Raises:
        HTTPException: 415, it is not said to be JSON; 413, it is too large.
        RequestValidationError: it is no such object; says what is wrong where.
    """
    check_media_type(request, JSON)
    data = await request.body()
    try:
        return validated(model, read_json(data))
    except InputError as error:
        raise RequestValidationError(
            [{"type": "value_error", "loc": ("body",), "msg": str(error), "input": None}]
        ) from error


def validated(model: type[M], value: object) -> M:
    """A JSON value as a model has it. Raises RequestValidationError."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError(
            [{**each, "loc": ("body", *each["loc"])} for each in found]
        ) from error


def doc_id_of(request: Request) -> str:
    """The id in a request's path.

    Raises:
        InputError: its bytes are not UTF-8, so that two ids would be read as one.
    """
    doc_id: str = request.path_params["doc_id"]
    if "\ufffd" in doc_id:
        raw = unquote_to_bytes(request.scope.get("raw_path", b"").partition(b"?")[0])
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError("the doc_id in the path is not UTF-8; percent-encode it") from error
    return doc_id


def declared_body(*contents: tuple[str, type[BaseModel] | None], example: Any = None) -> Any:
    """The `openapi_extra` of a route that reads its body itself.

    Args:
        contents: media types with their models; None for bytes.
    """
    declared: dict[str, Any] = {}
    for media, model in contents:
        declared[media] = {"schema": _schema(model) if model else {"type": "string"}}
        if model is not None and example is not None and media == JSON:
            declared[media]["example"] = example
    return {"requestBody": {"required": True, "content": declared}}


def _schema(model: type[BaseModel]) -> Any:
    whole = model.model_json_schema()
    parts = whole.pop("$defs", {})

    def inlined(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                named = parts[value["$ref"].rpartition("/")[2]]
                return inlined({**named, **{k: v for k, v in value.items() if k != "$ref"}})
            return {key: inlined(each) for key, each in value.items()}
        return [inlined(each) for each in value] if isinstance(value, list) else value

    return inlined(whole)


async def is_searchable(catalog: Catalog, collection: str, seq: int) -> bool:
    """Whether searches see an operation, waiting for it for up to `WAIT_SECONDS`."""
    live: LiveCollection = await run_in_threadpool(catalog.live, collection)
    return await run_in_threadpool(live.wait_searchable, seq, WAIT_SECONDS)


def json_answer(said: Any, status: int) -> Response:
    """An answer of plain values."""
    return Response(_dumped(said), status, media_type=JSON)


def _dumped(said: Any) -> bytes:
    try:
        return orjson.dumps(said)
    except TypeError:  # integers above 64 bits
        return json.dumps(said, ensure_ascii=False).encode()
