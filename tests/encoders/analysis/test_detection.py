"""Languages are found by stop words and scripts; where they are mixed or few, none is."""

from __future__ import annotations

import pytest

from lsr.encoders.analysis.detection import UNKNOWN, Detection, detect_language, language_of
from tests.support.languages import TEXTS


@pytest.mark.parametrize("language", TEXTS)
def test_one_text(language: str) -> None:
    text = TEXTS[language]
    assert language_of(text) == language
    assert language_of(text.upper()) == language
    assert detect_language([text] * 5).language == language


def test_short_texts_are_read_together() -> None:
    parts = [" ".join(TEXTS["german"].split()[i : i + 3]) for i in range(0, 30, 3)]
    assert UNKNOWN in map(language_of, parts)
    assert detect_language(parts * 8).language == "german"


def test_a_few_texts_in_another_language() -> None:
    found = detect_language([TEXTS["german"] * 4] * 8 + [TEXTS["french"] * 4] * 2)
    assert found == Detection("german", 0.8, 10, ("french",))


def test_mixed_texts() -> None:
    found = detect_language([TEXTS["german"] * 4, TEXTS["french"] * 4] * 5)
    assert found == Detection(UNKNOWN, 0.0, 10, ("french", "german"))


@pytest.mark.parametrize(
    "text",
    ["", " ", "Keys rotate.", "12 34 " * 90, "x = foo(bar) " * 90, "\ud800 ё 🙂", "zq " * 90],
)
def test_nothing_to_tell_by(text: str) -> None:
    assert detect_language([text]).language == UNKNOWN
    assert language_of(text) == UNKNOWN


def test_what_tells_nothing_beside_what_does() -> None:
    """Numbers and code do not hide the language of the texts among them."""
    found = detect_language(["12 alpha9 beta7 " * 60] * 5 + [TEXTS["english"] * 4] * 5)
    assert (found.language, found.share) == ("english", 0.5)
    assert detect_language(["qz wx vk " * 60] * 7 + [TEXTS["english"] * 4]).language == UNKNOWN
