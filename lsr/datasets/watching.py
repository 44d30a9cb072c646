"""Changes of a source of documents, as they happen on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lsr.errors import InputError, UnavailableError

__all__ = ["changes_of"]

_DEBOUNCE_MS = 800
"""Changes that follow each other sooner are taken together."""
_LOOK_MS = 500
"""Longest wait before Ctrl-C is noticed, and before the first look."""


def changes_of(source: str, index: Path) -> Iterator[None]:
    """Yield once when watching has begun, and then whenever files of a source have changed.

    What changes while the caller works is told afterwards. Hidden files and those of the index
    itself do not count. Ctrl-C raises KeyboardInterrupt.

    Raises:
        InputError: the source is no file or folder.
        UnavailableError: watchfiles is not installed.
    """
    try:
        from watchfiles import watch
    except ImportError as error:
        raise UnavailableError(
            "watchfiles is not installed; run: pip install 'lsr-search[watch]'"
        ) from error
    path, own = Path(source).resolve(), index.resolve()
    if not path.exists():
        raise InputError(
            f"{source} cannot be watched; give a file or a folder, or leave out --watch"
        )
    folder = path if path.is_dir() else path.parent

    def counts(_: object, name: str) -> bool:
        changed = Path(name)
        if not path.is_dir():
            return changed == path
        below = changed.relative_to(folder).parts if changed.is_relative_to(folder) else ()
        return not changed.is_relative_to(own) and not any(part[0] == "." for part in below)

    watched = watch(
        folder,
        watch_filter=counts,
        debounce=_DEBOUNCE_MS,
        recursive=path.is_dir(),
        rust_timeout=_LOOK_MS,
        yield_on_timeout=True,
    )
    for number, changes in enumerate(watched):
        if changes or number == 0:
            yield
