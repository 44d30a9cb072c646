"""`Definitions`: functions, classes and the like of a source file, one within another."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lsr.passages.headings import joined

if TYPE_CHECKING:
    from tree_sitter import Language, Node

__all__ = ["Definition", "Definitions"]

_DEEPEST = 12
"""Definitions deeper within others than this are part of these."""
_MOST_NAME = 100
_IN_FRONT = ("comment", "attribute", "annotation", "decorator")


@dataclass
class Definition:
    """A part of a text that has a name, `text[start:end]`, from the beginning of its first line.

    Attributes:
        inner: definitions within it, in order.
    """

    name: str
    start: int
    end: int
    inner: list[Definition] = field(default_factory=list)


class Definitions:
    """The definitions of a source file: what has a name and a body.

    That is a function, a method, a class, a module, whatever the language; comments, decorators and
    attributes in front of one belong to it.

    Args:
        text: of the file; what is no code of the language is passed over.
        grammar: of its language.

    Attributes:
        outer: those that are within no other, in order.
    """

    def __init__(self, text: str, grammar: Language) -> None:
        from tree_sitter import Parser

        data = text.encode("utf-8", "replace")
        places = None if len(data) == len(text) else _places(data)
        self._end = len(text)
        self.outer: list[Definition] = []
        within: list[tuple[int, list[Definition]]] = [(len(data), self.outer)]
        for node, name in _named(Parser(grammar).parse(data).root_node):
            while node.start_byte >= within[-1][0]:
                within.pop()
            if len(within) > _DEEPEST:
                continue
            first, last = _with_front(node)
            if places is not None:
                first, last = int(places[first]), int(places[last])
            start = _line_start(text, first)
            siblings = within[-1][1]
            if siblings and start < siblings[-1].end:  # on the line where another one ends
                start = siblings[-1].end
            found = Definition(name, start, last)
            siblings.append(found)
            within.append((node.end_byte, found.inner))

    def above(self, start: int, end: int) -> str:
        """The names of the definitions that hold a part of the text, outermost first, by " > "."""
        names: list[str] = []
        inner = self.outer
        while inner:
            place = bisect_right(inner, start, key=lambda each: each.start) - 1
            if place < 0 or end > inner[place].end:
                break
            names.append(inner[place].name)
            inner = inner[place].inner
        return joined(names)

    def sections(
        self, lengths: Callable[[Sequence[tuple[int, int]]], list[int]], most: int
    ) -> Iterator[tuple[int, int]]:
        """Starts and ends of parts that cover the text, along definitions.

        A definition that is too long is cut at those within it; short neighbours are together while
        they fit. What is too long and has none within it is one part all the same.

        Args:
            lengths: gives those of parts, by start and end.
            most: the greatest length that fits.
        """
        yield from _sections((0, self._end), self.outer, lengths, most)


def _sections(
    span: tuple[int, int],
    inner: list[Definition],
    lengths: Callable[[Sequence[tuple[int, int]]], list[int]],
    most: int,
) -> Iterator[tuple[int, int]]:
    pieces: list[tuple[int, int, list[Definition]]] = []
    at = span[0]
    for each in inner:
        if at < each.start:
            pieces.append((at, each.start, []))
        pieces.append((each.start, each.end, each.inner))
        at = each.end
    if at < span[1]:
        pieces.append((at, span[1], []))
    begin, together = span[0], 0
    for (start, end, within), length in zip(
        pieces, lengths([piece[:2] for piece in pieces]), strict=True
    ):
        if together + length > most and begin < start:
            yield begin, start
            begin, together = start, 0
        if length > most and within:
            yield from _sections((start, end), within, lengths, most)
            begin, together = end, 0
        else:
            together += length
    if begin < span[1]:
        yield begin, span[1]


def _named(root: Node) -> Iterator[tuple[Node, str]]:
    """Definitions with their names, each before those within it."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        waiting.extend(reversed(node.named_children))
        name = _name(node)
        if name:
            yield node, name


def _name(node: Node) -> str:
    """The name of a definition; empty where a node is none."""
    body = node.child_by_field_name("body")
    name = node.child_by_field_name("name")
    if body is None:
        value = node.child_by_field_name("value") or node.child_by_field_name("type")
        if name is None or value is None:
            return ""
        is_function = value.child_by_field_name("body") is not None
        if not is_function and value.start_point.row == value.end_point.row:
            return ""
    inner = node.child_by_field_name("declarator")  # int *f(int a) { … }
    while name is None and inner is not None:
        deeper = inner.child_by_field_name("declarator")
        name = inner if deeper is None else None
        inner = deeper
    named = name or node.child_by_field_name("type")  # impl T { … }
    written = b"" if named is None else named.text or b""
    told = " ".join(written.decode("utf-8", "replace").split())
    return told[:_MOST_NAME].replace(" > ", " ")


def _with_front(node: Node) -> tuple[int, int]:
    """The first byte of a definition with what stands in front of it, and the one after its last.

    `export`, `template` and decorators make a node around it, of which it is the last part.
    """
    around = node.parent
    while around is not None and _is_around(around, node):
        node, around = around, around.parent
    first = node
    before = first.prev_named_sibling
    while before is not None and _is_in_front(before):
        on_line = before.prev_sibling
        is_of_that = on_line is not None and on_line.end_point.row == before.start_point.row
        if is_of_that or first.start_point.row - before.end_point.row > 1:
            break
        first, before = before, before.prev_named_sibling
    return first.start_byte, node.end_byte


def _is_around(around: Node, node: Node) -> bool:
    """Whether a node has nothing but one within it, what is in front of that, and a semicolon."""
    outer = around.parent
    if outer is None or around.end_byte - node.end_byte > 1:
        return False
    if any(each.child_by_field_name("body") in (around, node) for each in (outer, around)):
        return False
    others = [each for each in around.named_children if each != node]
    return all(_is_in_front(each) or "parameter" in each.type for each in others)


def _is_in_front(node: Node) -> bool:
    return any(kind in node.type for kind in _IN_FRONT)


def _line_start(text: str, place: int) -> int:
    """The beginning of the line of a place, where only blanks are before it."""
    begin = text.rfind("\n", 0, place) + 1
    return begin if text[begin:place].isspace() else place


def _places(data: bytes) -> NDArray[np.int64]:
    """The number of characters before each byte of UTF-8, and after the last."""
    begins = (np.frombuffer(data, np.uint8) & 0xC0) != 0x80
    return np.concatenate([[0], np.cumsum(begins)])
