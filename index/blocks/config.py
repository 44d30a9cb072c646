"""Options of building a block index (stored with it) and of searching it (never stored).

The words are those of Seismic (Bruch et al., SIGIR 2024) and its successors.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError
from lsr.options import check_options, option

__all__ = [
    "BlockSettings",
    "Blocking",
    "BuildConfig",
    "ClusteredBlocks",
    "EnergySummary",
    "FixedBlocks",
    "FixedSummary",
    "GlobalPruning",
    "ListPruning",
    "NoPruning",
    "Pruning",
    "SearchParams",
    "StoredValues",
    "Strategy",
    "Summary",
]


MANY = 2**31 - 1


@dataclass(frozen=True)
class _Choice:
    """A choice of a build.

    Raises:
        InputError: a value is out of its range.
    """

    def __post_init__(self) -> None:
        check_options(self, error=InputError)


@dataclass(frozen=True)
class NoPruning(_Choice):
    """Keep every entry of every document as a posting."""


@dataclass(frozen=True)
class GlobalPruning(_Choice):
    """Keep the heaviest entries of the collection, `n_postings` for each term on average."""

    n_postings: int = option(600, "entries kept for each term, on average", low=1, high=MANY)
    max_fraction: float = option(
        8.0, "no list is longer than this many averages", low=1.0, high=1e9
    )


@dataclass(frozen=True)
class ListPruning(_Choice):
    """Keep the heaviest `n_postings` entries of each list."""

    n_postings: int = option(600, "entries kept of each list", low=1, high=MANY)


@dataclass(frozen=True)
class ClusteredBlocks(_Choice):
    """Blocks of documents that are nearest to the same random centroid, by inner product."""

    centroid_fraction: float = option(0.1, "centroids for each posting", low=0.0, high=1.0)
    min_cluster_size: int = option(
        2, "clusters of at most this size are dissolved", low=0, high=MANY
    )
    doc_cut: int = option(
        15, "heaviest terms of a document that find its centroid", low=1, high=MANY
    )


@dataclass(frozen=True)
class FixedBlocks(_Choice):
    """Blocks of one size; the documents of a list are taken by weight, heaviest first."""

    size: int = option(10, "documents in a block", low=1, high=65_535)


@dataclass(frozen=True)
class EnergySummary(_Choice):
    """Summary of the fewest terms that hold a share of the block's mass."""

    fraction: float = option(0.4, "share of the mass", low=0.0, high=1.0)


@dataclass(frozen=True)
class FixedSummary(_Choice):
    """Summary of a fixed number of the block's heaviest terms."""

    n_terms: int = option(64, "terms kept", low=1, high=MANY)


Pruning = NoPruning | GlobalPruning | ListPruning
Blocking = ClusteredBlocks | FixedBlocks
Summary = EnergySummary | FixedSummary
StoredValues = Literal["u16", "f32"]
Strategy = Literal["auto", "exact", "approximate"]

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        NoPruning,
        GlobalPruning,
        ListPruning,
        ClusteredBlocks,
        FixedBlocks,
        EnergySummary,
        FixedSummary,
    )
}


@dataclass(frozen=True)
class BuildConfig:
    """Options of building a block index. Equal configs and documents give equal bytes.

    Attributes:
        pruning: which entries become postings.
        blocking: how the postings of a list are grouped.
        summary: what is kept of each block's component-wise maximum.
        values: how weights are stored for final scores: "u16", 16-bit steps of one scale, or
            "f32", as given; then scores equal those of exact search to the bit.
        n_neighbours: nearest documents stored for each, for `SearchParams.n_knn`.
        seed: of the random centroids.

    Raises:
        InputError: a value is out of its range, or a choice is of another kind.

    Example:
        >>> import lsr
        >>> lsr.BuildConfig(values="f32").to_dict()["values"]
        'f32'
    """

    pruning: Pruning = GlobalPruning()
    blocking: Blocking = ClusteredBlocks()
    summary: Summary = EnergySummary()
    values: StoredValues = option("u16", "stored weights", choices=get_args(StoredValues))
    n_neighbours: int = option(0, "neighbours stored for each document", low=0, high=255)
    seed: int = option(0, "seed of the centroids", low=0, high=MANY)

    def __post_init__(self) -> None:
        check_options(self, error=InputError)
        for name, kinds in (("pruning", Pruning), ("blocking", Blocking), ("summary", Summary)):
            if not isinstance(getattr(self, name), kinds):
                names = ", ".join(kind.__name__ for kind in get_args(kinds))
                raise InputError(f"{name} is {getattr(self, name)!r}; it must be one of {names}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; strategies are named by their class."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> BuildConfig:
        """Read what `to_dict` made.

        Raises:
            InputError: this version does not know a name or value.
        """
        try:
            return cls(**{name: _made(value) for name, value in content.items()})
        except (AttributeError, TypeError, InputError) as error:
            raise InputError(f"a build config that cannot be read: {error}") from error


@dataclass(frozen=True)
class BlockSettings:
    """Choices of a collection's blocks that it keeps; what is None goes by the collection's size.

    Attributes:
        postings: entries kept of each list, on average: the heaviest of the collection.
        per_list: whether each list keeps this number of its own entries instead.
        centroids: for each posting; 0 for blocks by weight alone.
        summary: the share of a block's mass that its summary holds.
        neighbours: nearest documents stored for each, which a calibrated search may look at.

    Raises:
        InputError: a value is out of its range, or `per_list` has no `postings`.

    Example:
        >>> import lsr
        >>> lsr.BlockSettings(postings=4000, neighbours=10).to_dict()
        {'postings': 4000, 'neighbours': 10}
    """

    postings: int | None = option(None, "entries kept", low=1, high=MANY, optional=True)
    per_list: bool = option(False, "of each list by itself")
    centroids: float | None = option(None, "centroids", low=0.0, high=1.0, optional=True)
    summary: float | None = option(None, "share of the mass", low=0.0, high=1.0, optional=True)
    neighbours: int | None = option(None, "neighbours stored", low=0, high=255, optional=True)

    def __post_init__(self) -> None:
        check_options(self, error=InputError)
        if self.per_list and self.postings is None:
            raise InputError("per_list says what postings are counted of; give postings too")

    def over(self, config: BuildConfig) -> BuildConfig:
        """The config with these choices in place of its own."""
        if self.postings is not None:
            kind = ListPruning if self.per_list else GlobalPruning
            config = replace(config, pruning=kind(self.postings))
        if self.centroids is not None:
            config = replace(config, blocking=ClusteredBlocks(self.centroids))
        if self.summary is not None:
            config = replace(config, summary=EnergySummary(self.summary))
        if self.neighbours is not None:
            config = replace(config, n_neighbours=self.neighbours)
        return config

    def to_dict(self) -> dict[str, Any]:
        """Those that are given, as plain values for JSON."""
        given = vars(self).items()
        return {name: value for name, value in given if value is not None and value is not False}


def _plain(value: object) -> object:
    if isinstance(value, _Choice):
        return {"kind": type(value).__name__, **vars(value)}
    return value


def _made(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    options = dict(value)
    kind = options.pop("kind", None)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise InputError(f"there is no strategy {kind!r}; choose {', '.join(_KINDS)}")
    return _KINDS[kind](**options)


@dataclass(frozen=True, eq=False)
class SearchParams:
    """Options of one search over vectors.

    Attributes:
        k: hits wanted.
        query_cut: number of the query's heaviest terms whose lists are visited.
        heap_factor: a block is visited if its estimate is at least this share of the k-th score.
        n_knn: stored neighbours of each hit that are scored as well.
        strategy: exact, approximate, or auto: the one that is estimated to be faster.
        filter: bool, shape (n_documents,): False rows are not returned. Default: no filter.

    Raises:
        QueryError: a value is out of its range.

    Example:
        >>> import lsr
        >>> lsr.SearchParams(k=5, strategy="exact").k
        5
    """

    k: int = option(10, "hits wanted", low=1, high=MANY)
    query_cut: int = option(8, "lists visited", low=1, high=MANY)
    heap_factor: float = option(0.9, "share of the k-th score", low=0.0, high=2.0)
    n_knn: int = option(0, "neighbours of hits looked at", low=0, high=255)
    strategy: Strategy = option("auto", "kind of search", choices=get_args(Strategy))
    filter: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        check_options(self)
