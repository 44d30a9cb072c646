"""What a search costs: the service's processor time beside that of a route that does nothing.

    python -m bench.service.requests [--documents 5000] [--requests 1000] [--workers 2] [--wrk]

Both are uvicorn in processes of their own. They alternate, a hundred requests each by one
connection; the figure is the least of these passes, which a busy machine disturbs least. Ratios are
within one run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from bench.service.collections import abstracts, folder, queries
from bench.service.servers import Server, bare, cpu_seconds, served, throughput

__all__ = ["main"]

_JSON = {"Content-Type": "application/json"}
_PASS = 100
JsonObject = dict[str, Any]


def main() -> None:
    """Measure, and print."""
    options = _options()
    path = folder(options.documents)
    search = f"/v1/collections/{path.name}/search"
    kinds: dict[str, JsonObject] = {"without passages": {"snippet": False}, "with passages": {}}
    if options.facets:
        kinds["with facets"] = {"facets": ["lang", "year"], "count": True}
    with served([path]) as server:
        for kind, more in kinds.items():
            bodies = [{"text": text, **more} for text in islice(cycle(queries()), options.requests)]
            size = _size(server, search, bodies[:50])
            with bare(size) as nothing:
                _compare(kind, server, search, bodies, nothing, size)
                if options.wrk:
                    _load(kind, server, search, bodies[0], nothing)
        _longest(server, search)
    if options.workers > 1:
        _workers(path, search, options.workers)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add = parser.add_argument
    add("--documents", type=int, default=5_000, help="5,000: abstracts; more: sentences mixed")
    add("--requests", type=int, default=2_000, help="in all, of each kind")
    add("--facets", action="store_true", help="also with facets and a count")
    add("--wrk", action="store_true", help="also requests a second at 8 connections")
    add("--workers", type=int, default=1, help="also so many workers beside one")
    return parser.parse_args()


def _compare(
    kind: str, server: Server, search: str, bodies: list[JsonObject], nothing: Server, size: int
) -> None:
    hello = [{"text": body["text"]} for body in bodies]
    used: dict[str, list[float]] = {"search": [], "/sync": [], "/async": []}
    for each in (server, nothing):
        _ask(each, search if each is server else "/sync", bodies[:100] if each is server else hello)
    for start in range(0, len(bodies), _PASS):
        part = slice(start, start + _PASS)
        used["search"].append(_cost(server, search, bodies[part]))
        for route in ("/sync", "/async"):
            used[route].append(_cost(nothing, route, hello[part]))
    least = {route: min(each) for route, each in used.items()}
    print(
        f"{kind}: {least['search'] * 1e3:.2f} ms of CPU, answers of {size:,} bytes; "
        f"bare route {least['/sync'] * 1e3:.2f} ms ({least['search'] / least['/sync']:.2f} of it), "
        f"without thread {least['/async'] * 1e3:.2f} ms ({least['search'] / least['/async']:.2f})",
        flush=True,
    )


def _cost(server: Server, path: str, bodies: list[JsonObject]) -> float:
    """Seconds of processor for a request, over a pass."""
    before = cpu_seconds(server.pid)
    _ask(server, path, bodies)
    return (cpu_seconds(server.pid) - before) / len(bodies)


def _ask(server: Server, path: str, bodies: list[JsonObject]) -> list[bytes]:
    connection = server.connection()
    answers = []
    for body in bodies:
        connection.request("POST", path, json.dumps(body), _JSON)
        answer = connection.getresponse()
        answers.append(answer.read())
        if answer.status != 200:
            raise SystemExit(f"{path}: {answers[-1].decode()}")
    connection.close()
    return answers


def _size(server: Server, search: str, bodies: list[JsonObject]) -> int:
    answers = _ask(server, search, bodies)
    return sum(map(len, answers)) // len(answers)


def _load(kind: str, server: Server, search: str, body: JsonObject, nothing: Server) -> None:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "wrk.lua"
        ours = throughput(server, search, json.dumps(body), script)
        theirs = throughput(nothing, "/sync", json.dumps({"text": body["text"]}), script)
    print(f"{kind}, 8 connections: {ours:.0f}/s; bare {theirs:.0f}/s ({ours / theirs:.2f} of it)")


def _workers(path: Path, search: str, workers: int) -> None:
    rates = []
    with tempfile.TemporaryDirectory() as folder:
        for number in (1, workers):
            with served([path], number) as server:
                body = json.dumps({"text": queries()[0]})
                rates.append(throughput(server, search, body, Path(folder) / "wrk.lua"))
    print(f"{workers} workers: {rates[1]:.0f}/s; one {rates[0]:.0f}/s ({rates[1] / rates[0]:.2f})")


def _longest(server: Server, search: str) -> None:
    """Print what the most expensive legal requests cost, each twice; some may be refused."""
    for name, part, body in _heavy():
        costs, status, size = [], 0, 0
        for _ in range(2):
            before = cpu_seconds(server.pid)
            connection = server.connection()
            path = search.removesuffix("search") + part
            content = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, content, _JSON)
            answer = connection.getresponse()
            status, size = answer.status, len(answer.read())
            costs.append(cpu_seconds(server.pid) - before)
        told = f"{costs[0] * 1e3:.0f}, then {costs[1] * 1e3:.0f} ms of CPU"
        print(f"{name}: {told}, status {status}, {size:,} bytes", flush=True)


def _heavy() -> Iterator[tuple[str, str, JsonObject | None]]:
    """Names, ends of paths, and bodies; None for GET."""
    text = " ".join(document.text for document in abstracts()[:20])[:2_048]
    most: JsonObject = {"text": text, "limit": 1_000, "window": 1_000}
    full = {**most, "explain": "full", "limit": 200}  # no more are explained
    feedback = {"sparse": {"enabled": True, "terms": 100}, "depth": 20}
    sort, collapse = ["year:desc", "lang:asc"], {"field": "year", "inner": 10}
    searches: dict[str, JsonObject] = {
        "long query, 1,000 passages": most,
        "long query, 1,000 hits, no passages": {**most, "snippet": False},
        "long query, 200 hits, explained": {**full, "snippet": False},
        "long query, 200 passages, explained": full,
        "all that and feedback": {**full, "prf": feedback},
        "all that and marks": {**full, "prf": feedback, "marks": True, "fields": ["text"]},
        "last page of the window": {**most, "offset": 9_000, "window": 10_000},
        "facets of all matches": {**most, "snippet": False, "facets": ["lang", "year", "tags"]},
        "sorted by two fields": {**most, "snippet": False, "sort": sort},
        "sorted and collapsed": {**most, "limit": 90, "sort": sort, "collapse": collapse},
    }
    for name, body in searches.items():
        yield name, "search", body
    yield "100 searches at once", "msearch", {"searches": [{"text": text[:204], "limit": 10}] * 100}
    yield "explain", "explain", {**full, "prf": feedback, "doc_id": abstracts()[0].doc_id}
    yield "encode 100 queries", "encode", {"texts": [text] * 100}
    yield "encode 8 documents", "encode", {"texts": [text * 9] * 8, "side": "document"}
    where = "%7B%22year%22%3A%7B%22gte%22%3A2000%7D%7D"
    yield "1,000 documents by filter", f"documents?limit=1000&filter={where}", None


if __name__ == "__main__":
    main()
