"""Whether a model that a config names is at hand, without loading it."""

from __future__ import annotations

import re
from pathlib import Path

from huggingface_hub import HfApi, constants, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError

from lsr.errors import InputError
from lsr.training.models.checkpoint import base_folder

__all__ = ["check_model_files", "model_folder", "weight_bytes"]

DESCRIBED = ("config.json", "modules.json")
WEIGHTS = ("*.safetensors", "pytorch_model*.bin", "*.npz")
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "tokenizer_config.json")
OF_SENTENCE_TRANSFORMERS = "sentence-transformers/"
"""Where the hub keeps names that sentence-transformers knows without an owner."""

HUB_TIMEOUT_S = 10.0


def model_folder(name: str) -> Path | None:
    """The folder of a model that is on this machine, the hub's cache included; None elsewhere."""
    folder = Path(base_folder(name))
    if folder.is_dir():
        return folder
    for hub_id in _hub_ids(name):
        for file in DESCRIBED:
            try:
                found = try_to_load_from_cache(hub_id, file)
            except HFValidationError:
                return None
            if isinstance(found, str):
                return Path(found).parent
    return None


def check_model_files(name: str, what: str) -> str | None:
    """Refuse a model that cannot be opened; says, in a sentence, why one is not at hand.

    Args:
        name: a folder, a hub id, or a name that comes with this package.
        what: the model is for, for messages.

    Returns:
        None where it is on this machine, or on the hub.

    Raises:
        InputError: there is no such model, or its folder lacks a file.
    """
    folder = model_folder(name)
    if folder is not None:
        _check_folder(folder, name, what)
        return None
    if not _hub_ids(name):
        raise InputError(
            f"{what}: there is no model {name!r} on this machine; give a folder that holds one, or "
            "a hub id, OWNER/NAME"
        )
    reason: str | None
    if constants.HF_HUB_OFFLINE:
        reason = "the hub is not asked (HF_HUB_OFFLINE is set)"
    else:
        reason = _reason_of_hub(name, what)
    if reason is None:
        return None
    return (
        f"{what}: the model {name!r} is not on this machine, and {reason}; give a folder that "
        "holds one, or a hub id while online"
    )


def weight_bytes(folder: Path) -> int:
    """Size of the weights in a model's folder; of several formats the largest."""
    by_format = [sum(file.stat().st_size for file in folder.rglob(each)) for each in WEIGHTS]
    return max(by_format)


def _check_folder(folder: Path, name: str, what: str) -> None:
    lacking = [
        kind
        for kind, patterns in (
            ("config.json", DESCRIBED),
            ("tokenizer", TOKENIZERS),
            ("weights", WEIGHTS),
        )
        if not any(any(folder.rglob(pattern)) for pattern in patterns)
    ]
    if lacking:
        raise InputError(
            f"{what}: the folder of the model {name!r} has no {' and no '.join(lacking)}; give a "
            "folder with a whole model"
        )


def _hub_ids(name: str) -> list[str]:
    """Names under which the hub may have it; none for what can only be a path."""
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
        return [name]
    return [name, OF_SENTENCE_TRANSFORMERS + name] if re.fullmatch(r"\w[\w.-]*", name) else []


def _reason_of_hub(name: str, what: str) -> str | None:
    """Why the hub does not say that it has the model; None when it does.

    Raises:
        InputError: it says that it has not.
    """
    missing = False
    for hub_id in _hub_ids(name):
        try:
            HfApi().model_info(hub_id, timeout=HUB_TIMEOUT_S)
            return None
        except RepositoryNotFoundError:
            missing = True
        except (HfHubHTTPError, OSError) as error:
            return f"the hub cannot be reached ({type(error).__name__})"
    assert missing
    raise InputError(
        f"{what}: there is no model {name!r}, on this machine or on the hub; check its name"
    )
