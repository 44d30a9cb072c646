"""Exact search over coded lists finds what adding up all stored weights finds, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lsr.index.blocks import layout as at
from lsr.index.blocks import scan_lists
from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.config import BuildConfig, GlobalPruning, SearchParams, StoredValues
from lsr.index.blocks.scan_lists import TOP_CODE, WINDOW
from lsr.index.indexer.block_builder import build_blocks
from lsr.index.kernels import scan_search as module
from lsr.index.kernels.scratch import COUNTERS, scratch_bytes
from lsr.index.search.block_searcher import BlockSearcher
from lsr.index.storage.segment import frozen
from lsr.sparse import CSR
from tests.naive.scan import as_stored, exact_hits, exact_scores, known_floors, vectors
from tests.support.block_indexes import brief, compiled, interpreted, likes, pairs

pytestmark = pytest.mark.kernel

Hits = list[list[tuple[int, float]]]

KINDS = ("equal", "few", "any", "outliers", "tiny", "huge")
OURS = ("_add", "_leave_out", "_in_question", "_settle", "scan_lists")
WAYS = ("none", "true", "below", "far", "mixed")


def built(documents: CSR, values: StoredValues = "f32") -> BlockIndex:
    return build_blocks(documents, BuildConfig(GlobalPruning(4), values=values))


def scan(
    index: BlockIndex,
    queries: CSR,
    k: int,
    *,
    allowed: NDArray[np.bool_] | None = None,
    floors: NDArray[np.float32] | None = None,
    ties: NDArray[np.int32] | None = None,
) -> Hits:
    """Hits of each query, in two calls; checks that working memory is left zero."""
    n, n_queries = index.n_documents, queries.n_rows
    order = np.arange(n, dtype=np.int32) if ties is None else ties
    passing = np.zeros(0, np.bool_) if allowed is None else allowed
    least = np.zeros(n_queries, np.float32) if floors is None else floors
    scratch = np.zeros(scratch_bytes(n, index.n_terms), np.uint8)
    rows = np.full((n_queries, k), 99, np.int32)
    scores = np.full((n_queries, k), 99, np.float32)
    for first, last in ((0, n_queries // 3), (n_queries // 3, n_queries)):
        module.scan_lists(
            *(queries.indptr, queries.terms, queries.weights, first, last),
            *(index.blob, index.layout, *likes(index)[::2]),
            *(frozen(order), frozen(np.argsort(order).astype(np.int32))),
            *(frozen(passing), least, scratch, rows, scores),
        )
    assert not scratch[4 * n :].any()
    return pairs(rows, scores)


def questions(rng: np.random.Generator, n_terms: int, kind: str) -> CSR:
    """Short and long queries, with terms beyond the index; one has all terms, one has none."""
    wide = vectors(rng, 6, n_terms + 3, min(n_terms + 3, 20), kind)
    ends = [{}, {n_terms - 1: 0.3}, dict.fromkeys(range(n_terms + 2), 0.3), {n_terms + 1: 1.0}]
    return CSR.concatenate([wide, CSR.from_rows(ends, n_terms + 3)])


@pytest.mark.parametrize("n_threads", [1, 2, 30])
def test_threads_share_the_queries(n_threads: int) -> None:
    """As they are searched for; a mask may be writable."""
    rng = np.random.default_rng(6)
    documents = vectors(rng, 900, 40, 8, "few")
    queries = questions(rng, 40, "few")
    ties = rng.permutation(900).astype(np.int32)
    searcher = BlockSearcher(built(documents), ties)
    scores = exact_scores(documents, queries)
    for kind in ("no", "few", "half"):
        allowed = masks(rng, 900, kind)
        params = SearchParams(k=7, strategy="exact", filter=allowed)
        found = pairs(*searcher.search_batch(queries, params, n_threads=n_threads))
        assert found == exact_hits(scores, 7, ties, allowed)
        clean = slice(4 * 900, -8 * len(COUNTERS))
        assert not any(scratch[clean].any() for scratch in searcher._scratch)


def masks(rng: np.random.Generator, n: int, kind: str) -> NDArray[np.bool_] | None:
    shares = {"none": 0.0, "few": 0.05, "half": 0.5, "all": 1.0}
    if kind not in shares:
        return None
    mask = rng.random(n) < shares[kind]
    mask.flags.writeable = n % 2 == 0
    return mask


@brief
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2, 31, 33, 500, 3_000]),
    st.sampled_from([1, 3, 25, 300]),
    st.sampled_from(KINDS),
    st.sampled_from(["u16", "f32"]),
    st.sampled_from([1, 2, 10, 40, 4_000]),
    st.sampled_from(["no", "none", "few", "half", "all"]),
)
def test_hits_are_exact_whatever_is_known(
    seed: int,
    n: int,
    n_terms: int,
    kind: str,
    values: StoredValues,
    k: int,
    mask: str,
) -> None:
    """Any weights, k, filter and floors; floors that hold change nothing."""
    rng = np.random.default_rng(seed)
    documents = vectors(rng, n, n_terms, 8, kind)
    queries = questions(rng, n_terms, {"equal": "equal", "huge": "few"}.get(kind, "any"))
    index = built(documents, values)
    ties = rng.permutation(n).astype(np.int32)
    allowed = masks(rng, n, mask)
    scores = exact_scores(as_stored(documents, index), queries)
    for size in {k, min(k, n), n}:
        expected = exact_hits(scores, size, ties, allowed)
        for way in WAYS:
            floors = known_floors(scores, size, allowed, way)
            found = scan(index, queries, size, allowed=allowed, floors=floors, ties=ties)
            assert found == expected, way


@pytest.mark.parametrize("kind", ["equal", "few"])
def test_thousands_of_ties(kind: str) -> None:
    """All are in question: they are looked through, and scored, before the end."""
    rng = np.random.default_rng(1)
    n = 4 * module.SPARE
    documents = vectors(rng, n, 6, 3, kind)
    index = built(documents)
    queries = CSR.from_rows([{0: 1.0}, {0: 0.7, 1: 0.3}, dict.fromkeys(range(6), 1.0)], 6)
    scores = exact_scores(documents, queries)
    for ties in (None, rng.permutation(n).astype(np.int32), np.arange(n, dtype=np.int32)[::-1]):
        for k in (1, 7, 1_500, n):
            for mask in ("no", "half"):
                allowed = masks(rng, n, mask)
                expected = exact_hits(scores, k, ties, allowed)
                for way in ("none", "true", "far"):
                    floors = known_floors(scores, k, allowed, way)
                    found = scan(index, queries, k, allowed=allowed, floors=floors, ties=ties)
                    assert found == expected


def test_several_windows_with_ties_across_them() -> None:
    rng = np.random.default_rng(2)
    n = 2 * WINDOW + 77
    documents = vectors(rng, n, 9, 2, "few")
    index = built(documents, "u16")
    queries = CSR.from_rows([{0: 1.0, 3: 0.5}, {1: 2.0}, dict.fromkeys(range(9), 0.1), {8: 1.0}], 9)
    scores = exact_scores(as_stored(documents, index), queries)
    across = np.full(n, n, np.int32)
    first = np.arange(WINDOW - 40, WINDOW + 40)
    across[first] = rng.permutation(80)
    rest = np.setdiff1d(np.arange(n), first)
    across[rest] = np.arange(80, n)
    allowed = np.zeros(n, np.bool_)
    allowed[WINDOW - 300 :] = True
    for mask in (None, allowed):
        for k in (1, 60):
            expected = exact_hits(scores, k, across, mask)
            for way in ("none", "true", "mixed"):
                floors = known_floors(scores, k, mask, way)
                found = scan(index, queries, k, allowed=mask, floors=floors, ties=across)
                assert found == expected
    reaching = {row // WINDOW for row, _ in exact_hits(scores, 60, across)[1]}
    assert reaching == {0, 1}


N_ROUNDED = 16


def rounded(n_better: int, after: int) -> tuple[CSR, CSR]:
    """A document whose codes say much too little, among ones whose codes say too much.

    Row 0 makes the step of each list 1. The last row scores the most of the others: 16 times 1.49,
    which is coded as 1; the others score 15 times 1.51, coded as 2.
    """
    low = dict.fromkeys(range(N_ROUNDED), 1.49)
    high = [
        {term: 1.51 for term in range(N_ROUNDED) if term != row % N_ROUNDED}
        for row in range(n_better)
    ]
    rows = [{term: float(TOP_CODE) for term in range(N_ROUNDED)}, *high, *[{}] * after, low]
    return CSR.from_rows(rows, N_ROUNDED), CSR.from_rows([dict.fromkeys(range(N_ROUNDED), 1.0)])


@pytest.mark.parametrize("n_better", [40, 2 * module.SPARE])
@pytest.mark.parametrize("way", ["none", "true"])
def test_codes_may_be_wrong_by_their_errors(n_better: int, way: str) -> None:
    """Found in spite of its codes: doubts are as large as errors, early and late."""
    documents, queries = rounded(n_better, after=0)
    index = built(documents)
    last = documents.n_rows - 1
    scores = exact_scores(documents, queries)
    assert index.array("scan_codes")[-1] == 1
    allowed = np.arange(last + 1) > 0
    floors = known_floors(scores, 1, allowed, way)
    assert [row for row, _ in scan(index, queries, 1, allowed=allowed, floors=floors)[0]] == [last]
    for k in (2, 5):
        floors = known_floors(scores, k, None, way)
        assert scan(index, queries, k, floors=floors) == exact_hits(scores, k)


def test_codes_may_be_wrong_where_only_floors_say_so() -> None:
    """No other document is in question; a floor that is the true score must not hide it."""
    documents, queries = rounded(1, after=40)
    scores = exact_scores(documents, queries)
    for k in (1, 2, 3):
        floors = known_floors(scores, k, None, "true")
        assert scan(built(documents), queries, k, floors=floors) == exact_hits(scores, k)


def test_query_weights_are_rounded_too() -> None:
    """Two documents have one score; that of one is the smaller by codes."""
    rows: list[dict[int, float]] = [{0: 255.0, 1: 255.0, 2: 255.0}, *[{0: 100.0}, {1: 50.0}] * 20]
    documents = CSR.from_rows(rows, 3)
    others = np.random.default_rng(4).random(60)
    queries = CSR.from_rows([{0: 0.3, 1: 0.6, 2: other} for other in others], 3)
    index = built(documents)
    scores = exact_scores(documents, queries)
    assert (scores[:, 1] == scores[:, 2]).all()
    for order in (np.arange(41, dtype=np.int32), np.arange(41, dtype=np.int32)[::-1]):
        for k in (2, 5):
            assert scan(index, queries, k, ties=order) == exact_hits(scores, k, order)


@pytest.mark.parametrize("n_plain", [100, 2 * module.SPARE])
def test_lists_left_out_count_as_doubt(n_plain: int) -> None:
    """The best document has its last part from a list that is not read."""
    plain: list[dict[int, float]] = [{0: 1.0}] * n_plain
    documents = CSR.from_rows([*plain, *[{1: 0.4}] * 9_000, {0: 0.7, 1: 0.4}], 2)
    index = built(documents)
    queries = CSR.from_rows([{0: 1.0, 1: 1.0}], 2)
    scores = exact_scores(documents, queries)
    for k in (1, 2):
        for way in WAYS:
            floors = known_floors(scores, k, None, way)
            assert scan(index, queries, k, floors=floors) == exact_hits(scores, k), way


@compiled
def test_lists_are_not_read_where_they_cannot_matter() -> None:
    """Codes of the long list are made wrong; with a floor nobody sees it."""
    documents = CSR.from_rows([*[{0: 1.0}] * 50, *[{1: 0.3}] * 900], 2)
    index = built(documents)
    queries = CSR.from_rows([{0: 1.0, 1: 1.0}], 2)
    expected = exact_hits(exact_scores(documents, queries), 3)
    blob = index.blob.copy()
    begin = int(index.layout[2 * at.SCAN_ROWS]) + 2 * 50
    blob[begin : begin + 2 * 900] = 0  # all of them in row 0
    wrong = BlockIndex(blob, index.layout, index.config)
    wrong.blob.flags.writeable = False
    assert scan(wrong, queries, 3, floors=np.array([1.0], np.float32)) == expected
    assert scan(wrong, queries, 3) != expected


@brief
@given(
    st.lists(st.tuples(st.integers(1, 2**20), st.integers(0, 10**6)), max_size=12),
    st.integers(-5, 2**31),
)
def test_what_is_left_out_fits_the_budget(lists: list[tuple[int, int]], budget: int) -> None:
    factors, lengths = (np.array([pair[i] for pair in lists], np.int64) for i in (0, 1))
    for way in (module._leave_out, interpreted(module._leave_out)):
        kept = np.zeros(len(lists), np.bool_)
        left_out = way(factors, lengths, budget, kept)
        assert left_out == int(factors[~kept].sum())
        assert left_out <= max(budget, 0)
        if len(lists) and budget > 0:
            assert (factors[kept] + left_out > budget).all()
    if budget > 0 and len(set(lengths / np.maximum(factors, 1))) == len(lists) > 1:
        longest = int(np.argmax(np.maximum(lengths, 1) / factors))
        assert not kept[longest] or factors[longest] > budget


@brief
@given(st.lists(st.integers(0, 90), min_size=1), st.integers(1, 30), st.integers(0, 40))
def test_documents_in_question(scores: list[int], k: int, doubt: int) -> None:
    for way in (module._in_question, interpreted(module._in_question)):
        pending = np.array([score << 32 | row for row, score in enumerate(scores)], np.uint64)
        n, threshold = way(pending, len(scores), k, np.int64(3), doubt)
        kth = sorted(scores)[-k] if k <= len(scores) else 0
        assert threshold == max(3, kth - doubt)
        expected = sorted((s, row) for row, s in enumerate(scores) if s >= threshold)
        assert [(int(key) >> 32, int(key) & 0xFFFFFFFF) for key in pending[:n]] == expected


@pytest.mark.parametrize("window", [1, 50, 64, 1_000])
def test_as_python_runs_it(window: int) -> None:
    """With small windows, which compiled code does not have."""
    rng = np.random.default_rng(window)
    for kind in KINDS[:5]:
        documents = vectors(rng, 130, 9, 4, kind)
        queries = questions(rng, 9, "few")
        ties = rng.permutation(130).astype(np.int32)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scan_lists, "WINDOW", window)
            patch.setattr(module, "WINDOW", window)
            patch.setattr(module, "SPARE", 8)
            patch.setattr(module, "prefetch", lambda array, place: None)
            for name in ("_count", "_fill"):
                patch.setattr(scan_lists, name, interpreted(getattr(scan_lists, name)))
            for name in OURS:
                patch.setattr(module, name, interpreted(getattr(module, name)))
            index = built(documents)
            scores = exact_scores(documents, queries)
            for k, mask in ((1, "no"), (6, "half"), (130, "no"), (3, "none")):
                allowed = masks(rng, 130, mask)
                expected = exact_hits(scores, k, ties, allowed)
                for way in ("none", "true", "mixed"):
                    floors = known_floors(scores, k, allowed, way)
                    found = scan(index, queries, k, allowed=allowed, floors=floors, ties=ties)
                    assert found == expected, (kind, k, mask, way)


@pytest.mark.parametrize("n", [40, 2 * module.SPARE])
@pytest.mark.parametrize("way", ["none", "below", "true"])
def test_scores_that_are_infinite(n: int, way: str) -> None:
    """Sums that float32 cannot hold are equal, and in the order of ties."""
    documents = CSR.from_rows([{0: 1e38, 1: 1e38}, {0: 3e38}] * (n // 2), 2)
    queries = CSR.from_rows([{0: 100.0, 1: 1.0}, {1: 1.0}], 2)
    scores = exact_scores(documents, queries)
    index = built(documents)
    order = np.argsort(np.arange(n) % 2, kind="stable")[::-1].astype(np.int32)
    for ties in (order, np.argsort(order).astype(np.int32), order[::-1]):
        for k in (1, 7):
            floors = known_floors(scores, k, None, way)
            assert scan(index, queries, k, floors=floors, ties=ties) == exact_hits(scores, k, ties)


def test_scores_that_have_lost_their_bits() -> None:
    """Codes tell documents apart whose scores are the smallest number there is, or none."""
    weights = [float(np.float32(255 * 2.0**-149)), float(np.float32(200 * 2.0**-149))]
    lost = float(np.float32(100 * 2.0**-149))
    documents = CSR.from_rows([{0: weight} for weight in [*weights * 20, lost]], 1)
    queries = CSR.from_rows([{0: 0.004}], 1)
    scores = exact_scores(documents, queries)
    assert set(scores[0].tolist()) == {0.0, 2.0**-149}
    index = built(documents)
    for ties in (np.arange(41, dtype=np.int32), np.arange(41, dtype=np.int32)[::-1]):
        for k in (1, 3, 41):
            for way in WAYS:
                floors = known_floors(scores, k, None, way)
                found = scan(index, queries, k, floors=floors, ties=ties)
                assert found == exact_hits(scores, k, ties)


def test_terms_that_add_next_to_nothing_find_documents() -> None:
    documents = CSR.from_rows([{0: 3.0}, {1: 2.0}, {1: 5.0}, {0: 1.0, 1: 2.0}, {2: 9.0}] * 9, 3)
    queries = CSR.from_rows([{0: 1e9, 1: 1e-9}, {0: 1e-9, 1: 1e9, 2: 1e-20}], 3)
    scores = exact_scores(documents, queries)
    index = built(documents)
    for k in (5, 40, 45):
        expected = exact_hits(scores, k)
        for way in WAYS:
            assert scan(index, queries, k, floors=known_floors(scores, k, None, way)) == expected
    assert len(expected[0]) == 36


def test_nothing_to_find() -> None:
    queries = CSR.from_rows([{0: 1.0, 4: 1.0}, {}], 5)
    for shape in ((0, 0), (0, 5), (3, 0), (3, 5)):
        index = built(CSR.empty(*shape))
        assert scan(index, queries, 2) == [[], []]
        assert scan(index, queries, 2, floors=np.zeros(2, np.float32)) == [[], []]
    assert scan(built(CSR.from_rows([{0: 1.0}])), CSR.empty(0, 5), 2) == []


def test_queries_too_long_for_sums() -> None:
    """Whatever they match is scored in full."""
    rng = np.random.default_rng(9)
    n_terms = module.LONG + 500
    documents = vectors(rng, 60, n_terms, 300, "any")
    query = dict.fromkeys(range(module.LONG + 1), 0.7)
    queries = CSR.from_rows([query, {3: 1.0}, query], n_terms)
    scores = exact_scores(documents, queries)
    index = built(documents)
    for way in ("none", "true"):
        floors = known_floors(scores, 5, None, way)
        found = scan(index, queries, 5, floors=floors)
        assert found == exact_hits(scores, 5, np.arange(60, dtype=np.int32))
