"""Building: the whole index is the twins', the same for any threads, bounded and interruptible."""

from __future__ import annotations

import re
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.errors import InputError
from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.config import (
    Blocking,
    BuildConfig,
    ClusteredBlocks,
    EnergySummary,
    FixedBlocks,
    GlobalPruning,
    NoPruning,
    StoredValues,
    Summary,
)
from lsr.index.blocks.layout import ALIGNMENT, ARRAYS
from lsr.index.blocks.scan_lists import WINDOW
from lsr.index.indexer import block_builder as module
from lsr.index.indexer.block_builder import build_blocks, typical_config
from lsr.sparse import CSR
from tests.naive import blocks as naiveblocks
from tests.naive import exact as naive
from tests.naive.visits import Opened
from tests.support.block_indexes import brief, collections, configs, random_collection

# hashes wrap around; where kernels are not compiled, NumPy says so, in threads too
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in scalar:RuntimeWarning")


STAGES = ["forward index", "blocks", "summaries", "exact lists", "pack"]


def block_options(blocking: Blocking) -> tuple[float, int, int]:
    """Fraction, smallest cluster and size."""
    if isinstance(blocking, FixedBlocks):
        return 0.0, 0, blocking.size
    fraction = blocking.centroid_fraction
    return fraction, blocking.min_cluster_size, max(1, round(1 / fraction)) if fraction else 4_096


def kept(summary: Summary, maxima: dict[int, int]) -> dict[int, int]:
    if isinstance(summary, EnergySummary):
        return naiveblocks.summarise(maxima, summary.fraction, 10**9)
    return naiveblocks.summarise(maxima, 1.0, summary.n_terms)


@brief
@given(collections(max_rows=60), configs())
def test_an_index_is_what_the_twins_make(documents: CSR, config: BuildConfig) -> None:
    """Pruning, blocks, summaries and their order, and the samples of them, all together."""
    index = build_blocks(documents, config)
    opened = Opened(index)
    length = int(index.stats()["head_length"])
    vectors = naiveblocks.lay_out(documents, length, index.scale)
    cut = config.blocking.doc_cut if isinstance(config.blocking, ClusteredBlocks) else 1
    used = sorted(set(documents.terms.tolist()))
    pruned = naiveblocks.prune(documents, config.pruning) if documents.n_terms < 100 else None
    for term in used:
        found = [opened.blocks[block] for block in opened.list_blocks(term)]
        postings = {row for block in found for row in block}
        assert sum(map(len, found)) == len(postings)
        column = {r: w[term] for r, w in enumerate(naive.rows_of(documents)) if term in w}
        if pruned is not None:
            assert postings == set(pruned[term])
        here = {row: column[row] for row in sorted(postings)}
        options = block_options(config.blocking)
        if here:
            expected = naiveblocks.block_list(
                *(here, vectors, term, config.seed, *options, min(cut, length))
            )
            assert found == expected
    for block, rows in enumerate(opened.blocks):
        maxima = naiveblocks.maxima([vectors[row] for row in rows])
        assert opened.summaries[block] == kept(config.summary, maxima)
    assert index.n_blocks == sum(len(opened.list_blocks(term)) for term in used)
    assert index.n_postings == sum(map(len, opened.blocks))
    check_samples(index)


def check_samples(index: BlockIndex) -> None:
    """Entries ascend in each group; of every 32nd the component is a sample."""
    entries, begins = index.array("entries"), index.array("group_entries").tolist()
    samples, sample_begins = index.array("samples"), index.array("group_samples").tolist()
    assert begins[-1] == len(entries)
    assert sample_begins[-1] == len(samples)
    for group in range(len(begins) - 1):
        part = entries[begins[group] : begins[group + 1]].astype(np.uint64)
        assert (np.diff(part.astype(np.int64)) > 0).all()
        found = samples[sample_begins[group] : sample_begins[group + 1]]
        assert found.tolist() == (part[::32] >> np.uint64(16)).tolist()


def sizeable(n: int = 300) -> CSR:
    return random_collection(6, [0, 5, 12, 30] * (n // 4), 80, "any", n_pool=80)


@pytest.mark.parametrize("n_terms", [80, 70_000])
@pytest.mark.parametrize("values", ["u16", "f32"])
def test_the_same_bytes_for_any_threads_and_shares(
    n_terms: int, values: StoredValues, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = random_collection(6, [0, 5, 12, 30] * 75, n_terms, n_pool=80)
    config = BuildConfig(GlobalPruning(30) if n_terms == 80 else NoPruning(), values=values)
    index = build_blocks(documents, config)
    assert max(index.array("list_groups")) > 40
    for n_threads in (1, 2, 3):
        for n_postings in (1 << 17, 1_000, 37):
            monkeypatch.setattr(module, "PART_POSTINGS", n_postings)
            again = build_blocks(documents, config, n_threads=n_threads)
            assert np.array_equal(again.layout, index.layout)
            assert again.blob.tobytes() == index.blob.tobytes()


def test_windows_of_exact_search_are_the_same_for_any_threads() -> None:
    n = 2 * WINDOW + 5
    rng = np.random.default_rng(1)
    documents = CSR(
        np.arange(0, 2 * n + 1, 2),
        (rng.integers(0, 3, (n, 2)) + np.array([0, 3])).astype(np.int32).ravel(),
        rng.random(2 * n).astype(np.float32) + np.float32(0.1),
        6,
    )
    config = BuildConfig(GlobalPruning(100), FixedBlocks(20))
    told: list[tuple[str, int, int | None]] = []
    made = [
        build_blocks(documents, config, n_threads=n_threads, progress=lambda *a: told.append(a))
        for n_threads in (1, 2)
    ]
    assert made[0].blob.tobytes() == made[1].blob.tobytes()
    assert [a for a in told if a[0] == "exact lists"] == [
        ("exact lists", i, 3) for i in (1, 2, 3)
    ] * 2
    starts = made[0].array("scan_starts")
    assert len(starts) == 3 * 6 + 1
    assert starts[[6, 12, 18]].tolist() == [2 * WINDOW, 4 * WINDOW, 2 * n]
    assert made[0].array("scan_lengths").tolist() == np.bincount(documents.terms).tolist()


def test_gaps_between_parts_are_zero() -> None:
    """Memory that was used before does not get into the index."""
    junk = [np.full(1 << 15, 255, np.uint8) for _ in range(50)]
    del junk
    index = build_blocks(random_collection(1, [3, 20] * 10, 40))
    ends = [*index.layout[2 : 2 * len(ARRAYS) : 2].tolist(), len(index.blob)]
    gaps = [index.blob[index.layout[2 * i + 1] : end] for i, end in enumerate(ends)]
    assert sum(map(len, gaps)) > 0
    assert all(len(gap) < ALIGNMENT and not gap.any() for gap in gaps)
    assert all(begin % ALIGNMENT == 0 for begin in index.layout[: 2 * len(ARRAYS) : 2])
    assert index.blob.ctypes.data % ALIGNMENT == 0


def test_seeds_differ() -> None:
    config = BuildConfig(NoPruning())
    made = {
        build_blocks(sizeable(), BuildConfig(NoPruning(), seed=seed)).blob.tobytes()
        for seed in range(4)
    }
    assert build_blocks(sizeable(), config).blob.tobytes() in made
    assert len(made) > 1


def test_arrays_are_read_only() -> None:
    index = build_blocks(sizeable())
    for array in (index.blob, index.layout, index.array("postings")):
        assert not array.flags.writeable


@pytest.mark.parametrize("n_threads", [1, 2])
def test_progress_is_told(n_threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_POSTINGS", 500)
    told: list[tuple[str, int, int | None]] = []
    build_blocks(
        sizeable(), n_threads=n_threads, progress=lambda *arguments: told.append(arguments)
    )
    stages = list(dict.fromkeys(stage for stage, *_ in told))
    assert stages == STAGES
    for stage in ("blocks", "summaries", "exact lists"):
        done = [n for name, n, _ in told if name == stage]
        totals = {total for name, _, total in told if name == stage}
        assert done == list(range(1, len(done) + 1))
        assert totals == {len(done)}
        assert len(done) > 3 or stage == "exact lists"
    assert [n for name, n, _ in told if name == "exact lists"] == [1]  # one window of documents


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupt_leaves_no_threads(
    stage: str, n_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART_POSTINGS", 50)
    started: list[str] = []
    told = threading.Event()
    for name, of_stage in (("block_lists", "blocks"), ("summarise_lists", "summaries")):
        waits = told if stage == of_stage else None
        monkeypatch.setattr(module, name, counted(getattr(module, name), name, started, waits))

    def interrupt(name: str, done: int, total: int | None) -> None:
        if name == stage and (done > 0 or total is None or name == "forward index"):
            told.set()
            raise KeyboardInterrupt

    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        build_blocks(sizeable(4_000), n_threads=n_threads, progress=interrupt)
    assert set(threading.enumerate()) <= before
    if stage in ("blocks", "summaries"):
        whole = len(started)
        build_blocks(sizeable(4_000))
        name = started[whole - 1]
        assert started[:whole].count(name) < started[whole:].count(name)


def counted(
    function: Any, name: str, started: list[str], waits: threading.Event | None = None
) -> Any:
    """The function, noting its calls; from the tenth on they wait until the first is told."""

    def count(*arguments: Any) -> Any:
        started.append(name)
        if waits is not None and started.count(name) > 10:
            waits.wait(30)
        return function(*arguments)

    return count


def test_a_failure_in_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(module, "summarise_lists", fail)
    before = set(threading.enumerate())
    for n_threads in (1, 2):
        with pytest.raises(MemoryError, match="no room"):
            build_blocks(sizeable(), n_threads=n_threads)
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("values", ["u16", "f32"])
def test_memory_that_does_not_suffice_is_refused(values: StoredValues) -> None:
    """Each message names more than was allowed; allowing what they say ends in an index."""
    documents, config = sizeable(2_000), BuildConfig(values=values)
    allowed, stages = 1_000, []
    while True:
        try:
            index = build_blocks(documents, config, max_memory=allowed)
        except InputError as error:
            needed = re.fullmatch(
                r"building takes ([\d.,]+) MB with the (.*) and max_memory is ([\d.,]+) MB; allow "
                "more, prune more, or build smaller segments",
                str(error),
            )
            assert needed is not None
            stages.append(needed[2])
            assert float(needed[1]) * 1e6 > allowed
            assert float(needed[3]) == pytest.approx(allowed / 1e6, abs=0.051)
            allowed = round(float(needed[1]) * 1e6)
            continue
        break
    assert stages[0] == "documents' vectors"
    assert stages[-1] == "summaries"
    assert len(stages) == len(set(stages))
    assert allowed > len(index.blob)
    assert index.blob.tobytes() == build_blocks(documents, config).blob.tobytes()


def csr(indptr: list[int], terms: list[int], weights: list[float], n_terms: int = 4) -> CSR:
    return CSR(
        np.array(indptr, np.int64),
        np.array(terms, np.int32),
        np.array(weights, np.float32),
        n_terms,
    )


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        (csr([0, 1], [0], [-1.0]), "row 0 has a weight that is zero or negative"),
        (csr([0, 1], [0], [0.0]), "row 0 has a weight that is zero or negative"),
        (csr([0, 0, 1], [0], [np.nan]), "row 1 has a weight that is not a finite number"),
        (csr([0, 1], [0], [np.inf]), "row 0 has a weight that is not a finite number"),
        (csr([0, 1], [4], [1.0]), "row 0 has a term outside 0..3"),
        (csr([0, 1], [-1], [1.0]), "row 0 has a term outside 0..3"),
        (csr([0, 2], [1, 1], [1.0, 1.0]), "row 0 has terms that repeat or do not ascend"),
        (csr([0, 2], [2, 1], [1.0, 1.0]), "row 0 has terms that repeat or do not ascend"),
        (csr([0, 2, 1], [1], [1.0]), "indptr must not decrease"),
        (csr([0, 2], [1], [1.0]), "indptr must run from 0 to 1"),
    ],
)
def test_invalid_vectors_are_refused(documents: CSR, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        build_blocks(documents)


def test_more_documents_than_can_be_numbered_are_refused() -> None:
    class Many:
        n_rows = 2**31

    with pytest.raises(InputError, match="2,147,483,648 documents, and a segment holds"):
        module._refuse_too_many(Many)  # type: ignore[arg-type]


@brief
@given(collections(max_rows=60), configs(), st.booleans())
def test_stats_add_up(documents: CSR, config: BuildConfig, two: bool) -> None:
    index = build_blocks(documents, config, n_threads=1 + two)
    stats = index.stats()
    assert stats["n_documents"] == documents.n_rows
    assert stats["n_terms"] == documents.n_terms
    assert stats["n_summary_entries"] == len(index.array("entries"))
    assert 0 <= len(index.blob) - sum(stats["bytes"].values()) < ALIGNMENT * len(ARRAYS)
    assert stats["bytes"]["postings"] == 4 * index.n_postings


def test_weights_far_above_the_others_are_no_reason_for_coarse_steps() -> None:
    documents = random_collection(5, [20] * 2_000, 100)
    assert typical_config(documents).values == "u16"
    documents.weights[17] = 10_000
    assert typical_config(documents).values == "f32"
    assert typical_config(documents, "u16").values == "u16"
