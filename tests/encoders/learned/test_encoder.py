"""Learned sparse encoders: equal to sentence-transformers, without torch for queries."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.corpus.idf import document_frequencies, idf_table, shrunk_idf
from lsr.encoders.learned.encoder import AnyLearned, LearnedOptions, load_learned, open_learned
from lsr.encoders.learned.model_folder import ModelFolder, read_tensor
from lsr.encoders.learned.pruning import ActiveTerms, rows_of
from lsr.encoders.learned.query_table import QueryTable
from lsr.encoders.learned.recommended import SearchDefaults
from lsr.encoders.learned.tokenizer import WordPieces
from lsr.encoders.learned.torch_network import TorchNetwork
from lsr.encoders.protocols import CorpusEncoder, Encoder
from lsr.errors import DataError, IndexCorruptError, InputError
from lsr.sparse import CSR
from tests.support.learned_models import TEXTS, inference_free, symmetric

ODD = [
    "Hello, world's (e.g.) foo_bar-baz <b> a@b.c 3.14 \t x\n\r y",
    "x" * 200,
    "[CLS] cat [mask] [MASK] dog",
    "tab\x0bvt \x1f \x7f \u0000 cat",
    "naïve CAFÉ 東京 Straße dog",
    "don't `quote` ~ {a|b} \\ ^ $5",
    " ",
    "cat " * 100,
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inference_free(tmp_path_factory.mktemp("free"))


@pytest.fixture(scope="module")
def splade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return symmetric(tmp_path_factory.mktemp("both"))


def _reference(folder: Path, side: str, texts: list[str]) -> Any:
    from sentence_transformers import SparseEncoder

    encode = getattr(SparseEncoder(str(folder)), f"encode_{side}")
    return encode(texts, convert_to_sparse_tensor=False).numpy()


def _dense(vectors: CSR) -> Any:
    vectors.validate()
    return to_scipy(vectors).toarray()


def _fp32(folder: Path, **options: Any) -> AnyLearned:
    return open_learned(str(folder), LearnedOptions("fp32", **options))


def test_queries_are_those_of_sentence_transformers(model: Path) -> None:
    texts = [*TEXTS, *ODD]
    table = QueryTable.open(ModelFolder.open(str(model)))
    expected = _reference(model, "query", texts)
    assert np.abs(_dense(table.encode(texts)) - expected).max() < 1e-6
    one_by_one = [_dense(table.encode([text]))[0] for text in texts]
    assert np.array_equal(np.array(one_by_one), _dense(table.encode(texts)))
    assert expected[len(TEXTS) + 7].any()  # the truncated one


def test_documents_are_those_of_sentence_transformers(tmp_path: Path, model: Path) -> None:
    twice = inference_free(tmp_path, seed=3, twice=True)
    for folder in (model, twice):
        expected = _reference(folder, "document", TEXTS)
        found = _dense(_fp32(folder).encode_documents(TEXTS))
        full = [i for i, text in enumerate(TEXTS) if text]
        assert np.abs(found - expected)[full].max() < 1e-4
        assert not found[TEXTS.index("")].any()


def test_both_sides_of_a_symmetric_model(splade: Path) -> None:
    encoder = _fp32(splade)
    full = [i for i, text in enumerate(TEXTS) if text]
    for side in ("query", "document"):
        expected = _reference(splade, side, TEXTS)
        encode = encoder.encode_queries if side == "query" else encoder.encode_documents
        assert np.abs(_dense(encode(TEXTS)) - expected)[full].max() < 1e-4
    own = encoder.surface_terms("the cat")
    assert own is not None
    assert {encoder.term(term) for term in own.tolist()} == {"the", "cat"}


def test_batches_of_every_size_give_the_same_rows(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lsr.encoders.learned.text_batches
    import lsr.encoders.learned.torch_network

    texts = [*TEXTS, *(" ".join(["cat", "dog"] * n) for n in range(1, 20))]
    whole = _dense(_fp32(model).encode_documents(texts))
    monkeypatch.setattr(lsr.encoders.learned.text_batches, "BATCH_TOKENS", 64)
    monkeypatch.setattr(lsr.encoders.learned.torch_network, "VOCABULARY_PIECE", 50)
    pieces = _dense(_fp32(model).encode_documents(texts))
    assert np.abs(whole - pieces).max() < 1e-5
    assert whole.any(axis=1).sum() == len(texts) - 1


def test_the_way_of_large_devices_gives_the_same(model: Path, splade: Path) -> None:
    for folder in (model, splade):
        found = TorchNetwork(ModelFolder.open(str(folder)), "fp32")
        expected = _dense(found.encode(TEXTS, "document"))
        route = found._pooled["document"]
        assert route is not None
        route.by_batch = True
        assert np.abs(_dense(found.encode(TEXTS, "document")) - expected).max() < 1e-5


def test_half_precision_is_near(model: Path) -> None:
    full = TorchNetwork(ModelFolder.open(str(model)), "fp32").encode(TEXTS, "document")
    half = TorchNetwork(ModelFolder.open(str(model)), "bf16").encode(TEXTS, "document")
    a, b = _dense(full), _dense(half)
    assert not np.array_equal(a, b)
    assert np.abs(a - b).max() < 0.02 * a.max()


def test_a_head_that_is_not_stock_goes_through_the_model(tmp_path: Path) -> None:
    """A decoder whose logits are changed afterwards is found out, and computed in full."""
    from sentence_transformers import SparseEncoder

    folder = inference_free(tmp_path)
    model = TorchNetwork(ModelFolder.open(str(folder)), "fp32")
    assert model._pooled["document"] is not None
    router: Any = model.encoder[0]
    pooling = router.sub_modules["document"][1]

    class Doubled(type(pooling)):  # type: ignore[misc]
        def forward(self, features: dict[str, Any]) -> dict[str, Any]:
            features = super().forward(features)
            features["sentence_embedding"] = features["sentence_embedding"] * 2
            return features

    plain = _dense(model.encode(["the cat"], "document"))
    pooling.__class__ = Doubled
    import lsr.encoders.learned.torch_network as module

    assert module._PooledRoute.find(model.encoder, "document", False) is None
    model._pooled["document"] = None
    assert np.allclose(_dense(model.encode(["the cat"], "document")), 2 * plain, atol=1e-6)
    assert isinstance(model.encoder, SparseEncoder)


def test_pruning_by_hand() -> None:
    vectors = CSR.from_rows([{0: 1.0, 1: 0.2, 2: 0.5}, {}, {1: 0.05, 3: 0.1}], 4)
    kept = ActiveTerms(prune_ratio=0.2).of(vectors)
    assert [row.terms.tolist() for row in map(kept.row, range(3))] == [[0, 2], [], [1, 3]]
    kept = ActiveTerms(max_active=1, prune_ratio=0.2).of(vectors)
    assert [row.terms.tolist() for row in map(kept.row, range(3))] == [[0], [], [3]]
    assert ActiveTerms().of(vectors) is vectors
    array = np.array([[0, -1, 0.5], [0, 0, 0]], np.float32)
    assert _dense(rows_of(array)).tolist() == [[0, 0, 0.5], [0, 0, 0]]
    for wrong in ({"max_active": 0}, {"prune_ratio": 1.0}, {"prune_ratio": -0.1}):
        with pytest.raises(InputError):
            ActiveTerms(**wrong)


def test_options_prune_documents(model: Path) -> None:
    whole = _fp32(model).encode_documents(TEXTS)
    few = _fp32(model, max_active=7).encode_documents(TEXTS)
    assert np.diff(few.indptr).max() == 7 < np.diff(whole.indptr).max()
    assert np.array_equal(_dense(few), _dense(whole.top_terms(7)))
    near = _fp32(model, prune_ratio=0.5).encode_documents(TEXTS)
    assert 0 < near.nnz < whole.nnz


def test_identity_goes_with_what_the_output_depends_on(model: Path, tmp_path: Path) -> None:
    first = _fp32(model).identity
    copy = tmp_path / "elsewhere"
    shutil.copytree(model, copy)
    (copy / "README.md").write_text("changed")
    assert _fp32(copy).identity.sha256 == first.sha256
    assert _fp32(model, max_active=5).identity.sha256 != first.sha256
    assert _fp32(model, prune_ratio=0.1).identity.sha256 != first.sha256
    assert open_learned(str(model), LearnedOptions("bf16")).identity.sha256 != first.sha256
    weights = next(copy.glob("document_0_*/model.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    assert ModelFolder.open(str(copy)).sha256() != ModelFolder.open(str(model)).sha256()


def test_it_is_an_encoder_and_comes_back_from_its_folder(model: Path, tmp_path: Path) -> None:
    encoder = _fp32(model, max_active=9)
    assert isinstance(encoder, Encoder)
    assert not isinstance(encoder, CorpusEncoder)
    encoder.save(tmp_path)
    again = load_learned(tmp_path)
    assert again.identity == encoder.identity
    assert np.array_equal(
        _dense(again.encode_queries([*TEXTS, *ODD])), _dense(encoder.encode_queries([*TEXTS, *ODD]))
    )
    assert np.array_equal(
        _dense(again.encode_documents(TEXTS)), _dense(encoder.encode_documents(TEXTS))
    )
    assert again.surface_terms("the cat") is None
    assert again.find_terms(["cat", "nothing such"]) == [again.vocabulary.index("cat"), None]
    for name in ("encoder.json", "tokenizer.json", "weights.npy"):
        broken = tmp_path.with_name(f"broken-{name}")
        shutil.copytree(tmp_path, broken)
        (broken / name).write_bytes(b"{}")
        with pytest.raises(IndexCorruptError, match="build the index again"):
            load_learned(broken)


def test_a_model_that_is_gone_or_changed_encodes_no_documents(tmp_path: Path) -> None:
    folder = inference_free(tmp_path / "m")
    saved = tmp_path / "saved"
    saved.mkdir()
    _fp32(folder).save(saved)
    table = next(folder.glob("query_0_*/model.safetensors"))
    whole = table.read_bytes()
    table.write_bytes(whole[:-1] + b"\x01")
    with pytest.raises(InputError, match="is not the one it was"):
        load_learned(saved).encode_documents(["cat"])
    shutil.rmtree(folder)
    changed = load_learned(saved)
    with pytest.raises(InputError, match="not at .* any more"):
        changed.encode_documents(["cat"])
    assert changed.encode_queries(["cat"]).nnz == 1


def test_idf_of_the_corpus(model: Path, tmp_path: Path) -> None:
    plain, own = _fp32(model), _fp32(model, idf="corpus")
    batches = [["the cat", "the dog"], ["the cat cat"]]
    assert np.array_equal(_dense(own.encode_corpus(batches)), _dense(plain.encode_corpus(batches)))
    df = np.zeros(own.n_terms, np.int64)
    for token, count in {"the": 3, "cat": 2, "dog": 1}.items():
        df[own.vocabulary.index(token)] = count
    given = plain.query_weights
    assert given is not None
    assert own.query_weights is not None
    assert np.allclose(own.query_weights, shrunk_idf(df, 3, given))
    assert own.identity.sha256 != _fp32(model, idf="corpus").identity.sha256
    own.save(tmp_path)
    again = load_learned(tmp_path)
    assert np.array_equal(_dense(again.encode_queries(TEXTS)), _dense(own.encode_queries(TEXTS)))
    again.encode_corpus([["dog"]])
    assert again.identity.sha256 != own.identity.sha256


def test_tokens_of_little_idf_are_left_out_of_queries(model: Path, tmp_path: Path) -> None:
    whole = _fp32(model)
    given = whole.query_weights
    assert given is not None
    folder = shutil.copytree(model, tmp_path / "model")
    SearchDefaults(min_idf=1.5).write(folder)
    less = _fp32(folder)
    assert np.array_equal(np.asarray(less.query_weights), np.where(given < 1.5, 0, given))
    found = less.encode_queries(TEXTS)
    assert 0 < found.nnz < whole.encode_queries(TEXTS).nnz
    assert found.weights.min() >= 1.5
    assert np.array_equal(_dense(less.encode_corpus([TEXTS])), _dense(whole.encode_corpus([TEXTS])))
    less.save(tmp_path)
    again = load_learned(tmp_path)
    assert np.array_equal(_dense(again.encode_queries(TEXTS)), _dense(found))
    for wrong in (-1.0, float("nan")):
        with pytest.raises(InputError, match="min_idf is"):
            SearchDefaults(min_idf=wrong)


def test_idf_by_hand() -> None:
    indptr, tokens = np.array([0, 3, 4, 4]), np.array([1, 1, 2, 1])
    df = document_frequencies(indptr, tokens, 4)
    assert df.tolist() == [0, 2, 1, 0]
    # ln(1 + (3 - 2 + .5) / (2 + .5)) = ln 1.6; ln(1 + (3 - 1 + .5) / (1 + .5)) = ln 2.6667
    assert np.allclose(idf_table(df, 3), [0.9808293, 0.4700036, 0.9808293, 0.9808293])
    model = np.array([0, 1, 1, 2], np.float32)
    shrunk = shrunk_idf(df, 3, model, strength=1)  # 3/4 own, 1/4 the model's
    assert np.allclose(shrunk, [0, 0.6025027, 0.98562198, 1.23562198])
    assert np.array_equal(shrunk_idf(np.zeros(4, np.int64), 0, model), model)
    assert idf_table(np.zeros(2, np.int64), 0).tolist() == [1, 1]
    with pytest.raises(InputError, match="outside"):
        document_frequencies(indptr, tokens, 2)
    with pytest.raises(InputError, match="outside"):
        idf_table(np.array([4]), 3)


def test_words_that_are_looked_up_are_cut_as_the_tokenizer_cuts_them(model: Path) -> None:
    pieces = WordPieces(ModelFolder.open(str(model)).tokenizer_json(), 64)
    indptr, tokens = pieces.encode([*TEXTS, *ODD])
    assert pieces._plain is not None
    pieces._plain = None
    slow_indptr, slow = pieces.encode([*TEXTS, *ODD])
    assert indptr.tolist() == slow_indptr.tolist()
    assert tokens.tolist() == slow.tolist()
    with pytest.raises(InputError, match="surrogate"):
        pieces.encode(["a \ud800"])
    left = WordPieces(ModelFolder.open(str(model)).tokenizer_json(), 2, "left")
    assert left.encode_one("the cat dog") == pieces.encode_one("the cat dog")[1:]


def test_a_table_in_idf_json(model: Path, tmp_path: Path) -> None:
    """OpenSearch's layout: a masked language model and idf.json in one folder."""
    shutil.copytree(next(model.glob("document_0_*")), tmp_path, dirs_exist_ok=True)
    (tmp_path / "idf.json").write_text(json.dumps({"cat": 2.5, "[UNK]": 0, "the": 0.125}))
    table = QueryTable.open(ModelFolder.open(str(tmp_path)))
    vector = table.encode(["the cat dog"]).row(0)
    assert [table.vocabulary[term] for term in vector.terms.tolist()] == ["the", "cat"]
    assert vector.weights.tolist() == [0.125, 2.5]


def test_tensors_of_every_width(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    values = torch.tensor([0.5, -2.0, 3.0])
    for kind in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        save_file({"other": torch.ones(2), "weight": values.to(kind)}, tmp_path / "a.safetensors")
        assert read_tensor(tmp_path / "a.safetensors", "weight").tolist() == [0.5, -2.0, 3.0]
    with pytest.raises(DataError, match="'bias' cannot be read"):
        read_tensor(tmp_path / "a.safetensors", "bias")
    (tmp_path / "a.safetensors").write_bytes(b"abc")
    with pytest.raises(DataError, match="save the model again"):
        read_tensor(tmp_path / "a.safetensors", "weight")


def test_what_is_no_model_is_refused(tmp_path: Path, model: Path, splade: Path) -> None:
    with pytest.raises(InputError, match="holds no model"):
        open_learned(str(tmp_path))
    with pytest.raises(InputError, match=r"cannot be loaded .*one of lsr models \(.*doc-mini"):
        open_learned("nobody/nothing-of-this-name")
    with pytest.raises(InputError, match="no precision 'int4'"):
        LearnedOptions("int4")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no table of idf"):
        _fp32(splade, idf="corpus")
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    for tokenizer in copy.rglob("tokenizer.json"):
        tokenizer.write_text("{")
    with pytest.raises(InputError, match="tokenizer cannot be read"):
        open_learned(str(copy), LearnedOptions("fp32"))


def test_queries_load_no_torch(model: Path, tmp_path: Path) -> None:
    _fp32(model).save(tmp_path)
    code = f"""
import sys
from pathlib import Path
from lsr.encoders.learned.encoder import load_learned
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.query_table import QueryTable
assert load_learned(Path({str(tmp_path)!r})).encode_queries(["the cat"]).nnz == 2
assert QueryTable.open(ModelFolder.open({str(model)!r})).encode(["the cat"]).nnz == 2
print(*{{"torch", "transformers", "sentence_transformers"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
