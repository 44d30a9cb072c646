"""The model that comes with the package in sentence-transformers, by the documented two lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.registry import learned_options, open_learned
from tests.support.command_line import done

pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")

TEXTS = ["A key rotates every ninety days.", "Backups run at night, when nobody works."]


def test_the_export_has_the_vectors_of_lsr_without_own_words(tmp_path: Path) -> None:
    from sentence_transformers import SparseEncoder

    done("export", "doc-mini", tmp_path / "model", "--format", "sentence-transformers")
    model = SparseEncoder(str(tmp_path / "model"), device="cpu")
    documents = model.encode_document(TEXTS).to_dense().numpy()
    ours = open_learned("doc-mini", learned_options("fp32", lexical_weight=0))
    assert np.allclose(documents, to_scipy(ours.encode_documents(TEXTS)).toarray(), atol=1e-3)
    queries = model.encode_query(["how to rotate a key", "nightly copies"]).to_dense().numpy()
    assert (queries @ documents.T).argmax(axis=1).tolist() == [0, 1]
