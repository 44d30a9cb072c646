"""The service under 200 connections: what is answered, what is refused, and what it keeps.

    python -m bench.service.load [--seconds 60] [--connections 200]

While wrk sends searches over many connections, `/livez` is asked ten times a second. Answers other
than 200, 429 and 503 are errors.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
import time
from pathlib import Path

from bench.service.collections import folder, queries
from bench.service.servers import Server, served

__all__ = ["main"]

_WRK = """
local counts = {{}}
local bodies = {{{bodies}}}
local at = 0
request = function()
  at = at % #bodies + 1
  return wrk.format("POST", "{path}", {{["Content-Type"] = "application/json"}}, bodies[at])
end
response = function(status, headers, body)
  counts[status] = (counts[status] or 0) + 1
end
done = function(summary, latency, requests)
  io.write("errors ", summary.errors.connect, " ", summary.errors.read, " ",
    summary.errors.write, " ", summary.errors.timeout, "\\n")
end
"""


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--documents", type=int, default=5_000)
    options = parser.parse_args()
    path = folder(options.documents)
    with served([path], options.workers) as server, tempfile.TemporaryDirectory() as temporary:
        search = f"/v1/collections/{path.name}/search"
        bodies = ", ".join(f"[[{json.dumps({'text': text})}]]" for text in queries()[:300])
        script = Path(temporary) / "search.lua"
        script.write_text(_WRK.format(bodies=bodies, path=search))
        _wrk(server, script, 8, 5)
        before = _resident(server.pid)
        load = subprocess.Popen(
            _command(server, script, options.connections, options.seconds),
            stdout=subprocess.PIPE,
            text=True,
        )
        alive = _livez(server, load)
        told = load.communicate()[0]
        after = _resident(server.pid)
        print(told.strip())
        alive.sort()
        print(
            f"/livez: {len(alive)} asked, median {alive[len(alive) // 2] * 1e3:.0f} ms, "
            f"p99 {alive[int(len(alive) * 0.99)] * 1e3:.0f} ms, most {alive[-1] * 1e3:.0f} ms"
        )
        print(f"memory: {before >> 20} MB, then {after >> 20} MB ({after / before - 1:+.1%})")
        print(_by_status(server))


def _by_status(server: Server) -> str:
    """Answers by status and the time within which 99 % of searches were answered, as counted."""
    connection = server.connection()
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    lines = [line for line in text.splitlines() if "/search" in line]
    counts = [line for line in lines if line.startswith("lsr_http_requests_total")]
    ok = [
        (float(bound), float(count))
        for line in lines
        if 'status="200"' in line
        for bound, count in re.findall(r'le="([\d.]+)".* ([\d.]+)$', line)
    ]
    total = max((count for _, count in ok), default=0.0)
    within = [bound for bound, count in ok if count >= 0.99 * total]
    return "\n".join([*counts, f"99 % of accepted searches: within {min(within, default=0)} s"])


def _livez(server: Server, load: subprocess.Popen[str]) -> list[float]:
    took = []
    while load.poll() is None:
        begin = time.perf_counter()
        connection = server.connection()
        connection.request("GET", "/livez")
        connection.getresponse().read()
        connection.close()
        took.append(time.perf_counter() - begin)
        time.sleep(0.1)
    return took


def _wrk(server: Server, script: Path, connections: int, seconds: int) -> None:
    subprocess.run(_command(server, script, connections, seconds), capture_output=True, check=True)


def _command(server: Server, script: Path, connections: int, seconds: int) -> list[str]:
    address = f"http://{server.host}:{server.port}"
    counts = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s"]
    return [*counts, "-s", str(script), address]


def _resident(pid: int) -> int:
    """Bytes of memory that a process and its children hold."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        children = (task / "children").read_text().split()
        total += sum(_resident(int(child)) for child in children)
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    return total + (int(found[1]) << 10 if found else 0)


if __name__ == "__main__":
    main()
