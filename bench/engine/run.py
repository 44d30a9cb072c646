"""One run of the engine benchmark: build apart, try every setting, time the good ones."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.engine.build import Build, build_apart
from bench.engine.data import Workload, save_documents
from bench.engine.method import Method
from bench.engine.methods import METHODS
from bench.engine.timing import Setting, finalists, settings, time_once, trial
from lsr.errors import LsrError

TARGETS = (0.90, 0.95, 0.97, 0.99)
SLACK = 0.003
FAILURES = (OSError, RuntimeError, TypeError, ValueError, LsrError)
"""What engines raise; the others are measured all the same."""

LEAST_RECALL = 0.88
"""Below this nothing is timed more than once."""


@dataclass
class Outcome:
    """What a run measured.

    Attributes:
        settings: of every method, tried at least once.
        builds: by the label of the index.
        absent: why a method was not measured, by its name.
        targets: recalls that settings are compared at.
    """

    description: dict[str, Any]
    targets: tuple[float, ...] = TARGETS
    settings: list[Setting] = field(default_factory=list)
    builds: dict[str, Build] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


class Progress:
    """Lines on standard error with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, line: str) -> None:
        print(f"[{time.monotonic() - self._start:5.0f} s] {line}", file=sys.stderr, flush=True)


def run(
    work: Workload,
    names: Sequence[str],
    folder: Path,
    *,
    k: int,
    passes: int,
    reuse: bool,
    named: bool,
    say: Progress,
    targets: tuple[float, ...] = TARGETS,
) -> Outcome:
    """Measure methods.

    Args:
        folder: for the documents and the indexes, which stay there.
        reuse: take indexes that are there already, with what they took to build.
        named: the caller asked for these methods, so that none is left out for its cost.
        targets: recalls that settings are compared at.
    """
    outcome = Outcome(describe(work, k, passes), targets)
    outcome.description["accuracy"] = list(targets)
    for method, place in _built(work, names, folder, reuse, named, outcome, say):
        try:
            method.open(place)
            tried = settings(method, work)
            say(f"trying {len(tried)} settings of {method.label}")
            for setting in tried:
                trial(setting, work)
        except FAILURES as error:
            outcome.absent[method.label] = f"{type(error).__name__}: {error}"
            say(f"{method.label} failed: {outcome.absent[method.label]}")
        else:
            outcome.settings += tried
    least = min(LEAST_RECALL, *targets)
    chosen = finalists(outcome.settings, targets, SLACK, least)
    for turn in range(passes):
        say(f"pass {turn + 1} of {passes}, {len(chosen)} settings")
        start = turn * len(chosen) // passes
        time_once([*chosen[start:], *chosen[:start]])
    outcome.description["load_average_after"] = os.getloadavg()
    return outcome


def _built(
    work: Workload,
    names: Sequence[str],
    folder: Path,
    reuse: bool,
    named: bool,
    outcome: Outcome,
    say: Progress,
) -> list[tuple[Method, Path]]:
    """Methods and the folders of their indexes, which are built where they are not there."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = folder / "documents.npz"
    if not (reuse and documents.exists()):
        save_documents(work.documents, documents)
    made: list[tuple[Method, Path]] = []
    for name in names:
        kind = METHODS[name]
        why = kind.missing()
        if not why and work.documents.n_rows > kind.largest and not named:
            why = f"left out above {kind.largest:,} documents unless named"
        if why:
            outcome.absent[name] = why
            say(f"{name} is absent: {why}")
            continue
        outcome.description["versions"][name] = kind.version()
        for config in kind.configs(work.documents.n_rows):
            method = kind(config, outcome.description["k"])
            label = method.build_label
            place = folder / label.replace(" ", "-").replace("/", "-")
            try:
                if label not in outcome.builds:
                    say(f"building {label}")
                    outcome.builds[label] = build_apart(method, documents, place, reuse)
            except RuntimeError as error:
                outcome.absent[method.label] = str(error)
                say(f"{method.label} failed: {error}")
            else:
                made.append((method, place))
    return made


def describe(work: Workload, k: int, passes: int) -> dict[str, Any]:
    """What was measured on what, for the reader of the figures."""
    documents = work.documents
    counts = np.bincount(documents.terms, minlength=documents.n_terms)
    queries = {
        kind: {
            "n": matrix.n_rows,
            "terms": matrix.nnz / max(matrix.n_rows, 1),
            "postings": float(counts[matrix.terms].sum()) / max(matrix.n_rows, 1),
        }
        for kind, matrix in work.queries.items()
    }
    return {
        "documents": documents.n_rows,
        "terms_per_document": documents.nnz / max(documents.n_rows, 1),
        "queries": queries,
        "k": k,
        "passes": passes,
        "cpu": _cpu(),
        "python": platform.python_version(),
        "cores_used": len(os.sched_getaffinity(0)),
        "load_average_before": os.getloadavg(),
        "versions": {},
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
