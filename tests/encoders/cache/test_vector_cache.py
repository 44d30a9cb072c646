"""The cache of teachers: what is found, what is made, and damage of every kind."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.cache.cache_files import ShardFolder
from lsr.encoders.cache.vector_cache import Tick, VectorCache
from lsr.errors import InputError, ModelError, StorageError
from lsr.sparse import CSR, SparseMatrix

TEXTS = ["one", "three", "", "eleven", "one", "seventeen", "ø", "two"]
DISTINCT = 7
MODEL, OTHER = "a" * 64, "b" * 64


class Letters:
    """Three numbers of a text: its length, 0.5, and its first letter. Notes what it is asked."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.calls: list[list[str]] = []
        self.fail_at = fail_at

    def __call__(self, texts: list[str], tick: Tick) -> NDArray[np.float32]:
        if len(self.calls) == self.fail_at:
            raise KeyboardInterrupt
        self.calls.append(texts)
        tick(len(texts))
        return expected(texts)

    def matrix(self, texts: list[str], tick: Tick) -> CSR:
        return CSR.from_scipy(_scipy(self(texts, tick)))._replace(n_terms=3)


def expected(texts: Sequence[str]) -> NDArray[np.float32]:
    return np.array([[len(t), 0.5, ord(t[0]) if t else 0] for t in texts], np.float32)


def _scipy(dense: NDArray[np.float32]) -> SparseMatrix:
    from scipy.sparse import csr_array

    made: SparseMatrix = csr_array(dense)
    return made


def cache_at(folder: Path, identity: str = MODEL) -> VectorCache:
    return VectorCache(folder, identity, name="letters", shard_rows=3)


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("v1-*/shard-*"))


def test_what_was_made_is_found_and_texts_are_encoded_once(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    encode = Letters()
    cache = cache_at(tmp_path / "deep" / "cache")
    made = cache.dense("document", TEXTS, encode, lambda *step: told.append(step))
    assert made.dtype == np.float16
    np.testing.assert_array_equal(made, expected(TEXTS))
    assert [len(call) for call in encode.calls] == [3, 3, 1]
    assert (cache.n_found, cache.n_made) == (0, DISTINCT)
    assert told[0] == ("letters: document", 0, 7)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1] == ("letters: document", 7, 7)
    assert len(shards(tmp_path / "deep" / "cache")) == 3
    assert not list(tmp_path.rglob(".unfinished-*"))

    again = cache_at(tmp_path / "deep" / "cache")
    found = again.dense("document", TEXTS[::-1], Letters(fail_at=0))
    np.testing.assert_array_equal(found, made[::-1])
    assert (again.n_found, again.n_made) == (DISTINCT, 0)


def test_new_texts_alone_are_encoded(tmp_path: Path) -> None:
    cache_at(tmp_path).dense("document", TEXTS, Letters())
    encode = Letters()
    more = ["new", *TEXTS, "newer"]
    np.testing.assert_array_equal(
        cache_at(tmp_path).dense("document", more, encode), expected(more)
    )
    assert encode.calls == [["new", "newer"]]


def test_sides_and_models_share_nothing(tmp_path: Path) -> None:
    cache_at(tmp_path).dense("document", ["one"], Letters())
    for cache, side in ((cache_at(tmp_path), "query"), (cache_at(tmp_path, OTHER), "document")):
        encode = Letters()
        cache.dense(side, ["one"], encode)  # type: ignore[arg-type]
        assert encode.calls == [["one"]]


def test_a_shard_put_into_another_models_folder_is_refused(tmp_path: Path) -> None:
    cache_at(tmp_path).dense("document", ["one"], Letters())
    cache_at(tmp_path, OTHER).dense("document", ["two"], Letters())
    mine, others = (tmp_path / f"v1-{key[:32]}" for key in (MODEL, OTHER))
    stolen = next(mine.iterdir())
    shutil.copytree(stolen, others / stolen.name)
    cache = cache_at(tmp_path, OTHER)
    cache.dense("document", ["one"], Letters())
    assert (cache.n_damaged, cache.n_found, cache.n_made) == (1, 0, 1)


@pytest.mark.parametrize("fail_at", [0, 1, 2])
def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path, fail_at: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        cache_at(tmp_path).dense("document", TEXTS, Letters(fail_at))
    assert len(shards(tmp_path)) == fail_at
    cache, encode = cache_at(tmp_path), Letters()
    np.testing.assert_array_equal(cache.dense("document", TEXTS, encode), expected(TEXTS))
    assert cache.n_found == 3 * fail_at
    assert sum(map(len, encode.calls)) == DISTINCT - 3 * fail_at


def test_a_killed_writer_leaves_nothing_that_counts(tmp_path: Path) -> None:
    cache_at(tmp_path).dense("document", ["one"], Letters())
    left = tmp_path / f"v1-{MODEL[:32]}" / ".unfinished-x"
    shutil.copytree(shards(tmp_path)[0], left)
    (left / "shard.json").unlink()
    cache = cache_at(tmp_path)
    cache.dense("document", ["one", "two"], Letters())
    assert (cache.n_found, cache.n_made, cache.n_damaged) == (1, 1, 0)
    assert not left.exists()


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def _record(shard: Path, record: object) -> None:
    (shard / "shard.json").write_text(json.dumps(record))


DAMAGE: dict[str, Callable[[Path], None]] = {
    "a flipped bit of a vector": lambda shard: _flip(shard / "values.npy", -1),
    "a flipped bit of a header": lambda shard: _flip(shard / "values.npy", 20),
    "vectors cut short": lambda shard: _cut(shard / "values.npy"),
    "no vectors": lambda shard: (shard / "values.npy").unlink(),
    "a flipped bit of a key": lambda shard: _flip(shard / "keys.npy", -1),
    "no keys": lambda shard: (shard / "keys.npy").unlink(),
    "no record": lambda shard: (shard / "shard.json").unlink(),
    "a record that is no JSON": lambda shard: _flip(shard / "shard.json", 0),
    "a record of something else": lambda shard: _record(shard, []),
    "a record of no files": lambda shard: _record(shard, {"identity": MODEL, "files": {}}),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_rows_are_made_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    cache_at(tmp_path).dense("document", TEXTS, Letters())
    whole = shards(tmp_path)
    damage(next(shard for shard in whole if len(keys_of(shard)) == 3))
    cache = cache_at(tmp_path)
    np.testing.assert_array_equal(cache.dense("document", TEXTS, Letters()), expected(TEXTS))
    assert (cache.n_damaged, cache.n_found, cache.n_made) == (1, 4, 3)
    healed = cache_at(tmp_path)
    healed.dense("document", TEXTS, Letters(fail_at=0))
    assert healed.n_damaged == 0
    assert shards(tmp_path) == whole


def test_a_damaged_shard_is_taken_away_whoever_meets_it(tmp_path: Path) -> None:
    cache_at(tmp_path).dense("document", TEXTS, Letters())
    (shards(tmp_path)[0] / "keys.npy").unlink()
    for n_damaged in (1, 0):
        cache = cache_at(tmp_path)
        cache.dense("document", [f"new {n_damaged}"], Letters())
        assert cache.n_damaged == n_damaged


def keys_of(shard: Path) -> list[bytes]:
    opened = ShardFolder(shard.parents[1], MODEL).open(shard.name)
    assert opened is not None
    return opened.keys


def test_shards_whose_keys_are_remembered_are_opened_for_their_rows_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    reading = ShardFolder.open

    def noted(folder: ShardFolder, name: str) -> object:
        opened.append(name)
        return reading(folder, name)

    monkeypatch.setattr(ShardFolder, "open", noted)
    cache = VectorCache(tmp_path, MODEL, name="letters", remembers=True)
    letters, texts = Letters(), [f"text {n}" for n in range(6)]
    for text in texts:
        cache.dense("query", [text], letters)
    assert not opened, "those that it wrote itself"
    cache_at(tmp_path).dense("query", ["elsewhere"], letters)
    opened.clear()
    found = cache.dense("query", ["elsewhere", "text 2"], letters)
    assert np.array_equal(found, expected(["elsewhere", "text 2"]))
    assert len(opened) == 2
    assert len(letters.calls) == 7
    for shard in shards(tmp_path):
        (shard / "values.npy").write_bytes(b"")
    assert np.array_equal(cache.dense("query", texts, letters), expected(texts))
    assert cache.n_damaged == 6
    assert letters.calls[7:] == [texts]
    opened.clear()
    cache.dense("query", texts, letters)
    assert len(opened) == 1


def test_sparse_rows_come_back_in_order(tmp_path: Path) -> None:
    encode = Letters()
    made = cache_at(tmp_path).sparse("query", TEXTS, encode.matrix)
    found = cache_at(tmp_path).sparse("query", TEXTS[::-1], Letters(fail_at=0).matrix)
    made.validate()
    np.testing.assert_array_equal(to_scipy(made).toarray(), expected(TEXTS))
    np.testing.assert_array_equal(to_scipy(found).toarray(), expected(TEXTS[::-1]))
    assert found.n_terms == 3
    assert found.terms.dtype == np.int32
    assert found.row(5).terms.tolist() == [1], "an empty text has no length and no first letter"


def test_numbers_are_kept_by_pair(tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def score(pairs: list[tuple[str, str]], tick: Tick) -> NDArray[np.float32]:
        asked.extend(pairs)
        return np.array([len(q) - 10 * len(d) for q, d in pairs], np.float32)

    pairs = [("ab", "c"), ("a", "bc"), ("ab", "c")]
    numbers = cache_at(tmp_path).numbers(pairs, score)
    assert numbers.tolist() == [-8, -19, -8]
    assert numbers.dtype == np.float32
    assert asked == pairs[:2], "and 'ab' + 'c' is not 'a' + 'bc'"
    more = cache_at(tmp_path).numbers([("a", "bc"), ("abc", "")], score)
    assert more.tolist() == [-19, 3]
    assert asked[2:] == [("abc", "")]


def test_nothing_is_a_case(tmp_path: Path) -> None:
    cache = cache_at(tmp_path / "cache")
    assert cache.dense("document", [], Letters(fail_at=0)).shape == (0, 0)
    assert cache.sparse("document", [], Letters(fail_at=0).matrix).n_rows == 0
    assert cache.numbers([], lambda pairs, tick: np.zeros(0, np.float32)).shape == (0,)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e6], ids=str)
def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, wrong: float) -> None:
    def encode(texts: list[str], tick: Tick) -> NDArray[np.float32]:
        return np.full((len(texts), 2), wrong, np.float32)

    with pytest.raises(ModelError, match="the teacher letters gives numbers that are not finite"):
        cache_at(tmp_path).dense("query", TEXTS, encode)
    assert not shards(tmp_path)


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(InputError, match="is to hold a cache and is a file; choose a folder"):
        cache_at(file).dense("query", TEXTS, Letters())
    assert file.read_text() == "mine"

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        cache_at(tmp_path / "cache").dense("query", TEXTS, Letters())
    assert not list((tmp_path / "cache").rglob("*-*/*"))


def test_a_second_writer_waits_and_finds_what_the_first_made(tmp_path: Path) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slowly(texts: list[str], tick: Tick) -> NDArray[np.float32]:
        started.set()
        assert go_on.wait(30)
        return expected(texts)

    first = threading.Thread(target=cache_at(tmp_path).dense, args=("query", ["one"], slowly))
    first.start()
    assert started.wait(30)
    second = cache_at(tmp_path)
    found: list[NDArray[np.float16]] = []
    waiting = threading.Thread(
        target=lambda: found.append(second.dense("query", ["one"], Letters(fail_at=0)))
    )
    waiting.start()
    go_on.set()
    first.join()
    waiting.join()
    np.testing.assert_array_equal(found[0], expected(["one"]))
    assert second.n_found == 1


def test_what_is_missing_is_told_without_making_it(tmp_path: Path) -> None:
    cache = cache_at(tmp_path)
    assert cache.missing("query", TEXTS) == list(dict.fromkeys(TEXTS))
    assert not list(tmp_path.iterdir())
    cache.dense("query", TEXTS[:3], Letters())
    assert cache.missing("query", TEXTS) == ["eleven", "seventeen", "ø", "two"]
    assert len(cache.missing("document", TEXTS)) == DISTINCT
    pairs = [("a", "b"), ("a", "c"), ("a", "b")]
    assert cache.missing_pairs(pairs) == pairs[:2]
    cache.numbers(pairs[:1], lambda some, _: np.zeros(len(some), np.float32))
    assert cache.missing_pairs(pairs) == [("a", "c")]
