"""Runs side by side on the same judgements: measures, paired tests, and where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from lsr.errors import InputError
from lsr.evaluation.compare.judgements import Judgements
from lsr.evaluation.compare.named_runs import RunLike, opened
from lsr.evaluation.comparison import TESTS, Family, Test, against
from lsr.evaluation.evaluate import SystemResult, evaluate_system, named, parse_metrics
from lsr.evaluation.run_files import GivenRun, judged_run
from lsr.options import chosen
from lsr.types import Qrels, Query

__all__ = ["Difference", "RunComparison", "compare_runs"]


class Difference(NamedTuple):
    """A query on which runs differ.

    Attributes:
        text: of the query; empty where it is not known.
        values: run to value of the measure.
        change: the largest difference of a run from the baseline, with its sign.
    """

    query_id: str
    text: str
    values: dict[str, float]
    change: float


@dataclass(frozen=True)
class RunComparison:
    """Figures of runs, and of their differences from one of them.

    Attributes:
        title: of the judgements.
        n_queries: judged queries, which all count.
        depth: hits of a query that count; None for all.
        baseline: the run that the others are compared with.
        results: of each run, in the order given; `metrics` are means, `by_query` single values.
        tests: test to run to measure to comparison, corrected together for all runs.
        texts: of queries, by query_id, where they are known.
        notes: sentences on what did not count, and on what was counted how.

    Example:
        >>> import lsr
        >>> runs = {"bm25": {"q1": {"a": 2.0, "b": 1.0}}, "mine": {"q1": {"b": 9.0, "a": 3.0}}}
        >>> compared = lsr.compare_runs(runs, {"q1": {"b": 1}}, metrics=["RR@10"])
        >>> compared.tests["t-test"]["mine"]["RR@10"].wins
        1
        >>> [(each.query_id, each.change) for each in compared.differing()]
        [('q1', 0.5)]
    """

    title: str
    n_queries: int
    depth: int | None
    baseline: str
    results: tuple[SystemResult, ...]
    tests: dict[Test, Family]
    texts: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def metrics(self) -> list[str]:
        return list(self.results[0].metrics)

    def differing(self, most: int = 10, metric: str | None = None) -> list[Difference]:
        """The queries on which a run differs most from the baseline; none without a difference.

        Args:
            metric: one of `metrics`; default: the first. Equal differences are in the order of
                the judgements.
        """
        metric = self.metrics[0] if metric is None else metric
        values = {result.name: result.by_query[metric] for result in self.results}
        base = values[self.baseline]
        found: list[Difference] = []
        for query_id in base:
            here = {name: each[query_id] for name, each in values.items()}
            change = max((value - base[query_id] for value in here.values()), key=abs)
            if change:
                found.append(Difference(query_id, self.texts.get(query_id, ""), here, change))
        return sorted(found, key=lambda difference: -abs(difference.change))[:most]

    def sorted_changes(self, metric: str | None = None) -> dict[str, list[float]]:
        """Run to its differences from the baseline, greatest first; one run alone: its values.

        Args:
            metric: one of `metrics`; default: the first.
        """
        metric = self.metrics[0] if metric is None else metric
        values = {result.name: result.by_query[metric] for result in self.results}
        if len(values) == 1:
            return {name: sorted(each.values(), reverse=True) for name, each in values.items()}
        base = values.pop(self.baseline)
        return {
            name: sorted((each[query_id] - base[query_id] for query_id in base), reverse=True)
            for name, each in values.items()
        }

    def as_dict(self, most: int = 10) -> dict[str, Any]:
        """Everything but the runs, as plain values: what `--json` writes.

        Args:
            most: queries that are listed, those that differ most.
        """
        return {
            "judgements": self.title,
            "n_queries": self.n_queries,
            "depth": self.depth,
            "baseline": self.baseline,
            "runs": [
                {
                    "name": result.name,
                    "metrics": result.metrics,
                    "against_baseline": {
                        test: {metric: asdict(each) for metric, each in family[result.name].items()}
                        for test, family in self.tests.items()
                        if result.name in family
                    },
                    "by_query": result.by_query,
                }
                for result in self.results
            ],
            "differing": [each._asdict() for each in self.differing(most)],
            "notes": list(self.notes),
        }


def compare_runs(
    runs: Mapping[str, RunLike],
    qrels: str | Path | Qrels | Judgements,
    *,
    metrics: Sequence[str] | None = None,
    baseline: str = "",
    tests: Sequence[str] = ("t-test",),
    depth: int | None = None,
) -> RunComparison:
    """Measure runs on the same judgements, and test each against one of them.

    Hits count in the order of trec_eval: by score in 32 bits, equal ones by doc_id descending.
    Every judged query counts, as 0 where a run has no hits for it (`trec_eval -c`).

    Args:
        runs: name to a file (TREC, JSON, ranx's), to `{query_id: {doc_id: score}}`, or to an
            `lsr.Run`.
        qrels: a file of judgements, a BEIR folder, `irds:ID`, or `{query_id: {doc_id: grade}}`.
        metrics: as ir_measures writes them; default: those of `lsr eval`.
        baseline: the run that the others are compared with; default: the first.
        tests: `t-test`, `randomization`, or both; two-sided, paired by query, and corrected by
            Holm's method for the number of runs, on each measure.
        depth: hits of a query that count; default: all.

    Raises:
        InputError: there is no run, a measure, test or baseline is unknown, no query of a run is
            judged, or nothing is relevant.
        DataError: a file is missing or wrong.
        UnavailableError: ir_measures is not installed, or what reads a file is not.

    Example:
        >>> import lsr
        >>> runs = {"bm25": {"q1": {"a": 2.0, "b": 1.0}}, "mine": {"q1": {"b": 9.0, "a": 3.0}}}
        >>> compared = lsr.compare_runs(runs, {"q1": {"b": 1}}, metrics=["RR@10"])
        >>> [result.metrics["RR@10"] for result in compared.results]
        [0.5, 1.0]
    """
    if not runs:
        raise InputError("there is no run to measure; name one at least")
    if baseline and baseline not in runs:
        raise InputError(f"the baseline {baseline} is not among the runs: {', '.join(runs)}")
    if depth is not None and depth < 1:
        raise InputError(f"depth is {depth}; it must be at least 1")
    asked = [chosen(test, TESTS, "test") for test in dict.fromkeys(tests)]
    judgements = _judgements(qrels)
    measures = parse_metrics(judgements.metrics if metrics is None else metrics)
    given: list[GivenRun] = []
    for name, (run, source) in opened(runs).items():
        judged, said = judged_run(name, run, source, judgements.qrels, judgements.title)
        given.append(GivenRun(name, judged, "", said))
    itself = judgements.itself(_own(given))
    queries = [Query(each, judgements.texts.get(each, "")) for each in judgements.qrels]
    results = [
        evaluate_system(
            each,
            queries,
            judgements.qrels,
            measures,
            depth=depth or max(map(len, each.run.values())),
            itself=itself,
        )
        for each in given
    ]
    baseline = baseline or results[0].name
    values = {result.name: result.by_query for result in results}
    notes = [*judgements.notes]
    for each, result in zip(given, results, strict=True):
        notes += [*each.notes, *_notes_on_own(each, itself, judgements.corpus is None)]
        notes += result.notes
    return RunComparison(
        title=judgements.title,
        n_queries=len(judgements.qrels),
        depth=depth,
        baseline=baseline,
        results=tuple(replace(result, notes=()) for result in results),
        tests={test: against(values, baseline, test) for test in asked if len(results) > 1},
        texts=judgements.texts,
        notes=tuple(notes),
    )


def _judgements(qrels: str | Path | Qrels | Judgements) -> Judgements:
    if isinstance(qrels, Judgements):
        return qrels
    return Judgements.open(str(qrels)) if isinstance(qrels, str | Path) else Judgements.of(qrels)


def _own(given: Sequence[GivenRun]) -> set[str]:
    """Queries for which a run has a document of the same id."""
    return {
        query_id
        for each in given
        for query_id, hits in each.run.items()
        if any(hit.doc_id == query_id for hit in hits)
    }


def _notes_on_own(given: GivenRun, itself: frozenset[str], only_a_file: bool) -> list[str]:
    own = _own([given])
    if only_a_file and own:
        return [
            f"{given.name}: a document has the query's own id in {named(sorted(own))}, and counts; "
            "given the collection, a document that is the query itself would be left out"
        ]
    if left_out := sorted(own & itself):
        return [f"{given.name}: the query itself is a hit in {named(left_out)}: left out"]
    return []
