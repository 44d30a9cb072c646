"""Vectors of a network, kept between calls."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.cache.cached_network import CachedNetwork
from lsr.encoders.learned.encoder import LearnedOptions, open_learned
from lsr.sparse import CSR
from tests.support.learned_models import TEXTS, inference_free


class Counting:
    """A network that says which texts it was asked for."""

    n_terms = 7

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], side: str) -> CSR:
        self.asked += texts
        return CSR.from_rows([{len(text) % 7: len(side) / 4} for text in texts], 7)


def test_no_document_is_encoded_twice(tmp_path: Path) -> None:
    network = Counting()
    cached = CachedNetwork(network, tmp_path, "one")
    first = cached.encode(["a", "bb", "a"], "document")
    again = CachedNetwork(network, tmp_path, "one").encode(["bb", "ccc", "a"], "document")
    assert sorted(network.asked) == ["a", "bb", "ccc"]
    assert to_scipy(first).toarray().argmax(1).tolist() == [1, 2, 1]
    assert to_scipy(again).toarray().argmax(1).tolist() == [2, 3, 1]
    assert again.weights.tolist() == [2.0] * 3
    assert (first.n_terms, again.n_terms, cached.n_terms) == (7, 7, 7)
    CachedNetwork(network, tmp_path, "two").encode(["a"], "document")
    cached.encode(["a"], "query")
    assert network.asked.count("a") == 3, "another key, and another side"
    assert cached.encode([], "document").n_rows == 0


def test_vectors_are_those_of_the_model(tmp_path: Path) -> None:
    model, cache = str(inference_free(tmp_path)), tmp_path / "cache"
    plain, kept = (open_learned(model, LearnedOptions("fp32")) for _ in range(2))
    expected = plain.encode_documents(TEXTS)
    with kept.keep_in(cache):
        for _ in range(2):
            found = kept.encode_documents(TEXTS)
            assert np.array_equal(found.terms, expected.terms)
            assert np.allclose(found.weights, expected.weights, rtol=1e-6)
    (folder,) = cache.iterdir()
    other = open_learned(model, LearnedOptions("bf16"))
    with other.keep_in(cache):
        half = other.encode_documents(TEXTS)
    assert len(list(cache.iterdir())) == 2, "another precision, another key"
    assert not np.array_equal(half.weights, expected.weights)
    shutil.rmtree(folder)
    kept.encode_documents(TEXTS)
    assert not folder.exists(), "nothing is kept any more"
