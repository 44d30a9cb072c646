"""The whole description of the API under schemathesis, all checks, against a real service.

    python -m bench.service.fuzz [--examples 200] [--keys]

Prints operations, cases and failures; exits with 1 when there is a failure, a status of 500, a
traceback in the log, or when the service has ended.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import httpx

from bench.service.servers import Server, served
from lsr.service.security.keys import KeyFile

__all__ = ["main"]

_HERE = Path(__file__).parent
_DOCUMENTS = [
    {"doc_id": "a", "text": "A heron stands.", "metadata": {"year": 2020, "lang": "en"}},
    {"doc_id": "b", "text": "An otter swims.", "metadata": {"year": 2021, "lang": "de"}},
    {
        "doc_id": "c/d",
        "text": "A reed bends.",
        "metadata": {"tags": ["x", "y"], "at": "2020-05-31"},
    },
]
_PAUSE_SECONDS = 0.5


class _Keeper:
    """Makes what requests may find, again and again: some of them delete it."""

    def __init__(self, server: Server, key: str | None) -> None:
        headers = {"X-Api-Key": key} if key else {}
        address = f"http://{server.host}:{server.port}/v1/"
        self._client = httpx.Client(base_url=address, headers=headers, timeout=60)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep)
        self.make()
        self._thread.start()

    def make(self) -> None:
        """Collections, documents, an alias and a snapshot."""
        for name in ("books", "notes"):
            path = f"collections/{name}"
            body = {"sparse": "bm25", "fields": {"year": "number"}}
            if self._client.put(path, json=body).status_code == httpx.codes.CREATED:
                self._client.post(f"{path}/documents", json={"documents": _DOCUMENTS})
            self._client.post(f"{path}/snapshots", json={"name": "monday"})
        self._client.put("aliases/current", json={"collection": "notes"})

    def _keep(self) -> None:
        while not self._over.wait(_PAUSE_SECONDS):
            if self._client.get("collections/books/documents/a").status_code != httpx.codes.OK:
                self.make()

    def end(self) -> None:
        """Make no more."""
        self._over.set()
        self._thread.join()
        self._client.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="schemathesis against a real service")
    parser.add_argument("--examples", type=int, default=200, help="of each operation")
    parser.add_argument("--keys", action="store_true", help="with API keys: admin, then read")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--st", default=".venv/fuzz/bin/st", help="the command of schemathesis")
    parser.add_argument("--more", default="", help="further options of schemathesis")
    return parser.parse_args()


def main() -> int:
    """Run it; the exit code."""
    asked = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys.json"
        secrets: list[str | None] = [None]
        if asked.keys:
            file = KeyFile(keys)
            secrets = [file.create(scope, scope)[1] for scope in ("admin", "read")]
        more = ["--keys", str(keys)] if asked.keys else []
        log = Path(folder) / "log"
        options = ["--data", str(Path(folder) / "data"), "--drain-seconds", "0", *more]
        with served([], options=options, log=log) as server:
            keeper = _Keeper(server, secrets[0])
            try:
                codes = [_run(asked, server, secret) for secret in secrets]
            finally:
                keeper.end()
        wrong = _told(log)
    return 1 if any(codes) or wrong else 0


def _run(asked: argparse.Namespace, server: Server, secret: str | None) -> int:
    command = [
        asked.st,
        "--config-file",
        str(_HERE / "schemathesis.toml"),
        "run",
        f"http://{server.host}:{server.port}/openapi.json",
        *("--max-examples", str(asked.examples), "--seed", str(asked.seed)),
        *(
            "--suppress-health-check",
            "all",
            "--request-timeout",
            "60",
            "--max-response-time",
            "60",
            "--no-color",
        ),
        *("--continue-on-failure", "--warnings", "off", "--generation-database", "none"),
        *asked.more.split(),
    ]
    if secret is not None:
        command += ["--header", f"X-Api-Key: {secret}"]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(_HERE)}
    return subprocess.run(command, env=environment, check=False).returncode


def _told(log: Path) -> bool:
    """Print what the service answered by status; whether something is wrong with it."""
    statuses: Counter[int] = Counter()
    wrong = []
    for line in log.read_text("utf-8", "replace").splitlines():
        if not line.startswith("{"):
            wrong += [line] if re.search("Traceback|rror", line) else []
            continue
        said = json.loads(line)
        statuses[said.get("status", 0)] += 1
        if "trace" in said or said.get("status") == httpx.codes.INTERNAL_SERVER_ERROR:
            wrong.append(json.dumps(said, indent=1).replace("\\n", "\n"))
    del statuses[0]
    print(f"requests by status: {dict(sorted(statuses.items()))}")
    print("\n".join(wrong[:20]) or "no traceback and no status 500 in the log")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
