"""A file that is changed in place while it is served: named, and no answer changes."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from lsr.index.collection.update import add_documents
from lsr.index.live.live_collection import LiveCollection
from lsr.types import Document


def seen(live: LiveCollection, wanted: bool) -> str | None:
    """The damage, when there is some or no more."""
    end = time.monotonic() + 30
    while (live.state.damage is not None) is not wanted:
        assert time.monotonic() < end
        time.sleep(0.05)
    return live.state.damage


def test_damage_is_named_and_harmless(built: Path, caplog: pytest.LogCaptureFixture) -> None:
    live = LiveCollection.open(built, residence="memory", keeper=False)
    try:
        before = [hit.document for hit in live.view.search("fish").hits]
        path = built / "segment-000001" / "arrays.bin"
        good = path.read_bytes()
        with caplog.at_level(logging.ERROR), path.open("r+b") as stream:
            stream.truncate(100)
            stream.flush()
            assert seen(live, True) == f"{path} has changed since it was opened"
        assert [hit.document for hit in live.view.search("fish").hits] == before
        assert caplog.text.count("restore it from a snapshot") == 1
        path.write_bytes(good)
        add_documents(built, [Document("eel", "a long fish")])
        assert seen(live, False) is None, "a new generation is looked at anew"
        assert len(live.view.search("fish").hits) == len(before) + 1
    finally:
        live.close()
