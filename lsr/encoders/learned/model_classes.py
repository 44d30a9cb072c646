"""Classes of this package that a saved model names, found without trust in foreign code."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from lsr.errors import InputError
from lsr.moved import MOVED

__all__ = ["model_classes"]


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
