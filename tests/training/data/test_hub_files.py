"""Files of hub sets: told from sets, fetched, and read as rows like files that are here."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.datasets.lines import plain_suffix
from lsr.errors import DataError
from lsr.training.config.train import (
    DenseTeacher,
    ScoreFileTeacher,
    Source,
    SparseTeacher,
    TrainConfig,
)
from lsr.training.config.yaml_file import read_config
from lsr.training.data import hub_files
from lsr.training.data.hub_files import is_hub_file, local_file
from lsr.training.data.sources import read_source, read_sources
from lsr.training.data.supervision import check_rows, check_stage
from lsr.training.teachers.score_file import ScoreFile

CONFIG = Path(__file__).resolve().parents[3] / "configs" / "geng-2024.yaml"

LINES: dict[str, list[Any]] = {
    "WikiAnswers": [{"set": ["a b", "b a", "a or b"]}],
    "searchQA_top5_snippets": [{"query": "clue", "pos": ["one snippet", "another"]}],
    "msmarco-hard-negatives": [{"qid": 1, "pos": [0], "neg": {"bm25": [1, 2], "tas": [3]}}],
    "queries": [{"_id": "1", "text": "a query", "metadata": {}}],
    "corpus": [{"_id": str(n), "title": "", "text": f"passage {n}"} for n in range(4)],
}
"""Lines of the files that are no plain pairs, in their own layouts."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands in for the hub: OWNER/NAME/FILE."""

    def fetched(repository: str, file: str, repo_type: str) -> str:
        path = tmp_path / repository / file
        if repo_type != "dataset" or not path.exists():
            raise FileNotFoundError(f"no {file} there\nmore")
        return str(path)

    monkeypatch.setattr(hub_files, "hf_hub_download", fetched)
    return tmp_path


def written(path: Path, *records: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(json.dumps(record) + "\n" for record in records)
    packed = content.encode()
    path.write_bytes(gzip.compress(packed) if path.suffix == ".gz" else packed)


@pytest.mark.parametrize(
    ("path", "is_file"),
    [
        ("hf:owner/name", False),
        ("hf:owner/name:pair", False),
        ("hf:name", False),
        ("hf:owner/name/a.jsonl.gz", True),
        ("hf:owner/name/folder/a.tsv", True),
        ("folder/of/a.jsonl", False),
        ("irds:beir/nfcorpus/train", False),
    ],
)
def test_files_are_told_from_sets(path: str, is_file: bool) -> None:
    assert is_hub_file(path) == is_file
    if not path.startswith("hf:"):
        assert local_file(path) == Path(path)


def test_a_training_file_of_the_hub(hub: Path) -> None:
    """The layouts of sentence-transformers' embedding-training-data."""
    written(hub / "o/n/pairs.jsonl.gz", ["q0", "p0"], ["q1", "p1", "n1", "n2"])
    pairs = read_source(Source(path="hf:o/n/pairs.jsonl.gz"))
    assert pairs.queries == ["q0", "q1"]
    assert pairs.source_names == ("pairs",)
    assert [pairs.documents[row] for row in pairs.positives] == ["p0", "p1"]
    assert [pairs.documents[row] for row in pairs.negatives[1]] == ["n1", "n2"]
    written(hub / "o/n/in/sets.jsonl", {"set": ["a", "b", "c"]}, {"query": "d", "pos": ["e"]})
    pairs = read_source(Source(path="hf:o/n/in/sets.jsonl"))
    assert pairs.queries == ["a", "a", "d"]
    assert [pairs.documents[row] for row in pairs.positives] == ["b", "c", "e"]
    (hub / "o/n/some.tsv").write_text("q\tp\n", encoding="utf-8")
    assert read_source(Source(path="hf:o/n/some.tsv")).queries == ["q"]


def test_ids_of_the_hub_with_texts_of_the_hub(hub: Path) -> None:
    """As MS MARCO's hard negatives: ids by the system that found them."""
    by_system = {"bm25": [2, 3, 4], "dense": [5, 6]}
    written(hub / "o/hard/hard.jsonl.gz", {"qid": 7, "pos": [1], "neg": by_system})
    written(hub / "o/texts/q.jsonl.gz", {"_id": "7", "text": "query"})
    texts = [{"_id": str(n), "title": "", "text": f"d{n}"} for n in range(9)]
    written(hub / "o/texts/d.jsonl.gz", *texts)
    source = Source(
        path="hf:o/hard/hard.jsonl.gz",
        queries="hf:o/texts/q.jsonl.gz",
        documents="hf:o/texts/d.jsonl.gz",
    )
    pairs = read_source(source)
    assert pairs.queries == ["query"]
    assert pairs.query_ids == ["7"]
    assert [pairs.documents[row] for row in pairs.negatives[0]] == ["d2", "d3", "d4", "d5", "d6"]
    few = read_source(source.model_copy(update={"max_negatives": 2}))
    assert [few.documents[row] for row in few.negatives[0]] == ["d2", "d4"], "evenly spread"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent.jsonl", r"hf:o/n/absent\.jsonl: could not be fetched \(no absent\.jsonl there\)"),
        ("train.parquet", r"of a file on the hub, \.jsonl and \.tsv are read"),
    ],
)
def test_what_the_hub_lacks_is_said(hub: Path, name: str, said: str) -> None:
    (hub / "o/n").mkdir(parents=True)
    with pytest.raises(DataError, match=said) as refused:
        read_source(Source(path=f"hf:o/n/{name}"))
    assert "\n" not in str(refused.value)


# The sources of a config for GPUs


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """The config, and a hub that has every file with the lines above."""

    def fetched(repository: str, file: str, repo_type: str) -> str:
        assert (repository.count("/"), repo_type) == (1, "dataset")
        name = file.split(".")[0]
        path = tmp_path / file
        if ".pkl" in file:
            scores = {1: {n: 1.0 - n for n in range(4)}}
            path.write_bytes(gzip.compress(pickle.dumps(scores)))
        else:
            lines = LINES.get(name, [[f"{name} query", f"{name} text"]])
            path.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
        return str(path)

    monkeypatch.setattr(hub_files, "hf_hub_download", fetched)
    monkeypatch.setenv("LSR_DATA", "somewhere")
    return read_config(CONFIG)


def test_stages_and_teachers_are_the_published_ones(config: TrainConfig) -> None:
    first, second = config.stages
    kinds = [type(teacher) for teacher in first.teachers]
    assert kinds == [DenseTeacher, SparseTeacher], "siamese dense and siamese sparse"
    assert [type(teacher) for teacher in second.teachers] == [*kinds, ScoreFileTeacher]
    for stage, scale, weight, steps, queries, candidates, rate in (
        (first, 10, 1e-7, 150_000, 48, 1 + 7, 5e-5),
        (second, 30, 0.02, 50_000, 40, 1 + 10, 2e-5),
    ):
        check_stage(stage)
        assert (stage.ensemble.normalization, stage.ensemble.scale) == ("min_max", scale)
        assert (stage.regularizer.weight, stage.regularizer.flops_over) == (weight, "candidates")
        optim = stage.optim
        assert (optim.steps, optim.queries, optim.candidates) == (steps, queries, candidates)
        assert optim.lr == rate


def test_its_sources_are_read(config: TrainConfig) -> None:
    first, second = config.stages
    assert first.data is not None
    assert second.data is not None
    paths = [source.path for source in first.data.sources]
    assert len(set(paths)) == len(paths) == 13
    for path in [*paths, second.data.sources[0].path]:
        assert is_hub_file(path)
        assert plain_suffix(Path(path)) == ".jsonl"
    pairs, _ = read_sources(first.data.sources)
    assert len(pairs) == 11 + 2 + 2, "a row of each file, two of sets and lists"
    assert not pairs.notes, "all fields are understood"
    check_rows(first, pairs)
    pairs, _ = read_sources(second.data.sources)
    assert pairs.queries == ["a query"]
    assert len(pairs.negatives[0]) == 3
    check_rows(second, pairs)
    teacher = second.teachers[-1]
    assert isinstance(teacher, ScoreFileTeacher)
    scorer = ScoreFile(local_file(teacher.path), pairs.query_ids, pairs.document_ids)
    scorer.prepare(pairs.queries, pairs.documents)
    assert np.isfinite(scorer.scores(np.arange(1), np.arange(4))).all()
