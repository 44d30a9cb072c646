"""The docstrings of Python itself and of installed packages, as a stream of `Document`.

Source files are read with `ast` and never imported. Compiled modules have no source: those of the
standard library are imported, and numpy's, which lsr imports anyway. A name is what a reader would
import: `numpy/lib/_function_base_impl.py` defines `numpy.average`, because `numpy/__init__.py`
imports it from there. What no public module offers is left out.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from importlib.machinery import ExtensionFileLoader, PathFinder
from pathlib import Path

from lsr.errors import InputError
from lsr.types import Document

__all__ = ["DEFAULT_PACKAGES", "STDLIB", "docstring_documents", "installed_packages"]

STDLIB = "stdlib"  # the name that asks for the whole standard library
# Read where none are named: what lsr itself needs. torch alone takes longer than most of these.
DEFAULT_PACKAGES = tuple(
    "stdlib anyio click fastapi jinja2 numba numpy prometheus_client pydantic pydantic_settings "
    "rich starlette tokenizers typer uvicorn".split()
)
MAX_DEFINITIONS = 4_000  # docstrings read from an installed package, shallow modules first
MIN_CHARACTERS = 20  # a docstring that is shorter, links aside, says no more than its name
MAX_SIGNATURE = 200  # characters of it in a title

_SKIPPED_FOLDERS = set("test tests testing _vendor _vendored idlelib lib2to3 turtledemo".split())
# Compiled modules that write to the terminal when imported, need a display, or test CPython.
_SKIPPED_COMPILED = re.compile(r"readline|_tkinter|_msi|_?xx.*|_test.*|_ctypes_test")
_NUMPY_COMPILED = ["numpy._core._multiarray_umath", "numpy.random._generator"]
_KNOWN_AS = {os.name: "os", os.path.__name__: "os.path", "genericpath": "os.path"}
_OPENING_SIGNATURE = re.compile(r"\A[\w.]*\w(\(.*?\)) *(?:-+>|--|:|=|$)", re.MULTILINE)
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def docstring_documents(
    packages: Collection[str] | None = None,
    *,
    folders: Sequence[Path] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Iterator[Document]:
    """One document per docstring of each public module, class, function and method.

    `packages` are import names, or `"stdlib"` (default: `DEFAULT_PACKAGES`); `folders` hold them
    (default: site-packages). The standard library comes first, then the packages by name, each
    sorted by id. `doc_id` is the dotted name, unique in the stream; `title` the shortest public
    name with the signature; metadata holds `package`, `module`, `kind` (module, class, function,
    method) and `source` (stdlib, installed). Of two definitions of one name the first counts; of
    equal texts on equal last names (`bytes.split`, `bytearray.split`) the shortest dotted name.
    `progress` gets a line per package, which counts files skipped: not UTF-8, or not parsed.
    Raises `InputError`, before the first document, for a package that is not there.
    """
    places = {name: [path] for name, path in installed_packages(folders).items()}
    library = Path(ast.__file__).parent.iterdir()
    places[STDLIB] = [path for path in library if path.stem in sys.stdlib_module_names]
    compiled = {STDLIB: _stdlib_compiled(), "numpy": _NUMPY_COMPILED if folders is None else []}
    wanted = places.keys() & DEFAULT_PACKAGES if packages is None else set(packages)
    if missing := sorted(wanted - places.keys()):
        raise InputError(f"no package {missing[0]!r} here; give import names, or {STDLIB!r}")
    seen: set[str] = set()
    for package in sorted(wanted, key=lambda name: (name != STDLIB, name)):
        reader, is_stdlib = _Reader(), package == STDLIB
        sources = [source for path in places[package] for source in _sources(path)]
        with warnings.catch_warnings():  # holds no `yield`: the caller's filters stay its own
            warnings.simplefilter("ignore")
            reader.read_sources(sources, limit=sys.maxsize if is_stdlib else MAX_DEFINITIONS)
            reader.read_compiled(compiled.get(package, []))
        documents = reader.documents("stdlib" if is_stdlib else "installed", seen)
        if progress is not None:
            progress(f"{package}: {len(documents):,} docstrings, {reader.n_skipped} files skipped")
        yield from documents


def installed_packages(folders: Sequence[Path] | None = None) -> dict[str, Path]:
    """Import name, in order, to place of all that has source in `folders` (site-packages)."""
    if folders is None:
        paths = (Path(entry) for entry in sys.path)
        folders = [p for p in paths if p.name in {"site-packages", "dist-packages"} and p.is_dir()]
    children = [child for folder in folders for child in sorted(folder.iterdir())]
    places = {c.stem: c for c in reversed(children) if _is_public(c.stem) and any(_sources(c))}
    return dict(sorted(places.items()))


def _sources(path: Path, parent: str = "") -> Iterator[tuple[str, Path]]:
    """Name and file of every module at or below `path`, in no order."""
    module = f"{parent}.{path.stem}" if parent else path.stem
    if path.suffix == ".py" and path.is_file():
        if path.stem == "__init__":
            yield parent, path
        elif path.stem.isidentifier() and not path.stem.startswith(("__", "test_", "conftest")):
            yield module, path
    elif path.name.isidentifier() and path.name not in _SKIPPED_FOLDERS and path.is_dir():
        for child in path.iterdir():
            yield from _sources(child, module)


def _stdlib_compiled() -> list[str]:
    names = {n for n in sys.stdlib_module_names if not _SKIPPED_COMPILED.fullmatch(n)}
    loaders = {name: getattr(PathFinder.find_spec(name), "loader", None) for name in names}
    from_files = {n for n, loader in loaders.items() if isinstance(loader, ExtensionFileLoader)}
    return sorted(from_files | names.intersection(sys.builtin_module_names))


class _Reader:
    """Definitions of one package, and the imports that give them public names."""

    def __init__(self) -> None:
        self.n_skipped = 0
        self._definitions: list[tuple[str, str, str, str, str]] = []  # the arguments of `_add`
        # where (module, name) can be imported from as well; `*` stands for every name
        self._imports: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        self._listed: dict[str, set[str]] = {}  # module to `__all__`, where that is a plain list

    def read_sources(self, sources: list[tuple[str, Path]], limit: int) -> None:
        for module, file in sorted(sources, key=lambda source: (source[0].count("."), source)):
            if len(self._definitions) >= limit:
                break
            try:
                source = file.read_bytes().decode("utf-8-sig")
                tree = ast.parse(source)
            except (SyntaxError, ValueError, RecursionError, OSError):
                self.n_skipped += 1
                continue
            self._add(module, "", "module", ast.get_docstring(tree))
            self._read_body(tree, module)
            n_all = len(re.findall(r"^\s*__all__\b", source, re.MULTILINE))
            self._read_imports(tree, module, file.stem == "__init__", n_all)

    def _read_body(self, parent: ast.AST, module: str, owner: str = "") -> None:
        for node in _statements(parent):
            path = f"{owner}{getattr(node, 'name', '')}"  # dotted, inside the module
            if isinstance(node, ast.ClassDef):
                inits = [n for n in node.body if isinstance(n, _Function) and n.name == "__init__"]
                signature = _signature(inits[-1], is_method=True) if inits else ""
                self._add(module, path, "class", ast.get_docstring(node), signature)
                self._read_body(node, module, f"{path}.")
            elif isinstance(node, _Function) and (text := ast.get_docstring(node)):
                kind = "method" if owner else "function"
                self._add(module, path, kind, text, _signature(node, is_method=bool(owner)))

    def _read_imports(self, tree: ast.AST, module: str, is_package: bool, n_all: int) -> None:
        for node in _statements(tree):
            match node, n_all:
                case ast.Assign([ast.Name("__all__")], ast.List(elts) | ast.Tuple(elts)), 1:
                    self._listed[module] = {str(getattr(name, "value", "")) for name in elts}
                case ast.ImportFrom(base, aliases, level), _:
                    up = module.split(".")[: is_package - level or None] if level else []
                    origin = ".".join(filter(None, [*up, base]))
                    for name, known_as in ((a.name, a.asname or a.name) for a in aliases):
                        if n_all or is_package or name == "*":  # else for its own use
                            self._imports[origin, name].append((module, known_as))

    def read_compiled(self, names: list[str]) -> None:
        for name in names:
            public = name.lstrip("_")
            try:
                # _asyncio before asyncio would spoil every event loop of this process
                importlib.import_module(public if public in sys.stdlib_module_names else name)
                module = importlib.import_module(name)
            except (ImportError, OSError):
                continue
            self._add(name, "", "module", module.__doc__)
            for attribute, value in sorted(vars(module).items()):
                if getattr(value, "__name__", "") != attribute or not callable(value):
                    continue  # an alias or a constant
                home = name if name == "builtins" else getattr(value, "__module__", None) or name
                members = [(attribute, "class" if isinstance(value, type) else "function", value)]
                for member, item in sorted(vars(value).items() if isinstance(value, type) else ()):
                    if callable(item) or inspect.isdatadescriptor(item):
                        members.append((f"{attribute}.{member}", "method", item))
                for path, kind, item in members:
                    opening = "".join(_OPENING_SIGNATURE.findall(str(item.__doc__)))
                    written = getattr(item, "__text_signature__", None) or opening
                    self._add(
                        home, path, kind, item.__doc__, re.sub(r"\$\w+(, /)?(, )?", "", written)
                    )

    def _add(self, module: str, path: str, kind: str, text: object, signature: str = "") -> None:
        text = inspect.cleandoc(text).strip() if isinstance(text, str) else ""
        if len(re.sub(r"\w+://\S+", "", text)) >= MIN_CHARACTERS and _is_public(path):
            signature = " ".join(signature.split()).replace("( ", "(").replace(", )", ")")
            if len(signature) > MAX_SIGNATURE:
                signature = signature[: signature.rfind(", ", 0, MAX_SIGNATURE)] + ", ...)"
            self._definitions.append((_KNOWN_AS.get(module, module), path, kind, text, signature))

    def documents(self, source: str, seen: set[str]) -> list[Document]:
        found: list[Document] = []
        for module, path, kind, text, signature in self._definitions:
            shown = self._public_name(module, path)
            name = f"{module}.{path}".strip(".") if _is_public(module) else shown
            if shown and name not in seen:
                seen.add(name)
                home = name.rsplit(".", path.count(".") + bool(path))[0]
                top, title = name.split(".")[0], shown.removeprefix("builtins.") + signature
                where = {"package": top, "module": home, "kind": kind, "source": source}
                found.append(Document(name, text, title, where))
        found.sort(key=lambda d: (d.doc_id.count("."), len(d.doc_id), d.doc_id))
        shortest = {(d.doc_id.rpartition(".")[2], d.text): d for d in reversed(found)}
        return sorted(shortest.values(), key=lambda d: d.doc_id)

    def _public_name(self, module: str, path: str) -> str:
        """The shortest name to import it by; empty if there is none."""
        head, _, rest = path.partition(".")
        places = [(module, head)]
        for base, name in places if head else ():  # grows as it goes
            stars = self._imports[base, "*"] if name in self._listed.get(base, name) else []
            for onward in [*self._imports[base, name], *((m, name) for m, _ in stars)]:
                # from a public place only to the packages around it: pickle.pack is struct.pack
                if not _is_public(base) or base.startswith(f"{onward[0]}."):
                    places += [onward] * (onward not in places)
        offered = (
            (not f"{module}.".startswith(f"{m}."), m.count("."), f"{m}.{name}.{rest}".strip("."))
            for m, name in places
            if _is_public(f"{m}.{name}") and (m == module or name in self._listed.get(m, name))
        )
        return min(offered, default=(True, 0, ""))[2]


def _is_public(name: str) -> bool:
    return not any(part.startswith("_") for part in name.split("."))


def _statements(parent: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a module or class, those under `if`, `try` and `with` included."""
    for node in ast.iter_child_nodes(parent):
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler):
            yield from _statements(node)


def _signature(function: _Function, *, is_method: bool) -> str:
    """As `(obj, *, skipkeys=False)`: no annotations, no `self`; nothing for a property."""
    decorators = " ".join(map(ast.unparse, function.decorator_list))
    if "property" in decorators or ".setter" in decorators:
        return ""
    if is_method and "staticmethod" not in decorators:
        del (function.args.posonlyargs or function.args.args)[:1]
    for node in ast.walk(function.args):
        if isinstance(node, ast.arg):
            node.annotation = None
    return f"({ast.unparse(function.args)})"
