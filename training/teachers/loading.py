"""Loading sentence-transformers models, quietly, with errors that say what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from transformers.utils import logging as transformers_logging

from lsr.errors import InputError

__all__ = ["loaded"]

Model = TypeVar("Model")


def loaded(make: Callable[[str], Model], model: str, what: str) -> Model:
    """The model of a folder or a hub id, made by `make`.

    Args:
        what: kind of model, for the message.

    Raises:
        InputError: there is no such model, or it cannot be loaded.
    """
    transformers_logging.disable_progress_bar()
    try:
        return make(model)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"the {what} {model!r} cannot be loaded ({reason}); give a folder that holds one, or a "
            "hub id while online"
        ) from error
    finally:
        transformers_logging.enable_progress_bar()
