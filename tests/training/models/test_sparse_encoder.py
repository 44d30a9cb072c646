"""Model folders: every pair of sides is made, encodes, is saved and opened again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Router, Transformer
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling

from lsr.errors import InputError, StorageError
from lsr.training.config.train import (
    Anchored,
    ClsMlm,
    DocumentSide,
    EncoderConfig,
    Epic,
    Mlm,
    Mlp,
    QuerySide,
    Table,
)
from lsr.training.models.anchored_head import AnchoredHead
from lsr.training.models.checkpoint import Checkpoint, base_folder, has_trained_head
from lsr.training.models.mlm_head import MlmHead, routes
from lsr.training.models.sparse_encoder import (
    make_model,
    open_model,
    query_table,
    save_model,
)
from tests.support.tiny_models import tiny_base, tiny_tokenizer

TEXTS = ["The cat and the dog.", "whale", "a heart of xyz, of blood and bone"]

QUERIES: list[QuerySide] = [Table(), Mlp(), Mlm(), ClsMlm(), Epic()]
DOCUMENTS: list[DocumentSide] = [
    Table(weights="ones"),
    Mlp(),
    Mlm(saturation="double_log"),
    ClsMlm(),
    Epic(),
    Anchored(gate=True),
]
STOCK = [
    Mlm(),
    Mlm(saturation="double_log"),
    Mlm(pooling="sum"),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("base") / "bert")


@pytest.fixture(scope="module")
def idf() -> NDArray[np.float32]:
    return np.linspace(0.1, 8, len(tiny_tokenizer()), dtype=np.float32)


def _model(base: Path, idf: NDArray[np.float32] | None, **sides: Any) -> Any:
    return make_model(EncoderConfig(base=str(base), **sides), idf, device="cpu")


def _vectors(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    options = {"convert_to_sparse_tensor": False, "show_progress_bar": False}
    return model.encode_query(TEXTS, **options), model.encode_document(TEXTS, **options)


def _assert_same(model: Any, other: Any) -> None:
    for found, expected in zip(_vectors(model), _vectors(other), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        assert bool(expected.any())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda side: side.kind)
@pytest.mark.parametrize("query", QUERIES, ids=lambda side: side.kind)
def test_every_pair_of_sides_is_saved_and_opened(
    query: QuerySide,
    document: DocumentSide,
    base: Path,
    idf: NDArray[np.float32],
    tmp_path: Path,
) -> None:
    model = _model(base, idf, query=query, document=document)
    assert all(vectors.shape == (3, len(idf)) for vectors in _vectors(model))
    save_model(model, tmp_path / "model")
    opened = open_model(tmp_path / "model", device="cpu")
    _assert_same(opened, model)
    features = opened.preprocess(TEXTS, task="document")
    features["columns"] = columns = torch.tensor([60, 7, 100])
    some = opened(features)["sentence_embedding"]
    torch.testing.assert_close(some, _vectors(model)[1][:, columns], rtol=1e-5, atol=1e-5)


def test_queries_may_have_a_network_of_their_own(base: Path, tmp_path: Path) -> None:
    """As in Efficient-SPLADE: another checkpoint, of the same vocabulary."""
    other = tiny_base(tmp_path / "small", seed=3)
    sides: dict[str, Any] = {"query": Mlm(), "document": Mlm(), "shared": False}
    model = _model(base, None, query_base=str(other), **sides)
    one, two = _model(base, None, **sides), _model(other, None, **sides)
    torch.testing.assert_close(_vectors(model)[0], _vectors(two)[0])
    torch.testing.assert_close(_vectors(model)[1], _vectors(one)[1])
    save_model(model, tmp_path / "model")
    _assert_same(open_model(tmp_path / "model", device="cpu"), model)
    words = (tmp_path / "small" / "tokenizer.json").read_text("utf-8")
    (tmp_path / "small" / "tokenizer.json").write_text(words.replace('"whale"', '"whaler"'))
    with pytest.raises(InputError, match="another vocabulary than"):
        _model(base, None, query_base=str(other), **sides)


@pytest.mark.parametrize("document", STOCK, ids=lambda side: f"{side.saturation} {side.pooling}")
@pytest.mark.parametrize("query", [Table(), Mlm()], ids=lambda side: side.kind)
def test_a_stock_architecture_is_saved_with_stock_modules(
    query: QuerySide, document: Mlm, base: Path, idf: NDArray[np.float32], tmp_path: Path
) -> None:
    model = _model(base, idf, query=query, document=document)
    save_model(model, tmp_path / "model")
    for file in tmp_path.rglob("*.json"):
        assert "lsr." not in file.read_text()
    stock = SparseEncoder(str(tmp_path / "model"), device="cpu")
    _assert_same(stock, model)
    assert any(isinstance(module, SpladePooling) for module in stock.modules())
    assert any(isinstance(module, MlmHead) for module in model.modules())
    _assert_same(open_model(tmp_path / "model", device="cpu"), model)


def test_saving_changes_nothing_of_the_model(
    base: Path, idf: NDArray[np.float32], tmp_path: Path
) -> None:
    model = _model(base, idf, document=Mlm(), query=Table(learned=True))
    model.train()
    before = [(name, id(part), part.training) for name, part in model.named_modules()]
    save_model(model, tmp_path / "model")
    assert before == [(name, id(part), part.training) for name, part in model.named_modules()]
    model(model.preprocess(TEXTS, task="document"))["sentence_embedding"].sum().backward()


def test_a_public_model_becomes_memory_light(base: Path, tmp_path: Path) -> None:
    """As SPLADE checkpoints are: a network and a pooling, without routes."""
    network = Transformer(str(base), transformer_task="fill-mask")
    public = SparseEncoder(
        modules=[network, SpladePooling("max", activation_function="log1p_relu")], device="cpu"
    )
    public.save_pretrained(str(tmp_path / "public"), create_model_card=False)
    opened = open_model(tmp_path / "public", device="cpu")
    head = opened[1]
    assert isinstance(head, MlmHead)
    assert head.saturation == "double_log"
    _assert_same(opened, public)
    assert query_table(opened) is None


def test_a_bare_masked_lm_checkpoint_opens(base: Path) -> None:
    opened = open_model(base, device="cpu")
    assert isinstance(opened[1], MlmHead)
    assert opened[1].saturation == "log1p"


def test_the_query_table_is_found(base: Path, idf: NDArray[np.float32]) -> None:
    model = _model(base, idf)
    table = query_table(model)
    assert table is not None
    special = tiny_tokenizer().all_special_ids
    expected = idf.copy()
    expected[special] = 0
    np.testing.assert_array_equal(table.weight.detach().numpy(), expected)
    assert not table.weight.requires_grad
    query = _vectors(model)[0][1]
    whale = tiny_tokenizer().convert_tokens_to_ids("whale")
    assert query.nonzero().tolist() == [[whale]]
    assert query[whale].item() == pytest.approx(float(idf[whale]))


def test_a_learned_table_of_ones_learns(base: Path) -> None:
    table = query_table(_model(base, None, query=Table(weights="ones", learned=True)))
    assert table is not None
    assert table.weight.requires_grad
    assert sorted(set(table.weight.tolist())) == [0, 1]


@pytest.mark.parametrize(
    ("query", "document", "shared", "networks", "routed"),
    [
        (Table(), Mlm(), True, 1, True),
        (Mlm(), Mlm(), True, 1, False),
        (Mlm(), Mlm(), False, 2, True),
        (Mlm(), Mlm(saturation="double_log"), True, 1, True),
        (Mlp(), Mlp(), True, 1, False),
        (Mlp(), Mlm(), True, 2, True),
        (Mlm(), Anchored(), True, 1, True),
        (Epic(), Epic(), True, 1, True),
        (Table(), Table(), True, 0, False),
        (Table(), Table(weights="ones"), True, 0, True),
    ],
)
def test_networks_are_shared_where_sides_are_alike(
    query: QuerySide,
    document: DocumentSide,
    shared: bool,
    networks: int,
    routed: bool,
    base: Path,
    idf: NDArray[np.float32],
) -> None:
    model = _model(base, idf, query=query, document=document, shared=shared)
    found = {id(part) for part in model.modules() if isinstance(part, Transformer)}
    assert len(found) == networks
    assert isinstance(model[0], Router) == routed


def test_sides_have_their_own_lengths(base: Path, idf: NDArray[np.float32]) -> None:
    text = ["cat " * 40]
    for query in (Table(), Mlm()):
        model = _model(base, idf, query=query, max_query_tokens=5, max_document_tokens=9)
        for task, length in (("query", 5), ("document", 9)):
            assert model.preprocess(text, task=task)["input_ids"].shape == (1, length)
    longest = _model(base, idf, max_document_tokens=1000)
    assert longest.preprocess(text * 9, task="document")["input_ids"].shape[1] == 42


def test_the_heaviest_terms_alone(base: Path, idf: NDArray[np.float32], tmp_path: Path) -> None:
    model = _model(base, idf, max_active=3)
    save_model(model, tmp_path / "model")
    for each in (model, open_model(tmp_path / "model", device="cpu")):
        assert int((_vectors(each)[1] > 0).sum(1).max()) == 3


def test_embeddings_that_no_token_uses_are_cut_off(
    base: Path, idf: NDArray[np.float32], tmp_path: Path
) -> None:
    wide = _widened(base, tmp_path / "wide", 7)
    model = _model(wide, idf)
    save_model(model, tmp_path / "model")
    _assert_same(SparseEncoder(str(tmp_path / "model"), device="cpu"), model)
    _assert_same(model, _model(base, idf))


def test_fewer_embeddings_than_tokens_are_refused(
    base: Path, idf: NDArray[np.float32], tmp_path: Path
) -> None:
    narrow = _widened(base, tmp_path / "narrow", -4)
    with pytest.raises(InputError, match=r"embeddings for the \d+ tokens"):
        _model(narrow, idf)


def test_a_base_without_tokenizer_is_refused(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "bare", ignore=shutil.ignore_patterns("*token*", "vocab*"))
    with pytest.raises(InputError, match="has no tokenizer"):
        _model(tmp_path / "bare", None)


def test_a_base_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give a folder that holds one"):
        _model(tmp_path / "nowhere", None)
    with pytest.raises(InputError, match="no such model folder"):
        open_model(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="cannot be loaded"):
        open_model(tmp_path / "empty")


@pytest.mark.parametrize("sides", [{}, {"query": Mlm(), "document": Anchored()}])
def test_idf_is_asked_for_and_measured(sides: dict[str, Any], base: Path) -> None:
    with pytest.raises(InputError, match="needs an idf"):
        _model(base, None, **sides)
    with pytest.raises(InputError, match=r"idf has shape \(5,\)"):
        _model(base, np.ones(5, np.float32), **sides)


def test_an_anchored_head_keeps_its_idf_and_average(
    base: Path, idf: NDArray[np.float32], tmp_path: Path
) -> None:
    config = EncoderConfig(base=str(base), document=Anchored(min_idf=2.0))
    model = make_model(config, idf, average_length=12.5, device="cpu")
    save_model(model, tmp_path / "model")
    head = routes(open_model(tmp_path / "model", device="cpu"))["document"][1]
    assert isinstance(head, AnchoredHead)
    np.testing.assert_array_equal(head.idf.numpy(), idf)
    assert (head.average_length, head.min_idf) == (12.5, 2.0)


def test_a_trained_head_is_told_from_a_fresh_one(base: Path, tmp_path: Path) -> None:
    assert has_trained_head(Checkpoint.of(str(base)))
    plain = tiny_base(tmp_path / "plain", masked_lm=False)
    assert not has_trained_head(Checkpoint.of(str(plain)))


def test_a_base_without_head_gets_one(tmp_path: Path, idf: NDArray[np.float32]) -> None:
    plain = tiny_base(tmp_path / "plain", masked_lm=False)
    assert bool(_vectors(_model(plain, idf))[1].any())


def test_a_failed_save_leaves_what_was_there(
    base: Path, idf: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "model"
    save_model(_model(base, idf, document=Mlm()), target)
    before = {file.name: file.read_bytes() for file in target.rglob("*.json")}

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(SparseStaticEmbedding, "save", fail)
    with pytest.raises(StorageError, match="no space left"):
        save_model(_model(base, idf, document=Mlm(saturation="double_log")), target)
    assert before == {file.name: file.read_bytes() for file in target.rglob("*.json")}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_save_replaces_the_model_before(
    base: Path, idf: NDArray[np.float32], tmp_path: Path
) -> None:
    target = tmp_path / "deep" / "model"
    save_model(_model(base, idf, document=Epic()), target)
    (target / "left").write_text("over")
    save_model(_model(base, idf, query=Mlm(), document=Mlm()), target)
    assert not (target / "left").exists()
    kinds = [entry["type"] for entry in json.loads((target / "modules.json").read_text())]
    assert [kind.rpartition(".")[2] for kind in kinds] == ["Transformer", "SpladePooling"]
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_what_is_no_model_is_not_replaced(
    base: Path, idf: NDArray[np.float32], tmp_path: Path
) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "one").write_text("dear")
    (tmp_path / "file").write_text("x")
    model = _model(base, idf)
    for name in ("letters", "file"):
        with pytest.raises(InputError, match="holds no model"):
            save_model(model, tmp_path / name)
    assert (tmp_path / "letters" / "one").read_text() == "dear"
    (tmp_path / "blank").mkdir()
    save_model(model, tmp_path / "blank")
    assert (tmp_path / "blank" / "modules.json").is_file()


def test_the_packaged_checkpoint_has_a_folder(tmp_path: Path) -> None:
    assert base_folder(str(tmp_path)) == str(tmp_path)
    assert base_folder("owner/name") == "owner/name"
    assert (Path(base_folder("all-MiniLM-L6-v2")) / "config.json").is_file()


def _widened(base: Path, folder: Path, by: int) -> Path:
    from transformers import AutoModelForMaskedLM

    shutil.copytree(base, folder)
    model = AutoModelForMaskedLM.from_pretrained(base)
    model.resize_token_embeddings(len(tiny_tokenizer()) + by, mean_resizing=False)
    model.save_pretrained(folder)
    return folder
