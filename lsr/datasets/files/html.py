"""HTML: what a reader of the page reads, without scripts, styles and navigation."""

from __future__ import annotations

import re
from typing import Any

from lsr.datasets.files.content import Content, Extracted, Unreadable

__all__ = ["HTML_SUFFIXES", "html_text", "read_html"]

HTML_SUFFIXES = (".html", ".htm", ".xhtml")
_LEFT_OUT = frozenset(
    "button datalist dialog embed head iframe menu nav noscript object script select style "
    "svg template textarea".split()
)
_ROLES = frozenset(("navigation", "search", "menu", "menubar", "toolbar"))
_BLOCKS = frozenset(
    "address article aside blockquote br center dd details div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hr li main ol p pre section summary table tbody tfoot "
    "thead tr ul".split()
)
_DECLARED = re.compile(
    rb"<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]+)", re.I
)
_FIELDS = ("author", "date", "description", "keywords")


def read_html(content: Content) -> list[Extracted]:
    """One text: the main part of a page where it says which, otherwise its body."""
    declared = _DECLARED.search(content.data[:4096])
    return [html_text(content.text(declared[1].decode("ascii") if declared else None))]


def html_text(page: str) -> Extracted:
    """Text, title and a few fields of a page.

    Raises:
        Unreadable: the parser gives up.
    """
    from lxml import etree

    parser = etree.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True, huge_tree=True
    )
    try:
        root = etree.fromstring(page.encode("utf-8", "replace"), parser)
    except etree.LxmlError as error:
        if not page.strip():
            return Extracted("")
        raise Unreadable("is not HTML") from error
    if any(error.type_name == "ERR_RESOURCE_LIMIT" for error in parser.error_log):
        raise Unreadable("is nested too deeply")
    if root is None:
        return Extracted("")
    main = root.xpath("//main | //*[@role='main']")
    bodies = main or root.xpath("//body") or [root]
    outermost = [each for each in bodies if not any(a in bodies for a in each.iterancestors())]
    text = "\n".join(filter(None, map(_text, outermost)))
    titles = [*root.xpath("//head//title"), *root.xpath("//h1")]
    title = next(filter(None, (" ".join("".join(t.itertext()).split()) for t in titles)), "")
    return Extracted(text, title, _fields(root))


def _text(root: Any) -> str:
    from lxml import etree

    pieces: list[str] = []
    n_pre = 0
    walk = etree.iterwalk(root, events=("start", "end"))
    skipped = None
    for event, element in walk:
        tag = element.tag if isinstance(element.tag, str) else ""
        if event == "start":
            if _is_left_out(element, tag) and element is not root:
                skipped = element
                walk.skip_subtree()
                continue
            n_pre += tag == "pre"
            pieces.append("\n" if tag in _BLOCKS else " " if tag in ("td", "th") else "")
            pieces.append(_spaced(element.text, n_pre))
            continue
        if element is not skipped:
            n_pre -= tag == "pre"
            pieces.append("\n" if tag in _BLOCKS else "")
        if element is not root:
            pieces.append(_spaced(element.tail, n_pre))
    text = re.sub(r"[ \t]+\n", "\n", "".join(pieces))
    text = re.sub(r"\n (?=\S)", "\n", re.sub(r"(?<=\S)  +(?=\S)", " ", text))
    return re.sub(r"\n{2,}", "\n", text).strip()


def _is_left_out(element: Any, tag: str) -> bool:
    hidden = element.get("hidden") is not None or element.get("aria-hidden") == "true"
    return tag in _LEFT_OUT or hidden or element.get("role") in _ROLES


def _spaced(text: str | None, n_pre: int) -> str:
    if not text:
        return ""
    return text if n_pre else re.sub(r"\s+", " ", text)


def _fields(root: Any) -> dict[str, object]:
    fields: dict[str, object] = {}
    for meta in root.xpath("//meta[@name][@content]"):
        name = meta.get("name").lower()
        if name in _FIELDS and meta.get("content").strip():
            fields.setdefault(name, meta.get("content").strip())
    return fields
