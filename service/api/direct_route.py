"""`DirectRoute`: a route whose JSON body is read and checked once, and whose answer is bytes.

FastAPI describes it as any other. On a request it costs a third of one: the body goes from bytes to
the model in one step, and the answer is not checked and copied by pydantic, but written as it is;
tests hold it to the model that the description names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, get_type_hints

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from lsr.service.problems import problem

__all__ = ["DirectRoute"]


class DirectRoute(APIRoute):
    """Route of an endpoint that takes path parameters, one model and the `Request`.

    The endpoint runs in a thread and gives a `Response`. What FastAPI would do besides is refused
    when the route is made: dependencies, query and header parameters.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function that answers a request."""
        needs = self.dependant
        others = (needs.dependencies, needs.query_params, needs.header_params, needs.cookie_params)
        if any(others) or len(needs.body_params) != 1 or needs.request_param_name is None:
            raise TypeError(f"{self.path}: a direct route takes its path, one body and the request")
        body_name, request_name = needs.body_params[0].name, needs.request_param_name
        model: type[BaseModel] = get_type_hints(self.endpoint)[body_name]
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            body = await request.body()
            try:
                given = model.model_validate_json(body)
            except ValidationError as error:
                return _refusal(error, body, request)
            values = {**request.path_params, body_name: given, request_name: request}
            run = partial(endpoint, **values)
            return await asyncio.get_running_loop().run_in_executor(None, run)

        return handle


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
