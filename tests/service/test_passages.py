"""Passages and marks: as the naive twin has them, in place, and within a budget."""

from __future__ import annotations

import gc
import re
import weakref
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.encoders.analysis import Analyzer
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.retrieval.answer import Hit
from lsr.retrieval.snippet import plain
from lsr.service import terms as terms_module
from lsr.service.catalog import Catalog
from lsr.service.engine import SearchEngine
from lsr.service.search.passages import Passages
from lsr.service.search.request import Search
from lsr.service.terms import QueryTerms, WordMemory, beginning
from lsr.stopwatch import Deadline
from lsr.types import Document
from tests.naive.passages import naive_highlight, naive_passage

ODD = [
    "heron", "Herons,", "heron-fish", "fisher's", "fish’s", "FISH'S!", "river's-bank", "dog'sx",
    "cafe\u0301", "caf\u00e9", "n\u0303", "\u05d0\u05d1\u05d2", "\u0646\u0647\u0631",
    "\u202eheron\u202c", "鱼", "鱼鱼河", "かわ", "カワ", "\U00020000", "\U0001f41f", "a_b_heron",
    "x" * 40, "heron" * 30, "\u00a0", "\u2003", "\x1c", "\x85", "\n\n", "\t", "...", "İ", "ß",
    "FishHeron", "fish-2020",
    "ﬁsh",
    "2020", "1,000", "the", "of", "river.", "“heron”", "\u200bheron", "'s", "s'", "\ud800",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(ODD), max_size=120).flatmap(
    lambda words: st.sampled_from([" ", "", "  ", "-"]).map(lambda blank: blank.join(words))
)
QUERIES = st.sampled_from(
    ["heron", "fishers of rivers", "鱼鱼 河", "cafe caf\u00e9", "none", "", "x 2020 s", "fishHeron"]
)
MEMORY = WordMemory(Bm25Encoder())
MEMORIES = {1: WordMemory(Bm25Encoder(analysis=1)), 2: MEMORY}


@settings(deadline=None, max_examples=300)
@given(TEXTS, QUERIES, st.sampled_from([(), ("river",), ("fish", "2020")]), st.sampled_from([1, 2]))
def test_passages_are_those_of_the_naive_twin(
    text: str, query: str, added: tuple[str, ...], version: int
) -> None:
    terms = QueryTerms(query, MEMORIES[version], added)
    pieces = naive_passage(text, query, added, version)
    assert terms.snippet(text) == pieces
    assert terms.passage(text) == plain(pieces)
    if not added:
        assert terms.highlight(text) == naive_highlight(text, query, version)


@settings(deadline=None, max_examples=100)
@given(TEXTS)
def test_a_passage_starts_inside_no_word(text: str) -> None:
    shown = QueryTerms("heron river", MEMORY).passage(text)
    if shown.startswith("…"):
        start = " ".join(text.split()).find(shown[1:-1].strip()[:30])
        around = " ".join(text.split())[start - 1 : start + 1] if start > 0 else ""
        in_camel_case = around[:1].islower() and around[1:].isupper()
        is_inside = re.fullmatch(r"[^\W_]{2}", around) and not in_camel_case
        assert not is_inside or any(c >= "\u3040" for c in around)


def test_a_passage_does_not_start_in_the_middle_of_a_joined_word() -> None:
    text = f"{'filler words stand here ' * 20}Veterinarily-Cancer Database {'of many cases ' * 30}"
    shown = QueryTerms("cancer database", MEMORY).passage("x" * 300 + text[300:])
    assert not re.match(r"…[a-z]+ly-Cancer", shown)
    long = "y" * 500 + "-cancer" + " and more of it" * 30
    assert QueryTerms("cancer", MEMORY).passage(long).startswith("…cancer and more")


@settings(deadline=None, max_examples=200)
@given(TEXTS, QUERIES)
def test_marks_point_at_what_they_say(text: str, query: str) -> None:
    terms = QueryTerms(query, MEMORY)
    analyzer = Analyzer()
    shown, marks = terms.passage_marks(text)
    assert shown == terms.passage(text)
    for where, found in ((shown, marks), (text, terms.marks(text))):
        assert all(a.end <= b.start for a, b in pairwise(found))
        for start, end, term in found:
            assert term in analyzer.terms(where[start:end]) or shown.endswith("…")


@pytest.mark.parametrize(("name", "number"), [("_MAX_WORDS", 3), ("_PIECES", 140)])
def test_a_full_memory_changes_no_passage(
    name: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terms_module, name, number)
    memory = WordMemory(Bm25Encoder())
    text = "one-two three-four herons's five 鱼鱼河鱼 riverBank seven-eight caf\u00e9-river"
    for _ in range(3):
        for query in ("heron river", "鱼河 bank cafe"):
            assert QueryTerms(query, memory).highlight(text) == naive_highlight(text, query)
        assert memory._table.is_full


def _hits(n: int, length: int) -> list[Hit]:
    text = "heron and river " * (length // 16)
    return [Hit(Document(str(i), text, "Heron"), 1.0) for i in range(n)]


def test_what_is_scanned_is_bounded_by_the_budget() -> None:
    passages = Passages(Search("heron"), 100_000, None)
    found = passages.of(_hits(1_000, 30_000), lambda: QueryTerms("heron", MEMORY))
    assert 100_000 <= passages.n_scanned <= 120_000
    assert passages.n_cut == 995
    assert [notice.code for notice in passages.notices] == ["passages_cut"]
    assert all(hit.passage.startswith("heron and river") for hit in found)
    assert all(len(hit.passage) <= 280 for hit in found)


def test_a_deadline_that_is_over_leaves_beginnings() -> None:
    passages = Passages(Search("river", marks=True), 100_000, Deadline(0))
    (hit,) = passages.of(_hits(1, 1_000), lambda: QueryTerms("river", MEMORY))
    assert (passages.n_scanned, passages.n_cut) == (0, 1)
    assert hit.passage.startswith("heron and river")
    assert hit.marks == {}


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (Search("heron"), 0),
        (Search("heron", snippets=False), 0),
        (Search("heron", marks=True), 1),
        (Search("heron", pieces=True), 1),
    ],
)
def test_titles_are_marked_only_when_somebody_reads_the_marks(
    search: Search, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    find = QueryTerms._find

    def counted(self: QueryTerms, text: str) -> int:
        read.append(text)
        return find(self, text)

    monkeypatch.setattr(QueryTerms, "_find", counted)
    Passages(search, 100_000, None).of(_hits(1, 100), lambda: QueryTerms("heron", MEMORY))
    assert read.count("Heron") == expected


def test_the_beginning_of_a_text() -> None:
    assert beginning("") == ""
    assert beginning("  one\n\n two ") == "one two"
    shown = beginning("word " * 10_000)
    assert shown.startswith("word word")
    assert shown.endswith("word…")
    assert len(shown) <= 280


def test_texts_are_remembered_within_a_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terms_module, "_TEXT_BYTES", 20_000)
    memory = WordMemory(Bm25Encoder())
    texts = [f"a heron and fish number {n} " + "in the deep river " * 30 for n in range(40)]
    cold = [QueryTerms("heron river", WordMemory(Bm25Encoder())).passage(each) for each in texts]
    for _ in range(2):
        assert [QueryTerms("heron river", memory).passage(each) for each in texts] == cold
    kept = memory.table().texts
    assert 0 < len(kept) < 40
    assert kept.n_bytes <= 20_000


def test_a_remembered_text_is_searched_for_other_words(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = WordMemory(Bm25Encoder())
    text = "The heron stands; the boats are new."
    assert [mark.term for mark in QueryTerms("heron", memory).marks(text)] == ["heron"]
    scans: list[int] = []
    scan = QueryTerms._scan

    def counted(self: QueryTerms, *arrays: Any) -> tuple[int, list[list[int]]]:
        scans.append(1)
        return scan(self, *arrays)

    monkeypatch.setattr(QueryTerms, "_scan", counted)
    assert [mark.term for mark in QueryTerms("new boat", memory).marks(text)] == ["boat", "new"]
    assert not scans
    long = text + " " + "y" * 40
    marks = [QueryTerms("y" * 40, memory).marks(long) for _ in range(2)]
    assert marks[0] == marks[1] != []
    assert scans


LONG_TEXTS = st.lists(
    st.sampled_from(
        [
            *"heron Herons, fish-heron river's x_heron of a new river. stands! so?)".split(),
            *(
                'said."',
                "said.\u201d",
                "鱼",
                "魚。",
                "so！",
                "caf\u00e9",
                "x.'y",
                "...",
                "y" * 30,
                "1,000",
                "\n",
                "\x1c",
                "  ",
                "\u2003",
            ),
        ]
    ),
    min_size=30,
    max_size=150,
).flatmap(
    lambda words: st.sampled_from([" ", "", "  ", "-", ". ", "\t"]).map(
        lambda blank: blank.join(words)
    )
)


@settings(deadline=None, max_examples=500)
@given(LONG_TEXTS, st.sampled_from(["", "\u2019", "鱼"]), QUERIES)
def test_compiled_windows_are_those_of_the_naive_twin(text: str, end: str, query: str) -> None:
    """Of texts that are ASCII, and of others."""
    text += end
    pieces = naive_passage(text, query, ())
    terms = QueryTerms(query, MEMORY)
    assert terms.passage(text) == plain(pieces)
    assert terms.snippet(text) == pieces


@pytest.mark.parametrize("end", ["", " caf\u00e9"])
def test_windows_of_long_texts_are_compiled(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unused(*_: object) -> None:
        raise AssertionError("a window that is not compiled")

    text = "We saw it. " * 1_815 + "A heron stands" + " in the river. " * 20 + end
    expected = plain(naive_passage(text, "heron"))
    assert "A heron" in expected
    monkeypatch.setattr("lsr.service.terms.window", unused)
    assert QueryTerms("heron", WordMemory(Bm25Encoder())).passage(text) == expected


@given(st.lists(st.sampled_from(ODD), max_size=60), st.integers(0, 40), st.integers(0, 200))
def test_blanks_are_made_one_in_what_is_shown(words: list[str], start: int, end: int) -> None:
    text = " ".join(words)
    part = text[start:end]
    shown = re.sub(r"\s+", " ", part) if part.strip() else ""
    front, back = "…" if start > 0 else "", "…" if end < len(text) else ""
    assert terms_module._shown(text, start, end) == f"{front}{shown}{back}"


def test_the_memory_of_a_collection_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "data" / "birds"
    path.parent.mkdir()
    build_collection([Document("1", "A heron stands. " * 40)], path, sparse=Bm25Encoder())
    engine = SearchEngine(Catalog({}, path.parent))
    engine.search("birds", "heron")
    memory = weakref.ref(engine.query_terms("birds", "heron")._memory)
    gc.collect()
    assert memory() is not None
    engine.catalog.delete("birds")
    gc.collect()
    assert memory() is None
    engine.catalog.close()
