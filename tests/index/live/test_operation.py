"""Operations: what is refused before anything is written, and patches."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.errors import InputError
from lsr.index.live.operation import Operation, body_of, checked, document_of, patched
from lsr.types import Document

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(doc_id=TEXT, text=TEXT, title=TEXT, metadata=st.dictionaries(TEXT, VALUES | TEXT))
def test_a_body_gives_its_document_back(
    doc_id: str, text: str, title: str, metadata: dict[str, object]
) -> None:
    document = Document(doc_id, text, title, metadata)
    assert document_of(doc_id, body_of(document)) == document


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (Operation.delete(""), "empty or is not text"),
        (Operation.delete("a\ud800"), "empty or is not text"),
        (Operation("put", "a"), "missing from the operation"),
        (Operation("put", "a", Document("b", "x")), "missing from the operation"),
        (Operation.put(Document("a", "\ud800")), "surrogate"),
        (Operation.put(Document("a", "x", metadata={"n": math.nan})), "as JSON"),
        (Operation.put(Document("a", "x", metadata={"n": {1}})), "as JSON"),
        (Operation.put(Document("a", None)), "text of document 'a' must be text"),  # type: ignore[arg-type]
        (Operation("patch", "a", fields={"body": "x"}), "no field 'body'"),
        (Operation("patch", "a", fields={"text": 1}), "text must be text"),
        (Operation("patch", "a", fields={"metadata": [1]}), "metadata must be an object"),
        (Operation("patch", "a", fields={"metadata": {"n": math.inf}}), "as JSON"),
        (Operation("patch", "a", fields={"metadata": {"n": {1}}}), "as JSON"),
        (Operation("patch", "a", fields={"title": "\ud800"}), "surrogate"),
        (Operation("put", "a", Document("a", ""), sparse={"x": 0.0}), "above 0 and finite"),
        (Operation("put", "a", Document("a", ""), sparse={"x": math.nan}), "above 0 and finite"),
        (Operation("put", "a", Document("a", ""), sparse={"\ud800": 1.0}), "above 0 and finite"),
        (Operation("put", "a", Document("a", ""), dense=[1e300]), "not finite"),
        (Operation("put", "a", Document("a", ""), dense=[math.nan]), "not finite"),
    ],
)
def test_refused_before_anything_is_written(operation: Operation, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked(operation)


def test_a_patch_merges_metadata_and_removes_by_null() -> None:
    document = Document("a", "text", "title", {"kept": 1, "gone": 2, "changed": {"deep": 3}})
    fields = {"title": "new", "metadata": {"gone": None, "changed": {"other": 4}, "more": [5]}}
    assert patched(document, fields) == Document(
        "a", "text", "new", {"kept": 1, "changed": {"other": 4}, "more": [5]}
    )
    assert patched(document, {}) == document
    assert json.loads(body_of(document))["metadata"]["gone"] == 2
