"""Block indexes on disk: what is saved comes back, and damage is found and named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from lsr.errors import IndexCorruptError, IndexVersionError
from lsr.files import checksum
from lsr.index.blocks.block_index import (
    BYTES_FILE,
    FORMAT_VERSION,
    HEADER_FILE,
    BlockIndex,
)
from lsr.index.blocks.config import BuildConfig
from lsr.index.blocks.layout import ALIGNMENT, ARRAYS
from lsr.index.indexer.block_builder import build_blocks
from lsr.sparse import CSR
from tests.support.block_indexes import (
    brief,
    collections,
    configs,
    random_collection,
    random_queries,
    search,
    with_neighbours,
)

FILES = (BYTES_FILE, HEADER_FILE)


def small(n_terms: int = 20) -> BlockIndex:
    index = build_blocks(random_collection(2, [0, 4, 12] * 5, n_terms), BuildConfig(seed=3))
    return with_neighbours(index, np.arange(30, dtype=np.int32).reshape(15, 2) % 15)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The folder of a small index."""
    small().save(tmp_path)
    return tmp_path


def alike(a: BlockIndex, b: BlockIndex) -> bool:
    same = np.array_equal(a.layout, b.layout) and np.array_equal(a.blob, b.blob)
    return same and a.config == b.config and a.stats() == b.stats()


@brief
@given(documents=collections(), config=configs())
def test_what_is_saved_comes_back(
    documents: CSR, config: BuildConfig, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("blocks")
    index = build_blocks(documents, config)
    assert not BlockIndex.exists(folder)
    index.save(folder)
    assert BlockIndex.exists(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    for resident in (False, True):
        for verify in (False, True):
            again = BlockIndex.load(folder, resident=resident, verify=verify)
            assert alike(again, index)
            assert all(np.array_equal(again.array(name), index.array(name)) for name in ARRAYS)
            assert not again.blob.flags.writeable
            assert not again.layout.flags.writeable
            assert again.blob.ctypes.data % ALIGNMENT == 0


@pytest.mark.parametrize("resident", [False, True])
@pytest.mark.parametrize("n_terms", [20, 70_000])
def test_searches_in_what_was_loaded_find_the_same(
    n_terms: int, resident: bool, tmp_path: Path
) -> None:
    documents = random_collection(2, [0, 4, 12] * 20, n_terms)
    index = with_neighbours(
        build_blocks(documents), np.arange(120, dtype=np.int32).reshape(60, 2) % 60
    )
    index.save(tmp_path)
    queries = random_queries(documents, 1)
    found = search(BlockIndex.load(tmp_path, resident=resident), queries, n_knn=2)
    assert found == search(index, queries, n_knn=2)
    assert any(found)


def test_two_saves_are_equal_to_the_byte(saved: Path, tmp_path_factory: Any) -> None:
    other = tmp_path_factory.mktemp("other")
    BlockIndex.load(saved).save(other)
    assert [(saved / name).read_bytes() for name in FILES] == [
        (other / name).read_bytes() for name in FILES
    ]


def flips(content: bytes, n: int, seed: int) -> Iterator[bytes]:
    """The content with one bit another, at `n` random places."""
    rng = np.random.default_rng(seed)
    for place in rng.choice(8 * len(content), min(n, 8 * len(content)), replace=False).tolist():
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        yield bytes(damaged)


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_bit_is_found(name: str, saved: Path) -> None:
    path = saved / name
    content = path.read_bytes()
    for i, damaged in enumerate(flips(content, 1_000, seed=11)):
        path.write_bytes(damaged)
        with pytest.raises((IndexCorruptError, IndexVersionError)) as caught:
            BlockIndex.load(saved, resident=bool(i % 2), verify=True)
        assert str(path) in str(caught.value)
        if isinstance(caught.value, IndexVersionError):
            assert f'"format_version": {FORMAT_VERSION}'.encode() not in damaged
    path.write_bytes(content)
    BlockIndex.load(saved, verify=True)


def test_a_flip_in_the_gap_after_a_part_is_found(saved: Path) -> None:
    index = BlockIndex.load(saved)
    path = saved / BYTES_FILE
    content = path.read_bytes()
    found = 0
    begins = [*index.layout[2 : 2 * len(ARRAYS) : 2].tolist(), len(content)]
    for i, begin in enumerate(begins):
        if index.layout[2 * i + 1] < begin:
            found += 1
            path.write_bytes(content[: begin - 1] + b"\x01" + content[begin:])
            with pytest.raises(IndexCorruptError, match=f"the part '{ARRAYS[i]}' has changed"):
                BlockIndex.load(saved, verify=True)
    assert found > 3


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("resident", [False, True])
def test_files_cut_short_or_lengthened_are_found(name: str, resident: bool, saved: Path) -> None:
    """Also without a look at every byte."""
    path = saved / name
    content = path.read_bytes()
    lengths = {0, 1, len(content) // 2, len(content) - 64, len(content) - 2}
    for damaged in [content[:n] for n in lengths] + [content + b"x", content + content]:
        path.write_bytes(damaged)
        with pytest.raises(IndexCorruptError, match="restore it from a copy|build it again") as e:
            BlockIndex.load(saved, resident=resident)
        assert str(path) in str(e.value)


@pytest.mark.parametrize("name", FILES)
def test_missing_files_are_named(name: str, saved: Path) -> None:
    (saved / name).unlink()
    with pytest.raises(IndexCorruptError, match=f"{name} cannot be read"):
        BlockIndex.load(saved)
    (saved / name).mkdir()
    with pytest.raises(IndexCorruptError, match=f"{name} cannot be read"):
        BlockIndex.load(saved)


@pytest.mark.parametrize("content", ["", "{}", "[]", "3", "null", '{"checksum": 1}', "\xff", "{"])
def test_headers_that_are_none(content: str, saved: Path) -> None:
    (saved / HEADER_FILE).write_bytes(content.encode("latin-1"))
    with pytest.raises(IndexCorruptError, match=f"{HEADER_FILE} cannot be read"):
        BlockIndex.load(saved)


def rewrite(folder: Path, **changes: Any) -> None:
    """Change the header and its checksum with it."""
    path = folder / HEADER_FILE
    header = json.loads(path.read_text("utf-8"))
    del header["checksum"]
    header |= changes
    path.write_text(json.dumps({**header, "checksum": checksum(header)}), encoding="utf-8")


@pytest.mark.parametrize("version", [0, FORMAT_VERSION + 1, 99])
def test_other_versions_are_refused_and_named(version: int, saved: Path) -> None:
    rewrite(saved, format_version=version)
    with pytest.raises(IndexVersionError, match=f"block format {version} and this lsr reads"):
        BlockIndex.load(saved)


def test_a_version_of_another_checksum_is_still_named(saved: Path) -> None:
    path = saved / HEADER_FILE
    header = json.loads(path.read_text("utf-8")) | {"format_version": 7, "checksum": "md5:1"}
    path.write_text(json.dumps(header), encoding="utf-8")
    with pytest.raises(IndexVersionError, match="block format 7"):
        BlockIndex.load(saved)


def test_a_change_of_the_header_alone_is_damage(saved: Path) -> None:
    path = saved / HEADER_FILE
    path.write_text(path.read_text("utf-8").replace('"seed": 3', '"seed": 4'), encoding="utf-8")
    with pytest.raises(IndexCorruptError, match=f"{HEADER_FILE} is damaged"):
        BlockIndex.load(saved)


def test_stats_and_properties() -> None:
    index = small()
    assert (index.n_documents, index.n_terms, index.n_neighbours) == (15, 20, 2)
    stats = index.stats()
    assert stats["n_postings"] == index.n_postings == index.array("block_postings")[-1]
    assert stats["n_blocks"] == index.n_blocks > 0
    assert stats["bytes"].keys() == set(ARRAYS)
    assert sum(stats["bytes"].values()) <= len(index.blob)
