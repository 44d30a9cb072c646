"""A learned vector is a function of its text: neighbours in a batch change no bit of it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from lsr.datasets.docstrings import docstring_documents
from lsr.encoders.cache.cached_network import CachedNetwork
from lsr.encoders.learned import torch_network
from lsr.encoders.learned.encoder import LearnedEncoder, LearnedOptions, open_learned
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.model_source import Network
from lsr.encoders.learned.onnx_network import OnnxNetwork
from lsr.encoders.learned.packed_model import GRAPH_FOLDER
from lsr.encoders.learned.text_batches import of_one_length, one_by_one, rows_stand_alone
from lsr.encoders.learned.torch_network import TorchNetwork
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.update import add_documents
from lsr.sparse import CSR
from lsr.types import Document
from tests.support.learned_models import TEXTS, inference_free, symmetric

PACKAGES = ("onnxruntime", "sentence_transformers")
pytestmark = pytest.mark.skipif(  # not where CI is set: there it must fail
    not os.environ.get("CI") and not all(map(importlib.util.find_spec, PACKAGES)),
    reason="needs the extras dense and onnx",
)

LONGEST = 90
"""Words of the longest text; the model truncates at 128 tokens."""


@cache
def _docstrings() -> list[str]:
    return [document.full_text for document in islice(docstring_documents(), 200)]


def _texts(n: int) -> list[str]:
    """Real texts of many lengths, short ones more often than long ones; blank ones among them."""
    words = [text.split() for text in _docstrings()[:n]]
    lengths = np.geomspace(2, LONGEST, n).astype(int)[np.random.default_rng(0).permutation(n)]
    texts = [" ".join(each[:most]) for each, most in zip(words, lengths, strict=True)]
    return [*texts[: n - 2], "", " \n"]


def _in_chunks(network: Network, texts: Sequence[str], size: int) -> CSR:
    starts = range(0, len(texts), size)
    parts = [network.encode(texts[i : i + size], "document") for i in starts]
    return CSR.concatenate(parts)._replace(n_terms=network.n_terms)


def _same(one: CSR, other: CSR) -> bool:
    return (
        np.array_equal(one.indptr, other.indptr)
        and np.array_equal(one.terms, other.terms)
        and np.array_equal(one.weights, other.weights)
    )


def _assert_equal_in_chunks(network: Network, texts: Sequence[str], sizes: Sequence[int]) -> None:
    whole = _in_chunks(network, texts, len(texts))
    assert np.count_nonzero(np.diff(whole.indptr)) == sum(bool(text.strip()) for text in texts)
    for size in sizes:
        assert _same(_in_chunks(network, texts, size), whole), f"chunks of {size}"


def test_in_eight_bits() -> None:
    """In version 0.1 the greatest number of a batch scaled all of it: 199 of 200 differed."""
    graph = OnnxNetwork(ModelFolder.open("doc-mini").path / GRAPH_FOLDER)
    _assert_equal_in_chunks(graph, _texts(200), (37, 1))
    together = graph.rows(["the cat", "a heron waits in shallow water for fish " * 9])
    assert not np.array_equal(together.row(0).weights, graph.rows(["the cat"]).row(0).weights)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_in_torch(precision: Literal["fp32", "bf16"]) -> None:
    network = TorchNetwork(ModelFolder.open("doc-mini"), precision)
    _assert_equal_in_chunks(network, _texts(24), (7, 1))


def test_texts_are_batched_only_where_products_allow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """On this machine as it is found to be, and as it would be on another."""
    torch = pytest.importorskip("torch")
    kind = rows_stand_alone(torch.float32)
    network = TorchNetwork(ModelFolder.open("doc-mini"), "fp32")
    assert network.batches is (of_one_length if kind else one_by_one)
    for stands, batches in ((True, of_one_length), (False, one_by_one)):
        monkeypatch.setattr(torch_network, "rows_stand_alone", lambda _, each=stands: each)
        assert TorchNetwork(ModelFolder.open("doc-mini"), "fp32").batches is batches


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_in_torch_for_both_sides_and_heads(
    tmp_path: Path, precision: Literal["fp32", "bf16"]
) -> None:
    for folder in (inference_free(tmp_path / "free"), symmetric(tmp_path / "both")):
        network = TorchNetwork(ModelFolder.open(str(folder)), precision)
        _assert_equal_in_chunks(network, [*_texts(40), *TEXTS], (13, 1))
        network._pooled = dict.fromkeys(network._pooled)  # as a head that is not stock
        _assert_equal_in_chunks(network, [*_texts(10), *TEXTS], (7, 1))


def test_an_addition_equals_a_build(tmp_path: Path) -> None:
    documents = [Document(f"{n}", text) for n, text in enumerate(_texts(12))]
    build_collection(documents, tmp_path / "whole", sparse=_int8())
    build_collection(documents[:8], tmp_path / "parts", sparse=_int8())
    add_documents(tmp_path / "parts", documents[8:])
    assert _same(_vectors(tmp_path / "parts"), _vectors(tmp_path / "whole"))


def test_vectors_that_were_kept_before_are_not_taken(tmp_path: Path) -> None:
    encoder = _int8()
    former = f"{encoder.source.sha256} {encoder.source.precision}"
    assert encoder.source.key != former
    wrong = CachedNetwork(_OneTerm(), tmp_path, former)
    assert wrong.encode(["the cat"], "document").nnz == 1
    assert wrong.encode(["the cat"], "document").nnz == 1
    with encoder.keep_in(tmp_path):
        assert encoder.encode_documents(["the cat"]).nnz > 1


class _OneTerm:
    n_terms = 30_522

    def encode(self, texts: Sequence[str], side: Literal["query", "document"]) -> CSR:
        return CSR.from_rows([{5: 1.0} for _ in texts], self.n_terms)


def _int8() -> LearnedEncoder:
    encoder = open_learned("doc-mini", LearnedOptions("int8", lexical_weight=0.0))
    assert isinstance(encoder, LearnedEncoder)
    return encoder


def _vectors(index: Path) -> CSR:
    collection = CollectionReader.open(index)
    found = collection.store.sparse_vectors(
        collection.live_rows().tolist(), collection.segment.n_terms
    )
    collection.close()
    return found
