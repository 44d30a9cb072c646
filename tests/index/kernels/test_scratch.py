"""Working memory: its parts lie apart and fit, and a query is put into it and taken out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.index.blocks.layout import aligned
from lsr.index.blocks.scan_lists import WINDOW
from lsr.index.kernels.scratch import COUNTERS, clear_query, put_query, scratch_bytes, scratch_parts
from lsr.sparse import CSR
from tests.support.block_indexes import both_ways, brief

pytestmark = pytest.mark.kernel

sizes = st.sampled_from([0, 1, 7, 8, 15, 16, 17, 64, 1_000, WINDOW, WINDOW + 1, 200_000])


@both_ways
@brief
@given(sizes, sizes)
def test_parts_lie_apart_and_fill_it(way: Any, n_documents: int, n_terms: int) -> None:
    scratch = aligned(int(scratch_bytes(n_documents, n_terms)))
    scratch[:] = 0
    parts = way(scratch_parts)(scratch, n_documents, n_terms)
    lengths = (
        n_documents,
        n_documents // 8 + 1,
        n_terms,
        n_terms,
        min(WINDOW, n_documents),
        len(COUNTERS),
    )
    assert tuple(map(len, parts)) == lengths
    kinds = (np.int32, np.uint8, np.uint8, np.float32, np.uint16, np.int64)
    assert tuple(part.dtype for part in parts) == kinds
    for part in parts:
        assert len(part) == 0 or part.ctypes.data % 64 == 0
        assert np.shares_memory(part, scratch) == (len(part) > 0)
        assert not part.any(), "another part has written here"
        part[:] = 1
    assert len(scratch) - sum(part.nbytes for part in parts) < 64 * len(parts)


@both_ways
@pytest.mark.parametrize("top", [1, 255])
def test_a_query_is_put_and_cleared(way: Any, top: int) -> None:
    tables = np.zeros(400, np.uint8), np.zeros(400, np.float32)
    for weights in ([3.0], [1.0, 2.0, 4.0], [1e-45, 1e38], [1e-45, 1e-45], [0.4, 0.5, 100.0], []):
        query = CSR.from_rows([{100 * i: weight for i, weight in enumerate(weights)}], 400).row(0)
        way(put_query)(query.terms, query.weights, top, *tables)
        expected_codes, expected_weights = np.zeros((2, 400))
        for term, weight in zip(query.terms, query.weights.tolist(), strict=True):
            expected_weights[term] = weight
            expected_codes[term] = max(1, int(weight / max(query.weights.tolist()) * top + 0.5))
        assert tables[0].tolist() == expected_codes.tolist()
        assert tables[1].tolist() == expected_weights.tolist()
        way(clear_query)(query.terms, *tables)
        assert not tables[0].any()
        assert not tables[1].any()
