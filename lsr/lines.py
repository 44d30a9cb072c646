"""Lines of UTF-8 text files, plain, gzip (`.gz`) or Zstandard (`.zst`), with their numbers."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import zstandard

from lsr.errors import DataError

__all__ = ["COMPRESSED", "numbered_lines", "open_binary", "plain_suffix"]

COMPRESSED = (".gz", ".zst")


def plain_suffix(path: Path) -> str:
    """The suffix below any compression: `.jsonl` for `corpus.jsonl.gz`; lower case."""
    return Path(path.stem).suffix.lower() if path.suffix in COMPRESSED else path.suffix.lower()


@contextmanager
def open_binary(path: Path) -> Iterator[IO[bytes]]:
    """Open for reading, decompressed by suffix.

    Raises:
        DataError: the file cannot be opened, or what it holds is not what its suffix says.
    """
    try:
        with path.open("rb") as raw:
            if path.suffix == ".gz":
                with gzip.open(raw) as stream:
                    yield stream  # type: ignore[misc]
            elif path.suffix == ".zst":
                with zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as z:
                    yield io.BufferedReader(z)
            else:
                yield raw
    except FileNotFoundError as error:
        raise DataError("there is no such file; check the path", path=path) from error
    except IsADirectoryError as error:
        raise DataError("this is a folder, and a file is needed", path=path) from error
    except PermissionError as error:
        raise DataError("no permission to read this file", path=path) from error
    except (gzip.BadGzipFile, zlib.error, zstandard.ZstdError, EOFError) as error:
        raise DataError(f"cannot be decompressed ({error}); is it complete?", path=path) from error


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end). A leading byte-order mark is dropped.

    Raises:
        DataError: the file cannot be read, or a line is not UTF-8; names the line.
    """
    with open_binary(path) as stream:
        for number, raw in enumerate(stream, start=1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"byte {error.start + 1} of the line is not UTF-8; convert the file first",
                    path=path,
                    line=number,
                ) from error
            yield number, line.rstrip("\r\n")
