"""The house itself: links, what imports load, exports, and documents in step with the code."""

from __future__ import annotations

import importlib
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import lsr
from lsr.cli.app import app
from lsr.errors import LsrError

ROOT = Path(__file__).resolve().parent.parent
LINKED = ("index", "service", "training")
README = (ROOT / "README.md").read_text("utf-8")


def test_links_resolve_to_the_sibling_folders() -> None:
    for name in LINKED:
        link = ROOT / "lsr" / name
        assert link.is_symlink(), (
            f"lsr/{name} is not a symbolic link; check out with `git config core.symlinks true`"
        )
        assert link.resolve() == ROOT / name


def _loaded(statement: str) -> set[str]:
    """Top-level modules in `sys.modules` of a new process after `statement`."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    return set(done.stdout.split())


HEAVY = {"torch", "transformers", "sentence_transformers", "faiss", "pyserini", "jnius", "ranx"}


@pytest.mark.parametrize(
    "statement",
    [
        "import lsr.index.collection.reader, lsr.index.collection.build",
        "import lsr.cli",
        "import lsr.evaluation.evaluate, lsr.evaluation.lucene, lsr.encoders.dense",
        "import lsr.service.app",
    ],
)
def test_imports_load_nothing_heavy(statement: str) -> None:
    assert not _loaded(statement) & HEAVY


def test_searching_a_sparse_collection_loads_no_torch(tmp_path: Path) -> None:
    statement = f"""
from pathlib import Path
from lsr.encoders.bm25 import Bm25Encoder
from lsr.datasets.open import open_corpus
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
corpus = open_corpus({str(ROOT / "data" / "library")!r})
build_collection(corpus.documents(), Path({str(tmp_path / "index")!r}), sparse=Bm25Encoder())
assert CollectionReader.open(Path({str(tmp_path / "index")!r})).search("late books").hits
"""
    assert not _loaded(statement) & HEAVY


def test_the_import_check_can_fail() -> None:
    assert "faiss" in _loaded("import faiss")


def test_engine_imports_no_web_framework() -> None:
    assert not _loaded("import lsr.index.collection.reader") & {
        "fastapi",
        "starlette",
        "uvicorn",
    }


def test_every_module_exports_what_it_defines() -> None:
    for module_info in pkgutil.walk_packages(lsr.__path__, "lsr."):
        if module_info.name == "lsr.training.models.triton_head":
            continue  # needs Triton, which comes with CUDA
        module = importlib.import_module(module_info.name)
        exported = getattr(module, "__all__", None)
        if exported is None:
            continue
        assert len(set(exported)) == len(exported), module_info.name
        for name in exported:
            assert hasattr(module, name), f"{module_info.name}.__all__ names {name}"


def test_errors_are_drawn_and_have_codes_of_their_own() -> None:
    import lsr.errors

    def tree(root: type[LsrError]) -> list[type[LsrError]]:
        return [root, *(sub for child in root.__subclasses__() for sub in tree(child))]

    classes = tree(LsrError)
    assert len({error.code for error in classes}) == len(classes)
    for error in classes:
        assert error.__name__ in (lsr.errors.__doc__ or ""), f"{error.__name__} is not drawn"
        assert error.__name__ in lsr.errors.__all__


def _commands() -> dict[str, typer.core.TyperCommand]:
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


def test_every_command_and_option_has_help_and_stands_in_the_readme() -> None:
    commands = _commands()
    assert len(commands) >= 7
    for name, command in commands.items():
        assert command.help, name
        assert f"`{name} " in README or f"`{name}`" in README, f"README.md lacks {name}"
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name} has no help"


def test_readme_names_only_commands_and_options_that_exist() -> None:
    commands = _commands()
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("lsr ")]
    assert len(lines) >= 5
    for line in lines:
        words = shlex.split(line, comments=True)
        name = " ".join(words[:3] if words[1] == "index" else words[:2])
        assert name in commands, line
        known = {option for parameter in commands[name].params for option in parameter.opts}
        for word in words:
            if word.startswith("-"):
                assert word in known, f"{line}: {word}"


def test_readme_names_only_make_targets_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z0-9-]+)\b", README))
    assert {"demo", "test"} <= named <= targets
    first_block = re.search(r"```sh\n(.*?)```", README, re.DOTALL)
    assert first_block is not None
    assert [line.split("#")[0].strip() for line in first_block.group(1).splitlines()] == [
        "make demo",
        "make test",
    ]


EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("code", EXAMPLES, ids=["vectors", "documents"])
def test_the_readme_python_examples_run(code: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(" a\n" if "Document" in code else "\n")


def test_architecture_names_every_segment_file() -> None:
    from dataclasses import fields

    from lsr.index.storage.segment import Segment

    architecture = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    for field in fields(Segment):
        assert f"{field.name}.npy" in architecture


def test_files_are_short() -> None:
    counts = {
        path: len(path.read_text("utf-8").splitlines())
        for folder in ("lsr", *LINKED)
        for path in (ROOT / folder).glob("**/*.py")
        if not path.is_symlink()
    }
    assert max(counts.values()) <= 400, max(counts, key=lambda path: counts[path])


def test_every_kernel_is_run_with_bounds_checked() -> None:
    marked = [
        text
        for path in (ROOT / "tests" / "index").glob("**/test_*.py")
        if "pytestmark = pytest.mark.kernel" in (text := path.read_text("utf-8"))
    ]
    modules = [
        path
        for path in (ROOT / "index").glob("**/*.py")
        if re.search(r"^@kernel", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert len(modules) >= 20
    for path in modules:
        exported = re.search(r"^__all__ = \[(.*?)\]", path.read_text("utf-8"), re.M | re.S)
        names = [path.stem, *re.findall(r'"(\w+)"', exported.group(1) if exported else "")]
        used = re.compile(rf"\b({'|'.join(names)})\b")
        assert any(used.search(text) for text in marked), f"no kernel test names {path.stem}"


def test_folders_are_rooms() -> None:
    for folder in ("lsr", *LINKED):
        for place in (ROOT / folder, *(ROOT / folder).glob("**/")):
            if place.is_symlink() or "__pycache__" in place.parts:
                continue
            files = [path.name for path in place.glob("*.py") if path.name != "__init__.py"]
            assert len(files) <= 16, f"{place} is a shelf of {len(files)} files"


def test_every_folder_says_what_it_holds() -> None:
    for folder in ("lsr", *LINKED):
        for path in (ROOT / folder).glob("**/__init__.py"):
            assert path.read_text("utf-8").startswith('"""'), f"{path} has no docstring"


def test_container_files_keep_their_promises() -> None:
    import yaml

    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert re.search(r"^USER lsr$", dockerfile, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", dockerfile, re.MULTILINE)
    assert re.search(r"^VOLUME /data$", dockerfile, re.MULTILINE)
    (service,) = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))[
        "services"
    ].values()
    assert service["healthcheck"]["test"]
    assert any(str(volume).endswith(":/data") for volume in service["volumes"])


def test_version_is_the_same_everywhere() -> None:
    result = CliRunner().invoke(app, ["--version"])
    version = result.output.strip().removeprefix("lsr ")
    assert re.search(rf'^version = "{re.escape(version)}"$', _pyproject(), re.MULTILINE)
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def _pyproject() -> str:
    return (ROOT / "pyproject.toml").read_text("utf-8")
