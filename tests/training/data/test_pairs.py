"""The rows of a run: numbering, joining, deduplication, samples, splits, exclusion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lsr.errors import InputError
from lsr.training.data.pairs import Pairs, PairsBuilder, joined, normalised_text, text_id
from lsr.training.data.ragged import RowLists


def made(*rows: tuple[str, str, list[str]], source: str = "a") -> Pairs:
    builder = PairsBuilder()
    for query, positive, negatives in rows:
        builder.add(
            query,
            builder.document(positive),
            negatives=[builder.document(text) for text in negatives],
            source=source,
        )
    return builder.build()


def as_texts(pairs: Pairs) -> list[tuple[str, str, list[str]]]:
    """Each row in words, so that numbering does not matter."""
    return [
        (
            query,
            pairs.documents[pairs.positives[row]] if pairs.positives[row] >= 0 else "",
            [pairs.documents[other] for other in pairs.negatives[row]],
        )
        for row, query in enumerate(pairs.queries)
    ]


def test_equal_texts_are_one_document_whatever_their_blanks() -> None:
    pairs = made(("q", "two  words", ["other"]), ("r", " two\nwords ", []), ("s", "other", []))
    assert pairs.documents == ["two  words", "other"]
    assert pairs.positives.tolist() == [0, 0, 1]
    assert pairs.positives.dtype == np.int32
    assert pairs.sources.dtype == np.int16
    assert normalised_text(" a\t b\n") == "a b"


def test_ids_are_of_the_text_unless_given() -> None:
    builder = PairsBuilder()
    builder.add("a  query", builder.document("text", "d7"), query_id="q3")
    builder.add("a query", builder.document("more"))
    pairs = builder.build()
    assert pairs.query_ids == ["q3", text_id("a  query")]
    assert text_id("a  query") == text_id("a query") != text_id("another")
    assert pairs.document_ids == ["d7", text_id("more")]


def test_a_positive_is_never_its_own_negative_and_negatives_stand_once() -> None:
    pairs = made(("q", "p", ["n", "p", "m", "n"]))
    assert as_texts(pairs) == [("q", "p", ["n", "m"])]


def test_joining_keeps_texts_and_the_first_part_row_numbers() -> None:
    first = made(("q", "p", ["n"]), source="a")
    second = made(("r", "n", ["x", "p"]), source="b")
    both = joined([first, replace(second, missing=3)])
    assert both.documents[: len(first.documents)] == first.documents
    assert len(both.documents) == 3
    assert as_texts(both) == as_texts(first) + as_texts(second)
    assert [both.source_names[number] for number in both.sources] == ["a", "b"]
    assert both.query_ids == first.query_ids + second.query_ids
    assert both.missing == 3


def test_joining_keeps_scores_and_missing_labels() -> None:
    builder = PairsBuilder()
    rows = [builder.document("x"), builder.document("y")]
    builder.add("q", -1, scored=rows, scores=[0.5, 2.5])
    both = joined([made(("r", "y", [])), builder.build()])
    assert both.positives.tolist() == [0, -1]
    assert [both.documents[row] for row in both.scored[1]] == ["x", "y"]
    assert both.scored.scores_of(1).tolist() == [0.5, 2.5]
    assert both.scored.scores_of(0).tolist() == []


def test_duplicates_leave_and_their_negatives_stay() -> None:
    pairs = made(
        ("q", "p", ["n"]), ("q", "other", []), ("q ", "p", ["m", "n"]), ("r", "p", [])
    ).deduplicated()
    assert as_texts(pairs) == [("q", "p", ["n", "m"]), ("q", "other", []), ("r", "p", [])]
    assert as_texts(pairs.deduplicated()) == as_texts(pairs)


def test_known_positives_are_of_all_rows_with_the_text() -> None:
    pairs = made(("q", "a", []), ("r", "b", []), (" q", "c", []), ("q", "a", []))
    known = pairs.known_positives()
    assert known.of(0).tolist() == known.of(2).tolist() == known.of(3).tolist() == [0, 2]
    assert known.of(1).tolist() == [1]


def test_known_positives_without_any_label() -> None:
    builder = PairsBuilder()
    builder.add("q", -1, scored=[builder.document("x")], scores=[1.0])
    assert builder.build().known_positives().of(0).tolist() == []


def test_taken_rows_lose_documents_of_others_but_not_free_ones() -> None:
    builder = PairsBuilder()
    builder.document("free")
    builder.add("q", builder.document("p"), negatives=[builder.document("n")])
    builder.add("r", builder.document("s"))
    part = builder.build().taken(np.array([1]))
    assert part.documents == ["free", "s"]
    assert len(part.document_ids) == 2
    assert as_texts(part) == [("r", "s", [])]


def test_samples_are_of_the_size_and_of_the_seed() -> None:
    pairs = made(*((f"q{i}", f"p{i}", []) for i in range(50)))
    one, same, other = pairs.sample(20, 1), pairs.sample(20, 1), pairs.sample(20, 2)
    assert len(one) == 20
    assert one.queries == same.queries != other.queries
    assert one.queries == sorted(one.queries, key=lambda query: int(query[1:]))
    assert all(
        one.documents[row] == "p" + query[1:]
        for query, row in zip(one.queries, one.positives, strict=True)
    )
    assert pairs.sample(60, 1) is pairs


def test_a_split_goes_by_query_text_and_stays_when_rows_are_added() -> None:
    rows: list[tuple[str, str, list[str]]] = [(f"q{i % 300}", f"p{i}", []) for i in range(400)]
    train, held_out = made(*rows).split(0.25, 0)
    assert len(train) + len(held_out) == 400
    assert not set(train.queries) & set(held_out.queries)
    assert 50 <= len(set(held_out.queries)) <= 100
    _, more = made(("new", "x", []), *rows).split(0.25, 0)
    assert set(held_out.queries) == set(more.queries) - {"new"}
    _, of_other_seed = made(*rows).split(0.25, 1)
    assert set(of_other_seed.queries) != set(held_out.queries)
    assert len(made(*rows).split(0.0, 0)[1]) == 0
    assert len(made(*rows).split(1.0, 0)[0]) == 0


def test_without_rows_and_documents() -> None:
    pairs = made(("q", "a", ["n", "m"]), ("r", "b", ["n"]), ("s", "c", []))
    numbers = {text: row for row, text in enumerate(pairs.documents)}
    left = pairs.without(np.array([2]), np.array([numbers["n"], numbers["b"]]))
    assert as_texts(left) == [("q", "a", ["m"])]
    assert left.documents == ["a", "m"]


def test_parts_that_do_not_fit_are_refused() -> None:
    pairs = made(("q", "p", []))
    with pytest.raises(InputError, match="differ in length"):
        replace(pairs, queries=["q", "r"])
    with pytest.raises(InputError, match="points to a document"):
        replace(pairs, positives=np.array([1], np.int32))
    with pytest.raises(InputError, match="one document id"):
        replace(pairs, document_ids=[])


def test_no_rows_at_all() -> None:
    pairs = joined([])
    assert len(pairs) == len(pairs.deduplicated()) == len(pairs.split(0.5, 0)[0]) == 0


def test_row_lists() -> None:
    lists = RowLists.of([[3, 1], [], [2]], [[0.5, 0.25], [], [1.0]])
    assert [lists[i].tolist() for i in range(3)] == [[3, 1], [], [2]]
    turned = lists.taken(np.array([2, 0, 2, 1]))
    assert [turned[i].tolist() for i in range(4)] == [[2], [3, 1], [2], []]
    assert turned.scores_of(1).tolist() == [0.5, 0.25]
    mapped = lists.mapped(np.array([0, -1, 5, 6], np.int32))
    assert [mapped[i].tolist() for i in range(3)] == [[6], [], [5]]
    assert mapped.scores_of(2).tolist() == [1.0]
    emptied = lists.emptied(np.array([True, False, False]))
    assert [emptied[i].tolist() for i in range(3)] == [[], [], [2]]
    assert emptied.scores_of(2).tolist() == [1.0]


def scored_row(builder: PairsBuilder, positive: str, **scores: float) -> None:
    rows = [builder.document(text) for text in scores]
    label = builder.document(positive) if positive else -1
    builder.add("q", label, scored=rows, scores=list(scores.values()))


def scores_of(pairs: Pairs, row: int = 0) -> dict[str, float]:
    texts = [pairs.documents[place] for place in pairs.scored[row]]
    return dict(zip(texts, pairs.scored.scores_of(row).tolist(), strict=True))


def test_duplicates_leave_and_their_scores_stay() -> None:
    """Margins of one positive are to be compared, on whatever scale they come."""
    builder = PairsBuilder()
    scored_row(builder, "p", p=0, m=-4)
    scored_row(builder, "p", p=0, n=-6)
    scored_row(builder, "p", p=10, o=3, m=5)
    scored_row(builder, "", x=1)
    scored_row(builder, "", y=2, x=7)
    pairs = builder.build().deduplicated()
    assert len(pairs) == 2
    assert scores_of(pairs) == {"p": 0.0, "m": -4.0, "n": -6.0, "o": -7.0}
    assert scores_of(pairs, 1) == {"x": 1.0, "y": 2.0}
    assert pairs.scored.varied().tolist() == [True, True]


def test_scores_stay_through_splits_and_exclusion() -> None:
    builder = PairsBuilder()
    for n in range(40):
        rows = [builder.document(f"{kind}{n}") for kind in "ab"]
        builder.add(f"q{n}", rows[0], scored=rows, scores=[n, n + 0.5])
    train, held_out = builder.build().split(0.3, 0)
    assert len(train) + len(held_out) == 40
    for pairs in (train, held_out, train.without(np.array([0]))):
        for row, query in enumerate(pairs.queries):
            n = int(query[1:])
            assert scores_of(pairs, row) == {f"a{n}": n, f"b{n}": n + 0.5}
    gone = train.documents.index(f"b{train.queries[0][1:]}")
    left = train.without(np.zeros(0, np.int64), np.array([gone]))
    assert left.scored.varied().tolist() == [False] + [True] * (len(left) - 1)


def test_lists_are_varied_where_their_scores_differ() -> None:
    lists = [[], [1], [1, 2], [1, 2], []]
    assert RowLists.of(lists, [[], [5], [3, 3], [3, 4], []]).varied().tolist() == [
        False,
        False,
        False,
        True,
        False,
    ]
    assert RowLists.of(lists).varied().tolist() == [False] * 5
    assert RowLists.of([], []).varied().tolist() == []
