"""Documents as they are sent, one or many: lines of JSON, in chunks with a key each."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lsr.client.call import to_json
from lsr.client.resources import Added, Written
from lsr.errors import InputError
from lsr.types import Document

__all__ = ["Adding", "Chunk", "ChunkResult", "document_fields", "new_key"]

MOST_LINES = 1_000
MOST_BYTES = 4 << 20
_KEPT_FAILURES = 1_000
_KEY = re.compile(r"[!-~]{1,150}")


@dataclass(frozen=True)
class Chunk:
    """Some documents as JSON lines, and the name under which they are written once."""

    lines: bytes
    key: str
    first_line: int


@dataclass(frozen=True)
class ChunkResult:
    """The outcome of each document of a chunk, and the last operation's number."""

    results: list[Written] = field(default_factory=list)
    seq: int = 0
    searchable: bool | None = None


def document_fields(
    document: Document | Mapping[str, Any],
    sparse: Mapping[str, float] | None = None,
    dense: Sequence[float] | None = None,
) -> dict[str, Any]:
    """A document as a JSON object. A mapping is taken as it is.

    Raises:
        InputError: it is neither a document nor a mapping.
    """
    if isinstance(document, Mapping):
        return dict(document)
    if not isinstance(document, Document):
        raise InputError(f"{type(document).__name__} is no document; give lsr.Document or a dict")
    found: dict[str, Any] = {"doc_id": document.doc_id, "text": document.text}
    if document.title:
        found["title"] = document.title
    if document.metadata:
        found["metadata"] = dict(document.metadata)
    vectors: dict[str, Any] = {}
    if sparse is not None:
        vectors["sparse"] = dict(sparse)
    if dense is not None:
        vectors["dense"] = [float(value) for value in dense]
    if vectors:
        found["vectors"] = vectors
    return found


def new_key() -> str:
    """An idempotency key that nobody else makes."""
    return secrets.token_hex(12)


class Adding:
    """Documents on their way to a collection, a chunk at a time.

    A chunk's key is made of `key`, its number and what it holds. So the same documents under the
    same key are written once, however often they are sent.

    Args:
        key: of the whole.
        told: called with the outcome of every document.
        chunk: documents sent at once at most, 1 to 1,000.
    """

    def __init__(
        self, key: str, told: Callable[[Written], None] | None = None, chunk: int = MOST_LINES
    ) -> None:
        if not _KEY.fullmatch(key):
            raise InputError("the key must be 1 to 150 printable ASCII characters without blanks")
        if not 1 <= chunk <= MOST_LINES:
            raise InputError(f"chunk is {chunk}; give 1 to {MOST_LINES:,} documents")
        self._key, self._told, self._chunk = key, told, chunk
        self._lines: list[bytes] = []
        self._n_bytes = self._n_chunks = self._n_lines = 0
        self._held: Chunk | None = None
        self._counts = {"created": 0, "replaced": 0, "failed": 0}
        self._failed: list[Written] = []
        self._seq = 0
        self._searchable: bool | None = None

    def feed(self, document: Document | Mapping[str, Any]) -> Chunk | None:
        """Take a document; a chunk that is to be sent now, if there is one."""
        line = to_json(document_fields(document))
        self._lines.append(line)
        self._n_bytes += len(line) + 1
        if len(self._lines) < self._chunk and self._n_bytes < MOST_BYTES:
            return None
        held, self._held = self._held, self._cut()
        return held

    def rest(self) -> list[Chunk]:
        """The chunks that are still to be sent; the last of them is the last of all."""
        held, self._held = self._held, None
        more = self._cut() if self._lines else None
        return [chunk for chunk in (held, more) if chunk is not None]

    def take(self, chunk: Chunk, result: ChunkResult) -> None:
        """Count what came of a chunk."""
        for place, written in enumerate(result.results):
            line = chunk.first_line + (written.line - 1 if written.line else place)
            placed = replace(written, line=line, seq=written.seq or result.seq)
            self._counts[placed.status if placed.is_done else "failed"] += 1
            if not placed.is_done and len(self._failed) < _KEPT_FAILURES:
                self._failed.append(placed)
            if self._told is not None:
                self._told(placed)
        self._seq = max(self._seq, result.seq)
        self._searchable = result.searchable

    def added(self) -> Added:
        """The outcome of all of it."""
        return Added(
            n_created=self._counts["created"],
            n_replaced=self._counts["replaced"],
            n_failed=self._counts["failed"],
            seq=self._seq,
            failed=self._failed,
            key=self._key,
            searchable=self._searchable,
        )

    def _cut(self) -> Chunk:
        lines = b"\n".join(self._lines) + b"\n"
        digest = hashlib.sha256(lines).hexdigest()[:16]
        chunk = Chunk(lines, f"{self._key}/{self._n_chunks}/{digest}", self._n_lines + 1)
        self._n_lines += len(self._lines)
        self._n_chunks += 1
        self._lines, self._n_bytes = [], 0
        return chunk
