"""A finished encoder as base: it obeys the config, or is refused by the key that contradicts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import SparseEncoder

from lsr.errors import InputError
from lsr.training.config.encoder import EncoderConfig
from lsr.training.models.finished_base import is_plain_table, obeying, side_kinds
from lsr.training.models.sparse_encoder import make_model, open_model, query_table, save_model
from tests.support.tiny_models import tiny_base


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Finished encoders: SPLADE, one with a query table of ones, one with two networks."""
    folder = tmp_path_factory.mktemp("models")
    checkpoint = str(tiny_base(folder / "base"))
    sides: dict[str, dict[str, Any]] = {
        "splade": {"query": {"kind": "mlm"}, "document": {"kind": "mlm"}},
        "ones": {"query": {"kind": "table", "weights": "ones"}, "document": {"kind": "mlm"}},
        "two": {"query": {"kind": "mlp"}, "document": {"kind": "mlm"}, "shared": False},
    }
    for name, given in sides.items():
        config = EncoderConfig.model_validate({"base": checkpoint, **given})
        save_model(make_model(config, None), folder / name)
    return {name: folder / name for name in sides}


def asked(bases: dict[str, Path], name: str, **given: Any) -> SparseEncoder:
    config = EncoderConfig.model_validate({"base": str(bases[name]), **given})
    return obeying(open_model(bases[name]), config)


def test_kinds(bases: dict[str, Path]) -> None:
    kinds = {name: side_kinds(open_model(path)) for name, path in bases.items()}
    assert kinds == {"splade": ("mlm", "mlm"), "ones": ("table", "mlm"), "two": ("mlp", "mlm")}
    table = query_table(open_model(bases["ones"]))
    assert table is not None
    assert is_plain_table(table)
    with torch.no_grad():
        table.weight[9] = 0.5
    assert not is_plain_table(table)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("splade", {"query": {"kind": "table"}}, "encoder.query is table, .* query side is mlm"),
        ("splade", {"document": {"kind": "mlp"}}, "encoder.document is mlp, .* side is mlm"),
        (
            "splade",
            {"document": {"kind": "mlm", "saturation": "double_log"}},
            "encoder.document.saturation is double_log, and that of the base .* is log1p",
        ),
        ("ones", {"query": {"kind": "mlm"}}, "encoder.query is mlm, .* query side is table"),
        ("two", {"query": {"kind": "mlp"}, "shared": True}, "encoder.shared is true, .* has two"),
        (
            "two",
            {"query": {"kind": "mlp"}, "shared": False, "query_base": "x"},
            "encoder.query_base: the base .* has its queries' network",
        ),
    ],
)
def test_what_contradicts_the_base_is_refused(
    bases: dict[str, Path], name: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        asked(bases, name, **given)


def test_a_table_of_other_weights_is_not_one_of_ones(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    model = open_model(bases["ones"])
    table = query_table(model)
    assert table is not None
    with torch.no_grad():
        table.weight.mul_(2)
    save_model(model, tmp_path / "other")
    config = EncoderConfig.model_validate(
        {"base": str(tmp_path / "other"), "query": {"kind": "table", "weights": "ones"}}
    )
    with pytest.raises(InputError, match="encoder.query.weights is ones"):
        obeying(open_model(tmp_path / "other"), config)


def test_lengths_and_pruning_are_obeyed(bases: dict[str, Path]) -> None:
    text = "cat dog bird fish horse cow wolf bear lion mouse whale shark"
    for name in bases:
        plain = asked(bases, name)
        assert plain.max_active_dims is None
        model = asked(bases, name, max_document_tokens=9, max_query_tokens=4)
        for side, n_words in (("document", 7), ("query", 2)):
            if (name, side) == ("ones", "query"):
                continue
            few = " ".join(text.split()[:n_words])
            with torch.inference_mode():
                short = getattr(model, f"encode_{side}")([text]).to_dense()
                whole = getattr(plain, f"encode_{side}")([few]).to_dense()
            assert torch.allclose(short, whole, atol=1e-5), (name, side)
        assert asked(bases, name, max_active=7).max_active_dims == 7
