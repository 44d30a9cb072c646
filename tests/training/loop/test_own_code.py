"""Bases that bring code along: trained from where they are trusted, and refused where they are not.

Nothing here reaches the hub, and nothing asks on the terminal.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers.dynamic_module_utils
import transformers.utils.hub
from sentence_transformers import SparseEncoder

from lsr.encoders.learned.model_classes import is_trusted
from lsr.encoders.model_code import ModelCode
from lsr.encoders.registry import learned_options, open_learned
from lsr.errors import InputError
from lsr.training.checks.requirements import check_config
from lsr.training.config.train import TrainConfig
from lsr.training.config.yaml_file import config_of
from lsr.training.loop.adapt import adapt_model
from lsr.training.loop.run import train_model
from lsr.training.models.base_network import is_decoder
from lsr.training.models.checkpoint import Checkpoint
from lsr.training.models.sparse_encoder import make_model, open_model, save_model
from lsr.training.planning.estimate import estimate_run
from tests.support.command_line import refused
from tests.support.dense_models import DENSE_CODE, naming_own_code
from tests.support.tiny_models import WORDS, tiny_base

TEXTS = [" ".join(WORDS[first : first + 8]) for first in range(20, 100, 8)]
TRUSTING = {"trust_remote_code": True}
MLM = {"kind": "mlm"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asks(*_: object, **__: object) -> bool:
        raise AssertionError("transformers asks on the terminal")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("builtins.input", asks)
    resolve: Any = transformers.dynamic_module_utils.resolve_trust_remote_code
    for place in ("configuration_auto", "tokenization_auto", "auto_factory", "processing_auto"):

        def said(trust: bool | None, *given: Any, **named: Any) -> Any:
            assert trust is not None, "whether code is trusted is left open"
            return resolve(trust, *given, **named)

        monkeypatch.setattr(f"transformers.models.auto.{place}.resolve_trust_remote_code", said)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return naming_own_code(tiny_base(tmp_path / "base"))


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    rows = [{"query": text[:9], "positive": text} for text in TEXTS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def config(base: Path, pairs: Path, output: Path, **encoder: Any) -> TrainConfig:
    stage = {
        "data": {"sources": [{"path": str(pairs)}]},
        "losses": [{"kind": "infonce"}],
        "optim": {"steps": 4, "queries": 4, "lr": 1e-3, "sampled_columns": 60},
    }
    made = {
        "output": str(output),
        "encoder": {"base": str(base), "max_document_tokens": 32, **encoder},
        "guard": {"max_spread": 1e9, "min_terms": 0},
        "checkpoint_every": 2,
        "stages": [stage],
    }
    return config_of(made, (), "test")


def interrupted(config: TrainConfig) -> None:
    def interrupt(stage: str, done: int, total: int, figures: object) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_model(config, report=interrupt)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = open_model(folder, trust_remote_code=True).state_dict()
    return state


def test_without_the_key_nothing_runs(base: Path, pairs: Path, tmp_path: Path) -> None:
    (base / "modeling.py").write_text("raise AssertionError('it ran')\n")
    plain = tiny_base(tmp_path / "plain")
    told = r"the base: the model .*base' runs code of its own, .* set encoder\.trust_remote_code: t"
    for run in (train_model, estimate_run):
        with pytest.raises(InputError, match=told):
            run(config(base, pairs, tmp_path / "run"))
    two = config(plain, pairs, tmp_path / "run", query_base=str(base), shared=False, query=MLM)
    with pytest.raises(InputError, match="the base of queries: the model .* runs code of its own"):
        train_model(two)
    said = refused("adapt", base, pairs, tmp_path / "run", "--dense", "none")
    assert "the base: the model" in said
    assert "read it, then give --trust-remote-code" in said
    with pytest.raises(
        InputError, match=r"the base: trust_remote_code is true, and .* leave trust"
    ):
        train_model(config(plain, pairs, tmp_path / "run", **TRUSTING))
    assert not (tmp_path / "run").exists()


def test_it_is_estimated_trained_resumed_and_opened(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    wanted = config(base, pairs, tmp_path / "run", **TRUSTING)
    code = ModelCode.of(str(base))
    assert code is not None
    assert not is_trusted(code.sha256)
    assert estimate_run(wanted).seconds > 0
    assert not (tmp_path / "run").exists()
    assert is_trusted(code.sha256)
    interrupted(wanted)
    model = train_model(wanted).model
    straight = train_model(config(base, pairs, tmp_path / "straight", **TRUSTING)).model
    found, expected = weights(model), weights(straight)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    shutil.rmtree(base)  # the model has all that it needs
    with pytest.raises(InputError, match="runs code of its own, which is not run unless you trust"):
        open_learned(str(model)).encode_documents(TEXTS)
    encoder = open_learned(str(model), learned_options("fp32", trust_remote_code=True))
    vectors = encoder.encode_documents(TEXTS[:1])
    stock = SparseEncoder(str(model), trust_remote_code=True, device="cpu")
    dense = stock.encode_document(TEXTS[:1], convert_to_sparse_tensor=False)
    assert int((dense > 0).sum()) == vectors.nnz > 0
    card = (model / "README.md").read_text()
    assert 'SparseEncoder("this folder", trust_remote_code=True)' in card
    assert "as its base brought it along" in card


def test_code_that_changes_is_not_gone_on_with(base: Path, pairs: Path, tmp_path: Path) -> None:
    wanted = config(base, pairs, tmp_path / "run", **TRUSTING)
    interrupted(wanted)
    saved = tmp_path / "run/0-start/encoder/modeling.py"
    for changed in (base / "modeling.py", saved):
        before = changed.read_text()
        changed.write_text(before.replace("* 2", "* 3"))
        with pytest.raises(InputError, match=r"modeling.py is not code of .*base as it is now"):
            train_model(wanted)
        with pytest.raises(InputError, match="put that back, or choose another output"):
            estimate_run(wanted)
        changed.write_text(before)
    first = ModelCode.of(str(base))
    (base / "modeling.py").write_text(DENSE_CODE.replace("* 2", "* 3"))
    other = ModelCode.of(str(base))
    assert first is not None
    assert other is not None
    assert not is_trusted(other.sha256)
    check_config(config(base, pairs, tmp_path / "anew", **TRUSTING))
    assert is_trusted(first.sha256)
    assert is_trusted(other.sha256)


def test_two_networks_with_code(base: Path, pairs: Path, tmp_path: Path) -> None:
    """Queries by a network of their own, whose code is the same, another, or none."""
    own = naming_own_code(tiny_base(tmp_path / "own", seed=1))
    two = {"query_base": str(own), "shared": False, "query": MLM, **TRUSTING}
    save_model(make_model(config(base, pairs, tmp_path, **two).encoder, None), tmp_path / "same")
    assert weights(tmp_path / "same")
    (own / "modeling.py").write_text(DENSE_CODE + "\n")
    with pytest.raises(InputError, match=r"two networks whose code is in different files model"):
        train_model(config(base, pairs, tmp_path / "run", **two))
    assert not (tmp_path / "run").exists()
    assert not list(tmp_path.glob(".*"))
    plain = {**two, "query_base": str(tiny_base(tmp_path / "plain"))}
    assert weights(train_model(config(base, pairs, tmp_path / "run", **plain)).model)


def test_code_that_does_not_open_what_it_saved(base: Path, pairs: Path, tmp_path: Path) -> None:
    spoilt = """

class Spoilt(NewConfig):
    def to_dict(self):
        return super().to_dict() | {"vocab_size": 7}
"""
    (base / "modeling.py").write_text(
        DENSE_CODE.replace("config_class = NewConfig", "config_class = Spoilt").replace(
            "class NewModel", spoilt.strip() + "\n\n\nclass NewModel"
        )
    )
    named = (base / "config.json").read_text().replace("modeling.NewConfig", "modeling.Spoilt")
    (base / "config.json").write_text(named)
    with pytest.raises(
        InputError, match=r"a model of the base .* cannot be opened again by the co"
    ):
        train_model(config(base, pairs, tmp_path / "run", **TRUSTING))
    assert not (tmp_path / "run").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_finished_model_is_trained_on(base: Path, pairs: Path, tmp_path: Path) -> None:
    sides = {"query": {"kind": "mlp"}, "document": MLM}
    first = tmp_path / "first"
    save_model(make_model(config(base, pairs, first, **sides, **TRUSTING).encoder, None), first)
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"_id": text, "text": text}) + "\n" for text in TEXTS))
    out = tmp_path / "adapted"

    def adapt() -> None:
        adapt_model(str(first), str(corpus), out, steps=1, dense=None, trust_remote_code=True)

    adapt()
    assert weights(out / "model")
    for code in first.rglob("*.py"):
        code.write_text(DENSE_CODE.replace("* 2", "* 3"))
    with pytest.raises(InputError, match="a run goes on by the code that it began with"):
        adapt()
    changed = ModelCode.of(str(first))
    assert changed is not None
    assert not is_trusted(changed.sha256)


def test_a_saved_model_names_its_own_code_alone(
    base: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of gte's bases, whose classes are in a repository of their own."""
    named = json.loads((base / "config.json").read_text())
    elsewhere = tmp_path / "new-impl"
    elsewhere.mkdir()
    (base / "modeling.py").rename(elsewhere / "modeling.py")
    named["auto_map"] = {
        kind: f"owner/new-impl--{name}" for kind, name in named["auto_map"].items()
    }
    (base / "config.json").write_text(json.dumps(named))
    monkeypatch.setattr("lsr.encoders.model_code._of_hub", lambda *_, **__: elsewhere)
    cached: Any = transformers.utils.hub.cached_file

    def of_hub(name: str, file: str, **given: Any) -> Any:
        return cached(str(elsewhere) if name == "owner/new-impl" else name, file, **given)

    monkeypatch.setattr("transformers.dynamic_module_utils.cached_file", of_hub)
    monkeypatch.setattr(
        "transformers.dynamic_module_utils.extract_commit_hash", lambda *_: "0" * 40
    )
    pushed: dict[str, str] = {}

    def push(_: object, name: str, *, local_model_path: str) -> None:
        pushed[name] = local_model_path

    monkeypatch.setattr(SparseEncoder, "push_to_hub", push)
    monkeypatch.setattr("lsr.training.checks.requirements._check_hub", lambda *_: None)
    wanted = config(base, pairs, tmp_path / "run", **TRUSTING)
    model = train_model(wanted.model_copy(update={"push_to_hub": "me/mine"})).model
    assert pushed == {"me/mine": str(model)}
    monkeypatch.undo()
    assert "owner/new-impl" not in "".join(path.read_text() for path in model.rglob("*.json"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert weights(model)


def test_a_tokenizer_with_code_is_refused(base: Path, pairs: Path, tmp_path: Path) -> None:
    told = json.loads((base / "tokenizer_config.json").read_text())
    told |= {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["tokens.Own", None]}}
    (base / "tokenizer_config.json").write_text(json.dumps(told))
    (base / "tokens.py").write_text(
        "from transformers import BertTokenizer\n\n\nclass Own(BertTokenizer):\n    pass\n"
    )
    with pytest.raises(InputError, match=r"tokenizer of the base .* is code of its own.*transform"):
        train_model(config(base, pairs, tmp_path / "run", **TRUSTING))
    assert not (tmp_path / "run").exists()


def test_code_says_what_a_base_is(base: Path) -> None:
    checkpoint = Checkpoint.of(str(base), trusts=True)
    assert checkpoint.code is not None
    assert is_trusted(checkpoint.code.sha256)
    assert not is_decoder(checkpoint)
    named = json.loads((base / "config.json").read_text())
    named["auto_map"] = {
        "AutoConfig": "modeling.NewConfig",
        "AutoModelForCausalLM": "modeling.NewForMaskedLM",
    }
    (base / "config.json").write_text(json.dumps(named))
    assert is_decoder(Checkpoint.of(str(base), trusts=True))
