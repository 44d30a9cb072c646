"""The documentation in step with the code: commands, routes, options, examples, links."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import typer
import yaml
from pydantic import BaseModel

import lsr
import lsr.errors
from lsr.cli.app import app
from lsr.datasets.vectors.open import FORMATS
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.service.api.collections import aliases_router, collections_router
from lsr.service.api.document_batches import batches_router
from lsr.service.api.documents import documents_router, writing_router
from lsr.service.api.health import health_router
from lsr.service.api.keys import NewKey, keys_router
from lsr.service.api.schemas.collections import AliasChanges, CollectionBody
from lsr.service.api.schemas.documents import (
    BulkRequest,
    DeleteRequest,
    DocumentBody,
    DocumentPatch,
)
from lsr.service.api.schemas.search import SearchRequest
from lsr.service.api.schemas.tasks import RestoreBody, SnapshotBody
from lsr.service.api.search_routes import search_router
from lsr.service.api.snapshots import snapshots_router
from lsr.service.api.tasks import tasks_router
from lsr.service.page.page import page_router
from lsr.service.page.panels.collections_view import panel_router
from lsr.service.page.panels.compare_view import compare_router
from lsr.service.security.sign_in import sign_in_router
from lsr.service.settings import Settings
from lsr.training.config.presets import PRESETS
from lsr.training.config.yaml_file import config_of
from tests.support.markdown import ROOT, Page, pages
from tests.support.served import serving

PAGES = pages()
README, *REST_OF_THEM = PAGES
DOCS = {page.path.stem: page for page in REST_OF_THEM}
LINKED = [
    *PAGES,
    *(Page.read(ROOT / f"{name}.md") for name in ("ARCHITECTURE", "CONTRIBUTING", "CHANGELOG")),
]
WIDTH = 100
NOTES = {"keys.md": "# Keys\n\nTo rotate a key, ask the desk."}
"""What stands in the folder my-notes that examples read."""
FRAMEWORKS = ["haystack", "langchain_core", "llama_index.core", "pyterrier"]
"""Packages that examples of integrations need."""
PROGRAMS = {".", "cp", "curl", "hf", "lsr", "make", "pip", "python", "ray"}
"""What blocks of shell commands may call."""

by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


# Commands


def commands() -> dict[str, typer.core.TyperCommand]:
    """Every command by its whole name."""

    def walk(prefix: str, command: object) -> dict[str, typer.core.TyperCommand]:
        if isinstance(command, typer.core.TyperGroup):
            return {
                name: leaf
                for part, child in command.commands.items()
                for name, leaf in walk(f"{prefix} {part}", child).items()
            }
        assert isinstance(command, typer.core.TyperCommand)
        return {prefix: command}

    return walk("lsr", typer.main.get_command(app))


COMMANDS = commands()


def _check_command(line: str) -> None:
    words = shlex.split(line)
    if words in (["lsr"], ["lsr", "index"], ["lsr", "--version"]):
        return
    names = (" ".join(words[:length]) for length in (4, 3, 2))
    name = next((name for name in names if name in COMMANDS), "")
    assert name, line
    known = _options(name)
    for word in words:
        if word.startswith("-") and not word.startswith("-H"):
            assert word in known, f"{line}: {word}"


def _options(name: str) -> set[str]:
    options = {"-h", "--help"}
    for parameter in COMMANDS[name].params:
        options.update(parameter.opts, parameter.secondary_opts)
    return {option for option in options if option.startswith("-")}


def test_every_command_and_option_has_help_and_stands_in_the_docs() -> None:
    assert len(COMMANDS) >= 21
    page = DOCS["cli"]
    for name, command in COMMANDS.items():
        assert command.help, name
        assert f"[`{name}`](#{name.replace(' ', '-')})" in page.text, f"no row of {name}"
        section = page.section(name)
        assert f"`{name} " in section or f"`{name}`" in section, f"{name} is not described"
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name} has no help"
        for option in _options(name) - {"-h", "--help"}:
            assert re.search(rf"{option}\b", section), f"docs/cli.md lacks {name} {option}"


def test_the_command_page_describes_no_option_that_is_gone() -> None:
    for name in COMMANDS:
        known = _options(name)
        for code in re.findall(r"`(--?[a-z][a-z0-9-]*)", DOCS["cli"].section(name)):
            assert code in known, f"docs/cli.md, {name}: {code}"


@by_name
def test_shell_blocks_name_only_what_exists(page: Page) -> None:
    targets = _make_targets()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for line in page.shell_lines():
        program, *words = shlex.split(line)
        assert program in PROGRAMS, line
        if program == "lsr":
            _check_command(line)
        elif program == "make":
            assert words[0] in targets, line
        elif program == "pip":
            for named in re.findall(r"lsr-search\[([\w,]+)\]", line):
                assert set(named.split(",")) <= set(extras["optional-dependencies"]), line


@by_name
def test_prose_names_only_commands_and_targets_that_exist(page: Page) -> None:
    targets = _make_targets()
    for code in page.inline_code():
        code = code.replace("…", "").replace("...", "")
        if re.match(r"lsr( [a-z]|$)", code):
            _check_command(code)
        elif found := re.search(r"\bmake ([a-z0-9-]+)$", code):
            assert found[1] in targets, code
        elif found := re.match(r"python -m ([\w.]+)", code):
            place = ROOT.joinpath(*found[1].split("."))
            assert place.with_suffix(".py").exists() or place.is_dir(), code


def test_pages_have_enough_to_check() -> None:
    lines = [line for page in PAGES for line in page.shell_lines()]
    assert sum(line.startswith("lsr ") for line in lines) >= 30
    assert sum(line.startswith("lsr ") for line in README.shell_lines()) >= 5


def test_the_readme_begins_with_the_two_targets() -> None:
    named = set(re.findall(r"\bmake ([a-z0-9-]+)\b", README.text))
    assert {"demo", "test"} <= named <= _make_targets()
    assert [line.split("#")[0].strip() for line in README.blocks("sh")[0].splitlines()] == [
        "make demo",
        "make test",
    ]


def _make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    return set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))


# Python


def _run(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def _service(folder: Path) -> Iterator[str]:
    """The address of a service that can make collections, and has compiled what it needs."""
    build_collection([lsr.Document("a", "b")], folder / "served", sparse=Bm25Encoder())
    with serving(folder / "served", data_dir=folder / "data") as served:
        search = f"{served.url}/v1/collections/served/search"
        assert httpx.post(search, json={"text": "b"}, timeout=120).status_code == 200
        yield served.url


@pytest.mark.parametrize(
    "page", [page for page in REST_OF_THEM if page.blocks("python")], ids=lambda page: page.name
)
def test_the_python_examples_run(page: Page, tmp_path: Path) -> None:
    """Blocks of a page run one after the other, in one process and folder.

    `tests/test_readme.py` runs those of the README, behind its commands.
    """
    if page.path.stem == "integrations":
        for package in FRAMEWORKS:
            pytest.importorskip(package, reason=f"the package {package} is not installed")
    if page.path.stem == "notebooks":
        (tmp_path / "my-notes").mkdir()
        for name, text in NOTES.items():
            (tmp_path / "my-notes" / name).write_text(text)
        (tmp_path / "library").symlink_to(ROOT / "data" / "library")
    code = "\n".join(page.blocks("python"))
    if "lsr.Client(" in code:
        with _service(tmp_path) as url:
            said = _run(code.replace("http://127.0.0.1:8080", url), tmp_path)
    else:
        said = _run(code, tmp_path)
    assert said.endswith("\n")


def test_how_short_programs_are() -> None:
    """Lines after the one import: from a folder to hits, from a test collection to a measure."""
    folder, measured = (
        next(block for block in DOCS["notebooks"].blocks("python") if word in block)
        for word in ('"my-notes"', "evaluate")
    )
    lines = [line for line in f"{folder}{measured}".splitlines() if line]
    assert lines[0] == "import lsr"
    assert [line.startswith("import") for line in lines].count(True) == 1
    assert len([line for line in folder.splitlines() if line]) == 1 + 3
    assert len(measured.splitlines()) == 4


def test_every_public_name_stands_in_the_docs() -> None:
    page = DOCS["python"]
    assert {"README.md", "docs/python.md"} <= {p.name for p in PAGES if p.blocks("python")}
    names = page.section("Names")
    for name in lsr.__all__:
        assert f"`lsr.{name}`" in names, f"docs/python.md lacks {name}"
    for page in PAGES:
        for name in re.findall(r"\blsr\.([A-Za-z_]+)", "\n".join(page.blocks("python"))):
            assert name in (*lsr.__all__, "integrations"), (
                f"{page.name} uses lsr.{name}, which is not public"
            )


def test_the_plan_table_has_every_field_and_its_default() -> None:
    rows = dict(re.findall(r"^\| `([\w.]+)` \| ([^|]+) \|", DOCS["python"].section("Plans"), re.M))
    plan = lsr.SearchPlan()
    expected = dict(_leaves(plan))
    assert set(rows) == set(expected)
    for name, value in expected.items():
        said = "none" if value is None else str(value)
        assert rows[name] == (said.lower() if isinstance(value, bool) else said), name
    assert (expected["window"], expected["prf.depth"], expected["fusion.rrf_k"]) == (100, 3, 60)
    assert plan.fusion.default_weight == 0.3
    assert "none means 0.3 under tmm, 0.5 under other norms" in DOCS["python"].text
    weights = {type(plan.fusion)(norm=norm).default_weight for norm in ("minmax", "max", "zscore")}
    assert weights == {0.5}


def _leaves(options: Any, path: str = "") -> list[tuple[str, Any]]:
    found = []
    for field in fields(options):
        value = getattr(options, field.name)
        if is_dataclass(value):
            found += _leaves(value, f"{path}{field.name}.")
        else:
            found.append((f"{path}{field.name}", value))
    return found


# REST


def _routes() -> dict[str, str]:
    """Method and path of every route, and a pattern that its addresses match."""
    nothing: Any = None
    engine: Any = SimpleNamespace(collections={}, catalog=nothing)
    jobs: Any = SimpleNamespace(catalog=nothing)
    routers = [
        health_router(engine, nothing),
        collections_router(engine, jobs),
        batches_router(nothing, 1),
        documents_router(nothing),
        writing_router(nothing),
        snapshots_router(jobs),
        aliases_router(nothing),
        tasks_router(nothing),
        search_router(engine, nothing),
        keys_router(nothing),
        page_router(engine, nothing),
        panel_router(engine, nothing),
        compare_router(engine, nothing),
        sign_in_router(nothing),
    ]
    found = {}
    for route in (route for router in routers for route in router.routes):
        (method,) = route.methods  # type: ignore[attr-defined]
        path = route.path  # type: ignore[attr-defined]
        pattern = re.sub(r"\{\w+:\w+\}", ".+", re.sub(r"\{\w+\}", "[^/]+", path))
        found[f"{method} {re.sub(r':[a-z_]+', '', path)}"] = pattern
    return found


_ONE = "/v1/collections/{collection}"
BODIES: dict[str, type[BaseModel]] = {
    f"POST {_ONE}/search": SearchRequest,
    f"PUT {_ONE}": CollectionBody,
    f"POST {_ONE}/rebuild": CollectionBody,
    "POST /v1/aliases": AliasChanges,
    f"PUT {_ONE}/documents/{{doc_id}}": DocumentBody,
    f"PATCH {_ONE}/documents/{{doc_id}}": DocumentPatch,
    f"POST {_ONE}/documents": BulkRequest,
    f"POST {_ONE}/documents/delete": DeleteRequest,
    f"POST {_ONE}/snapshots": SnapshotBody,
    f"POST {_ONE}/restore": RestoreBody,
    "POST /v1/keys": NewKey,
}
"""Models of what examples send."""


def test_every_route_stands_in_the_docs_and_no_other() -> None:
    told = set(
        re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) [^`]+)`", DOCS["rest"].section("Routes"))
    )
    outside_the_routers = {"GET /docs", "GET /openapi.json"}
    assert told == set(_routes()) | outside_the_routers


def test_curl_commands_ask_for_routes_and_send_requests_that_are_read() -> None:
    lines = [line for page in PAGES for line in page.shell_lines() if line.startswith("curl")]
    assert len(lines) >= 4
    routes = _routes()
    for line in lines:
        words = shlex.split(line)
        (url,) = (word.split(":8080")[1] for word in words if word.startswith("http"))
        path = url.partition("?")[0]
        sends = "-d" in words or "--data-binary" in words
        method = words[words.index("-X") + 1] if "-X" in words else "POST" if sends else "GET"
        asked = [
            name
            for name, pattern in routes.items()
            if name.startswith(f"{method} ") and re.fullmatch(pattern, path)
        ]
        assert asked, line
        if "-d" in words:
            BODIES[asked[0]].model_validate_json(words[words.index("-d") + 1])


def test_every_request_field_and_setting_stands_in_the_docs() -> None:
    page = DOCS["rest"]
    told = page.section("A search")
    plan = {field.name for field in fields(lsr.SearchPlan)}
    for name in set(SearchRequest.model_fields) - plan - {"vectors"}:
        assert f"| `{name}` |" in told, name
    assert {"| `vectors.sparse` |", "| `vectors.dense` |"} <= set(
        re.findall(r"\| `vectors\.\w+` \|", told)
    )
    rows = dict(re.findall(r"^\| `(LSR_\w+)` \| (\S+) \|", page.section("Settings"), re.M))
    assert rows == {
        f"LSR_{name.upper()}": _told(field.default) for name, field in Settings.model_fields.items()
    }


def _told(default: object) -> str:
    if default is None or default == ():
        return "none"
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_every_error_code_stands_in_the_docs() -> None:
    told = DOCS["rest"].section("Errors")
    for name in lsr.errors.__all__:
        assert f"`{getattr(lsr.errors, name).code}`" in told, name


def test_every_warning_code_stands_in_the_docs() -> None:
    code = "".join(
        (ROOT / path).read_text("utf-8")
        for path in ("lsr/retrieval/hybrid.py", "index/collection/reader.py")
    )
    told = DOCS["rest"].text
    codes = re.findall(r'Notice\(\s*f?"([^"]+)"', code) + re.findall(r'f"(\{name\}_\w+)"', code)
    assert len(codes) >= 5
    for found in codes:
        for side in ("sparse", "dense"):
            assert f"`{found.replace('{name}', side)}`" in told, found


# Training and formats


def test_configs_in_the_docs_are_read() -> None:
    blocks = [block for page in PAGES for block in page.blocks("yaml")]
    assert blocks
    for block in blocks:
        config_of(yaml.safe_load(block), (), "docs")


def test_every_preset_and_vector_format_stands_in_the_docs() -> None:
    for name in PRESETS:
        assert f"`{name}`" in DOCS["training"].text, name
    for name in FORMATS:
        assert f"| `{name}` |" in DOCS["formats"].section("Vector files"), name


def test_the_search_defaults_in_the_docs_are_those_of_the_model() -> None:
    (block,) = DOCS["formats"].blocks("json")
    defaults = (ROOT / "data" / "models" / "doc-mini" / "search_defaults.json").read_text("utf-8")
    assert json.loads(block) == json.loads(defaults)


def test_old_names_stand_in_the_docs() -> None:
    from lsr.moved import MOVED

    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    for old, new in MOVED.items():
        assert f"| `{old}` | `{new}` |" in changelog, old


# Form


def test_pages_say_first_what_they_answer() -> None:
    for page in DOCS.values():
        title, blank, question, *_ = page.text.split("\n")
        assert title.startswith("# ")
        assert not blank
        assert re.fullmatch(r"\*[A-Z].*\?\*", question), page.name


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_lines_are_short(page: Page) -> None:
    for number, line in enumerate(page.text.splitlines(), start=1):
        free = line.startswith("|") or "http://" in line or "Apache" in line
        assert free or len(line) <= WIDTH, f"{page.name}:{number} has {len(line)} characters"


DIALECT = (
    r"\bso many\b|\bso much of\b|\bstands? above\b|\bcounted through\b|\bfalling order\b"
    r"|\bdrawn towards\b|(?<!nothing)(?<!something)(?<!everywhere) else[.,;)]"
)
"""Turns of phrase that public text does without; what they say has plain words."""


def _public_texts() -> dict[str, str]:
    found = {page.name: page.text for page in LINKED if page.name != "CHANGELOG.md"}
    for name, command in COMMANDS.items():
        found[name] = command.help or ""
        for parameter in command.params:
            found[f"{name} {parameter.name}"] = getattr(parameter, "help", None) or ""
    for name in lsr.__all__:
        found[f"lsr.{name}"] = getattr(lsr, name).__doc__ or ""
    for name in ("lsr.types", "lsr.sparse", "lsr.retrieval.plan", "lsr.index.blocks.config"):
        found[name] = Path(sys.modules[name].__file__ or "").read_text("utf-8")
    return found


def test_public_text_is_in_plain_words() -> None:
    for name, text in _public_texts().items():
        said = re.search(DIALECT, re.sub(r"\s+", " ", text))
        assert not said, f"{name}: {said[0]!r}"


def test_the_readme_is_two_screens() -> None:
    assert len(README.text.splitlines()) <= 100


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_links_resolve(page: Page) -> None:
    for link in page.links():
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.path.parent / name if name else page.path
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in Page.read(target).anchors(), f"{page.name}: {link}"


def test_every_page_is_linked_from_the_readme() -> None:
    linked = set(README.links())
    papers = Page.read(ROOT / "docs/reproduce/README.md")
    linked |= {f"docs/reproduce/{link}" for link in papers.links()}
    assert {page.name for page in DOCS.values()} <= linked
    assert {"ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"} <= linked
