"""Files below a folder, in the order of their paths, over links, without what lsr itself wrote."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from lsr.datasets.reading import Reading
from lsr.errors import DataError
from lsr.files import is_text

__all__ = ["is_made_by_lsr", "walked"]

_INDEX_MARKS = ('"format_version"', '"lsr_version"')
_MODEL_FILES = ("modules.json", "lsr-sparse-onnx.json")
_HEAD = 4096  # characters of a manifest that hold its marks

_Key = tuple[int, int]


def walked(root: Path, reading: Reading) -> Iterator[tuple[str, Path]]:
    """Path below `root`, with `/` between, and path of each regular file.

    Links to files are followed, links to folders too, each folder once: one that is inside `root`
    is read under its own name alone, so that a loop ends. What is hidden, cannot be listed, has a
    name that is not UTF-8, or was made by lsr is counted in `reading`.

    Raises:
        DataError: `root` cannot be listed, or is an index or a model itself.
    """
    if is_made_by_lsr(root):
        raise DataError("this is an index or a model of lsr; give the documents", path=root)
    try:
        entries = _entries(root)
    except OSError as error:
        raise DataError(f"the folder cannot be read ({error.strerror})", path=root) from error
    seen = {_key(root.stat())}
    inside = os.path.realpath(root)
    stack = [("", iter(entries))]
    while stack:
        above, entries_left = stack[-1]
        entry = next(entries_left, None)
        if entry is None:
            stack.pop()
            continue
        below = f"{above}{entry.name}"
        if _is_folder(entry):
            children = _children(entry, below, inside, seen, reading)
            if children is not None:
                stack.append((f"{below}/", iter(children)))
        elif _is_readable(entry, below, reading):
            yield below, Path(entry.path)


def is_made_by_lsr(folder: Path) -> bool:
    """Whether a folder is an index or a model: nobody's documents."""
    if any((folder / name).is_file() for name in _MODEL_FILES):
        return True
    try:
        with (folder / "manifest.json").open(encoding="utf-8") as stream:
            head = stream.read(_HEAD)
    except (OSError, ValueError):
        return False
    return all(mark in head for mark in _INDEX_MARKS)


def _children(
    entry: os.DirEntry[str], below: str, inside: str, seen: set[_Key], reading: Reading
) -> list[os.DirEntry[str]] | None:
    """Entries of a folder; None where it is passed over, which is counted."""
    kind, reason = "folder", ""
    children = None
    try:
        key = _key(entry.stat())
        linked = entry.is_symlink()
        if entry.name.startswith("."):
            kind, reason = "hidden", "its name starts with a dot"
        elif not is_text(entry.name):
            reason = "its name is not UTF-8"
        elif key in seen or (linked and _is_inside(os.path.realpath(entry.path), inside)):
            kind, reason = "linked" if linked else "folder", "it is read under another name"
        elif is_made_by_lsr(Path(entry.path)):
            reason = "it is an index or a model of lsr"
        else:
            children = _entries(Path(entry.path))
            seen.add(key)
    except PermissionError:
        reason = "no permission to read it"
    except OSError as error:
        reason = f"it cannot be read ({error.strerror})"
    if children is None:
        reading.pass_over(below, kind, reason, unit="folder")
    return children


def _is_inside(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


def _is_readable(entry: os.DirEntry[str], below: str, reading: Reading) -> bool:
    kind = Path(entry.name).suffix.lower() or "other"
    if entry.name.startswith("."):
        reading.pass_over(below, "hidden", "its name starts with a dot")
        return False
    if not is_text(entry.name):
        reading.pass_over(below, kind, "its name is not UTF-8; rename it")
        return False
    try:
        mode = entry.stat().st_mode
    except FileNotFoundError:
        gone = "the link leads nowhere" if entry.is_symlink() else "it vanished while it was read"
        reading.pass_over(below, kind, gone)
        return False
    except OSError as error:
        reading.pass_over(below, kind, f"it cannot be read ({error.strerror})")
        return False
    if not stat.S_ISREG(mode):
        reading.pass_over(below, kind, "it is a device, pipe or socket")
        return False
    return True


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _key(status: os.stat_result) -> _Key:
    return status.st_dev, status.st_ino
