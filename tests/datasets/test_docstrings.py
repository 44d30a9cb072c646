"""`lsr.datasets.docstrings`: a package written here, and the standard library with numpy."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from lsr.datasets import docstrings
from lsr.datasets.docstrings import (
    DEFAULT_PACKAGES,
    STDLIB,
    docstring_documents,
    installed_packages,
)
from lsr.errors import InputError
from lsr.types import Document

TINY = {
    "__init__.py": '''
        """A package made for a test of docstrings."""
        from ._hidden import Engine, start as begin
        from .shapes import Square
        from ._listed import *
        raise RuntimeError("this package is read, never imported")
        ''',
    "shapes.py": '''
        """Shapes with four sides, and what can be asked of them."""
        __all__ = ["Square"]
        from ._hidden import Engine
        class Square:
            """A square, given by the length of one side."""
            def __init__(self, side: float, /, *, unit: str = "m") -> None:
                """Dunder methods are left out, documented or not."""
            def area(self, scale: float = 1.0) -> float:
                """The area in square units, times `scale`."""
                def inner():
                    """Functions inside functions are left out."""
            @property
            def side(self) -> float:
                """The length of one side of the square."""
            @staticmethod
            def unit(name, *others):
                """A square whose sides have the length one."""
            def _secret(self):
                """Private methods are left out, documented or not."""
            def short(self):
                """Too short."""
        class _Secret:
            """Private classes are left out, and so are their methods."""
            def method(self):
                """A public method of a class that is private."""
        try:
            import something
        except ImportError as error:
            async def fallback(a, b=(1, 2), *rest, key, **options):
                """Functions under `try` and `if` are read as well."""
        if True:
            def fallback():
                """A second definition of the same name is dropped."""
        ''',
    "_hidden.py": '''
        """A private module, which is left out itself."""
        class Engine:
            """An engine known by the name its package gives it."""
            def run(self, n_steps):
                """Run the engine for a number of steps."""
        def start():
            """Start it: the package calls this function `begin`."""
        def helper():
            """Nothing public offers this function, so it is left out."""
        ''',
    "_listed.py": '''
        __all__ = ("offered",)
        def offered():
            """A star import offers what `__all__` lists."""
        def not_offered():
            """A star import hides what `__all__` does not list."""
        ''',
    "copies.py": '''
        class A:
            def clone(self):
                """The same words on the same name in two classes."""
        class Longer:
            def clone(self):
                """The same words on the same name in two classes."""
        ''',
    "broken.py": 'def broken(:\n    """This file does not parse, so it is skipped."""\n',
    "inner/deep.py": '"""A module in a folder that has no __init__ file."""\n',
    "tests/test_tiny.py": '"""Folders of tests are left out of the collection."""\n',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in TINY.items():
        path = tmp_path / "tiny" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line.removeprefix(" " * 8) for line in text.splitlines()))
    (tmp_path / "tiny" / "latin.py").write_bytes(
        '"""Caf\xe9, in a file not UTF-8."""'.encode("latin-1")
    )
    (tmp_path / "lonely.py").write_text('"""A package that is one file alone."""\n')
    (tmp_path / "_private.py").write_text('"""A private package is no package at all."""\n')
    return tmp_path


@pytest.fixture(scope="module")
def corpus() -> dict[str, Document]:
    documents = list(docstring_documents([STDLIB, "numpy"]))
    by_id = {document.doc_id: document for document in documents}
    assert len(by_id) == len(documents), "ids are unique"
    return by_id


def test_a_package_becomes_the_documents_a_reader_would_look_for(folder: Path) -> None:
    lines: list[str] = []
    found = list(docstring_documents(["tiny"], folders=[folder], progress=lines.append))
    assert [(d.doc_id, d.title, d.metadata["kind"]) for d in found] == [
        ("tiny", "tiny", "module"),
        ("tiny.Engine", "tiny.Engine", "class"),
        ("tiny.Engine.run", "tiny.Engine.run(n_steps)", "method"),
        ("tiny.begin", "tiny.begin()", "function"),
        ("tiny.copies.A.clone", "tiny.copies.A.clone()", "method"),
        ("tiny.inner.deep", "tiny.inner.deep", "module"),
        ("tiny.offered", "tiny.offered()", "function"),
        ("tiny.shapes", "tiny.shapes", "module"),
        ("tiny.shapes.Square", "tiny.Square(side, /, *, unit='m')", "class"),
        ("tiny.shapes.Square.area", "tiny.Square.area(scale=1.0)", "method"),
        ("tiny.shapes.Square.side", "tiny.Square.side", "method"),
        ("tiny.shapes.Square.unit", "tiny.Square.unit(name, *others)", "method"),
        (
            "tiny.shapes.fallback",
            "tiny.shapes.fallback(a, b=(1, 2), *rest, key, **options)",
            "function",
        ),
    ]
    assert lines == ["tiny: 13 docstrings, 2 files skipped"]
    by_id = {document.doc_id: document for document in found}
    assert by_id["tiny.shapes.Square.area"].text == "The area in square units, times `scale`."
    assert by_id["tiny.begin"].metadata == {
        "package": "tiny",
        "module": "tiny",
        "kind": "function",
        "source": "installed",
    }
    assert by_id["tiny.shapes.Square.area"].metadata["module"] == "tiny.shapes"
    assert "tiny" not in sys.modules


def test_packages_come_by_name_and_unknown_ones_are_refused(folder: Path) -> None:
    assert list(installed_packages([folder])) == ["lonely", "tiny"]
    found = docstring_documents(["tiny", "lonely"], folders=[folder])
    assert next(found).doc_id == "lonely"
    with pytest.raises(InputError, match="no package 'absent'"):
        next(docstring_documents(["tiny", "absent"], folders=[folder]))


def test_a_cap_keeps_shallow_modules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docstrings, "MAX_DEFINITIONS", 1)
    assert [d.doc_id for d in docstring_documents(["tiny"], folders=[folder])] == ["tiny"]


def test_two_runs_are_equal_and_leave_the_warning_filters_alone() -> None:
    filters = list(warnings.filters)
    first = docstring_documents({"rich", "typer"})
    runs = [[next(first)], list(docstring_documents(["typer", "rich"]))]
    assert warnings.filters == filters
    runs[0] += first
    assert runs[0] == runs[1]


def test_the_standard_library_and_numpy_give_thousands(corpus: dict[str, Document]) -> None:
    assert len(corpus) >= 5_000
    assert set(DEFAULT_PACKAGES) >= {STDLIB, "numpy", "numba"}
    for document in corpus.values():
        module, package = str(document.metadata["module"]), str(document.metadata["package"])
        assert document.doc_id.startswith(module)
        assert module.split(".")[0] == package
        assert document.metadata["kind"] in {"module", "class", "function", "method"}
        assert document.metadata["source"] == ("installed" if package == "numpy" else "stdlib")
        assert document.text == document.text.strip()
        assert "\n" not in document.title
        assert "._" not in document.doc_id


@pytest.mark.parametrize(
    ("doc_id", "title"),
    [
        ("json", "json"),
        ("json.dumps", "json.dumps(obj, *, skipkeys=False, ensure_ascii=True,"),
        ("json.decoder.JSONDecoder.decode", "json.JSONDecoder.decode(s, "),
        ("collections.deque", "collections.deque("),
        ("itertools.chain", "itertools.chain("),
        ("math.sqrt", "math.sqrt(x, /)"),
        ("struct.pack", "struct.pack(format, "),
        ("os.path.join", "os.path.join("),
        ("builtins.len", "len(obj, /)"),
        ("builtins.str.split", "str.split(sep=None, maxsplit=-1)"),
        ("concurrent.futures.Future.result", "concurrent.futures.Future.result(timeout=None)"),
        ("numpy.average", "numpy.average(a, axis=None, weights=None,"),
        ("numpy.array", "numpy.array(object, dtype=None, *, copy=True,"),
        ("numpy.sin", "numpy.sin(x, /, out=None,"),
    ],
)
def test_known_names_carry_their_signature(
    corpus: dict[str, Document], doc_id: str, title: str
) -> None:
    assert corpus[doc_id].title.startswith(title)


def test_reading_the_standard_library_leaves_event_loops_alone() -> None:
    """Once `_asyncio` came before `asyncio`, and a demo that had just built answered nothing."""
    program = """
import sys
from lsr.datasets.docstrings import STDLIB, docstring_documents
assert "asyncio" not in sys.modules
for _ in docstring_documents([STDLIB]):
    pass
import asyncio
async def has_task():
    return asyncio.current_task() is not None
assert asyncio.run(has_task())
"""
    subprocess.run([sys.executable, "-c", program], check=True)
