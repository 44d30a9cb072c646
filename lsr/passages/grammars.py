"""Grammars of programming languages, by the suffixes of their files."""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language

__all__ = ["CODE", "GRAMMARS", "grammar_of", "is_code"]

GRAMMARS = {
    suffix: grammar
    for suffixes, *grammar in (
        (".py .pyi", "tree_sitter_python", "language"),
        (".js .jsx .mjs", "tree_sitter_javascript", "language"),
        (".ts", "tree_sitter_typescript", "language_typescript"),
        (".tsx", "tree_sitter_typescript", "language_tsx"),
        (".java", "tree_sitter_java", "language"),
        (".go", "tree_sitter_go", "language"),
        (".rs", "tree_sitter_rust", "language"),
        (".c", "tree_sitter_c", "language"),
        (".cc .cpp .cu .h .hpp", "tree_sitter_cpp", "language"),
        (".cs", "tree_sitter_c_sharp", "language"),
        (".rb", "tree_sitter_ruby", "language"),
        (".php", "tree_sitter_php", "language_php"),
    )
    for suffix in suffixes.split()
}
"""Suffix to the package of its grammar, and the name of the function there that gives it."""

CODE = frozenset(GRAMMARS) | frozenset(
    ".clj .css .dart .ex .exs .hs .jl .kt .kts .lua .m .ml .pl .pm .ps1 .pyx .r .scala .scss .sh "
    ".sql .swift .vue .zig".split()
)
"""All suffixes of source code, in which `#` is no heading."""


def is_code(suffix: object) -> bool:
    """Whether files of a suffix are source code."""
    return suffix in CODE


@lru_cache(maxsize=len(CODE))
def grammar_of(suffix: str) -> Language | None:
    """The grammar of files of a suffix; None where there is none, or it is not installed."""
    if suffix not in GRAMMARS:
        return None
    package, function = GRAMMARS[suffix]
    try:
        from tree_sitter import Language

        return Language(getattr(importlib.import_module(package), function)())
    except (ImportError, AttributeError, ValueError):  # or of a version that does not fit
        return None
