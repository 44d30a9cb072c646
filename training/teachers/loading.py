"""Loading sentence-transformers models, quietly, with errors that say what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from transformers.utils import logging as transformers_logging

from lsr.encoders.model_code import ModelCode
from lsr.errors import InputError

__all__ = ["code_of", "loaded"]

Model = TypeVar("Model")


def code_of(model: str, what: str) -> ModelCode:
    """The code that a model brings along; that its user trusts it is kept.

    Args:
        what: kind of model, for the message.

    Raises:
        InputError: it brings none.
    """
    code = ModelCode.of(model)
    if code is None:
        raise InputError(
            f"the {what} {model!r} brings no code of its own along, so there is none to trust; "
            "leave trust_remote_code out"
        )
    code.trust()
    return code


def loaded(
    make: Callable[[str], Model], model: str, what: str, *, runs_code: bool = False
) -> Model:
    """The model of a folder or a hub id, made by `make`.

    Args:
        what: kind of model, for the message.
        runs_code: the model's own code is run, which may fail in any way.

    Raises:
        InputError: there is no such model, or it cannot be loaded.
    """
    failures = (Exception,) if runs_code else (OSError, ValueError)
    transformers_logging.disable_progress_bar()
    try:
        return make(model)
    except failures as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"the {what} {model!r} cannot be loaded ({reason}); give a folder that holds one, or a "
            "hub id while online"
        ) from error
    finally:
        transformers_logging.enable_progress_bar()
