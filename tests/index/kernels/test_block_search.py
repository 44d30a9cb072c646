"""Block search: its twin's hits; exact where nothing is skipped; honest about what it returns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lsr.index.blocks import layout as at
from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.config import (
    BuildConfig,
    ClusteredBlocks,
    EnergySummary,
    FixedBlocks,
    GlobalPruning,
    NoPruning,
    StoredValues,
)
from lsr.index.blocks.forward_index import stored_weights
from lsr.index.indexer.block_builder import build_blocks
from lsr.index.kernels import block_search as module
from lsr.index.kernels.block_scores import put_hits, room_for_places
from lsr.index.kernels.block_search import _visit_neighbours, search_blocks
from lsr.index.kernels.scratch import clear_query, put_query, scratch_bytes, scratch_parts
from lsr.index.kernels.sparse_dot import FEW_TERMS, LANES
from lsr.sparse import CSR
from tests.naive import exact as naive
from tests.naive import visits as naivevisits
from tests.naive.visits import Opened
from tests.support.block_indexes import (
    NARROW,
    WIDE,
    brief,
    collections,
    compiled,
    configs,
    interpreted,
    random_collection,
    random_queries,
    search,
    with_neighbours,
)

pytestmark = pytest.mark.kernel

overflows = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
Hits = list[list[tuple[int, float]]]
KERNELS = (
    *(search_blocks, _visit_neighbours, put_hits, room_for_places),
    *(clear_query, put_query, scratch_parts),
)

each_type = pytest.mark.parametrize(
    ("widths", "values"), [(NARROW, "u16"), (NARROW, "f32"), (WIDE, "u16"), (WIDE, "f32")]
)
"""One by one, as each compiles all kernels anew."""

EXACTLY: dict[str, Any] = {"query_cut": 1_000, "heap_factor": 0.0}


def exact(
    queries: CSR, documents: CSR, ties: list[int], k: int, allowed: NDArray[np.bool_] | None = None
) -> Hits:
    doc_ids = [f"{tie:06}" for tie in ties]
    return [
        [(row, float(score)) for row, score in hits]
        for hits in naive.scan_batch(queries, documents, doc_ids, k, allowed)
    ]


@st.composite
def masks(draw: st.DrawFn, n: int) -> NDArray[np.bool_] | None:
    if draw(st.booleans()):
        return None
    return np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), np.bool_)


@each_type
@brief
@given(st.integers(0, 99), st.data())
def test_search_is_the_twin(
    widths: tuple[int, ...], values: StoredValues, seed: int, data: st.DataObject
) -> None:
    documents = data.draw(collections(max_rows=40, widths=widths, long=data.draw(st.booleans())))
    config = data.draw(configs(values=values))
    n = documents.n_rows
    rng = np.random.default_rng(seed)
    n_neighbours = data.draw(st.integers(0, 3))
    index = with_neighbours(
        build_blocks(documents, config),
        rng.integers(0, max(n, 1), (n, n_neighbours)).astype(np.int32),
    )
    kind = data.draw(st.sampled_from(["few", "any"]))
    queries = random_queries(documents, seed, kind=kind, most=20)
    k = data.draw(st.sampled_from([1, 3, 60]))
    query_cut = data.draw(st.sampled_from([1, 2, 2**31 - 1]))
    heap_factor = data.draw(st.sampled_from([0.0, 0.7, 0.9, 1.0, 2.0]))
    n_knn = data.draw(st.sampled_from([0, 1, 255]))
    allowed = data.draw(masks(n))
    ties = np.array(data.draw(st.permutations(range(n))), np.int32)
    blocked = [] if allowed is None else np.flatnonzero(~allowed).tolist()
    opened = Opened(index)
    expected = [
        naivevisits.search(
            *(opened, queries.row(i), index.n_terms, k, query_cut, heap_factor, n_knn),
            *(blocked, ties.tolist()),
        )
        for i in range(queries.n_rows)
    ]

    def found() -> Hits:
        return search(
            *(index, queries, k),
            query_cut=query_cut,
            heap_factor=heap_factor,
            n_knn=n_knn,
            allowed=allowed,
            tie_order=ties,
            kernel=module.search_blocks,
        )

    assert found() == expected
    with pytest.MonkeyPatch.context() as patch:
        for kernel in KERNELS:
            patch.setattr(module, kernel.__name__, interpreted(kernel))
        assert found() == expected


@pytest.mark.parametrize("n_query", [1, FEW_TERMS, FEW_TERMS + 1, 40])
@pytest.mark.parametrize("n_entries", [30, 70])
@pytest.mark.parametrize("n_terms", [120, 70_000])
def test_queries_of_any_length(n_terms: int, n_entries: int, n_query: int) -> None:
    """Heads are looked up or compared, as the query is long or short."""
    documents = random_collection(3, [n_entries] * 150, n_terms, n_pool=120)
    index = build_blocks(documents, BuildConfig(NoPruning(), FixedBlocks(4)))
    assert (int(index.layout[at.HEAD_LENGTH]) % LANES == 0) == (n_entries == 70)
    rng = np.random.default_rng(n_query)
    pool = np.unique(documents.terms)
    rows = [
        dict.fromkeys(rng.choice(pool, n_query, replace=False).tolist(), 1.0)
        | {n_terms + unknown: 9.0 for unknown in range(3)}
        for _ in range(5)
    ]
    queries = CSR.from_rows(rows, n_terms + 3)
    opened = Opened(index)
    for heap_factor in (0.0, 0.8, 1.0):
        knobs = {"query_cut": 6, "heap_factor": heap_factor}
        assert search(index, queries, 5, **knobs) == [  # type: ignore[arg-type]
            naivevisits.search(opened, queries.row(i), n_terms, 5, **knobs)  # type: ignore[arg-type]
            for i in range(5)
        ]


@overflows
@brief
@given(collections(max_rows=60) | collections(long=True), st.integers(0, 99), st.data())
def test_nothing_pruned_or_skipped_is_exact_search(
    documents: CSR, seed: int, data: st.DataObject
) -> None:
    """To the bit, ties included, whatever the blocks and summaries."""
    n = documents.n_rows
    config = data.draw(configs(pruning=NoPruning(), values="f32"))
    index = build_blocks(documents, config)
    queries = random_queries(documents, seed, kind=data.draw(st.sampled_from(["few", "any"])))
    ties = data.draw(st.permutations(range(n)))
    k = data.draw(st.sampled_from([1, 2, 10, 100]))
    allowed = data.draw(masks(n))
    found = search(
        index, queries, k, allowed=allowed, tie_order=np.array(ties, np.int32), **EXACTLY
    )
    assert found == exact(queries, documents, ties, k, allowed)


@compiled
@pytest.mark.parametrize("n_terms", [50, 70_000])
@pytest.mark.parametrize("k", [1, 10, 400, 1_100])
def test_many_documents_exactly(n_terms: int, k: int) -> None:
    """Lists of several groups, clustered; more documents than there is room for candidates."""
    documents = random_collection(7, [9] * 1_000, n_terms, "few", n_pool=9)
    config = BuildConfig(NoPruning(), ClusteredBlocks(0.5, 0), EnergySummary(0.25), "f32")
    queries = random_queries(documents, 2, n=2, kind="few")
    ties = np.random.default_rng(1).permutation(1_000).astype(np.int32)
    found = search(build_blocks(documents, config), queries, k, tie_order=ties, **EXACTLY)
    assert found == exact(queries, documents, ties.tolist(), k)


@pytest.mark.parametrize("k", [1, 7])
def test_weights_that_codes_do_not_tell_apart(k: int) -> None:
    """With nothing skipped, all are told apart by their stored weights."""
    documents = CSR.from_rows([{0: 1 - i * 1e-5} for i in range(200)])
    config = BuildConfig(NoPruning(), FixedBlocks(3), EnergySummary(1.0), "f32")
    index = build_blocks(documents, config)
    assert len({entry.code for (entry,), _ in Opened(index).vectors}) < 3
    found = search(index, CSR.from_rows([{0: 1.0}]), k, **EXACTLY)
    assert [row for row, _ in found[0]] == list(range(k))


@pytest.mark.parametrize("k", [1, 4, 7, 60])
def test_few_more_than_asked_for_are_scored_by_their_stored_weights(k: int) -> None:
    """Where codes do not tell documents apart, no others can be hits, however good they are."""
    rng = np.random.default_rng(1)
    documents = CSR.from_rows([{0: 1 - i * 1e-5} for i in rng.permutation(200).tolist()])
    config = BuildConfig(NoPruning(), FixedBlocks(3), EnergySummary(1.0), "f32")
    index = build_blocks(documents, config)
    opened = Opened(index)
    assert len({entry.code for (entry,), _ in opened.vectors}) < 3
    queries = CSR.from_rows([{0: 1.0}])
    found = search(index, queries, k, heap_factor=0.5)
    assert found == [naivevisits.search(opened, queries.row(0), 1, k, 8, 0.5)]
    assert found != search(index, queries, k, **EXACTLY)


def typical(values: StoredValues = "u16") -> tuple[CSR, BlockIndex, CSR]:
    """Documents, their index by strategies of the default kinds, and queries."""
    documents = random_collection(8, [0, 3, 9, 20] * 100, 200, "capped", n_pool=200)
    config = BuildConfig(GlobalPruning(20, 2.0), ClusteredBlocks(0.2), values=values)
    queries = random_queries(documents, 4, n=12, kind="any")
    return documents, build_blocks(documents, config), queries


@pytest.mark.parametrize("values", ["u16", "f32"])
@pytest.mark.parametrize("n_knn", [0, 2])
def test_returned_scores_are_exact_and_in_order(values: StoredValues, n_knn: int) -> None:
    documents, index, queries = typical(values)
    if values == "u16":
        documents = documents._replace(weights=stored_weights(documents.weights, index.scale))
    ties = np.random.default_rng(2).permutation(400).astype(np.int32)
    rows = np.random.default_rng(3).integers(0, 400, (400, 3)).astype(np.int32)
    hits = search(with_neighbours(index, rows), queries, tie_order=ties, n_knn=n_knn)
    assert sum(map(len, hits)) > 80
    for line, scores in zip(
        hits, naive.score_rows(queries, documents, list(range(400))), strict=True
    ):
        assert [score for _, score in line] == [float(scores[row]) for row, _ in line]
        assert line == sorted(line, key=lambda hit: (-hit[1], ties[hit[0]]))
        assert len({row for row, _ in line}) == len(line)


def test_most_of_the_best_are_found() -> None:
    """Knobs that skip blocks find nearly what exact search finds; looser ones no less."""
    documents, index, queries = typical("f32")
    best = exact(queries, documents, list(range(400)), 10)

    def recall(**knobs: float) -> float:
        found = search(index, queries, 10, **knobs)  # type: ignore[arg-type]
        pairs = zip(found, best, strict=True)
        return sum(len(set(a) & set(b)) for a, b in pairs) / sum(map(len, best))

    assert recall(query_cut=20, heap_factor=0.7) > 0.85
    assert recall(query_cut=1, heap_factor=1.0) < recall(query_cut=20, heap_factor=0.5)


@pytest.mark.parametrize("n_knn", [0, 3])
def test_searches_leave_no_trace(n_knn: int) -> None:
    """A query finds the same again: after itself, after a filter, after all the others."""
    _, index, queries = typical()
    index = with_neighbours(index, np.arange(1_200, dtype=np.int32).reshape(400, 3) % 400)
    scratch = np.zeros(scratch_bytes(index.n_documents, index.n_terms), np.uint8)
    fresh = search(index, queries, n_knn=n_knn)
    for allowed in (None, np.arange(400) % 3 > 0, np.zeros(400, np.bool_), None):
        expected = search(index, queries, n_knn=n_knn, allowed=allowed)
        for _ in range(2):
            found = search(index, queries, n_knn=n_knn, allowed=allowed, scratch=scratch)
            assert found == expected
    assert expected == fresh


@pytest.mark.parametrize("heap_factor", [0.0, 0.9])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_blocked_rows_are_never_returned(share: float, heap_factor: float) -> None:
    _, index, queries = typical()
    index = with_neighbours(index, np.arange(800, dtype=np.int32)[::-1].reshape(400, 2) % 400)
    allowed = np.random.default_rng(5).random(400) < share
    hits = search(index, queries, 400, heap_factor=heap_factor, n_knn=2, allowed=allowed)
    assert all(allowed[row] for line in hits for row, _ in line)
    assert any(hits) == (share > 0)


@pytest.mark.parametrize("heap_factor", [0.0, 0.9, 1.5])
def test_neighbours_only_add(heap_factor: float) -> None:
    """At every place stands a hit as good as without them, or better; all of them stay in reach."""
    documents, index, queries = typical("f32")
    knobs = {"query_cut": 1, "heap_factor": heap_factor}
    without = search(index, queries, 10, **knobs)  # type: ignore[arg-type]
    best = exact(documents, documents, list(range(400)), 4)
    near = [[row for row, _ in line] + [i] * (4 - len(line)) for i, line in enumerate(best)]
    index = with_neighbours(index, np.array(near, np.int32))
    assert search(index, queries, 10, **knobs) == without  # type: ignore[arg-type]
    gained = 0.0
    for before, after in zip(without, search(index, queries, 10, n_knn=4, **knobs), strict=True):  # type: ignore[arg-type]
        assert len(after) >= len(before)
        for old, new in zip(before, after, strict=False):
            assert new[1] >= old[1]
            gained += new[1] - old[1]
        assert set(before) - set(after) == set() or len(after) == 10
    assert gained > 0


def test_unknown_terms_are_ignored() -> None:
    documents, index, queries = typical()
    known = CSR.from_rows(
        [
            {term: float(weight) for term, weight in row.items() if term < documents.n_terms}
            for row in naive.rows_of(queries)
        ],
        documents.n_terms,
    )
    assert known.nnz < queries.nnz
    assert search(index, queries, **EXACTLY) == search(index, known, **EXACTLY)
    far = CSR.from_rows([{200: 1.0}, {2**31 - 2: 1.0}, {7: 1.0, 2**31 - 2: 9.0}])
    assert search(index, far)[:2] == [[], []]
    assert [row for row, _ in search(index, far)[2]] == [
        row for row, _ in search(index, CSR.from_rows([{7: 1.0}]))[0]
    ]


@pytest.mark.parametrize("k", [1, 10, 700])
def test_a_batch_is_its_queries_one_by_one(k: int) -> None:
    _, index, queries = typical()
    one_by_one = [search(index, queries.take([i]), k)[0] for i in range(queries.n_rows)]
    assert search(index, queries, k) == one_by_one
    assert one_by_one[-1] == []
    assert all(len(hits) <= 400 for hits in one_by_one)


def test_only_its_queries_are_written() -> None:
    _, index, queries = typical()
    expected = search(index, queries, 3)

    def part(*arguments: object) -> None:
        first = (*arguments[:3], 2, 4)
        search_blocks(*first, *arguments[5:])
        rows, scores = arguments[-2:]
        assert isinstance(rows, np.ndarray)
        assert isinstance(scores, np.ndarray)
        assert (np.delete(rows, [2, 3], 0) == 99).all()
        assert (np.delete(scores, [2, 3], 0) == 99).all()
        rows[:2] = rows[4:] = -1
        scores[:2] = scores[4:] = 0

    assert search(index, queries, 3, kernel=part)[2:4] == expected[2:4]


@pytest.mark.parametrize("documents", [CSR.empty(0, 0), CSR.empty(3, 0), CSR.empty(4, 5)])
@pytest.mark.parametrize("heap_factor", [0.0, 0.9])
def test_nothing_to_find(documents: CSR, heap_factor: float) -> None:
    index = build_blocks(documents)
    queries = CSR.from_rows([{0: 1.0, 4: 2.0}, {}])
    assert search(index, queries, 2, heap_factor=heap_factor) == [[], []]
    assert search(index, CSR.empty(0, 5), 2, heap_factor=heap_factor) == []


def test_a_document_that_shares_no_pruned_term_is_not_found_but_by_neighbours() -> None:
    documents = CSR.from_rows([{0: 5.0}, {0: 1.0}, {1: 5.0}])
    config = BuildConfig(GlobalPruning(1, 1.0), FixedBlocks(1), EnergySummary(1.0), "f32")
    index = build_blocks(documents, config)
    query = CSR.from_rows([{0: 1.0}])
    assert search(index, query) == [[(0, 5.0)]]
    index = with_neighbours(index, np.array([[1], [0], [0]], np.int32))
    assert search(index, query, n_knn=1) == [[(0, 5.0), (1, 1.0)]]
