"""Words that a mistyped one may stand for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.service.catalog import Catalog
from lsr.service.engine import SearchEngine
from lsr.service.suggest import Suggestion, Vocabulary, edit_distances
from lsr.types import Document

WORDS = Counter(
    {"reading": 9, "leading": 40, "open": 2, "one": 90, "file": 5, "multiprocessing": 1}
)
SHORT = st.text("abc", min_size=1, max_size=5)


def _naive(a: str, b: str) -> int:
    if not a or not b:
        return len(a) + len(b)
    best = min(
        _naive(a[:-1], b) + 1, _naive(a, b[:-1]) + 1, _naive(a[:-1], b[:-1]) + (a[-1] != b[-1])
    )
    if len(a) > 1 and len(b) > 1 and a[-2:] == b[-1] + b[-2]:
        best = min(best, _naive(a[:-2], b[:-2]) + 1)
    return best


@given(SHORT, st.lists(SHORT, min_size=1, max_size=5))
def test_distances_are_those_of_the_definition(word: str, others: list[str]) -> None:
    for other in others:
        letters = np.array([[ord(letter) for letter in other]], np.uint32)
        assert edit_distances(word, letters).tolist() == [_naive(word, other)]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("opne a flie for raeding", "open a file for reading"),
        ("Multiprocesing, QUEUE", "multiprocessing, QUEUE"),
        ("open file reading", None),
        ("zzzzqqqq", None),  # nothing is near
        ("hoding", None),  # two letters wrong in a short word
        ("x1 42 on", None),
        ("e" * 2_000, None),
        ("", None),
    ],
)
def test_mistyped_words(asked: str, meant: str | None) -> None:
    known = {*WORDS, "queue", "for"}
    assert Vocabulary(WORDS, known.__contains__).suggest(asked).text == meant


def test_a_mistyped_word_has_its_marks() -> None:
    words = Counter({"विज्ञान": 5, "तमिल": 2})
    assert Vocabulary(words, words.__contains__).suggest("विज्ञाम तमिल").text == "विज्ञान तमिल"


def test_near_words_come_by_letters_and_then_by_frequency() -> None:
    vocabulary = Vocabulary(WORDS, WORDS.__contains__)
    assert vocabulary.near("opne") == ("open", "one")
    assert vocabulary.near("Eading") == ("leading", "reading")
    assert vocabulary.near("eading", most=1) == ("leading",)


def test_a_collection_says_what_was_meant(tmp_path: Path) -> None:
    documents = [Document(str(n), "Herons stand still.", "Grey birds") for n in range(600)]
    build_collection(
        [*documents, Document("z", "An otter.")], tmp_path / "shore", sparse=Bm25Encoder()
    )
    engine = SearchEngine(Catalog.open({"shore": tmp_path / "shore"}))
    assert engine.suggest("shore", "hreons and oter") == Suggestion(
        "herons and otter", {"hreons": ("herons",), "oter": ("otter",)}
    )
    assert engine.suggest("shore", "heron standing").text is None  # other forms of its words
    engine.catalog.close()
