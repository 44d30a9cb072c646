"""Models to and from a repository, and those that go along with an index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lsr
from lsr.encoders.learned.bundled_models import bundled_folder
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.model_source import LearnedSource
from lsr.errors import ConflictError, DataError, IndexCorruptError, InputError
from lsr.sparse import CSR
from tests.support.hub import Hub, StoredRepository

REPOSITORY = "owner/model"
MODELS = Path(__file__).parents[1] / "fixtures" / "v0_1" / "models"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's folder with a card, and files that are none of its."""
    folder = tmp_path / "stock"
    shutil.copytree(MODELS / "stock", folder)
    (folder / "README.md").write_text("# Mine")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("mine")
    (folder / "tf_model.h5").write_bytes(b"weights")
    return folder


def names(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip


def test_a_model_there_and_back(model: Path, hub: Hub, tmp_path: Path) -> None:
    done = lsr.push(model, REPOSITORY)
    assert (done.kind, done.left_out) == ("model", (".git/config", "tf_model.h5"))
    held = hub.repositories[REPOSITORY].files()
    assert set(held) == names(model) - set(done.left_out) | {".gitattributes"}
    assert held["README.md"] == b"# Mine"
    assert hub.repositories[REPOSITORY].messages[-1] == "Model stock"
    assert lsr.push(model, REPOSITORY).sent == ()
    pulled = lsr.pull(REPOSITORY, tmp_path / "pulled")
    assert (pulled.kind, pulled.n_documents, pulled.left_out) == ("model", None, ())
    assert names(pulled.path) == set(done.sent)
    assert ModelFolder.open(str(pulled.path)).sha256() == ModelFolder.open(str(model)).sha256()
    assert lsr.load_encoder(str(pulled.path)).encode_queries(["cat"]).n_rows == 1


_BY_ID = """
import sys
import lsr
from lsr.training.data.tokens import vocabulary_size
from lsr.training.loop.initial_model import base_tokenizer, is_sparse_encoder
from lsr.training.models.checkpoint import Checkpoint

name, folder = sys.argv[1:]
assert is_sparse_encoder(name)
assert not is_sparse_encoder("owner/none")
n_terms = [lsr.load_encoder(each).encode_queries(["cat"]).n_terms for each in (name, folder)]
sizes = [vocabulary_size(base_tokenizer(Checkpoint.of(each))) for each in (name, folder)]
assert n_terms[0] == n_terms[1] and sizes[0] == sizes[1]
"""


def test_a_hub_id_is_the_model_that_was_pushed(model: Path, hub: Hub, tmp_path: Path) -> None:
    """In a process of its own: libraries read where the hub is once, when they are imported."""
    lsr.push(model, REPOSITORY)
    led = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    environment = {**os.environ, **led, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-c", _BY_ID, REPOSITORY, str(model)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_files_that_a_model_has_no_more_go(model: Path, hub: Hub) -> None:
    (model / "old.txt").write_text("old")
    lsr.push(model, REPOSITORY)
    stored = hub.repositories[REPOSITORY]
    stored.commit({**stored.files(), "LICENSE": b"as it is"}, "a licence")
    (model / "old.txt").unlink()
    assert lsr.push(model, REPOSITORY).removed == ("old.txt",)
    assert stored.files()["LICENSE"] == b"as it is"


def test_a_model_without_a_card_gets_one(model: Path, hub: Hub) -> None:
    (model / "README.md").unlink()
    lsr.push(model, REPOSITORY)
    card = hub.repositories[REPOSITORY].files()["README.md"].decode()
    assert card.startswith("---\nlibrary_name: sentence-transformers\ntags: [sparse-encoder,")
    assert f'lsr.load_encoder("{REPOSITORY}")' in card


def test_a_model_of_this_package_by_its_name(hub: Hub) -> None:
    told = lsr.push("doc-mini", REPOSITORY, dry_run=True)
    folder = bundled_folder("doc-mini")
    assert folder is not None
    assert (told.kind, set(told.sent) - {"README.md"}) == ("model", names(folder) - {"README.md"})


def test_code_that_comes_along_is_not_run(model: Path, hub: Hub, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (model / "modeling.py").write_text(f"open({str(ran)!r}, 'w')\n")
    lsr.push(model, REPOSITORY)
    pulled = lsr.pull(REPOSITORY, tmp_path / "pulled")
    lsr.load_encoder(str(pulled.path)).encode_queries(["cat"])
    assert (pulled.path / "modeling.py").is_file()
    assert not ran.exists()


def test_index_and_model_do_not_replace_each_other(
    built: Path, model: Path, hub: Hub, tmp_path: Path
) -> None:
    lsr.push(model, REPOSITORY)
    lsr.push(built, "owner/birds")
    with pytest.raises(ConflictError, match="which is no part of an index"):
        lsr.push(built, REPOSITORY)
    with pytest.raises(ConflictError, match="which is no part of a model"):
        lsr.push(model, "owner/birds")
    with pytest.raises(InputError, match=f"{model} exists and is not an index"):
        lsr.pull("owner/birds", model, overwrite=True)
    with pytest.raises(InputError, match=f"{built} is an index and {REPOSITORY} a model"):
        lsr.pull(REPOSITORY, built, overwrite=True)
    lsr.pull(REPOSITORY, model, overwrite=True)
    assert not (model / ".git").exists()


def test_a_model_that_is_none(hub: Hub, tmp_path: Path) -> None:
    stored = hub.repositories[REPOSITORY] = StoredRepository()
    stored.commit({"modules.json": b"{"}, "theirs")
    with pytest.raises(DataError, match=f"{REPOSITORY}: it holds no model that lsr reads"):
        lsr.pull(REPOSITORY, tmp_path / "pulled")
    stored.commit({"config.json": b"{}", "../up.bin": b"theirs"}, "theirs")
    with pytest.raises(DataError, match=r"it holds '\.\./up\.bin'"):
        lsr.pull(REPOSITORY, tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()


def test_a_model_of_which_a_byte_is_lost(
    model: Path, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by the hub's own hash; here the storage lies."""
    lsr.push(model, REPOSITORY)
    files = hub.repositories[REPOSITORY].files()
    large = max(files, key=lambda name: len(files[name]))
    monkeypatch.setattr(
        "lsr.hub.repository.HfApi.hf_hub_download",
        lambda _, repo_id, name, *, revision, local_dir: _written(
            local_dir / name, files[name][:-1] + (b"?" if name == large else files[name][-1:])
        ),
    )
    with pytest.raises(IndexCorruptError, match=f"{large} of {REPOSITORY} is not as"):
        lsr.pull(REPOSITORY, tmp_path / "pulled")


def _written(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture
def learned(model: Path, tmp_path: Path) -> Path:
    """An index by a model in a folder, with vectors that need no network."""
    vectors = CSR.concatenate([lsr.load_encoder(str(model)).encode_queries(["cat", "dog"])])
    documents = [lsr.Document("a", "cat"), lsr.Document("b", "dog")]
    lsr.build(documents, tmp_path / "index", sparse=str(model), vectors=vectors).close()
    return tmp_path / "index"


def _source(index: Path) -> LearnedSource:
    with lsr.open(index) as opened:
        return LearnedSource.read(index / opened.reader.manifest.encoder)


def test_the_model_of_an_index_goes_along(
    learned: Path, model: Path, hub: Hub, tmp_path: Path
) -> None:
    done = lsr.push(learned, "owner/index")
    assert done.absent == ()
    assert "model/modules.json" in done.sent
    assert lsr.push(learned, "owner/index").sent == ()
    model.rename(tmp_path / "elsewhere")
    pulled = lsr.pull("owner/index", tmp_path / "pulled").path
    source = _source(pulled)
    assert Path(source.place) == pulled / "model"
    assert ModelFolder.open(source.place).sha256() == source.sha256
    with lsr.open(pulled) as index:
        assert index.search("cat").hits[0].document.doc_id == "a"
        index.add([lsr.Document("c", "a cat")])  # encoded by it
    again = lsr.push(pulled, "owner/index")
    assert again.removed
    assert not any(name.startswith("model/") for name in (*again.sent, *again.removed))


def test_code_of_a_model_that_went_along_is_not_trusted_by_that(
    learned: Path, model: Path, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (model / "modeling.py").write_text("1 / 0")
    assert "model/modeling.py" in lsr.push(learned, "owner/index").sent
    model.rename(tmp_path / "elsewhere")
    source = _source(lsr.pull("owner/index", tmp_path / "pulled").path)
    sha256 = ModelFolder.open(source.place).sha256(with_code=True)
    with pytest.raises(InputError, match="which you have not trusted on this machine"):
        replace(source, has_code=True, sha256=sha256).open()


def test_a_model_that_is_gone_is_named(learned: Path, model: Path, hub: Hub) -> None:
    (model / "router_config.json").write_text("{}")
    done = lsr.push(learned, "owner/index")
    assert done.absent == ("stock",)
    card = hub.repositories["owner/index"].files()["README.md"].decode()
    assert "Not in here: the model `stock`" in card
    assert str(model) not in card


def test_a_query_model_goes_along_too(model: Path, hub: Hub, tmp_path: Path) -> None:
    from lsr.encoders.registry import load_encoder

    other = tmp_path / "other"
    shutil.copytree(model, other)
    encoder = load_encoder(str(model), query_model=str(other))
    vectors = CSR(
        np.array([0, 1]), np.array([7], np.int32), np.ones(1, np.float32), encoder.n_terms
    )
    index = tmp_path / "index"
    lsr.build([lsr.Document("a", "cat")], index, sparse=encoder, vectors=vectors).close()
    lsr.push(index, "owner/index")
    model.rename(tmp_path / "gone")
    other.rename(tmp_path / "gone-too")
    pulled = lsr.pull("owner/index", tmp_path / "pulled").path
    source = _source(pulled)
    assert source.query is not None
    assert Path(source.query.place) == pulled / "query-model"
