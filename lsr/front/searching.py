"""`Searching`: what can be asked of an open collection, without changing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.closing import told_models, told_size
from lsr.encoders.analysis import Analyzer
from lsr.errors import InputError, QueryError
from lsr.front.answers import Answers
from lsr.front.queries import Queries, queries_of
from lsr.front.threads import awaited, each_on_threads
from lsr.index.collection.reader import CollectionReader
from lsr.progress import ProgressLike
from lsr.retrieval.answers.answer import Answer
from lsr.retrieval.answers.html import escaped
from lsr.retrieval.filter import Filter
from lsr.retrieval.plan import Mode, SearchPlan, plan_from
from lsr.sparse import SparseVector
from lsr.types import Document, Query

__all__ = ["Searching"]

Where = Mapping[str, object] | Filter


class Searching:
    """The part of a collection's handle that searches. Several threads may do so at once.

    Args:
        path: the collection's folder.
        reader: the generation that is searched.

    Raises:
        InputError: there is no reader: a path alone is for `open`.
    """

    def __init__(self, path: Path, reader: CollectionReader | None = None) -> None:
        if reader is None:
            raise InputError(f"an index is opened by a call: lsr.open({str(path)!r})")
        self.path = path
        self._reader = reader

    @property
    def reader(self) -> CollectionReader:
        """The generation that is searched now, with all that is in it."""
        return self._reader

    @property
    def n_documents(self) -> int:
        """Documents that can be found."""
        return self._reader.n_documents

    def document(self, doc_id: str) -> Document:
        """A document by id. Raises NotFoundError when there is none."""
        return self._reader.document(doc_id)

    def search(
        self,
        text: str = "",
        *,
        k: int = 10,
        offset: int = 0,
        mode: Mode | None = None,
        where: Where | None = None,
        plan: SearchPlan | None = None,
        sparse_vector: SparseVector | None = None,
        dense_vector: NDArray[np.float32] | None = None,
        facets: Sequence[object] = (),
        sort: str | Sequence[object] = (),
        collapse: object = None,
        min_score: float | None = None,
        count: bool = False,
        passages: int = 1,
    ) -> Answer:
        """Search, and fetch the documents found. See `CollectionReader.search`.

        Example:
            >>> import lsr
            >>> documents = [lsr.Document("a", "Keys rotate.", metadata={"team": "ops"})]
            >>> index = lsr.build(documents, "my-index", sparse="bm25")
            >>> [(hit.doc_id, round(hit.score, 3)) for hit in index.search("key")]
            [('a', 0.151)]
            >>> len(index.search("key", where={"team": "sales"}))
            0
        """
        if not isinstance(text, str):
            raise QueryError(
                f"search takes one text and was given a {type(text).__name__}; search_many takes "
                "several: a list, a dict of id to text, or a DataFrame"
            )
        reader = self._reader
        answer = reader.search(
            text,
            k=k,
            offset=offset,
            mode=mode,
            where=where,
            plan=plan,
            sparse_vector=sparse_vector,
            dense_vector=dense_vector,
            facets=facets,
            sort=sort,
            collapse=collapse,
            min_score=min_score,
            count=count,
            passages=passages,
        )
        return _marking(answer, reader)

    asearch = awaited(
        search,
        "asearch",
        """Search as `search` does, on a thread: `await index.asearch("rotate a key")`.

        Cancelled, it returns at once, and the search that was begun ends without it.

        Example:
            >>> import asyncio, lsr
            >>> index = lsr.build([lsr.Document("a", "Keys rotate.")], "my-index", sparse="bm25")
            >>> [hit.doc_id for hit in asyncio.run(index.asearch("key"))]
            ['a']
        """,
    )

    def search_many(
        self,
        queries: Queries,
        *,
        k: int = 10,
        mode: Mode | None = None,
        where: Where | None = None,
        plan: SearchPlan | None = None,
        min_score: float | None = None,
        passages: int = 1,
        n_threads: int = 1,
        progress: ProgressLike = False,
    ) -> Answers:
        """Search for each query; every answer is the one that `search` gives, to the bit.

        All are of one generation.

        Args:
            queries: texts, whose ids are "0", "1" and so on; texts by id; `lsr.Query` records; or
                a DataFrame with columns qid and query.
            k, mode, where, plan, min_score, passages: as of `search`.
            n_threads: queries at a time. It pays where the engine has much to do (long queries,
                very many documents), which it does without Python's lock; it costs elsewhere.
            progress: True for a bar, or a function of (stage, done, total).

        Raises:
            QueryError: a query is blank or comes twice, or as of `search`; nothing is returned.
            DataError: a row of the DataFrame is wrong.

        Example:
            >>> import lsr
            >>> documents = [lsr.Document("a", "Keys rotate."), lsr.Document("b", "Backups run.")]
            >>> index = lsr.build(documents, "my-index", sparse="bm25")
            >>> answers = index.search_many(["key", "backup"])
            >>> [answer[0].doc_id for answer in answers]
            ['a', 'b']
        """
        reader, asked = self._reader, queries_of(queries)

        def ask(query: Query) -> Answer:
            answer = reader.search(
                query.text,
                k=k,
                mode=mode,
                where=where,
                plan=plan,
                min_score=min_score,
                passages=passages,
            )
            return _marking(answer, reader)

        answers = each_on_threads(ask, asked, n_threads, progress)
        return Answers(tuple(asked), tuple(answers))

    asearch_many = awaited(
        search_many,
        "asearch_many",
        """Search as `search_many` does, on a thread.

        Example:
            >>> import asyncio, lsr
            >>> index = lsr.build([lsr.Document("a", "Keys rotate.")], "my-index", sparse="bm25")
            >>> asyncio.run(index.asearch_many(["key", "turn"])).to_run()["0"].keys()
            dict_keys(['a'])
        """,
    )

    def rank(
        self,
        queries: Queries,
        *,
        k: int = 1000,
        mode: Mode | None = None,
        where: Where | None = None,
        plan: SearchPlan | None = None,
        n_threads: int = 1,
        progress: ProgressLike = False,
    ) -> dict[str, dict[str, float]]:
        """Scores by query and document, best first: a run, without fetching the documents.

        The scores are those of `search`, to the bit. A fusion ranks what is in the window of its
        plan, and no more, as `lsr eval` does.

        Args and errors are those of `search_many`.

        Example:
            >>> import lsr
            >>> documents = [lsr.Document("a", "Keys rotate."), lsr.Document("b", "Backups run.")]
            >>> index = lsr.build(documents, "my-index", sparse="bm25")
            >>> run = index.rank({"q1": "key", "q2": "backup"})
            >>> [(query_id, list(scores)) for query_id, scores in run.items()]
            [('q1', ['a']), ('q2', ['b'])]
        """
        reader, asked = self._reader, queries_of(queries)
        plan = plan or reader.default_plan
        retriever = reader.retriever(plan if mode is None else plan_from({"mode": mode}, plan))
        allowed = reader.metadata.mask(where) if where else None

        def ask(query: Query) -> dict[str, float]:
            hits = retriever.retrieve([query], k, allowed)[query.query_id]
            return {hit.doc_id: hit.score for hit in hits}

        ranked = each_on_threads(ask, asked, n_threads, progress)
        return {query.query_id: scores for query, scores in zip(asked, ranked, strict=True)}

    def __len__(self) -> int:
        return self.n_documents

    def __repr__(self) -> str:
        told = [repr(str(self.path)), told_size(self._reader), *told_models(self._reader)]
        return f"{type(self).__name__}({', '.join(told)})"

    def _repr_html_(self) -> str:
        lines = [told_size(self._reader), *told_models(self._reader)]
        told = "".join(f"<br>{escaped(line)}" for line in lines)
        return f"<div><b>{escaped(str(self.path))}</b>{told}</div>"


def _marking(answer: Answer, reader: CollectionReader) -> Answer:
    """The answer, which marks words as the collection reads them."""
    analyzer = getattr(reader.encoder, "analyzer", None)
    return replace(answer, analyzer=analyzer) if isinstance(analyzer, Analyzer) else answer
