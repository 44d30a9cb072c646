"""`Judgements`: what runs are measured by, from a file or a collection."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

from lsr.datasets.open import (
    IRDS_PREFIX,
    JudgedCorpus,
    open_judged_corpus,
    open_qrels,
    open_queries,
)
from lsr.errors import InputError
from lsr.evaluation.evaluate import DEFAULT_METRICS
from lsr.evaluation.judged import DEFAULT_SPLIT, is_itself
from lsr.evaluation.suites import members
from lsr.types import Qrels

__all__ = ["Judgements"]


@dataclass(frozen=True)
class Judgements:
    """Judgements of queries, all of which count.

    Attributes:
        title: of the collection and split, or of the file.
        qrels: every query in it has a judgement.
        texts: of queries, by query_id; empty where none are known.
        metrics: measures, unless others are asked for.
        corpus: the collection; None where only a file of judgements is known.
        notes: sentences on what is odd in them.
    """

    title: str
    qrels: Qrels
    texts: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = DEFAULT_METRICS
    corpus: JudgedCorpus | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, source: str, split: str | None = None, queries: Path | None = None) -> Judgements:
        """Read judgements.

        Args:
            source: a file of judgements, a BEIR folder, `irds:ID`, or a suite of one collection.
            split: of a BEIR folder; default: `test`.
            queries: a file of queries with their texts; default: those of the collection.

        Raises:
            InputError: nothing is relevant, the source is a suite of several collections, or a
                split is named where there are none.
            DataError: a file is missing or wrong.
        """
        if Path(source).is_file():
            if split is not None:
                raise InputError(
                    f"--split {split}: {source} is one file of judgements; leave the option out"
                )
            found = cls.of(open_qrels(Path(source)), Path(source).name)
        else:
            found = cls._of_set(source, split)
        if queries is None:
            return found
        texts = {query.query_id: query.text for query in open_queries(queries)}
        if not texts.keys() & found.qrels.keys():
            raise InputError(
                f"{queries}: none of its queries is judged in {found.title}; is it the file of "
                "this collection?"
            )
        return cls(found.title, found.qrels, texts, found.metrics, found.corpus, found.notes)

    @classmethod
    def of(cls, qrels: Qrels, title: str = "the judgements") -> Judgements:
        """Judgements that are there already.

        Raises:
            InputError: nothing is relevant.
        """
        judged = {query_id: grades for query_id, grades in qrels.items() if grades}
        grades = [grade for each in judged.values() for grade in each.values()]
        if not any(grade > 0 for grade in grades):
            raise InputError(
                f"{title}: no document has a grade above 0, so there is nothing to measure; check "
                "the split and the columns"
            )
        notes: list[str] = []
        if below := sum(grade < 0 for grade in grades):
            have = "judgement has a grade" if below == 1 else "judgements have grades"
            notes.append(
                f"{title}: {below:,} {have} below 0, which is not relevant, as trec_eval has it"
            )
        empty = sum(not any(grade > 0 for grade in each.values()) for each in judged.values())
        if empty:
            have = "query has" if empty == 1 else "queries have"
            notes.append(f"{title}: {empty:,} judged {have} no relevant document: counted as 0")
        return cls(title, judged, notes=tuple(notes))

    @classmethod
    def _of_set(cls, source: str, split: str | None) -> Judgements:
        found = members([source])
        if len(found) > 1:
            raise InputError(
                f"--qrels {source} is a suite of {len(found)} collections, and a run is of one; "
                "name the one"
            )
        (member,) = found
        has_splits = not member.source.startswith(IRDS_PREFIX)
        if split is not None and not has_splits:
            raise InputError(
                f"--split {split}: {source} has its split in its id; leave the option out"
            )
        corpus = open_judged_corpus(member.source)
        split = (split or DEFAULT_SPLIT) if has_splits else ""
        title = f"{corpus.name} ({split})" if split else corpus.name
        judged = cls.of(corpus.qrels(split), title)
        texts = {query.query_id: query.text for query in corpus.queries()}
        return cls(title, judged.qrels, texts, member.metrics, corpus, judged.notes)

    def itself(self, query_ids: AbstractSet[str]) -> frozenset[str]:
        """Those of the queries that are documents of the same id themselves, as in ArguAna.

        Documents are read until all of these ids were seen; without any, none are.
        """
        found: set[str] = set()
        awaited = set(query_ids)
        if self.corpus is None or not awaited:
            return frozenset()
        for document in self.corpus.documents():
            doc_id = document.doc_id
            if doc_id in awaited:
                awaited.discard(doc_id)
                if is_itself(self.texts.get(doc_id), document):
                    found.add(doc_id)
                if not awaited:
                    break
        return frozenset(found)
