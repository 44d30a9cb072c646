"""A training config: what is refused, and how; presets; settings from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsr.errors import DataError, InputError
from lsr.training.config.presets import PRESETS
from lsr.training.config.train import Anchored, InfoNce, Kl, MarginMse, Mlm, Table, TrainConfig
from lsr.training.config.yaml_file import config_of, read_config, written_config

CONFIGS = Path(__file__).resolve().parents[3] / "configs"

PLAIN = """
output: runs/a
stages:
  - data: {sources: [{path: "pairs.jsonl"}]}
"""


def read(tmp_path: Path, text: str, *settings: str) -> TrainConfig:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return read_config(path, settings)


def test_what_is_not_said_has_defaults_and_is_written_out(tmp_path: Path) -> None:
    config = read(tmp_path, PLAIN)
    assert config.encoder.query == Table()
    assert config.stages[0].losses == (Kl(),)
    again = tmp_path / "again.yaml"
    again.write_text(written_config(config), encoding="utf-8")
    assert read_config(again) == config
    assert "max_document_tokens: 256" in written_config(config)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ouput: a\n" + PLAIN, "'ouput' is not a key of the config; did you mean 'output'?"),
        (PLAIN + "    optim: {step: 3}\n", "'stages.0.optim.step' is not .* mean 'steps'"),
        (PLAIN + "encoder: {document: {kind: mlm, poling: max}}\n", "did you mean 'pooling'"),
        (PLAIN + "    optim: {lr: -1}\n", "'stages.0.optim.lr' is -1: input should be greater"),
        (PLAIN + "    optim: {lr: .nan}\n", "lr' is nan"),
        (PLAIN + "encoder: {document: {kind: mml}}\n", "encoder.document"),
        (PLAIN + "    regularizer: {target_terms: 9, target_flops: 1}\n", "not by both"),
        (PLAIN + "    regularizer: {kind: none, target_terms: 9}\n", "a target needs a kind"),
        (
            PLAIN + "    regularizer: {kind: l1, flops_over: candidates}\n",
            "the kind is l1",
        ),
        (PLAIN + "    regularizer: {kind: none, flops_over: candidates}\n", "leave flops_over out"),
        (PLAIN + "    regularizer: {flops_over: candidate}\n", "did you mean 'candidates'"),
        (PLAIN + "    regularizer: {top_k: 9}\n", "top_k keeps .* set optim.full_head to true"),
        (
            PLAIN + "    losses: [{kind: infonce, candidates: own}]\n    optim: {candidates: 1}\n",
            "infonce compares a query's own candidates, and optim.candidates is 1, the positive",
        ),
        (PLAIN + "encoder: {query_base: a}\n", "query_base .* queries share one network"),
        (PLAIN + "encoder: {query_base: a, shared: false}\n", "query_base .* queries are a table"),
        ("stages: []\noutput: a\n", "stages"),
        ("stages: [{}]\n", "'output' is missing"),
        ("preset: splade-docs\n" + PLAIN, "no preset 'splade-docs'; did you mean 'splade-doc'"),
        (PLAIN.replace("pairs", "${NOT_SET}/pairs"), "needs the environment variable NOT_SET"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_config(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_config(tmp_path / "none.yaml")
    for text in ("- a\n", "a: [", "text"):
        with pytest.raises(DataError, match="is not"):
            read(tmp_path, text)


def test_settings_stand_above_the_file(tmp_path: Path) -> None:
    two = PLAIN + "  - name: second\n"
    settings = ("optim.lr=3e-5", "seed=7", "stages.1.optim.steps=9", "encoder.base=folder")
    config = read(tmp_path, two, *settings)
    assert [stage.optim.lr for stage in config.stages] == [3e-5, 3e-5]
    assert [stage.optim.steps for stage in config.stages] == [1000, 9]
    assert (config.seed, config.encoder.base) == (7, "folder")
    for wrong in ("seed", "=3", "stages.5.name=a", "output.a=1"):
        with pytest.raises(InputError, match="--set"):
            read(tmp_path, two, wrong)
    with pytest.raises(InputError, match="did you mean 'lr'"):
        read(tmp_path, two, "optim.lrr=1")


def test_a_preset_gives_way_to_what_is_said(tmp_path: Path) -> None:
    config = read(tmp_path, "preset: splade-v3-doc\n" + PLAIN + "    optim: {lr: 1e-4}\n")
    stage = config.stages[0]
    assert stage.optim.lr == 1e-4
    assert stage.losses == (Kl(), MarginMse(weight=0.05))
    assert config.encoder.query == Table(weights="ones")
    assert config.encoder.document == Mlm()
    other = "encoder: {document: {kind: mlm, saturation: double_log}}\n"
    config = read(tmp_path, "preset: anchored\n" + PLAIN + other)
    assert config.encoder.document == Mlm(saturation="double_log"), "of another kind: not merged"
    config = read(tmp_path, "preset: anchored\n" + PLAIN + "encoder: {document: {min_idf: 2}}\n")
    assert config.encoder.document == Anchored(min_idf=2)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_config(tmp_path: Path, name: str) -> None:
    config = read(tmp_path, f"preset: {name}\n" + PLAIN)
    assert config.preset == name


def test_presets_compare_the_candidates_that_their_papers_do(tmp_path: Path) -> None:
    found = {}
    for name in PRESETS:
        (loss, *_) = read(tmp_path, f"preset: {name}\n" + PLAIN).stages[0].losses
        if isinstance(loss, InfoNce):
            found[name] = loss.candidates
    own, batch = ("deepimpact", "epic", "sparta"), ("unicoil", "tildev2", "tilde")
    assert found == dict.fromkeys(own, "own") | dict.fromkeys(batch, "batch")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_are_configs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSR_DATA", "somewhere")
    assert read_config(path).output == f"runs/{path.stem}"


def test_environment_variables_are_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAIRS", "somewhere")
    config = read(tmp_path, PLAIN.replace("pairs.jsonl", "${PAIRS}/pairs.jsonl"))
    assert config.stages[0].data is not None
    assert config.stages[0].data.sources[0].path == "somewhere/pairs.jsonl"


def test_a_wrong_value_is_named_and_not_what_holds_it() -> None:
    given = {"output": "o", "stages": [{"scores": {"lexical_terms": -1}}]}
    with pytest.raises(InputError) as refused:
        config_of(given, (), "a.yaml")
    told = str(refused.value)
    assert told.startswith("a.yaml: 'stages.0.scores.lexical_terms' is -1: ")
    assert told.count(";") == 0
    given = {"output": "o", "stages": [{"scores": {"lexical_terms": {"weight": -1}}}]}
    with pytest.raises(InputError, match=r"^a\.yaml: own terms: weight is -1\.0; "):
        config_of(given, (), "a.yaml")


def test_former_keys_are_read_in_their_places_alone() -> None:
    stage = {
        "data": {"sources": [{"path": "p.jsonl", "where": {"use": ["yes"], "own_terms": ["x"]}}]},
        "scores": {"own_terms": {"weight": 2}},
    }
    given = {"output": "o", "stages": [stage], "use": {"own_terms": {"weight": 3}}}
    settings = ("scores.own_terms.k1=2", "use.min_idf=1")
    config = config_of(given, settings, "a.yaml")
    assert config.search_defaults is not None
    assert config.search_defaults.lexical_terms is not None
    assert (config.search_defaults.lexical_terms.weight, config.search_defaults.min_idf) == (3, 1)
    assert config.stages[0].scores.lexical_terms is not None
    assert config.stages[0].scores.lexical_terms.k1 == 2
    assert config.stages[0].data is not None
    where = config.stages[0].data.sources[0].where
    assert set(where) == {"use", "own_terms"}, "fields of rows are no keys of the config"


def test_a_key_and_its_former_name_together_are_refused() -> None:
    cases: tuple[dict[str, object], ...] = (
        {"use": {}, "search_defaults": {}},
        {"stages": [{"scores": {"own_terms": None, "lexical_terms": None}}]},
    )
    for both in cases:
        with pytest.raises(InputError, match=r"a\.yaml: '\w+' is the former name of '\w+', and bo"):
            config_of({"output": "o", "stages": [{}], **both}, (), "a.yaml")
