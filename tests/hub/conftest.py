"""The stand-in of the hub, for every test here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hub import Hub, hub_stand_in


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub without repositories; whoever asks is an owner of all."""
    with hub_stand_in(monkeypatch, tmp_path / "hub-cache") as stand_in:
        yield stand_in
