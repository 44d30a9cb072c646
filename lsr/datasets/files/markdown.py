"""Markdown: the first heading is the title, front matter is metadata, comments are left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from itertools import pairwise

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from lsr.datasets.files.content import Content, Extracted
from lsr.datasets.files.text import plain_lines

__all__ = ["MARKDOWN_SUFFIXES", "first_heading", "front_matter", "read_markdown"]

MARKDOWN_SUFFIXES = (".md", ".markdown", ".mdx", ".qmd", ".rmd")
_FRONT = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_MOST_FRONT = 65_536  # characters of front matter; more is text
_MOST_VALUES = 1_000  # of front matter, aliases followed
_MOST_PARSED = 200_000  # characters in which a heading is looked for
_MOST_TITLE = 300  # characters; a longer "heading" is a paragraph above a rule
_COMMENT = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)|<!--.*?-->", re.DOTALL)


def read_markdown(content: Content) -> list[Extracted]:
    """One text, without front matter and comments, as Markdown."""
    metadata, text = front_matter(plain_lines(content.text()))
    text = _without_comments(text)
    title = metadata.pop("title", None)
    given = str(title) if isinstance(title, str | int | float) else ""
    return [Extracted(text, given or first_heading(text), metadata)]


def first_heading(text: str) -> str:
    """The first heading that is no part of a list or quotation, of either form; or nothing."""
    tokens = _parser().parse(text[:_MOST_PARSED])
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.level == 0:
            title = " ".join(inline.content.split())
            if title and len(title) <= _MOST_TITLE:
                return title
    return ""


def front_matter(text: str) -> tuple[dict[str, object], str]:
    """The fields of YAML front matter, and the text after it.

    What is not a mapping in YAML stays in the text. Dates become ISO 8601; fields without a value
    are left out.
    """
    found = _FRONT.match(text)
    if found is None or len(found[1]) > _MOST_FRONT:
        return {}, text
    try:
        fields = yaml.safe_load(found[1])
        if not isinstance(fields, Mapping):
            return {}, text
        plain = _plain(fields, [_MOST_VALUES])
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}, text
    assert isinstance(plain, dict)
    return {k: v for k, v in plain.items() if v is not None}, text[found.end() :].lstrip("\n")


def _plain(value: object, left: list[int]) -> object:
    left[0] -= 1
    if left[0] < 0:
        raise ValueError("too many values")
    if isinstance(value, Mapping):
        return {str(key): _plain(each, left) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(each, left) for each in value]
    if isinstance(value, date | datetime):
        return value.isoformat()
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, float) and abs(value) < float("inf"):
        return value
    return str(value)


def _without_comments(text: str) -> str:
    """HTML comments go, those in code stay."""
    if "<!--" not in text:
        return text
    lines = text.splitlines(keepends=True)
    code: set[int] = set()
    for token in _parser().parse(text):
        if token.type in ("fence", "code_block"):
            code.update(_lines_of(token))
    kept, run = [], ""
    for number, line in enumerate(lines):
        if number in code:
            kept += [_COMMENT.sub(_code_alone, run), line]
            run = ""
        else:
            run += line
    return "".join([*kept, _COMMENT.sub(_code_alone, run)]).strip("\n")


def _lines_of(token: Token) -> range:
    return range(*token.map) if token.map else range(0)


def _code_alone(found: re.Match[str]) -> str:
    return found[0] if found[1] else ""


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    """A parser of blocks: what is inside a paragraph is not looked at."""
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser
