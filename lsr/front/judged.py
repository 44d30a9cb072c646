"""`TestCollection`: documents with judged queries, as evaluation takes them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import ClassVar

from lsr.datasets.open import IRDS_PREFIX, open_judged_corpus
from lsr.documents import ReadDocuments, read_documents
from lsr.errors import InputError
from lsr.evaluation.evaluate import judged_queries
from lsr.evaluation.judged import DEFAULT_SPLIT
from lsr.types import Qrels, Query

__all__ = ["TestCollection", "read_test_collection"]


@dataclass(frozen=True)
class TestCollection:
    """Documents, queries, and judgements of one split.

    Attributes:
        source: as it was given.
        split: empty where there are no splits.
        queries: those that are judged and have text, in their order.
        qrels: judgements; some may be of queries without text, which count as 0.
        documents: all of them, read each time they are gone through.

    Example:
        >>> import lsr, pathlib
        >>> folder = pathlib.Path("tiny")
        >>> (folder / "qrels").mkdir(parents=True)
        >>> _ = (folder / "corpus.jsonl").write_text('{"_id": "a", "text": "Keys rotate."}')
        >>> _ = (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "keys"}')
        >>> _ = (folder / "qrels" / "test.tsv").write_text("q1\\ta\\t1\\n")
        >>> tiny = lsr.read_test_collection("tiny")
        >>> tiny
        TestCollection('tiny', split test, 1 judged query)
        >>> index = lsr.build(tiny.documents, "tiny-index", sparse="bm25")
        >>> lsr.evaluate(index.rank(tiny.queries), tiny.qrels, metrics=["nDCG@10"])["nDCG@10"]
        1.0
    """

    __test__: ClassVar[bool] = False  # for pytest, which takes classes of such a name for tests

    source: str
    split: str
    queries: list[Query]
    qrels: Qrels
    documents: ReadDocuments = field(compare=False)

    def __repr__(self) -> str:
        split = f", split {self.split}" if self.split else ""
        queries = "query" if len(self.queries) == 1 else "queries"
        return f"TestCollection({self.source!r}{split}, {len(self.queries):,} judged {queries})"


def read_test_collection(
    source: str | os.PathLike[str], split: str | None = None
) -> TestCollection:
    """Read a BEIR folder, or a collection of ir_datasets, as `irds:ID`.

    Args:
        split: of the judgements; default: `test`, where there are splits.

    Raises:
        DataError: a file is missing or wrong, or the source has no judged queries.
        InputError: no judged query has text, or a split is named where there are none.

    Example:
        >>> import lsr, pathlib
        >>> pathlib.Path("tiny/qrels").mkdir(parents=True)
        >>> _ = pathlib.Path("tiny/corpus.jsonl").write_text('{"_id": "a", "text": "Keys rotate."}')
        >>> _ = pathlib.Path("tiny/queries.jsonl").write_text('{"_id": "q1", "text": "keys"}')
        >>> _ = pathlib.Path("tiny/qrels/test.tsv").write_text("q1\\ta\\t1\\n")
        >>> lsr.read_test_collection("tiny").qrels
        {'q1': {'a': 1}}
    """
    name = os.fspath(source)
    has_splits = not name.startswith(IRDS_PREFIX)
    if split is not None and not has_splits:
        raise InputError(f"{name} has its split in its id; leave split={split!r} out")
    corpus = open_judged_corpus(name)
    split = (split or DEFAULT_SPLIT) if has_splits else ""
    qrels = {query_id: grades for query_id, grades in corpus.qrels(split).items() if grades}
    queries = judged_queries(list(corpus.queries()), qrels)
    if not queries:
        raise InputError(
            f"{name}: no judged query has text, so there is nothing to measure; check the split, "
            "and that the ids of queries and judgements are the same"
        )
    return TestCollection(name, split, queries, qrels, read_documents(name))
