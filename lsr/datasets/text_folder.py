"""Documents from a folder of files, one document a file; a box of mail or an archive has more."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from lsr.datasets.files.content import Content, Extracted, Unreadable
from lsr.datasets.files.kinds import READERS, RECORD_SUFFIXES, extracted
from lsr.datasets.files.zip_archive import (
    MOST_BYTES,
    MOST_NESTED,
    ZIP_SUFFIXES,
    opened_zip,
    read_member,
)
from lsr.datasets.folder_walk import walked
from lsr.datasets.lines import COMPRESSED, open_binary
from lsr.datasets.reading import Reading, ReadOptions
from lsr.errors import DataError
from lsr.files import is_text
from lsr.types import Document

__all__ = ["TextFolder", "is_read_alone"]

_SHOWN_SUFFIX = 12  # characters; a longer one is no suffix


class TextFolder:
    """All files below a folder that can be read, or one file of such a kind.

    Names that start with a dot are passed over. A document's id is its path below the folder;
    `path#n` for message n of a box of mail, `path/member` for files of an archive. Its title is
    that of the text, or else the file's name; metadata holds `folder` and `suffix`, and what the
    file says of itself (author, tags).

    Attributes:
        reading: the account of what `documents` read and passed over, so far or at last.
    """

    def __init__(self, path: Path, options: ReadOptions | None = None) -> None:
        self.path = path
        self.name = path.resolve().name
        self.reading = Reading()
        self._options = options or ReadOptions()

    def documents(self) -> Iterator[Document]:
        """Yield documents in path order. Files that cannot be read are counted in `reading`.

        Raises:
            DataError: the folder itself cannot be read.
        """
        self.reading = reading = Reading()
        return self._documents(reading)

    def check(self) -> None:
        """Raise DataError when the folder holds no file that can be read, or the file none."""
        if next(iter(self.documents()), None) is not None:
            return
        told = "; ".join(line.strip() for line in self.reading.lines())
        if self.path.is_file():
            raise DataError(f"no text can be read of this file; {told}", path=self.path)
        raise DataError(
            "no text files (.txt, .md, .rst, .html, .pdf and others) and no corpus.jsonl in this "
            f"folder{f'; {told}' if told else ''}",
            path=self.path,
        )

    def _documents(self, reading: Reading) -> Iterator[Document]:
        is_one = self.path.is_file()
        for below, path in [(self.path.name, self.path)] if is_one else walked(self.path, reading):
            kind = _kind(below)
            if _is_read(kind):
                try:
                    data = _unchanged(path)
                except Unreadable as error:
                    reading.pass_over(below, kind, error.reason, error.option)
                    continue
                yield from self._file(below, data, reading, 0)
            else:
                _pass_unknown(below, kind, reading)

    def _file(self, below: str, data: bytes, reading: Reading, nested: int) -> Iterator[Document]:
        kind = _kind(below)
        try:
            data = _decompressed(below, data)
            if kind in ZIP_SUFFIXES:
                if nested >= MOST_NESTED:
                    raise Unreadable("is too deep in other archives")
                yield from self._archive(below, data, reading, nested + 1)
                return
            content = Content(data, kind, self._options.encoding)
            found = extracted(content)
        except Unreadable as error:
            reading.pass_over(below, kind, error.reason, error.option)
            return
        for part, reason in content.left_out:
            reading.pass_over(f"{below}, {part}", kind, reason, unit="part")
        if content.guessed is not None:
            reading.guess(content.guessed)
        reading.take(kind)
        for each in found:
            reading.n_documents += 1
            yield _document(below, kind, each)

    def _archive(
        self, below: str, data: bytes, reading: Reading, nested: int
    ) -> Iterator[Document]:
        seen: set[str] = set()
        with opened_zip(data) as archive:
            for member in sorted(archive.infolist(), key=lambda each: each.filename):
                if member.is_dir():
                    continue
                parts = [part for part in PurePosixPath(member.filename).parts if part != "/"]
                name = f"{below}/{'/'.join(parts)}"
                kind = _kind(name)
                if any(part.startswith(".") or part == "__MACOSX" for part in parts):
                    reading.pass_over(name, "hidden", "its name starts with a dot")
                elif name in seen:
                    reading.pass_over(name, kind, "the archive has two files of this name")
                elif not _is_read(kind):
                    _pass_unknown(name, kind, reading)
                else:
                    seen.add(name)
                    try:
                        inner = read_member(archive, member)
                    except Unreadable as error:
                        reading.pass_over(name, kind, error.reason)
                        continue
                    yield from self._file(name, inner, reading, nested)


def is_read_alone(path: Path) -> bool:
    """Whether a file, given by itself, is read as those of a folder are."""
    return _is_read(_kind(path.name))


def _kind(below: str) -> str:
    """The suffix below any compression, lower case; `no suffix` where there is none."""
    name = PurePosixPath(below)
    if name.suffix.lower() in COMPRESSED:
        name = PurePosixPath(name.stem)
    suffix = name.suffix.lower()
    return suffix if 0 < len(suffix) <= _SHOWN_SUFFIX else "no suffix"


def _is_read(kind: str) -> bool:
    return kind in READERS or kind in ZIP_SUFFIXES


def _pass_unknown(below: str, kind: str, reading: Reading) -> None:
    if kind in RECORD_SUFFIXES:
        option = "give the file itself as SOURCE"
        reading.pass_over(below, kind, "a file of records or settings", option)
    else:
        reading.pass_over(below, kind, "no kind of file that is read")


def _unchanged(path: Path) -> bytes:
    """Bytes of a file that nobody changed meanwhile."""
    try:
        before = path.stat()
        data = path.read_bytes()
        after = path.stat()
    except FileNotFoundError as error:
        raise Unreadable("it vanished while it was read") from error
    except PermissionError as error:
        raise Unreadable("no permission to read it") from error
    except OSError as error:
        raise Unreadable(f"it cannot be read ({error.strerror})") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise Unreadable("it changed while it was read", "the same command again")
    return data


def _decompressed(below: str, data: bytes) -> bytes:
    suffix = PurePosixPath(below).suffix.lower()
    if suffix not in COMPRESSED:
        return data
    try:
        with open_binary(Path(below), io.BytesIO(data)) as stream:
            plain = stream.read(MOST_BYTES + 1)
    except DataError as error:
        raise Unreadable("cannot be decompressed") from error
    if len(plain) > MOST_BYTES:
        raise Unreadable(f"would grow beyond {MOST_BYTES >> 20} MB")
    return plain


def _document(below: str, kind: str, found: Extracted) -> Document:
    path = PurePosixPath(below)
    stem = PurePosixPath(path.stem).stem if path.suffix.lower() in COMPRESSED else path.stem
    metadata = {name: _clean(value) for name, value in found.metadata.items() if is_text(name)}
    return Document(
        doc_id=f"{below}#{found.part}" if found.part else below,
        text=_text(found.text),
        title=_text(found.title) or stem,
        metadata={**metadata, "folder": path.parent.as_posix(), "suffix": kind},
    )


def _clean(value: object) -> object:
    """The value with whole characters only."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return [_clean(each) for each in value]
    if isinstance(value, Mapping):
        return {_text(str(key)): _clean(each) for key, each in value.items()}
    return value


def _text(text: str) -> str:
    """The text, with a mark for each half of a surrogate pair, as damaged files have them."""
    with suppress(UnicodeEncodeError):
        text.encode("utf-8")
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
