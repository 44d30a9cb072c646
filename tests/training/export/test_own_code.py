"""Models that bring code along, exported: never without trust, and with the same vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lsr.encoders.registry import learned_options, open_learned
from lsr.sparse import CSR
from tests.support.command_line import done, refused
from tests.support.model_zoo import doc_v3, with_own_code

TEXTS = ["the cat eats fish", "a large red tree by the river"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_own_code(tmp_path_factory.mktemp("own") / "m")


def dense(vectors: CSR) -> NDArray[np.float32]:
    matrix = np.zeros((vectors.n_rows, vectors.n_terms), np.float32)
    for row in range(vectors.n_rows):
        terms, weights = vectors.row(row)
        matrix[row, terms] = weights
    return matrix


def fp32(model: Path, *, trusted: bool) -> NDArray[np.float32]:
    options = learned_options("auto" if not trusted else "fp32", trust_remote_code=trusted)
    return dense(open_learned(str(model), options).encode_documents(TEXTS))


@pytest.mark.parametrize("layout", ["onnx", "sentence-transformers", "opensearch"])
def test_an_export_has_the_vectors_of_the_model(layout: str, model: Path, tmp_path: Path) -> None:
    if layout == "onnx":
        pytest.importorskip("onnxscript")
    out = tmp_path / "out"
    told = refused("export", model, out, "--format", layout)
    assert "runs code of its own, which is not run unless you trust it" in told
    assert not out.exists()
    done("export", model, out, "--format", layout, "--trust-remote-code")
    exported = fp32(out, trusted=layout != "onnx")
    assert np.abs(exported - fp32(model, trusted=True)).max() < 1e-4


def test_there_must_be_code_to_trust(tmp_path: Path) -> None:
    plain = doc_v3(tmp_path / "m")
    told = refused("export", plain, tmp_path / "out", "--trust-remote-code")
    assert "brings no code of its own along, so there is none to trust" in told
