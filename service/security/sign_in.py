"""The sign-in form of the search page: keeps a key in a cookie that no script reads."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lsr.service.problems import Refusal
from lsr.service.security.authenticator import COOKIE, Authenticator, is_same_origin

__all__ = ["sign_in_router"]

_TEMPLATES = Path(__file__).parents[1] / "page" / "templates"


def sign_in_router(authenticator: Authenticator) -> APIRouter:
    """`/sign-in` and `/sign-out`."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def form(target: str, wrong: bool) -> HTMLResponse:
        text = environment.get_template("sign_in.html").render(
            names=[], collection=None, target=target, wrong=wrong
        )
        return HTMLResponse(text, HTTPStatus.UNAUTHORIZED if wrong else HTTPStatus.OK)

    @router.get("/sign-in")
    def ask(request: Request) -> Response:
        target = _local(request.query_params.get("next", "/"))
        if authenticator.is_open:
            return RedirectResponse(target, HTTPStatus.SEE_OTHER)
        return form(target, wrong=False)

    @router.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        fields = await _fields(request)
        target = _local(fields.get("next", "/"))
        secret = fields.get("key", "").strip()
        if not secret or authenticator.is_open or authenticator.known(secret) is None:
            return form(target, wrong=True)
        response = RedirectResponse(target, HTTPStatus.SEE_OTHER)
        response.set_cookie(
            COOKIE,
            secret,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    @router.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        await _fields(request)
        response = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    return router


async def _fields(request: Request) -> dict[str, str]:
    if not is_same_origin(request.headers, "POST"):
        raise Refusal(403, "forbidden", "sign in by the form at /sign-in of this service")
    text = (await request.body()).decode("utf-8", "replace")
    return {name: values[0] for name, values in parse_qs(text).items()}


def _local(target: str) -> str:
    """An address of this service, never of another."""
    is_local = target.startswith("/") and target[1:2] not in ("/", "\\")
    return target if is_local and target.isprintable() else "/"
