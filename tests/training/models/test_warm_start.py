"""A head grown on a network that has none: it copies words, and is as sparse as asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lsr.errors import InputError
from lsr.training.config.train import ClsMlm, EncoderConfig, WarmStart
from lsr.training.loop.initial_model import reads_first_token
from lsr.training.models.sparse_encoder import make_model
from lsr.training.models.warm_start import _hidden_words, warm_start
from tests.support.tiny_models import WORDS, tiny_base, tiny_tokenizer

TEXTS = [" ".join(WORDS[first : first + 10]) for first in range(0, 100, 3)]


@pytest.fixture
def model(tmp_path: Path) -> Any:
    base = tiny_base(tmp_path / "base", masked_lm=False)
    torch.manual_seed(1)
    return make_model(EncoderConfig(base=str(base)), np.ones(183, np.float32))


def parts(model: Any) -> tuple[Any, Any]:
    transformer = model[0].sub_modules["document"][0]
    return transformer, transformer.model.get_output_embeddings()


def test_it_learns_to_copy_and_documents_have_the_terms_asked_for(model: Any) -> None:
    transformer, decoder = parts(model)
    network = {name: p.clone() for name, p in transformer.model.base_model.named_parameters()}
    settings = WarmStart(steps=60, learning_rate=0.05, active_terms=30)
    result = warm_start(transformer, decoder, TEXTS, settings)
    assert result["accuracy"] > 0.9
    weights = model.encode_document(TEXTS, convert_to_sparse_tensor=False)
    assert float((weights > 0).sum(1).float().mean()) == pytest.approx(30, rel=0.3)
    own = transformer.tokenizer("mouse whale", add_special_tokens=False)["input_ids"]
    vector = model.encode_document(["mouse whale"], convert_to_sparse_tensor=False)[0]
    assert set(own) <= {*torch.topk(vector, 6).indices.tolist()}
    after = dict(transformer.model.base_model.named_parameters())
    assert all(torch.equal(network[name], after[name]) for name in network), "it was frozen"
    assert all(parameter.requires_grad for parameter in after.values())


def test_documents_of_the_first_token_have_the_terms_asked_for(tmp_path: Path) -> None:
    """TILDE's head is silent, and has no gradient, by a bias that is made for all tokens."""
    base = tiny_base(tmp_path / "base", masked_lm=False)
    torch.manual_seed(1)
    config = EncoderConfig(base=str(base), document=ClsMlm())
    model = make_model(config, np.ones(183, np.float32))
    transformer, decoder = parts(model)
    assert reads_first_token(model, transformer)
    settings = WarmStart(steps=60, learning_rate=0.05, active_terms=30)
    warm_start(transformer, decoder, TEXTS, settings)
    silent = model.encode_document(TEXTS, convert_to_sparse_tensor=False)
    warm_start(transformer, decoder, TEXTS, settings, first_token=True)
    weights = model.encode_document(TEXTS, convert_to_sparse_tensor=False)
    n_terms = (weights > 0).sum(1).float()
    assert float(n_terms.mean()) == pytest.approx(30, rel=0.3)
    assert float((silent > 0).sum(1).float().mean()) < 15


def test_it_is_the_same_every_time(tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base", masked_lm=False)
    found = []
    for _ in range(2):
        torch.manual_seed(1)
        made = make_model(EncoderConfig(base=str(base)), np.ones(183, np.float32))
        warm_start(*parts(made), TEXTS, WarmStart(steps=3, masked_lm_steps=2), seed=5)
        found.append(made.state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_masked_lm_moves_the_network(model: Any) -> None:
    transformer, decoder = parts(model)
    before = transformer.model.base_model.encoder.layer[0].output.dense.weight.clone()
    warm_start(transformer, decoder, TEXTS, WarmStart(steps=1, masked_lm_steps=3))
    after = transformer.model.base_model.encoder.layer[0].output.dense.weight
    assert not torch.equal(before, after)


def test_words_are_hidden_and_special_tokens_are_not(model: Any) -> None:
    transformer, _ = parts(model)
    tokenizer = tiny_tokenizer()
    features = dict(transformer.preprocess(TEXTS * 40))
    tokens, wanted, places = _hidden_words(transformer, features, torch.Generator().manual_seed(0))
    given = features["input_ids"]
    special = torch.isin(given, torch.tensor(tokenizer.all_special_ids))
    assert not (places & special).any()
    assert torch.equal(given[places], wanted)
    assert torch.equal(tokens[~places], given[~places])
    hidden = (tokens[places] == tokenizer.mask_token_id).float().mean()
    kept = (tokens[places] == wanted).float().mean()
    assert float(places.sum() / (~special).sum()) == pytest.approx(0.15, abs=0.02)
    assert float(hidden) == pytest.approx(0.8, abs=0.04)
    assert float(kept) == pytest.approx(0.1, abs=0.03)


def test_nothing_to_start_with(model: Any) -> None:
    with pytest.raises(InputError, match="no text"):
        warm_start(*parts(model), ["", " "], WarmStart(steps=1))
