"""Queries made from documents."""

from __future__ import annotations

from math import log

import pytest

from lsr.errors import InputError
from lsr.training.data.pairs import joined, text_id
from lsr.training.data.pseudo_queries import (
    KINDS,
    pseudo_pairs,
    pseudo_query,
    with_pseudo_queries,
    word_idf,
)
from tests.training.data.test_pairs import made

TEXT = (
    "The grey heron waits in shallow water. It eats fish. "
    "Herons of the same colony hunt far apart from each other! Why?"
)


def flat(word: str) -> float:
    return 1.0


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (TEXT, "The grey heron waits in shallow water."),
        ("Grey heron. A bird\n\nIt waits in water.", "Grey heron. A bird"),
        ("\n  \nOnly  line", "Only line"),
        (" ".join(["word"] * 30) + "\nmore", " ".join(["word"] * 20)),
        ("", ""),
        (" \n", ""),
    ],
)
def test_titles(text: str, title: str) -> None:
    assert pseudo_query(text, "title", flat) == title


def test_sentences_are_drawn_among_those_of_usable_length() -> None:
    drawn = {pseudo_query(TEXT, "sentence", flat, seed) for seed in range(30)}
    assert drawn == {
        "The grey heron waits in shallow water.",
        "Herons of the same colony hunt far apart from each other!",
    }
    assert pseudo_query("Too short. Yes.", "sentence", flat) == "Too short."


def test_keywords_are_the_weightiest_in_the_order_of_the_text() -> None:
    weights = {"heron": 9.0, "fish": 8.0, "colony": 7.0, "waits": 6.0, "apart": 5.0}
    drawn = {
        pseudo_query(TEXT, "keywords", lambda word: weights.get(word, 0.0), seed)
        for seed in range(60)
    }
    assert {len(query.split()) for query in drawn} == set(range(3, 9))
    assert "heron fish colony" in drawn
    assert "heron waits fish colony apart" in drawn
    assert "the heron waits fish colony apart" in drawn
    assert pseudo_query("Heron heron HERON", "keywords", flat) == "heron"
    assert pseudo_query("?!", "keywords", flat) == ""


def test_word_weights_by_hand() -> None:
    weight = word_idf(["Heron heron pike", "heron", "otter"])
    assert weight("heron") == pytest.approx(log(1 + 1.5 / 2.5), abs=1e-12)
    assert weight("pike") == pytest.approx(log(1 + 2.5 / 1.5), abs=1e-12)
    assert weight("absent") == pytest.approx(log(1 + 3.5 / 0.5), abs=1e-12)


def test_an_unknown_kind() -> None:
    with pytest.raises(InputError, match="no pseudo-queries of kind 'haiku'; choose of title"):
        pseudo_query(TEXT, "haiku", flat)  # type: ignore[arg-type]


def test_pseudo_rows_of_documents_join_the_real_ones() -> None:
    pairs = made(("q", f"Heron\n{TEXT}", ["same words"]))
    pseudo = pseudo_pairs(pairs, flat, seed=3)
    assert pseudo.documents == pairs.documents
    assert pseudo.document_ids == pairs.document_ids
    assert pseudo.source_names == ("pseudo",)
    assert pseudo.positives.tolist() == [0, 0, 0]  # "same words" would be queries of themselves
    assert pseudo.queries == [pseudo_query(pairs.documents[0], kind, flat, 3) for kind in KINDS]
    both = joined([pairs, pseudo])
    assert both.documents == pairs.documents
    assert len(both) == 4


def test_a_share_of_queries_is_replaced() -> None:
    pairs = made(*((f"query {i}", f"{TEXT} Number {i}.", [f"n{i}"]) for i in range(400)))
    changed = with_pseudo_queries(pairs, 0.4, flat, seed=1)
    new = [row for row in range(400) if changed.queries[row] != pairs.queries[row]]
    assert 120 <= len(new) <= 200
    assert changed.queries == with_pseudo_queries(pairs, 0.4, flat, seed=1).queries
    assert changed.queries != with_pseudo_queries(pairs, 0.4, flat, seed=2).queries
    labelled = [row for row in new if changed.positives[row] >= 0]
    assert 0.3 <= len(labelled) / len(new) <= 0.7
    for row in range(400):
        if row in new:
            assert changed.negatives[row].tolist() == []
            assert changed.query_ids[row] == text_id(changed.queries[row])
            if row in labelled:
                assert changed.positives[row] == pairs.positives[row]
        else:
            assert changed.negatives[row].tolist() == pairs.negatives[row].tolist()
            assert changed.positives[row] == pairs.positives[row]
            assert changed.query_ids[row] == pairs.query_ids[row]
    possible = {pseudo_query(pairs.documents[pairs.positives[new[0]]], k, flat, 1) for k in KINDS}
    assert changed.queries[new[0]] in possible
    assert {len(changed.queries[row].split()) > 6 for row in new} == {True, False}


def test_none_and_all() -> None:
    pairs = made(("q", TEXT, []), ("r", "?", []))
    assert with_pseudo_queries(pairs, 0.0, flat).queries == ["q", "r"]
    assert with_pseudo_queries(pairs, 1.0, flat, kinds=("keywords",)).queries[1] == "r"
    assert with_pseudo_queries(pairs, 1.0, flat).queries[0] != "q"
    with pytest.raises(InputError, match="share of pseudo-queries is 1.5"):
        with_pseudo_queries(pairs, 1.5, flat)
