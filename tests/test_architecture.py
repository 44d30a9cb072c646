"""The house itself: links, what imports load, exports, and documents in step with the code."""

from __future__ import annotations

import ast
import importlib
import os
import pickle
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import lsr
from lsr.cli.app import app
from lsr.errors import DataError, LsrError, QueryError, UnavailableError
from lsr.index.blocks import layout, scan_lists, summaries
from lsr.index.blocks.block_index import BYTES_FILE, HEADER_FILE
from lsr.index.collection import encode
from lsr.index.collection.merge_policy import MergePolicy
from lsr.index.collection.segment_writer import BLOCKS_FROM
from lsr.index.kernels import scan_search, sparse_dot, top_k
from lsr.index.search import block_searcher, exact_searcher
from lsr.index.storage.manifest import FORMAT_VERSION
from lsr.retrieval.dense_index import FLAT_LIMIT
from lsr.retrieval.fusion import DEFAULT_WEIGHTS
from lsr.retrieval.plan import SearchPlan

ROOT = Path(__file__).resolve().parent.parent
LINKED = ("index", "integrations", "service", "training")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text("utf-8")


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


FRAMEWORKS = {"haystack", "langchain_core", "llama_index", "mcp", "pyterrier", "qdrant_client"}
HEAVY = {"torch", "transformers", "sentence_transformers", "faiss", "pyserini", "jnius", "ranx"}
HEAVY |= FRAMEWORKS | {"ray"}


@pytest.mark.parametrize(
    "statement",
    [
        "import lsr.index.collection.reader, lsr.index.collection.build",
        "import lsr.cli",
        "import lsr.backend.open, lsr.backend.qdrant.migrate",
        "import lsr.evaluation.evaluate, lsr.evaluation.lucene, lsr.encoders.dense",
        "import lsr.service.app",
        "import lsr.backend.open, lsr.backend.build, lsr.backend.replicated_shards",
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
        try:
            module = importlib.import_module(module_info.name)
        except UnavailableError:
            assert module_info.name.startswith(("lsr.integrations.", "lsr.backend.ray."))
            continue
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


def test_errors_pass_between_processes() -> None:
    errors = (QueryError("empty"), DataError("no record", path="a.jsonl", line=3))
    for error in errors:
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_formats_name_every_file_of_a_segment() -> None:
    from lsr.index.collection.tuned_plan import TUNED_PLAN_FILE
    from lsr.index.search.calibration_file import CALIBRATION_FILE
    from lsr.index.storage.names import ARRAYS_FILE, GRAPH_FILE, STORE_FILE
    from lsr.index.storage.segment import Segment
    from lsr.passages.passage_rows import PassageRows
    from lsr.sparse import CSR

    formats = (ROOT / "docs" / "formats.md").read_text("utf-8")
    vectors = CSR.empty(1, 0)
    passages = PassageRows(np.array([0, 1]), 0)
    for name in Segment.build(["a"], vectors, passages=passages).arrays():
        assert f"      {name} " in formats
    for name in (ARRAYS_FILE, STORE_FILE, GRAPH_FILE, BYTES_FILE, HEADER_FILE):
        assert f"    {name} " in formats
    for name in (TUNED_PLAN_FILE, CALIBRATION_FILE):
        assert f"  {name} " in formats


def test_architecture_has_a_heading_for_every_folder() -> None:
    headings = set(re.findall(r"^### (\S+)$", ARCHITECTURE, re.MULTILINE))
    rooms = {
        place.relative_to(ROOT).as_posix()
        for folder in ("lsr", *LINKED)
        for place in (ROOT / folder, *(ROOT / folder).glob("**/"))
        if any(place.glob("*.py")) and "__pycache__" not in place.parts
    }
    told_with_their_parent = {"lsr/cli/commands"}
    told_with_their_parent |= {f"lsr/cli/commands/{name}" for name in ("hub", "index", "keys")}
    rooms = {room for room in rooms if not (ROOT / room).is_symlink()}
    assert headings >= rooms - told_with_their_parent
    assert all((ROOT / heading).is_dir() for heading in headings if "/" in heading)


def test_architecture_names_only_files_that_exist() -> None:
    """A path is below the repository; a bare name is in the folder that the heading names."""
    folder = ROOT
    named = 0
    for line in ARCHITECTURE.splitlines():
        if heading := re.match(r"#+ (.*)", line):
            folder = ROOT / heading[1]
        for name in re.findall(r"`([\w/]+\.py)`", line):
            place = ROOT / name if "/" in name else folder / name
            assert place.is_file(), f"{folder.name}: {name}"
            named += 1
    assert named >= 150


def test_figures_in_the_architecture_are_those_of_the_code() -> None:
    text = re.sub(r"\s+", " ", ARCHITECTURE)
    policy = MergePolicy()
    assert policy.segments_per_tier == policy.growth == 8
    assert policy.max_deleted == 0.5
    assert exact_searcher.WINDOW == scan_lists.WINDOW
    for sentence in (
        f"each group of {top_k.GROUP} documents",
        f"windows of {exact_searcher.WINDOW:,} documents",
        f"exactly below {FLAT_LIMIT:,} documents",
        f"(from {BLOCKS_FROM:,} on) may have a block index",
        f"groups of up to {summaries.GROUP_BLOCKS} blocks",
        f"every {summaries.SAMPLE}nd component",
        f"compared with {sparse_dot.LANES} entries at once",
        f"cannot add {scan_search.SHARE:.1f} of it".replace("0.", "."),
        f"passes less than {block_searcher.LEAST_SHARE:.0%} means".replace("5%", "5 %"),
        "eight of about one size at most, sizes growing by eight",
        f"({encode.DENSE_CHUNK} documents a file",
        f"{DEFAULT_WEIGHTS['tmm']} under tmm, {DEFAULT_WEIGHTS['minmax']} under the others",
        f"candidates for fusion (default: {SearchPlan().window})",
    ):
        assert sentence in text, sentence
    formats = (ROOT / "docs" / "formats.md").read_text("utf-8")
    assert f"Format version {FORMAT_VERSION};" in formats
    assert f"from {FLAT_LIMIT:,} documents on" in formats
    assert re.search(rf"from\s+{BLOCKS_FROM:,} documents on", formats)
    assert f"each at a multiple of {layout.ALIGNMENT} bytes" in formats


def test_files_are_short() -> None:
    counts = {
        path: len(path.read_text("utf-8").splitlines())
        for folder in ("lsr", *LINKED)
        for path in (ROOT / folder).glob("**/*.py")
        if not path.is_symlink()
    }
    assert max(counts.values()) <= 400, max(counts, key=lambda path: counts[path])


IGNORED_TYPES = 14
"""Eleven where Numba and Triton have no types, two of sentence-transformers', one of ours."""


def test_types_are_seldom_ignored() -> None:
    paths = {
        path.resolve() for folder in ("lsr", *LINKED) for path in (ROOT / folder).glob("**/*.py")
    }
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted(paths)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if "# type: ignore" in line
    ]
    assert len(found) <= IGNORED_TYPES, found


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


def test_functions_are_short() -> None:
    """Bodies, without signature and docstring; kernels may be long."""
    for folder in ("lsr", *LINKED):
        for path in (ROOT / folder).glob("**/*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if not isinstance(node, ast.FunctionDef):
                    continue
                if any("kernel" in ast.dump(decorator) for decorator in node.decorator_list):
                    continue
                body = node.body[1:] if ast.get_docstring(node) else node.body
                n_lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
                assert n_lines <= 60, f"{path}: {node.name} has {n_lines} lines"


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


QUESTION_WORDS = ("What", "Where", "Which", "How", "When")


def test_docstrings_begin_with_a_noun_or_verb() -> None:
    described = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    asking, seen = [], 0
    for folder in ("lsr", *LINKED):
        for path in (ROOT / folder).glob("**/*.py"):
            place = path.relative_to(ROOT)
            if any((ROOT / parent).is_symlink() for parent in (place, *place.parents)):
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                name = getattr(node, "name", "")
                if not isinstance(node, described) or name.startswith("_"):
                    continue
                words = (ast.get_docstring(node) or "").split()
                seen += bool(words)
                if words and words[0] in QUESTION_WORDS:
                    asking.append(f"{place.as_posix()} {name}: {' '.join(words[:6])}")
    assert seen >= 1_000
    assert not asking, "\n".join(asking)


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


def test_the_workflow_runs_what_ci_runs() -> None:
    import yaml

    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8"))
    test, core = workflow["jobs"]["test"], workflow["jobs"]["core"]
    assert "make test" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert {"run": "make test"} in test["steps"]
    lowest = re.search(r'^requires-python = ">=([\d.]+)"$', _pyproject(), re.MULTILINE)
    assert lowest
    assert test["strategy"]["matrix"]["python"][0] == lowest[1]
    assert core["steps"][-1] == {"run": ".ci/core ${{ matrix.versions }}"}
    assert core["strategy"]["matrix"]["versions"] == ["tested", "lowest"]
    assert os.access(ROOT / ".ci" / "core", os.X_OK)


def test_version_is_the_same_everywhere() -> None:
    result = CliRunner().invoke(app, ["--version"])
    version = result.output.strip().removeprefix("lsr ")
    assert re.search(rf'^version = "{re.escape(version)}"$', _pyproject(), re.MULTILINE)
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def _pyproject() -> str:
    return (ROOT / "pyproject.toml").read_text("utf-8")
