"""Progress: bars by tqdm, functions, or nothing."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

import lsr
from lsr.errors import InputError, UnavailableError
from lsr.progress import no_progress, reported

DOCUMENTS = [lsr.Document("a", "Keys rotate.")]


class Bar:
    """A bar that notes what it is told."""

    made: list[Bar]

    def __init__(self, total: int | None, desc: str) -> None:
        self.total, self.desc, self.n, self.is_closed = total, desc, 0, False
        Bar.made.append(self)

    def update(self, n: int) -> None:
        assert not self.is_closed
        self.n += n

    def reset(self, total: int | None) -> None:
        self.n, self.total = 0, total

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    import tqdm.auto

    Bar.made = []
    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    return Bar.made


def test_a_bar_for_each_stage(bars: list[Bar]) -> None:
    with reported(True) as report:
        report("read", 0, None)
        report("read", 7, None)
        report("encode", 2, 10)
        report("encode", 10, 10)
        report("encode", 1, 5)
        assert [bar.is_closed for bar in bars] == [True, False]
    assert [(bar.desc, bar.n, bar.total) for bar in bars] == [
        ("reading documents", 7, None),
        ("sparse vectors", 1, 5),
    ]
    assert all(bar.is_closed for bar in bars)


def test_bars_are_closed_by_an_error(bars: list[Bar]) -> None:
    with pytest.raises(KeyError):
        _fail()
    assert bars[0].is_closed


def _fail() -> None:
    with reported(True) as report:
        report("read", 1, 2)
        raise KeyError


def test_bars_of_all_long_work(bars: list[Bar], tmp_path: Path) -> None:
    index = lsr.build(DOCUMENTS, tmp_path / "index", sparse="bm25", progress=True)
    assert "reading documents" in [bar.desc for bar in bars]
    for work in (
        lambda: index.add([lsr.Document("b", "Doors.")], progress=True),
        lambda: index.sync([lsr.Document("b", "Floors.")], progress=True),
        lambda: index.search_many(["doors", "floors"], progress=True),
    ):
        bars.clear()
        work()
        assert bars
        assert all(bar.is_closed for bar in bars)
    assert (bars[-1].desc, bars[-1].n, bars[-1].total) == ("searching", 2, 2)
    index.add([lsr.Document("c", "Roofs.")])
    bars.clear()
    index.merge(progress=True)
    assert bars


def test_real_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    with reported(True) as report:
        report("read", 1, 2)
        report("read", 2, 2)
    assert "reading documents: 100%" in shown.getvalue()


def test_what_progress_may_be() -> None:
    with reported(False) as report:
        assert report is no_progress
    told: list[Any] = []
    with reported(lambda *each: told.append(each)) as report:
        report("read", 1, None)
    assert told == [("read", 1, None)]
    wrong: Any = "yes"
    with pytest.raises(InputError, match="progress is 'yes'; give True for bars, or a function"):
        reported(wrong).__enter__()


def test_without_tqdm_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(UnavailableError, match=r"needs tqdm.*'lsr-search\[notebook\]', or give"):
        lsr.build(DOCUMENTS, tmp_path / "index", sparse="bm25", progress=True)
    assert not list(tmp_path.iterdir())
