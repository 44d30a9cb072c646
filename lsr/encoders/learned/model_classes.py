"""Classes that a saved model names: those of this package, and code that it brings along.

Ours are found without trust in foreign code. Foreign code runs only where the user said so, and
that is kept with the user, by the hash of the model and its code: an index from elsewhere cannot
say it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from lsr.errors import InputError, StorageError
from lsr.files import write_atomically
from lsr.machine import user_cache
from lsr.moved import MOVED

__all__ = ["has_own_code", "is_trusted", "model_classes", "trust"]


def model_classes(folder: Path) -> dict[str, type]:
    """Every class of ours in a model's folder, by the path that the folder says.

    Paths of earlier versions are understood.

    Raises:
        InputError: this version has no such class; names it.
    """
    named: dict[str, Path] = {}
    for file in (*folder.glob("modules.json"), *folder.glob("**/router_config.json")):
        for path in re.findall(r'"(lsr\.[\w.]+\.\w+)"', file.read_text("utf-8")):
            named[path] = file
    classes: dict[str, type] = {}
    for path, file in named.items():
        module, _, name = path.rpartition(".")
        try:
            classes[path] = getattr(import_module(MOVED.get(module, module)), name)
        except (ModuleNotFoundError, AttributeError) as error:
            raise InputError(
                f"{file} names the class {path}, which this version of lsr does not have; install "
                "the version that saved the model, or train it again"
            ) from error
    return classes


def has_own_code(folders: Iterable[Path]) -> bool:
    """Whether a model of these modules names code that no package which is installed brings."""
    for folder in folders:
        for name in ("config.json", "tokenizer_config.json"):
            if _holds(folder / name, "auto_map"):
                return True
        for file in (folder / "modules.json", folder / "router_config.json"):
            if not file.is_file():
                continue
            named = re.findall(r'"([\w./-]+\.[A-Z]\w*)"', file.read_text("utf-8"))
            if any(not path.startswith(("sentence_transformers.", "lsr.")) for path in named):
                return True
    return False


def trust(sha256: str, place: Path) -> None:
    """Keep that this user trusts the code of a model.

    Args:
        sha256: of the model with its code.
        place: its folder, for people.

    Raises:
        StorageError: the user's cache cannot be written.
    """
    file = _record(sha256)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, f"{place}\n")
    except OSError as error:
        raise StorageError(
            f"{file} cannot be written ({error.strerror or error}); free some space there, or set "
            "XDG_CACHE_HOME"
        ) from error


def is_trusted(sha256: str) -> bool:
    """Whether this user said so, of this very code."""
    return _record(sha256).is_file()


def _record(sha256: str) -> Path:
    return user_cache() / "trusted" / sha256


def _holds(file: Path, key: str) -> bool:
    try:
        return bool(json.loads(file.read_text("utf-8")).get(key))
    except (OSError, ValueError, AttributeError):
        return False
