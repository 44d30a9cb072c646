"""Own terms by BM25, with numbers worked out by hand, beside an expansion."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lsr.errors import InputError
from lsr.training.models.anchored_head import AnchoredHead
from lsr.training.models.mlm_head import MlmHead
from tests.training.models.test_heads import COLUMNS, HIDDEN, SPECIAL, WIDTH, features, with_decoder

IDF = torch.tensor([3.0, 3, 3, 3, 3, 2.0, 3, 1.0, 3, 0.4, 3, 3])
"""Of the terms of `features`: 5 twice and 7 once in the first document, 9 in the second."""


def _head(**options: Any) -> AnchoredHead:
    head = with_decoder(AnchoredHead(HIDDEN, WIDTH, SPECIAL, average_length=2.0, **options))
    head.idf.copy_(IDF)
    assert isinstance(head, AnchoredHead)
    return head


def test_own_terms_have_bm25_weights() -> None:
    """The first document has 3 tokens: 1.2 (1 - 0.75 + 0.75 * 3 / 2) = 1.65 is added to tf."""
    found = _head().own_weights(features())
    assert found[0, 5].item() == pytest.approx(2.2 * 2 / 3.65)
    assert found[0, 7].item() == pytest.approx(2.2 * 1 / 2.65)
    assert found.nonzero().tolist() == [[0, 5], [0, 7]]


def test_terms_of_low_idf_are_left_out_unless_asked_for() -> None:
    """The second document has 1 token: 1.2 (0.25 + 0.75 / 2) = 0.75."""
    found = _head(min_idf=0.3).own_weights(features())
    assert found[1, 9].item() == pytest.approx(2.2 / 1.75)
    assert not _head(min_idf=0.4).own_weights(features())[1].any()


def test_the_whole_is_own_terms_plus_expansion() -> None:
    head = _head(own_weight=0.5, k1=2.0, b=0.0)
    expansion = with_decoder(MlmHead())(features())["sentence_embedding"]
    extra = head(features())["sentence_embedding"] - expansion
    assert extra[0, 5].item() == pytest.approx(0.5 * 3 * 2 / 4, rel=1e-4)
    assert extra[0, 7].item() == pytest.approx(0.5 * 3 * 1 / 3, rel=1e-4)
    assert extra.abs().sum().item() == pytest.approx(0.75 + 0.5, rel=1e-4)


def test_a_new_gate_is_open() -> None:
    plain, gated = _head(), _head(gated=True)
    torch.testing.assert_close(gated.own_weights(features()), plain.own_weights(features()))


def test_a_gate_is_the_largest_over_a_terms_positions() -> None:
    head = _head(gated=True)
    nn.init.normal_(head.gate.weight)
    given = features()
    states = given["token_embeddings"][0]
    opened = nn.functional.softplus(head.gate(states)).squeeze(1)
    found = head.own_weights(given)[0]
    plain = _head().own_weights(given)[0]
    assert found[5].item() == pytest.approx(plain[5].item() * opened[[1, 3]].max().item())
    assert found[7].item() == pytest.approx(plain[7].item() * opened[2].item())
    found.sum().backward()
    assert head.gate.weight.grad is not None
    assert bool(head.gate.weight.grad.any())


@pytest.mark.parametrize("gated", [False, True])
def test_columns_are_the_same_values(gated: bool) -> None:
    head = _head(gated=gated)
    whole = head(features())["sentence_embedding"]
    some = head(features(COLUMNS))["sentence_embedding"]
    torch.testing.assert_close(some, whole[:, COLUMNS], rtol=1e-5, atol=1e-6)


def test_a_document_without_tokens_has_no_own_terms_at_full_normalisation() -> None:
    found = _head(b=1.0).own_weights(features())
    assert bool(torch.isfinite(found).all())
    assert not found[2].any()


@pytest.mark.parametrize("wrong", [{"k1": 0.0}, {"b": 1.5}, {"b": -0.1}])
def test_what_gives_no_bm25_weights_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="no BM25 weights"):
        _head(**wrong)
