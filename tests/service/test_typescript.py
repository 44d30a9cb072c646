"""A TypeScript client made of the OpenAPI description: generated, type-checked, and run by node."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.types import Document
from tests.support.served import serving

HERE = Path(__file__).parent / "typescript"
MODULES = HERE / "node_modules"

pytestmark = [
    pytest.mark.typescript,
    pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed"),
    pytest.mark.skipif(not MODULES.is_dir(), reason="make test-typescript installs its packages"),
]

FLAG = "--default-non-nullable=false"
"""A field that has a default may be left out."""

ADMIN = "an-admin-key-that-is-long-enough"


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_generated_client_is_typed_and_works(tmp_path: Path) -> None:
    for name in ("package.json", "tsconfig.json", "program.ts"):
        shutil.copy(HERE / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(MODULES)
    build_collection([Document("a", "b")], tmp_path / "index", sparse=Bm25Encoder())
    with serving(tmp_path / "index", data_dir=tmp_path / "data", admin_key=ADMIN) as served:
        described = httpx.get(
            f"{served.url}/openapi.json", headers={"X-Api-Key": ADMIN}, timeout=60
        )
        (tmp_path / "openapi.json").write_bytes(described.content)
        generator = MODULES / "openapi-typescript" / "bin" / "cli.js"
        _run(tmp_path, "node", str(generator), "openapi.json", "-o", "api.ts", FLAG)
        _run(tmp_path, "node", str(MODULES / "typescript" / "bin" / "tsc"), "-p", ".")
        said = json.loads(_run(tmp_path, "node", "built/program.js", served.url, ADMIN))
    assert said["status"] == "created"
    assert (said["n_written"], said["n_matches"], said["code"]) == (2, 2, "not_found")
    assert [(hit["id"], hit["year"]) for hit in said["hits"]] == [
        ("birds/2", 2021),
        ("birds/1", 2020),
    ]
    assert all(hit["term"] for hit in said["hits"])
    tags, year = said["counts"]
    assert (tags["field"], tags["values"]) == ("tags", [["a", 1]])
    assert year["ranges"] == [1]


def test_requests_and_answers_leave_no_type_open(tmp_path: Path) -> None:
    api = tmp_path / "api.ts"
    build_collection([Document("a", "b")], tmp_path / "index", sparse=Bm25Encoder())
    with serving(tmp_path / "index", admin_key=ADMIN) as served:
        described = httpx.get(
            f"{served.url}/openapi.json", headers={"X-Api-Key": ADMIN}, timeout=60
        ).json()
    assert not api.exists()
    vague = [
        f"{name}.{field}"
        for name, schema in described["components"]["schemas"].items()
        for field, part in schema.get("properties", {}).items()
        if not set(part) & {"type", "$ref", "anyOf", "allOf", "enum", "const"}
        or part.get("additionalProperties") is True
        or part.get("items") == {}
    ]
    assert vague == []
    used = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(described)))
    assert used == set(described["components"]["schemas"])
