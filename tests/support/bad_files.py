"""Writing files that readers shall refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lsr.errors import DataError


def refused(
    read: Callable[[], object], path: Path, line: int | None, message: str
) -> pytest.ExceptionInfo[DataError]:
    """The read fails, and the message starts with file and line."""
    where = f"{path}, line {line}: " if line is not None else f"{path}: "
    with pytest.raises(DataError, match=re.escape(where) + f".*{message}") as caught:
        read()
    assert caught.value.path == str(path)
    assert caught.value.line == line
    return caught


def wrote(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
