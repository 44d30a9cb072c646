"""`lsr.retrieval.snippet`: passages are short, true to the text, and show the matches."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.encoders.analysis import Analyzer
from lsr.encoders.bm25 import Bm25Encoder
from lsr.retrieval.snippet import MAX_SCANNED_CHARACTERS, Piece, highlight, plain, snippet
from lsr.service.terms import QueryTerms, WordMemory

ENGLISH = Analyzer()
FILLER = "The quiet water moved past old stones and nobody counted the hours. "


def matches(pieces: list[Piece]) -> list[str]:
    return [piece.text for piece in pieces if piece.is_match]


def passage(text: str, query: str, max_characters: int = 280) -> list[Piece]:
    return snippet(text, ENGLISH.terms(query), ENGLISH, max_characters)


def test_a_short_text_is_given_whole() -> None:
    pieces = passage("Herons were fishing\n\tin a  river.", "fish heron")
    assert pieces == [
        Piece("Herons", True),
        Piece(" were ", False),
        Piece("fishing", True),
        Piece(" in a river.", False),
    ]


def test_the_window_with_most_different_terms_wins() -> None:
    text = (
        FILLER * 5
        + "Herons herons herons herons. "
        + FILLER * 8
        + "A heron is fishing. "
        + FILLER * 5
    )
    pieces = passage(text, "heron fish")
    assert matches(pieces) == ["heron", "fishing"]
    assert pieces[0].text.startswith("…The quiet water")  # a sentence begins here
    assert pieces[-1].text.endswith("…")


def test_cuts_fall_between_words() -> None:
    text = FILLER * 10 + "heron " + FILLER * 10
    shown = plain(passage(text, "heron", 100)).strip("…")
    assert f" {shown.strip()} " in f" {text} "


def test_no_match_shows_the_beginning() -> None:
    shown = plain(passage(FILLER * 10, "zebra", 50))
    assert shown == "The quiet water moved past old stones and nobody…"
    assert passage("", "zebra") == passage("  \n", "zebra") == []


def test_a_match_at_the_very_end() -> None:
    pieces = passage(FILLER * 10 + "heron", "heron", 80)
    assert pieces[-1] == Piece("heron", True)
    assert len(plain(pieces)) <= 80


def test_highlight_keeps_every_character() -> None:
    text = "  Rivers,\n\nand a River's fish "
    pieces = highlight(text, ENGLISH.terms("river"), ENGLISH)
    assert plain(pieces) == text
    assert matches(pieces) == ["Rivers", "River's"]
    assert highlight("", ["river"], ENGLISH) == []
    assert highlight("river", [], ENGLISH) == [Piece("river", False)]


def test_scripts_without_blanks() -> None:
    pieces = passage("东京的鹭在河里捕鱼。" * 100, "鹭", 60)
    assert "鹭" in matches(pieces)
    assert len(plain(pieces)) <= 60


def test_only_the_beginning_of_a_long_text_is_scanned() -> None:
    text = "a " * MAX_SCANNED_CHARACTERS + "heron"
    assert matches(passage(text, "heron")) == []
    assert matches(passage(text * 50, "heron")) == []


def test_added_terms_are_marked_apart_and_count_after_own_ones() -> None:
    text = FILLER * 4 + "Reeds, sedge and willow. " + FILLER * 8 + "A heron by the sedge. " + FILLER
    own, added = ENGLISH.terms("heron"), ENGLISH.terms("reed sedge willow heron")
    pieces = snippet(text, own, ENGLISH, 120, added)
    marked = [(piece.text, piece.is_added) for piece in pieces if piece.is_match]
    assert marked == [("heron", False), ("sedge", True)]
    assert matches(snippet(text, own, ENGLISH, 120)) == ["heron"]
    without = snippet(text, ENGLISH.terms("otter"), ENGLISH, 120, added)
    assert matches(without) == ["Reeds", "sedge", "willow"]
    assert not any(piece.is_added and not piece.is_match for piece in without)


def test_terms_are_spelled_as_the_query_or_the_text_does() -> None:
    terms = QueryTerms("Studying Cities", WordMemory(Bm25Encoder()))
    text = "The city's studies: energies, Energy. Studious"
    assert terms.spelling(["citi", "studi", "energi", "none"], text) == {
        "citi": "cities",
        "studi": "studying",
        "energi": "energy",
    }


WORDS = st.lists(
    st.sampled_from(["heron", "fish", "a" * 90, "Rivers,", "x", "鱼鱼", "\n"]), max_size=90
)


@given(WORDS, st.sampled_from(["heron", "fish river", "鱼 x", "none"]), st.integers(3, 120))
def test_a_passage_is_part_of_its_text(words: list[str], query: str, most: int) -> None:
    text = " ".join(words)
    terms = set(ENGLISH.terms(query))
    pieces = snippet(text, terms, ENGLISH, most)
    shown = plain(pieces)
    assert len(shown) <= most
    assert all(piece.text for piece in pieces)
    assert shown.strip("…").strip() in " ".join(text.split())
    assert all(a.is_match != b.is_match for a, b in pairwise(pieces))
    if most > 100 and any(token.term in terms for token in ENGLISH.tokens(text)):
        assert matches(pieces)


@pytest.mark.parametrize("query", ["heron fish", "river 鱼", "none", ""])
@settings(deadline=None)  # the first example may compile
@given(
    st.lists(
        st.sampled_from(["herons", "heron-fish", "(Fish)", "river's", "b" * 40, "鱼鱼", "\x1c"])
    )
)
def test_remembered_words_mark_the_same(query: str, words: list[str]) -> None:
    encoder = Bm25Encoder()
    text, terms = " ".join(words), encoder.analyzer.terms(query)
    memory = WordMemory(encoder)
    for _ in range(2):  # the second time from memory
        marked = QueryTerms(query, memory)
        assert marked.highlight(text) == highlight(text, terms, encoder.analyzer)
        assert marked.snippet(text) == snippet(text, terms, encoder.analyzer)
