"""Texts of evaluation sets among training rows."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from lsr.datasets.beir import write_beir
from lsr.errors import DataError, InputError
from lsr.training.data.overlap import find_overlap, shingles
from lsr.types import Document, Query
from tests.training.data.test_pairs import as_texts, made

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"


def written(folder: Path, documents: list[str], queries: list[str] | None = None) -> Path:
    write_beir(
        folder,
        [Document(f"d{i}", text) for i, text in enumerate(documents)],
        [Query(f"q{i}", text) for i, text in enumerate(queries or ["nothing"])],
        {"test": {"q0": {"d0": 1}}},
    )
    return folder


def test_shingles_are_of_twelve_words_and_equal_whatever_case_and_marks() -> None:
    hashes, text = shingles(
        [LONG, "", "Two, words!", "two   WORDS", LONG.upper().replace(" ", "-")]
    )
    assert text.tolist() == [0] * 3 + [4] * 3 + [2, 3]
    assert hashes[6] == hashes[7]
    assert hashes[:3].tolist() == hashes[3:6].tolist()
    assert len(set(hashes.tolist())) == 4


def test_words_are_the_same_beside_other_letters() -> None:
    every = "".join(map(chr, range(128)))
    plain = f"{LONG.replace(' ', every)}_b-C1"
    hashes, text = shingles([plain, f"{plain} é", f"{plain} É", f"{plain} “é”_"])
    by_text = [hashes[text == i].tolist() for i in range(4)]
    assert len(by_text[0]) == len(by_text[1]) - 1 > 12
    assert by_text[0] == by_text[1][:-1]
    assert by_text[1] == by_text[2] == by_text[3]


def test_shingles_agree_with_counting_word_runs() -> None:
    rng = random.Random(0)
    texts = [" ".join(rng.choices("ab", k=rng.randrange(30))) for _ in range(300)]
    hashes, text = shingles(texts)
    found: dict[tuple[str, ...], set[int]] = {}
    expected_counts = [0] * len(texts)
    by_text = {i: iter(hashes[text == i].tolist()) for i in range(len(texts))}
    for i, one in enumerate(texts):
        words = one.split()
        runs = [tuple(words[j : j + 12]) for j in range(len(words) - 11)] or [tuple(words)]
        for run in runs if words else []:
            expected_counts[i] += 1
            found.setdefault(run, set()).add(next(by_text[i]))
    assert np.bincount(text, minlength=len(texts)).tolist() == expected_counts
    assert all(len(values) == 1 for values in found.values())
    assert len({value for values in found.values() for value in values}) == len(found)


def test_what_overlaps_is_counted_and_left_out(tmp_path: Path) -> None:
    birds = written(tmp_path / "birds", [f"before it {LONG} and after"], ["Is the heron a bird?"])
    fish = written(tmp_path / "fish", ["short title"])
    pairs = made(
        ("clean", "a text of no set at all", [f"see {LONG}"]),
        ("is the heron a bird", "yes it is", []),
        ("dirty positive", f"quoting: {LONG.upper()}.", []),
        ("short title", "x", []),
        ("short title of more words", "y", ["the short title"]),
    )
    report = find_overlap(pairs, [birds, fish])
    assert report.query_rows.tolist() == [1, 2, 3]
    assert [pairs.documents[row] for row in report.document_rows] == [
        f"see {LONG}",
        f"quoting: {LONG.upper()}.",
    ]
    assert report.counts == {"birds": (1, 2), "fish": (1, 0)}
    assert {(one.evaluation_set, one.kind, one.row) for one in report.examples} >= {
        ("birds", "query", 1),
        ("fish", "query", 3),
    }
    assert "birds: 1 queries and 2 documents" in report.sentence()
    clean = report.without(pairs)
    assert as_texts(clean) == [
        ("clean", "a text of no set at all", []),
        ("short title of more words", "y", ["the short title"]),
    ]
    again = find_overlap(clean, [birds, fish])
    assert not again
    assert again.sentence() == "no text of the run is in 2 evaluation sets"


def test_portions_do_not_change_the_answer(tmp_path: Path) -> None:
    rng = random.Random(1)
    words = [f"w{i}" for i in range(50)]
    texts = [" ".join(rng.choices(words, k=rng.randrange(5, 40))) for _ in range(200)]
    first = written(tmp_path / "first", [*texts[:60], "", "!"])
    second = written(tmp_path / "second", texts[50:100])
    pairs = made(*((f"query {i}", text, []) for i, text in enumerate(texts)))
    whole = find_overlap(pairs, [first, second])
    parts = find_overlap(pairs, [first, second], max_hashes=1)
    assert whole.counts == parts.counts == {"first": (0, 60), "second": (0, 50)}
    assert whole.query_rows.tolist() == parts.query_rows.tolist() == list(range(100))


def test_no_rows_no_words_and_wrong_folders(tmp_path: Path) -> None:
    dots = written(tmp_path / "dots", ["...", ""], ["?"])
    assert not find_overlap(made(("!", "??", [])), [dots])
    assert not find_overlap(made(), [dots])
    assert not find_overlap(made(("q", "p", [])), [])
    (tmp_path / "x").mkdir()
    with pytest.raises(DataError, match="corpus.jsonl"):
        find_overlap(made(("q", "p", [])), [tmp_path / "x"])
    with pytest.raises(InputError, match="same folder name"):
        find_overlap(made(("q", "p", [])), [dots, written(tmp_path / "y" / "dots", ["a"])])
