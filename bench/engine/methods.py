"""Every engine that the benchmark knows, by name."""

from __future__ import annotations

from bench.engine.method import Method
from bench.engine.ours import Ours, OursAuto, OursExact
from bench.engine.peers import BlockMaxPruning, QdrantEdge, Seismic, Sindi
from bench.engine.plain import PlainNumba, SciPy

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        Ours,
        OursExact,
        OursAuto,
        Seismic,
        Sindi,
        QdrantEdge,
        BlockMaxPruning,
        PlainNumba,
        SciPy,
    )
}
