"""Relevance, sparsity and cost of a model while it is trained, on judged sets.

With a table on the query side only the columns of the test queries' terms are needed, and
retrieval FLOPS, which count terms that queries and documents share, are exact on those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sentence_transformers import SparseEncoder

from lsr.datasets.beir import BeirFolder
from lsr.datasets.open import IRDS_PREFIX, JudgedCorpus, open_judged_corpus
from lsr.errors import InputError
from lsr.evaluation.evaluate import judged_queries, measure, parse_metrics
from lsr.evaluation.judged import doubts, is_itself
from lsr.training.data.batches import micro_batches
from lsr.training.data.pairs import Pairs
from lsr.training.models.mlm_head import Head, routes
from lsr.training.models.mlp_head import ColumnTable
from lsr.types import Document, Qrels, Query, Run, ScoredDoc

__all__ = ["EvaluationSet", "SetFigures", "evaluate_model", "takes_columns", "top_terms"]

METRICS = ("nDCG@10", "R@100")
DEPTH = 100
SAMPLED = 64
"""Documents whose active terms are counted over the whole vocabulary."""


@dataclass(frozen=True)
class EvaluationSet:
    """A judged collection, perhaps cut down.

    Attributes:
        name: of its folder, or its id with hyphens.
        queries: judged ones that have text.
        qrels: all that count; some may be of queries without text, which count as 0.
        cut: whether documents were left out, so that figures compare only with themselves.
        itself: query_ids of queries that are documents of the same id, which are no answer.
        notes: sentences about the data.
    """

    name: str
    documents: list[Document]
    queries: list[Query]
    qrels: Qrels
    cut: bool
    itself: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, source: str | Path, max_documents: int | None = None) -> EvaluationSet:
        """All judged documents, and the first others up to `max_documents` in all.

        Judged queries count as in `lsr eval`: as 0 where they have no text.

        Args:
            source: a BEIR folder, or `irds:ID` of ir_datasets.

        Raises:
            DataError: it is neither, cannot be fetched, or has no test judgements.
            InputError: no judged query has text.
            UnavailableError: ir_datasets is not installed.
        """
        of_irds = str(source).startswith(IRDS_PREFIX)
        corpus: JudgedCorpus = (
            open_judged_corpus(str(source)) if of_irds else BeirFolder(Path(source))
        )
        qrels = {query_id: grades for query_id, grades in corpus.qrels("test").items() if grades}
        queries = judged_queries(list(corpus.queries()), qrels)
        if not queries:
            raise InputError(
                f"the evaluation set {source}: no judged query has text, so there is nothing to "
                "measure; check that the ids of queries and judgements are the same"
            )
        documents = list(corpus.documents())
        judged = {doc_id for grades in qrels.values() for doc_id in grades}
        texts = {query.query_id: query.text for query in queries}
        itself = {each.doc_id for each in documents if is_itself(texts.get(each.doc_id), each)}
        absent = judged - {each.doc_id for each in documents}
        notes = tuple(doubts(corpus.name, qrels, texts, absent))
        n = len(documents)
        if max_documents is not None and n > max_documents:
            first = [each for each in documents if each.doc_id in judged]
            others = [each for each in documents if each.doc_id not in judged]
            documents = first + others[: max(0, max_documents - len(first))]
        cut = len(documents) < n
        return cls(corpus.name, documents, queries, qrels, cut, frozenset(itself), notes)

    @classmethod
    def held_out(cls, pairs: Pairs) -> EvaluationSet:
        """Rows kept from training: each query among the documents of all such rows."""
        known = pairs.known_positives()
        queries = [Query(str(row), text) for row, text in enumerate(pairs.queries)]
        qrels = {
            query.query_id: {str(document): 1 for document in known.of(row).tolist()}
            for row, query in enumerate(queries)
        }
        documents = [Document(str(row), text) for row, text in enumerate(pairs.documents)]
        qrels = {query_id: grades for query_id, grades in qrels.items() if grades}
        texts = {query.query_id: query.text for query in queries if query.text.strip()}
        return cls(
            "held-out",
            documents,
            judged_queries(queries, qrels),
            qrels,
            cut=True,
            notes=tuple(doubts("held-out", qrels, texts, frozenset())),
        )

    @property
    def texts(self) -> list[str]:
        """Titles and texts of the documents."""
        return [document.full_text for document in self.documents]


@dataclass(frozen=True)
class SetFigures:
    """Figures of a model on a set.

    Attributes:
        metrics: measure to mean.
        terms: mean active terms of sampled documents.
        flops: retrieval FLOPS: products of a query with a document, on average.
    """

    name: str
    metrics: dict[str, float]
    terms: float
    flops: float


def evaluate_model(
    model: SparseEncoder,
    collection: EvaluationSet,
    *,
    batch_size: int = 32,
    max_tokens: int = 16384,
) -> SetFigures:
    """Search every query among all documents, exactly.

    Args:
        model: as `make_model` and `open_model` give it.
    """
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            queries = _encoded(
                model, [query.text for query in collection.queries], "query", batch_size
            )
            columns = np.unique(queries.indices)
            by_columns = takes_columns(model)
            documents = _encoded(
                model,
                collection.texts,
                "document",
                batch_size,
                columns=columns if by_columns else None,
                max_tokens=max_tokens,
            )
            queries = queries[:, columns]
            if not by_columns:
                documents = documents[:, columns]
            terms = _mean_terms(model, collection.texts)
    finally:
        model.train(training)
    used = np.diff(queries.tocsc().indptr) / max(queries.shape[0], 1)
    held = np.diff(documents.tocsc().indptr) / max(documents.shape[0], 1)
    run = _ranked(queries, documents, collection)
    metrics = {
        name: float(np.mean(list(values.values())))
        for name, values in measure(parse_metrics(METRICS), collection.qrels, run).items()
    }
    return SetFigures(collection.name, metrics, terms, float(used @ held))


def top_terms(
    model: SparseEncoder, texts: Sequence[str], k: int = 12
) -> list[list[tuple[str, float]]]:
    """The heaviest terms of each text as a document, heaviest first."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            vectors = _encoded(model, list(texts), "document", 8)
    finally:
        model.train(training)
    tokens = model.tokenizer
    found = []
    for row in range(vectors.shape[0]):
        vector = vectors[[row]]
        best = np.argsort(-vector.data, kind="stable")[:k]
        names = tokens.convert_ids_to_tokens(vector.indices[best].tolist())
        found.append(list(zip(names, vector.data[best].round(3).tolist(), strict=True)))
    return found


def takes_columns(model: SparseEncoder) -> bool:
    """Whether the document side gives chosen columns: our heads do, others need not."""
    modules = [*routes(model).values()][-1]
    return isinstance(list(modules)[-1], Head | ColumnTable)


def _mean_terms(model: SparseEncoder, texts: Sequence[str]) -> float:
    places = np.linspace(0, len(texts) - 1, min(SAMPLED, len(texts))).astype(int)
    vectors = _encoded(model, [texts[place] for place in places], "document", 8)
    return float(vectors.nnz / max(vectors.shape[0], 1))


def _encoded(
    model: SparseEncoder,
    texts: Sequence[str],
    task: str,
    batch_size: int,
    *,
    columns: NDArray[np.int64] | None = None,
    max_tokens: int = 16384,
) -> Any:
    """Vectors as a SciPy CSR matrix, shape (n_texts, n_terms or len(columns))."""
    lengths = np.array([len(text) // 4 + 3 for text in texts], np.int32)
    parts: list[Any] = []
    order: list[int] = []
    for batch in micro_batches(lengths, batch_size, max_tokens=max_tokens):
        features = dict(model.preprocess([texts[place] for place in batch], task=task))
        features = {
            name: value.to(model.device) if hasattr(value, "to") else value
            for name, value in features.items()
        } | {"task": task}
        if columns is not None:
            features["columns"] = torch.from_numpy(columns.astype(np.int64)).to(model.device)
        made = model(features)["sentence_embedding"]
        made = made.to_dense() if made.is_sparse else made
        parts.append(sparse.csr_array(made.float().cpu().numpy()))
        order += list(batch)
    stacked = sparse.vstack(parts, format="csr")
    return stacked[np.argsort(order)]


def _ranked(queries: Any, documents: Any, collection: EvaluationSet) -> Run:
    """The best by score, then by doc_id."""
    by_id = np.argsort(np.argsort([document.doc_id for document in collection.documents]))
    places = {document.doc_id: place for place, document in enumerate(collection.documents)}
    run: Run = {}
    transposed = documents.T.tocsr()
    for row, query in enumerate(collection.queries):
        scores = (queries[[row]] @ transposed).toarray()[0]
        if query.query_id in collection.itself and query.query_id in places:
            scores[places[query.query_id]] = 0
        best = np.lexsort((by_id, -scores))[:DEPTH]
        run[query.query_id] = [
            ScoredDoc(query.query_id, collection.documents[place].doc_id, float(scores[place]))
            for place in best
            if scores[place] > 0
        ]
    return run
