"""The MCP server: a real client over stdio against the real process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import lsr
from tests.support.command_line import refused
from tests.support.learned_models import inference_free

pytest.importorskip("mcp_types", reason="the package mcp, 2 or later, is not installed")

import mcp

from lsr.integrations.mcp import server_of

LSR = ["-c", "from lsr.cli import main; main()", "mcp"]
NOTES = [
    lsr.Document("keys", "Keys rotate. " + "More of it. " * 100, "Keys", {"year": 2026}),
    lsr.Document("doors", "Doors are closed at night.", "", {"year": 2020}),
]


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mcp") / "notes"
    lsr.build(NOTES, path, sparse="bm25").close()
    return path


def process(index: Path) -> mcp.StdioServerParameters:
    """`lsr mcp INDEX`; of the environment a client hands down next to nothing by itself."""
    return mcp.StdioServerParameters(
        command=sys.executable, args=[*LSR, str(index)], env=dict(os.environ)
    )


def talk(server: Any, said: Callable[[Any], Awaitable[None]]) -> None:
    """Connect a client, to a process over stdio or to a server in this one."""

    async def run() -> None:
        async with mcp.Client(server) as client:
            await said(client)

    asyncio.run(run())


def test_a_client_lists_searches_and_reads(notes: Path) -> None:
    async def said(client: Any) -> None:
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == ["search", "read"]
        assert all(tool.description and tool.annotations.read_only_hint for tool in tools)
        found = await client.call_tool("search", {"query": "rotating keys", "k": 1})
        (hit,) = found.structured_content["hits"]
        assert (hit["doc_id"], hit["title"], hit["metadata"]) == ("keys", "Keys", {"year": 2026})
        assert hit["text"].endswith("…")
        assert hit["text"][:-1] in NOTES[0].text
        pages: list[str] = []
        start: int | None = 0
        while start is not None:
            call = {"doc_id": "keys", "start": start, "length": 500}
            part = (await client.call_tool("read", call)).structured_content
            pages.append(part["text"])
            start = part["next_start"]
        assert len(pages) == 3
        assert "".join(pages) == NOTES[0].text
        call = {"query": "keys or doors", "where": {"year": {"lt": 2025}}, "mode": "sparse"}
        found = await client.call_tool("search", call)
        assert [hit["doc_id"] for hit in found.structured_content["hits"]] == ["doors"]

    talk(process(notes), said)


REFUSED = [
    ("search", {}, "search: query: Field required"),
    ("search", {"query": " "}, "the query is empty"),
    ("search", {"query": "a", "k": 0}, "greater than or equal to 1"),
    ("search", {"query": "a", "limit": 3}, "it takes query, k, mode, where"),
    (
        "search",
        {"query": "a", "mode": "lexical"},
        "mode: Input should be 'hybrid', 'sparse' or 'dense'",
    ),
    ("search", {"query": "a", "mode": "dense"}, "dense"),
    ("search", {"query": "a", "where": {"year": {"above": 3}}}, "has the condition 'above'"),
    ("search", {"query": "a", "where": {"month": 3}}, "no document has a metadata field 'month'"),
    ("read", {"doc_id": "windows"}, "there is no document 'windows'"),
    ("read", {"doc_id": "doors", "start": 26}, "doors has 26 characters"),
    ("write", {}, "there is no tool 'write'; there are search, read"),
]


def test_what_is_wrong_is_told_in_a_sentence_and_the_server_goes_on(notes: Path) -> None:
    async def said(client: Any) -> None:
        for name, arguments, sentence in REFUSED:
            answer = await client.call_tool(name, arguments)
            assert answer.is_error, arguments
            assert sentence in answer.content[0].text, answer.content[0].text
            assert "\n" not in answer.content[0].text
        assert not (await client.call_tool("search", {"query": "keys"})).is_error

    talk(server_of(notes), said)


def test_it_follows_changes_of_the_folder(tmp_path: Path) -> None:
    index = lsr.build(NOTES, tmp_path / "notes", sparse="bm25")

    async def said(client: Any) -> None:
        async def found() -> list[str]:
            answer = await client.call_tool("search", {"query": "windows"})
            return [hit["doc_id"] for hit in answer.structured_content["hits"]]

        assert await found() == []
        index.add([lsr.Document("windows", "Windows are shut.")])
        assert await found() == ["windows"]

    talk(server_of(tmp_path / "notes"), said)


def test_ctrl_c_ends_it_while_it_waits_for_input(notes: Path) -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    command, pipe = [sys.executable, *LSR, str(notes)], subprocess.PIPE
    with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(hello) + "\n")
        server.stdin.flush()
        assert json.loads(server.stdout.readline())["result"]["serverInfo"]["name"] == "lsr"
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == -signal.SIGINT


def test_a_folder_without_an_index_is_refused_at_the_start(tmp_path: Path) -> None:
    assert "make one with: lsr index build" in refused("mcp", tmp_path / "nothing")


def test_a_missing_package_is_named_with_its_line(
    monkeypatch: pytest.MonkeyPatch, notes: Path
) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server", None)
    monkeypatch.delitem(sys.modules, "lsr.integrations.mcp", raising=False)
    assert "pip install 'lsr-search[mcp]'" in refused("mcp", notes)


def test_a_hit_of_a_split_document_shows_its_best_passage(tmp_path: Path) -> None:
    text = "# Cats\n\n" + "The cat sat by the lake. " * 20 + "\n\n# Zebras\n\nA zebra is red.\n"
    model = inference_free(tmp_path / "free")
    index = lsr.build(
        [lsr.Document("long", text)],
        tmp_path / "notes",
        sparse=str(model),
        passages=lsr.PassageSettings(16),
    )

    async def said(client: Any) -> None:
        result = await client.call_tool("search", {"query": "zebra"})
        (hit,) = result.structured_content["hits"]
        (best,) = index.search("zebra").hits[0].passages
        assert (hit["start"], hit["heading"]) == (best.start, best.heading)
        assert hit["text"] == text[best.start : best.end]
        assert hit["n_characters"] == len(text)

    talk(server_of(index), said)
