"""Whether a model that a config names may run: code that it brings along is trusted, or refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from transformers import CONFIG_MAPPING

from lsr.encoders.model_code import ModelCode
from lsr.errors import InputError
from lsr.training.checks.model_files import model_folder

__all__ = ["check_model_code"]


def check_model_code(name: str, what: str, *, trusts: bool) -> None:
    """Refuse code that is not trusted, and trust without code; keep trust with the user.

    Args:
        name: a folder, a hub id, or a name that comes with this package.
        what: the model is for, for messages.
        trusts: the config's `trust_remote_code`.

    Raises:
        InputError: the model needs code that is not trusted, or brings none and is.
        StorageError: the user's cache cannot be written.
    """
    if trusts:
        code = ModelCode.of(name)
        if code is None:
            raise InputError(
                f"{what}: trust_remote_code is true, and the model {name!r} brings no code of its "
                "own along; leave trust_remote_code out"
            )
        code.trust()
        return
    folder = model_folder(name)
    if folder is not None and _needs_code(folder):
        raise InputError(
            f"{what}: the model {name!r} runs code of its own, which is not run unless you trust "
            "it; read it, then set trust_remote_code: true there"
        )


def _needs_code(folder: Path) -> bool:
    """Whether neither transformers nor sentence-transformers has all classes of a model."""
    for file in folder.rglob("config.json"):
        told = _json(file)
        if told.get("auto_map") and told.get("model_type") not in CONFIG_MAPPING:
            return True
    modules = folder / "modules.json"
    types = re.findall(r'"type": *"([^"]+)"', modules.read_text()) if modules.is_file() else []
    return any(not each.startswith(("sentence_transformers.", "lsr.")) for each in types)


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
