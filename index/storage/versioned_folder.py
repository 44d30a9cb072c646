"""A folder whose content is replaced at once: readers find the old one or the new one, whole.

INDEX/index.json           names the content, with the size and SHA-256 of every file
INDEX/content-000001/…     written and on disk before index.json names it
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from lsr.errors import IndexCorruptError, IndexMissingError, IndexVersionError, InputError
from lsr.files import UNFINISHED, read_signed, signed, sync_tree, write_atomically
from lsr.index.storage.manifest import record_files
from lsr.locks import FileLock

__all__ = ["current_content", "replace_content"]

FORMAT_VERSION = 1
NAME_FILE = "index.json"
_CONTENT = re.compile(r"content-(\d{6,})")
_LEFT = re.compile(rf"\.?{re.escape(NAME_FILE)}(\.\d+)?{re.escape(UNFINISHED)}")
"""Pattern of names of files left by a writer that died while it named its content."""
_LOCK = "lock"
_OURS = re.compile(rf"{_CONTENT.pattern}|{re.escape(NAME_FILE)}|{_LEFT.pattern}|{_LOCK}")


def replace_content(target: Path, write: Callable[[Path], None]) -> None:
    """Make what `write` puts into an empty folder the content of `target`.

    What was there before is removed; those who have it open keep it. Killed at any time, `target`
    has the old content or the new one.

    Raises:
        InputError: `target` holds something else, or another writer is at work; nothing is changed.
        OSError: it cannot be written; the old content stays.
    """
    if target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file; choose a folder")
    if target.exists() and (other := [p for p in target.iterdir() if not _OURS.fullmatch(p.name)]):
        raise InputError(
            f"{target} holds {other[0].name}, which is not of a sparse index; choose a new folder"
        )
    target.mkdir(parents=True, exist_ok=True)
    lock = FileLock.take(target / _LOCK)
    if lock is None:
        raise InputError(
            f"another writer of {target} is at work and holds its lock; try again when it is done"
        )
    try:
        numbers = [int(found[1]) for p in target.iterdir() if (found := _CONTENT.fullmatch(p.name))]
        content = target / f"content-{max(numbers, default=0) + 1:06d}"
        try:
            content.mkdir()
            write(content)
            files = {name: asdict(record) for name, record in record_files(content).items()}
            named = {"format_version": FORMAT_VERSION, "content": content.name, "files": files}
            sync_tree(target)
            write_atomically(target / NAME_FILE, signed(named))
        except BaseException:
            if not _names(target, content):
                shutil.rmtree(content, ignore_errors=True)
            raise
        for path in target.iterdir():
            if _CONTENT.fullmatch(path.name) and path != content:
                shutil.rmtree(path, ignore_errors=True)
            elif _LEFT.fullmatch(path.name):
                with suppress(OSError):
                    path.unlink()
    finally:
        lock.release(remove=True)


def current_content(target: Path, *, verify: bool) -> Path:
    """The folder with the content of `target`.

    Args:
        verify: compare every file with its checksum, not only with its size.

    Raises:
        IndexMissingError: there is none.
        IndexCorruptError: a file is missing or has changed.
        IndexVersionError: another format version.
    """
    path = target / NAME_FILE
    try:
        named, is_intact = read_signed(path.read_text("utf-8"))
        version = named["format_version"]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise IndexMissingError(
            f"{target} is not a sparse index; make one with SparseIndex.save"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise IndexCorruptError(f"{path} cannot be read ({error}); save the index again") from error
    if isinstance(version, int) and version != FORMAT_VERSION:
        raise IndexVersionError(
            f"{path} has format {version} and this lsr reads {FORMAT_VERSION}; save the index "
            "again, or install the lsr that made it"
        )
    if not is_intact:
        raise IndexCorruptError(f"{path} is damaged; restore it from a copy, or save it again")
    content = target / str(named["content"])
    for name, record in named["files"].items():
        file = content / name
        if not file.is_file() or file.stat().st_size != record["size_bytes"]:
            raise IndexCorruptError(
                f"{file} is missing or cut short; restore it from a copy, or save the index again"
            )
    if verify:
        found = record_files(content)
        for name, record in named["files"].items():
            if asdict(found[name]) != record:
                raise IndexCorruptError(
                    f"{content / name} has changed since it was written; restore it from a copy, "
                    "or save the index again"
                )
    return content


def _names(target: Path, content: Path) -> bool:
    """Whether `target` has this content by now: an interrupt may come after the last step."""
    try:
        return f'"{content.name}"' in (target / NAME_FILE).read_text("utf-8")
    except OSError:
        return False
