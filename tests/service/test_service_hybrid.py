"""Plans over HTTP: what a request says, what the answer tells, and the same ranking everywhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel
from typer.testing import CliRunner

import lsr.index.collection.retrievers
from lsr import errors
from lsr.cli.app import app
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.retrieval.plan import INTERPOLATIONS, SearchPlan, plan_from
from lsr.service.api.schemas.plan import PlanFields
from lsr.service.app import create_app
from lsr.service.catalog import Catalog, collection_names
from lsr.service.engine import SearchEngine
from lsr.service.settings import Settings
from lsr.types import Query
from tests.support.hybrid_corpus import DOCUMENTS, Topics

SEARCH = "/v1/collections/shore/search"
QUERY = "a heron in the dark reed"


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        lsr.index.collection.retrievers, "open_dense_encoder", lambda name, **_: Topics()
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plans") / "shore"
    build_collection(DOCUMENTS, path, sparse=Bm25Encoder(), dense=Topics())
    return path


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    engine = SearchEngine(Catalog.open(collection_names([folder])), Settings().limits)
    with TestClient(create_app(engine, Settings())) as opened:
        yield opened


def search(client: TestClient, **body: object) -> Any:
    answer = client.post(SEARCH, json={"text": QUERY, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def hits(answer: Any) -> list[tuple[str, float]]:
    return [(hit["doc_id"], hit["score"]) for hit in answer["hits"]]


GIVEN: list[dict[str, Any]] = [
    {},
    {"mode": "sparse"},
    {"mode": "dense"},
    {"fusion": {"method": "rrf"}},
    {"fusion": {"norm": "minmax", "missing": "zero", "weight_sparse": 0.7}},
    *({"prf": {"interpolate": name, "depth": 2}} for name in INTERPOLATIONS[1:]),
    {"prf": {"interpolate": "both", "sparse": {"enabled": True, "terms": 4, "max_df": 1.0}}},
    {"mode": "sparse", "prf": {"sparse": {"enabled": True, "max_df": 1.0}}},
]


@pytest.mark.parametrize("given", GIVEN, ids=json.dumps)
def test_four_entries_give_one_ranking(
    client: TestClient, folder: Path, given: dict[str, Any]
) -> None:
    """REST, Python, the command and the retriever that evaluation asks."""
    over_http = search(client, **given)
    collection = CollectionReader.open(folder)
    plan = plan_from(given)
    in_python = collection.search(QUERY, plan=plan)
    retrieved = collection.retriever(plan).retrieve([Query("q", QUERY)], 10)["q"]
    collection.close()
    settings = [
        f"{path}={json.dumps(value)}"
        for path, value in _leaves(given)
        if path not in ("mode", "prf.interpolate")
    ]
    words = [word for setting in settings for word in ("--set", setting)]
    words += ["--mode", given["mode"]] if "mode" in given else []
    words += ["--prf", given["prf"]["interpolate"]] if "interpolate" in given.get("prf", {}) else []
    done = CliRunner().invoke(app, ["search", str(folder), QUERY, "--json", *words])
    assert done.exit_code == 0, done.output
    commanded = json.loads(done.stdout)
    expected = [(hit.document.doc_id, hit.score) for hit in in_python.hits]
    assert len(expected) == 10
    assert hits(over_http) == hits(commanded) == expected
    assert [(hit.doc_id, hit.score) for hit in retrieved] == expected
    assert (
        over_http["plan"] == commanded["plan"] == json.loads(json.dumps(in_python.plan.as_dict()))
    )
    assert over_http["prf"] == commanded["prf"]
    assert over_http["total"] == commanded["total"] == in_python.total


def _leaves(given: dict[str, Any], path: str = "") -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for name, value in given.items():
        nested = isinstance(value, dict)
        leaves += _leaves(value, f"{path}{name}.") if nested else [(f"{path}{name}", value)]
    return leaves


def test_the_plan_is_echoed_with_nothing_left_open(client: TestClient) -> None:
    plan = search(client)["plan"]
    assert plan["mode"] == "hybrid"
    assert plan["fusion"]["weight_sparse"] == plan["prf"]["weight_sparse_pre"] == 0.3
    assert plan["window"] == 100
    assert plan_from(plan) == plan_from({}).resolved(("hybrid", "sparse", "dense"))
    described = client.get("/v1/collections/shore").json()
    assert described["default_plan"] == plan
    assert described["modes"] == ["hybrid", "sparse", "dense"]


@pytest.mark.parametrize("explain", ["scores", "full"])
def test_explanations_add_up(client: TestClient, explain: str) -> None:
    prf = {"interpolate": "both", "sparse": {"enabled": True, "max_df": 1.0}}
    answer = search(client, explain=explain, prf=prf)
    assert answer["prf"]["applied"] is True
    assert len(answer["prf"]["feedback"]) == 3
    assert ("feedback" in {term["origin"] for term in answer["prf"]["terms"]}) == (
        explain == "full"
    )
    for hit in answer["hits"]:
        why = hit["explanation"]
        total = why["sparse"]["contribution"] + why["dense"]["contribution"]
        assert total == pytest.approx(hit["score"], abs=1e-5)
        assert isinstance(why["rank_before_prf"], int | None)
        assert (why["terms"] is not None) == (why["prf"] is not None) == (explain == "full")
        if explain == "full":
            terms = sum(term["value"] for term in why["terms"]) + why["other"]
            assert terms == pytest.approx(why["sparse"]["raw"], abs=1e-5)
            dense = why["prf"]["dense_query"] + sum(e["value"] for e in why["prf"]["by_feedback"])
            assert dense == pytest.approx(why["dense"]["raw"], abs=1e-5)
    plain = search(client, prf=prf)
    assert hits(plain) == hits(answer)
    assert {hit["explanation"] is None for hit in plain["hits"]} == {True}


def test_pages_are_one_list(client: TestClient) -> None:
    for given in GIVEN:
        whole = hits(search(client, limit=70, **given))
        pages = [hits(search(client, limit=7, offset=at, **given)) for at in range(0, 77, 7)]
        assert [hit for page in pages for hit in page] == whole
        assert len(whole) == search(client, **given)["total"]


def test_limit_beyond_the_collection_is_everything_once(client: TestClient) -> None:
    answer = search(client, limit=500)
    found = [doc_id for doc_id, _ in hits(answer)]
    assert len(found) == len(set(found)) == answer["total"] == len(DOCUMENTS)


def test_a_filter_holds_for_feedback_too(client: TestClient) -> None:
    answer = search(client, filter={"year": 2001}, prf={"interpolate": "both"}, limit=50)
    passing = {document.doc_id for document in DOCUMENTS if document.metadata["year"] == 2001}
    assert {doc_id for doc_id, _ in hits(answer)} <= passing
    assert {each["doc_id"] for each in answer["prf"]["feedback"]} <= passing


def test_vectors_of_the_caller(client: TestClient, folder: Path) -> None:
    dense = Topics().encode_queries([QUERY])[0].tolist()
    collection = CollectionReader.open(folder)
    row = collection.encoder.encode_queries([QUERY]).row(0)
    sparse = {
        collection.encoder.term(int(term)): float(weight)
        for term, weight in zip(row.terms, row.weights, strict=True)
    }
    collection.close()
    own = client.post(SEARCH, json={"vectors": {"sparse": sparse, "dense": dense}}).json()
    assert hits(own) == hits(search(client))
    longer = {"sparse": sparse, "dense": [3e37 * number for number in dense]}
    scaled = client.post(SEARCH, json={"vectors": longer}).json()
    assert [doc_id for doc_id, _ in hits(scaled)] == [doc_id for doc_id, _ in hits(own)]
    mute = client.post(SEARCH, json={"vectors": {"sparse": {"unicorn": 1.0}, "dense": dense}})
    assert [warning["code"] for warning in mute.json()["warnings"]] == ["sparse_empty"]
    by_meaning = search(client, mode="dense")
    assert [doc_id for doc_id, _ in hits(mute.json())] == [doc_id for doc_id, _ in hits(by_meaning)]


@pytest.mark.parametrize(
    ("body", "code", "part"),
    [
        ({"window": 0}, "invalid_query", "window is 0; it must be a whole number from 1 to 10,000"),
        ({"window": 20, "limit": 21}, "invalid_query", "set window to at least 21, the same on"),
        (
            {"fusion": {"weight_sparse": 2}},
            "invalid_query",
            "fusion.weight_sparse is 2.0; it must be a number from 0.0 to 1.0",
        ),
        ({"fusion": {"alpha": 1}}, "invalid_request", "body.fusion.alpha: there is no such field"),
        ({"prf": {"depth": 21}}, "invalid_query", "prf.depth is 21; it must be"),
        ({"prf": {"dense": {"beta": -1}}}, "invalid_query", "prf.dense.beta is -1"),
        ({"prf": {"sparse": {"on": 1}}}, "invalid_request", "body.prf.sparse.on"),
        ({"prf": {"depth": "3"}}, "invalid_request", "body.prf.depth"),
        ({"prf": None}, "invalid_request", "body.prf"),
        ({"explain": "all"}, "invalid_query", "explain is 'all'; choose none"),
        ({"mode": "sparse", "prf": {"interpolate": "both"}}, "invalid_query", "needs mode hybrid"),
        ({"vectors": {"dense": [1.0]}}, "invalid_query", "this collection needs 6 numbers"),
        ({"vectors": {"dense": [1e39] * 6}}, "invalid_query", "not finite"),
        ({"vectors": {"sparse": {"reed": 1e39}}}, "invalid_query", "must be above 0 and finite"),
        ({"vectors": {"sparse": {"reed": -1.0}}}, "invalid_query", "the weight of 'reed' must be"),
        ({"vectors": {"other": []}}, "invalid_request", "body.vectors.other"),
    ],
)
def test_a_wrong_plan_is_a_problem(
    client: TestClient, body: dict[str, Any], code: str, part: str
) -> None:
    answer = client.post(SEARCH, json={"text": QUERY, **body})
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == code
    assert part in answer.json()["detail"]


def test_the_schema_has_every_field_of_the_plan_and_its_range() -> None:
    def same(model: type[BaseModel], options: Any) -> None:
        known = {each.name: each for each in fields(options)}
        assert set(model.model_fields) == set(known)
        schema = model.model_json_schema()["properties"]
        for name, each in known.items():
            default = getattr(options, name)
            if is_dataclass(default):
                annotation = model.model_fields[name].annotation
                assert isinstance(annotation, type)
                same(annotation, default)
            else:
                assert schema[name]["description"] == each.metadata["help"]
                assert schema[name].get("minimum") == each.metadata["low"]
                assert schema[name].get("maximum") == each.metadata["high"]
                choices = each.metadata["choices"]
                told = [choice for choice in schema[name].get("enum", ()) if choice is not None]
                assert told == list(choices)

    same(PlanFields, SearchPlan())


def test_a_failed_warm_up_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(model: str, **_: object) -> None:
        raise errors.UnavailableError(f"{model} needs a package; install it")

    monkeypatch.setattr(lsr.index.collection.retrievers, "open_dense_encoder", missing)
    engine = SearchEngine(Catalog.open(collection_names([folder])), Settings().limits)
    with TestClient(create_app(engine, Settings())) as client:
        for _ in range(600):
            detail = client.get("/readyz").json()["detail"]
            if "warmed up" not in detail:
                break
            threading.Event().wait(0.05)
        assert detail == "topics needs a package; install it"
        assert client.post(SEARCH, json={"text": "heron", "mode": "sparse"}).status_code == 200
        for body in ({"text": "heron"}, {"text": "heron", "mode": "dense"}):
            refused = client.post(SEARCH, json=body)
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        partial = client.post(SEARCH, json={"text": "heron", "allow_partial": True}).json()
        assert [warning["code"] for warning in partial["warnings"]] == ["dense_failed"]
        sparse = client.post(SEARCH, json={"text": "heron", "mode": "sparse"}).json()
        assert [d for d, _ in hits(partial)] == [d for d, _ in hits(sparse)]
    assert "will not become ready: topics needs a package" in caplog.text
