"""Each head against a loop over documents, positions and terms, on tiny tensors."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log1p
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from lsr.errors import InputError
from lsr.training.models.epic_head import EpicDocumentHead, EpicQueryHead
from lsr.training.models.mlm_head import ClsMlmHead, Head, MlmHead, tap, untap
from lsr.training.models.mlp_head import MlpHead

CLS, SEP, PAD = 1, 2, 0
SPECIAL = [PAD, CLS, SEP]
WIDTH, HIDDEN = 12, 6
IDS = [[CLS, 5, 7, 5, SEP], [CLS, 9, SEP, PAD, PAD], [CLS, SEP, PAD, PAD, PAD]]
COLUMNS = torch.tensor([7, 5, 1, 11, 9])


def features(columns: torch.Tensor | None = None) -> dict[str, Any]:
    """Three documents, the last without a token of its own."""
    made = torch.Generator().manual_seed(3)
    ids = torch.tensor(IDS)
    given: dict[str, Any] = {
        "token_embeddings": torch.randn((3, 5, HIDDEN), generator=made),
        "input_ids": ids,
        "attention_mask": (ids != PAD).long(),
    }
    return given if columns is None else {**given, "columns": columns}


def with_decoder(head: Any) -> Any:
    """The head on a network whose decoder is random."""
    torch.manual_seed(4)
    head._decoder = (nn.Linear(HIDDEN, WIDTH),)
    for layer in ("linear", "quality"):
        if hasattr(head, layer):
            nn.init.normal_(getattr(head, layer).weight)
    return head


def _softplus(x: float) -> float:
    return log1p(exp(x))


def _relu(x: float) -> float:
    return max(x, 0.0)


def naive(head: Any) -> list[list[float]]:
    given = features()
    h = given["token_embeddings"].tolist()
    rows = []
    for document, ids in enumerate(IDS):
        length = len(ids) - ids.count(PAD)
        row = [0.0] * WIDTH
        for term in range(WIDTH):
            values = []
            for position in range(length):
                state = h[document][position]
                if isinstance(head, MlpHead):
                    if ids[position] != term or term in SPECIAL:
                        continue
                    logit = _dot(state, head.linear, 0)
                else:
                    logit = _dot(state, head.decoder, term)
                if isinstance(head, (EpicQueryHead, EpicDocumentHead)):
                    values.append(log1p(_softplus(logit)))
                    if isinstance(head, EpicDocumentHead):
                        values[-1] *= log1p(_softplus(_dot(state, head.importance, 0)))
                elif head.saturation == "double_log":
                    values.append(log1p(log1p(_relu(logit))))
                else:
                    values.append(log1p(_relu(logit)))
                if isinstance(head, ClsMlmHead):
                    break
            if values:
                row[term] = sum(values) if getattr(head, "pooling", "") == "sum" else max(values)
            if isinstance(head, EpicDocumentHead):
                row[term] /= 1 + exp(-_dot(h[document][0], head.quality, 0))
        rows.append(row)
    return rows


def _dot(state: list[float], layer: Any, row: int) -> float:
    vector = layer.weight[row].tolist()
    total = sum(a * b for a, b in zip(state, vector, strict=True))
    return float(total + layer.bias.tolist()[row])


HEADS: dict[str, Callable[[], Any]] = {
    "mlm": MlmHead,
    "mlm double log": lambda: MlmHead("relu", "double_log"),
    "mlm sum": lambda: MlmHead("relu", "log1p", "sum"),
    "cls": ClsMlmHead,
    "mlp": lambda: MlpHead(HIDDEN, WIDTH, SPECIAL),
    "epic query": lambda: EpicQueryHead(HIDDEN, WIDTH, SPECIAL),
    "epic document": lambda: EpicDocumentHead(HIDDEN),
}


@pytest.mark.parametrize("name", sorted(HEADS))
def test_a_head_is_its_formula(name: str) -> None:
    head = with_decoder(HEADS[name]())
    found = head(features())["sentence_embedding"]
    assert found.dtype == torch.float32
    assert found.shape == (3, WIDTH)
    torch.testing.assert_close(found, torch.tensor(naive(head)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", sorted(HEADS))
def test_columns_are_the_same_values(name: str) -> None:
    head = with_decoder(HEADS[name]())
    whole = head(features())["sentence_embedding"]
    some = head(features(COLUMNS))["sentence_embedding"]
    torch.testing.assert_close(some, whole[:, COLUMNS], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(HEADS))
def test_columns_have_the_same_gradients(name: str) -> None:
    head = with_decoder(HEADS[name]())
    parameters = [*head.parameters()] or [head.decoder.weight]
    grads = []
    for given in (features(COLUMNS), features()):
        out = head(given)["sentence_embedding"]
        out = out if out.shape[1] == len(COLUMNS) else out[:, COLUMNS]
        grads.append(torch.autograd.grad((out**2).sum(), parameters))
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
        assert bool(one.any())


def test_a_negative_weight_of_an_own_token_is_kept() -> None:
    """Identity, as in DeepCT: the largest over positions, though below 0; others stay 0."""
    head = MlpHead(1, WIDTH, SPECIAL, "identity", "none")
    nn.init.ones_(head.linear.weight)
    nn.init.zeros_(head.linear.bias)
    given = features()
    given["token_embeddings"] = torch.tensor([-9.0, -3, -2, -1, -8]).expand(3, 5).unsqueeze(2)
    found = head(given)["sentence_embedding"]
    assert found[0].tolist() == [0, 0, 0, 0, 0, -1, 0, -2, 0, 0, 0, 0]
    assert found[1].tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 0, -3, 0, 0]


def test_a_new_mlp_head_is_alive() -> None:
    found = MlpHead(HIDDEN, WIDTH, SPECIAL)(features())["sentence_embedding"]
    assert bool((found[0, [5, 7]] > 0.3).all())


def test_softplus_gives_padding_rows_nothing() -> None:
    head = with_decoder(EpicDocumentHead(HIDDEN))
    given = features()
    given["attention_mask"] = torch.tensor([[1, 1, 1, 1, 1], [0] * 5, [1, 1, 0, 0, 0]])
    found = head(given)["sentence_embedding"]
    assert not found[1].any()
    assert bool((found[0] > 0).all())


def test_a_first_token_after_padding_is_found() -> None:
    head = with_decoder(ClsMlmHead())
    given = features()
    moved = {
        "token_embeddings": given["token_embeddings"][1:2].roll(2, 1),
        "attention_mask": given["attention_mask"][1:2].roll(2, 1),
        "input_ids": given["input_ids"][1:2].roll(2, 1),
    }
    expected = head(given)["sentence_embedding"][1:2]
    torch.testing.assert_close(head(moved)["sentence_embedding"], expected)


@pytest.mark.parametrize("make", [MlmHead, ClsMlmHead])
def test_options_that_are_none_are_refused(make: Any) -> None:
    with pytest.raises(InputError, match="negative logits"):
        make("identity", "log1p")
    with pytest.raises(InputError, match="choose max or sum"):
        MlmHead("relu", "log1p", "mean")  # type: ignore[arg-type]


def test_a_head_without_a_network_says_so() -> None:
    with pytest.raises(InputError, match="no masked-LM network before it"):
        MlmHead()(features())


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert", "modernbert"])
def test_a_tapped_network_gives_the_same_logits(architecture: str) -> None:
    network = _network(architecture)
    ids = torch.tensor([[1, 5, 6, 2]])
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    model = network.model.eval()
    expected = model(**given).logits.amax(1)
    decoder = tap(network)
    assert tap(network) is decoder
    states = model(**given, columns=COLUMNS).logits  # features come along; networks ignore them
    assert states.shape == (1, 4, decoder.in_features)
    head = MlmHead("identity", "none")
    head.attach(network)
    found = head({"token_embeddings": states, "attention_mask": torch.ones_like(ids)})
    torch.testing.assert_close(found["sentence_embedding"], expected, rtol=1e-5, atol=1e-5)
    assert isinstance(head, Head)
    assert not dict(head.named_parameters())  # the decoder stays the network's
    untap(network)
    torch.testing.assert_close(model(**given).logits.amax(1), expected)


def test_training_mode_survives_tapping() -> None:
    network = _network("bert")
    network.model.train()
    tap(network)
    assert network.model.training


def test_a_network_that_does_not_end_in_its_decoder_is_refused() -> None:
    network = _network("bert")
    network.model.get_output_embeddings = lambda: None
    with pytest.raises(InputError, match="does not end in a linear layer"):
        tap(network)
    inner = network.model.cls.predictions.transform.dense
    network.model.get_output_embeddings = lambda: inner
    with pytest.raises(InputError, match="does not end in a linear layer"):
        tap(network)
    assert "forward" not in inner.__dict__


def _network(architecture: str) -> Any:
    import transformers

    sizes: dict[str, Any] = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    shared: dict[str, Any] = {"vocab_size": 20, "max_position_embeddings": 16}
    torch.manual_seed(0)
    config: transformers.PretrainedConfig
    match architecture:
        case "distilbert":
            config = transformers.DistilBertConfig(
                dim=8, n_layers=1, n_heads=2, hidden_dim=8, **shared
            )
        case "roberta":
            config = transformers.RobertaConfig(**sizes, intermediate_size=8, **shared)
        case "modernbert":
            tokens: dict[str, Any] = {
                f"{name}_token_id": 0 for name in ("pad", "bos", "eos", "cls", "sep")
            }
            config = transformers.ModernBertConfig(**sizes, intermediate_size=8, **shared, **tokens)
        case _:
            config = transformers.BertConfig(**sizes, intermediate_size=8, **shared)
    model = transformers.AutoModelForMaskedLM.from_config(config, attn_implementation="eager")
    return SimpleNamespace(model=model, transformer_task="fill-mask")
