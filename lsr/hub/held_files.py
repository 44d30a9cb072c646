"""Names of files that a repository may hold: of an index, of a model, and beside either."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from lsr.encoders.learned.model_folder import EXPORT_FILE
from lsr.encoders.learned.model_source import MODEL_FOLDER, QUERY_MODEL_FOLDER
from lsr.errors import DataError
from lsr.index.collection.encoder_registry import ONNX_FOLDER
from lsr.index.collection.tuned_plan import OLD_FILE as OLD_PLAN
from lsr.index.collection.tuned_plan import TUNED_PLAN_FILE
from lsr.index.search.calibration_file import CALIBRATION_FILE
from lsr.index.search.calibration_file import OLD_FILE as OLD_CALIBRATION
from lsr.index.storage.manifest import MANIFEST, Manifest

__all__ = ["CARD", "MODEL_FILES", "foreign_to_index", "is_beside", "is_needless", "told", "unsafe"]

CARD = "README.md"

MODEL_FILES = ("modules.json", "config.json", EXPORT_FILE)
"""One of these is in each model's folder."""

_BESIDE = re.compile(
    r"README\.md|\.gitattributes|(LICENSE|LICENCE|NOTICE)[\w.-]*|[\w-]+\.(md|png|svg)"
)
"""Files for people, which no index and no model is read from."""

_NEEDLESS = (".h5", ".msgpack", ".ot", ".tflite", ".mlmodel")
"""Suffixes of weights that nothing here reads."""

_SETTINGS = (TUNED_PLAN_FILE, OLD_PLAN, CALIBRATION_FILE, OLD_CALIBRATION)
"""Files beside a generation."""

_PART = re.compile(r"(?!\.\.?$)[A-Za-z0-9_.][A-Za-z0-9 ._+=,@-]{0,254}")
_MOST_PARTS = 8
_SHOWN = 5


def is_beside(name: str) -> bool:
    """Whether a file is for people."""
    return _BESIDE.fullmatch(name) is not None


def is_needless(name: str) -> bool:
    """Whether a file of a model's repository is nothing that is used here."""
    hidden = any(part.startswith(".") for part in name.split("/"))
    return hidden or PurePosixPath(name).suffix in _NEEDLESS


def foreign_to_index(names: Iterable[str], manifest: Manifest) -> list[str]:
    """Names, of those below a collection's folder, that are no part of the index."""
    own = {MANIFEST, *_SETTINGS, *manifest.files}
    return [name for name in names if name not in own and not _is_of_a_model(name)]


def _is_of_a_model(name: str) -> bool:
    """Whether a path is in a folder of a model that goes along; one in ONNX has no code."""
    path = PurePosixPath(name)
    if path.parts[0] == ONNX_FOLDER:
        return len(path.parts) > 1 and path.suffix != ".py"
    return len(path.parts) > 1 and path.parts[0] in (MODEL_FOLDER, QUERY_MODEL_FOLDER)


def unsafe(names: Iterable[str], repository: str) -> None:
    """Refuse names that lead out of a folder, or that file systems may take otherwise.

    Raises:
        DataError: there is one.
    """
    for name in names:
        parts = name.split("/")
        if len(parts) > _MOST_PARTS or not all(map(_PART.fullmatch, parts)):
            raise DataError(
                f"it holds {name[:80]!r}, which is no name of a file of an index or a model; "
                "nothing was changed, so have its owner take that out",
                path=repository,
            )


def told(names: Iterable[str]) -> str:
    """Some names, for a sentence."""
    first = list(names)
    more = f" and {len(first) - _SHOWN:,} more" if len(first) > _SHOWN else ""
    return ", ".join(first[:_SHOWN]) + more
