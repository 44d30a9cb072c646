"""What a write costs: acknowledgements a second, and when a search finds what was written.

    python -m bench.service.writes [--documents 20000] [--seconds 5]

A bare uvicorn route that takes the same body stands beside single writes. Everything is over HTTP,
with the server in a process of its own and the log on the disk of the temporary folder.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bench.service.collections import abstracts, folder
from bench.service.servers import Server, bare, cpu_seconds, served
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection

__all__ = ["main"]

_N_FOUND = 50
_WRK = """
local number = {first}
function init(args) math.randomseed(os.time()) end
local thread = 0
function setup(t) t:set("id", thread) thread = thread + 1 end
request = function()
  number = number + 1
  local body = [[{body}]]
  return wrk.format("{method}", "{path}" .. id .. "-" .. number, headers, body)
end
headers = {{}}
headers["Content-Type"] = "application/json"
"""


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--documents", type=int, default=20_000, help="of the stream")
    parser.add_argument("--seconds", type=int, default=5, help="of single writes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "written"
        build_collection(abstracts()[:1_000], path, sparse=Bm25Encoder())
        with served([path]) as server:
            _found_after(server, path.name)
            _single(server, path.name, options.seconds, Path(temporary))
            _stream(server, path.name, options.documents)
        _filters()


def _filters() -> None:
    """Processor time of a filter on one field of 100,000 documents, when it is warm."""
    from lsr.index.collection.reader import CollectionReader

    reader = CollectionReader.open(folder(100_000), verify=False)
    for where in ({"lang": "en"}, {"year": {"gte": 2000, "lt": 2010}}):
        reader.search("cells", where=where)
        begin = time.process_time()
        for _ in range(1_000):
            reader.metadata.mask(where)
        took = time.process_time() - begin
        print(f"filter {where} on 100,000 documents, warm: {took:.4f} ms")
    reader.close()


def _document() -> str:
    document = abstracts()[0]
    return json.dumps({"title": document.title, "text": document.text[:1_000]})


def _single(server: Server, name: str, seconds: int, folder_: Path) -> None:
    """Documents a second, one a request, by one client and by 64."""
    size = 120
    with bare(size) as nothing:
        for clients in (1, 64):
            path = f"/v1/collections/{name}/documents/w{clients}-"
            before = cpu_seconds(server.pid)
            rate, failed = _wrk(server, "PUT", path, _document(), clients, seconds, folder_)
            cpu = (cpu_seconds(server.pid) - before) / max(rate * seconds, 1)
            beside, _ = _wrk(nothing, "POST", "/async?", _document(), clients, seconds, folder_)
            print(
                f"acknowledged, {clients:2} clients: {rate:,.0f} /s, {cpu * 1e3:.2f} ms of CPU each"
                f", refused {failed}; a bare route: {beside:,.0f} /s"
            )


def _wrk(
    server: Server, method: str, path: str, body: str, clients: int, seconds: int, folder_: Path
) -> tuple[float, str]:
    script = folder_ / "put.lua"
    script.write_text(_WRK.format(first=0, body=body, method=method, path=path))
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "-s", str(script)]
    told = subprocess.run(
        [*command, f"http://{server.host}:{server.port}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    return float(found[1]) if found else 0.0, failed[1] if failed else "0"


def _stream(server: Server, name: str, n_documents: int) -> None:
    """A stream of NDJSON: documents acknowledged a second, and searchable."""
    lines = list(islice(_lines(), n_documents))
    body = b"".join(lines)
    begin = time.perf_counter()
    connection = server.connection()
    connection.request(
        "POST",
        f"/v1/collections/{name}/documents",
        body,
        {"Content-Type": "application/x-ndjson"},
    )
    answer = connection.getresponse()
    statuses = answer.read().splitlines()
    acknowledged = time.perf_counter() - begin
    last = json.loads(statuses[-1])
    while not _has(server, name, f"unique{n_documents - 1}"):
        time.sleep(0.05)
    searchable = time.perf_counter() - begin
    print(
        f"stream of {n_documents:,} documents ({len(body) >> 20} MB, status {answer.status}): "
        f"acknowledged {n_documents / acknowledged:,.0f} /s, "
        f"searchable {n_documents / searchable:,.0f} /s; last line {last}"
    )


def _lines() -> Iterator[bytes]:
    known = abstracts()
    for number in range(10**9):
        document = known[number % len(known)]
        text = f"unique{number} {document.text}"
        content = {"doc_id": f"s{number}", "title": document.title, "text": text[:600]}
        yield json.dumps(content).encode() + b"\n"


def _found_after(server: Server, name: str) -> None:
    """Time from an acknowledgement to the first search that finds the document."""
    took = []
    connection = server.connection()
    for number in range(_N_FOUND):
        word = f"zq{number}x"
        body = json.dumps({"text": f"a document about {word}"})
        path = f"/v1/collections/{name}/documents/found-{number}"
        connection.request("PUT", path, body, {"Content-Type": "application/json"})
        connection.getresponse().read()
        begin = time.perf_counter()
        while not _has(server, name, word):
            time.sleep(0.002)
        took.append(time.perf_counter() - begin)
    print(
        f"a write is found after {statistics.median(took) * 1e3:.0f} ms "
        f"(median of {_N_FOUND}; at most {max(took) * 1e3:.0f} ms)"
    )


def _has(server: Server, name: str, word: str) -> bool:
    connection = server.connection()
    body = json.dumps({"text": word, "limit": 1, "snippet": False})
    path = f"/v1/collections/{name}/search"
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    hits = json.loads(connection.getresponse().read()).get("hits", [])
    connection.close()
    return bool(hits)


if __name__ == "__main__":
    main()
