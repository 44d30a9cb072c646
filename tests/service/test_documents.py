"""Documents over REST: written, changed, read, listed, exported, deleted; and what is refused."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.rest_service import JSON_LINES, Rest, serving

DOCUMENTS = "collections/birds/documents"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rest") / "data"


@pytest.fixture(scope="module")
def service(root: Path) -> Iterator[Rest]:
    with serving(root) as rest:
        yield rest


@pytest.fixture
def rest(service: Rest) -> Iterator[Rest]:
    """The service with an empty collection `birds`."""
    service.make("birds", fields={"year": "number", "day": "date"})
    yield service
    service.ask("DELETE", "collections/birds")


def test_put_read_replace_delete(rest: Rest) -> None:
    body = {"text": "A heron stands.", "title": "Heron", "metadata": {"year": 2020, "x": [1, None]}}
    made = rest.ask("PUT", f"{DOCUMENTS}/a", 201, json=body)
    assert made == {"doc_id": "a", "status": "created", "version": 1, "seq": 1}
    assert rest.ask("GET", f"{DOCUMENTS}/a") == {"doc_id": "a", **body, "version": 1}
    assert rest.client.head(f"/v1/{DOCUMENTS}/a").status_code == 200
    again = rest.ask("PUT", f"{DOCUMENTS}/a?wait=searchable", json={"text": "An otter."})
    assert again == {
        "doc_id": "a",
        "status": "replaced",
        "version": 2,
        "seq": 2,
        "searchable": True,
    }
    assert rest.found("birds", "otter") == ["a"]
    assert rest.found("birds", "heron") == []
    gone = rest.ask("DELETE", f"{DOCUMENTS}/a?wait=searchable")
    assert (gone["status"], gone["version"], gone["seq"]) == ("deleted", 0, 3)
    assert rest.found("birds", "otter") == []
    rest.refused("GET", f"{DOCUMENTS}/a", 404, "not_found")
    rest.refused("DELETE", f"{DOCUMENTS}/a", 404, "not_found")
    assert rest.client.head(f"/v1/{DOCUMENTS}/a").status_code == 404


def test_a_document_that_was_found_before_is_seen_as_it_is_now(rest: Rest) -> None:
    """Also where the old one is in a segment, whose documents are remembered."""
    for n in range(3):
        rest.ask("PUT", f"{DOCUMENTS}/{n}", 201, json={"text": f"Heron {n}.", "metadata": {"n": n}})
    published = rest.ask("GET", "collections/birds")["generation"]
    rest.ask("POST", "collections/birds/merge", 202)
    for _ in range(200):
        if rest.ask("GET", "collections/birds")["generation"] > published:
            break
        time.sleep(0.05)

    def found() -> list[tuple[str, str, int]]:
        hits = rest.ask("POST", "collections/birds/search", json={"text": "heron"})["hits"]
        return sorted((hit["doc_id"], hit["snippet"], hit["metadata"]["n"]) for hit in hits)

    before = [("0", "Heron 0.", 0), ("1", "Heron 1.", 1), ("2", "Heron 2.", 2)]
    assert found() == found() == before
    new = {"text": "Another heron.", "metadata": {"n": 9}}
    rest.ask("PUT", f"{DOCUMENTS}/1?wait=searchable", json=new)
    assert found() == [before[0], ("1", "Another heron.", 9), before[2]]


@pytest.mark.parametrize(
    "doc_id",
    [
        "a/b/c",
        "/",
        "a/",
        "//a",
        "a\nb",
        "\n",
        "a\r\n",
        "tab\t",
        " ",
        "nul\0",
        "\x7f\x1b[0m",
        "?q=1&r#frag",
        "é鳥\U0001f426",
        "\u202e\u2028",
        "\ufffd",
        "delete",
        "...",
        "a..b",
        "x" * 1_024,
    ],
)
def test_every_id_that_is_stored_can_be_read(rest: Rest, doc_id: str) -> None:
    path = f"{DOCUMENTS}/{quote(doc_id, safe='')}"
    made = rest.ask("PUT", f"{path}?wait=searchable", 201, json={"text": "heron"})
    assert made["doc_id"] == doc_id
    assert rest.ask("GET", path)["doc_id"] == doc_id
    assert rest.ask("GET", DOCUMENTS)["documents"][0]["doc_id"] == doc_id
    assert rest.ask("PATCH", path, json={"title": "t"})["status"] == "replaced"
    assert rest.ask("DELETE", path)["status"] == "deleted"
    many = {"documents": [{"id": doc_id, "text": "heron"}]}
    assert rest.ask("POST", DOCUMENTS, json=many)["n_written"] == 1
    assert rest.ask("GET", path)["text"] == "heron"


@pytest.mark.parametrize(
    ("doc_id", "said"),
    [("", "empty"), (".", "'.' or '..'"), ("a/../b", "'.' or '..'"), ("x" * 1_025, "1,025 bytes")],
)
def test_ids_that_could_not_be_read_are_refused(rest: Rest, doc_id: str, said: str) -> None:
    many = {"documents": [{"doc_id": doc_id, "text": "heron"}]}
    (result,) = rest.ask("POST", DOCUMENTS, 207, json=many)["results"]
    assert result["status"] == "invalid"
    assert said in result["error"]
    line = json.dumps(many["documents"][0]).encode()
    answer = rest.client.post(f"/v1/{DOCUMENTS}", content=line, headers=JSON_LINES)
    assert said in json.loads(answer.text.splitlines()[0])["error"]
    assert rest.ask("GET", DOCUMENTS)["documents"] == []
    rest.refused("PUT", f"{DOCUMENTS}/%ff", 422, "invalid_input", json={"text": "x"})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "body.text: this is required"),
        ({"text": None}, "body.text"),
        ({"text": 1}, "body.text"),
        ({"text": "a", "titel": "b"}, "body.titel: there is no such field"),
        ({"text": "a", "doc_id": "a"}, "body.doc_id: there is no such field"),
        ({"text": "a", "title": ["b"]}, "body.title"),
        ({"text": "a", "metadata": []}, "body.metadata"),
        ({"text": "a", "metadata": {"year": "2020"}}, "'year' is of type number"),
        ({"text": "a", "metadata": {"year": [1, True]}}, "'year' is of type number"),
        ({"text": "a", "metadata": {"day": "yesterday"}}, "'day' is of type date"),
        ({"text": "a", "vectors": {"dense": [1.0, 2.0]}}, "2 numbers, and this collection has no"),
        ({"text": "a", "vectors": {"sparse": {"heron": -1.0}}}, "above 0"),
        ({"text": "a", "vectors": {"spares": {}}}, "body.vectors.spares"),
        ([], "this must be a JSON object"),
        ("a", "this must be a JSON object"),
    ],
)
def test_a_wrong_document_is_refused(rest: Rest, body: Any, said: str) -> None:
    problem = rest.ask("PUT", f"{DOCUMENTS}/a", 422, json=body)
    assert said in problem["detail"]
    if isinstance(body, dict):
        many = {"documents": [{**body, "_id": "a"}]}
        if "doc_id" not in body:
            (result,) = rest.ask("POST", DOCUMENTS, 207, json=many)["results"]
            assert said.removeprefix("body.") in result["error"]
    rest.refused("GET", f"{DOCUMENTS}/a", 404, "not_found")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b'{"text": NaN}',
        b'{"text": "\\ud800"}',
        b'{"text": "a", "metadata": {"n": 12345678901234567890, "x": NaN}}',
        b'{"text": "a", "metadata": {"n": 12345678901234567890, "x": "\\ud800"}}',
        b'{"text": "a", "metadata": {"n": 1e999}}',
        b'{"text": "a", "metadata": {"n": ' + b"1" * 5_000 + b"}}",
        b'{"text": "a", "metadata": {"n": ' + b"[" * 2_000 + b"]" * 2_000 + b"}}",
        b'{"text": "a", "metadata": {"n": ' + b"[" * 40 + b"]" * 40 + b"}}",
    ],
)
def test_bodies_that_are_not_json(rest: Rest, data: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = rest.client.put(f"/v1/{DOCUMENTS}/a", content=data, headers=headers)
    assert answer.status_code == 422, answer.text
    rest.refused("GET", f"{DOCUMENTS}/a", 404, "not_found")


def test_numbers_come_back_as_they_came(rest: Rest) -> None:
    data = b'{"text": "a", "metadata": {"n": 12345678901234567890123, "x": 1.5, "y": 1e3}}'
    headers = {"Content-Type": "application/json"}
    path = f"/v1/{DOCUMENTS}/a?wait=searchable"
    assert rest.client.put(path, content=data, headers=headers).status_code == 201
    metadata = rest.ask("GET", f"{DOCUMENTS}/a")["metadata"]
    assert metadata == {"n": 12345678901234567890123, "x": 1.5, "y": 1000.0}
    (listed,) = rest.ask("GET", DOCUMENTS)["documents"]
    assert listed["metadata"] == metadata


@pytest.mark.parametrize("media", [None, "text/plain", "application/xml", "multipart/form-data"])
def test_another_media_type(rest: Rest, media: str | None) -> None:
    headers = {} if media is None else {"Content-Type": media}
    for method, path in (("PUT", f"{DOCUMENTS}/a"), ("POST", DOCUMENTS)):
        said = rest.refused(
            method, path, 415, "unsupported_media_type", content=b'{"text":"a"}', headers=headers
        )
        assert "application/json" in said


def test_versions(rest: Rest) -> None:
    rest.ask("PUT", f"{DOCUMENTS}/a?if_version=0", 201, json={"text": "one"})
    said = rest.refused(
        "PUT", f"{DOCUMENTS}/a?if_version=0", 409, "version_conflict", json={"text": "two"}
    )
    assert "the version is 1 now" in said
    for method in ("PUT", "PATCH", "DELETE"):
        more = {} if method == "DELETE" else {"json": {"text": "two"}}
        rest.refused(method, f"{DOCUMENTS}/a?if_version=7", 409, "version_conflict", **more)
    assert rest.ask("PATCH", f"{DOCUMENTS}/a?if_version=1", json={"title": "t"})["version"] == 2
    assert rest.ask("GET", f"{DOCUMENTS}/a")["text"] == "one"
    rest.ask("DELETE", f"{DOCUMENTS}/a?if_version=2")
    rest.refused("PUT", f"{DOCUMENTS}/a?if_version=-1", 422, "invalid_request", json={"text": "x"})
    rest.refused("PUT", f"{DOCUMENTS}/a?if_version=x", 422, "invalid_request", json={"text": "x"})


def test_partial_updates(rest: Rest) -> None:
    metadata = {"year": 2020, "tags": ["a"], "deep": {"x": 1}}
    rest.ask("PUT", f"{DOCUMENTS}/a", 201, json={"text": "heron", "metadata": metadata})
    rest.ask("PATCH", f"{DOCUMENTS}/a", json={"metadata": {"year": None, "deep": {"y": 2}}})
    stored = rest.ask("GET", f"{DOCUMENTS}/a")
    assert (stored["text"], stored["metadata"]) == ("heron", {"tags": ["a"], "deep": {"y": 2}})
    path = f"{DOCUMENTS}/a?wait=searchable"
    assert rest.ask("PATCH", path, json={"text": "otter", "title": "T"})["searchable"]
    assert rest.found("birds", "otter") == ["a"]
    assert "nothing is to be changed" in rest.refused(
        "PATCH", f"{DOCUMENTS}/a", 422, "invalid_input", json={}
    )
    wrong: list[dict[str, Any]]
    wrong = [{"text": None}, {"vectors": {}}, {"metadata": {"year": "x"}}, {"doc_id": "b"}]
    for body in wrong:
        assert rest.client.patch(f"/v1/{DOCUMENTS}/a", json=body).status_code == 422
    rest.refused("PATCH", f"{DOCUMENTS}/b", 404, "not_found", json={"text": "x"})


def test_an_idempotency_key_writes_once(rest: Rest) -> None:
    headers = {"Idempotency-Key": "k1"}
    body = {"text": "heron"}
    first = rest.ask("PUT", f"{DOCUMENTS}/a", 201, json=body, headers=headers)
    rest.ask("DELETE", f"{DOCUMENTS}/a")
    assert rest.ask("PUT", f"{DOCUMENTS}/a", 201, json=body, headers=headers) == first
    rest.refused("GET", f"{DOCUMENTS}/a", 404, "not_found")
    said = rest.refused(
        "PUT", f"{DOCUMENTS}/a", 409, "conflict", json={"text": "b"}, headers=headers
    )
    assert "belongs to another request" in said
    for key in ("", "x" * 201, "a b"):
        answer = rest.client.put(f"/v1/{DOCUMENTS}/a", json=body, headers={"Idempotency-Key": key})
        assert answer.status_code == 422
    lines = b'{"id": "l1", "text": "x"}\n{"id": "l2", "text": "y"}\n'
    headers = {**JSON_LINES, "Idempotency-Key": "k2"}
    told = [rest.client.post(f"/v1/{DOCUMENTS}", content=lines, headers=headers).text for _ in "ab"]
    assert told[0] == told[1]


def test_a_stream_of_lines_keeps_the_good_ones(rest: Rest) -> None:
    lines = [
        b'\xef\xbb\xbf{"id": "bom", "text": "x"}',
        b"",
        b'{"_id": "crlf", "text": "x"}\r',
        b"  \t",
        b'{"doc_id": "cut", "text": ',
        b'{"doc_id": "\xff", "text": "x"}',
        b'{"doc_id": "nan", "text": "x", "metadata": {"n": NaN}}',
        b"[1]",
        b'{"doc_id": "two", "text": "x"} {"doc_id": "three", "text": "x"}',
        b'\xef\xbb\xbf{"doc_id": "late bom", "text": "x"}',
        b'{"doc_id": "long", "text": "' + b"x" * (1 << 20) + b'"}',
        b'{"doc_id": "extra", "text": "x", "extra": 1}',
        b'{"text": "no id"}',
        b'{"doc_id": "good", "text": "x", "if_version": 0}',
        b'{"doc_id": "good", "text": "x", "if_version": 0}',
        b'{"doc_id": "last", "text": "x"}',
    ]
    answer = rest.client.post(
        f"/v1/{DOCUMENTS}?wait=searchable", content=b"\n".join(lines), headers=JSON_LINES
    )
    assert answer.status_code == 207
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    *told, summary = map(json.loads, answer.text.splitlines())
    assert [each["line"] for each in told] == [1, 3, *range(5, 17)]
    good = {each["line"]: each["doc_id"] for each in told if each["status"] == "created"}
    assert good == {1: "bom", 3: "crlf", 14: "good", 16: "last"}
    assert {each["line"] for each in told if each["status"] == "conflict"} == {15}
    for each in told:
        assert ("error" in each) == (each["status"] in ("invalid", "conflict"))
    assert "longer than 1,048,576 bytes" in told[8]["error"]
    assert summary == {"n_written": 4, "n_failed": 10, "seq": 4, "searchable": True}
    ids = [each["doc_id"] for each in rest.ask("GET", DOCUMENTS)["documents"]]
    assert ids == ["bom", "crlf", "good", "last"]


def test_an_empty_stream(rest: Rest) -> None:
    answer = rest.client.post(f"/v1/{DOCUMENTS}", content=b"\n\n", headers=JSON_LINES)
    assert answer.status_code == 200
    assert json.loads(answer.text) == {"n_written": 0, "n_failed": 0, "seq": 0}
    lines: dict[str, Any] = {"documents": []}
    assert rest.ask("POST", DOCUMENTS, json=lines)["results"] == []
    rest.refused("POST", "collections/no/documents", 404, "not_found", json=lines)
    answer = rest.client.post("/v1/collections/no/documents", content=b"", headers=JSON_LINES)
    assert answer.status_code == 404


def test_many_lines(rest: Rest) -> None:
    lines = b"".join(b'{"id": "%d", "text": "heron %d"}\n' % (n, n) for n in range(2_500))

    def parts() -> Iterator[bytes]:
        for start in range(0, len(lines), 777):
            yield lines[start : start + 777]

    answer = rest.client.post(f"/v1/{DOCUMENTS}", content=parts(), headers=JSON_LINES)
    *told, summary = map(json.loads, answer.text.splitlines())
    assert answer.status_code == 200
    assert [each["version"] for each in told] == list(range(1, 2_501))
    assert summary == {"n_written": 2_500, "n_failed": 0, "seq": 2_500}
    too_many = {"documents": [{"id": "a", "text": "b"}] * 1_001}
    rest.refused("POST", DOCUMENTS, 422, "invalid_request", json=too_many)


def test_deleting_many(rest: Rest) -> None:
    made = [{"id": f"d{n}", "text": "heron", "metadata": {"year": 2000 + n % 3}} for n in range(30)]
    rest.ask("POST", DOCUMENTS, json={"documents": made})
    path = f"{DOCUMENTS}/delete?wait=searchable"
    gone = rest.ask("POST", path, json={"filter": {"year": 2001}})
    assert (gone["n_deleted"], gone["n_missing"]) == (10, 0)
    gone = rest.ask("POST", path, json={"doc_ids": ["d0", "d1", "d2", "d0", "no"]})
    assert (gone["n_deleted"], gone["n_missing"]) == (2, 2)
    assert len(rest.ask("GET", f"{DOCUMENTS}?limit=1000")["documents"]) == 18
    wrong: list[dict[str, Any]]
    wrong = [{}, {"filter": {}}, {"doc_ids": ["a"], "filter": {"year": 1}}, {"ids": []}]
    for body in wrong:
        assert rest.client.post(f"/v1/{path}", json=body).status_code == 422
    rest.refused("POST", path, 422, "invalid_query", json={"filter": {"no_such_field": 1}})
    rest.refused("POST", path, 422, "invalid_input", json={"doc_ids": [""]})


def test_lists_and_export(rest: Rest) -> None:
    ids = sorted(["a", "ä", "b/1", "B", "\n", "zz", "z", "10", "9"])
    rest.put("birds", dict.fromkeys(ids, "heron"))
    rest.ask("PATCH", f"{DOCUMENTS}/a?wait=searchable", json={"metadata": {"year": 1, "x": 2}})
    found, cursor = [], None
    for _ in range(10):
        params = {"limit": 4} | ({"cursor": cursor} if cursor else {})
        page = rest.ask("GET", DOCUMENTS, params=params)
        found += [each["doc_id"] for each in page["documents"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert found == ids
    fields = rest.ask("GET", DOCUMENTS, params={"fields": "title,metadata.year", "limit": 1000})
    chosen = {each["doc_id"]: each for each in fields["documents"]}
    assert chosen["a"] == {"doc_id": "a", "title": "", "metadata": {"year": 1}, "version": 10}
    filtered = rest.ask("GET", DOCUMENTS, params={"filter": '{"year": 1}'})
    assert [each["doc_id"] for each in filtered["documents"]] == ["a"]
    exported = [
        json.loads(line)
        for line in rest.client.get("/v1/collections/birds/export").text.splitlines()
    ]
    assert sorted(each["doc_id"] for each in exported) == ids
    assert {each["doc_id"]: each for each in exported}["a"] == rest.ask("GET", f"{DOCUMENTS}/a")
    for query in (
        "limit=0",
        "limit=1001",
        "cursor=%00",
        "cursor=a",
        "filter={",
        "filter=[]",
        "fields=score",
        "filter={%22nofield%22:1}",
    ):
        assert rest.client.get(f"/v1/{DOCUMENTS}?{query}").status_code == 422, query


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["put", "patch", "delete", "bulk", "lines", "delete_many"]),
        st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4),
        st.sampled_from(["heron", "otter", "river"]),
        st.booleans(),
    ),
    max_size=8,
)


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(OPERATIONS)
def test_random_writes_against_a_dict(service: Rest, operations: list[Any]) -> None:
    service.make("model")
    path, known = "collections/model/documents", {}
    try:
        for kind, ids, text, waits in operations:
            wait = "?wait=searchable" if waits else ""
            first = ids[0]
            if kind == "put":
                status = 200 if first in known else 201
                service.ask("PUT", f"{path}/{first}{wait}", status, json={"text": text})
                known[first] = text
            elif kind == "patch":
                service.ask(
                    "PATCH",
                    f"{path}/{first}{wait}",
                    200 if first in known else 404,
                    json={"text": text},
                )
                if first in known:
                    known[first] = text
            elif kind == "delete":
                service.ask("DELETE", f"{path}/{first}{wait}", 200 if first in known else 404)
                known.pop(first, None)
            elif kind == "delete_many":
                gone = service.ask("POST", f"{path}/delete{wait}", json={"doc_ids": ids})
                assert gone["n_deleted"] == len(known.keys() & set(ids))
                known = {doc_id: each for doc_id, each in known.items() if doc_id not in ids}
            else:
                made = [{"id": doc_id, "text": text} for doc_id in ids]
                if kind == "bulk":
                    service.ask("POST", f"{path}{wait}", json={"documents": made})
                else:
                    lines = "\n".join(map(json.dumps, made)).encode()
                    service.client.post(f"/v1/{path}{wait}", content=lines, headers=JSON_LINES)
                known |= dict.fromkeys(ids, text)
        for doc_id in "abcdef":
            answer = service.client.get(f"/v1/{path}/{doc_id}")
            assert (answer.json().get("text") if answer.status_code == 200 else None) == known.get(
                doc_id
            )
        service.put("model", {"end": "stone"})
        listed = service.ask("GET", path)["documents"]
        assert {each["doc_id"]: each["text"] for each in listed} == {**known, "end": "stone"}
        for text in ("heron", "otter", "river"):
            wanted = sorted(doc_id for doc_id, each in known.items() if each == text)
            assert sorted(service.found("model", text)) == wanted
    finally:
        service.ask("DELETE", "collections/model")
