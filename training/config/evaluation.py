"""Evaluation of a model while it is trained."""

from __future__ import annotations

import difflib
from typing import Self

from pydantic import model_validator

from lsr.evaluation.suites import SUITES
from lsr.training.config.encoder import Count, Positive, Strict

__all__ = ["NANO_BEIR", "EvaluationConfig"]

NANO_BEIR = tuple(each.rsplit("/", 1)[-1] for each in SUITES["nano-beir"].dataset_ids)
"""Names of the sets of NanoBEIR."""


class EvaluationConfig(Strict):
    """Evaluation while training, without a server.

    Attributes:
        sets: BEIR folders, and `irds:ID` of ir_datasets.
        nano_beir: all sets of NanoBEIR, or some by name; ir_datasets fetches them once.
        every: steps between evaluations; also the last.
        max_documents: of each set: all judged ones, then others; null for all.
        max_flops: a checkpoint above is never the best.
        patience: evaluations without improvement before training stops; null: never.
    """

    sets: tuple[str, ...] = ()
    nano_beir: bool | tuple[str, ...] = False
    every: Count = 500
    max_documents: Count | None = None
    max_flops: Positive | None = None
    patience: Count | None = None
    probes: tuple[str, ...] = ()

    @property
    def sources(self) -> list[str]:
        """All sets, as they are opened."""
        named = NANO_BEIR if self.nano_beir is True else self.nano_beir or ()
        return [*self.sets, *(f"irds:nano-beir/{name}" for name in named)]

    @model_validator(mode="after")
    def _sets_are_known(self) -> Self:
        for name in self.nano_beir if isinstance(self.nano_beir, tuple) else ():
            if name not in NANO_BEIR:
                near = difflib.get_close_matches(name, NANO_BEIR, 1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise ValueError(
                    f"nano_beir has no set {name!r}; {hint}There are {', '.join(NANO_BEIR)}"
                )
        for source in self.sources:
            if self.sources.count(source) > 1:
                raise ValueError(f"{source} is to be measured twice; name it once")
        return self
