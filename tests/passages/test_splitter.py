"""Long documents are split along their structure, by the model's tokens; short ones are not."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lsr
from lsr.errors import InputError
from lsr.passages.headings import MOST_CHARACTERS, Headings
from lsr.passages.passage import (
    Passage,
    PassageSettings,
    packed,
    passaged_text,
    unpacked,
)
from lsr.passages.splitter import PassageSplitter
from tests.support.tiny_models import tiny_tokenizer


@pytest.fixture(scope="module")
def splitter() -> PassageSplitter:
    tokenizer = tiny_tokenizer().backend_tokenizer.to_str().encode()
    return PassageSplitter(tokenizer, PassageSettings(tokens=16, overlap=4))


def of(splitter: PassageSplitter, text: str, title: str = "") -> list[str]:
    document = lsr.Document("a", text, title)
    return [text[each.start : each.end] for each in splitter.passages(document)]


def test_short_documents_stay_whole(splitter: PassageSplitter) -> None:
    assert of(splitter, "cat " * 32) == []
    assert of(splitter, "") == []
    assert of(splitter, " " * 10_000) == []
    assert of(splitter, "cat " * 31, "dog dog") != []  # the title counts


def test_long_ones_are_split_at_sentences(splitter: PassageSplitter) -> None:
    text = "The cat sat by the lake. A wolf ran in the forest. " * 8
    parts = of(splitter, text)
    assert len(parts) > 4
    assert all(part.endswith(".") for part in parts)
    assert all(part.startswith(("The", "A")) for part in parts)


def test_sections_do_not_mix_with_parts_of_others(splitter: PassageSplitter) -> None:
    """Short sections are together while they fit; a long one is split by itself."""
    long = "The cat sat by the lake. " * 12
    text = f"# One\n\nA cat.\n\n## Two\n\nA dog.\n\n# Three\n\n{long}\n\n## Four\n\nThe end.\n"
    document = lsr.Document("a", text)
    found = splitter.passages(document)
    parts = [text[each.start : each.end] for each in found]
    assert parts[0].startswith("# One")
    assert "A dog." in parts[0]
    assert "Three" not in parts[0]
    assert parts[-1].startswith("## Four")
    assert "lake" not in parts[-1]
    assert [each.heading for each in found] == [
        "One",
        *["Three"] * (len(found) - 2),
        "Three > Four",
    ]


@settings(max_examples=80, deadline=None)
@given(text=st.text(st.sampled_from("ab .\n#`é日😀\f\u200b"), min_size=100, max_size=600))
def test_passages_cover_the_text(splitter: PassageSplitter, text: str) -> None:
    """All but blanks is in a passage, in order, and places count characters."""
    found = splitter.passages(lsr.Document("a", text))
    if not found:
        return
    covered: set[int] = set()
    for one, other in pairwise(found):
        assert one.start < other.start
    for each in found:
        assert 0 <= each.start < each.end <= len(text)
        covered.update(range(each.start, each.end))
    assert all(text[i].isspace() for i in set(range(len(text))) - covered)


def test_a_document_of_thousands_of_passages(splitter: PassageSplitter) -> None:
    text = "\n\n".join(f"# Part {i}\n\n" + "The cat sat by the lake. " * 3 for i in range(3_000))
    assert len(splitter.passages(lsr.Document("a", text))) >= 3_000


def test_headings() -> None:
    text = (
        "before\n# A #\ntext\n```\n# not one\n```\n## B > C\nmore\n#hash\n####### seven\n"
        "~~~\n## no\n```\n~~~\n# D\n### \nend"
    )
    headings = Headings(text)
    assert headings.above(0) == ""
    assert headings.above(text.index("not one")) == "A"
    assert headings.above(text.index("more")) == "A > B C"
    assert headings.above(text.index("seven")) == "A > B C"
    assert headings.above(len(text) - 1) == "D"
    assert not Headings("no heading\nat all")
    deep = "".join(f"{'#' * i} {'long ' * 20}{i}\n" for i in range(1, 6))
    assert len(Headings(deep).above(len(deep) - 1)) <= MOST_CHARACTERS


def test_text_of_a_passage_has_title_and_headings() -> None:
    document = lsr.Document("a", "# Keys\n\nThey turn.", "Keys")
    text = passaged_text(document, [Passage(0, 6, "Keys"), Passage(8, 18, "Keys > Doors")])
    assert text.passages == ("Keys # Keys", "Keys Doors They turn.")
    assert passaged_text(document, []).passages == (document.full_text,)


def test_passages_as_bytes() -> None:
    passages = (Passage(0, 5, "A > é"), Passage(3, 70_000, ""), Passage(9, 2**31 - 1, "x\ny"))
    assert unpacked(*packed(passages)) == (*passages[:2], passages[2]._replace(heading="x y"))
    assert unpacked(None, None) == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tokens": 4}, "from 16"),
        ({"tokens": 64, "overlap": 40}, "half a passage"),
        ({"tokens": 64, "overlap": -2}, "half a passage"),
        ({"tokens": 64, "whole": 10}, "at least as many"),
    ],
)
def test_settings_out_of_range(fields: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PassageSettings(**fields)
