"""A folder that appears whole, by one rename, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lsr.errors import InputError, StorageError
from lsr.files import sync_tree

__all__ = ["MARK", "publishing"]

MARK = ".lsr-export"
"""A file in every folder that was published so, which may therefore be replaced."""


@contextmanager
def publishing(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder`, which takes its name when all went well.

    Raises:
        InputError: the place is taken by something that was not published so.
        StorageError: the machine refuses to write.
    """
    target = folder.resolve()
    is_taken = target.exists() and (not target.is_dir() or any(target.iterdir()))
    if is_taken and not (target / MARK).is_file():
        raise InputError(
            f"{folder} is not an export of lsr, so it is not replaced; name another folder"
        )
    staging = target.with_name(f".{target.name[:64]}.exporting-{os.getpid()}")
    replaced = staging.with_name(f"{staging.name}-replaced")
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            yield staging
            (staging / MARK).write_text("written by lsr export\n")
            sync_tree(staging)
            shutil.rmtree(replaced, ignore_errors=True)
            if target.exists():
                target.rename(replaced)
            try:
                staging.rename(target)
            except OSError:
                if replaced.exists():
                    replaced.rename(target)
                raise
            shutil.rmtree(replaced, ignore_errors=True)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written ({error.strerror or error}); nothing was changed; free "
            "some space or choose another place"
        ) from error
