"""The command line as a user meets it: output, exit codes, and one sentence for wrong input."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lsr.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "data" / "library"
BM25 = ("--sparse", "bm25")
LSR = [sys.executable, "-c", "from lsr.cli import main; main()"]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "library"
    assert run("index", "build", *BM25, LIBRARY, path).exit_code == 0
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(*words: object) -> str:
    """The sentence that a command refuses these words with."""
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_build_info_search_and_verify(index: Path) -> None:
    assert "12 documents" in run("index", "build", *BM25, LIBRARY, index).stdout
    info = run("index", "info", index).stdout
    assert "n_documents    12" in info
    assert "bm25" in info
    hits = run("search", index, "fee for a late book", "-k", "2").stdout.splitlines()
    assert "late-fees  Late returns" in hits[0]
    assert run("index", "verify", index).exit_code == 0


def test_json_is_one_document_and_nothing_else(index: Path, tmp_path: Path) -> None:
    built = run("index", "build", *BM25, LIBRARY, tmp_path / "new", "--json")
    assert json.loads(built.stdout)["n_documents"] == 12
    assert json.loads(run("index", "info", index, "--json").stdout)["format_version"] == 3
    assert json.loads(run("index", "verify", index, "--json").stdout)["damage"] == []
    answer = json.loads(run("search", index, "torn page", "--json").stdout)
    assert answer["hits"][0]["doc_id"] == "repair"
    assert answer["hits"][0]["metadata"] == {"topic": "conservation", "pages": 3}
    assert set(answer["took_ms"]) == {
        "filter",
        "plan",
        "encode_sparse",
        "search_sparse",
        "fuse",
        "fetch",
        "total",
    }


def test_filters_by_metadata(index: Path) -> None:
    everything = json.loads(run("search", index, "books", "--json").stdout)["hits"]
    staff = json.loads(run("search", index, "books", "--filter", "topic=staff", "--json").stdout)
    assert 0 < len(staff["hits"]) < len(everything)
    assert {hit["metadata"]["topic"] for hit in staff["hits"]} == {"staff"}
    few = run("search", index, "books", "--filter", "pages<3", "--filter", "topic!=staff", "--json")
    pages = [hit["metadata"] for hit in json.loads(few.stdout)["hits"]]
    assert pages
    assert all(each["pages"] < 3 and each["topic"] != "staff" for each in pages)
    both = run("search", index, "books", "--filter", "topic=staff", "--filter", "pages=4", "--json")
    assert [hit["doc_id"] for hit in json.loads(both.stdout)["hits"]] == ["cataloguing"]


def test_offset_pages_through_one_order(index: Path) -> None:
    def ids(*options: str) -> list[str]:
        answer = json.loads(run("search", index, "book", "--json", *options).stdout)
        return [hit["doc_id"] for hit in answer["hits"]]

    assert ids("-k", "2") + ids("-k", "2", "--offset", "2") == ids("-k", "4")


def test_k_beyond_the_collection_is_everything_once(index: Path) -> None:
    answer = json.loads(run("search", index, "book", "-k", "500", "--json").stdout)
    found = [hit["doc_id"] for hit in answer["hits"]]
    assert len(found) == len(set(found)) == answer["total"]
    assert 0 < len(found) <= 12


def test_default_k_shrinks_to_a_small_collection(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text('{"id": 1, "text": "alone"}\n')
    assert run("index", "build", *BM25, tmp_path / "one.jsonl", tmp_path / "index").exit_code == 0
    assert len(json.loads(run("search", tmp_path / "index", "alone", "--json").stdout)["hits"]) == 1


def test_a_query_without_known_terms_is_an_empty_answer(index: Path) -> None:
    result = run("search", index, "qwxyz")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "no document matches" in result.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["", "--json"], "the query is empty"),
        (["book", "-k", "0"], "0 hits were asked for"),
        (["book", "-k", "-3"], "-3 hits were asked for"),
        (["book", "--offset", "-1"], "the offset is -1"),
        (["book", "--mode", "fuzzy"], "mode is 'fuzzy'; choose hybrid, sparse, dense"),
        (["book", "--mode", "dense"], "has no dense vectors"),
        (["book", "--weight-sparse", "1.5"], "fusion.weight_sparse is 1.5; it must be a number"),
        (["book", "--prf", "sometimes"], "prf.interpolate is 'sometimes'; choose none, pre"),
        (["book", "--set", "prf.dpeth=3"], "prf.dpeth: there is no such field; did you mean"),
        (["book", "--set", "prf.depth=21"], "prf.depth is 21; it must be a whole number from 0"),
        (["book", "--set", "prf.depth"], "write FIELD=VALUE"),
        (["book", "--set", "window=5", "-k", "3", "--set", "window=6"], "window is given twice"),
        (["book", "--set", "prf=3"], "prf must be an object with named fields"),
        (["book", "--filter", "colour=red"], "'colour'; fields: pages, topic"),
        (["book", "--filter", "topic"], "write field=value"),
    ],
)
def test_search_refuses(index: Path, options: list[str], sentence: str) -> None:
    assert sentence in refused("search", index, *options)


def test_search_refuses_what_is_no_index(index: Path, tmp_path: Path) -> None:
    assert "does not exist" in refused("search", tmp_path / "nothing", "book")
    assert "is not an index" in refused("search", tmp_path, "book")
    assert "is a file" in refused("search", LIBRARY / "corpus.jsonl", "book")


def test_another_version_says_what_to_do(tmp_path: Path) -> None:
    run("index", "build", *BM25, LIBRARY, tmp_path / "index")
    manifest = tmp_path / "index" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format_version": 3', '"format_version": 9'))
    sentence = refused("search", tmp_path / "index", "book")
    assert "index format 9 and this lsr reads 2 and 3; build the index again" in sentence


def test_a_flipped_byte_is_found_and_refused(tmp_path: Path) -> None:
    run("index", "build", *BM25, LIBRARY, tmp_path / "index")
    path = tmp_path / "index" / "segment-000001" / "arrays.bin"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "arrays.bin has changed" in refused("search", tmp_path / "index", "book")
    result = run("index", "verify", tmp_path / "index")
    assert result.exit_code == 1
    assert "arrays.bin has changed" in result.stdout
    assert "1 of 3 files are damaged" in result.stderr


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.jsonl", b"", "holds no documents"),
        ("a.jsonl", b'{"id": "a", "text": "x"}\n{"id": ', "a.jsonl, line 2: not valid JSON"),
        ("a.jsonl", b'{"text": "x"}\n', "a.jsonl, line 1: a document needs an id"),
        (
            "a.jsonl",
            b'{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}\n',
            "a.jsonl, line 2: doc_id 'a' was seen before, on line 1",
        ),
        ("a.jsonl", b'{"id": "a", "text": "\xff"}\n', "line 1: byte 22 of the line is not UTF-8"),
        ("a.csv", b"id,text\n1,a,b\n", "a.csv, line 2: 3 fields where the header has 2"),
        ("a.csv", b"id,text,text\n1,a,b\n", "a.csv, line 1: the header names column 'text' twice"),
        ("a.jsonl", b'{"id": "a", "text": "x", "n": NaN}\n', "line 1: not valid JSON (NaN is not"),
        ("a.xml", b"<a/>", "cannot tell what this is"),
    ],
)
def test_build_refuses_and_changes_nothing(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert sentence in refused("index", "build", *BM25, tmp_path / name, tmp_path / "index")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_build_refuses_missing_sources_and_foreign_folders(tmp_path: Path) -> None:
    assert "no such file or folder" in refused(
        "index", "build", *BM25, tmp_path / "x", tmp_path / "index"
    )
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.doc").write_text("dear")
    assert "no text files" in refused(
        "index", "build", *BM25, tmp_path / "mine", tmp_path / "index"
    )
    assert "is not an index" in refused("index", "build", *BM25, LIBRARY, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.doc"]


def test_build_refuses_options(tmp_path: Path) -> None:
    target = tmp_path / "index"
    assert "give bm25, a folder" in refused("index", "build", LIBRARY, target, "--sparse", "splade")
    told = refused("index", "build", LIBRARY, target, "--sparse", "doc-mini", "--k1", "2")
    assert "--k1 is of BM25, and doc-mini is a learned model" in told
    assert "b is 2.0" in refused("index", "build", LIBRARY, target, "--b", "2")
    assert "no stemmer" in refused("index", "build", LIBRARY, target, "--language", "klingon")
    assert "has no columns" in refused("index", "build", LIBRARY, target, "--columns", "text=a")
    assert "is not a column" in refused("index", "build", LIBRARY, target, "--columns", "texts")
    sentence = refused(
        "index", "build", *BM25, LIBRARY, target, "--dense", str(tmp_path / "no-model")
    )
    assert "cannot be loaded" in sentence
    assert not target.exists()


def test_build_without_permission_to_write() -> None:
    sentence = refused("index", "build", *BM25, LIBRARY, "/proc/nowhere/index")
    assert "/proc/nowhere/index cannot be written" in sentence


def test_columns_and_metadata_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("pmid,abstract,year\n7,a text on heat,1999\n8,cold,2001\n")
    columns = "doc_id=pmid,text=abstract"
    built = run(
        "index", "build", *BM25, tmp_path / "a.csv", tmp_path / "index", "--columns", columns
    )
    assert built.exit_code == 0, built.output
    answer = run("search", tmp_path / "index", "heat", "--filter", 'year="1999"', "--json")
    assert [hit["doc_id"] for hit in json.loads(answer.stdout)["hits"]] == ["7"]


def test_eval_reports_runs_and_unavailable_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lsr.errors import UnavailableError
    from lsr.evaluation.lucene import LuceneBm25

    def missing() -> None:
        raise UnavailableError("run: pip install 'lsr-search[baselines]'")

    monkeypatch.setattr(LuceneBm25, "check_available", staticmethod(missing))
    result = run(
        *("eval", LIBRARY, "--systems", "bm25,lucene-bm25", "--json", tmp_path / "report.json"),
        *("--markdown", tmp_path / "report.md", "--run-dir", tmp_path / "runs"),
    )
    assert result.exit_code == 0, result.output
    assert "bm25" in result.stdout
    assert "lucene-bm25 is not available: run: pip install" in result.stderr
    (collection,) = json.loads((tmp_path / "report.json").read_text())["collections"]
    assert [system["name"] for system in collection["systems"]] == ["bm25"]
    assert "lucene-bm25" in collection["unavailable"]
    assert "| bm25 |" in (tmp_path / "report.md").read_text()
    first = (tmp_path / "runs" / "library.bm25.trec").read_text().splitlines()[0].split()
    assert first[0] == "q1"
    assert first[3] == "1"


def test_eval_counts_and_warns_of_judgements_without_documents(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(LIBRARY, odd)
    with (odd / "qrels" / "test.tsv").open("a") as stream:
        stream.write("q1\tghost\t1\nq1\tspirit\t1\nq9\trepair\t1\n")
    result = run("eval", odd, "--systems", "bm25", "--json", "-")
    assert "warning: odd: 2 judged documents are not in the collection" in result.stderr
    assert "warning: odd: 1 judged query (q9) has no text: counted as 0" in result.stderr
    (collection,) = json.loads(result.stdout)["collections"]
    assert collection["n_queries"] == 7
    assert len(collection["warnings"]) == 2
    recall = collection["systems"][0]["by_query"]["R@100"]
    assert recall["q1"] == 0.5
    assert recall["q9"] == 0
    assert collection["systems"][0]["metrics"]["R@100"] == pytest.approx(sum(recall.values()) / 7)


def test_eval_refuses_ids_that_a_run_file_cannot_hold_before_it_encodes(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "a b", "text": "heron"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "heron"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("q\ta b\t1\n")
    result = run("eval", tmp_path, "--systems", "bm25", "--run-dir", tmp_path / "runs")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "'a b' is empty or holds a blank" in result.stderr
    assert not (tmp_path / "runs").exists()
    assert "1.0000" in run("eval", tmp_path, "--systems", "bm25").stdout


def test_eval_json_on_standard_output(tmp_path: Path) -> None:
    result = run("eval", LIBRARY, "--json", "-", "--cache-dir", tmp_path, "--precision", "int8")
    (collection,) = json.loads(result.stdout)["collections"]
    assert [system["name"] for system in collection["systems"]] == ["bm25", "learned"]
    (note,) = collection["notes"]
    assert note.startswith("learned: doc-mini ")
    assert set(collection["systems"][0]["metrics"]) == {"nDCG@10", "R@100", "MAP", "MRR@10"}


def test_eval_refuses(tmp_path: Path) -> None:
    assert "not a system: magic" in refused("eval", LIBRARY, "--systems", "bm25,magic")
    assert "not a measure: nDCG_10" in refused("eval", LIBRARY, "--metrics", "nDCG_10")
    assert "no judgements for split 'dev'; there are: test" in refused(
        "eval", LIBRARY, "--split", "dev"
    )
    (tmp_path / "a.jsonl").write_text('{"id": 1, "text": "alone"}\n')
    assert "needs queries and judgements" in refused("eval", tmp_path / "a.jsonl")


def test_usage_errors_exit_with_2() -> None:
    assert run("search").exit_code == 2
    assert run("index", "build", "--nonsense").exit_code == 2


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def served(index: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    port = free_port()
    process = subprocess.Popen(
        [*LSR, "serve", str(index), "--port", str(port)], stderr=subprocess.PIPE, text=True
    )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, process.communicate()[1]
                assert time.monotonic() < deadline, "the server did not become ready"
                time.sleep(0.1)
        yield url, process
    finally:
        process.kill()
        process.communicate()


def test_serve_answers_and_stops_cleanly(served: tuple[str, subprocess.Popen[str]]) -> None:
    url, process = served
    request = urllib.request.Request(
        f"{url}/v1/collections/library/search",
        data=b'{"text": "torn page", "limit": 1}',
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        assert json.load(response)["hits"][0]["doc_id"] == "repair"
    second = run("serve", "/nowhere", "--port", url.rpartition(":")[2])
    assert second.exit_code == 2
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_serve_refuses_a_port_in_use(index: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert str(port) in refused("serve", index, "--port", str(port))


def test_interrupting_a_build_exits_with_130_and_leaves_nothing(tmp_path: Path) -> None:
    fifo = tmp_path / "endless.jsonl"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [*LSR, "index", "build", *BM25, str(fifo), str(tmp_path / "index")],
        stderr=subprocess.PIPE,
        text=True,
        # whoever started the tests in the background may have them ignore it
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        with fifo.open("w") as stream:
            for number in range(2_000):
                stream.write(f'{{"id": {number}, "text": "word{number}"}}\n')
            stream.flush()
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        assert process.stderr is not None
        assert process.stderr.read().strip().endswith("interrupted")
    finally:
        process.kill()
        process.communicate()
    assert [path.name for path in tmp_path.iterdir()] == ["endless.jsonl"]
