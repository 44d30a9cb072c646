"""Plain text and source code: the text as it is."""

from __future__ import annotations

from lsr.datasets.files.content import Content, Extracted

__all__ = ["CODE_SUFFIXES", "PLAIN_SUFFIXES", "plain_lines", "read_text"]

PLAIN_SUFFIXES = (".txt", ".text")
CODE_SUFFIXES = tuple(
    ".c .cc .clj .cpp .cs .css .cu .dart .ex .exs .go .h .hpp .hs .java .jl .js .jsx .kt .kts .lua "
    ".m .mjs .ml .php .pl .pm .ps1 .py .pyi .pyx .r .rb .rs .scala .scss .sh .sql .swift .ts .tsx "
    ".vue .zig".split()
)


def read_text(content: Content) -> list[Extracted]:
    """One text, without the line end of its last line."""
    return [Extracted(plain_lines(content.text()))]


def plain_lines(text: str) -> str:
    """Lines with `\\n` between, and none after the last."""
    return text.removesuffix("\n").removesuffix("\r")
