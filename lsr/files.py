"""Files that are there whole or not at all, and JSON that knows its own checksum."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

__all__ = [
    "UNFINISHED",
    "checksum",
    "is_text",
    "read_signed",
    "signed",
    "sync_folder",
    "write_atomically",
    "writing",
]

UNFINISHED = ".unfinished"
"""How the name of a file ends while it is written."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file by one rename; what was there stays until then, also when it fails.

    Raises:
        OSError: the machine refuses.
    """
    with writing(path) as stream:
        stream.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A stream to a file beside `path`, which takes its place, synced, when all went well.

    The name is of this process, so that two writers do not mix.

    Raises:
        OSError: the machine refuses.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        with beside.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checksum(content: Mapping[str, Any]) -> str:
    """The SHA-256 of plain values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def signed(content: Mapping[str, Any]) -> str:
    """The values as JSON for people, with the checksum of all others as the last key."""
    return json.dumps({**content, "checksum": checksum(content)}, indent=2) + "\n"


def read_signed(text: str | bytes) -> tuple[dict[str, Any], bool]:
    """The values of `signed`, and whether they are as they were signed.

    Raises:
        ValueError: it is no JSON object with a checksum.
    """
    try:
        content: dict[str, Any] = json.loads(text)
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
