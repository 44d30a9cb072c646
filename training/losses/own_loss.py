"""Losses of one's own: opened by entry point or from a file, and asked with care."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from lsr.errors import InputError, LsrError, ModelError
from lsr.training.config.own_loss import FILE_PREFIX, GROUP, OwnLoss

__all__ = ["CheckedLoss", "RankingLoss", "open_loss"]


class RankingLoss(Protocol):
    """Loss of a batch: of all its queries with all its different documents.

    An `nn.Module` may be one; its parameters are trained, and kept in checkpoints.
    """

    def __call__(self, scores: Tensor, targets: Tensor, labels: Tensor, known: Tensor) -> Tensor:
        """The loss, a scalar with a gradient.

        Args:
            scores: the student's, float32 [Q, D], over the temperature.
            targets: the teachers', combined and scaled, float32 [Q, D]; 0 where not known.
            labels: bool [Q, D], whether the document is the query's labelled positive.
            known: bool [Q, D], which pairs count: those that the teachers know; without teachers,
                those of queries with a label, less documents that are other answers.
        """


class CheckedLoss(nn.Module):
    """A loss of one's own, whose faults are told by its name.

    Args:
        kind: its name in the config.
        loss: what computes it.
    """

    def __init__(self, kind: str, loss: RankingLoss) -> None:
        super().__init__()
        self.kind = kind
        self.loss = loss

    def forward(self, scores: Tensor, targets: Tensor, labels: Tensor, known: Tensor) -> Tensor:
        """See `RankingLoss`.

        Raises:
            InputError: it fails, or gives something other than a scalar with a gradient.
            ModelError: it gives a number that is not finite.
        """
        try:
            value = self.loss(scores, targets, labels, known)
        except LsrError:
            raise
        except Exception as error:
            said = (str(error).splitlines() or [""])[0]
            raise InputError(
                f"the loss {self.kind!r} fails on a batch of {scores.shape[0]} queries and "
                f"{scores.shape[1]} documents ({type(error).__name__}: {said}); mend it, and run "
                "again to resume"
            ) from error
        given = (
            f"a tensor of shape {tuple(value.shape)}"
            if isinstance(value, Tensor)
            else f"a {type(value).__name__}"
        )
        if not isinstance(value, Tensor) or value.ndim or not value.is_floating_point():
            raise InputError(f"the loss {self.kind!r} gives {given}; it must give one number")
        if scores.requires_grad and not value.requires_grad:
            raise InputError(
                f"the loss {self.kind!r} gives a number without a gradient; compute it of the "
                "scores, with torch"
            )
        if not bool(torch.isfinite(value)):
            raise ModelError(
                f"the loss {self.kind!r} gives {value.item()}, which is not finite; the last "
                "checkpoint is kept: mend the loss, and run again to resume"
            )
        return value


def open_loss(config: OwnLoss) -> CheckedLoss:
    """The loss that a config names, made with its parameters.

    Raises:
        InputError: it cannot be loaded, or does not take these parameters.
    """
    make = _from_file(config.kind) if config.kind.startswith(FILE_PREFIX) else _from(config.kind)
    try:
        loss = make(**config.params)
    except Exception as error:
        raise InputError(
            f"the loss {config.kind!r} cannot be made with the params "
            f"{', '.join(config.params) or 'none'} ({_reason(error)}); see what it takes"
        ) from error
    if not callable(loss):
        raise InputError(
            f"the loss {config.kind!r} makes a {type(loss).__name__}, which cannot be called with "
            "scores, targets, labels and known; name a class or function that makes a loss"
        )
    return CheckedLoss(config.kind, loss)


def _from(name: str) -> Callable[..., Any]:
    (point, *_) = entry_points(group=GROUP, name=name)
    try:
        found: Callable[..., Any] = point.load()
    except Exception as error:
        raise InputError(
            f"the loss {name!r} cannot be loaded from {point.value} ({_reason(error)}); mend or "
            "install the package that names it"
        ) from error
    return found


def _from_file(kind: str) -> Callable[..., Any]:
    path, _, name = kind.removeprefix(FILE_PREFIX).rpartition(":")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        raise InputError(f"the loss {kind!r}: {path} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        found: Callable[..., Any] = getattr(module, name)
    except Exception as error:
        raise InputError(f"the loss {kind!r} cannot be loaded ({_reason(error)})") from error
    return found


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
