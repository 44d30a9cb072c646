"""`tuned.json`: the search parameters that `calibrate` found, with what it measured."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lsr.errors import IndexCorruptError, LsrError
from lsr.index.blocks.config import SearchParams
from lsr.index.search.costs import Costs

__all__ = ["TUNED_FILE", "Tuned"]

TUNED_FILE = "tuned.json"


@dataclass(frozen=True)
class Tuned:
    """Parameters for a wanted recall, and the evidence.

    Attributes:
        params: for searches in the automatic mode.
        costs: of this index on the machine that measured it.
        target_recall: what was asked for.
        recall: of the approximate mode, against exact search; of `k` hits, those whose score
            reaches the true k-th, on average.
        approximate_us, exact_us: mean time of a query.
        n_queries: how many were measured.
        source: where they came from, for people.
    """

    params: SearchParams
    costs: Costs
    target_recall: float
    recall: float
    approximate_us: float
    exact_us: float
    n_queries: int
    source: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        content = {each.name: getattr(self, each.name) for each in fields(self)}
        content["costs"] = asdict(self.costs)
        content["params"] = {
            each.name: getattr(self.params, each.name)
            for each in fields(self.params)
            if each.name != "filter"
        }
        return content

    def write(self, folder: Path) -> None:
        """Put it into a folder, with a checksum of itself, by one rename."""
        content = self.to_dict()
        text = json.dumps({**content, "checksum": _checksum(content)}, indent=2) + "\n"
        draft = folder / f".{TUNED_FILE}.unfinished"
        draft.write_text(text, encoding="utf-8")
        draft.replace(folder / TUNED_FILE)

    @classmethod
    def read(cls, folder: Path) -> Tuned | None:
        """What `write` put there; None when there is nothing.

        Raises:
            IndexCorruptError: the file is damaged.
        """
        path = folder / TUNED_FILE
        try:
            content = json.loads(path.read_text("utf-8"))
            checksum = content.pop("checksum")
            if checksum != _checksum(content):
                raise ValueError("its checksum differs")
            params = SearchParams(**content.pop("params"))
            return cls(params=params, costs=Costs(**content.pop("costs")), **content)
        except FileNotFoundError:
            return None
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
            LsrError,
        ) as error:
            raise IndexCorruptError(
                f"{path} cannot be read ({error}); delete it, and run lsr index calibrate again"
            ) from error


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
