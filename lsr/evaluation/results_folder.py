"""`ResultsFolder`: figures that were measured before, a file for each collection and system.

A file is found by all that decides its figures: the collection's content, the models' weights, the
plan, measures and depth. What differs in any of it is measured again, and kept beside the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.errors import StorageError
from lsr.evaluation.evaluate import SystemResult
from lsr.files import checksum, read_signed, signed, write_atomically

__all__ = ["KeptResult", "ResultsFolder"]

_DIGITS = 12
"""Of the key's checksum, in a file's name."""
_FIGURES = (
    "metrics",
    "by_query",
    "median_ms",
    "p95_ms",
    "size_bytes",
    "stage_ms",
    "terms",
    "flops",
)


@dataclass(frozen=True)
class KeptResult:
    """A result of a file.

    Attributes:
        result: without its run.
        run_sha256: of the run file that was saved with it; empty where none was.
    """

    result: SystemResult
    run_sha256: str
    path: Path


class ResultsFolder:
    """A folder of results. It is made when the first is kept.

    Attributes:
        damaged: files that could not be read, and why.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged: dict[Path, str] = {}

    def find(self, dataset: str, system: str, key: Mapping[str, Any]) -> KeptResult | None:
        """The result that was kept under the key; None where there is none that can be read."""
        path = self._place(dataset, system, key)
        try:
            content, is_whole = read_signed(path.read_bytes())
            if not is_whole:
                raise ValueError("its checksum differs")
            figures = {name: content[name] for name in _FIGURES}
            result = SystemResult(name=system, run={}, notes=tuple(content["notes"]), **figures)
            return KeptResult(result, content["run_sha256"], path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.damaged[path] = str(error)
            return None

    def keep(
        self,
        dataset: str,
        result: SystemResult,
        key: Mapping[str, Any],
        run_sha256: str = "",
    ) -> Path:
        """Keep a result, whole or not at all, and return its file.

        Raises:
            StorageError: the folder cannot be written.
        """
        path = self._place(dataset, result.name, key)
        content = {
            "dataset": dataset,
            "system": result.name,
            "measured": key,
            **{name: getattr(result, name) for name in _FIGURES},
            "notes": list(result.notes),
            "run_sha256": run_sha256,
        }
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomically(path, signed(content))
        except OSError as error:
            raise StorageError(f"{path} cannot be written ({error.strerror})") from error
        return path

    def _place(self, dataset: str, system: str, key: Mapping[str, Any]) -> Path:
        return self.path / f"{dataset}.{system}.{checksum(key)[:_DIGITS]}.json"
