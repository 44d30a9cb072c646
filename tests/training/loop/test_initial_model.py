"""What a run starts from: whether it is a finished encoder, and its tokenizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from sentence_transformers import SparseEncoder
from transformers import PreTrainedModel

from lsr.errors import InputError
from lsr.training.data.tokens import special_ids, tokenize, vocabulary_size
from lsr.training.loop.initial_model import base_tokenizer, is_sparse_encoder
from lsr.training.models.checkpoint import Checkpoint
from lsr.training.models.sparse_encoder import open_model
from tests.support.tiny_models import tiny_base

MODELS = Path(__file__).parents[2] / "fixtures" / "v0_1" / "models"
KINDS = sorted(path.name for path in MODELS.iterdir())
TEXTS = ["The cat sees a dog.", "", "protein qxz of the liver"]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading the weights of any network fails."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network is loaded")

    monkeypatch.setattr(SparseEncoder, "_load_with_module_classes", refuse)
    monkeypatch.setattr(PreTrainedModel, "from_pretrained", refuse)


@pytest.mark.parametrize("kind", KINDS)
def test_the_tokenizer_of_a_finished_encoder_is_its_own(
    kind: str, request: pytest.FixtureRequest
) -> None:
    whole = open_model(MODELS / kind).tokenizer
    request.getfixturevalue("no_network")
    assert is_sparse_encoder(str(MODELS / kind))
    alone = base_tokenizer(Checkpoint.of(str(MODELS / kind)))
    assert vocabulary_size(alone) == vocabulary_size(whole)
    assert special_ids(alone).tolist() == special_ids(whole).tolist()
    assert tokenize(TEXTS, alone).tokens.tolist() == tokenize(TEXTS, whole).tokens.tolist()


@pytest.mark.usefixtures("no_network")
def test_the_tokenizer_of_a_checkpoint(tmp_path: Path) -> None:
    shutil.copytree(MODELS / "stock" / "document_0_Transformer", tmp_path / "base")
    assert not is_sparse_encoder(str(tmp_path / "base"))
    alone = base_tokenizer(Checkpoint.of(str(tmp_path / "base")))
    assert tokenize(TEXTS, alone).lengths.tolist() == [9, 0, 7]
    with pytest.raises(InputError, match="cannot be loaded"):
        base_tokenizer(Checkpoint.of(str(tmp_path / "none")))


@pytest.mark.parametrize("change", ["options", "no tokenizer.json"])
def test_a_module_that_makes_its_own_tokenizer_is_asked_for_it(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    shutil.copytree(MODELS / "mlp", model)
    if change == "options":
        options = json.loads((model / "sentence_bert_config.json").read_text())
        text = json.dumps(options | {"do_lower_case": True})
        (model / "sentence_bert_config.json").write_text(text)
    else:
        (model / "tokenizer.json").unlink()
    opened: list[str] = []
    whole = open_model(MODELS / "mlp")

    def opening(folder: str, **_: object) -> SparseEncoder:
        opened.append(folder)
        return whole

    monkeypatch.setattr("lsr.training.loop.initial_model.open_model", opening)
    assert base_tokenizer(Checkpoint.of(str(model))) is whole.tokenizer
    assert opened == [str(model)]


def test_a_masked_lm_checkpoint_is_no_sparse_encoder(tmp_path: Path) -> None:
    assert not is_sparse_encoder(str(tiny_base(tmp_path / "base")))
    assert not is_sparse_encoder("owner/name")
