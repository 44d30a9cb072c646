"""What all searchers do with a batch: arguments checked, arrays made plain, work shared out."""

from __future__ import annotations

import numpy as np
import pytest

from lsr.errors import QueryError
from lsr.index.search.batch import check_k, check_mask, plain, share_out, unfilled


@pytest.mark.parametrize("n_queries", [0, 1, 2, 7, 30])
@pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
def test_every_query_has_one_part(n_queries: int, n_threads: int) -> None:
    parts: list[tuple[int, int]] = []
    share_out(lambda first, last, to: to.append((first, last)), n_queries, n_threads, (parts,))
    assert len(parts) == (n_threads if n_queries > 1 else 1)
    found = [query for first, last in sorted(parts) for query in range(first, last)]
    assert found == list(range(n_queries))


@pytest.mark.parametrize("n_threads", [1, 4])
def test_what_fails_on_a_thread_fails_for_the_caller(n_threads: int) -> None:
    def search(first: int, last: int) -> None:
        if last == 8:
            raise QueryError("the last one is wrong")

    with pytest.raises(QueryError, match="the last one is wrong"):
        share_out(search, 8, n_threads, ())


@pytest.mark.parametrize("n_queries", [0, 1, 5])
def test_a_thread_at_least(n_queries: int) -> None:
    with pytest.raises(QueryError, match="0 threads; at least 1 is needed"):
        share_out(lambda first, last: None, n_queries, 0, ())


def test_sentences() -> None:
    check_k(1)
    check_mask(np.ones(3, bool), 3)
    with pytest.raises(QueryError, match="k is -1; ask for at least 1"):
        check_k(-1)
    sentence = r"the filter has shape \(3, 1\); one flag for each of 3 documents is needed"
    with pytest.raises(QueryError, match=sentence):
        check_mask(np.ones((3, 1), bool), 3)


def test_arrays_are_copied_only_where_kernels_would_be_compiled_again() -> None:
    array = np.arange(6, dtype=np.int32)
    assert plain(array) is array
    part = array[2:4]
    assert plain(part) is part
    fixed = array.copy()
    fixed.flags.writeable = False
    aside = np.zeros(25, np.uint8)[1:].view(np.int32)
    for other in (fixed, array[::2], aside, array.view(np.memmap)):
        copy = plain(other)
        assert type(copy) is np.ndarray
        assert copy.flags.carray
        assert np.array_equal(copy, other)


def test_a_ranking_to_fill() -> None:
    rows, scores = unfilled(3, 5)
    assert rows.shape == scores.shape == (3, 5)
    assert rows.dtype == np.int32
    assert scores.dtype == np.float32
