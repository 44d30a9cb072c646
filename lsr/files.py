"""Files that are there whole or not at all, and JSON that carries its own checksum."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from lsr.machine import WINDOWS

__all__ = [
    "UNFINISHED",
    "checksum",
    "is_text",
    "put",
    "read_signed",
    "sha256_of",
    "signed",
    "sync",
    "sync_tree",
    "write_atomically",
    "writing",
]

UNFINISHED = ".unfinished"
"""Suffix of the name of a file while it is written."""

_NO_SYNC = (errno.EINVAL, errno.ENOTSUP)
"""Error numbers of file systems that cannot sync folders, such as some over a network."""

_TRIES, _PAUSE_SECONDS = 100, 0.01
"""Of a rename over a file that others read just now, on Windows."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file by one rename; what was there stays until then, also when it fails.

    Raises:
        OSError: the machine refuses.
        UnicodeEncodeError: a string is not text, see `is_text`.
    """
    with writing(path) as stream:
        stream.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A stream to a hidden file beside `path`, which takes its place, synced, if all went well.

    After an exception the hidden file is gone and `path` as it was. Its name has the number of
    the process, so that two processes do not mix; threads must take turns. A process that is
    killed leaves it.

    Raises:
        OSError: the machine refuses.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        with beside.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        put(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    sync(path.parent)


def put(source: Path, target: Path) -> None:
    """Rename a file to `target`, over what is there.

    Windows refuses that while others have `target` open: it is tried again for a second.

    Raises:
        OSError: the machine refuses.
    """
    for left in range(_TRIES - 1 if WINDOWS else 0, -1, -1):
        try:
            source.replace(target)
            return
        except PermissionError:
            if not left:
                raise
            time.sleep(_PAUSE_SECONDS)


def sync(path: Path) -> None:
    """Bring a file's bytes, or the names in a folder where its file system can, to disk.

    Windows opens no folders, and files only to write.

    Raises:
        OSError: the machine refuses.
    """
    if WINDOWS and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def sync_tree(root: Path) -> None:
    """Bring a folder with all that is below it to disk. Raises as `sync`."""
    for path in root.rglob("*"):
        sync(path)
    sync(root)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def checksum(content: Any) -> str:
    """The SHA-256, in hexadecimal, of values that JSON can hold, whatever the order of keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def signed(content: Mapping[str, Any]) -> str:
    """The values as JSON for people, and the checksum of them all under a last key, `checksum`.

    Args:
        content: keys are strings at every depth, and none of the first is `checksum`.
    """
    return json.dumps({**content, "checksum": checksum(content)}, indent=2) + "\n"


def read_signed(text: str | bytes) -> tuple[dict[str, Any], bool]:
    """The values of `signed`, and whether they are as they were signed.

    Damage is said and not raised, so that who reads can first see by which version it was written.

    Raises:
        ValueError: it is no JSON object with a checksum.
    """
    try:
        content: dict[str, Any] = json.loads(
            text.decode("utf-8") if isinstance(text, bytes) else text
        )
        said = content.pop("checksum")
        return content, said == checksum(content)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it is not what was written: {type(error).__name__} {error}") from error


def is_text(text: str) -> bool:
    """Whether a string can be written as UTF-8: one with half a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
