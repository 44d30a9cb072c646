"""Kinds of files that a folder may hold, by suffix."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lsr.datasets.files.content import Content, Extracted, Unreadable
from lsr.datasets.files.epub import EPUB_SUFFIXES, read_epub
from lsr.datasets.files.html import HTML_SUFFIXES, read_html
from lsr.datasets.files.mail import BOX_SUFFIXES, MAIL_SUFFIXES, read_box, read_mail
from lsr.datasets.files.markdown import MARKDOWN_SUFFIXES, read_markdown
from lsr.datasets.files.notebook import NOTEBOOK_SUFFIXES, read_notebook
from lsr.datasets.files.office import DOCX_SUFFIXES, PPTX_SUFFIXES, read_docx, read_pptx
from lsr.datasets.files.pdf import PDF_SUFFIXES, read_pdf
from lsr.datasets.files.restructured import REST_SUFFIXES, read_rest
from lsr.datasets.files.text import CODE_SUFFIXES, PLAIN_SUFFIXES, read_text
from lsr.datasets.reading import FILES_EXTRA

__all__ = ["READERS", "RECORD_SUFFIXES", "extracted"]

Reader = Callable[[Content], list[Extracted]]

_KINDS: tuple[tuple[tuple[str, ...], Reader], ...] = (
    (PLAIN_SUFFIXES, read_text),
    (MARKDOWN_SUFFIXES, read_markdown),
    (REST_SUFFIXES, read_rest),
    (CODE_SUFFIXES, read_text),
    (HTML_SUFFIXES, read_html),
    (PDF_SUFFIXES, read_pdf),
    (DOCX_SUFFIXES, read_docx),
    (PPTX_SUFFIXES, read_pptx),
    (EPUB_SUFFIXES, read_epub),
    (NOTEBOOK_SUFFIXES, read_notebook),
    (MAIL_SUFFIXES, read_mail),
    (BOX_SUFFIXES, read_box),
)
READERS = {suffix: reader for suffixes, reader in _KINDS for suffix in suffixes}
"""Suffix, lower case, to the reader of such files."""

RECORD_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".json", ".parquet")
"""Suffixes of files of records: each is a source of its own, and none is read in a folder."""


def extracted(content: Content) -> Iterable[Extracted]:
    """The texts of a file of a kind in `READERS`.

    Raises:
        Unreadable: says why, and what would read it.
    """
    try:
        return READERS[content.suffix](content)
    except ImportError as error:
        library = (error.name or str(error)).partition(".")[0]
        raise Unreadable(f"needs {library}, which is not installed", FILES_EXTRA) from error
