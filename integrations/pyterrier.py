"""PyTerrier: a collection as an index with its transformers, for pipelines and `pt.Experiment`.

    index = LsrIndex("my-index", sparse="bm25").index(dataset.get_corpus_iter())
    pt.Experiment([index.sparse(), index.hybrid()], topics, qrels, ["ndcg_cut_10"])

Nothing here starts Java.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import count
from typing import Any

import lsr
from lsr.errors import InputError
from lsr.integrations.handle import Handle, Index, Mode, missing, opened

try:
    import pandas as pd
    import pyterrier as pt
except ImportError as error:
    raise missing("python-terrier", "pyterrier") from error

__all__ = ["LsrIndex", "LsrRetriever"]

_DEFAULT_K = 1000
"""Hits of a query; that of PyTerrier's own retrievers."""

_FEEDBACK: dict[Mode, dict[str, Any]] = {
    "sparse": {"sparse": {"enabled": True}},
    "dense": {"interpolate": "dense_only"},
    "hybrid": {"interpolate": "post"},
}
"""What a plan says of feedback in each mode."""


class LsrIndex(pt.Indexer):
    """A collection as an indexer, and what makes retrievers over it.

    Args:
        index: a folder, whose collection the first documents build, or what `lsr.open` returns.
        sparse, dense: models of a collection that is built, as `lsr.build` takes them.
        text_attrs: fields of a record that are its text, put together by blanks; `title` is the
            title, `docno` the id, and other fields are metadata.

    Raises:
        InputError: the collection is there, and has vectors of other models.
    """

    def __init__(
        self,
        index: Index,
        *,
        sparse: str | None = None,
        dense: str | None = None,
        text_attrs: Sequence[str] = ("text",),
    ) -> None:
        self._handle = Handle(index, sparse, dense)
        self._text_attrs = [text_attrs] if isinstance(text_attrs, str) else list(text_attrs)

    @property
    def collection(self) -> lsr.Collection:
        """The collection. Raises IndexMissingError before the first documents."""
        return self._handle.collection or opened(self._handle.path)

    def index(self, iter: Iterable[Mapping[str, Any]]) -> LsrIndex:  # noqa: A002
        """Add records, or build the collection of them; records of known docnos are replaced.

        Args:
            iter: of mappings with `docno` and the fields of `text_attrs`; read once.

        Returns:
            This index.

        Raises:
            InputError: a record lacks a field, a docno comes twice, or a field is not JSON.
        """
        self._handle.add(map(self._document, count(1), iter))
        return self

    def index_inputs(self) -> list[list[str]]:
        """Fields of a record."""
        return [["docno", *self._text_attrs]]

    def retriever(self, k: int = _DEFAULT_K, *, plan: lsr.SearchPlan | None = None) -> LsrRetriever:
        """The k best documents by a plan; by default the collection's own."""
        return LsrRetriever(self, k, plan)

    def sparse(self, k: int = _DEFAULT_K) -> LsrRetriever:
        """The k best by sparse vectors, BM25's among them."""
        return self.retriever(k, plan=lsr.plan_from({"mode": "sparse"}))

    def dense(self, k: int = _DEFAULT_K) -> LsrRetriever:
        """The k best by dense vectors."""
        return self.retriever(k, plan=lsr.plan_from({"mode": "dense"}))

    def hybrid(self, k: int = _DEFAULT_K, *, weight_sparse: float | None = None) -> LsrRetriever:
        """The k best by a weighted sum of both.

        Args:
            weight_sparse: share of the sparse side, 0 to 1; default: see `lsr.SearchPlan`.
        """
        given = {"mode": "hybrid", "fusion": {"weight_sparse": weight_sparse}}
        return self.retriever(k, plan=lsr.plan_from(given))

    def feedback(
        self, k: int = _DEFAULT_K, *, mode: Mode = "sparse", depth: int = 3
    ) -> LsrRetriever:
        """The k best after feedback: the query is moved towards the documents found first.

        Args:
            mode: sparse, dense or hybrid.
            depth: documents to learn from.
        """
        plan = lsr.plan_from({"mode": mode})
        given = {"prf": {**_FEEDBACK[mode], "depth": depth}}
        return self.retriever(k, plan=lsr.plan_from(given, plan))

    def _document(self, number: int, given: Mapping[str, Any]) -> lsr.Document:
        lacking = [name for name in ("docno", *self._text_attrs) if name not in given]
        if lacking:
            raise InputError(
                f"record {number} has no {lacking[0]}, but {', '.join(given)}; name the fields of "
                "its text by text_attrs"
            )
        text = " ".join(str(given[name]) for name in self._text_attrs)
        title = "" if "title" in self._text_attrs else str(given.get("title") or "")
        used = {"docno", "title", *self._text_attrs}
        metadata = {name: value for name, value in given.items() if name not in used}
        return lsr.Document(str(given["docno"]), text, title, metadata)

    def __repr__(self) -> str:
        return f"LsrIndex({str(self._handle.path)!r})"


class LsrRetriever(pt.Transformer):
    """Queries in, their best documents out: docno, score and rank beside the queries' columns.

    Args:
        index: the index, or the folder of one, or what `lsr.open` returns.
        k: hits of a query. The window of a fusion is widened to it.
        plan: how to search; default: the collection's own.
    """

    def __init__(
        self,
        index: LsrIndex | Index,
        k: int = _DEFAULT_K,
        plan: lsr.SearchPlan | None = None,
    ) -> None:
        self.index = index if isinstance(index, LsrIndex) else LsrIndex(index)
        self.k = k
        self.plan = plan

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Search for every query; a blank one has no hits.

        Args:
            inp: with the columns qid and query.

        Raises:
            InputValidationError: of PyTerrier's, where these are not there.
            QueryError: the collection lacks a side that the plan asks for, or k is below 1.
        """
        pt.validate.query_frame(inp, extra_columns=["query"], context=self)
        found = pt.new.DataFrameBuilder(["docno", "score", "rank"])
        queries = [lsr.Query(str(n), query) for n, query in enumerate(inp["query"])]
        asked = [query for query in queries if query.text.strip()]
        run = self._retriever().retrieve(asked, self.k) if asked else {}
        for n, query in enumerate(queries):
            for rank, hit in enumerate(run.get(query.query_id, ())):
                found.extend({"_index": n, "docno": hit.doc_id, "score": hit.score, "rank": rank})
        return found.to_df(merge_on_index=inp)

    def fuse_rank_cutoff(self, k: int) -> LsrRetriever:
        """The same for fewer hits: what `retriever % k` is compiled to."""
        return self if k >= self.k else LsrRetriever(self.index, k, self.plan)

    def _retriever(self) -> Any:
        reader = self.index.collection.reader
        plan = self.plan or reader.default_plan
        if (plan.mode or reader.modes[0]) == "hybrid":
            plan = replace(plan, window=max(plan.window, self.k))
        return reader.retriever(plan)

    def __repr__(self) -> str:
        plan = _differences(self.plan, lsr.SearchPlan()) if self.plan else []
        return f"LsrRetriever({', '.join([repr(self.index), f'k={self.k}', *plan])})"


def _differences(given: Any, default: Any, path: str = "") -> list[str]:
    """Fields of a plan that are not the default, by their whole names."""
    found = []
    for field in fields(default):
        value, usual = getattr(given, field.name), getattr(default, field.name)
        if is_dataclass(usual):
            found += _differences(value, usual, f"{path}{field.name}.")
        elif value != usual:
            found.append(f"{path}{field.name}={value}")
    return found
