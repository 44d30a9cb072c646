"""`QdrantAddress`: what `qdrant:URL/NAME` names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lsr.errors import InputError

__all__ = ["QdrantAddress", "is_address"]

_SCHEME = "qdrant:"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_SERVER = re.compile(r"https?://[^/]+")
SIDE = "--lsr"
"""Ends the name of the collection that holds what is not points."""


def is_address(text: str | Path) -> bool:
    """Whether a text is meant to be such an address."""
    return str(text).startswith(_SCHEME)


@dataclass(frozen=True)
class QdrantAddress:
    """A collection, and where it is.

    Attributes:
        server: http or https, with a port where it is not 6333; or the path of a local folder,
            which qdrant-client keeps by itself: for tests.
        name: of the collection.
    """

    server: str
    name: str

    def __str__(self) -> str:
        return f"{_SCHEME}{self.server}/{self.name}"

    @property
    def is_local(self) -> bool:
        """Whether it is a folder."""
        return not self.server.startswith(("http:", "https:"))

    @property
    def side(self) -> str:
        """Name of the collection that holds the encoder and the record."""
        return f"{self.name}{SIDE}"

    @classmethod
    def parse(cls, text: str) -> QdrantAddress:
        """Read an address.

        Raises:
            InputError: it has no such form.
        """
        server, _, name = text.removeprefix(_SCHEME).rpartition("/")
        found = cls(server, name)
        form = "write qdrant:http://HOST:6333/NAME"
        if not is_address(text) or not server:
            raise InputError(f"{text!r} is no address of a Qdrant collection; {form}")
        if not _NAME.fullmatch(name) or name.endswith(SIDE):
            raise InputError(
                f"{text!r} ends in {name!r}, which can be no collection: letters, digits, _, . and "
                f"- can, and {SIDE} at the end is taken; {form}"
            )
        if not found.is_local and not _SERVER.fullmatch(server):
            raise InputError(f"{text!r} names no server; {form}")
        return found
