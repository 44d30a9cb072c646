"""The first version of the analysis, which indexes of that time keep: its terms stay the same."""

from __future__ import annotations

import unicodedata
from functools import partial

import pytest
from hypothesis import example, given, settings

from lsr.encoders.analysis import ENGLISH_STOP_WORDS, Analyzer, first_version
from tests.support.strategies import texts

first = partial(Analyzer, version=1)
plain = first("none")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n\t.,;!?-", []),
        ("read_csv os.path", ["read", "csv", "os", "path"]),
        ("__init__", ["init"]),
        ("e-mail", ["e", "mail"]),
        ("IPv6 2024 3.14", ["ipv6", "2024", "3", "14"]),
        ("dog's dog’s DOG'S dogs'", ["dog", "dog", "dog", "dogs"]),
        ("it's O'Brien's o'clock", ["it", "o", "brien", "o", "clock"]),
        ("'s", ["s"]),
        ("Zürich CAFÉ naïve", ["zürich", "café", "naïve"]),
        ("Straße ΣΊΣΥΦΟΣ", ["straße", "σίσυφος"]),
        ("漢字とkana", ["漢", "字", "と", "kana"]),
        ("カタカナ", ["カタカナ"]),
        ("한국어 검색", ["한국어", "검색"]),
        ("поиск Документов", ["поиск", "документов"]),
        ("a😀b", ["a", "b"]),
        ("x\u00a0y\u2003z", ["x", "y", "z"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert plain.terms(text) == words


def test_decomposed_text_gives_the_composed_words() -> None:
    composed = "Café Zürich"
    decomposed = unicodedata.normalize("NFD", composed)
    assert decomposed != composed
    assert plain.terms(decomposed) == plain.terms(composed) == ["café", "zürich"]


def test_stop_words_are_lucenes_33() -> None:
    assert len(ENGLISH_STOP_WORDS) == 33
    assert {"the", "and", "will", "with"} <= ENGLISH_STOP_WORDS
    assert not {"from", "he", "i", "we", "you"} & ENGLISH_STOP_WORDS
    everything = " ".join(sorted(ENGLISH_STOP_WORDS)).upper()
    assert first().terms(everything) == first("porter").terms(everything) == []
    assert len(first("german").terms(everything)) == 33
    assert len(plain.terms(everything)) == 33
    assert first().terms("It's the dog") == ["dog"]


def test_stemming() -> None:
    words = "running runs generously relational"
    assert first().terms(words) == ["run", "run", "generous", "relat"]
    assert first("porter").terms(words) == ["run", "run", "gener", "relat"]
    assert first("german").terms("Häuser laufen") == ["haus", "lauf"]
    assert plain.terms("running runs") == ["running", "runs"]


def test_terms_keep_order_and_repetition() -> None:
    assert first().terms("dogs eat dogs; cats eat") == ["dog", "eat", "dog", "cat", "eat"]


def test_token_places() -> None:
    text = "The dogs' café's 漢字 run_fast"
    tokens = list(first().tokens(text))
    assert [(t.term, text[t.start : t.end]) for t in tokens] == [
        ("dog", "dogs"),
        ("café", "café's"),
        ("漢", "漢"),
        ("字", "字"),
        ("run", "run"),
        ("fast", "fast"),
    ]


@settings(max_examples=200, deadline=None)
@given(texts())
@example("İstanbul")
@example("ΑΣ ΑΣ'S ΑΣ_Σ")
@example("ǅ ﬁ ŉ K's")
@example("Dog's x's_y 's A'S9 it's read_csv")
def test_tokens_are_terms(text: str) -> None:
    """Snippets mark what search found: both ways of reading a text see the same terms."""
    text = unicodedata.normalize("NFC", text)
    for analyzer in (first(), plain):
        tokens = list(analyzer.tokens(text))
        assert [token.term for token in tokens] == analyzer.terms(text)
        ends = [0]
        for token in tokens:
            assert ends[-1] <= token.start < token.end <= len(text)
            ends.append(token.end)


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_version, "_REMEMBERED", 100)
    analyzer, long = first(), "x" * 50
    for number in range(1_000):
        assert analyzer.terms(f"running word{number} the {long}") == ["run", f"word{number}", long]
        assert len(analyzer._rules._stems) <= 100  # type: ignore[attr-defined]
    assert long not in analyzer._rules._stems  # type: ignore[attr-defined]


def test_stems_asked_for_again_are_the_callers_own() -> None:
    analyzer = first()
    asked = analyzer.terms("Herons fish")
    asked.append("more")
    assert analyzer.terms("Herons fish") == ["heron", "fish"]
    assert analyzer.terms("Otters swim") == ["otter", "swim"]
    assert first("none").terms("Herons fish") == ["herons", "fish"]
    assert analyzer.terms("") == []
