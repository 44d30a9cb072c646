"""The README's commands, followed in order on documents like those that it speaks of."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from tests.support.markdown import ROOT, Page

__all__ = ["README", "Follower", "follow"]

README = Page.read(ROOT / "README.md")
ADDRESS = "http://127.0.0.1:8080"
OF_A_CHECKOUT = {"make", "."}
"""Programs whose lines need the repository, or have been done by who follows."""

_MOST_SECONDS = 60
"""How long a write may take to be found, on a busy machine."""


class Follower:
    """What the commands are run by.

    Args:
        lsr: gives what the command line prints, for its words.
        serve: runs `lsr serve` with its words, and gives its address.
        python: gives what Python prints, for code.
    """

    def __init__(
        self,
        lsr: Callable[[list[str]], str],
        serve: Callable[[list[str]], AbstractContextManager[str]],
        python: Callable[[str], str],
    ) -> None:
        self.lsr = lsr
        self.serve = serve
        self.python = python


def write_documents(folder: Path) -> None:
    """The folders of documents that the README's commands name."""
    for path, text in {
        "my-notes/keys.md": "# Keys\n\nTo rotate a key, make another and revoke the old one.\n",
        "my-notes/old.md": "# Herons\n\nA heron stands in shallow water.\n",
        "my-notes/table.csv": "id,title,text\nbackup,Backups,Backups run at night.\n",
        "new-notes/gate.txt": "The gate is closed at noon.\n",
    }.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text, "utf-8")


def follow(folder: Path, by: Follower) -> None:
    """Run every command of the README in order, then its Python, and look at what comes out."""
    write_documents(folder)
    said: dict[str, str] = {}
    url = ""
    with ExitStack() as running:
        for line in README.shell_lines():
            program, *words = shlex.split(line)
            if program in OF_A_CHECKOUT:
                continue
            if words[0] == "serve":
                url = running.enter_context(by.serve(words))
            elif program == "lsr":
                said[" ".join(words[:2])] = by.lsr(words)
            else:
                assert program == "curl", line
                said["curl"] = _curl([word.replace(ADDRESS, url) for word in words])
        assert json.loads(said["curl"])["doc_id"] == "new.md", said
        found, end = set[str](), time.monotonic() + _MOST_SECONDS
        while "new.md" not in found and time.monotonic() < end:
            time.sleep(0.5)  # a service that opens its model for the first write is not held up
            found = _ids(by.lsr(["search", "my-index", "noon", "--json", "--url", url]))
        assert {"gate.txt", "new.md"} <= found
        assert "old.md" not in _ids(by.lsr(["search", "my-index", "heron", "--json"]))
        (client,) = re.findall(r"`(lsr\.Client\([^`]+)`", README.text.replace("\n", " "))
        made, collection = client.replace(ADDRESS, url).split(".collection")
        code = f"""
import lsr
with {made} as client:
    print(client.collection{collection}.search("rotate a key").hits[0].doc_id)
"""
        assert by.python(code) == "keys.md\n"
    assert "keys.md" in said["search my-index"]
    for code in README.blocks("python"):
        assert by.python(code).endswith(" a\n")


def _ids(answer: str) -> set[str]:
    return {hit["doc_id"] for hit in json.loads(answer)["hits"]}


def _curl(words: list[str]) -> str:
    done = subprocess.run(["curl", "-s", *words], capture_output=True, text=True, check=True)
    return done.stdout
