"""Encoding with a learned sparse model: documents and queries a second, ours over the plain way.

    python -m bench.relevance.encode --model FOLDER --documents 256 --corpus path/to/scifact

Plain is sentence-transformers' `encode_document` in float32 as it loads the model by itself, in
the same run. Every way encodes the same texts after one batch to warm up; the best of `--rounds`
counts. Documents are the first of a collection that `lsr eval` knows, or, without one, windows of
about `--words` words of the docstrings that are on every machine with Python.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from sentence_transformers import SparseEncoder

from lsr.datasets.docstrings import docstring_documents
from lsr.datasets.open import open_judged_corpus
from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.onnx_network import OnnxNetwork
from lsr.encoders.learned.packed_model import unpacked
from lsr.encoders.learned.query_table import QueryTable
from lsr.encoders.learned.torch_network import TorchNetwork
from lsr.sparse import CSR

__all__ = ["main"]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="documents and queries encoded a second")
    parser.add_argument("--model", required=True, help="a folder that a SparseEncoder is saved in")
    parser.add_argument("--documents", type=int, default=96)
    parser.add_argument("--corpus", help="a folder in BEIR's layout or an ir_datasets id")
    parser.add_argument("--words", type=int, default=180, help="words of a document")
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--int8", action="store_true", help="export to ONNX too, and measure that")
    given = parser.parse_args()
    texts = _of_corpus(given.corpus, given.documents) if given.corpus else []
    texts = texts or _texts(given.documents, given.words)
    folder = ModelFolder.open(given.model)
    ways: dict[str, Callable[[Sequence[str]], Any]] = {}
    fp32 = TorchNetwork(folder, "fp32")
    plain = SparseEncoder(str(unpacked(folder.path)), local_files_only=True)
    ways["plain fp32"] = lambda batch: plain.encode_document(list(batch), show_progress_bar=False)
    ways["ours fp32"] = lambda batch: fp32.encode(batch, "document")
    bf16 = TorchNetwork(folder, "bf16")
    ways["ours bf16"] = lambda batch: bf16.encode(batch, "document")
    with tempfile.TemporaryDirectory() as work:
        if given.int8:
            from lsr.training.export.onnx import export_sparse_onnx

            out = export_sparse_onnx(given.model, Path(work) / "int8", "int8").folder
            int8 = OnnxNetwork(out)
            ways["ours int8"] = lambda batch: int8.encode(batch, "document")
        _print_documents(ways, texts, given.rounds)
    if folder.query is not None:
        _print_queries(QueryTable.open(folder), texts, given.queries)


def _of_corpus(source: str, n: int) -> list[str]:
    """The first texts of a collection, some of them long and some short."""
    documents = open_judged_corpus(source).documents()
    return [document.full_text for document in islice(documents, n)]


def _texts(n: int, words: int) -> list[str]:
    """Texts of about that many words each."""
    sources = (document.full_text.split() for document in docstring_documents())
    pool = [word for source in islice(sources, 4_000) for word in source]
    starts = np.random.default_rng(0).integers(0, len(pool) - 2 * words, n)
    lengths = np.random.default_rng(1).integers(words // 2, words * 3 // 2, n)
    pairs = zip(starts.tolist(), lengths.tolist(), strict=True)
    return [" ".join(pool[start : start + length]) for start, length in pairs]


def _print_documents(
    ways: dict[str, Callable[[Sequence[str]], Any]], texts: list[str], rounds: int
) -> None:
    best = dict.fromkeys(ways, float("inf"))
    vectors: dict[str, CSR] = {}
    for encode in ways.values():
        encode(texts[:8])
    for _ in range(rounds):
        for name, encode in ways.items():
            start = time.perf_counter()
            found = encode(texts)
            best[name] = min(best[name], time.perf_counter() - start)
            if isinstance(found, CSR):
                vectors[name] = found
    exact = to_scipy(vectors["ours fp32"]).toarray()
    print(f"{'documents':12} {'a second':>10} {'over plain':>10} {'least cosine':>12}")
    for name, seconds in best.items():
        cosine = "-"
        if name in vectors:
            found = to_scipy(vectors[name]).toarray()
            norms = np.linalg.norm(exact, axis=1) * np.linalg.norm(found, axis=1)
            cosine = f"{((exact * found).sum(axis=1) / np.maximum(norms, 1e-9)).min():.5f}"
        ratio = best["plain fp32"] / seconds
        print(f"{name:12} {len(texts) / seconds:10.1f} {ratio:10.2f} {cosine:>12}")


def _print_queries(table: QueryTable, texts: list[str], n: int) -> None:
    pool = " ".join(texts).split()
    rng = np.random.default_rng(2)
    starts, lengths = rng.integers(0, len(pool) - 12, n), rng.integers(3, 10, n)
    pairs = zip(starts.tolist(), lengths.tolist(), strict=True)
    queries = [" ".join(pool[start : start + length]) for start, length in pairs]
    table.encode(queries[: n // 10])
    start = time.perf_counter()
    table.encode(queries)
    batched = time.perf_counter() - start
    alone = queries[:2_000]
    start = time.perf_counter()
    for query in alone:
        table.encode([query])
    single = (time.perf_counter() - start) / len(alone)
    print(f"queries      {n / batched:10,.0f} a second in a batch, {single * 1e6:.0f} us alone")


if __name__ == "__main__":
    main()
