"""Facets, sort, collapse, least scores and counts in whole searches: over segments and deletions.

What matches, and in which order, is taken from plain searches that reach everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import QueryError
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.update import add_documents, delete_documents
from lsr.retrieval.answer import Hit
from lsr.retrieval.answers.answer import Answer
from lsr.retrieval.feedback import SparseFeedback
from lsr.retrieval.plan import Mode, Prf, SearchPlan
from lsr.retrieval.refinement import SortKey
from lsr.types import Document
from tests.naive import metadata as naive
from tests.support.hybrid_corpus import DOCUMENTS, Topics

pytest.importorskip("faiss")


def described(n: int, document: Document) -> Document:
    metadata: dict[str, Any] = {"year": 2000 + n % 4, "tags": [f"t{n % 3}", f"t{n % 5}"]}
    if n % 7:
        metadata["parent"] = f"p{n % 6}"
    if n % 2:
        metadata["year"] = f"{2000 + n % 4}"
    return Document(document.doc_id, document.text, document.title, metadata)


ALL = [described(n, document) for n, document in enumerate(DOCUMENTS)]
DELETED = {"d03", "d50", "d69"}
LIVING = {document.doc_id: document for document in ALL if document.doc_id not in DELETED}


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectionReader]:
    path = tmp_path_factory.mktemp("refined") / "index"
    old = Document("d10", "an older heron", "", {"year": 1900, "parent": "old"})
    first = [old if document.doc_id == "d10" else document for document in ALL[:50]]
    build_collection(first, path, sparse=Bm25Encoder(), dense=Topics())
    add_documents(path, [ALL[10], *ALL[50:60]], dense=Topics())
    add_documents(path, ALL[60:], dense=Topics())
    delete_documents(path, sorted(DELETED))
    opened = CollectionReader.open(path, dense=Topics())
    assert len(opened.readers) > 1
    yield opened
    opened.close()


def ids(hits: tuple[Hit, ...]) -> list[str]:
    return [hit.document.doc_id for hit in hits]


def everything(collection: CollectionReader, text: str, mode: Mode, where: Any) -> list[Hit]:
    """All matches, best first, by a plain search."""
    return list(collection.search(text, k=100, mode=mode, where=where).hits)


TEXTS = ["heron", "river boat", "a night stream in the maple fur", "unheard"]
WHERES: list[Any] = [None, {"year": 2001}, {"must_not": [{"tags": "t1"}]}, {"year": 1999}]
sort_keys = st.lists(
    st.builds(SortKey, st.sampled_from(["year", "tags", "parent"]), st.booleans(), st.booleans()),
    min_size=1,
    max_size=2,
)
quick = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
modes = st.sampled_from(["sparse", "dense"])


@quick
@given(text=st.sampled_from(TEXTS), where=st.sampled_from(WHERES), mode=modes)
def test_counts_and_facets(collection: CollectionReader, text: str, where: Any, mode: Mode) -> None:
    hits = everything(collection, text, mode, where)
    answer = collection.search(
        text, k=3, mode=mode, where=where, facets=["year", {"field": "tags", "limit": 2}]
    )
    assert answer.n_matches == len(hits)
    assert ids(answer.hits) == ids(tuple(hits[:3]))
    for counts, limit in zip(answer.facets, (10, 2), strict=True):
        found = [hit.document.metadata for hit in hits]
        values, n_values, n_missing = naive.facet(found, counts.field, limit)
        assert [(each.value, each.count) for each in counts.values] == values
        assert (counts.n_values, counts.n_missing) == (n_values, n_missing)


@quick
@given(
    text=st.sampled_from(TEXTS),
    where=st.sampled_from(WHERES),
    mode=modes,
    keys=sort_keys,
    size=st.integers(1, 70),
)
def test_sorted(
    collection: CollectionReader,
    text: str,
    where: Any,
    mode: Mode,
    keys: list[SortKey],
    size: int,
) -> None:
    hits = everything(collection, text, mode, where)
    order = naive.ordered(
        [hit.document.metadata for hit in hits],
        [(key.field, key.descending, key.missing_first) for key in keys],
        [hit.score for hit in hits],
        [sorted(LIVING).index(hit.document.doc_id) for hit in hits],
    )
    expected = [(hits[i].document.doc_id, hits[i].score) for i in order]
    pages = [
        collection.search(text, k=size, offset=offset, mode=mode, where=where, sort=keys)
        for offset in range(0, len(hits) + 1, size)
    ]
    found = [(hit.document.doc_id, hit.score) for page in pages for hit in page.hits]
    assert found == expected
    assert {page.total for page in pages} == {page.n_matches for page in pages} == {len(hits)}


@quick
@given(
    text=st.sampled_from(TEXTS),
    where=st.sampled_from(WHERES),
    mode=st.sampled_from(["sparse", "dense", "hybrid"]),
    field=st.sampled_from(["year", "tags", "parent"]),
    inner=st.integers(0, 3),
    size=st.integers(1, 30),
)
def test_collapsed(
    collection: CollectionReader,
    text: str,
    where: Any,
    mode: Mode,
    field: str,
    inner: int,
    size: int,
) -> None:
    hits = everything(collection, text, mode, where)
    groups = naive.grouped([hit.document.metadata for hit in hits], field, range(len(hits)))
    pages = [
        collection.search(
            text,
            k=size,
            offset=offset,
            mode=mode,
            where=where,
            collapse={"field": field, "inner": inner},
        )
        for offset in range(0, len(groups) + 1, size)
    ]
    found = [hit for page in pages for hit in page.hits]
    assert {page.total for page in pages} == {len(groups)}
    for hit, group in zip(found, groups, strict=True):
        collapsed = hit.collapsed
        assert collapsed is not None
        assert collapsed.n_hits == len(group)
        ours = [hit.document.doc_id, *ids(collapsed.hits)]
        assert ours == [hits[i].document.doc_id for i in group[: inner + 1]]
        assert hit.score == hits[group[0]].score


def test_sorted_and_collapsed(collection: CollectionReader) -> None:
    answer = collection.search(
        "heron river", mode="sparse", sort="year:desc", collapse={"field": "parent", "inner": 9}
    )
    matches = ids(collection.search("heron river", k=100, mode="sparse", sort="year:desc").hits)
    groups = naive.grouped(
        [LIVING[doc_id].metadata for doc_id in matches], "parent", range(len(matches))
    )
    assert ids(answer.hits) == [matches[group[0]] for group in groups][:10]
    assert answer.total == len(groups)
    assert answer.n_matches == len(matches)


@pytest.mark.parametrize("mode", ["sparse", "dense", "hybrid"])
def test_least_scores(collection: CollectionReader, mode: Mode) -> None:
    hits = everything(collection, "heron boat", mode, None)
    least = hits[len(hits) // 2].score
    kept = [hit.document.doc_id for hit in hits if hit.score >= least]
    assert 0 < len(kept) < len(hits)
    answer = collection.search("heron boat", k=100, mode=mode, min_score=least)
    assert ids(answer.hits) == kept
    assert answer.total == len(kept)
    assert answer.n_matches is None, "nobody asked"
    asked: dict[str, Any] = {"min_score": least, "mode": mode, "count": True}
    answer = collection.search("heron boat", k=2, facets=["year"], **asked)
    assert answer.n_matches == len(kept)
    assert sum(value.count for value in answer.facets[0].values) == len(kept)
    by_year = collection.search("heron boat", k=100, sort="year", **asked)
    assert sorted(ids(by_year.hits)) == sorted(kept)


def test_a_hybrid_search(collection: CollectionReader) -> None:
    """Counts are of all that match; scores are known within the window alone."""
    plan = SearchPlan(window=5)
    answer = collection.search("heron", k=5, plan=plan, count=True, facets=["parent"])
    assert answer.n_matches == len(LIVING), "every document has a dense vector"
    assert sum(each.count for each in answer.facets[0].values) + answer.facets[0].n_missing == 67
    assert answer.total == 5
    plain = collection.search("heron", k=5, plan=plan)
    assert answer.hits == plain.hits
    ordered = collection.search("heron", k=50, plan=plan, sort=["parent:desc", "year"])
    assert ordered.total == len(LIVING)
    assert len(ordered.hits) == 50, "beyond the window"
    fused = {hit.document.doc_id: hit.score for hit in plain.hits}
    assert {hit.document.doc_id: hit.score for hit in ordered.hits if hit.score}.items() <= (
        collection_scores(collection, plan).items()
    )
    assert fused.items() <= collection_scores(collection, plan).items()
    parents = [str(hit.document.metadata.get("parent", "")) for hit in ordered.hits]
    assert parents == sorted(parents, reverse=True)
    grouped = collection.search("heron", k=5, plan=plan, collapse="parent")
    assert grouped.total <= 5


def collection_scores(collection: CollectionReader, plan: SearchPlan) -> dict[str, float]:
    outcome = collection.hybrid.search(_query("heron"), plan, reach=1)
    doc_ids = collection.segment.doc_ids(outcome.rows)
    return dict(zip(doc_ids, outcome.scores.tolist(), strict=True))


def _query(text: str) -> Any:
    from lsr.retrieval.hybrid import HybridQuery

    return HybridQuery(text)


def test_feedback_moves_what_matches(collection: CollectionReader) -> None:
    """After sparse feedback the matches are those of the query as it was last searched."""
    prf = Prf(sparse=SparseFeedback(enabled=True, max_df=1.0))
    plan = SearchPlan(mode="sparse", prf=prf)
    plain = collection.search("heron", k=100, mode="sparse", count=True)
    fed = collection.search("heron", k=100, plan=plan, count=True)
    assert fed.prf.applied
    assert fed.n_matches == len(fed.hits) > len(plain.hits)
    again = collection.search("heron", k=100, plan=plan, sort="year")
    assert sorted(ids(again.hits)) == sorted(ids(fed.hits))


def test_explanations(collection: CollectionReader) -> None:
    plan = SearchPlan(mode="sparse", explain="full", window=3)
    answer = collection.search("heron boat", k=30, plan=plan, sort="year")
    told = [hit for hit in answer.hits if hit.explanation is not None]
    assert {hit.document.doc_id for hit in told} <= set(
        ids(collection.search("heron boat", k=3, mode="sparse").hits)
    )
    assert all(hit.explanation and hit.explanation.score == hit.score for hit in told)
    plain = collection.search("heron boat", k=3, plan=plan)
    assert all(hit.explanation for hit in plain.hits)


def test_matching_and_listing(collection: CollectionReader) -> None:
    def named(rows: Any) -> list[str]:
        return collection.segment.doc_ids(rows)

    found = named(collection.matching({"year": 2001}))
    assert sorted(found) == sorted(
        doc_id for doc_id, document in LIVING.items() if int(str(document.metadata["year"])) == 2001
    )
    assert named(collection.page_of_rows(limit=100)) == sorted(LIVING)
    assert named(collection.page_of_rows("d49", 3)) == ["d51", "d52", "d53"]
    assert named(collection.page_of_rows("d68")) == []
    by_filter = named(collection.page_of_rows("d2", 3, {"year": 2001}))
    assert by_filter == [doc_id for doc_id in sorted(found) if doc_id > "d2"][:3]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"facets": "year"}, "facets is 'year'; it must be a list"),
        ({"facets": [3]}, r"facets\[0\] is 3; it must be text or an object"),
        ({"facets": [{"limit": 3}]}, r"facets\[0\].field is null; it must be the name of a field"),
        ({"facets": [{"field": "year", "limit": 0}]}, r"facets\[0\].limit is 0; it must be from 1"),
        ({"facets": [{"field": "year", "size": 3}]}, r"facets\[0\] has 'size'; there are field"),
        ({"facets": [{"field": "year", "stats": 1}]}, r"facets\[0\].stats is 1; it must be true"),
        ({"facets": [{"field": "year", "ranges": [{}]}]}, r"ranges\[0\] is without bounds"),
        (
            {"facets": [{"field": "year", "ranges": [{"from": "x"}]}]},
            r"facets\[0\].ranges\[0\].from is 'x'; it must be a number or a date",
        ),
        ({"facets": ["colour"]}, "no document has a metadata field 'colour'; fields: parent, tags"),
        ({"facets": ["year"] * 21}, "facets has 21 entries; give at most 20"),
        ({"sort": ["colour:desc"]}, "no document has a metadata field 'colour'"),
        ({"sort": [{"field": "year", "order": "up"}]}, r"sort\[0\].order is 'up'; it must be asc"),
        ({"sort": [{"field": "year", "missing": 1}]}, r"sort\[0\].missing is 1; it must be first"),
        ({"sort": [""]}, r"sort\[0\].field is ''; it must be the name"),
        ({"collapse": {"field": "year", "inner": 101}}, "collapse.inner is 101; it must be from 0"),
        ({"collapse": 3}, "collapse is 3; it must be text or an object"),
        ({"min_score": float("nan")}, "min_score is nan, which is no number"),
        ({"min_score": True}, "min_score is true; it must be a number"),
    ],
)
def test_what_is_refused(collection: CollectionReader, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        collection.search("heron", **asked)


def test_nothing_is_done_that_nobody_asked_for(
    collection: CollectionReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("lsr.index.metadata.refined.all_scores", fail)
    answer: Answer = collection.search("heron", mode="sparse")
    assert answer.n_matches is None
    assert answer.facets == ()
    assert "refine" not in answer.took_ms
    assert collection.search("heron", mode="sparse", min_score=0.1).hits
    with pytest.raises(AssertionError):
        collection.search("heron", mode="sparse", count=True)


def test_a_later_generation_keeps_what_was_made(tmp_path: Path) -> None:
    path = tmp_path / "index"
    build_collection(ALL[:50], path, sparse=Bm25Encoder())
    before = CollectionReader.open(path)
    where = {"year": {"gte": 2002}}
    assert len(before.search("heron", k=50, where=where).hits)
    column = before.readers[0].metadata.column("year")
    add_documents(path, ALL[50:55])
    after = CollectionReader.open(path, known=before.readers)
    assert after.readers[0].metadata.column("year") is column
    rows = after.matching(where)
    assert rows[rows < 50].tolist() == before.matching(where).tolist()
    assert rows.max() >= 50
    after.close()
