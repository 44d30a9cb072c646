"""MCP: a collection as two tools of a language model, `search` and `read`, over stdio.

    lsr mcp my-index

Standard output belongs to the protocol. The server ends when its input does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import lsr
from lsr.errors import InputError
from lsr.integrations.handle import Index, Mode, missing, opened

try:
    from mcp.server import Server
    from mcp.server.stdio import stdio_server
    from mcp_types import (
        CallToolRequestParams,
        CallToolResult,
        ListToolsResult,
        TextContent,
        Tool,
        ToolAnnotations,
    )
    from pydantic import BaseModel, ConfigDict, Field, ValidationError
except ImportError as error:
    raise missing("mcp 2 or later", "mcp") from error

__all__ = ["ReadCall", "SearchCall", "serve", "server_of"]

_SHOWN = 600
"""Characters of a text that `search` shows."""

_ABOUT_WHERE = (
    'Conditions on metadata, as {"year": {"gte": 2019}}, {"lang": "en"}, {"tag": {"any": ["a", '
    '"b"]}}; or must, should, must_not with lists of such.'
)


class SearchCall(BaseModel):
    """Search the documents, best first; each hit shows the part that answers; read has the rest."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(description="What is looked for, in plain words.")
    k: int = Field(5, ge=1, le=50, description="Hits wanted.")
    mode: Mode | None = Field(
        None, description="Sides to search; default: all that the collection has."
    )
    where: dict[str, Any] | None = Field(None, description=_ABOUT_WHERE)

    def answer(self, collection: lsr.Collection) -> dict[str, Any]:
        """Hits as JSON. Raises LsrError."""
        found = collection.search(self.query, k=self.k, mode=self.mode, where=self.where)
        return {"hits": [_shown(hit) for hit in found.hits]}


class ReadCall(BaseModel):
    """Read the text of a document, or a part of it; a long text goes on at next_start."""

    model_config = ConfigDict(extra="forbid")

    doc_id: str = Field(description="As search gives it.")
    start: int = Field(0, ge=0, description="The first character wanted.")
    length: int = Field(8_000, ge=1, le=50_000, description="Characters wanted.")

    def answer(self, collection: lsr.Collection) -> dict[str, Any]:
        """The part as JSON. Raises LsrError."""
        document = collection.document(self.doc_id)
        n_characters, end = len(document.text), self.start + self.length
        if self.start and self.start >= n_characters:
            raise InputError(
                f"{self.doc_id} has {n_characters:,} characters; start must be below that"
            )
        return {
            "doc_id": document.doc_id,
            "title": document.title,
            "text": document.text[self.start : end],
            "start": self.start,
            "next_start": end if end < n_characters else None,
            "n_characters": n_characters,
            "metadata": dict(document.metadata),
        }


_CALLS: Mapping[str, type[SearchCall | ReadCall]] = {"search": SearchCall, "read": ReadCall}


def server_of(index: Index) -> Server:
    """The server of a collection, not yet running. It follows what others publish in its folder.

    Args:
        index: a folder, or what `lsr.open` returns.

    Raises:
        IndexStateError: there is no collection in the folder, or it cannot be read.
    """
    collection = opened(index)

    async def list_tools(context: Any, page: Any) -> ListToolsResult:
        return ListToolsResult(tools=[_tool(name, call) for name, call in _CALLS.items()])

    async def call_tool(context: Any, call: CallToolRequestParams) -> CallToolResult:
        try:
            said = await asyncio.to_thread(_called, collection, call.name, call.arguments or {})
        except lsr.LsrError as error:
            return CallToolResult(content=[TextContent(text=str(error))], is_error=True)
        text = json.dumps(said, ensure_ascii=False)
        return CallToolResult(content=[TextContent(text=text)], structured_content=said)

    return Server(
        "lsr",
        version=lsr.__version__,
        instructions=f"Full-text search over {collection.path.name}, "
        f"{collection.n_documents:,} documents. Search first, then read what matters.",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def serve(server: Server) -> None:
    """Answer over standard input and output until input ends."""

    async def run() -> None:
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    asyncio.run(run())


def _tool(name: str, call: type[BaseModel]) -> Tool:
    return Tool(
        name=name,
        description=call.__doc__,
        input_schema=call.model_json_schema(),
        annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
    )


def _called(collection: lsr.Collection, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    if name not in _CALLS:
        raise InputError(f"there is no tool {name!r}; there are {', '.join(_CALLS)}")
    try:
        call = _CALLS[name].model_validate(arguments)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        known = ", ".join(_CALLS[name].model_fields)
        raise InputError(f"{name}: {place}: {first['msg']}; it takes {known}") from error
    collection.refresh()
    return call.answer(collection)


def _shown(hit: Any) -> dict[str, Any]:
    """A hit with the passage that answers best, or else the beginning of its text."""
    document, best = hit.document, hit.passages[0] if hit.passages else None
    start = 0 if best is None else best.start
    text = document.text[start : None if best is None else best.end]
    return {
        "doc_id": document.doc_id,
        "title": document.title,
        "score": hit.score,
        "heading": "" if best is None else best.heading,
        "start": start,
        "text": text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…",
        "n_characters": len(document.text),
        "metadata": dict(document.metadata),
    }
