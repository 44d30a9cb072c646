"""Models of a config that bring code along: trusted by its key, or refused before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lsr.encoders.learned.model_classes import is_trusted
from lsr.encoders.model_code import ModelCode
from lsr.errors import InputError
from lsr.training.checks.model_code import check_model_code
from lsr.training.checks.requirements import check_config
from lsr.training.config.train import TrainConfig
from tests.support.dense_models import dense_model_folder, dense_with_own_code


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_code_is_run_where_the_key_says_so(tmp_path: Path) -> None:
    coded = dense_with_own_code(tmp_path / "coded")
    with pytest.raises(InputError, match=r"T: the model .* runs code .* set trust_remote_code: tr"):
        check_model_code(str(coded), "T", trusts=False)
    code = ModelCode.of(str(coded))
    assert code is not None
    assert not is_trusted(code.sha256)
    check_model_code(str(coded), "T", trusts=True)
    assert is_trusted(code.sha256)
    with pytest.raises(InputError, match="set trust_remote_code: true"):
        check_model_code(str(coded), "T", trusts=False)  # a config says so itself
    plain = dense_model_folder(tmp_path / "plain", "dot")
    check_model_code(str(plain), "T", trusts=False)
    with pytest.raises(
        InputError, match=r"T: trust_remote_code is true, and .* leave trust_remote"
    ):
        check_model_code(str(plain), "T", trusts=True)


def test_code_that_transformers_has_needs_no_word(tmp_path: Path) -> None:
    coded = dense_with_own_code(tmp_path)
    config = json.loads((coded / "config.json").read_text()) | {"model_type": "bert"}
    (coded / "config.json").write_text(json.dumps(config))
    check_model_code(str(coded), "T", trusts=False)


def test_a_config_is_refused_before_the_first_step(tmp_path: Path) -> None:
    coded = str(dense_with_own_code(tmp_path / "coded"))

    def config(**teacher: object) -> TrainConfig:
        stage = {
            "data": {"sources": [{"path": str(tmp_path / "rows.jsonl")}]},
            "teachers": [{"kind": "dense", "model": coded, **teacher}],
        }
        return TrainConfig.model_validate({"output": str(tmp_path / "run"), "stages": [stage]})

    with pytest.raises(InputError, match=r"stage train, teacher 1 \(dense\): the model .* runs"):
        check_config(config())
    check_config(config(trust_remote_code=True))
