"""Searching from Python: many queries, threads, event loops, queries of every kind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import pandas as pd
import polars as pl
import pytest

import lsr
from lsr.errors import DataError, NotFoundError, QueryError
from tests.support.hybrid_corpus import DOCUMENTS, PLANTS, Topics

TEXTS = ["heron river", "otter", "night boat", *(f"{plant} stream" for plant in PLANTS), "zebra"]
PLANS = [
    {"mode": "sparse"},
    {"mode": "dense"},
    {"mode": "hybrid"},
    {"mode": "hybrid", "prf": {"interpolate": "both", "sparse": {"enabled": True}}},
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lsr.Collection]:
    folder = tmp_path_factory.mktemp("many") / "shore"
    with lsr.build(DOCUMENTS, folder, sparse="bm25", dense=Topics(), passages=False) as built:
        yield built


def untimed(answer: lsr.Answer) -> lsr.Answer:
    return replace(answer, took_ms={})


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("given", PLANS, ids=str)
def test_many_are_one_by_one_to_the_bit(
    index: lsr.Collection, given: dict[str, Any], n_threads: int
) -> None:
    plan = lsr.plan_from(given)
    many = index.search_many(TEXTS, plan=plan, k=7, n_threads=n_threads)
    one_by_one = [index.search(text, plan=plan, k=7) for text in TEXTS]
    assert list(map(untimed, many)) == list(map(untimed, one_by_one))
    run = index.rank(TEXTS, plan=plan, k=7, n_threads=n_threads)
    assert run == many.to_run()
    assert [list(scores.items()) for scores in run.values()] == [
        [(hit.doc_id, hit.score) for hit in answer] for answer in one_by_one
    ]


def test_what_is_handed_on_to_each_search(index: lsr.Collection) -> None:
    where = {"year": {"gte": 2002}}
    asked: dict[str, Any] = {"k": 3, "mode": "sparse", "where": where, "min_score": 0.5}
    many = index.search_many(TEXTS, **asked)
    assert list(map(untimed, many)) == [untimed(index.search(text, **asked)) for text in TEXTS]
    assert {hit.document.metadata["year"] for answer in many for hit in answer} == {2002, 2003}
    ranked = index.rank(TEXTS, mode="sparse", where=where)
    assert list(ranked["0"])[:3] == [hit.doc_id for hit in index.search(TEXTS[0], **asked)]


def test_queries_of_every_kind(index: lsr.Collection) -> None:
    by_id = {"q1": "heron", "q2": "otter"}
    expected = index.search_many(by_id).to_run()
    assert list(expected) == ["q1", "q2"]
    records = [lsr.Query(*pair) for pair in by_id.items()]
    columns = {"qid": list(by_id), "query": list(by_id.values())}
    for given in (records, iter(records), pd.DataFrame(columns), pl.DataFrame(columns)):
        assert index.search_many(given).to_run() == expected
    texts = index.search_many(by_id.values())
    assert [query.query_id for query in texts.queries] == ["0", "1"]
    assert list(texts.to_run().values()) == list(expected.values())
    assert len(index.search_many([])) == 0
    assert index.rank([]) == {}


@pytest.mark.parametrize(
    ("queries", "said"),
    [
        ("heron", "the queries are a str; give a list of texts, a dict of id to text, or a Data"),
        (7, "the queries are a int; give a list"),
        ([7], "query 0 is a int; a query is a text, or an lsr.Query"),
        ({"q1": None}, "query 'q1' is a NoneType; a query is a text"),
        ({None: "heron"}, "a query has the id None; ids are text or whole numbers"),
        (["heron", "  "], "query '1' is empty; write at least one word"),
        ([lsr.Query("q", "a"), lsr.Query("q", "b")], "query 'q' comes twice; ids must be unique"),
        ({1: "a", "1": "b"}, "query '1' comes twice"),
    ],
)
def test_queries_that_are_none(index: lsr.Collection, queries: Any, said: str) -> None:
    for ask in (index.search_many, index.rank):
        with pytest.raises(QueryError, match=said):
            ask(queries)


def test_several_texts_for_a_search_of_one(index: lsr.Collection) -> None:
    several: Any = ["a", "b"]
    with pytest.raises(QueryError, match="takes one text and was given a list; search_many takes"):
        index.search(several)
    with pytest.raises(DataError, match="no column of query ids"):
        index.search_many(pd.DataFrame({"query": ["a"]}))


def test_an_error_of_one_query_is_that_of_all(index: lsr.Collection) -> None:
    for n_threads in (1, 2):
        with pytest.raises(QueryError, match="0 hits were asked for"):
            index.search_many(TEXTS, k=0, n_threads=n_threads)
        with pytest.raises(QueryError, match="k is 0; ask for at least 1"):
            index.rank(TEXTS, k=0, n_threads=n_threads)
    with pytest.raises(QueryError, match="0 threads; at least 1"):
        index.search_many(TEXTS, n_threads=0)
    assert index.search("heron")


def test_answers_are_taken_by_place_and_by_query(index: lsr.Collection) -> None:
    answers = index.search_many({"q1": "heron", "q2": "otter"}, k=2)
    assert answers["q2"] is answers[1] is answers[-1]
    assert len(answers) == 2
    with pytest.raises(NotFoundError, match="there is no query 'q3' among the 2 that were asked"):
        answers["q3"]
    with pytest.raises(IndexError):
        answers[2]


def test_the_table_of_many(index: lsr.Collection) -> None:
    answers = index.search_many({"q1": "heron", "q2": "zebra"}, k=3, mode="sparse")
    frame = answers.to_dataframe()
    assert list(frame) == (
        ["qid", "query", "doc_id", "rank", "score", "title", "text", "passage", "metadata"]
    )
    assert list(frame.qid) == ["q1"] * 3
    assert list(frame["rank"]) == [1, 2, 3]
    assert dict(zip(frame.doc_id, frame.score, strict=True)) == answers.to_run()["q1"]
    assert frame.to_dict("records") == answers.to_dicts()
    assert list(index.search_many([]).to_dataframe()) == list(frame), "columns without rows"


def test_many_in_a_few_lines(index: lsr.Collection) -> None:
    shown = repr(index.search_many(TEXTS, k=3, mode="sparse")).splitlines()
    assert shown[0] == "Answers(18 queries, 51 hits)"
    assert shown[1].startswith("  0  'heron river', sparse, 3 of ")
    assert shown[-1] == "  … 13 more"
    assert len(shown) == 7
    page = index.search_many(TEXTS, k=5, mode="sparse")._repr_html_()
    assert page.count("<table>") == 5
    assert page.count("<tr>") == 5 * (1 + 3)
    assert "13 more queries" in page


def test_fifty_at_once_are_one_after_the_other(index: lsr.Collection) -> None:
    texts = [TEXTS[n % len(TEXTS)] for n in range(50)]

    async def gathered() -> list[lsr.Answer]:
        return await asyncio.gather(*(index.asearch(text, k=4) for text in texts))

    found = asyncio.run(gathered())
    assert list(map(untimed, found)) == [untimed(index.search(text, k=4)) for text in texts]
    many = asyncio.run(index.asearch_many(texts, k=4))
    assert list(map(untimed, many)) == list(map(untimed, found))


def test_an_event_loop_goes_on_and_hands_its_context_on(
    index: lsr.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_by: ContextVar[str] = ContextVar("asked_by", default="nobody")
    began, may_end = threading.Event(), threading.Event()
    seen: list[str] = []
    search = index.reader.search

    def slow(*given: Any, **options: Any) -> lsr.Answer:
        seen.append(asked_by.get())
        began.set()
        assert may_end.wait(30)
        return search(*given, **options)

    monkeypatch.setattr(index.reader, "search", slow)

    async def both() -> lsr.Answer:
        asked_by.set("me")
        task = asyncio.create_task(index.asearch("heron"))
        while not began.is_set():
            await asyncio.sleep(0.001)
        may_end.set()  # the loop is not held up by the search, or this would never come
        return await task

    assert len(asyncio.run(both())) == 10
    assert seen == ["me"]


def test_cancelled_the_index_is_as_it_was(
    index: lsr.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may_end = threading.Event(), threading.Event()
    search = index.reader.search

    def slow(*given: Any, **options: Any) -> lsr.Answer:
        began.set()
        assert may_end.wait(30)
        return search(*given, **options)

    expected = untimed(index.search("heron"))

    async def cancel() -> lsr.Answer:
        with monkeypatch.context() as patched:
            patched.setattr(index.reader, "search", slow)
            task = asyncio.create_task(index.asearch("heron"))
            while not began.is_set():
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        found = await index.asearch("heron")
        may_end.set()
        return found

    assert untimed(asyncio.run(cancel())) == expected


def test_errors_come_out_of_an_event_loop(index: lsr.Collection) -> None:
    with pytest.raises(QueryError, match="the query is empty"):
        asyncio.run(index.asearch("  "))


def test_progress_of_many(index: lsr.Collection) -> None:
    told: list[tuple[str, int, int | None]] = []
    index.search_many(TEXTS[:2], progress=lambda *each: told.append(each))
    index.rank(TEXTS[:1], progress=lambda *each: told.append(each))
    assert told == [
        *(("search", n, 2) for n in range(3)),
        *(("search", n, 1) for n in range(2)),
    ]


def test_all_are_of_one_generation(index: lsr.Collection) -> None:
    """A change that comes meanwhile is not seen by the rest of a batch."""
    before = index.reader
    generations: set[int] = set()

    def change(stage: str, done: int, total: int | None) -> None:
        if done == 1:
            index.add([{"doc_id": "new", "text": "A zebra."}])

    answers = index.search_many(TEXTS, progress=change)
    generations = {answer.generation for answer in answers}
    assert generations == {before.manifest.generation}
    assert index.reader.manifest.generation == before.manifest.generation + 1
    index.delete(["new"])
