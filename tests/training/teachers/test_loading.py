"""Teachers that bring code along: it runs where trusted, and is part of what is cached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.encoders.dense_recipe import DenseOptions
from lsr.errors import InputError
from lsr.training.teachers.cross_encoder import open_crossencoder
from lsr.training.teachers.dense import open_dense
from lsr.training.teachers.sparse import open_sparse
from tests.support.dense_models import (
    DENSE_CODE,
    dense_model_folder,
    dense_with_own_code,
    naming_own_code,
)
from tests.support.model_zoo import OWN_CODE, with_own_code

QUERIES, DOCUMENTS = ["the cat", "a tree"], ["the cat eats fish", "a tree by the river"]
ROWS = np.arange(2)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def scores_of(teacher: Any) -> Any:
    teacher.prepare(QUERIES, DOCUMENTS)
    if hasattr(teacher, "prepare_pairs"):
        teacher.prepare_pairs(np.repeat(ROWS, 2), np.tile(ROWS, 2))
    return teacher.scores(ROWS, ROWS)


def test_a_dense_teacher(tmp_path: Path) -> None:
    coded, plain = dense_with_own_code(tmp_path / "c"), dense_model_folder(tmp_path / "p", "dot")
    trusting = DenseOptions(trust_remote_code=True)
    found = scores_of(open_dense(str(coded), tmp_path / "vectors", options=trusting))
    expected = 4 * scores_of(open_dense(str(plain), tmp_path / "vectors"))
    assert np.allclose(found, expected, rtol=0.01)


def test_a_sparse_teacher(tmp_path: Path) -> None:
    model = with_own_code(tmp_path / "m")
    with pytest.raises(InputError, match="cannot be loaded"):
        open_sparse(str(model), tmp_path / "vectors")
    first = open_sparse(str(model), tmp_path / "vectors", trust_remote_code=True)
    assert scores_of(first).any()
    (model / "modeling.py").write_text(OWN_CODE.replace("* 2", "* 3"))
    other = open_sparse(str(model), tmp_path / "vectors", trust_remote_code=True)
    assert first.identity != other.identity
    assert not np.allclose(scores_of(first), scores_of(other))


def test_a_cross_encoder(tmp_path: Path) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    from tests.support.tiny_models import tiny_tokenizer

    tokenizer = tiny_tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
    )
    config.num_labels = 1
    model = tmp_path / "m"
    BertForSequenceClassification(config).save_pretrained(model)
    tokenizer.save_pretrained(model)
    naming_own_code(model)
    with pytest.raises(InputError, match="cannot be loaded"):
        open_crossencoder(str(model), tmp_path / "vectors")
    first = open_crossencoder(str(model), tmp_path / "vectors", trust_remote_code=True)
    assert np.isfinite(scores_of(first)).all()
    (model / "modeling.py").write_text(DENSE_CODE + "\n")
    other = open_crossencoder(str(model), tmp_path / "vectors", trust_remote_code=True)
    assert first.identity != other.identity


@pytest.mark.parametrize("opened", [open_sparse, open_crossencoder])
def test_there_must_be_code_to_trust(opened: Callable[..., Any], tmp_path: Path) -> None:
    plain = dense_model_folder(tmp_path, "plain")
    with pytest.raises(InputError, match=r"brings no code of its own along.*leave trust_remote"):
        opened(str(plain), tmp_path / "vectors", trust_remote_code=True)
