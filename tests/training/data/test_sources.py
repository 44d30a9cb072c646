"""Rows from files, folders and collections; and what is wrong with them, by line."""

from __future__ import annotations

import gzip
import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from lsr.datasets.beir import write_beir
from lsr.errors import DataError
from lsr.training.config.train import Source
from lsr.training.data.pairs import Pairs
from lsr.training.data.sources import read_source, read_sources
from lsr.types import Document, Query
from tests.training.data.test_pairs import as_texts


def lines(path: Path, *records: object) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return str(path)


def read(path: str | Path, limit: int | None = None, split: str = "train") -> Pairs:
    return read_source(Source(path=str(path), limit=limit, split=split))


def test_pairs_with_and_without_negatives(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "medquad.jsonl",
        {"query": "q", "positive": "p", "source": "medquad"},
        {"query": "r", "positive": "s", "negatives": ["p", "n"], "source": "part"},
        {"anchor": "t", "pos": ["u", "v"], "negative_1": "n", "query_id": 7},
    )
    pairs = read(path)
    assert as_texts(pairs) == [
        ("q", "p", []),
        ("r", "s", ["p", "n"]),
        ("t", "u", ["n"]),
        ("t", "v", ["n"]),
    ]
    assert pairs.source_names == ("medquad", "medquad/part")
    assert pairs.sources.tolist() == [0, 1, 0, 0]
    assert pairs.query_ids[2:] == ["7", "7"]


def test_compressed_lines_and_blank_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'\n{"query": "q", "positive": "p"}\n\n'))
    assert as_texts(read(path)) == [("q", "p", [])]


def test_scored_lists_need_no_label(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "a.jsonl",
        {"query": "q", "documents": ["x", "y", "x"], "scores": [3, 0.5, 9]},
        {"query": "r", "positive": "y", "documents": ["x"], "scores": [1]},
    )
    pairs = read(path)
    assert pairs.positives.tolist() == [-1, pairs.documents.index("y")]
    assert [pairs.documents[row] for row in pairs.scored[0]] == ["x", "y"]
    assert pairs.scored.scores_of(0).tolist() == [3.0, 0.5]
    assert pairs.scored.scores_of(1).tolist() == [1.0]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("q\tp\nr\ts\n", [("q", "p", []), ("r", "s", [])]),
        ("q\tp\tn\n", [("q", "p", ["n"])]),
        ("positive\tquery\np\tq\n", [("q", "p", [])]),
        ("question\tanswer\n\nq\tp", [("q", "p", [])]),
    ],
)
def test_tables(tmp_path: Path, content: str, expected: list[Any]) -> None:
    (tmp_path / "a.tsv").write_text(content)
    assert as_texts(read(tmp_path / "a.tsv")) == expected


def test_rows_are_chosen_by_their_fields(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    licences = ["free", "closed", "shared", "free", "free", "closed"]
    lines = [
        json.dumps({"query": f"q{n}", "positive": f"p{n}", "licence": licence})
        for n, licence in enumerate(licences)
    ]
    path.write_text("\n".join([*lines, "", json.dumps({"query": "q9", "positive": "p9"})]))

    def queries(limit: int | None, *licences: str) -> list[str]:
        source = Source(path=str(path), limit=limit, where={"licence": licences})
        return list(read_source(source).queries)

    assert queries(None, "free") == ["q0", "q3", "q4"]
    assert queries(None, "free", "shared") == ["q0", "q2", "q3", "q4"]
    assert queries(2, "free", "shared") == ["q0", "q3"]
    with pytest.raises(DataError, match="holds no rows whose fields are .*lost"):
        queries(None, "lost")
    with pytest.raises(ValidationError, match="chooses among JSON lines"):
        Source(path="a.tsv", where={"licence": ("free",)})


def test_a_limit_is_spread_evenly(tmp_path: Path) -> None:
    records = [{"query": f"q{i}", "positive": f"p{i}"} for i in range(10)]
    assert read(lines(tmp_path / "a.jsonl", *records), 4).queries == ["q0", "q2", "q5", "q7"]
    assert len(read(lines(tmp_path / "a.jsonl", *records), 40)) == 10
    (tmp_path / "a.tsv").write_text(
        "query\tpositive\n" + "".join(f"q{i}\tp{i}\n" for i in range(6))
    )
    assert read(tmp_path / "a.tsv", 3).queries == ["q0", "q2", "q4"]


WRONG: dict[str, tuple[str, str]] = {
    "no text": ('{"query": "q", "positive": "p"}\n{"query": "q", "positive": " "}', "line 2"),
    "text of another kind": ('{"query": 3, "positive": "p"}', "field query must hold text"),
    "half a pair": ('{"query": "\\ud800", "positive": "p"}', "half a surrogate pair"),
    "unknown layout": ('{"_id": "1", "text": "x"}', "needs query and positive"),
    "two queries": ('{"query": ["a", "b"], "positive": "p"}', "one text, and holds 2"),
    "no query": ('{"query": [], "positive": "p"}', "one text, and holds 0"),
    "scores missing": ('{"query": "q", "documents": ["a"], "scores": []}', "one number for each"),
    "score no number": ('{"query": "q", "documents": ["a"], "scores": ["1"]}', "not a number"),
    "not JSON": ("{", "line 1: not valid JSON"),
    "a number": ("3", "line 1: a line must be a JSON object, or an array of texts"),
    "an array of one": ('["q", "p"]\n["q"]', "line 2: an array is the texts of a query"),
    "an array of numbers": ('["q", 3]', "an array is the texts of a query"),
    "empty text in an array": ('["q", ""]', "field positive must hold text"),
    "a set of one": ('{"set": ["q"]}', "a set must be a list of two texts or more"),
    "a set that is a text": ('{"set": "q p"}', "a set must be a list of two texts or more"),
    "empty": ("\n", "holds no rows"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_lines_are_named(tmp_path: Path, name: str) -> None:
    content, message = WRONG[name]
    path = tmp_path / "a.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("q\tp\nq", "line 2: 1 fields where the first line has 2"),
        ("q", "line 1: a line is query, positive"),
        ("a\tb\tc\td", "line 1: a line is query, positive"),
        ("q\t \n", "line 1: field positive must hold text"),
        ("query\tpositive\n", "holds no rows"),
        ("", "holds no rows"),
    ],
)
def test_wrong_tables_are_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.tsv").write_text(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.tsv")


def test_what_is_not_there_or_not_known(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for name, message in (
        ("absent", "no such file or folder"),
        ("absent.jsonl", "no such file"),
        ("absent.tsv", "no such file"),
        ("a.pdf", "cannot tell what this is"),
        ("folder", "needs a corpus.jsonl"),
    ):
        with pytest.raises(DataError, match=message):
            read(tmp_path / name)


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    write_beir(
        tmp_path / "birds",
        [
            Document("d1", "waits in water", "Heron"),
            Document("d2", "hunts fish"),
            Document("d3", "stripes"),
            Document("d4", ""),
        ],
        [Query("q1", "fish eater"), Query("q2", "striped")],
        {
            "train": {"q1": {"d1": 1, "d2": 2, "d3": 0}, "q2": {"d3": 1, "d4": 1}},
            "lost": {"q1": {"d9": 1}, "q8": {"d1": 1}},
        },
    )
    return tmp_path / "birds"


def test_a_judged_folder(beir: Path) -> None:
    pairs = read(beir)
    assert as_texts(pairs) == [
        ("fish eater", "Heron waits in water", ["stripes"]),
        ("fish eater", "hunts fish", ["stripes"]),
        ("striped", "stripes", []),
    ]
    assert pairs.query_ids == ["q1", "q1", "q2"]
    assert pairs.document_ids == ["d1", "d2", "d3"]
    assert pairs.source_names == ("birds",)
    assert pairs.missing == 1
    assert read(beir, 2).query_ids == ["q1", "q1"]


def test_judgements_of_something_else_are_refused(beir: Path) -> None:
    with pytest.raises(DataError, match="2 of 2 judgements name"):
        read(beir, split="lost")
    with pytest.raises(DataError, match="no judgements for split 'dev'"):
        read(beir, split="dev")


def test_ir_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    import ir_datasets

    stub = SimpleNamespace(
        has_docs=lambda: True,
        has_queries=lambda: True,
        has_qrels=lambda: True,
        docs_iter=lambda: [SimpleNamespace(doc_id="d", title="T", text="x")],
        queries_iter=lambda: [SimpleNamespace(query_id="q", default_text=lambda: "find x")],
        qrels_iter=lambda: [SimpleNamespace(query_id="q", doc_id="d", relevance=1)],
    )
    monkeypatch.setattr(ir_datasets, "load", lambda name: {"tiny/train": stub}[name])
    assert as_texts(read("irds:tiny/train")) == [("find x", "T x", [])]
    with pytest.raises(DataError, match="no such id"):
        read("irds:absent")


def test_hub_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets: Any = import_module("datasets")
    asked: list[object] = []

    def load(name: str, config: str | None, split: str) -> Any:
        asked.append((name, config, split))
        if name == "absent":
            raise FileNotFoundError("Couldn't reach it\nmore")
        return datasets.Dataset.from_dict(
            {
                "question": [f"q{i}" for i in range(4)],
                "answer": [f"p{i}" for i in range(3)] + [""],
                "negative_1": ["n", None, "n", "n"],
            }
        )

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(DataError, match="row 3: field answer must hold text"):
        read("hf:owner/name:triplet")
    pairs = read("hf:owner/name:triplet", 2, "dev")
    assert as_texts(pairs) == [("q0", "p0", ["n"]), ("q2", "p2", ["n"])]
    assert asked[-1] == ("owner/name", "triplet", "dev")
    with pytest.raises(DataError, match="could not be loaded \\(Couldn't reach it\\)"):
        read("hf:absent")


def test_several_sources_have_names_and_weights_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one = lines(tmp_path / "a.jsonl", {"query": "q", "positive": "p"})
    two = lines(
        tmp_path / "other" / "a.jsonl",
        {"query": "r", "positive": "p"},
        {"query": "s", "positive": "t", "source": "x"},
    )
    pairs, weights = read_sources([Source(path=one, weight=2), Source(path=two, weight=0.5)])
    assert pairs.queries == ["q", "r", "s"]
    assert weights == {"a": 2.0, "a-2": 0.5, "a-2/x": 0.5}
    assert [pairs.source_names[number] for number in pairs.sources] == ["a", "a-2", "a-2/x"]


def test_names_beyond_counting_fall_back_to_the_file(tmp_path: Path) -> None:
    records = [{"query": f"q{i}", "positive": "p", "source": f"s{i}"} for i in range(300)]
    names = read(lines(tmp_path / "a.jsonl", *records)).source_names
    assert len(names) == 256
    assert "a" in names


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    records = [{"query": f"q{i}", "positive": "p"} for i in range(10_001)]
    path = lines(tmp_path / "a.jsonl", *records)
    for limit in (None, 10_000):
        source = Source(path=path, limit=limit)
        read_source(source, lambda stage, done, total: told.append((stage, done, total)))
    assert told == [("read", 10_000, None), ("read", 10_000, 10_000)]
