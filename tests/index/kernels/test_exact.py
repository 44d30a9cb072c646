"""The kernels against their twins, and how they are compiled.

Runs three ways in CI: compiled, with NUMBA_DISABLE_JIT=1, and with NUMBA_BOUNDSCHECK=1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.index.kernels.exact import _first_at_least, add_scores, scan_batch, score_rows
from lsr.index.kernels.top_k import LAST_GUESSED_BIT, cutoff, group_peaks, keep_best
from lsr.index.search.exact_searcher import ExactSearcher
from lsr.index.storage.segment import Segment, frozen
from lsr.sparse import CSR
from tests.naive import exact as naive
from tests.support.strategies import doc_id_lists, matrices

pytestmark = pytest.mark.kernel

quick = settings(max_examples=80, deadline=None)
overflows = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="runs without a compiler")

not_negative = st.one_of(
    st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.floats(0, 2.0**127, width=32), st.just(float("inf"))
)


@quick
@given(st.lists(not_negative, min_size=1, max_size=60), st.integers(1, 70))
def test_cutoff_is_reached_by_k_values(numbers: list[float], k: int) -> None:
    bits = np.array(numbers, np.float32).view(np.int32)
    cut = cutoff(bits, k)
    assert cut >= 0
    if cut > 0:
        assert int((bits >= cut).sum()) >= k
    if k > int((bits > 0).sum()):
        assert cut == 0


def test_cutoff_is_close_to_the_kth_largest() -> None:
    bits = np.random.default_rng(1).random(10_000).astype(np.float32).view(np.int32)
    best = np.sort(bits)[::-1]
    for k in (1, 10, 100, 5_000):
        assert 0 <= best[k - 1] - cutoff(bits, k) < 1 << LAST_GUESSED_BIT
    assert cutoff(bits, 10_001) == 0
    assert cutoff(np.zeros(5, np.int32), 1) == 0


@pytest.mark.parametrize("top", [2.0**-149, 1e-40, 1e-36, 3.4e38, np.inf])
def test_cutoff_of_extreme_scores(top: float) -> None:
    bits = np.array([top, 0, top, 0], np.float32).view(np.int32)
    assert 0 <= cutoff(bits, 2) <= bits[0]


@quick
@given(
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50, unique=True),
    st.integers(1, 60),
)
def testkeep_best_is_the_twin(numbers: list[int], k: int) -> None:
    keys = np.array([*numbers, 2**64 - 1], np.uint64)
    n = keep_best(keys, len(numbers), k)
    assert keys[:n].tolist() == naive.keep_best(numbers, k)


@quick
@given(st.lists(st.integers(0, 30)), st.data())
def test_first_at_least_is_searchsorted(numbers: list[int], data: st.DataObject) -> None:
    values = np.array(sorted(numbers), np.int32)
    low = data.draw(st.integers(0, len(values)))
    high = data.draw(st.integers(low, len(values)))
    bound = data.draw(st.integers(0, 31))
    expected = low + int(np.searchsorted(values[low:high], bound))
    assert _first_at_least(values, low, high, bound) == expected


@quick
@given(st.lists(not_negative, min_size=1, max_size=70), st.integers(1, 70))
def test_group_peaks_are_maxima_of_strides(numbers: list[float], n_groups: int) -> None:
    bits = np.array(numbers, np.float32).view(np.int32)
    peaks = np.full(n_groups, 9, np.int32)
    group_peaks(bits, peaks)
    expected = [max(bits[g::n_groups].tolist(), default=0) for g in range(n_groups)]
    assert peaks.tolist() == expected


def test_scan_batch_touches_only_its_queries() -> None:
    documents = CSR.from_rows([{0: 1.0}, {0: 2.0}])
    segment = Segment.build(["a", "b"], documents)
    queries = CSR.from_rows([{0: 1.0}] * 3)
    rows = np.full((3, 2), -1, np.int32)
    scores = np.zeros((3, 2), np.float32)
    scan_batch(
        *(queries.indptr, queries.terms, queries.weights, 1, 2),
        *(segment.list_indptr, segment.list_rows, segment.list_weights, segment.tie_order),
        *(np.array([0, 1], np.int32), np.zeros(0, np.bool_), 1, rows, scores),
    )
    assert rows.tolist() == [[-1, -1], [1, 0], [-1, -1]]
    assert scores.tolist() == [[0, 0], [2, 1], [0, 0]]


@overflows
@quick
@given(st.data())
def test_score_rows_is_the_twin_and_scan_batch_to_the_bit(data: st.DataObject) -> None:
    """Rows in any order, repeated ones too; terms that the lists have not are ignored."""
    documents = data.draw(matrices())
    n = documents.n_rows
    segment = Segment.build(data.draw(doc_id_lists(n)), documents)
    queries = data.draw(matrices(n_terms=documents.n_terms + 3, max_rows=4))
    any_rows = data.draw(st.lists(st.integers(0, n - 1), max_size=30) if n else st.just([]))
    rows = np.array([*range(n), *any_rows], np.int32)
    expected = naive.score_rows(queries, documents, rows.tolist())
    found = ExactSearcher(segment).search_batch(queries, max(n, 1))
    for i in range(queries.n_rows):
        scores = np.full(len(rows), 9, np.float32)
        query = queries.row(i)
        score_rows(
            *(np.array(query.terms), np.array(query.weights), rows),
            *(segment.list_indptr, segment.list_rows, segment.list_weights, scores),
        )
        assert (
            scores.view(np.int32).tolist()
            == np.array(expected[i], np.float32).view(np.int32).tolist()
        )
        by_scan = np.zeros(n, np.float32)
        hits = found.rows[i] >= 0
        by_scan[found.rows[i][hits]] = found.scores[i][hits]
        assert np.array_equal(by_scan[rows].view(np.int32), scores.view(np.int32))


@overflows
@quick
@given(st.data())
def test_add_scores_is_the_twin(data: st.DataObject) -> None:
    documents = data.draw(matrices())
    n = documents.n_rows
    segment = Segment.build([f"{i}" for i in range(n)], documents)
    lists = (segment.list_indptr, segment.list_rows, segment.list_weights)
    queries = data.draw(matrices(n_terms=documents.n_terms + 3, max_rows=4))
    expected = naive.score_rows(queries, documents, list(range(n)))
    for i in range(queries.n_rows):
        query, scores = queries.row(i), np.zeros(n, np.float32)
        assert add_scores(np.array(query.terms), np.array(query.weights), *lists, scores)
        wanted = np.array(expected[i], np.float32)
        assert scores.view(np.int32).tolist() == wanted.view(np.int32).tolist()


def test_add_scores_stays_within_its_rows() -> None:
    """Damaged lists are told of, and nothing is written beyond the scores."""
    terms, weights = np.array([0], np.int32), np.ones(1, np.float32)
    indptr = frozen(np.array([0, 4], np.int64))
    rows = frozen(np.array([1, 2**31 - 1, -1, 0], np.int32))
    scores = np.zeros(2, np.float32)
    assert not add_scores(terms, weights, indptr, rows, frozen(np.ones(4, np.float32)), scores)
    assert scores.tolist() == [1, 1]


@pytest.mark.parametrize("n_documents", [0, 3])
def test_score_rows_of_nothing(n_documents: int) -> None:
    """No rows, no terms, no lists: zeros, whatever stood there before."""
    segment = Segment.build([f"{i}" for i in range(n_documents)], CSR.empty(n_documents, 0))
    lists = (segment.list_indptr, segment.list_rows, segment.list_weights)
    terms, weights = np.array([0, 2**31 - 2], np.int32), np.ones(2, np.float32)
    scores = np.full(n_documents, 9, np.float32)
    score_rows(terms, weights, np.arange(n_documents, dtype=np.int32), *lists, scores)
    assert scores.tolist() == [0] * n_documents
    scores[:] = 9
    score_rows(terms[:0], weights[:0], np.arange(n_documents, dtype=np.int32), *lists, scores)
    assert scores.tolist() == [0] * n_documents
    score_rows(terms, weights, np.zeros(0, np.int32), *lists, np.zeros(0, np.float32))


ONE_PROGRAM = """
import json, sys
import numpy as np
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.reader import CollectionReader
from lsr.index.kernels.exact import scan_batch, score_rows
from lsr.index.search.exact_searcher import ExactSearcher
from lsr.index.storage.segment import Segment
from lsr.sparse import CSR

collection = CollectionReader.open(__import__("pathlib").Path(sys.argv[1]))
collection.warm_up()
after_warm_up = len(scan_batch.signatures) + len(score_rows.signatures)
assert collection.search("fish").hits
assert collection.search("fish", where={"legs": 2}).hits
segment = Segment.build(["a", "b"], CSR.from_rows([{0: 1.0}, {1: 1.0}]))
queries = CSR.from_rows([{0: 1.0}, {0: 2.0, 7: 1.0}])
ExactSearcher(segment).search_batch(queries, 2, np.array([True, False]), n_threads=2)
ExactSearcher(segment).search_batch(queries.row(0).as_matrix(), 1)
rows = np.arange(collection.n_documents, dtype=np.int32)
query = collection.sparse.encode(["grey fish"]).row(0)
assert collection.sparse.score(query, rows).any()
assert collection.sparse.document_weights(query, rows[::-1]).any()
ExactSearcher(segment).score(queries.row(0), rows[:1])
kernels = (scan_batch, score_rows)
print(json.dumps({
    "hits": sum(sum(kernel.stats.cache_hits.values()) for kernel in kernels),
    "misses": sum(sum(kernel.stats.cache_misses.values()) for kernel in kernels),
    "after_warm_up": after_warm_up,
    "signatures": sum(len(kernel.signatures) for kernel in kernels),
}))
"""


@compiled
def test_one_specialisation_and_a_warm_cache(built: Path, tmp_path: Path) -> None:
    """Memory maps and arrays share one compilation; a second process compiles nothing.

    There are two kernels, `scan_batch` and `score_rows`.
    """
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def run() -> dict[str, int]:
        command = [sys.executable, "-c", ONE_PROGRAM, str(built)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        counts: dict[str, int] = json.loads(done.stdout)
        return counts

    first, second = run(), run()
    assert first == {"hits": 0, "misses": 2, "after_warm_up": 2, "signatures": 2}
    assert second == {"hits": 2, "misses": 0, "after_warm_up": 2, "signatures": 2}


@pytest.mark.skipif(os.environ.get("NUMBA_BOUNDSCHECK") != "1", reason="bounds are not checked")
def test_bounds_are_checked() -> None:
    """A warm cache of unchecked code would make this whole run worthless, silently."""
    with pytest.raises(IndexError):
        _first_at_least(np.zeros(1, np.int32), 5, 10, 1)


@compiled
def test_one_specialisation_in_this_process(built: Path) -> None:
    segment = Segment.build(["a"], CSR.from_rows([{0: 1.0}]))
    for part in (segment, Segment.load(built / "segment-000001")):
        searcher = ExactSearcher(part)
        queries = CSR.from_rows([{0: 1.0}, {}])
        searcher.search_batch(queries, 1)
        searcher.search_batch(queries, 1, np.ones(part.n_documents, np.bool_), n_threads=2)
    in_this_file = 1  # test_scan_batch_touches_only_its_queries hands over writeable arrays
    assert len(scan_batch.signatures) <= 1 + in_this_file
