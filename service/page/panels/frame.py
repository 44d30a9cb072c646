"""`Frame`: what the pages around the search page have in common: templates, names, messages."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lsr.errors import LsrError
from lsr.service.engine import SearchEngine
from lsr.service.problems import status_of
from lsr.service.security.authenticator import COOKIE
from lsr.service.security.grant import grant_of

__all__ = ["Frame"]

_TEMPLATES = Path(__file__).parents[1] / "templates"


class Frame:
    """Renders pages for whoever asks.

    Args:
        engine: has the collections.
    """

    def __init__(self, engine: SearchEngine) -> None:
        self._engine = engine
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["sentence"] = _sentence

    def names(self, request: Request) -> list[str]:
        """The collections that the reader may see."""
        grant = grant_of(request.scope)
        grant.asked = True  # names alone
        return grant.visible(self._engine.catalog.names)

    def page(
        self, template: str, request: Request, status: HTTPStatus = HTTPStatus.OK, **values: object
    ) -> HTMLResponse:
        """A template, filled in."""
        text = self._environment.get_template(template).render(
            names=self.names(request), signed_in=COOKIE in request.cookies, **values
        )
        return HTMLResponse(text, status)

    def message(self, error: LsrError, request: Request) -> HTMLResponse:
        """A page that says what is wrong."""
        status = status_of(error)
        return self.page(
            "message.html",
            request,
            status,
            collection=None,
            heading=status.phrase,
            message=str(error),
        )


def _sentence(error: str) -> str:
    """A message with a full stop, and a capital letter where it begins with a word of ours."""
    first, _, rest = error.partition(" ")
    first = first[:1].upper() + first[1:] if first.isalpha() else first
    return f"{first} {rest}".strip() + "."
