"""Classes that a saved model names: found by today's path and by old ones, or refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lsr.encoders.learned.model_classes import model_classes
from lsr.errors import InputError
from lsr.training.models.mlp_head import MlpHead
from lsr.training.models.sparse_encoder import open_model
from tests.support.command_line import refused

OLD = Path(__file__).resolve().parents[2] / "fixtures" / "v0_1" / "models" / "mlp"
UNKNOWN = "lsr.training.models.nothing.NoHead"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "model"))


def rename(model: Path, path: str) -> None:
    modules = json.loads((model / "modules.json").read_text())
    modules[1]["type"] = path
    (model / "modules.json").write_text(json.dumps(modules))


def test_a_class_is_found_by_the_path_of_version_0_1(model: Path) -> None:
    assert model_classes(model) == {"lsr.training.mlphead.MlpHead": MlpHead}
    rename(model, "lsr.training.models.mlp_head.MlpHead")
    assert list(model_classes(model).values()) == [MlpHead]


@pytest.mark.parametrize("path", [UNKNOWN, "lsr.training.models.mlp_head.NoHead", "lsr.nowhere.A"])
def test_an_unknown_class_is_refused_by_name(model: Path, path: str) -> None:
    rename(model, path)
    for opened in (model_classes, open_model):
        with pytest.raises(InputError, match=f"names the class {path}, which this version") as said:
            opened(model)
        assert "modules.json" in str(said.value)


def test_the_command_line_says_so_in_one_sentence(model: Path, tmp_path: Path) -> None:
    rename(model, UNKNOWN)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("Keys rotate.")
    said = refused("index", "build", tmp_path / "notes", tmp_path / "index", "--sparse", model)
    assert UNKNOWN in said
    assert not (tmp_path / "index").exists()
