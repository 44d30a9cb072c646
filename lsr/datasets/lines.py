"""Lines of text files, plain, gzip (`.gz`) or Zstandard (`.zst`), with their numbers."""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from lsr.errors import DataError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["COMPRESSED", "compressing", "numbered_lines", "open_binary", "plain_suffix", "zstd"]

COMPRESSED = (".gz", ".zst")


def plain_suffix(path: Path) -> str:
    """The suffix below any compression: `.jsonl` for `corpus.jsonl.gz`; lower case."""
    packed = path.suffix.lower() in COMPRESSED
    return Path(path.stem).suffix.lower() if packed else path.suffix.lower()


@contextmanager
def open_binary(path: Path, content: IO[bytes] | None = None) -> Iterator[io.BufferedReader]:
    """Open for reading, decompressed by suffix; `content` is taken for that of the file.

    Raises:
        DataError: the file cannot be opened, or what it holds is not what its suffix says.
    """
    try:
        with path.open("rb") if content is None else content as raw:
            if path.suffix.lower() == ".gz":
                with gzip.GzipFile(fileobj=raw) as stream:
                    yield cast(io.BufferedReader, stream)
            elif path.suffix.lower() == ".zst":
                with zstd.ZstdFile(raw) as frames:
                    yield cast(io.BufferedReader, frames)
            else:
                yield cast(io.BufferedReader, raw)
    except FileNotFoundError as error:
        raise DataError("there is no such file; check the path", path=path) from error
    except IsADirectoryError as error:
        raise DataError("this is a folder, and a file is needed", path=path) from error
    except PermissionError as error:
        raise DataError("no permission to read this file", path=path) from error
    except (gzip.BadGzipFile, zlib.error, zstd.ZstdError, EOFError) as error:
        raise DataError(f"cannot be decompressed ({error}); is it complete?", path=path) from error


@contextmanager
def compressing(path: Path, raw: IO[bytes]) -> Iterator[IO[bytes]]:
    """A stream to write to, which reaches `raw` compressed by the suffix of `path`."""
    if path.suffix == ".gz":
        with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
            yield cast(IO[bytes], packed)
    elif path.suffix == ".zst":
        with zstd.ZstdFile(raw, "wb") as frame:
            yield cast(IO[bytes], frame)
    else:
        yield raw


def numbered_lines(
    path: Path, encoding: str | None = None, *, keep_bad: bool = False
) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end). A leading byte-order mark is dropped.

    Args:
        encoding: that of the file; None: UTF-8, or UTF-16 where the file starts with its mark.
        keep_bad: lines that are not UTF-8 are given with half surrogates, see `lsr.files.is_text`.

    Raises:
        DataError: the file cannot be read, or a line is not UTF-8; names the line.
    """
    with open_binary(path) as stream:
        if encoding is None:
            head = stream.peek(2)[:2]
            encoding = "utf-16" if head in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else None
        if encoding is not None:
            yield from _decoded_lines(path, stream, encoding)
            return
        errors = "surrogateescape" if keep_bad else "strict"
        for number, raw in enumerate(stream, start=1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8", errors)
            except UnicodeDecodeError as error:
                raise DataError(
                    f"byte {error.start + 1} of the line is not UTF-8; convert the file first",
                    path=path,
                    line=number,
                ) from error
            yield number, line.rstrip("\r\n")


def _decoded_lines(
    path: Path, stream: io.BufferedReader, encoding: str
) -> Iterator[tuple[int, str]]:
    number = 0
    lines = io.TextIOWrapper(stream, encoding, newline="\n")
    try:
        for number, line in enumerate(lines, start=1):
            text = line.removeprefix("\ufeff") if number == 1 else line
            yield number, text.rstrip("\r\n")
    except UnicodeError as error:
        raise DataError(f"this is not {encoding}", path=path, line=number + 1) from error
    finally:
        lines.detach()
