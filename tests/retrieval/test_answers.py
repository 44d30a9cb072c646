"""Answers as people see them: in lines, in HTML, as rows."""

from __future__ import annotations

import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

import lsr
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import UnavailableError
from lsr.retrieval.answer import FoundPassage, clipped

EVIL = '<script>alert("x")</script>'
DOCUMENTS = [
    lsr.Document(
        f"<img src=x onerror=1>{n}",
        f"{EVIL} heron <b>{n}</b> & costs $5$ a herons' nest",
        f"<h1>{n}</h1>",
        {"n": n},
    )
    for n in range(8)
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> lsr.Collection:
    folder = tmp_path_factory.mktemp("shown") / f"<i>{EVIL.replace('/', '')}"
    return lsr.build(DOCUMENTS, folder, sparse="bm25")


class Read(HTMLParser):
    """Tags with their attributes, texts, and texts inside marks."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.marks: list[str] = []
        self.text = ""
        self._is_open = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self._is_open = tag == "mark"

    def handle_endtag(self, tag: str) -> None:
        self._is_open = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._is_open:
            self.marks.append(data)


PLAIN_TAGS = {"div", "p", "b", "br", "code", "mark", "small", *"table thead tbody tr th td".split()}


def test_everything_is_escaped_and_the_words_are_marked(index: lsr.Collection) -> None:
    query = f"heron {EVIL}"
    answer = index.search(query, k=3)
    for page in (answer._repr_html_(), index.search_many({EVIL: query}, k=3)._repr_html_()):
        read = Read(page)
        assert read.tags <= PLAIN_TAGS
        assert read.attributes <= {"style"}
        assert "http" not in page
        assert "$" not in page, "notebooks make formulas of it"
        assert f"{EVIL} heron 0" not in read.text, "text stays text"
        assert f"{EVIL} heron <b>0</b> & costs $5$" in read.text
        assert "<h1>0</h1>" in read.text
        assert "<img src=x onerror=1>0" in read.text
        assert query in read.text
        assert {"heron", "herons"} <= set(read.marks)
        assert not {"nest", "costs"} & set(read.marks)


def test_a_collection_is_shown_with_its_numbers_and_models(index: lsr.Collection) -> None:
    read = Read(index._repr_html_())
    assert read.tags == {"div", "b", "br"}
    assert str(index.path) in read.text
    assert "8 documents" in read.text
    assert "sparse bm25" in read.text
    assert repr(index).endswith(", 8 documents, sparse bm25)")
    other = lsr.open(index.path)
    other.close()
    assert repr(other).endswith(", closed)")
    assert "closed" in other._repr_html_()


def test_lines_are_few_and_printable(index: lsr.Collection) -> None:
    lines = repr(index.search("heron", k=7)).splitlines()
    assert lines[0] == "Answer('heron', sparse, 7 of 8 hits)"
    assert lines[1].split() == ["1", "0.0394", "<img", "src=x", "onerror=1>0", "<h1>0</h1>"]
    assert lines[-1] == "  … 2 more"
    assert len(lines) == 7
    assert repr(index.search("heron", k=2, offset=3)[0]).startswith("Hit('<img src=x onerror=1>3'")
    assert repr(index.search("heron", k=2, offset=3)).splitlines()[1].split()[0] == "4"
    assert repr(index.search("zebra")) == "Answer('zebra', sparse, 0 of 0 hits)"
    assert clipped("a\n\tb \x1b[31m" + "c" * 99) == f"a b \N{REPLACEMENT CHARACTER}[31m{'c' * 50}…"


def test_an_answer_is_its_hits(index: lsr.Collection) -> None:
    answer = index.search("heron", k=3)
    assert len(answer) == 3
    assert tuple(answer) == answer.hits == answer[:]
    assert answer[-1] is answer.hits[2]
    hit = answer[0]
    assert (hit.doc_id, hit.title, hit.text) == (
        hit.document.doc_id,
        hit.document.title,
        hit.document.text,
    )
    assert not index.search("zebra")
    with pytest.raises(IndexError):
        answer[3]


def test_rows_of_an_answer(index: lsr.Collection) -> None:
    answer = index.search("heron", k=2, offset=1)
    rows = answer.to_dicts()
    assert [row["rank"] for row in rows] == [2, 3]
    assert [row["score"] for row in rows] == [hit.score for hit in answer]
    assert rows[0]["metadata"] == {"n": 1}
    assert rows[0]["passage"] == rows[0]["text"] == DOCUMENTS[1].text
    frame = answer.to_dataframe()
    assert frame.to_dict("records") == rows
    assert list(index.search("zebra").to_dataframe()) == list(frame)


def test_the_passage_is_the_one_that_matches(tmp_path: Path) -> None:
    text = "# Food\n\n" + "Guests lunch at noon. " * 80 + "\n\n# Visitors\n\nGuests park here.\n"
    index = lsr.build([{"doc_id": "h", "text": text}], tmp_path / "h", sparse="bm25")
    found = index.search("where do guests park")
    assert "Guests park here." in found.to_dicts()[0]["passage"]
    assert len(found.to_dicts()[0]["passage"]) <= 240
    split = FoundPassage(0, 8, 30, "Food", 3, 2, 1.0)
    answer = replace(found, hits=(replace(found[0], passages=(split,)),))
    assert answer.to_dicts()[0]["passage"] == "Guests lunch at noon. ".strip()
    page = Read(answer._repr_html_())
    assert page.marks == ["Guests"]
    assert "line 3, page 2, Food" in page.text


def test_words_are_marked_as_the_collection_reads_them(tmp_path: Path) -> None:
    text = [lsr.Document("a", "Die Häuser am Ufer")]
    english = lsr.build(text, tmp_path / "english", sparse="bm25").search("ufer haus")
    assert Read(english._repr_html_()).marks == ["Ufer"]
    german = lsr.build(text, tmp_path / "german", sparse=Bm25Encoder(language="german"))
    assert Read(german.search("haus")._repr_html_()).marks == ["Häuser"]
    many = german.search_many(["haus"])
    assert Read(many._repr_html_()).marks == ["Häuser"]


def test_without_pandas_one_sentence(
    index: lsr.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    for shown in (index.search("heron"), index.search_many(["heron"])):
        with pytest.raises(UnavailableError, match=r"needs pandas.*'lsr-search\[notebook\]'"):
            shown.to_dataframe()
        assert shown.to_dicts()
