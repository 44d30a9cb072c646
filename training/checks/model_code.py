"""Whether a model that a config names may run: code that it brings along is trusted, or refused.

What a run saved has the code of its bases, and is opened only while these bring the same along.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from transformers import CONFIG_MAPPING

from lsr.encoders.model_code import ModelCode, brings_code
from lsr.errors import InputError
from lsr.files import sha256_of
from lsr.training.checks.model_files import model_folder
from lsr.training.config.encoder import EncoderConfig

__all__ = ["base_models", "check_base_code", "check_model_code", "check_saved_code"]


def base_models(encoder: EncoderConfig) -> list[tuple[str, str]]:
    """The bases of an encoder, each with what it is, for messages."""
    found = [("the base", encoder.base)]
    if encoder.query_base is not None:
        found.append(("the base of queries", encoder.query_base))
    return found


def check_base_code(
    encoder: EncoderConfig, *, trusting: str = "set encoder.trust_remote_code: true"
) -> None:
    """As `check_model_code` of the bases, one of which brings code along where they are trusted.

    Args:
        trusting: how a user trusts it, for the message.
    """
    bases, trusts = base_models(encoder), encoder.trust_remote_code
    coded = [each for each in bases if brings_code(each[1])] if trusts else bases
    for what, model in coded or bases:
        check_model_code(model, what, trusts=trusts, trusting=trusting)


def check_saved_code(run: Path, encoder: EncoderConfig) -> None:
    """Refuse to go on with a run whose models have other code than its bases bring along now.

    Raises:
        InputError: the code of one has changed; names the file.
    """
    if not encoder.trust_remote_code:
        return
    names = [name for _, name in base_models(encoder)]
    codes = [ModelCode.of(name) for name in names]
    known = {file for code in codes if code is not None for file in code.files}
    for file in sorted(run.rglob("*.py")):
        if sha256_of(file) not in known:
            raise InputError(
                f"{file} is not code of {' or '.join(names)} as it is now, and a run goes on by "
                "the code that it began with; put that back, or choose another output"
            )


def check_model_code(
    name: str, what: str, *, trusts: bool, trusting: str = "set trust_remote_code: true there"
) -> None:
    """Refuse code that is not trusted, and trust without code; keep trust with the user.

    Args:
        name: a folder, a hub id, or a name that comes with this package.
        what: the model is for, for messages.
        trusts: the config's `trust_remote_code`.
        trusting: how a user trusts it, for the message.

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
            f"it; read it, then {trusting}"
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
