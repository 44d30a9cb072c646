"""Sharded builds: they go on where they stopped, replace, refuse; shards that are missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

import lsr.backend.build
import lsr.index.collection.build
from lsr.backend.build import LocalTasks, build_sharded
from lsr.backend.collection_shard import CollectionShard, LocalShards
from lsr.backend.open import open_collection, open_sharded
from lsr.backend.shard import Called
from lsr.backend.sharded_collection import ShardedCollection, shard_of
from lsr.backend.shards_file import SHARDS, ShardsFile
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import (
    IndexCorruptError,
    IndexMissingError,
    IndexVersionError,
    InputError,
    NotFoundError,
    QueryError,
    ShardsMissingError,
    StorageError,
)
from lsr.files import signed
from lsr.index.collection.encoder_registry import load_encoder
from lsr.index.collection.reader import CollectionReader
from lsr.index.storage.manifest import MANIFEST, Manifest
from lsr.retrieval.plan import plan_from
from tests.support.command_line import done, refused
from tests.support.hybrid_corpus import DOCUMENTS, Topics

Result = TypeVar("Result")


def built(folder: Path, n: int = 3, **more: Any) -> ShardsFile:
    return build_sharded(DOCUMENTS, folder, n, sparse=Bm25Encoder(), **more)


def contents(folder: Path, made: ShardsFile) -> dict[str, bytes]:
    """All files of the shards but the manifests, which say when they were made."""
    paths = [path for each in made.shards for path in (folder / each.folder).rglob("*")]
    kept = [path for path in paths if path.is_file() and path.name not in (MANIFEST, ".lock")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


class Stopping(LocalTasks):
    """Tasks that stop after so many."""

    def __init__(self, most: int) -> None:
        self._most = most

    def map(
        self,
        function: Callable[..., Result],
        arguments: Sequence[tuple[Any, ...]],
        report: Callable[[int], None],
    ) -> list[Result]:
        def counted(*given: Any) -> Result:
            self._most -= 1
            if self._most < 0:
                raise KeyboardInterrupt
            return function(*given)

        return super().map(counted, arguments, report)


def test_a_build_that_stops_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = built(tmp_path / "whole", slice_documents=20)
    expected = contents(tmp_path / "whole", whole)
    calls: list[Path] = []
    real = lsr.index.collection.build.build_collection

    def counting(documents: Any, target: Path, **more: Any) -> Any:
        calls.append(target)
        return real(documents, target, **more)

    monkeypatch.setattr(lsr.backend.build, "build_collection", counting)
    for most in (0, 2, 5, 6):
        with pytest.raises(KeyboardInterrupt):
            built(tmp_path / "x", slice_documents=20, tasks=Stopping(most))
        assert not (tmp_path / "x" / SHARDS).exists()
    made = built(tmp_path / "x", slice_documents=20)
    assert len(calls) == 3  # each shard once: what was whole was taken
    assert contents(tmp_path / "x", made) == expected
    assert not (tmp_path / "x" / ".build").exists()


def test_one_build_at_a_time(tmp_path: Path) -> None:
    class Second(LocalTasks):
        def map(self, *given: Any) -> Any:
            with pytest.raises(StorageError, match="another build of .* is at work"):
                built(tmp_path / "x")
            return super().map(*given)

    built(tmp_path / "x", tasks=Second())


def test_it_replaces_what_is_there(tmp_path: Path) -> None:
    first = built(tmp_path / "x")
    reader = open_sharded(tmp_path / "x")
    second = build_sharded(DOCUMENTS[:40], tmp_path / "x", 2, sparse=Bm25Encoder())
    assert (first.generation, second.generation) == (1, 2)
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == sorted(
        [SHARDS, *(each.folder for each in second.shards)]
    )
    assert len(reader.search("heron").hits) == 10  # open still
    reader.close()
    assert open_sharded(tmp_path / "x").n_documents == 40


def test_what_cannot_be_built(tmp_path: Path) -> None:
    for n in (0, 1_025):
        with pytest.raises(InputError, match=f"{n} shards were asked for; give from 1 to 1,024"):
            built(tmp_path / "x", n)
    with pytest.raises(InputError, match="birds holds no documents"):
        build_sharded([], tmp_path / "x", 2, sparse=Bm25Encoder(), source="birds")
    assert not (tmp_path / "x").exists()
    twice = [*DOCUMENTS, DOCUMENTS[3]]
    with pytest.raises(InputError, match=r"d03"):
        build_sharded(twice, tmp_path / "x", 2, sparse=Bm25Encoder())
    assert not (tmp_path / "x" / SHARDS).exists()
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        built(tmp_path / "file")
    with pytest.raises(InputError, match="holds other files: file"):
        built(tmp_path)
    done("index", "build", _lines(tmp_path), tmp_path / "one", "--sparse", "bm25")
    with pytest.raises(InputError, match="an index that is not sharded"):
        built(tmp_path / "one")


def test_shards_that_are_not_what_they_should_be(tmp_path: Path) -> None:
    made = built(tmp_path / "x")
    folders = [tmp_path / "x" / each.folder for each in made.shards]
    shutil.move(folders[1], tmp_path / "away")
    with pytest.raises(IndexMissingError, match=r"shard 1 of 3 .* is missing; restore"):
        open_sharded(tmp_path / "x")
    shutil.copytree(folders[0], folders[1])
    with pytest.raises(IndexCorruptError, match=r"shard 1 of 3 .* is not the one"):
        open_sharded(tmp_path / "x")
    file = tmp_path / "x" / SHARDS
    good = file.read_text("utf-8")
    for content in ("", "{}", good.replace("shard-2", "shard-9"), "[]"):
        file.write_text(content)
        with pytest.raises(IndexCorruptError, match="is damaged"):
            open_sharded(tmp_path / "x")
    file.write_text(signed({"kind": "shards", "format_version": 2}))
    with pytest.raises(IndexVersionError, match="format 2 and this lsr reads 1"):
        open_sharded(tmp_path / "x")
    with pytest.raises(IndexMissingError, match="no sharded index"):
        open_sharded(folders[0])


def test_shards_of_different_encoders(tmp_path: Path) -> None:
    built(tmp_path / "x")
    other = build_sharded(DOCUMENTS[:50], tmp_path / "y", 3, sparse=Bm25Encoder())
    one = ShardsFile.read(tmp_path / "x")
    first = tmp_path / "x" / one.shards[0].folder
    mixed = [CollectionShard.open(first)]
    mixed.append(CollectionShard.open(tmp_path / "y" / other.shards[1].folder))
    encoder = load_encoder(first, Manifest.read(first))
    with pytest.raises(IndexVersionError, match="shards 0 and 1 of z were made with different"):
        ShardedCollection("z", LocalShards(mixed), encoder)
    with pytest.raises(IndexVersionError, match="made with another bm25, or other statistics"):
        ShardedCollection("z", LocalShards(mixed[1:]), encoder)


class Failing(LocalShards):
    """Shards of which some do not answer."""

    down: frozenset[int] = frozenset()

    def call(self, method: str, arguments: Mapping[int, Sequence[Any]]) -> Called:
        up = {number: given for number, given in arguments.items() if number not in self.down}
        called = super().call(method, up)
        lost = {number: OSError("lost") for number in arguments if number in self.down}
        return Called(called.answers, called.failures | lost)


@pytest.mark.parametrize("mode", ["sparse", "dense", "hybrid"])
def test_a_shard_that_does_not_answer(tmp_path: Path, mode: str) -> None:
    made = built(tmp_path / "x", dense=Topics)
    folders = [tmp_path / "x" / each.folder for each in made.shards]
    shards = Failing([CollectionShard.open(folder) for folder in folders])
    encoder = load_encoder(folders[0], Manifest.read(folders[0]))
    collection = ShardedCollection("x", shards, encoder, Topics)
    everything = collection.search("heron river", k=70, plan=plan_from({"mode": mode}))
    shards.down = frozenset({1})
    with pytest.raises(ShardsMissingError, match=r"1 of 3 shards did not answer \(shard 1: lost\)"):
        collection.search("heron river", plan=plan_from({"mode": mode}))
    partial = plan_from({"mode": mode, "allow_partial": True})
    answer = collection.search("heron river", k=70, plan=partial)
    assert answer.shards is not None
    assert (answer.shards.total, answer.shards.ok) == (3, 2)
    assert [notice.code for notice in answer.warnings] == ["shards_missing"]
    expected = [each.document for each in everything.hits if shard_of(each.document.doc_id, 3) != 1]
    assert {hit.document.doc_id for hit in answer.hits} == {each.doc_id for each in expected}
    shards.down = frozenset({0, 1, 2})
    with pytest.raises(ShardsMissingError, match="3 of 3"):
        collection.search("heron river", plan=partial)
    shards.down = frozenset({shard_of("d05", 3)})
    with pytest.raises(ShardsMissingError):
        collection.document("d05")
    with pytest.raises(NotFoundError):
        collection.document(
            next(f"n{i}" for i in range(9) if shard_of(f"n{i}", 3) not in shards.down)
        )
    collection.close()


def test_queries_are_checked(tmp_path: Path) -> None:
    built(tmp_path / "x")
    collection = open_sharded(tmp_path / "x")
    for given in ({"text": " "}, {"text": "a", "where": {"colour": "red"}}, {"text": "a", "k": 0}):
        arguments: dict[str, Any] = given
        with pytest.raises(QueryError):
            collection.search(**arguments)
    with pytest.raises(QueryError, match="no dense vectors"):
        collection.search("a", mode="dense")
    collection.close()


def _lines(folder: Path) -> Path:
    path = folder / "birds.jsonl"
    lines = [{"_id": each.doc_id, "title": each.title, "text": each.text} for each in DOCUMENTS]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_at_the_terminal(tmp_path: Path) -> None:
    lines, target = _lines(tmp_path), tmp_path / "x"
    told = done("index", "build", lines, target, "--sparse", "bm25", "--shards", 3)
    assert "70 documents in 3 shards" in told
    done("index", "build", lines, tmp_path / "one", "--sparse", "bm25")
    query = ("heron river", "--json", "-k", "5")
    found, expected = (
        json.loads(done("search", each, *query)) for each in (target, tmp_path / "one")
    )
    assert found["hits"] == expected["hits"]
    assert found["shards"] == {"total": 3, "ok": 3}
    assert "n_documents    70" in done("index", "info", target)
    described = json.loads(done("index", "info", target, "--json"))
    assert sum(each["n_documents"] for each in described["shards"]) == 70
    assert "--count" not in refused("search", target, "heron", "--filter", "year=2000")
    assert "is sharded, and count" in refused("search", target, "heron", "--count")
    assert "is a sharded index" in refused("index", "add", target, lines)
    for option in (["--passages", "64"], ["--blocks", "always"], ["--threads", "1"]):
        told = refused("index", "build", lines, target, "--sparse", "bm25", "--shards", 2, *option)
        assert f"{option[0]} does not go with --shards" in told
    assert isinstance(open_collection(tmp_path / "one"), CollectionReader)
    assert isinstance(open_collection(target), ShardedCollection)
