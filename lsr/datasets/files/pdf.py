"""PDF: the text of its pages."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from lsr.datasets.files.content import DAMAGE, Content, Extracted, Unreadable

__all__ = ["PDF_SUFFIXES", "read_pdf"]

PDF_SUFFIXES = (".pdf",)
_MOST_PAGES = 20_000
PAGE_BREAK = "\n\f\n"


def read_pdf(content: Content) -> list[Extracted]:
    """One text, with a form feed between pages; the title and author that the file says.

    A page that cannot be read is left out and named.

    Raises:
        Unreadable: it is encrypted with a password, damaged, or has no text (pictures of pages).
    """
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, PyPdfError

    with _quiet():
        try:
            reader = PdfReader(io.BytesIO(content.data))
            if reader.is_encrypted and not reader.decrypt(""):
                raise Unreadable("is encrypted with a password")
            pages = []
            for number, page in enumerate(reader.pages[:_MOST_PAGES], start=1):
                try:
                    pages.append(page.extract_text().strip())
                except (*DAMAGE, PyPdfError):
                    pages.append("")
                    content.left_out.append((f"page {number}", "the page cannot be read"))
            n_pages = len(reader.pages)
            about = reader.metadata
            title, author = (about.title, about.author) if about else (None, None)
        except DependencyError as error:
            raise Unreadable("is encrypted") from error
        except (*DAMAGE, PyPdfError) as error:
            raise Unreadable("is damaged, or no PDF") from error
    if n_pages > _MOST_PAGES:
        content.left_out.append((f"pages after {_MOST_PAGES:,}", "more pages than are read"))
    text = PAGE_BREAK.join(pages)
    if not text.strip():
        raise Unreadable("holds no text; pictures of pages need text recognition first")
    metadata: dict[str, object] = {"pages": n_pages}
    if author:
        metadata["author"] = str(author)
    return [Extracted(text, str(title or "").strip(), metadata)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing is printed about files that are a little damaged."""
    logger = logging.getLogger("pypdf")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
