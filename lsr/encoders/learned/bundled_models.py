"""The models that come with this package, by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lsr.errors import DataError

__all__ = ["DEFAULT_MODEL", "MODELS", "ShippedModel", "bundled_folder", "bundled_models"]

DEFAULT_MODEL = "doc-mini"
"""Model that documents are encoded with unless another is asked for."""

MODELS = Path(__file__).parents[2] / "models"
FIGURES_FILE = "figures.json"
"""In a model's folder: what it scores, as `make report-encoder` measured it."""


@dataclass(frozen=True)
class ShippedModel:
    """A model that is installed.

    Attributes:
        size_bytes: of all its files.
        terms: active terms of a document, over the collections measured; None if unknown.
        flops: retrieval FLOPS, likewise.
        scores: collection to nDCG@10.
    """

    name: str
    folder: Path
    size_bytes: int
    terms: float | None
    flops: float | None
    scores: dict[str, float]


def bundled_folder(name: str) -> Path | None:
    """Folder of the bundled model of that name; None if none comes with this package."""
    is_name = name.replace("-", "").replace(".", "").isalnum() and not name.startswith(".")
    folder = MODELS / name
    return folder if is_name and (folder / "modules.json").is_file() else None


def bundled_models() -> list[ShippedModel]:
    """All of them, by name.

    Raises:
        DataError: the figures of one cannot be read.
    """
    found = []
    for place in sorted(MODELS.glob("*/modules.json")):
        folder = place.parent
        figures = _figures(folder / FIGURES_FILE)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        scores = figures.get("ndcg@10")
        found.append(
            ShippedModel(
                folder.name,
                folder,
                size,
                _number(figures.get("terms")),
                _number(figures.get("flops")),
                dict(scores) if isinstance(scores, dict) else {},
            )
        )
    return found


def _figures(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    try:
        figures = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({error}); install lsr again", path=path) from error
    return figures if isinstance(figures, dict) else {}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
