"""The forward index: what is in heads and tails, and how much the stored weights differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.index.blocks.config import StoredValues
from lsr.index.blocks.forward_index import (
    TOP_STEP,
    ForwardIndex,
    _code,
    _lay_out,
    _step,
    component_dtype,
    head_length,
    stored_weights,
)
from lsr.sparse import CSR
from tests.naive import blocks as naiveblocks
from tests.support.block_indexes import (
    both_ways,
    brief,
    collections,
    interpreted,
    random_collection,
)

pytestmark = pytest.mark.kernel

values = st.sampled_from(["u16", "f32"])


def stored_bytes(documents: CSR, forward: ForwardIndex) -> tuple[bytes, bytes, Any]:
    """Head, tail and rest as they should be."""
    dtype = component_dtype(documents.n_terms)
    width = np.dtype(dtype).itemsize
    whole = forward.rest.dtype == np.float32
    head, tail = b"", b""
    rests: tuple[list[Any], list[Any]] = ([], [])
    for vector in naiveblocks.lay_out(documents, forward.head_length, forward.scale):
        tail_length = -(-len(vector[1]) // width) * width
        head += naiveblocks.record(vector[0], forward.head_length, dtype)
        tail += naiveblocks.record(vector[1], tail_length, dtype)
        for rest, entries, length in zip(
            rests, vector, (forward.head_length, tail_length), strict=True
        ):
            steps = [naiveblocks.step(entry.weight, forward.scale) for entry in entries]
            rest += [
                entry.weight if whole else steps[i] - 256 * entry.code
                for i, entry in enumerate(entries)
            ]
            rest += [0] * (length - len(entries))
    return head, tail, np.array(rests[0] + rests[1], forward.rest.dtype)


@brief
@given(collections(), values)
def test_layout_is_the_twin(documents: CSR, values: StoredValues) -> None:
    forward = ForwardIndex.build(documents, values)
    head, tail, rest = stored_bytes(documents, forward)
    assert forward.head.tobytes() == head
    assert forward.tail.tobytes() == tail
    assert np.array_equal(forward.rest, rest)
    again = ForwardIndex(
        np.zeros_like(forward.head),
        np.zeros_like(forward.tail),
        forward.tail_start,
        np.zeros_like(forward.rest),
        forward.head_length,
        forward.scale,
    )
    interpreted(_lay_out)(
        *(documents.indptr, documents.terms, documents.weights, np.float32(forward.scale)),
        *(forward.head_length, np.zeros(0, component_dtype(documents.n_terms))),
        *(again.head, again.tail, again.tail_start, again.rest),
    )
    assert again.head.tobytes() == head
    assert again.tail.tobytes() == tail
    assert np.array_equal(again.rest, rest)


@pytest.mark.parametrize("n_terms", [65_536, 65_537])
def test_tails_of_all_lengths_lie_apart(n_terms: int) -> None:
    """Components are aligned and overlap nothing, whatever the lengths of the tails before."""
    documents = random_collection(1, [8, 9, 10, 11, 12, 13, 11, 0, 9], n_terms)
    forward = ForwardIndex.build(documents, "u16")
    width = np.dtype(component_dtype(n_terms)).itemsize
    assert forward.head_length == 8
    assert not (forward.tail_start * (width + 1) % width).any()
    assert forward.tail.tobytes() == stored_bytes(documents, forward)[1]


def vectors_of(documents: CSR, forward: ForwardIndex) -> list[naiveblocks.Vector]:
    return naiveblocks.read_vectors(
        *(forward.head, forward.tail, forward.tail_start, forward.rest),
        *(forward.head_length, forward.scale, component_dtype(documents.n_terms)),
    )


@brief
@given(collections(), values)
def test_heads_hold_the_heaviest_and_both_parts_ascend(
    documents: CSR, values: StoredValues
) -> None:
    forward = ForwardIndex.build(documents, values)
    for row, (head, tail) in enumerate(vectors_of(documents, forward)):
        lightest = min((entry.code for entry in head), default=255)
        assert all(entry.code <= lightest for entry in tail)
        terms = [[entry.term for entry in part] for part in (head, tail)]
        assert terms == [sorted(set(part)) for part in terms]
        lost = set(documents.row(row).terms.tolist()) - set(terms[0]) - set(terms[1])
        weights = dict(zip(*(part.tolist() for part in documents.row(row)), strict=True))
        assert all(weights[term] <= forward.scale / 256 * 0.52 for term in lost)
        assert lost or len(head) == min(len(weights), forward.head_length)
        assert set(terms[0]) | set(terms[1]) <= set(weights)


@brief
@given(st.data())
def test_stored_weights_are_within_half_a_step(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["few", "capped", "any", "outliers", "tiny"]))
    documents = data.draw(collections(kind=kind))
    forward = ForwardIndex.build(documents, "u16")
    step = forward.scale / 256
    assert step * TOP_STEP >= float(documents.weights.max(initial=0)) * (1 - 1e-6)
    found = stored_weights(documents.weights, forward.scale)
    assert found.dtype == np.float32
    # float32 rounds the quotient and the product: a sixteen-millionth of up to 65,407 steps
    assert np.all(np.abs(found.astype(np.float64) - documents.weights) <= step * 0.52)
    held = [
        (row, entry.term, np.float32(entry.weight))
        for row, vector in enumerate(vectors_of(documents, forward))
        for entry in sorted([*vector[0], *vector[1]])
    ]
    rows = np.repeat(np.arange(documents.n_rows), np.diff(documents.indptr))
    expected = zip(rows.tolist(), documents.terms.tolist(), found, strict=True)
    assert held == [entry for entry in expected if entry[2] > 0]


@brief
@given(collections())
def test_f32_weights_are_stored_as_given(documents: CSR) -> None:
    forward = ForwardIndex.build(documents, "f32")
    for row, (head, tail) in enumerate(vectors_of(documents, forward)):
        vector = documents.row(row)
        assert [(entry.term, entry.weight) for entry in sorted([*head, *tail])] == list(
            zip(vector.terms.tolist(), vector.weights.tolist(), strict=True)
        )


@brief
@given(collections(), values)
def test_codes_are_within_half_a_code(documents: CSR, values: StoredValues) -> None:
    scale = ForwardIndex.build(documents, values).scale
    for weight in documents.weights:
        found = naiveblocks.code(weight, scale)
        if weight > 255 * scale:
            assert found == 255
        else:
            assert abs(found * scale - float(weight)) <= scale * (0.5 + 1 / 256)


def test_few_outliers_do_not_coarsen_the_codes_of_others() -> None:
    documents = random_collection(1, [40] * 600, 40, "any")
    weights = np.minimum(documents.weights, 3).astype(np.float32)
    weights[7] = 1e9
    documents = documents._replace(weights=weights)
    assert ForwardIndex.build(documents, "f32").scale == pytest.approx(3 / 255)
    # 16-bit values must hold the outlier too
    assert ForwardIndex.build(documents, "u16").scale * 255.5 == pytest.approx(1e9, rel=1e-3)


@both_ways
@brief
@given(st.floats(0, 2.0**127, width=32), st.floats(2.0**-100, 2.0**100, width=32))
def test_steps_and_codes_are_the_twins(way: Any, weight: float, scale: float) -> None:
    numbers = np.float32(weight), np.float32(scale)
    with np.errstate(over="ignore", under="ignore"):
        assert way(_step)(*numbers) == naiveblocks.step(*numbers)
        assert way(_code)(*numbers) == naiveblocks.code(*numbers)


@pytest.mark.parametrize(
    ("n_entries", "length"),
    [(0, 8), (1, 8), (16, 8), (17, 16), (64, 32), (192, 96), (256, 128), (900, 128)],
)
def test_heads_are_about_half_of_a_document(n_entries: int, length: int) -> None:
    assert head_length(random_collection(0, [n_entries] * 3, 2_000, n_pool=2_000)) == length


@pytest.mark.parametrize("documents", [CSR.empty(0, 0), CSR.empty(3, 0), CSR.empty(2, 5)])
def test_nothing_to_lay_out(documents: CSR) -> None:
    for kind in ("u16", "f32"):
        forward = ForwardIndex.build(documents, kind)
        assert len(forward.head) == documents.n_rows * 8 * 3
        assert not forward.head.any()
        assert forward.tail_start.tolist() == [0] * (documents.n_rows + 1)
        assert forward.scale > 0
