"""A loss of one's own: of an installed package, by entry point, or of a file."""

from __future__ import annotations

import difflib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from lsr.training.config.encoder import Positive, Strict

__all__ = ["FILE_PREFIX", "GROUP", "LOSS_KINDS", "OwnLoss", "loss_tag"]

GROUP = "lsr.losses"
"""Entry points of this group name losses."""

FILE_PREFIX = "file:"

LOSS_KINDS = ("kl", "margin_mse", "infonce", "term_recall")
"""Losses that come with the package; a package's loss of the same name is not taken."""


class OwnLoss(Strict):
    """A loss of one's own.

    Attributes:
        kind: the name of an entry point of the group `lsr.losses`, or `file:PATH:NAME`. What it
            names is called with `params`, and gives what is called with each batch; see
            `lsr.training.losses.own_loss.RankingLoss`.
        params: by name.
    """

    kind: str
    weight: Positive = 1.0
    params: dict[str, Any] = Field(default_factory=dict)

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind.startswith(FILE_PREFIX):
            path, colon, name = kind.removeprefix(FILE_PREFIX).rpartition(":")
            if not colon or not name.isidentifier():
                raise ValueError("a loss of a file is file:PATH:NAME, such as file:my.py:MyLoss")
            if not Path(path).is_file():
                raise ValueError(f"there is no file {path}")
            return kind
        installed = sorted({each.name for each in entry_points(group=GROUP)})
        if kind not in installed:
            known = [*LOSS_KINDS, *installed]
            near = difflib.get_close_matches(kind, known, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(
                f"there is no loss of that kind; {hint}There are {', '.join(known)}, and those "
                f"that an installed package names as entry points of {GROUP}"
            )
        return kind


def loss_tag(value: Any) -> str:
    """The member of the union of losses that a value is: its kind, or own."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return kind if kind in LOSS_KINDS else "own"
