"""A learned model's vectors that an interrupted change had ready are used by the next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import lsr.index.collection.encode
from lsr.encoders.learned.encoder import LearnedOptions, open_learned
from lsr.encoders.learned.torch_network import TorchNetwork
from lsr.encoders.protocols import Encoder, ResumableEncoder
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.update import add_documents, sync_documents
from lsr.sparse import CSR
from lsr.types import Document
from tests.support.learned_models import inference_free

DOCUMENTS = [Document(f"{n}", f"the cat {'dog ' * n}") for n in range(8)]


class Interrupted:
    """Counts the texts that the network encodes, and stops it before a batch with `stop_at`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.encoded: list[str] = []
        self.stop_at: str | None = None
        encode = TorchNetwork.encode

        def counting(
            network: TorchNetwork, texts: Sequence[str], side: Literal["query", "document"]
        ) -> CSR:
            if self.stop_at in texts:
                raise KeyboardInterrupt
            self.encoded += texts
            return encode(network, texts, side)

        monkeypatch.setattr(TorchNetwork, "encode", counting)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inference_free(tmp_path_factory.mktemp("free"))


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Interrupted:
    monkeypatch.setattr(lsr.index.collection.encode, "SPARSE_CHUNK", 3)
    return Interrupted(monkeypatch)


def _texts(documents: Sequence[Document]) -> list[str]:
    return [document.full_text for document in documents]


def _encoder(model: Path, weight: float) -> Encoder:
    return open_learned(str(model), LearnedOptions("fp32", lexical_weight=weight))


def _vectors(index: Path) -> Any:
    collection = CollectionReader.open(index)
    found = collection.store.sparse_vectors(
        collection.live_rows().tolist(), collection.segment.n_terms
    )
    collection.close()
    return found


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_a_build_goes_on_where_it_stopped(
    model: Path, tmp_path: Path, network: Interrupted, weight: float
) -> None:
    assert isinstance(_encoder(model, weight), ResumableEncoder)
    build_collection(DOCUMENTS, tmp_path / "whole" / "index", sparse=_encoder(model, weight))
    target = tmp_path / "new" / "index"
    network.encoded.clear()
    network.stop_at = DOCUMENTS[7].text
    with pytest.raises(KeyboardInterrupt):
        build_collection(DOCUMENTS, target, sparse=_encoder(model, weight))
    assert network.encoded == _texts(DOCUMENTS[:6])
    assert [path.name for path in target.parent.iterdir()] == [".index.encoding"]
    network.stop_at = None
    build_collection(DOCUMENTS, target, sparse=_encoder(model, weight))
    assert network.encoded[6:] == _texts(DOCUMENTS[6:])
    assert [path.name for path in target.parent.iterdir()] == ["index"]
    for found, expected in zip(
        _vectors(target), _vectors(tmp_path / "whole" / "index"), strict=True
    ):
        assert np.array_equal(found, expected)
    build_collection(DOCUMENTS, target, sparse=_encoder(model, weight))
    assert len(network.encoded) == 16, "a finished build keeps nothing"


def test_an_addition_goes_on_too(model: Path, tmp_path: Path, network: Interrupted) -> None:
    target = tmp_path / "index"
    build_collection(DOCUMENTS[:1], target, sparse=_encoder(model, 2.0))
    network.encoded.clear()
    network.stop_at = DOCUMENTS[7].text
    with pytest.raises(KeyboardInterrupt):
        add_documents(target, DOCUMENTS[1:])
    network.stop_at = None
    assert add_documents(target, DOCUMENTS[1:]).n_added == 7
    assert network.encoded == _texts(DOCUMENTS[1:])
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_a_sync_goes_on_and_encodes_no_more(
    model: Path, tmp_path: Path, network: Interrupted
) -> None:
    target = tmp_path / "index"
    build_collection(DOCUMENTS[:2], target, sparse=_encoder(model, 2.0))
    network.encoded.clear()
    network.stop_at = DOCUMENTS[7].text
    with pytest.raises(KeyboardInterrupt):
        sync_documents(target, DOCUMENTS[1:])
    network.stop_at = None
    change = sync_documents(target, DOCUMENTS[1:])
    assert (change.n_added, change.n_deleted, change.n_unchanged) == (6, 1, 1)
    assert network.encoded == _texts(DOCUMENTS[2:])
    sync_documents(target, DOCUMENTS[1:])
    assert network.encoded == _texts(DOCUMENTS[2:])
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_a_cache_that_is_named_stays(model: Path, tmp_path: Path, network: Interrupted) -> None:
    cache = tmp_path / "cache"
    for name in ("a", "b"):
        build_collection(
            DOCUMENTS, tmp_path / name, sparse=_encoder(model, 0.0), vector_cache=cache
        )
    assert network.encoded == _texts(DOCUMENTS)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "cache"}


def test_vectors_made_elsewhere_leave_what_was_kept(
    model: Path, tmp_path: Path, network: Interrupted
) -> None:
    target = tmp_path / "index"
    network.stop_at = DOCUMENTS[7].text
    with pytest.raises(KeyboardInterrupt):
        build_collection(DOCUMENTS, target, sparse=_encoder(model, 0.0))
    encoder = _encoder(model, 0.0)
    vectors = CSR.from_rows([{1: 1.0}] * 8, encoder.n_terms)
    build_collection(DOCUMENTS, target, sparse=encoder, vectors=vectors)
    assert (tmp_path / ".index.encoding").is_dir()
