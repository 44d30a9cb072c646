"""lsr: learned sparse retrieval over your own documents.

    import lsr
    index = lsr.build(documents, "my-index")
    index.search("rotate a key", k=10)

Everything that is public is here; names are loaded when they are first used, so `import lsr`
loads neither Numba nor torch.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# before any import of ONNX Runtime, which would else send reports of its use to its maker
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from lsr.moved import MovedModules

if TYPE_CHECKING:
    from lsr.client.async_client import AsyncClient
    from lsr.client.client import Client
    from lsr.collection import Collection
    from lsr.documents import ReadDocuments, read_documents
    from lsr.encoders.dense_recipe import DenseOptions
    from lsr.encoders.registry import load_encoder
    from lsr.errors import LsrError
    from lsr.evaluation.compare.measures import Measures, evaluate
    from lsr.evaluation.compare.run_comparison import RunComparison, compare_runs
    from lsr.front.answers import Answers
    from lsr.front.judged import TestCollection, read_test_collection
    from lsr.hub.pull import pull
    from lsr.hub.push import push
    from lsr.index.blocks.config import BlockSettings, BuildConfig, SearchParams
    from lsr.index.sparse_index import SparseIndex
    from lsr.passages.passage import PassageSettings
    from lsr.retrieval.answer import Hit
    from lsr.retrieval.answers.answer import Answer
    from lsr.retrieval.plan import SearchPlan, plan_from
    from lsr.sparse import CSR, SparseVector
    from lsr.types import Document, Qrels, Query, Run, ScoredDoc

    build = Collection.build
    open = Collection.open  # noqa: A001
    __version__: str

__all__ = [
    "CSR",
    "Answer",
    "Answers",
    "AsyncClient",
    "BlockSettings",
    "BuildConfig",
    "Client",
    "Collection",
    "DenseOptions",
    "Document",
    "Hit",
    "LsrError",
    "Measures",
    "PassageSettings",
    "Qrels",
    "Query",
    "ReadDocuments",
    "Run",
    "RunComparison",
    "ScoredDoc",
    "SearchParams",
    "SearchPlan",
    "SparseIndex",
    "SparseVector",
    "TestCollection",
    "__version__",
    "build",
    "compare_runs",
    "evaluate",
    "load_encoder",
    "open",
    "plan_from",
    "pull",
    "push",
    "read_documents",
    "read_test_collection",
]

_PLACES = {
    "Answer": "lsr.retrieval.answers.answer",
    "Answers": "lsr.front.answers",
    "AsyncClient": "lsr.client.async_client",
    "BlockSettings": "lsr.index.blocks.config",
    "BuildConfig": "lsr.index.blocks.config",
    "CSR": "lsr.sparse",
    "Client": "lsr.client.client",
    "Collection": "lsr.collection",
    "DenseOptions": "lsr.encoders.dense_recipe",
    "Document": "lsr.types",
    "Hit": "lsr.retrieval.answer",
    "LsrError": "lsr.errors",
    "Measures": "lsr.evaluation.compare.measures",
    "PassageSettings": "lsr.passages.passage",
    "Qrels": "lsr.types",
    "Query": "lsr.types",
    "ReadDocuments": "lsr.documents",
    "Run": "lsr.types",
    "RunComparison": "lsr.evaluation.compare.run_comparison",
    "ScoredDoc": "lsr.types",
    "SearchParams": "lsr.index.blocks.config",
    "SearchPlan": "lsr.retrieval.plan",
    "SparseIndex": "lsr.index.sparse_index",
    "SparseVector": "lsr.sparse",
    "TestCollection": "lsr.front.judged",
    "compare_runs": "lsr.evaluation.compare.run_comparison",
    "evaluate": "lsr.evaluation.compare.measures",
    "load_encoder": "lsr.encoders.registry",
    "plan_from": "lsr.retrieval.plan",
    "pull": "lsr.hub.pull",
    "push": "lsr.hub.push",
    "read_documents": "lsr.documents",
    "read_test_collection": "lsr.front.judged",
}
_METHODS = {"build", "open"}
"""Of `Collection`, as functions."""

MovedModules.install()


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("lsr-search")
    if name in _METHODS:
        return getattr(import_module("lsr.collection").Collection, name)
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'lsr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
