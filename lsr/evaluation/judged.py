"""A judged collection, read once before anything is encoded, so that what is wrong shows first."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property

from lsr.datasets.open import IRDS_PREFIX, JudgedCorpus
from lsr.datasets.trec import refuse_blanks
from lsr.encoders.language import ChosenLanguage, chosen_language, sampled
from lsr.errors import InputError
from lsr.evaluation.evaluate import judged_queries, named
from lsr.progress import Progress, no_progress
from lsr.types import Document, Qrels, Query

__all__ = ["DEFAULT_SPLIT", "JudgedCollection", "doubts", "is_itself", "read_judged"]

DEFAULT_SPLIT = "test"


@dataclass(frozen=True)
class JudgedCollection:
    """A corpus with the judgements of one split.

    Attributes:
        source: as the user named it.
        split: empty where the collection has no splits.
        queries: judged ones that have text, in order.
        qrels: all that count, in their order; some may be of queries without text.
        n_documents: how many there are.
        itself: query_ids of queries that are documents of the same id themselves.
        sha256: of documents, queries and judgements.
        warnings: sentences about the data.
    """

    source: str
    corpus: JudgedCorpus
    split: str
    queries: tuple[Query, ...]
    qrels: Qrels
    n_documents: int
    itself: frozenset[str]
    sha256: str
    warnings: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.corpus.name

    @cached_property
    def language(self) -> ChosenLanguage:
        """The language found in its documents, with a sentence; when it is first asked for."""
        return chosen_language(sampled(self.corpus.documents())[0])


def read_judged(
    source: str,
    corpus: JudgedCorpus,
    split: str | None = None,
    *,
    wanted: AbstractSet[str] = frozenset(),
    as_run_file: bool = False,
    progress: Progress = no_progress,
) -> tuple[JudgedCollection, set[str]]:
    """Read documents, queries and judgements, and refuse what cannot be measured.

    Args:
        split: default: `test` where there are splits.
        wanted: doc_ids that should be there.
        as_run_file: whether ids must be such that a TREC file can hold them.

    Returns:
        The collection, and those of `wanted` that it lacks.

    Raises:
        InputError: no judged query has text, a split is named where there are none, or an id
            cannot be written.
        DataError: a file is missing or wrong.
    """
    has_splits = not source.startswith(IRDS_PREFIX)
    if split is not None and not has_splits:
        raise InputError(
            f"--split {split}: {source} has its split in its id; leave the option out, or measure "
            "it in a call of its own"
        )
    split = (split or DEFAULT_SPLIT) if has_splits else ""
    qrels = {query_id: grades for query_id, grades in corpus.qrels(split).items() if grades}
    everything = list(corpus.queries())
    queries = judged_queries(everything, qrels)
    if not queries:
        raise InputError(
            f"{source}: no judged query has text, so there is nothing to measure; check the split, "
            "and that the ids of queries and judgements are the same"
        )
    texts = {query.query_id: query.text for query in queries}
    read = _Documents(texts, {doc_id for grades in qrels.values() for doc_id in grades} | wanted)
    for done, document in enumerate(corpus.documents(), start=1):
        read.add(document, as_run_file=as_run_file)
        if done % 1000 == 0:
            progress("read", done, None)
    for query in queries:
        read.digest.update(f"{query.query_id}\0{query.text}\0".encode("utf-8", "surrogatepass"))
        if as_run_file:
            refuse_blanks(query.query_id)
    for query_id, grades in qrels.items():
        read.digest.update(f"{query_id}\0{sorted(grades.items())}\0".encode("utf-8", "replace"))
    collection = JudgedCollection(
        source,
        corpus,
        split,
        tuple(queries),
        qrels,
        read.n,
        frozenset(read.itself),
        read.digest.hexdigest(),
        tuple(doubts(corpus.name, qrels, texts, read.absent)),
    )
    return collection, {doc_id for doc_id in read.absent if doc_id in wanted}


class _Documents:
    """Notes on documents as they pass."""

    def __init__(self, texts: dict[str, str], expected: set[str]) -> None:
        self.n = 0
        self.digest = hashlib.sha256()
        self.absent = expected
        self.itself: set[str] = set()
        self._texts = texts

    def add(self, document: Document, *, as_run_file: bool) -> None:
        doc_id = document.doc_id
        if as_run_file:
            refuse_blanks(doc_id)
        self.n += 1
        said = f"{doc_id}\0{document.title}\0{document.text}\0"
        self.digest.update(said.encode("utf-8", "surrogatepass"))
        self.absent.discard(doc_id)
        if is_itself(self._texts.get(doc_id), document):
            self.itself.add(doc_id)


def is_itself(text: str | None, document: Document) -> bool:
    """Whether the query of a document's id is that document, which no answer to it counts.

    Args:
        text: of the query; None where no query has that id.
    """
    return text is not None and text.split() in (document.text.split(), document.full_text.split())


def doubts(
    name: str, qrels: Qrels, texts: Mapping[str, str], absent: AbstractSet[str]
) -> list[str]:
    """Sentences on judged documents that are not there, and on judged queries without text.

    Args:
        texts: of the judged queries that have some, by query_id.
        absent: documents that the collection lacks.
    """
    lost = [query_id for query_id in qrels if query_id not in texts]
    judged = {doc_id for grades in qrels.values() for doc_id in grades}
    said: list[str] = []
    if missing := len(judged & absent):
        documents = "document is" if missing == 1 else "documents are"
        said.append(
            f"{name}: {missing:,} judged {documents} not in the collection, so no system can "
            "find them"
        )
    if lost:
        have = "has" if len(lost) == 1 else "have"
        said.append(f"{name}: {named(lost)} {have} no text: counted as 0")
    return said
