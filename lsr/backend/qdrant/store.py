"""`PointStore`: the few calls of Qdrant that are used, in records of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lsr.sparse import SparseVector

__all__ = ["DENSE", "SPARSE", "Asked", "Conditions", "Layout", "Point", "PointStore", "Scored"]

SPARSE, DENSE = "sparse", "dense"
"""Names of the two vectors of a point."""

Conditions = Mapping[str, Any]
"""A filter in Qdrant's own JSON."""


class Layout(NamedTuple):
    """The way in which a collection keeps vectors; the defaults are those it has to have.

    Attributes:
        dimension: of dense vectors; 0 without any.
        distance, dense_datatype: of dense vectors; inner products of float32.
        has_sparse: whether there are sparse vectors.
        sparse_datatype: of their weights.
        modifier: of their scores; ours hold the idf already.
    """

    dimension: int = 0
    distance: str = "Dot"
    dense_datatype: str = "float32"
    has_sparse: bool = True
    sparse_datatype: str = "float32"
    modifier: str = "none"


class Point(NamedTuple):
    """A point, or what was asked for of one.

    Attributes:
        number: its id.
        sparse, dense: None where it has no such vector, or none was asked for; terms ascend.
    """

    number: int
    payload: dict[str, Any]
    sparse: SparseVector | None = None
    dense: NDArray[np.float32] | None = None


class Scored(NamedTuple):
    """A point that was found, and Qdrant's score of it."""

    point: Point
    score: float


class Asked(NamedTuple):
    """A search by one vector.

    Attributes:
        where: what a point must be, or None.
        exact: whether all dense vectors are compared.
        fields: of the payload, which come with the points.
        vectors: names of vectors that do.
    """

    query: SparseVector | NDArray[np.float32]
    limit: int
    where: Conditions | None
    exact: bool
    fields: Sequence[str]
    vectors: Sequence[str]


class PointStore(Protocol):
    """Collections of points. Every call raises ServiceError, or AccessError, where none answers."""

    def exists(self, name: str) -> bool: ...

    def create(self, name: str, layout: Layout) -> None:
        """Make a collection that is not there."""
        ...

    def layout(self, name: str) -> Layout:
        """That of a collection that is there."""
        ...

    def index(self, name: str, fields: Mapping[str, Literal["keyword", "float"]]) -> None:
        """Have the server find values of fields of the payload faster."""
        ...

    def put(self, name: str, points: Sequence[Point]) -> None:
        """Write points, over those of the same numbers; they are there when this returns."""
        ...

    def count(self, name: str, where: Conditions | None = None) -> int:
        """Number of points, exact."""
        ...

    def search(self, name: str, asked: Sequence[Asked]) -> list[list[Scored]]:
        """The best points of each search, best first; equal scores in any order."""
        ...

    def fetch(
        self, name: str, numbers: Sequence[int], fields: Sequence[str], vectors: Sequence[str]
    ) -> list[Point]:
        """Those of some points that there are, in any order."""
        ...

    def find(self, name: str, where: Conditions, fields: Sequence[str]) -> Point | None:
        """A point that is so."""
        ...

    def close(self) -> None: ...
