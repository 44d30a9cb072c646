"""`calibration.json`: the search parameters that `calibrate` found, with what it measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lsr.errors import IndexCorruptError, LsrError
from lsr.files import read_signed, signed, write_atomically
from lsr.index.blocks.config import SearchParams
from lsr.index.search.costs import Costs

__all__ = ["CALIBRATION_FILE", "Calibration"]

CALIBRATION_FILE = "calibration.json"
OLD_FILE = "tuned.json"
"""Its name in version 0.1, which is still read; so is `mode`, the former name of the strategy."""


@dataclass(frozen=True)
class Calibration:
    """Parameters for a wanted recall, and the evidence.

    Attributes:
        params: for searches in the automatic strategy.
        costs: of this index on the machine that measured it.
        target_recall: what was asked for.
        recall: of the approximate strategy, against exact search; of `k` hits, those whose score
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
        write_atomically(folder / CALIBRATION_FILE, signed(self.to_dict()))
        (folder / OLD_FILE).unlink(missing_ok=True)

    @classmethod
    def read(cls, folder: Path) -> Calibration | None:
        """Calibration that `write` stored there; None when there is none.

        Raises:
            IndexCorruptError: the file is damaged.
        """
        path = folder / CALIBRATION_FILE
        if not path.exists():
            path = folder / OLD_FILE
        try:
            content, is_intact = read_signed(path.read_bytes())
            if not is_intact:
                raise ValueError("its checksum differs")
            params = content.pop("params")
            if "mode" in params:
                params["strategy"] = params.pop("mode")
            return cls(
                params=SearchParams(**params), costs=Costs(**content.pop("costs")), **content
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, LsrError) as error:
            raise IndexCorruptError(
                f"{path} cannot be read ({error}); delete it, and run lsr index calibrate again"
            ) from error
