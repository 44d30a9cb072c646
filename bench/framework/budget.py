"""The one budget that all methods are trained under, and a method's config by it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.framework.methods import Method
from lsr.errors import InputError
from lsr.files import checksum
from lsr.training.config.train import TrainConfig
from lsr.training.config.yaml_file import config_of

__all__ = ["Budget", "TrainingRows", "config_for", "content_of"]

TEACHER_KINDS = ("bm25", "dense", "sparse", "cross_encoder", "score_file")
AS_THEY_STAND = {"normalization": "none", "scale": 1.0, "label_share": 0.0}
"""Margins of teachers that score pairs, as the paper's are learned."""

CHECKPOINTS = 4
"""Checkpoints of a run."""


@dataclass(frozen=True)
class Budget:
    """What is the same for every method.

    Attributes:
        base: the checkpoint, as it is named on the page.
        layers: of the base that are kept; None for all.
        steps, queries, candidates: optimizer steps, and the sizes of a batch.
        document_tokens, query_tokens: that a network reads.
        lr, head_lr: learning rates in place of the presets'; None for the presets'.
        teachers: kinds, with a model or path behind a colon.
        mined: whether each query's negatives come from BM25's ranking of all documents.
        expansion_terms: appended to a document.
        precision: see `OptimConfig`.
    """

    base: str = "all-MiniLM-L6-v2"
    layers: int | None = 2
    steps: int = 60
    queries: int = 16
    candidates: int = 2
    document_tokens: int = 128
    query_tokens: int = 32
    lr: float | None = 1e-4
    head_lr: float | None = 1e-3
    teachers: tuple[str, ...] = ("bm25", "dense:all-MiniLM-L6-v2")
    mined: bool = True
    expansion_terms: int = 32
    precision: str = "auto"
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def teacher_configs(self) -> list[dict[str, Any]]:
        """Teachers as a config has them.

        Raises:
            InputError: a kind is not known, or one that needs a model or file has none.
        """
        found: list[dict[str, Any]] = []
        for teacher in self.teachers:
            kind, _, name = teacher.partition(":")
            if kind not in TEACHER_KINDS or (not name and kind not in ("bm25", "dense")):
                raise InputError(
                    f"--teacher {teacher}: give one of {', '.join(TEACHER_KINDS)}, with a model or "
                    "file behind a colon, such as cross_encoder:MODEL"
                )
            key = "path" if kind == "score_file" else "model"
            more = {"max_tokens": self.document_tokens} if kind == "dense" else {}
            found.append({"kind": kind, **({key: name} if name else {}), **more})
        return found


@dataclass(frozen=True)
class TrainingRows:
    """Sources of the rows that all methods are trained on.

    Attributes:
        sources: as a config has them.
        expanded: the same rows with expanded documents; None where they are not made.
        sha256: of what they hold.
        notes: sentences on them.
    """

    sources: list[dict[str, Any]]
    expanded: list[dict[str, Any]] | None
    sha256: str
    notes: tuple[str, ...] = ()


def config_for(
    method: Method, budget: Budget, rows: TrainingRows, base: Path | str, output: Path, cache: Path
) -> TrainConfig:
    """The run that trains a method under the budget.

    Raises:
        InputError: its parts do not fit each other.
    """
    is_expanded = method.expanded and rows.expanded is not None
    tokens = budget.document_tokens + (budget.expansion_terms if is_expanded else 0)
    teachers = budget.teacher_configs()
    mining = {"teacher": "bm25", "per_query": 5, "last_rank": 30, "margin": None}
    optim: dict[str, Any] = {
        "steps": budget.steps,
        "queries": budget.queries,
        "candidates": budget.candidates,
        "precision": budget.precision,
    }
    rates = {"lr": budget.lr, "head_lr": budget.head_lr}
    optim |= {name: rate for name, rate in rates.items() if rate is not None}
    stage: dict[str, Any] = {
        "data": {"sources": (rows.expanded if is_expanded else None) or rows.sources},
        "optim": optim,
        "teachers": teachers,
    }
    if budget.mined:
        stage["data"]["mining"] = mining
    if all(teacher["kind"] in ("cross_encoder", "score_file") for teacher in teachers):
        stage["ensemble"] = AS_THEY_STAND
    merged = _over(stage, method.stage)
    given: dict[str, Any] = {
        "preset": method.preset,
        "output": str(output),
        "cache": str(cache),
        "seed": budget.seed,
        "encoder": {
            "base": str(base),
            "max_query_tokens": budget.query_tokens,
            "max_document_tokens": tokens,
            **method.encoder,
        },
        "guard": {"min_terms": 1, "max_terms": 1e6, "max_spread": 1e9},
        "warm_start": "never" if Path(base).is_dir() else "auto",
        "checkpoint_every": max(1, budget.steps // CHECKPOINTS),
        "stages": [merged],
    }
    config = config_of(given, (), f"the method {method.preset}")
    losses = [loss.kind for loss in config.stages[0].losses]
    if not {"kl", "margin_mse"} & set(losses):  # teachers that nothing is learned of
        kept = [each for each in teachers if budget.mined and each["kind"] == "bm25"]
        given["stages"] = [{**merged, "teachers": kept}]
        config = config_of(given, (), f"the method {method.preset}")
    return config


def content_of(config: TrainConfig, rows: TrainingRows, base_sha256: str) -> str:
    """A checksum of all that decides a trained model."""
    said = config.model_dump(mode="json", exclude={"output", "cache", "preset"})
    said["encoder"].pop("base")
    for stage in said["stages"]:
        expanded = [source["expanded"] for source in stage["data"].pop("sources")]
        stage["data"]["expanded"] = expanded
    return checksum({"config": said, "rows": rows.sha256, "base": base_sha256})


def _over(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    merged = {**low, **high}
    if "optim" in low and "optim" in high:
        merged["optim"] = {**low["optim"], **high["optim"]}
    return merged
