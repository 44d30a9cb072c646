"""What the benchmark asks of an engine."""

from __future__ import annotations

import importlib
import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from lsr.sparse import CSR, SparseVector

Values = dict[str, Any]
"""Settings by name, as JSON holds them; of a build, or of a search."""


class Method(ABC):
    """An engine, one way of building its index, and how many documents it is asked for.

    Attributes:
        name: what tables call it.
        package: what pip installs; empty when nothing has to be installed.
        module: what to import to see whether it is there.
        builder: the method whose index it searches, by name; empty for its own.
        exact: whether it always finds the true best.
        ours: whether it is this project's.
        builds: build settings to try, where they do not depend on the number of documents.
        grids: search settings to try, by kind of query; one, without settings, by default.
        largest: the most documents that it is asked to index without being named.
    """

    name: ClassVar[str]
    package: ClassVar[str] = ""
    module: ClassVar[str] = ""
    builder: ClassVar[str] = ""
    exact: ClassVar[bool] = False
    ours: ClassVar[bool] = False
    builds: ClassVar[Sequence[Values]] = ({},)
    grids: ClassVar[Mapping[str, list[Values]]] = {}
    largest: ClassVar[int] = 10**9

    def __init__(self, config: Values, k: int) -> None:
        self.config, self.k = config, k

    @property
    def build_label(self) -> str:
        """Name of the index: who builds it, and the build settings."""
        return " ".join([self.builder or self.name, *_short(self.config)])

    @property
    def label(self) -> str:
        """Name of the method and the build settings."""
        return " ".join([self.name, *_short(self.config)])

    @classmethod
    def configs(cls, n_documents: int) -> list[Values]:  # noqa: ARG003
        """Build settings worth a try for so many documents."""
        return list(cls.builds)

    @classmethod
    def missing(cls) -> str:
        """Why it cannot be used here; empty when it can."""
        try:
            if cls.module:
                importlib.import_module(cls.module)
        except ImportError as error:
            return f"not installed: {error}"
        return ""

    @classmethod
    def version(cls) -> str:
        """Of the installed package; empty for what belongs to the benchmark."""
        return importlib.metadata.version(cls.package) if cls.package else ""

    @property
    def api(self) -> Any:
        """The engine's own module."""
        return importlib.import_module(self.module)

    def warm_up(self) -> None:  # noqa: B027
        """Compile what would otherwise be compiled during the build."""

    @abstractmethod
    def build(self, documents: CSR, folder: Path) -> dict[str, int]:
        """Index the documents and save the index. Returns bytes by structure, where known."""

    @abstractmethod
    def open(self, folder: Path) -> None:
        """Make a saved index ready for queries."""

    @abstractmethod
    def prepare(self, query: SparseVector) -> Any:
        """The query in the engine's own form, which is not timed."""

    def knobs(self, kind: str) -> list[Values]:
        """Search settings to try with queries of a kind, "long" or "short"."""
        return self.grids.get(kind, [{}])

    @abstractmethod
    def searcher(self, **knobs: Any) -> Callable[[Any], Any]:
        """What answers one prepared query; this call is what is timed."""

    @abstractmethod
    def rows(self, answer: Any) -> Sequence[int]:
        """Document rows of an answer, which is not timed."""


def _short(values: Values) -> list[str]:
    """Values without their names, joined by slashes; empty when there are none."""
    shown = [format(float(v), "g") for v in values.values()]
    return ["/".join(shown)] if shown else []
