"""`Benchmark`: systems over collections, checked as a whole before anything is encoded.

check  names, plans, measures, files to write, models (each is opened)
read   documents, queries, judgements and given runs of every collection
------ only now anything is encoded
measure  collection by collection, system by system; each result is kept when it is there
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lsr.datasets.open import JudgedCorpus, open_judged_corpus
from lsr.errors import InputError, UnavailableError
from lsr.evaluation.evaluate import System, SystemResult, compared, evaluate_system, parse_metrics
from lsr.evaluation.judged import DEFAULT_SPLIT, JudgedCollection, read_judged
from lsr.evaluation.lucene import LuceneBm25
from lsr.evaluation.models import Models
from lsr.evaluation.report import CollectionReport
from lsr.evaluation.results_folder import ResultsFolder
from lsr.evaluation.run_files import GivenRun, RunFile, run_path, save_run
from lsr.evaluation.suites import SuiteMember
from lsr.evaluation.system_names import SystemSpec, is_tuned
from lsr.evaluation.systems import (
    SystemOptions,
    Systems,
    check_systems,
    check_tuning,
    fusion_window,
    tuning_split,
)
from lsr.files import sha256_of
from lsr.progress import Progress, no_progress

__all__ = ["Benchmark", "Prepared"]


def _unheard(sentence: str) -> None:
    """For those who do not want to be told."""


@dataclass(frozen=True)
class Prepared:
    """A collection that was read and can be measured.

    Attributes:
        measures: as `parse_metrics` gives them.
    """

    collection: JudgedCollection
    measures: dict[str, Any]


@dataclass(frozen=True)
class Benchmark:
    """An evaluation of systems.

    Attributes:
        specs: systems to be made.
        runs: systems whose runs are in files.
        models: opens those of the specs.
        baseline: the system that others are compared with; empty for the first.
        results: where results are kept, and found again; None for nowhere.
        run_dir: where runs are saved; None for nowhere.
        say: is told, in sentences, what was not done because it was done before.
        notes: sentences for every report.
    """

    specs: Sequence[SystemSpec]
    runs: Sequence[RunFile]
    models: Models
    options: SystemOptions
    baseline: str = ""
    results: ResultsFolder | None = None
    run_dir: Path | None = None
    progress: Progress = no_progress
    say: Callable[[str], None] = _unheard
    notes: tuple[str, ...] = ()

    def prepare(self, members: Sequence[SuiteMember], split: str | None = None) -> list[Prepared]:
        """Check everything and read every collection; encodes nothing but a few words.

        Args:
            members: collections and their measures.
            split: of BEIR folders; default: `test`.

        Raises:
            InputError: something cannot be done as asked.
            DataError: a collection or a run cannot be read.
            UnavailableError: the baseline, or every system, needs what is not installed.
        """
        names = [spec.name for spec in self.specs] + [run.name for run in self.runs]
        self._check_names(names)
        check_systems(self.specs, self.options)
        measures = [parse_metrics(member.metrics) for member in members]
        corpora = [open_judged_corpus(member.source) for member in members]
        datasets = [corpus.name for corpus in corpora]
        for dataset in datasets:
            if datasets.count(dataset) > 1:
                raise InputError(
                    f"two collections are called {dataset}, so their results would mix; rename "
                    "one of the folders"
                )
        for run in self.runs:
            run.check(datasets)
        tunes = any(is_tuned(spec.kind) for spec in self.specs)
        for corpus in corpora if tunes else []:
            tuning_split(corpus, split or DEFAULT_SPLIT, self.options)
        self.models.check(*self._model_names())
        self._check_available(names)
        prepared: list[Prepared] = []
        for member, corpus, measure in zip(members, corpora, measures, strict=True):
            collection = self._read(member.source, corpus, split)
            if tunes:
                check_tuning(collection, self.options)
            prepared.append(Prepared(collection, measure))
        return prepared

    def measure(self, prepared: Prepared) -> CollectionReport:
        """Measure every system on a collection, but for those whose results are kept."""
        collection = prepared.collection
        results: list[SystemResult] = []
        unavailable = self._unavailable()
        specs = [spec for spec in self.specs if spec.name not in unavailable]
        reused: list[str] = []
        with tempfile.TemporaryDirectory(prefix="lsr-eval-") as work:
            systems = Systems(
                collection, specs, self.models, self.options, Path(work), self.progress
            )
            try:
                for spec in specs:
                    key = self._key(prepared, systems.describe(spec))
                    result = self._kept(collection.name, spec.name, key)
                    if result is not None:
                        reused.append(spec.name)
                    else:
                        try:
                            made = systems.make(spec)
                        except UnavailableError as error:
                            unavailable[spec.name] = str(error)
                            continue
                        result = self._measured(prepared, made)
                        result = self._with_cost(result, systems, spec)
                        self._keep(collection.name, result, key)
                    results.append(result)
            finally:
                systems.close()
        for file in self.runs:
            given = GivenRun.read(file, collection, self.options.depth)
            result = self._measured(prepared, given)
            results.append(replace(result, notes=(*given.notes, *result.notes)))
            self._save_run(collection.name, result)
        if reused and self.results is not None:
            self.say(
                f"{collection.name}: measured before, and taken from {self.results.path}: "
                f"{', '.join(reused)}"
            )
        return self._report(prepared, results, unavailable)

    def _check_names(self, names: list[str]) -> None:
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InputError(f"two systems are called {twice}; rename a run, or a model's folder")
        if not names:
            raise InputError("there is no system to measure; name --systems or --run")
        if self.baseline and self.baseline not in names:
            raise InputError(
                f"--baseline {self.baseline} is none of the systems: {', '.join(names)}"
            )

    def _model_names(self) -> tuple[list[str], list[str]]:
        sparse = dict.fromkeys(spec.sparse for spec in self.specs if spec.sparse is not None)
        dense = dict.fromkeys(spec.dense for spec in self.specs if spec.dense is not None)
        return list(sparse), list(dense)

    def _unavailable(self) -> dict[str, str]:
        """System to what is not installed for it."""
        found: dict[str, str] = {}
        for spec in self.specs:
            for model in (spec.sparse, spec.dense):
                if model in self.models.unavailable:
                    found[spec.name] = self.models.unavailable[str(model)]
            if spec.kind == LuceneBm25.name:
                try:
                    LuceneBm25.check_available()
                except UnavailableError as error:
                    found[spec.name] = str(error)
        return found

    def _check_available(self, names: list[str]) -> None:
        missing = self._unavailable()
        if self.baseline in missing or len(missing) == len(names):
            name = self.baseline if self.baseline in missing else names[0]
            raise UnavailableError(f"{name} is not available: {missing[name]}")

    def _read(self, source: str, corpus: JudgedCorpus, split: str | None) -> JudgedCollection:
        ranked = {run.name: run.doc_ids(corpus.name) for run in self.runs}
        collection, absent = read_judged(
            source,
            corpus,
            split,
            wanted=frozenset().union(*ranked.values()),
            as_run_file=self.run_dir is not None,
            progress=self.progress,
        )
        for run in self.runs:
            if unknown := sorted(ranked[run.name] & absent):
                raise InputError(
                    f"--run {run.name}: {len(unknown):,} documents of {run.path(corpus.name)} are "
                    f"not in {corpus.name}, such as {unknown[0]!r}; is it a run of this collection?"
                )
            GivenRun.read(run, collection, self.options.depth)
        return collection

    def _key(self, prepared: Prepared, described: dict[str, Any]) -> dict[str, Any]:
        return {
            "lsr": version("lsr-search"),
            "collection": prepared.collection.sha256,
            "metrics": list(prepared.measures),
            "depth": self.options.depth,
            "system": described,
        }

    def _kept(self, dataset: str, system: str, key: dict[str, Any]) -> SystemResult | None:
        """A result of before, unless its run is wanted and not there."""
        if self.results is None:
            return None
        kept = self.results.find(dataset, system, key)
        for path, why in self.results.damaged.items():
            self.say(f"warning: {path} cannot be used ({why}), so it is measured again")
        self.results.damaged.clear()
        if kept is not None and self.run_dir is not None:
            path = run_path(self.run_dir, dataset, system)
            if not path.is_file() or sha256_of(path) != kept.run_sha256:
                return None
        return kept.result if kept is not None else None

    def _measured(self, prepared: Prepared, system: System) -> SystemResult:
        collection = prepared.collection
        return evaluate_system(
            system,
            collection.queries,
            collection.qrels,
            prepared.measures,
            depth=self.options.depth,
            itself=collection.itself,
            progress=self.progress,
        )

    def _with_cost(self, result: SystemResult, systems: Systems, spec: SystemSpec) -> SystemResult:
        cost, notes = systems.cost(spec), [*systems.notes(spec), *result.notes]
        window = fusion_window(spec, self.options)
        deep = [name for name in result.metrics if _cutoff(name) > (window or self.options.depth)]
        if window is not None and deep:
            notes.append(
                f"{spec.name}: fusion looks at the best {window:,} of each side, as in a search; "
                f"for {', '.join(deep)} set more with --set window=1000"
            )
        if cost is None:
            return replace(result, notes=tuple(notes))
        return replace(result, notes=tuple(notes), terms=cost.terms, flops=cost.flops)

    def _keep(self, dataset: str, result: SystemResult, key: dict[str, Any]) -> None:
        sha256 = self._save_run(dataset, result)
        if self.results is not None:
            self.results.keep(dataset, result, key, sha256)

    def _save_run(self, dataset: str, result: SystemResult) -> str:
        return save_run(self.run_dir, dataset, result.name, result.run) if self.run_dir else ""

    def _report(
        self, prepared: Prepared, results: list[SystemResult], unavailable: dict[str, str]
    ) -> CollectionReport:
        collection = prepared.collection
        names = [result.name for result in results]
        baseline = self.baseline or next(iter(names), "")
        baseline = baseline if baseline in names else ""
        return CollectionReport(
            dataset=collection.name,
            split=collection.split,
            n_documents=collection.n_documents,
            n_queries=len(collection.qrels),
            depth=self.options.depth,
            results=compared(results, baseline) if baseline else results,
            unavailable=unavailable,
            warnings=list(collection.warnings),
            notes=list(
                dict.fromkeys([*self.notes, *(note for each in results for note in each.notes)])
            ),
            baseline=baseline,
        )


def _cutoff(metric: str) -> int:
    """The rank that a measure ends at; 0 where it has none."""
    cutoff = metric.rpartition("@")[2]
    return int(cutoff) if cutoff.isdecimal() else 0
