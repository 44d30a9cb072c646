"""Documents from a folder of text and Markdown files, one document a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lsr.datasets.lines import numbered_lines
from lsr.errors import DataError
from lsr.types import Document

__all__ = ["TEXT_SUFFIXES", "TextFolder"]

TEXT_SUFFIXES = (".txt", ".md", ".markdown", ".rst", ".text")
_HEADING = re.compile(r"^#{1,6}[ \t]+([^\s#].*?|#+[^\s#].*?)(?:[ \t]+#+)?[ \t]*$", re.MULTILINE)


class TextFolder:
    """All text files below a folder; names that start with a dot are passed over.

    A document's id is its path below the folder, its title the first Markdown heading or else the
    file's name; metadata holds `folder` and `suffix`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.resolve().name

    def documents(self) -> Iterator[Document]:
        """Yield documents in path order.

        Raises:
            DataError: a file cannot be read or is not UTF-8 (names the line).
        """
        for path in sorted(self.path.rglob("*")):
            below = path.relative_to(self.path)
            hidden = any(part.startswith(".") for part in below.parts)
            if hidden or path.suffix.lower() not in TEXT_SUFFIXES or not path.is_file():
                continue
            text = "\n".join(line for _, line in numbered_lines(path))
            heading = _HEADING.search(text) if path.suffix.lower() in (".md", ".markdown") else None
            yield Document(
                doc_id=below.as_posix(),
                text=text,
                title=heading.group(1) if heading else path.stem,
                metadata={"folder": below.parent.as_posix(), "suffix": path.suffix.lower()},
            )

    def check(self) -> None:
        """Raise DataError when the folder holds no text file at all."""
        if next(iter(self.documents()), None) is None:
            raise DataError(
                f"no text files ({', '.join(TEXT_SUFFIXES)}) and no corpus.jsonl in this folder",
                path=self.path,
            )
