"""The front door: what `import lsr` gives, and one handle for a collection."""

from __future__ import annotations

import doctest
import importlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import random_array

import lsr
from lsr.errors import (
    DataError,
    IndexCorruptError,
    IndexMissingError,
    IndexStateError,
    IndexVersionError,
    InputError,
    NotFoundError,
)
from lsr.files import checksum
from lsr.moved import MOVED
from tests.support.hybrid_corpus import DOCUMENTS, Topics

NOTES = [lsr.Document("a", "Keys rotate every ninety days."), lsr.Document("b", "Backups run.")]


@pytest.fixture
def index(tmp_path: Path) -> lsr.Collection:
    return lsr.build(NOTES, tmp_path / "notes", sparse="bm25")


def found(collection: lsr.Collection, text: str) -> list[str]:
    return [hit.document.doc_id for hit in collection.search(text).hits]


def test_every_public_name_is_there_and_said_once() -> None:
    assert sorted(set(lsr.__all__)) == sorted(lsr.__all__)
    for name in lsr.__all__:
        assert getattr(lsr, name) is not None
    assert set(lsr.__all__) <= set(dir(lsr))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lsr.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("statement", "unloaded"),
    [
        ("import lsr", "numpy numba torch scipy faiss onnxruntime tokenizers pydantic ray httpx"),
        ("import lsr; lsr.Document('a', 'b'); lsr.SearchPlan()", "numba torch faiss onnxruntime"),
        ("import lsr.client; lsr.Client", "numpy numba torch pydantic fastapi"),
        ("import lsr; lsr.build, lsr.open, lsr.Collection", "torch faiss onnxruntime"),
        (
            "import lsr\n"
            "index = lsr.build([{'doc_id': 'a', 'text': 'b'}], 'index', sparse='bm25')\n"
            "index.search_many(['b'], progress=False)._repr_html_()",
            "torch pandas polars pyarrow tqdm IPython matplotlib ir_measures",
        ),
    ],
)
def test_what_is_loaded(statement: str, unloaded: str, tmp_path: Path) -> None:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert not {name.partition(".")[0] for name in done.stdout.split()} & set(unloaded.split())


def test_a_closed_collection_refuses_everything(index: lsr.Collection, tmp_path: Path) -> None:
    index.close()
    index.close()
    assert repr(index).endswith("closed)")
    refused: list[Callable[[], object]] = [
        lambda: index.search("keys"),
        lambda: index.document("a"),
        lambda: len(index),
        lambda: index.add(NOTES[:1]),
        lambda: index.sync(NOTES[:1]),
        lambda: index.delete(["a"]),
        index.merge,
        index.refresh,
        index.calibrate,
        lambda: index.export("vectors.npz"),
    ]
    for call in refused:
        with pytest.raises(IndexStateError, match="is closed; open it again"):
            call()
    assert len(lsr.open(index.path)) == 2


def _examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder()
    cases = []
    front = (
        "lsr.collection",
        "lsr.documents",
        "lsr.evaluation.compare.measures",
        "lsr.front.answers",
        "lsr.front.judged",
        "lsr.front.searching",
        "lsr.retrieval.answer",
        "lsr.retrieval.answers.answer",
        "lsr.encoders.registry",
        "lsr.encoders.dense_recipe",
        "lsr.evaluation.compare.run_comparison",
        "lsr.hub.pull",
        "lsr.hub.push",
    )
    for name in (*front, "lsr.index.sparse_index", "lsr.client.client", "lsr.client.async_client"):
        cases += finder.find(importlib.import_module(name), name)
    records = ("lsr.types", "lsr.sparse", "lsr.passages.passage", "lsr.index.blocks.config")
    for place in (*records, "lsr.retrieval.plan"):
        cases += finder.find(importlib.import_module(place), place)
    return [case for case in cases if case.examples]


@pytest.mark.parametrize("case", _examples(), ids=lambda case: case.name)
def test_the_examples_run(
    case: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    failed, tried = doctest.DocTestRunner().run(case, out=said.append)
    assert tried
    assert not failed, "".join(said)


def test_every_public_name_has_an_example() -> None:
    shown = {case.name.rpartition(".")[2] for case in _examples()}
    plain = {"LsrError", "Qrels", "Run", "__version__"}  # an exception, two aliases, a text
    assert set(lsr.__all__) - plain <= shown


def test_from_documents_to_hits_and_back(index: lsr.Collection) -> None:
    assert repr(index).endswith("notes', 2 documents, sparse bm25)")
    assert found(index, "rotating keys") == ["a"]
    change = index.add([lsr.Document("c", "Keys are cut."), lsr.Document("b", "Backups stop.")])
    assert (change.n_added, change.n_replaced, len(index)) == (1, 1, 3)
    assert repr(change) == "Change(1 added, 1 replaced; generation 2)"
    assert found(index, "cut keys") == ["c", "a"]
    assert found(index, "stop") == ["b"]
    assert index.delete(["c"]).n_deleted == 1
    assert found(index, "cut keys") == ["a"]
    assert index.merge().n_merged == 2
    assert repr(index.merge()) == "Change(nothing; generation 4)"
    assert index.document("b").text == "Backups stop."
    assert index.reader.manifest.generation == 4
    index.close()


def test_a_refused_change_leaves_the_handle_where_it_is(index: lsr.Collection) -> None:
    for refused in (
        lambda: index.delete(["nobody"]),
        lambda: index.delete("a"),
        lambda: index.add([]),
        lambda: index.add([NOTES[0], NOTES[0]]),
        lambda: index.document("nobody"),
        lambda: index.calibrate(),
        lambda: index.tune([], {}),
    ):
        with pytest.raises((NotFoundError, InputError)):
            refused()
    assert found(index, "keys") == ["a"]
    assert index.reader.manifest.generation == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"id": 1}, "document 1 of the source: document '1' has no field text, contents, content"),
        (lsr.Document(7, "seven"), "is a Document whose doc_id is '7'; give"),  # type: ignore[arg-type]
        (lsr.Document("a", None), "is a Document whose text is 'None'; give"),  # type: ignore[arg-type]
        ("a text", "is a str whose doc_id is 'None'; give"),
    ],
)
def test_what_is_no_document_is_refused(index: lsr.Collection, wrong: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        index.add([wrong])
    assert len(index) == 2


def test_handles_follow_when_they_are_told_to(index: lsr.Collection) -> None:
    other = lsr.open(index.path)
    assert not other.refresh()
    index.add([lsr.Document("c", "Keys are cut.")])
    assert found(other, "keys") == ["a"]
    assert other.refresh()
    assert sorted(found(other, "keys")) == ["a", "c"]


def test_searches_go_on_while_the_collection_changes(index: lsr.Collection) -> None:
    wrong: list[object] = []
    stop = threading.Event()

    def search() -> None:
        while not stop.is_set():
            try:
                if "a" not in found(index, "keys rotate"):
                    wrong.append("lost")
            except Exception as error:  # noqa: BLE001
                wrong.append(error)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for n in range(12):
        index.add([lsr.Document(f"n{n}", "Keys, keys.")])
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(index) == 14


def test_both_sides_from_python(tmp_path: Path) -> None:
    index = lsr.build(DOCUMENTS, tmp_path / "shore", sparse="bm25", dense=Topics())
    answer = index.search("bird", k=3)
    assert answer.mode == "hybrid"
    index.add([lsr.Document("new", "A heron.")])
    assert index.search("heron", k=5).mode == "hybrid", "the loaded model is handed on"
    assert index.search("heron", mode="sparse").mode == "sparse"
    index.close()


def test_calibrating_is_used_at_once(tmp_path: Path) -> None:
    index = lsr.build(DOCUMENTS, tmp_path / "shore", sparse="bm25", blocks=True)
    assert index.calibrate(recall=0.9).target_recall == 0.9
    assert (tmp_path / "shore" / "calibration.json").exists()
    assert index.search("heron").hits


def test_a_source_in_place_of_documents(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "keys.md").write_text("# Keys\n\nKeys rotate.")
    index = lsr.build(tmp_path / "notes", tmp_path / "index", sparse="bm25")
    assert found(index, "rotate") == ["keys.md"]
    (tmp_path / "more.jsonl").write_text('{"_id": "m", "text": "More keys."}\n')
    assert index.add(str(tmp_path / "more.jsonl")).n_added == 1
    assert index.reader.manifest.source == str(tmp_path / "notes")


@pytest.mark.parametrize("as_path", [str, Path])
def test_encodings_and_bad_records(tmp_path: Path, as_path: Callable[[str], Any]) -> None:
    lines = '{"id": "a", "text": "caf\xe9"}\nnonsense\n{"id": "b", "text": "th\xe9"}\n'
    (tmp_path / "notes.jsonl").write_text(lines, "cp1252")
    source, path = as_path(str(tmp_path / "notes.jsonl")), as_path(str(tmp_path / "index"))
    with pytest.raises(DataError, match="line 2: not valid JSON"):
        lsr.build(source, path, sparse="bm25", encoding="cp1252")
    index = lsr.build(source, path, sparse="bm25", encoding="cp1252", skip_bad=1)
    assert [index.document(doc_id).text for doc_id in "ab"] == ["caf\xe9", "th\xe9"]
    assert index.reading is not None
    assert "notes.jsonl, line 2: not valid JSON" in index.reading.lines()[1]
    assert index.reader.manifest.source == str(source)
    assert lsr.open(path).reading is None
    with pytest.raises(InputError, match="no encoding 'klingon'"):
        index.add(source, encoding="klingon")
    assert index.add(source, encoding="cp1252", skip_bad=3).n_unchanged == 2
    lines = lines.replace("caf", "d\xe9caf")
    (tmp_path / "notes.jsonl").write_text(lines, "latin-1")
    assert index.sync(source, encoding="latin-1", skip_bad=1).n_replaced == 1
    assert index.document("a").text == "d\xe9caf\xe9"


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_a_dataframe_in_place_of_documents(tmp_path: Path, kind: str) -> None:
    make = getattr(pytest.importorskip(kind), "table" if kind == "pyarrow" else "DataFrame")
    frame = make({"doc_id": ["a", "b"], "text": ["Keys.", "Doors."], "year": [2025, 2026]})
    index = lsr.build(frame, tmp_path / "index", sparse="bm25")
    assert [hit.doc_id for hit in index.search("keys doors", where={"year": 2026})] == ["b"]
    assert index.add(frame).n_unchanged == 2
    frame = make({"doc_id": ["b", "c"], "text": ["Doors.", "Roofs."], "year": [2026, 2027]})
    assert index.sync(frame).difference.deleted == ("a",)
    wrong = make({"doc_id": ["d", None], "text": ["Walls.", "Floors."]})
    with pytest.raises(DataError, match="row 1 of the "):
        index.add(wrong)
    assert len(index) == 2
    assert index.add(wrong, skip_bad=1).n_added == 1
    assert index.reading is not None
    assert index.reading.n_documents == 1


def test_a_path_alone_is_for_open() -> None:
    with pytest.raises(InputError, match=r"opened by a call: lsr.open\('my-index'\)"):
        lsr.Collection("my-index")  # type: ignore[arg-type]


def test_sparse_vectors_and_the_encoder() -> None:
    rng = np.random.default_rng(0)
    matrix = random_array((50, 30), density=0.2, format="csr", dtype=np.float32, rng=rng)
    vectors = lsr.SparseIndex.build(matrix)
    assert vectors.search_batch(matrix[:2], lsr.SearchParams(k=1)).rows[:, 0].tolist() == [0, 1]
    assert lsr.load_encoder("bm25").identity.kind == "bm25"
    with pytest.raises(InputError, match="nobody"):
        lsr.load_encoder("nobody")


def test_what_cannot_be_opened(tmp_path: Path, index: lsr.Collection) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    with pytest.raises(IndexMissingError, match="is a file, and an index is a folder"):
        lsr.open(file)
    with pytest.raises(IndexMissingError, match="does not exist; make one with: lsr index build"):
        lsr.open(tmp_path / "absent")
    (tmp_path / ".soon.building").mkdir()
    with pytest.raises(IndexMissingError, match="soon is being built, or a build of it was inter"):
        lsr.open(tmp_path / "soon")
    manifest = index.path / "manifest.json"
    content = json.loads(manifest.read_text())
    content.pop("checksum")
    content["format_version"] = 99
    manifest.write_text(json.dumps({**content, "checksum": checksum(content)}))
    with pytest.raises(IndexVersionError, match="has index format 99 and this lsr reads"):
        lsr.open(index.path)
    manifest.write_text("{}")
    with pytest.raises(IndexCorruptError, match="is damaged"):
        lsr.open(index.path)


@pytest.mark.parametrize("old", sorted(MOVED))
def test_old_module_paths_import_and_say_where_they_went(old: str) -> None:
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} is {MOVED[old]} now") as caught:
        module = importlib.import_module(old)
    assert [warning.filename for warning in caught if "now" in str(warning.message)]
    new = importlib.import_module(MOVED[old])
    for name in module.__all__:
        assert getattr(module, name) is getattr(new, name)


def test_the_old_collection_is_the_new_one() -> None:
    with pytest.warns(DeprecationWarning, match="is lsr.Collection now, opened by lsr.open"):
        from lsr.index.collection import Collection
    assert Collection is lsr.Collection
