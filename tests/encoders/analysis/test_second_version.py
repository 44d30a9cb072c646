"""The analysis of new indexes: words and their other forms, of kinds that others stumbled over."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
import Stemmer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lsr.encoders.analysis import ENGLISH_STOP_WORDS, IN_WORD, Analyzer, second_version
from lsr.encoders.analysis.identifiers import parts_of
from lsr.encoders.analysis.stop_words import stop_words
from lsr.errors import InputError
from tests.support.strategies import texts

PLAIN = Analyzer("none")
ENGLISH = Analyzer()


@pytest.mark.parametrize(
    ("text", "words", "forms"),
    [
        ("", "", ""),
        (" \n\t.,;!?- _ ' + # --", "", ""),
        ("IPv4 2024 3.14 it’s dog's DOG'S dogs' 's", "ipv4 2024 3 14 it dog dog dogs s", "pv"),
        ("O'Brien's o'clock x's_y", "o brien o clock x s y", ""),
        # combining marks stay in their word
        ("दिन दान", "दिन दान", ""),
        ("தமிழ் বাংলা", "தமிழ் বাংলা", ""),
        ("ẹ̀kọ́ n̄ng", "ẹ̀kọ́ n̄ng", "eko nng"),
        # signs that are written or left out
        ("שָׁלוֹם שלום", "שלום שלום", ""),
        ("كِتَابٌ كتاب كتـــاب آب", "كتاب كتاب كتاب آب", ""),
        ("за́мок замок ёлка йод", "за́мок замок ёлка йод", "замок елка"),
        # the dot of i
        ("İstanbul istanbul i̇stanbul ısparta", "istanbul istanbul istanbul ısparta", "isparta"),
        # invisible characters
        ("infor\u00admation infor\u200bmation infor\u2060mation", "information " * 3, ""),
        ("\ufeffheron\u200d can\u200cnot \u202eabc\u202c x\ufe0f", "heron cannot abc x", ""),
        ("می‌خواهم میخواهم", "میخواهم میخواهم", ""),
        # compatibility forms
        ("ＡＢＣ ﬁnance ﬀ ℌ ｶﾞｷﾞ x² ®™", "abc finance ff h ガギ x2", ""),
        # accents
        ("clé CAFÉ cafe\u0301 cafe", "clé café café cafe", "cle cafe cafe"),
        ("Straße Łódź smørbrød œuvre Ἀθῆναι", "straße łódź smørbrød œuvre ἀθῆναι",
         "strasse lodz smorbrod oeuvre αθηναι"),
        # identifiers
        ("parseMetrics OwnTerms", "parsemetrics ownterms", "parse metrics own terms"),
        ("HTTPServer URLs NASA Heron", "httpserver urls nasa heron", "http server"),
        ("read_csv __init__ _x", "read csv init x", "readcsv"),
        ("snake_caseName", "snake casename", "case name snakecasename"),
        ("größeFeld", "größefeld", "grossefeld größe feld"),
        ("e-mail e‐mail state-of-the-art", "e mail e mail state of the art", "email email"),
        ("AB-1234 AB1234 utf-8", "ab 1234 ab1234 utf 8", "ab1234 ab 1234 utf8"),
        ("978-3-16-148410-0", "978 3 16 148410 0", "9783161484100"),
        ("h2o a1 x" + "Ab" * 9, "h2o a1 x" + "ab" * 9, ""),
        # symbols that distinguish
        ("C++ C# C F# C++11 c++'s", "c++ c# c f# c++ 11 c++", ""),
        ("notepad++ a+b #tag x#y section# C#-based", "notepad a b tag x y section c# based",
         "notepad++"),
        # scripts without blanks
        ("漢字とkana 漢", "漢字 字と kana 漢", "漢 字"),
        ("カタカナ", "カタ タカ カナ", ""),
        ("한국어 검색", "한국 국어 검색", ""),
        ("นิดที่", "นิด ดที่", ""),
        ("a😀b x\u00a0y\u2003z \U0001f41f", "a b x y z", ""),
    ],
)  # fmt: skip
def test_words_and_forms(text: str, words: str, forms: str) -> None:
    weights, n_words = PLAIN.document_weights(text)
    expected = {word: float(words.split().count(word)) for word in words.split()}
    for form in forms.split():
        expected[form] = expected.get(form, 0) + 0.5
    assert weights == expected
    assert n_words == len(words.split())


def test_composed_and_decomposed_text_have_the_same_terms() -> None:
    composed = "Café Zürich Ἀθῆναι 한국어 ガギ"
    for form in ("NFD", "NFKD"):
        assert PLAIN.terms(unicodedata.normalize(form, composed)) == PLAIN.terms(composed)


@pytest.mark.parametrize(
    ("language", "text", "terms"),
    [
        ("turkish", "İstanbul istanbul", {"istanbul"}),
        ("turkish", "Isparta", {"ıspar", "ispar"}),
        ("german", "Äpfel Aepfel äpfel", {"apfel"}),
        ("swedish", "får far", {"får", "far"}),
        ("swedish", "idé", {"idé", "ide"}),
        ("danish", "sø så", {"sø"}),  # "så" is a stop word
        ("finnish", "näin nain", {"näi", "nai", "näin", "nain"}),
        ("spanish", "información informacion", {"inform"}),
        ("french", "l'élève d'où", {"élev", "elev"}),
        ("hindi", "में दिन", {"दिन"}),
    ],
)
def test_languages(language: str, text: str, terms: set[str]) -> None:
    assert set(Analyzer(language).terms(text)) <= terms
    if language != "finnish":
        assert set(Analyzer(language).terms(text)) == terms


@pytest.mark.parametrize("language", Stemmer.algorithms())
def test_every_language_has_stop_words_that_its_analysis_finds(language: str) -> None:
    words = stop_words(language)
    assert len(words) >= 13
    assert all(unicodedata.normalize("NFC", word) == word == word.lower() for word in words)
    analyzer = Analyzer(language)
    assert analyzer.terms(" ".join(sorted(words))) == []
    assert len(Analyzer("none").terms(" ".join(sorted(words)))) >= len(words)


def test_english_stop_words_are_lucenes_33() -> None:
    assert stop_words("english") == stop_words("porter") == ENGLISH_STOP_WORDS
    assert stop_words("dutch_porter") == stop_words("dutch")
    assert stop_words("none") == frozenset()


def test_places_are_those_of_the_text_as_given() -> None:
    text = "cafe\u0301's \u200bparseMetrics ﬁ-nance infor\u00admation 漢字検"
    assert [(term, text[start:end]) for term, start, end in PLAIN.tokens(text)] == [
        ("café", "cafe\u0301's"),
        ("cafe", "cafe\u0301's"),
        ("parsemetrics", "parseMetrics"),
        ("parse", "parse"),
        ("metrics", "Metrics"),
        ("finance", "ﬁ-nance"),
        ("fi", "ﬁ"),
        ("nance", "nance"),
        ("information", "infor\u00admation"),
        ("漢字", "漢字"),
        ("漢", "漢"),
        ("字検", "字検"),
        ("字", "字"),
        ("検", "検"),
    ]


ODD = st.text("aABsSIiz09_'-+# éÉßİıſŉ漢ёカ\u0301\u00ad’", max_size=12)


@settings(max_examples=400, deadline=None)
@given(st.one_of(texts(), ODD), st.sampled_from(["english", "turkish", "none"]))
@example("İstanbul", "turkish")
@example("ΑΣ ΑΣ'S ΑΣ_Σ", "none")
@example("0_'S A#_ Dog's x's_y 's A'S9 it's read_csv", "english")
def test_what_is_remembered_marked_and_weighed_is_one_analysis(text: str, language: str) -> None:
    analyzer = Analyzer(language)
    tokens = list(analyzer.tokens(text))
    terms = analyzer.terms(text)
    assert [token.term for token in tokens] == terms
    assert sorted(tokens, key=lambda token: (token.start, -token.end)) == tokens
    assert all(0 <= token.start < token.end <= len(text) for token in tokens)
    rules = analyzer._rules
    assert isinstance(rules, second_version.SecondVersion)
    pattern = second_version._pattern(text)
    slowly = [piece for chunk in pattern.findall(text) for piece in rules._chunks.pieces(chunk)]
    assert [piece.term for piece in slowly] == terms
    weights, n_words = analyzer.document_weights(text)
    assert weights.keys() == set(terms) == analyzer.query_weights(text).keys()
    assert n_words == sum(not piece.is_form for piece in slowly)
    half = sum(0.5 for piece in slowly if piece.is_form)
    assert sum(weights.values()) == pytest.approx(n_words + half)


@settings(max_examples=100, deadline=None)
@given(st.one_of(texts(), ODD))
def test_compiled_code_splits_by_the_same_characters(text: str) -> None:
    kinds = PLAIN.kinds[np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)]
    chunks = "".join(c if kind == IN_WORD else " " for c, kind in zip(text, kinds, strict=True))
    assert chunks.split() == second_version._pattern(text).findall(text)


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("heron", []),
        ("HERON", []),
        ("Heron", []),
        ("PDFs", []),
        ("parseMetrics", ["parse", "Metrics"]),
        ("XMLHttpRequest", ["XML", "Http", "Request"]),
        ("md5sum", ["md", "sum"]),
        ("covid19", ["covid", "19"]),
        ("ПарсерДанных", ["Парсер", "Данных"]),
        ("aB" * 9, []),
        ("python3", ["python"]),
        ("x10", []),
        ("1990s", []),
    ],
)
def test_parts(word: str, parts: list[str]) -> None:
    assert [word[start:end] for start, end in parts_of(word)] == parts


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_version, "_REMEMBERED", 100)
    analyzer, long = Analyzer(), "x" * 50
    rules = analyzer._rules
    assert isinstance(rules, second_version.SecondVersion)
    for number in range(1_000):
        assert analyzer.terms(f"running w{number} the {long}")[0] == "run"
        assert len(rules._meanings) <= 100
    assert long not in rules._meanings


def test_long_input_is_no_name() -> None:
    for text in ("aB3" * 20_000, "a-" * 50_000, "_" * 100_000, "x" * 100_000, "a\u0301" * 50_000):
        assert len(PLAIN.terms(text)) <= 50_001


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match=r"no stemmer for 'klingon'; choose none or one of arabic"):
        Analyzer("klingon")
    with pytest.raises(InputError, match=r"version 3 of the analysis .* unknown here"):
        Analyzer(version=3)


def test_terms_asked_for_again_are_the_callers_own() -> None:
    first = ENGLISH.terms("Herons e-mail")
    first.append("more")
    assert ENGLISH.terms("Herons e-mail") == ["heron", "email", "e", "mail"]
