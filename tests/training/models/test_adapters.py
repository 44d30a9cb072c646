"""Low-rank adapters: what is trained, what is saved, how a run with them ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import SparseEncoder
from torch import nn

from lsr.errors import InputError, UnavailableError
from lsr.training.config.train import EncoderConfig, LoraConfig, Mlp, Table
from lsr.training.config.yaml_file import config_of
from lsr.training.loop.run import train_model
from lsr.training.models.adapters import add_adapters, merge_adapters, merged_adapters
from lsr.training.models.sparse_encoder import make_model, open_model, save_model
from tests.support.tiny_models import WORDS, tiny_base

TEXTS = ["the cat and the dog", "a wolf in the forest by the lake", "rain"]
ONES = Table(weights="ones")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("models") / "base")


def adapted(base: Path, **lora: Any) -> SparseEncoder:
    """A model whose adapters change what it gives."""
    model = make_model(EncoderConfig(base=str(base), query=ONES), None, device="cpu")
    add_adapters(model, LoraConfig(rank=4, **lora))
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.3)
    return model.eval()


def vectors(model: SparseEncoder) -> torch.Tensor:
    found: torch.Tensor = model.encode_document(TEXTS, convert_to_sparse_tensor=False)
    return found


def test_adapters_and_the_head_are_trained_alone(base: Path) -> None:
    model = make_model(EncoderConfig(base=str(base), query=ONES), None, device="cpu")
    before = vectors(model)
    assert add_adapters(model, LoraConfig(targets=("query", "attention.output.dense"))) == 4
    assert torch.equal(vectors(model), before), "they start as nothing"
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert sum("lora_" in name for name in trained) == 8
    assert all("lora_" in name or ".cls." in name for name in trained)
    assert any(".cls." in name for name in trained)


def test_an_mlp_head_is_trained_and_the_pooler_gets_no_adapter(tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base", masked_lm=False)
    model = make_model(EncoderConfig(base=str(base), query=ONES, document=Mlp()), None)
    assert add_adapters(model, LoraConfig()) == 12
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert not any("pooler" in name for name in trained)
    assert sum("lora_" not in name for name in trained) == 2


def test_merged_they_give_what_they_gave_apart(base: Path, tmp_path: Path) -> None:
    model = adapted(base)
    apart = vectors(model)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with merged_adapters(model):
        save_model(model, tmp_path / "saved")
    after = model.state_dict()
    assert state.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in state.items()), "to the bit"
    stock = SparseEncoder(str(tmp_path / "saved"), device="cpu")
    assert torch.allclose(vectors(stock), apart, rtol=0, atol=1e-5)
    merge_adapters(model)
    assert not any("lora" in name for name, _ in model.named_modules())
    assert torch.allclose(vectors(model), apart, rtol=0, atol=1e-5)
    plain = make_model(EncoderConfig(base=str(base), query=ONES), None, device="cpu")
    assert not torch.allclose(vectors(plain), apart, rtol=0, atol=1e-3), "they do something"


def test_what_cannot_have_adapters_is_refused(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model(EncoderConfig(base=str(base), query=ONES), None)
    with pytest.raises(InputError, match=r"lora\.targets: .* 'q_proj'; it has dense, key, query"):
        add_adapters(model, LoraConfig(targets=("query", "q_proj")))
    tables = make_model(EncoderConfig(base=str(base), query=ONES, document=ONES), None)
    with pytest.raises(InputError, match=r"optim\.lora .* this model has none"):
        add_adapters(tables, LoraConfig())
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UnavailableError, match="peft, which is not installed; run: pip install"):
        add_adapters(model, LoraConfig())


@pytest.fixture
def given(base: Path, tmp_path: Path) -> dict[str, Any]:
    pairs = tmp_path / "pairs.jsonl"
    texts = [" ".join(WORDS[n : n + 8]) for n in range(20, 90, 5)]
    rows = [{"query": text[:9], "positive": text} for text in texts]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    lora = {"rank": 4, "dropout": 0.2}
    return {
        "encoder": {"base": str(base), "query": {"kind": "table", "learned": True}},
        "warm_start": "never",
        "guard": {"max_spread": 1e9, "min_terms": 0},
        "checkpoint_every": 2,
        "stages": [
            {
                "data": {"sources": [{"path": str(pairs)}]},
                "losses": [{"kind": "infonce"}],
                "optim": {"steps": 6, "queries": 4, "lr": 1e-2, "lora": lora},
            }
        ],
    }


def test_a_run_changes_no_weight_of_the_network_until_it_ends(
    given: dict[str, Any], tmp_path: Path
) -> None:
    """Stopped and continued it ends with the same model to the bit, a plain one."""
    straight = train_model(config_of(given | {"output": str(tmp_path / "one")}, (), "test"))
    given["output"] = str(tmp_path / "two")

    def interrupt(stage: str, done: int, total: int, figures: object) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_model(config_of(given, (), "test"), report=interrupt)
    start = open_model(tmp_path / "two/0-start/encoder").state_dict()
    state = torch.load(tmp_path / "two/1-train/checkpoint-4/model.pt", weights_only=True)
    compared = 0
    for name, tensor in state.items():
        plain = name.replace(".base_layer", "")
        if ".bert." in name and "lora_" not in name:
            assert torch.equal(tensor, start[plain]), name
            compared += 1
    assert compared > 30
    assert any(tensor.any() for name, tensor in state.items() if "lora_B" in name)
    assert not torch.equal(
        state["0.sub_modules.query.0.weight"], start["0.sub_modules.query.0.weight"]
    )
    again = train_model(config_of(given, (), "test"))
    one, two = (open_model(each.model).state_dict() for each in (straight, again))
    assert one.keys() == two.keys() == start.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    changed = [
        name for name in one if "query.weight" in name and not torch.equal(one[name], start[name])
    ]
    assert len(changed) == 2, "what adapters learned is in the weights"
    stock = SparseEncoder(str(again.model), device="cpu")
    assert torch.allclose(vectors(stock), vectors(open_model(again.model)), atol=1e-6)


def test_gradient_checkpointing_changes_nothing_in_a_run(
    given: dict[str, Any], tmp_path: Path
) -> None:
    given["stages"][0]["optim"] |= {"steps": 2}
    made = []
    for checkpointed in (False, True):
        given["output"] = str(tmp_path / f"run-{checkpointed}")
        given["stages"][0]["optim"]["gradient_checkpointing"] = checkpointed
        made.append(open_model(train_model(config_of(given, (), "test")).model).state_dict())
    for name, tensor in made[0].items():
        assert torch.allclose(tensor, made[1][name], rtol=0, atol=1e-5), name


@pytest.mark.parametrize("key", ["lora", "gradient_checkpointing"])
def test_a_frozen_network_takes_neither(given: dict[str, Any], key: str) -> None:
    optim: dict[str, Any] = {"freeze_backbone": True, key: {} if key == "lora" else True}
    given["stages"][0]["optim"] = optim
    with pytest.raises(InputError, match=f"{key} .*freeze_backbone.* leave one of the two out"):
        config_of(given | {"output": "a"}, (), "test")
