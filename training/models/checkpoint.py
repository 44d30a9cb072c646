"""The checkpoint that a new model starts from: where it lies, and what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from lsr.encoders.dense import packaged_folder
from lsr.encoders.learned.bundled_models import bundled_folder
from lsr.encoders.learned.packed_model import unpacked
from lsr.errors import InputError

__all__ = ["attention", "base_folder", "has_trained_head", "loading", "quiet", "tokenizer_of"]


def base_folder(name: str) -> str:
    """Location of a checkpoint: a folder, one that is installed, or the hub id as is."""
    shipped = Path(name) if Path(name).is_dir() else bundled_folder(name)
    return str(unpacked(shipped)) if shipped else packaged_folder(name) or name


def has_trained_head(base: str) -> bool:
    """Whether a checkpoint holds the weights of a masked-LM head.

    Raises:
        InputError: it cannot be loaded.
    """
    with loading(base):
        model, report = AutoModelForMaskedLM.from_pretrained(
            base_folder(base), output_loading_info=True
        )
    prefix = f"{model.base_model_prefix}."
    return not any(not name.startswith(prefix) for name in report["missing_keys"])


def attention() -> str:
    """Attention that networks are loaded with: on CPUs the eager one trains faster."""
    return "sdpa" if torch.cuda.is_available() else "eager"


def tokenizer_of(base: str) -> PreTrainedTokenizerBase:
    """The checkpoint's tokenizer, whose numbers are the terms of all vectors.

    Raises:
        InputError: it has none, or one that leaves numbers out.
    """
    path = base_folder(base)
    with loading(base):
        AutoConfig.from_pretrained(path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"the base {base!r} has no tokenizer that can be loaded; put its tokenizer files "
            "beside config.json"
        ) from error
    numbers = set(tokenizer.get_vocab().values())
    if len(numbers) <= len(tokenizer.all_special_ids):
        raise InputError(
            f"the base {base!r} has no tokenizer of its own (its vocabulary is empty); put its "
            "tokenizer files beside config.json"
        )
    if numbers != set(range(len(tokenizer))):
        raise InputError(
            f"the tokenizer of the base {base!r} leaves numbers out, so that terms cannot be "
            "counted; choose a base whose token numbers run from 0 without gaps"
        )
    return tokenizer


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Say in one sentence why a model cannot be loaded, and nothing while it can."""
    try:
        with quiet():
            yield
    except (OSError, ValueError, RuntimeError, ImportError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"the model {name!r} cannot be loaded ({reason}); give a folder that holds one: with "
            "a network, `hf download OWNER/NAME --local-dir FOLDER` makes one of a hub id"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from reporting on fresh heads, and from drawing bars."""
    level = transformers_logging.get_verbosity()
    had_bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if had_bars:
            transformers_logging.enable_progress_bar()
