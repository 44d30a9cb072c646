"""Module paths of version 0.1, which still import for one version, with a warning.

Models saved by that version name classes by these paths too.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["MOVED", "MovedModules", "all_paths"]

MOVED = {
    "lsr.bm25": "lsr.encoders.bm25",
    "lsr.dense": "lsr.encoders.dense",
    "lsr.encoder": "lsr.encoders.protocols",
    "lsr.feedback": "lsr.retrieval.feedback",
    "lsr.fusion": "lsr.retrieval.fusion",
    "lsr.given": "lsr.encoders.precomputed",
    "lsr.index.builder": "lsr.index.collection.build",
    "lsr.index.config": "lsr.index.blocks.config",
    "lsr.index.writer": "lsr.index.collection.update",
    "lsr.learned": "lsr.encoders.learned.encoder",
    "lsr.plan": "lsr.retrieval.plan",
    "lsr.retriever": "lsr.retrieval.retriever",
    "lsr.training.anchoredhead": "lsr.training.models.anchored_head",
    "lsr.training.epichead": "lsr.training.models.epic_head",
    "lsr.training.mlmhead": "lsr.training.models.mlm_head",
    "lsr.training.mlphead": "lsr.training.models.mlp_head",
}
"""Old path to new path."""


def all_paths(module: str) -> list[str]:
    """A module's path, and those that it had."""
    return [module, *(old for old, new in MOVED.items() if new == module)]


class MovedModules(MetaPathFinder, Loader):
    """Finds what no other finder has: a module of `MOVED`, in the name of its new place."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """See `MetaPathFinder`."""
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def create_module(self, spec: ModuleSpec) -> None:
        """See `Loader`: a usual module."""

    def exec_module(self, module: ModuleType) -> None:
        """Give the module all that the one at the new place has, and say where that is."""
        old, new = module.__name__, MOVED[module.__name__]
        warnings.warn(
            f"{old} is {new} now; the old path goes with version 0.3",
            DeprecationWarning,
            stacklevel=2,
        )
        found = import_module(new)
        module.__doc__ = found.__doc__
        module.__dict__.update(
            {name: value for name, value in vars(found).items() if not name.startswith("__")},
            __all__=getattr(found, "__all__", []),
        )

    @classmethod
    def install(cls) -> None:
        """Make the old paths importable in this process, once."""
        if not any(isinstance(finder, cls) for finder in sys.meta_path):
            sys.meta_path.append(cls())
