"""lsr: learned sparse retrieval.

The records and values that everything shares. Encoders are in `lsr.encoders.bm25` and
`lsr.encoders.dense`, building and searching in `lsr.index`, measuring in `lsr.evaluation.evaluate`.
"""

import os

# before any import of ONNX Runtime, which would else send reports of its use to its maker
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from lsr.errors import LsrError
from lsr.moved import MovedModules
from lsr.sparse import CSR, SparseVector
from lsr.types import Document, Qrels, Query, Run, ScoredDoc

__all__ = ["CSR", "Document", "LsrError", "Qrels", "Query", "Run", "ScoredDoc", "SparseVector"]

MovedModules.install()
