"""The checkpoint that a new model starts from: where it lies, and what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging
from transformers.utils.hub import TRANSFORMERS_DYNAMIC_MODULE_NAME

from lsr.encoders.dense import packaged_folder
from lsr.encoders.learned.bundled_models import bundled_folder
from lsr.encoders.learned.packed_model import unpacked
from lsr.encoders.model_code import ModelCode
from lsr.errors import InputError
from lsr.training.config.encoder import EncoderConfig

__all__ = [
    "Checkpoint",
    "attention",
    "base_folder",
    "has_trained_head",
    "is_own_code",
    "loading",
    "quiet",
    "tokenizer_of",
]


@dataclass(frozen=True)
class Checkpoint:
    """A model that a new one starts from.

    Attributes:
        name: as a config says it.
        place: its folder, or its hub id.
        code: its own code, which is run; None where none is.
    """

    name: str
    place: str
    code: ModelCode | None = None

    @classmethod
    def of(cls, name: str, *, trusts: bool = False) -> Self:
        """The checkpoint of a name.

        Args:
            trusts: run the code that it brings along, if any; that its user trusts it is kept.

        Raises:
            InputError: it names code that is not at hand.
            StorageError: the user's cache cannot be written.
        """
        code = ModelCode.of(name) if trusts else None
        if code is None:
            return cls(name, base_folder(name))
        code.trust()
        return cls(name, base_folder(str(code.folder)), code)

    @classmethod
    def of_config(cls, encoder: EncoderConfig) -> Self:
        """The base of an encoder; raises as `of`."""
        return cls.of(encoder.base, trusts=encoder.trust_remote_code)

    @classmethod
    def of_queries(cls, encoder: EncoderConfig) -> Self:
        """The base of its queries' network, which may be the same one; raises as `of`."""
        return cls.of(encoder.query_base or encoder.base, trusts=encoder.trust_remote_code)

    @property
    def options(self) -> dict[str, bool]:
        """Options of transformers to open it without code, or with that which was hashed alone."""
        runs_code = self.code is not None
        return {"trust_remote_code": runs_code, "local_files_only": runs_code}


def base_folder(name: str) -> str:
    """Location of a checkpoint: a folder, one that is installed, or the hub id as is."""
    shipped = Path(name) if Path(name).is_dir() else bundled_folder(name)
    return str(unpacked(shipped)) if shipped else packaged_folder(name) or name


def is_own_code(part: object) -> bool:
    """Whether an object is of a class that a model brought along."""
    return type(part).__module__.partition(".")[0] == TRANSFORMERS_DYNAMIC_MODULE_NAME


def has_trained_head(base: Checkpoint) -> bool:
    """Whether a checkpoint holds the weights of a masked-LM head.

    Raises:
        InputError: it cannot be loaded.
    """
    with loading(base.name, runs_code=base.code is not None):
        model, report = AutoModelForMaskedLM.from_pretrained(
            base.place, output_loading_info=True, **base.options
        )
    prefix = f"{model.base_model_prefix}."
    return not any(not name.startswith(prefix) for name in report["missing_keys"])


def attention(*, runs_code: bool = False) -> dict[str, str]:
    """Attention that networks are loaded with, as an option: on CPUs the eager one trains faster.

    Args:
        runs_code: the network is of its own code, which may know no other than the eager one.
    """
    if torch.cuda.is_available():
        return {} if runs_code else {"attn_implementation": "sdpa"}
    return {"attn_implementation": "eager"}


def tokenizer_of(base: Checkpoint) -> PreTrainedTokenizerBase:
    """The checkpoint's tokenizer, whose numbers are the terms of all vectors.

    Raises:
        InputError: it has none, one that leaves numbers out, or one that is code of its own.
    """
    with loading(base.name, runs_code=base.code is not None):
        AutoConfig.from_pretrained(base.place, **base.options)
    try:
        tokenizer = AutoTokenizer.from_pretrained(base.place, **base.options)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"the base {base.name!r} has no tokenizer that can be loaded; put its tokenizer files "
            "beside config.json"
        ) from error
    if is_own_code(tokenizer):
        raise InputError(
            f"the tokenizer of the base {base.name!r} is code of its own, and indexes cut queries "
            "by tokenizer.json alone; choose a base whose tokenizer transformers has"
        )
    numbers = set(tokenizer.get_vocab().values())
    if len(numbers) <= len(tokenizer.all_special_ids):
        raise InputError(
            f"the base {base.name!r} has no tokenizer of its own (its vocabulary is empty); put "
            "its tokenizer files beside config.json"
        )
    if numbers != set(range(len(tokenizer))):
        raise InputError(
            f"the tokenizer of the base {base.name!r} leaves numbers out, so that terms cannot "
            "be counted; choose a base whose token numbers run from 0 without gaps"
        )
    return tokenizer


@contextmanager
def loading(name: str, *, runs_code: bool = False) -> Iterator[None]:
    """Say in one sentence why a model cannot be loaded, and nothing while it can.

    Args:
        runs_code: the model's own code is run, which may fail in any way.
    """
    failures: tuple[type[Exception], ...] = (
        OSError,
        ValueError,
        RuntimeError,
        ImportError,
        KeyError,
    )
    if runs_code:
        failures = (Exception,)
    try:
        with quiet():
            yield
    except failures as error:
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
