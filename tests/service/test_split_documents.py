"""Long documents over REST: split when they are written, found and told by their passages."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from lsr.client import AsyncClient, Client, SearchAnswer
from lsr.collection import Collection
from lsr.encoders.registry import open_sparse
from lsr.errors import InputError
from lsr.passages.passage import PassageSettings, passaged_text
from lsr.passages.splitter import PassageSplitter
from lsr.retrieval.answer import FoundPassage
from lsr.retrieval.snippet import plain
from lsr.service.api.schemas import search as schemas
from lsr.service.catalog import Catalog
from lsr.service.engine import FoundHit, Search, SearchEngine, Vectors
from lsr.service.page.passage_view import passage_place
from lsr.service.search.vectors import checked_vectors
from lsr.types import Document
from tests.support.learned_models import inference_free
from tests.support.rest_service import Rest, serving

MODEL = "tiny/model"
FACT = "## Whales\n\nThe whale sleeps by the comet."
SHOWN = "## Whales The whale sleeps by the comet."
SETTINGS = PassageSettings(tokens=16, overlap=2)
LONG = Document(
    "long",
    "# Sea\n\nFrog and bear drink water, and the whale is at sea; fish eat grass by the cold lake."
    "\n\n# Sky\n\n## Orbits\n\nPlanet and star in orbit run with light and heat; atom and field "
    f"have force.\n\n{FACT}",
    "Book",
    {"group": 1, "year": 2000},
)
SHORT = Document("short", "A dog and a whale at sea.", metadata={"group": 1, "year": 2001})
OTHER = Document("other", "The cat is red.", metadata={"group": 2, "year": 2002})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, which requests name by its place below it."""
    folder = tmp_path_factory.mktemp("split")
    inference_free(folder / "tiny")
    return folder


@pytest.fixture(scope="module")
def built(place: Path) -> Iterator[Collection]:
    """The same documents built at once."""
    model = open_sparse(str(place / MODEL))
    documents = [LONG, SHORT, OTHER]
    with Collection.build(documents, place / "built", sparse=model, passages=SETTINGS) as made:
        yield made


@pytest.fixture(scope="module")
def asked(place: Path) -> dict[str, float]:
    """A query that the last passage of `LONG` answers best: one term that tells it from others."""
    encoder = open_sparse(str(place / MODEL))
    passages = PassageSplitter(encoder.tokenizer_json, SETTINGS).passages(LONG)  # type: ignore[attr-defined]
    assert LONG.text[passages[-1].start : passages[-1].end] == FACT
    read = encoder.encode_documents(passaged_text(LONG, passages).passages)
    weights = np.zeros((read.n_rows, read.n_terms), np.float32)
    for number in range(read.n_rows):
        row = read.row(number)
        weights[number, row.terms] = row.weights
    term = int(np.argmax(weights[-1] - weights[:-1].max(axis=0)))
    assert weights[-1, term] > weights[:-1, term].max()
    return {encoder.term(term): 2.0}


def _serving(place: Path, root: Path) -> AbstractContextManager[Rest]:
    @contextmanager
    def served() -> Iterator[Rest]:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(place)
            with serving(root) as rest:
                yield rest

    return served()


@pytest.fixture(scope="module")
def notes(place: Path) -> Iterator[Rest]:
    """A service with the documents in `notes`, written over REST."""
    with _serving(place, place / "notes") as rest:
        _make(rest)
        _put(rest, LONG, SHORT, OTHER)
        yield rest


def _make(rest: Rest) -> Any:
    body = {"sparse": MODEL, "passages": {"tokens": 16}}
    return rest.ask("PUT", "collections/notes", 201, json=body)


def _put(rest: Rest, *documents: Document) -> None:
    bodies = [asdict(each) for each in documents]
    path = "collections/notes/documents?wait=searchable"
    told = rest.ask("POST", path, json={"documents": bodies})
    assert (told["n_written"], told["searchable"]) == (len(bodies), True)


def _search(rest: Rest, asked: Mapping[str, float], **body: Any) -> Any:
    body = {"vectors": {"sparse": asked}, **body}
    return rest.ask("POST", "collections/notes/search", json=body)


def _counts(rest: Rest) -> tuple[int, int]:
    told = rest.ask("GET", "collections/notes")
    return told["n_documents"], told["n_passages"]


def _told(hits: Any) -> list[Any]:
    return [
        (
            hit["doc_id"],
            pytest.approx(hit["score"], rel=1e-4),
            [{**each, "score": pytest.approx(each["score"], rel=1e-4)} for each in passages],
        )
        for hit in hits
        for passages in [hit.get("passages", [])]
    ]


def test_a_written_document_answers_as_a_built_one(
    place: Path, tmp_path: Path, built: Collection, asked: dict[str, float]
) -> None:
    vector, _ = checked_vectors(Vectors(asked), built.reader)
    expected = [
        (hit.document.doc_id, hit.score, [asdict(each) for each in hit.passages])
        for hit in built.search(sparse_vector=vector, passages=3).hits
    ]
    n_passages = built.reader.readers[0].n_passages

    def check(rest: Rest) -> None:
        found = _search(rest, asked, passages=3, fields=["text"])["hits"]
        assert _told(found) == expected
        (hit,) = [each for each in found if each["doc_id"] == "long"]
        best = hit["passages"][0]
        assert (hit["text"][best["start"] : best["end"]], hit["snippet"]) == (FACT, SHOWN)
        assert (best["heading"], best["line"], best["page"]) == ("Sky > Whales", 11, None)
        assert _counts(rest) == (3, n_passages)

    with _serving(place, tmp_path) as rest:
        made = _make(rest)
        assert made["passages"] == {"tokens": 16, "overlap": 2, "whole": 32}
        assert (made["n_documents"], made["n_passages"]) == (0, 0)
        _put(rest, LONG, SHORT, OTHER)
        check(rest)
    with _serving(place, tmp_path) as rest:
        check(rest)
        rest.done(rest.ask("POST", "collections/notes/publish", 202))
        check(rest)
        _put(rest, Document("long", "A bear."))
        assert not any("passages" in hit for hit in _search(rest, asked)["hits"])
        assert _counts(rest) == (3, 3)
        _put(rest, LONG)
        check(rest)
        rest.ask("DELETE", "collections/notes/documents/long?wait=searchable")
        assert "long" not in {hit["doc_id"] for hit in _search(rest, asked)["hits"]}
        assert _counts(rest) == (2, 2)
        rest.done(rest.ask("POST", "collections/notes/merge", 202))
        assert _counts(rest) == (2, 2)


def test_as_many_passages_as_are_asked_for(notes: Rest, asked: dict[str, float]) -> None:
    (one,) = _search(notes, asked, limit=1)["hits"]
    (three,) = _search(notes, asked, limit=1, passages=3)["hits"]
    assert one["passages"] == three["passages"][:1]
    scores = [each["score"] for each in three["passages"]]
    assert len(scores) == 3
    assert all(one >= other for one, other in pairwise(scores))
    assert _search(notes, asked, limit=1, passages=2.0)["hits"][0]["passages"][1:]
    for most in (0, 21, -1):
        said = notes.refused(
            "POST",
            "collections/notes/search",
            422,
            "invalid_query",
            json={"vectors": {"sparse": asked}, "passages": most},
        )
        assert said == f"passages is {most}; ask for 1 to 20 of each hit"
    for no_number in ("2", None, True):
        body = {"text": "whale", "passages": no_number}
        assert notes.client.post("/v1/collections/notes/search", json=body).status_code == 422


def test_the_written_answer_is_that_of_the_schema(notes: Rest, asked: dict[str, float]) -> None:
    bodies: list[dict[str, Any]] = [
        {"passages": 20},
        {"marks": True, "fields": ["title", "text"], "passages": 2},
        {"collapse": {"field": "group", "inner": 3}},
        {"snippet": False},
    ]
    for body in bodies:
        told = _search(notes, asked, **body)
        checked = schemas.SearchAnswer.model_validate(told)
        assert checked.model_dump(mode="json", exclude_unset=True) == told
        assert any(hit.get("passages") for hit in told["hits"])
    searches = [{"vectors": {"sparse": asked}, **body} for body in bodies]
    told = notes.ask("POST", "collections/notes/msearch", json={"searches": searches})
    several = schemas.MultiAnswer.model_validate(told)
    assert several.model_dump(mode="json", exclude_unset=True) == told


def test_hits_that_another_stands_for_have_passages(notes: Rest, asked: dict[str, float]) -> None:
    body = {"collapse": {"field": "group", "inner": 1}, "sort": ["year:desc"], "passages": 2}
    hits = {hit["doc_id"]: hit for hit in _search(notes, asked, **body)["hits"]}
    (inner,) = hits["short"]["collapsed"]["hits"]
    alone = {hit["doc_id"]: hit for hit in _search(notes, asked, passages=2)["hits"]}
    assert (inner["doc_id"], inner["passages"]) == ("long", alone["long"]["passages"])
    assert "passages" not in hits["short"]


def test_a_snippet_is_part_of_the_best_passage(built: Collection, asked: dict[str, float]) -> None:
    engine = SearchEngine(Catalog.open({"built": built.path}))
    search = Search("whale", vectors=Vectors(asked), limit=1)
    passage, end = LONG.text.index(FACT), len(LONG.text)

    def hit(**changes: Any) -> tuple[FoundHit, int]:
        result = engine.answer("built", replace(search, **changes))
        (found,) = result.hits
        assert (found.passages[0].start, found.passages[0].end) == (passage, end)
        return found, result.n_scanned

    found, n_scanned = hit()
    assert (found.passage, n_scanned) == (SHOWN, len(FACT))
    found, n_scanned = hit(pieces=True)
    assert [piece.text for piece in found.snippet if piece.is_match] == ["Whales", "whale"]
    assert plain(found.snippet) == SHOWN
    assert n_scanned == len(FACT) + len(LONG.title)
    found, n_scanned = hit(marks=True, fields=("text",))
    assert found.marks is not None
    assert [(mark.start, mark.end) for mark in found.marks["snippet"]] == [(3, 9), (14, 19)]
    places = [(mark.start, mark.end) for mark in found.marks["text"]]
    assert [LONG.text[start:end] for start, end in places] == ["whale", "Whales", "whale"]
    assert n_scanned == len(FACT) + len(LONG.text) + len(LONG.title)
    cut = engine.answer("built", search, characters=0)
    assert cut.hits[0].passage == SHOWN
    assert [notice.code for notice in cut.answer.warnings] == ["passages_cut"]


def test_the_page_says_where_the_passage_stands(notes: Rest) -> None:
    found = notes.ask("POST", "collections/notes/search", json={"text": "whale", "limit": 1})
    (hit,) = found["hits"]
    best = hit["passages"][0]
    for address in ("c/notes?q=whale", "c/notes/compare?q=whale"):
        page = notes.client.get(f"/{address}").text
        shown = re.findall('<p class="passage-place">([^<]*)</p>', page)
        assert html.unescape(shown[0]) == f"{best['heading']} · line {best['line']}"
        assert len(shown) == (1 if "compare" not in address else 2)


def test_a_place_on_a_page_is_told_by_the_page() -> None:
    found = FoundPassage(0, 10, 20, "", 1_200, 7, 0.5)
    hit = FoundHit(LONG, 1.0, passages=(found,))
    assert passage_place(hit) == "page 7"
    assert passage_place(replace(hit, passages=(replace(found, page=None),))) == "line 1,200"
    assert passage_place(replace(hit, passages=())) == ""


def test_clients_ask_for_passages(notes: Rest, asked: dict[str, float]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        told = notes.client.request(
            request.method, request.url.path, content=request.content, headers=request.headers
        )
        return httpx.Response(told.status_code, json=told.json())

    there, transport = "http://127.0.0.1", httpx.MockTransport(answer)
    with Client(there, transport=transport) as client:
        found = client.collection("notes").search(sparse=asked, passages=3, fields=["text"])
        info = client.collection("notes").info()
        made = client.create_collection("more", sparse=MODEL, passages=SETTINGS)
        client.delete_collection("more")
        with pytest.raises(InputError, match="bm25 reads whole texts"):
            client.create_collection("more", sparse="bm25", passages=True)
        with pytest.raises(InputError, match="passages of 8 tokens"):
            client.create_collection("more", sparse=MODEL, passages={"tokens": 8})

    async def later() -> SearchAnswer:
        async with AsyncClient(there, transport=transport) as client:
            return await client.collection("notes").search(
                sparse=asked, passages=3, fields=["text"]
            )

    assert asyncio.run(later()).hits == found.hits
    (hit,) = [hit for hit in found.hits if hit.passages]
    assert len(hit.passages) == 3
    best = hit.passages[0]
    assert hit.text is not None
    assert hit.text[best.start : best.end] == FACT
    assert (best.heading, best.line, best.page) == ("Sky > Whales", 11, None)
    assert best.score > hit.passages[1].score
    assert info.passages == made.passages == asdict(SETTINGS)
    assert info.n_passages > info.n_documents == 3


def test_a_rebuild_splits_and_joins_again(notes: Rest, asked: dict[str, float]) -> None:
    before = _counts(notes)
    plain_body = {"sparse": MODEL}
    notes.done(notes.ask("POST", "collections/notes/rebuild", 202, json=plain_body))
    told = notes.ask("GET", "collections/notes")
    assert (told["passages"], told["n_passages"]) == (None, 3)
    assert not any("passages" in hit for hit in _search(notes, asked)["hits"])
    split_body = {"sparse": MODEL, "passages": {"tokens": 16, "overlap": 2, "whole": 32}}
    notes.done(notes.ask("POST", "collections/notes/rebuild", 202, json=split_body))
    assert _counts(notes) == before
    said = notes.refused(
        "POST",
        "collections/notes/rebuild",
        422,
        "invalid_input",
        json={"sparse": "bm25", "passages": True},
    )
    assert said.startswith("bm25 reads whole texts")
