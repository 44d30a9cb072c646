"""Routes whose requests pass the layers of FastAPI by a `Lane`: `DirectRoute`, `OwnBodyRoute`.

FastAPI describes them as any other. On a request they cost a third of one: the body goes from bytes
to the model in one step, and the answer is not checked and copied by pydantic, but written as it
is; tests hold it to the model that the description names.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any, get_type_hints
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from lsr.errors import LsrError
from lsr.service.api.query import refuse_unknown
from lsr.service.problems import problem, refusal_of

__all__ = ["DirectRoute", "Lane", "OwnBodyRoute", "Said"]


_MOST_TURNS = 4
Said = Response | Callable[[], Response]
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Lane:
    """Answers requests of direct routes, and leaves the others to the application.

    It stands behind the guard, and finds a route by the rule that the guard has found.

    Args:
        app: what all other requests go to.
        api: whose handlers make problems of exceptions.
        routes: the direct ones among them are answered here.
    """

    def __init__(self, app: ASGIApp, api: FastAPI, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._api = api
        self._direct = {
            (method, route.path_format): route
            for route in routes
            if isinstance(route, _LaneRoute)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rule = scope["state"].get("rule") if scope["type"] == "http" else None
        route = self._direct.get((scope["method"], rule)) if rule is not None else None
        match = route.path_regex.match(scope["path"]) if route is not None else None
        handle = route.handler_of(scope) if route is not None and match is not None else None
        if match is None or handle is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        scope["path_params"] = match.groupdict()
        request = Request(scope, receive)
        try:
            response = await handle(request)
        except (LsrError, HTTPException, RequestValidationError) as error:
            response = await refusal_of(self._api, request, error)
        await response(scope, receive, send)


class _LaneRoute(APIRoute, ABC):
    """Route that a lane may answer."""

    @abstractmethod
    def handler_of(self, scope: Scope) -> Handler | None:
        """The function that answers a request; None where FastAPI must."""


class OwnBodyRoute(_LaneRoute):
    """Route of an async endpoint that takes its path, the `Request`, whose body it reads itself,
    and options in the query and in headers.

    Options are checked as the description says. Where one is wrong FastAPI answers, and says so.
    """

    def get_route_handler(self) -> Handler:
        """The function of FastAPI's that answers a request."""
        needs = self.dependant
        if needs.body_params or needs.cookie_params or needs.request_param_name != "request":
            raise TypeError(f"{self.path}: an own-body route takes its path, options, the request")
        self._query = {field.alias: field for field in needs.query_params}
        self._headers = {field.alias.lower().encode(): field for field in needs.header_params}
        return super().get_route_handler()

    def handler_of(self, scope: Scope) -> Handler | None:
        """The endpoint with a request's options; None where one of them is wrong."""
        found = [
            (self._headers[name], value.decode("latin-1"))
            for name, value in scope["headers"]
            if name in self._headers
        ]
        if scope["query_string"]:
            query = scope["query_string"].decode("latin-1")
            for name, value in parse_qsl(query, keep_blank_values=True):
                if name not in self._query:
                    return None
                found.append((self._query[name], value))
        options: dict[str, Any] = {}
        for field, value in found:
            checked, errors = field.validate(value)
            if errors or field.name in options:
                return None
            options[field.name] = checked
        return partial(self._answer, options)

    async def _answer(self, options: Mapping[str, Any], request: Request) -> Response:
        answer = self.endpoint(request=request, **request.path_params, **options)
        response: Response = await answer
        return response


class DirectRoute(_LaneRoute):
    """Route of an endpoint that takes path parameters, one model and the `Request`.

    The endpoint gives a `Response`, or a function that does the rest of the work and gives one. It
    runs in a thread, unless it is short; then its rest does. What FastAPI would do besides is
    refused when the route is made: dependencies, query and header parameters.
    """

    @staticmethod
    def is_short(_: Mapping[str, Any]) -> bool:
        """Whether the endpoint may run on the event loop with these arguments, by name: others wait
        meanwhile, and a thread would cost more than what it does."""
        return False

    def get_route_handler(self) -> Handler:
        """The function that answers a request."""
        needs = self.dependant
        others = (needs.dependencies, needs.query_params, needs.header_params, needs.cookie_params)
        if any(others) or len(needs.body_params) != 1 or needs.request_param_name is None:
            raise TypeError(f"{self.path}: a direct route takes its path, one body and the request")
        body_name, request_name = needs.body_params[0].name, needs.request_param_name
        model: type[BaseModel] = get_type_hints(self.endpoint)[body_name]
        endpoint, is_short, turns = self.endpoint, self.is_short, _Turns()

        async def handle(request: Request) -> Response:
            refuse_unknown(request.scope.get("query_string", b""))
            body = await _body(request)
            try:
                given = model.model_validate_json(body)
            except ValidationError as error:
                return _refusal(error, body, request)
            values = {**request.path_params, body_name: given, request_name: request}
            run = partial(endpoint, **values)
            said: Said = partial(_whole, run)
            if is_short(values):
                await turns.come()
                said = run()
            if isinstance(said, Response):
                return said
            return await asyncio.get_running_loop().run_in_executor(None, said)

        self._handle = handle
        return handle

    def handler_of(self, _: Scope) -> Handler:
        """The function that answers a request."""
        return self._handle


class _Turns:
    """Short requests that are done between two looks at other connections: a few.

    The others wait for the next time, so that many connections do not keep health checks waiting,
    and what is too much is noticed and refused. Threads would have them wait for each other too,
    and cost more than what they do.
    """

    def __init__(self) -> None:
        self._n_taken = 0

    async def come(self) -> None:
        """Wait until it is this one's turn: first come, first served."""
        while self._n_taken >= _MOST_TURNS:
            await asyncio.sleep(0)
        if self._n_taken == 0:
            asyncio.get_running_loop().call_soon(self._begin)
        self._n_taken += 1

    def _begin(self) -> None:
        self._n_taken = 0


async def _body(request: Request) -> bytes:
    """The body, which most often comes in one piece."""
    message = await request.receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        return body
    parts = [message]
    while message["type"] == "http.request" and message.get("more_body"):
        parts.append(message := await request.receive())
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return b"".join(part.get("body", b"") for part in parts)


def _whole(run: Callable[[], Said]) -> Response:
    said = run()
    return said if isinstance(said, Response) else said()


def _refusal(error: ValidationError, body: bytes, request: Request) -> Response:
    errors = error.errors(include_url=False, include_input=False)
    if errors[0]["type"] == "json_invalid":
        path = request.url.path
        why = str(errors[0]["ctx"]["error"])
        detail = f"the body is not valid JSON: {why[:1].lower()}{why[1:]}"
        if not _is_utf8(body):
            detail = "the body is not valid JSON in UTF-8"
        elif "surrogate" in why or "hex escape" in why:
            detail = f"the body holds half a surrogate pair, which is not text ({why})"
        reason = [{"path": "body", "message": detail}]
        return problem(422, "invalid_request", detail, instance=path, errors=reason)
    raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in errors])


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
