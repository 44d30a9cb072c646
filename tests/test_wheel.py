"""The wheel in an environment of its own, without the repository; see also `test_readme.py`."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.markdown import ROOT
from tests.support.wheel import built_wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, and with what it depends on, which needs no network.

    Dependencies are those of the tests' environment, by a path: its own editable lsr is a hook
    that a path does not bring.
    """
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = home / "lib" / version / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    known = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(known) + "\n")
    return home / "bin" / "python"


def run(python: Path, folder: Path, *words: str) -> str:
    kept = {"PATH", "HOME", "TMPDIR", "LANG", "HF_HUB_OFFLINE", "NUMBA_CACHE_DIR"}
    environment = {name: value for name, value in os.environ.items() if name in kept}
    done = subprocess.run(
        [str(python), "-W", "error", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_has_all_of_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert {name.partition("/")[0] for name in inside} == {"lsr"}
    linked = ((name, f"lsr/{name}") for name in ("index", "integrations", "service"))
    for folder, package in (("lsr", "lsr"), *linked):
        for path in (ROOT / folder).glob("**/*"):
            if path.is_dir() or "__pycache__" in path.parts or path.suffix in (".nbi", ".nbc"):
                continue
            name = path.relative_to(ROOT / folder).as_posix()
            assert f"{package}/{name}" in inside
    assert "lsr/training/loop/run.py" in inside
    assert "lsr/models/doc-mini/search_defaults.json" in inside


def test_it_is_the_wheel_that_runs(python: Path, tmp_path: Path) -> None:
    where = run(python, tmp_path, "-c", "import lsr; print(lsr.__file__, lsr.__version__)")
    assert str(python.parent.parent) in where
    assert str(ROOT) not in where


def test_the_command_line_runs_from_it(python: Path, tmp_path: Path) -> None:
    """Documents, the model that comes along, a search, and the service's page and templates."""
    (tmp_path / "my-notes").mkdir()
    (tmp_path / "my-notes" / "keys.md").write_text("# Keys\n\nA key rotates every ninety days.\n")
    command = ("-c", "from lsr.cli import main; main()")
    run(python, tmp_path, *command, "index", "build", "my-notes", "my-index")
    assert "keys.md" in run(python, tmp_path, *command, "search", "my-index", "rotate a key")
    page = """
from pathlib import Path
from fastapi.testclient import TestClient
from lsr.service.app import create_app
from lsr.service.catalog import Catalog
from lsr.service.engine import SearchEngine
from lsr.service.settings import Settings
engine = SearchEngine(Catalog.open({"my-index": Path("my-index")}))
client = TestClient(create_app(engine, Settings()))
print(client.get("/", params={"q": "rotate"}).text, client.get("/docs").status_code)
"""
    said = run(python, tmp_path, "-W", "ignore", "-c", page)
    assert "my-index" in said
    assert said.rstrip().endswith("200")
