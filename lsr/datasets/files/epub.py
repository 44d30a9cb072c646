"""EPUB: the chapters of a book, in reading order."""

from __future__ import annotations

import posixpath
from typing import Any
from urllib.parse import unquote
from zipfile import ZipFile

from lsr.datasets.files.content import DAMAGE, Content, Extracted, Unreadable
from lsr.datasets.files.html import html_text
from lsr.datasets.files.zip_archive import opened_zip, read_member

__all__ = ["EPUB_SUFFIXES", "read_epub"]

EPUB_SUFFIXES = (".epub",)
_RIGHTS = "META-INF/encryption.xml"
_FONT_ONLY = (b"http://www.idpf.org/2008/embedding", b"http://ns.adobe.com/pdf/enc#RC")


def read_epub(content: Content) -> list[Extracted]:
    """One text of all chapters, with title, author, language and date of the book.

    A chapter that is missing or damaged is left out and named.

    Raises:
        Unreadable: it is damaged, encrypted, or beyond the bounds of a zip.
    """
    with opened_zip(content.data) as archive:
        names = set(archive.namelist())
        if _RIGHTS in names:
            rights = read_member(archive, archive.getinfo(_RIGHTS))
            if rights.count(b"<EncryptionMethod") + rights.count(b":EncryptionMethod") > sum(
                rights.count(font) for font in _FONT_ONLY
            ):
                raise Unreadable("is encrypted")
        try:
            place, package = _package(archive)
            chapters = _spine(package)
        except DAMAGE as error:
            raise Unreadable("is damaged, or no EPUB") from error
        texts = []
        for chapter in chapters:
            name = posixpath.normpath(posixpath.join(posixpath.dirname(place), unquote(chapter)))
            try:
                page = Content(read_member(archive, archive.getinfo(name)), ".xhtml")
                texts.append(html_text(page.text()).text)
            except (KeyError, Unreadable):
                content.left_out.append((name, "the chapter is missing or damaged"))
    text = "\n\n".join(filter(None, texts))
    if not text:
        raise Unreadable("holds no text")
    about = {name: _about(package, name) for name in ("title", "creator", "language", "date")}
    metadata: dict[str, object] = {
        {"creator": "author"}.get(name, name): value
        for name, value in about.items()
        if value and name != "title"
    }
    return [Extracted(text, about["title"], metadata)]


def _package(archive: ZipFile) -> tuple[str, Any]:
    container = _parsed(read_member(archive, archive.getinfo("META-INF/container.xml")))
    place = str(container.xpath("//*[local-name()='rootfile']/@full-path")[0])
    return place, _parsed(read_member(archive, archive.getinfo(place)))


def _spine(package: Any) -> list[str]:
    items = {
        item.get("id"): item.get("href")
        for item in package.xpath("//*[local-name()='manifest']/*[local-name()='item']")
        if "html" in (item.get("media-type") or "")
    }
    order = package.xpath("//*[local-name()='spine']/*[local-name()='itemref']/@idref")
    return [items[each] for each in order if items.get(each)]


def _about(package: Any, name: str) -> str:
    found = package.xpath(f"//*[local-name()='metadata']/*[local-name()='{name}']/text()")
    return " ".join(found[0].split()) if found else ""


def _parsed(data: bytes) -> Any:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    return etree.fromstring(data, parser)
