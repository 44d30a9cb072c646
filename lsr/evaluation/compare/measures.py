"""One run measured: relevance by name, with what lies behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsr.datasets.runs import made_run
from lsr.evaluation.compare.named_runs import RunLike
from lsr.evaluation.compare.run_comparison import compare_runs
from lsr.evaluation.run_files import untied
from lsr.types import Qrels, Run, ScoredDoc

__all__ = ["Measures", "evaluate"]


@dataclass(frozen=True, repr=False)
class Measures(Mapping[str, float]):
    """Means over the judged queries, by the names of measures.

    Attributes:
        means: measure to mean.
        by_query: measure to query_id to value.
        n_queries: judged queries, which all count.
        notes: sentences on what did not count, and on what was counted how.

    Example:
        >>> import lsr
        >>> lsr.evaluate({"q1": {"a": 2.0, "b": 1.0}}, {"q1": {"b": 1}}, metrics=["RR@10", "R@1"])
        Measures(RR@10 0.5000, R@1 0.0000; 1 query)
    """

    means: dict[str, float]
    by_query: dict[str, dict[str, float]]
    n_queries: int
    notes: tuple[str, ...]

    def __getitem__(self, name: str) -> float:
        return self.means[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.means)

    def __len__(self) -> int:
        return len(self.means)

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {value:.4f}" for name, value in self.means.items())
        queries = "query" if self.n_queries == 1 else "queries"
        return f"Measures({told}; {self.n_queries:,} {queries})"


def evaluate(
    run: RunLike,
    qrels: str | Path | Qrels,
    *,
    metrics: Sequence[str] | None = None,
    depth: int | None = None,
) -> Measures:
    """Measure a run on judgements. Every judged query counts, as 0 where the run has no hits.

    Hits count by score; in Python equal scores count as they stand, so that a run of `index.rank`
    measures what `lsr eval` measures. In a file their order is that of trec_eval.

    Args:
        run: `{query_id: {doc_id: score}}`, an `lsr.Run`, or a file (TREC, JSON, ranx's).
        qrels: `{query_id: {doc_id: grade}}`, a file of judgements, a BEIR folder, or `irds:ID`.
            Of a folder or `irds:ID`, documents that are the query itself are left out, as in
            ArguAna.
        metrics: as ir_measures writes them; default: those of `lsr eval`.
        depth: hits of a query that count; default: all.

    Raises:
        InputError: a measure is unknown, no query of the run is judged, or nothing is relevant.
        DataError: a file is missing or wrong.
        UnavailableError: ir_measures is not installed.

    Example:
        >>> import lsr
        >>> found = lsr.evaluate({"q1": {"a": 2.0, "b": 1.0}}, {"q1": {"b": 1}}, metrics=["RR@10"])
        >>> found["RR@10"], found.by_query["RR@10"]
        (0.5, {'q1': 0.5})
    """
    given = run if isinstance(run, str | Path) else untied(_as_it_stands(run))
    compared = compare_runs({"the run": given}, qrels, metrics=metrics, depth=depth)
    (result,) = compared.results
    return Measures(result.metrics, result.by_query, compared.n_queries, compared.notes)


def _as_it_stands(run: Mapping[str, Mapping[str, float]] | Mapping[str, list[ScoredDoc]]) -> Run:
    """A run by score descending, where equal scores keep their order. Raises DataError."""
    made = made_run(run, "the run")
    ordered: Run = {}
    for query_id, hits in made.items():
        given = run[query_id]
        ids = given if isinstance(given, Mapping) else [hit.doc_id for hit in given]
        place = {doc_id: n for n, doc_id in enumerate(ids)}
        ordered[query_id] = sorted(hits, key=lambda hit: (-hit.score, place[hit.doc_id]))
    return ordered
