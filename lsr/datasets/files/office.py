"""DOCX and PPTX: the text of paragraphs, tables, slides and notes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from lsr.datasets.files.content import DAMAGE, Content, Extracted, Unreadable
from lsr.datasets.files.zip_archive import opened_zip

__all__ = ["DOCX_SUFFIXES", "PPTX_SUFFIXES", "read_docx", "read_pptx"]

DOCX_SUFFIXES = (".docx", ".docm")
PPTX_SUFFIXES = (".pptx", ".pptm")
_MOST_NESTED = 20  # tables in tables, groups in groups


def read_docx(content: Content) -> list[Extracted]:
    """One text, paragraphs and rows of tables one a line; title: as the file says, or a heading.

    Raises:
        Unreadable: it is damaged, encrypted, or grows too much when it is unpacked.
    """
    import docx
    from docx.opc.exceptions import OpcError

    _check(content)
    try:
        document = docx.Document(io.BytesIO(content.data))
        lines = list(_blocks(document.iter_inner_content(), 0))
        about = document.core_properties
        styled = (
            p.text.strip()
            for p in document.paragraphs
            if p.style is not None and (p.style.name or "").startswith(("Title", "Heading"))
        )
        title = about.title.strip() or next(filter(None, styled), "")
        author = about.author
    except (*DAMAGE, OpcError) as error:
        raise Unreadable("is damaged, or no DOCX") from error
    return [_extracted("\n".join(lines), title, author)]


def read_pptx(content: Content) -> list[Extracted]:
    """One text, slide after slide with its notes; title: that of the first slide that has one.

    Raises:
        Unreadable: it is damaged, encrypted, or grows too much when it is unpacked.
    """
    import pptx
    from pptx.exc import PythonPptxError

    _check(content)
    try:
        show = pptx.Presentation(io.BytesIO(content.data))
        slides, title = [], ""
        for slide in show.slides:
            lines = [line for shape in slide.shapes for line in _shape(shape, 0)]
            heading = slide.shapes.title
            if not title and heading is not None:
                title = " ".join(heading.text_frame.text.split())
            if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
                lines.append(slide.notes_slide.notes_text_frame.text.strip())
            slides.append("\n".join(filter(None, lines)))
        author = show.core_properties.author
        title = title or show.core_properties.title.strip()
    except (*DAMAGE, PythonPptxError) as error:
        raise Unreadable("is damaged, or no PPTX") from error
    return [_extracted("\n\n".join(filter(None, slides)), title, author)]


def _check(content: Content) -> None:
    """Refuse what is no zip, or one that grows too much."""
    if content.data.startswith(b"\xd0\xcf\x11\xe0"):
        raise Unreadable("is encrypted, or of an old format")
    opened_zip(content.data).close()


def _extracted(text: str, title: str, author: str) -> Extracted:
    if not text.strip():
        raise Unreadable("holds no text")
    return Extracted(text, title, {"author": author} if author else {})


def _blocks(blocks: Any, depth: int) -> Iterator[str]:
    for block in blocks:
        if hasattr(block, "rows"):
            for row in block.rows:
                cells = []
                for cell in row.cells:
                    inner = cell.iter_inner_content() if depth < _MOST_NESTED else ()
                    cells.append(" ".join(_blocks(inner, depth + 1)))
                yield " | ".join(dict.fromkeys(filter(None, cells)))
        elif block.text.strip():
            yield block.text.strip()


def _shape(shape: Any, depth: int) -> Iterator[str]:
    if hasattr(shape, "shapes") and depth < _MOST_NESTED:
        for inner in shape.shapes:
            yield from _shape(inner, depth + 1)
    elif getattr(shape, "has_table", False):
        for row in shape.table.rows:
            yield " | ".join(cell.text.strip() for cell in row.cells)
    elif getattr(shape, "has_text_frame", False):
        yield shape.text_frame.text.strip()
