"""Shards of encoded documents: whole ones are kept when a run is interrupted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lsr.datasets.vectors.open import VectorFile
from lsr.encoders.corpus.encode_shards import (
    ShardPlan,
    encode_shards,
    whole_impacts,
    write_one_file,
)
from lsr.errors import DataError, InputError
from lsr.sparse import CSR
from lsr.types import Document

DOCUMENTS = [Document(f"d{i}", "a " * i) for i in range(7)]
PLAN = ShardPlan("model", shard_documents=3)
VOCABULARY = ["a", "b"]


class Counting:
    """Encodes a text as the number of its words, and fails at a chosen call."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.calls = 0
        self.fail_at = fail_at

    def __call__(self, texts: Sequence[str]) -> CSR:
        self.calls += 1
        if self.calls == self.fail_at:
            raise KeyboardInterrupt
        return CSR.from_rows([{0: len(text.split()), 1: 0.5} for text in texts], 2)


def _ids(folder: Path) -> list[str]:
    return [i for chunk in VectorFile.open(folder).chunks() for i in chunk.doc_ids]


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        encode_shards(DOCUMENTS, out, Counting(fail_at=3), VOCABULARY, PLAN)
    assert _ids(out) == [f"d{i}" for i in range(6)]
    kept = (out / "shard-00001.jsonl").stat().st_mtime_ns
    encode = Counting()
    seen: list[int] = []
    done = encode_shards(
        DOCUMENTS, out, encode, VOCABULARY, PLAN, progress=lambda _, n, __: seen.append(n)
    )
    assert (encode.calls, done.n_kept, done.n_documents) == (1, 2, 7)
    assert seen == [3, 6, 7]
    assert (out / "shard-00001.jsonl").stat().st_mtime_ns == kept
    assert _ids(out) == [f"d{i}" for i in range(7)]
    chunk = VectorFile.open(out).read_all()
    assert sorted(chunk.vectors.row(2).weights.tolist()) == [0.5, 2.0]


def test_a_run_killed_at_its_first_shard_goes_on(tmp_path: Path) -> None:
    (tmp_path / ".lsr-encode.json.7.unfinished").write_text("{")
    with pytest.raises(KeyboardInterrupt):
        encode_shards(DOCUMENTS, tmp_path, Counting(fail_at=1), VOCABULARY, PLAN)
    (tmp_path / ".shard-00000.jsonl.7.unfinished").write_text("{")
    (tmp_path / "shard-00000.jsonl").write_text("the plan does not name it yet")
    done = encode_shards(DOCUMENTS, tmp_path, Counting(), VOCABULARY, PLAN)
    assert (done.n_kept, done.n_documents) == (0, 7)
    assert _ids(tmp_path) == [f"d{i}" for i in range(7)]


def test_only_shards_of_the_same_documents_are_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    encode_shards(DOCUMENTS, out, Counting(), VOCABULARY, PLAN)
    (out / "shard-00000.jsonl").unlink()
    changed = [*DOCUMENTS[:4], Document("new", "b"), *DOCUMENTS[5:6]]
    encode = Counting()
    done = encode_shards(changed, out, encode, VOCABULARY, PLAN)
    assert (encode.calls, done.n_kept) == (2, 0)
    assert _ids(out) == ["d0", "d1", "d2", "d3", "new", "d5"]
    assert not (out / "shard-00002.jsonl").exists()


def test_other_plans_and_folders_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    encode_shards(DOCUMENTS, out, Counting(), VOCABULARY, PLAN)
    before = {path: path.read_bytes() for path in out.iterdir()}
    for other in (ShardPlan("other", shard_documents=3), ShardPlan("model", shard_documents=2)):
        with pytest.raises(InputError, match="another model or other options"):
            encode_shards(DOCUMENTS, out, Counting(), VOCABULARY, other)
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="no shards"):
        encode_shards(DOCUMENTS, tmp_path, Counting(), VOCABULARY, PLAN)
    with pytest.raises(InputError, match="no documents"):
        encode_shards([], tmp_path / "none", Counting(), VOCABULARY, PLAN)
    (out / ".lsr-encode.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        encode_shards(DOCUMENTS, out, Counting(), VOCABULARY, PLAN)


def test_whole_impacts_by_hand(tmp_path: Path) -> None:
    vectors = CSR.from_rows([{0: 0.004, 1: 1.236}, {0: 0.016}], 2)
    whole = whole_impacts(vectors, 100)
    assert [(r.terms.tolist(), r.weights.tolist()) for r in map(whole.row, range(2))] == [
        ([1], [124.0]),
        ([0], [2.0]),
    ]
    with pytest.raises(InputError, match="scale"):
        whole_impacts(vectors, float("nan"))
    plan = ShardPlan("model", scale=100, texts=False)
    encode_shards(DOCUMENTS[1:2], tmp_path / "out", Counting(), VOCABULARY, plan)
    line = json.loads((tmp_path / "out" / "shard-00000.jsonl").read_text())
    assert line == {"id": "d1", "contents": "", "vector": {"a": 100, "b": 50}}
    assert isinstance(line["vector"]["a"], int)


def test_shards_become_one_file_in_their_order(tmp_path: Path) -> None:
    from scipy.sparse import load_npz

    out = tmp_path / "out"
    encode_shards(DOCUMENTS, out, Counting(), VOCABULARY, PLAN)
    assert write_one_file(out, tmp_path / "all.npz", VOCABULARY) == 7
    matrix = load_npz(tmp_path / "all.npz").toarray()
    assert np.array_equal(matrix[:, 0], np.arange(7))
    assert (tmp_path / "all.npz.ids.txt").read_text().split() == [f"d{i}" for i in range(7)]
