"""A stand-in of the Hugging Face hub on loopback: what its own client asks of it, and no more.

Repositories are in memory: commits with their files, small ones as git has them, binary or large
ones by LFS. Xet, which needs a storage of its own, is switched off in the client.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import huggingface_hub.constants
import pytest

__all__ = ["TOKEN", "Hub", "StoredRepository", "hub_stand_in"]

TOKEN = "hf_of_the_owner"
_ATTRIBUTES = b"*.bin filter=lfs diff=lfs merge=lfs -text\n"
_PAGE = 7
"""Files of a page of a listing: few, so that there are several."""


@dataclass
class StoredRepository:
    """A repository: branch to commits, oldest first, each with its files."""

    private: bool = False
    gated: bool = False
    branches: dict[str, list[tuple[str, dict[str, bytes]]]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """The newest files of a branch."""
        return self.branches[revision][-1][1]

    def commit(self, files: dict[str, bytes], message: str, revision: str = "main") -> str:
        """A new commit with just these files."""
        self.messages.append(message)
        count = sum(map(len, self.branches.values()))
        commit = hashlib.sha1(f"{message} {revision} {count}".encode()).hexdigest()
        self.branches.setdefault(revision, []).append((commit, files))
        return commit

    def found(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """A commit by its id, or the newest of a branch."""
        if revision in self.branches:
            return self.branches[revision][-1]
        for commits in self.branches.values():
            for commit, files in commits:
                if commit == revision:
                    return commit, files
        return None


class Hub:
    """The state of the stand-in, which tests look at and change.

    Attributes:
        repositories: by OWNER/NAME.
        requests: method and path of each, in order.
        objects: what was sent to large storage, by SHA-256.
        refusals: patterns of "METHOD path" to a status, and its headers, that is answered instead.
        limit: a file from this many bytes on goes by LFS.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, StoredRepository] = {}
        self.requests: list[str] = []
        self.objects: dict[str, bytes] = {}
        self.refusals: dict[str, tuple[int, dict[str, str]]] = {}
        self.limit = 4_000
        self.url = ""

    def sent(self) -> list[str]:
        """Requests that change something, or send files."""
        return [each for each in self.requests if not each.startswith(("GET", "HEAD"))]

    def fetched(self) -> list[str]:
        """Names of files that were downloaded, in order."""
        found = (re.fullmatch(r"GET /[^/]+/[^/]+/resolve/\w+/(.+)", each) for each in self.requests)
        return [match[1] for match in found if match]

    def is_large(self, name: str, content: bytes) -> bool:
        """Whether a file goes by LFS."""
        return bool(content) and (len(content) >= self.limit or b"\0" in content[:512])


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece, so that nobody waits for the second
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as it is called
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def _serve(self) -> None:
        split = urlsplit(self.path)
        self.query, path = parse_qs(split.query), unquote(split.path)
        told = f"{self.command} {path}"
        self.hub.requests.append(told)
        self.body = self._read()
        for pattern, (status, headers) in self.hub.refusals.items():
            if re.search(pattern, told):
                self._answer(status, {"error": "refused"}, headers)
                return
        for method, pattern, answer in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method:
                answer(self, *match.groups())
                return
        self._answer(404, {"error": f"the stand-in has no {told}"})

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(
        self, status: int, content: object = None, headers: dict[str, str] | None = None
    ) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        self._send(status, body, {"Content-Type": "application/json", **(headers or {})})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _is_owner(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _writes(self) -> bool:
        """Whether it may write; the refusal is sent."""
        if self._is_owner():
            return True
        if self.headers.get("Authorization"):
            self._answer(403, {"error": "no right to write"}, {"X-Error-Message": "no right"})
        else:
            message = "Invalid username or password."
            self._answer(401, {"error": message}, {"X-Error-Message": message})
        return False

    def _repository(self, name: str) -> StoredRepository | None:
        """One that the caller may see; the refusal is sent."""
        found = self.hub.repositories.get(name)
        if found is None or (found.private and not self._is_owner()):
            status = 404 if self._is_owner() else 401
            self._answer(status, {"error": "not found"}, {"X-Error-Code": "RepoNotFound"})
            return None
        if found.gated and not self._is_owner():
            self._answer(403, {"error": "gated"}, {"X-Error-Code": "GatedRepo"})
            return None
        return found

    def _commit_of(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        repository = self._repository(name)
        if repository is None:
            return None
        found = repository.found(revision)
        if found is None:
            self._answer(404, {"error": "no revision"}, {"X-Error-Code": "RevisionNotFound"})
        return found

    def create(self) -> None:
        if not self._writes():
            return
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.repositories:
            self._answer(409, {"error": "exists"})
            return
        private = bool(asked.get("private")) or asked.get("visibility") == "private"
        made = self.hub.repositories[name] = StoredRepository(private)
        made.commit({".gitattributes": _ATTRIBUTES}, "initial commit")
        self._answer(200, {"url": f"{self.hub.url}/{name}", "name": name})

    def info(self, name: str, revision: str | None) -> None:
        found = self._commit_of(name, revision or "main")
        if found is not None:
            is_private = self.hub.repositories[name].private
            self._answer(200, {"id": name, "sha": found[0], "private": is_private, "siblings": []})

    def tree(self, name: str, revision: str) -> None:
        found = self._commit_of(name, revision)
        if found is None:
            return
        rows = [self._row(path, content) for path, content in sorted(found[1].items())]
        first = int(self.query.get("cursor", ["0"])[0])
        headers = {}
        if first + _PAGE < len(rows):
            place = f"{self.hub.url}/api/models/{name}/tree/{revision}"
            link = f"{place}?recursive=true&cursor={first + _PAGE}"
            headers["Link"] = f'<{link}>; rel="next"'
        self._answer(200, rows[first : first + _PAGE], headers)

    def _row(self, path: str, content: bytes) -> dict[str, Any]:
        row: dict[str, Any] = {"type": "file", "path": path, "size": len(content)}
        row["oid"] = _blob(content)
        if self.hub.is_large(path, content):
            sha256 = hashlib.sha256(content).hexdigest()
            row["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 130}
        return row

    def validate(self) -> None:
        self._answer(200, {"errors": [], "warnings": []})

    def preupload(self, name: str, revision: str) -> None:
        if not self._writes() or (found := self._commit_of(name, revision)) is None:
            return
        rows = []
        for asked in json.loads(self.body)["files"]:
            sample = base64.b64decode(asked["sample"])
            large = asked["size"] >= self.hub.limit or b"\0" in sample
            row: dict[str, Any] = {"path": asked["path"], "shouldIgnore": False}
            row["uploadMode"] = "lfs" if large else "regular"
            content = found[1].get(asked["path"])
            if content is not None:
                row["oid"] = hashlib.sha256(content).hexdigest() if large else _blob(content)
            rows.append(row)
        self._answer(200, {"files": rows})

    def batch(self, name: str) -> None:
        if not self._writes():
            return
        objects = []
        for asked in json.loads(self.body)["objects"]:
            row = {"oid": asked["oid"], "size": asked["size"]}
            if asked["oid"] not in self.hub.objects:
                place = f"{self.hub.url}/storage/{asked['oid']}"
                verify = {"href": f"{self.hub.url}/verify"}
                row["actions"] = {"upload": {"href": place}, "verify": verify}
            objects.append(row)
        self._answer(200, {"transfer": "basic", "objects": objects})

    def store(self, oid: str) -> None:
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.hub.objects[oid] = self.body
        self._answer(200)

    def verify(self) -> None:
        asked = json.loads(self.body)
        known = len(self.hub.objects[asked["oid"]]) == asked["size"]
        self._answer(200 if known else 422, {})

    def commit(self, name: str, revision: str) -> None:
        if not self._writes() or (found := self._commit_of(name, revision)) is None:
            return
        lines = [json.loads(line) for line in self.body.splitlines()]
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, found[0]):
            self._answer(412, {"error": "a commit has happened since"})
            return
        files = dict(found[1])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            else:
                assert line["key"] == "deletedFile"
                del files[value["path"]]
        oid = self.hub.repositories[name].commit(files, header["summary"], revision)
        self._answer(200, {"commitUrl": f"{self.hub.url}/{name}/commit/{oid}", "commitOid": oid})

    def branch(self, name: str, revision: str) -> None:
        if not self._writes() or (found := self._commit_of(name, "main")) is None:
            return
        self.hub.repositories[name].branches.setdefault(revision, [found])
        self._answer(200, {})

    def resolve(self, name: str, revision: str, path: str) -> None:
        found = self._commit_of(name, revision)
        if found is None:
            return
        commit, files = found
        if path not in files:
            self._answer(404, {"error": "no file"}, {"X-Error-Code": "EntryNotFound"})
            return
        content = files[path]
        large = self.hub.is_large(path, content)
        etag = hashlib.sha256(content).hexdigest() if large else _blob(content)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{etag}"'}
        self._send(200, content, headers)


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest()


_NAME = r"([^/]+/[^/]+)"
_ROUTES: tuple[tuple[tuple[str, ...], str, Any], ...] = (
    (("POST",), "/api/repos/create", _Handler.create),
    (("POST",), "/api/validate-yaml", _Handler.validate),
    (("GET",), rf"/api/models/{_NAME}(?:/revision/(.+))?", _Handler.info),
    (("GET",), rf"/api/models/{_NAME}/tree/([^/]+)", _Handler.tree),
    (("POST",), rf"/api/models/{_NAME}/preupload/(.+)", _Handler.preupload),
    (("POST",), rf"/api/models/{_NAME}/commit/(.+)", _Handler.commit),
    (("POST",), rf"/api/models/{_NAME}/branch/(.+)", _Handler.branch),
    (("POST",), rf"/{_NAME}\.git/info/lfs/objects/batch", _Handler.batch),
    (("PUT",), r"/storage/(\w+)", _Handler.store),
    (("POST",), "/verify", _Handler.verify),
    (("GET", "HEAD"), rf"/{_NAME}/resolve/([^/]+)/(.+)", _Handler.resolve),
)


@contextmanager
def hub_stand_in(patch: pytest.MonkeyPatch, cache: Path) -> Iterator[Hub]:
    """The stand-in, served while in use; the hub's client in this process is led to it.

    Its owner's token is set; another, or none, by the environment's HF_TOKEN.

    Args:
        cache: a folder for what the client keeps.
    """
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    template = huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE
    endpoint = huggingface_hub.constants.ENDPOINT
    led = template.replace(endpoint, hub.url, 1)
    patch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", led)
    patch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
    patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    patch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    patch.setenv("HF_TOKEN", TOKEN)
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        huggingface_hub.close_session()
