"""Pages of Markdown taken apart: code blocks, inline code, headings, links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Page", "pages"]

ROOT = Path(__file__).resolve().parents[2]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} (.*)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Page:
    """A file of Markdown.

    Attributes:
        path: of the file.
        text: as it is.
    """

    path: Path
    text: str

    @classmethod
    def read(cls, path: Path) -> Page:
        """The page in a file."""
        return cls(path, path.read_text("utf-8"))

    @property
    def name(self) -> str:
        """The path below the repository."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def prose(self) -> str:
        """The text without code blocks."""
        return _BLOCK.sub("", self.text)

    def blocks(self, language: str) -> list[str]:
        """Code blocks of a language, in order."""
        return [code for kind, code in _BLOCK.findall(self.text) if kind == language]

    def shell_lines(self) -> list[str]:
        """Commands of `sh` blocks, each in one line, without comments and blank lines."""
        lines = "\n".join(self.blocks("sh")).replace("\\\n", " ").splitlines()
        return [line for line in map(_without_comment, lines) if line]

    def inline_code(self) -> list[str]:
        """What stands in backticks, in the prose."""
        return re.findall(r"`([^`\n]+)`", self.prose.replace("\n", " "))

    def headings(self) -> list[str]:
        """Headings, without their marks."""
        return _HEADING.findall(self.prose)

    def anchors(self) -> set[str]:
        """What links to headings are called."""
        return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in self.headings()}

    def links(self) -> list[str]:
        """Targets of all links."""
        return _LINK.findall(self.prose)

    def section(self, heading: str) -> str:
        """The text below a heading, up to the next one of any level."""
        _, found, rest = self.text.partition(f" {heading}\n")
        assert found, f"{self.name} has no heading {heading!r}"
        return re.split(r"^#{1,6} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def pages() -> list[Page]:
    """The README and the pages in docs/ and docs/reproduce/, without the experiments."""
    docs = ROOT / "docs"
    paths = [ROOT / "README.md", *sorted(docs.glob("*.md")), *sorted(docs.glob("reproduce/*.md"))]
    return [Page.read(path) for path in paths]


def _without_comment(line: str) -> str:
    return re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
