"""Token numbers in one flat array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from lsr.errors import InputError
from lsr.training.data.tokens import special_ids, tokenize, vocabulary_size
from tests.support.tiny_models import tiny_tokenizer

TEXTS = ["The cat, the dog.", "", "zebra", "  ", "heart liver brain blood bone skin"]


def test_as_the_tokenizer_itself_does() -> None:
    tokenizer = tiny_tokenizer()
    made = tokenize(TEXTS, tokenizer)
    expected = tokenizer(TEXTS, add_special_tokens=False)["input_ids"]
    assert [made[i].tolist() for i in range(len(made))] == expected
    assert made.lengths.tolist() == [len(tokens) for tokens in expected] == [6, 0, 5, 0, 6]
    assert made.tokens.dtype == np.uint16
    assert made.indptr.dtype == np.int64


def test_truncation_keeps_the_start_and_leaves_the_tokenizer_alone() -> None:
    tokenizer = tiny_tokenizer()
    before = tokenizer.backend_tokenizer.to_str()
    made, whole = tokenize(TEXTS, tokenizer, 3), tokenize(TEXTS, tokenizer)
    assert made.lengths.tolist() == [3, 0, 3, 0, 3]
    assert made[4].tolist() == whole[4][:3].tolist()
    assert tokenizer.backend_tokenizer.to_str() == before


def test_a_tokenizer_that_pads_and_cuts_counts_whole_texts() -> None:
    backend = tiny_tokenizer().backend_tokenizer
    expected = tokenize(TEXTS, backend)
    backend.enable_padding(length=9)
    backend.enable_truncation(2)
    again = tokenize(TEXTS, backend)
    assert again.tokens.tolist() == expected.tokens.tolist()
    assert again.indptr.tolist() == expected.indptr.tolist()


def test_many_batches_make_one_array_and_progress_is_told() -> None:
    told: list[tuple[str, int, int | None]] = []
    texts = ["cat " * (i % 4) for i in range(2500)]
    made = tokenize(texts, tiny_tokenizer(), None, lambda *said: told.append(said))
    assert made.lengths.tolist() == [i % 4 for i in range(2500)]
    assert told == [
        ("tokenize", 1024, 2500),
        ("tokenize", 2048, 2500),
        ("tokenize", 2500, 2500),
    ]
    assert len(tokenize([], tiny_tokenizer())) == 0


def test_special_tokens_and_vocabulary() -> None:
    tokenizer = tiny_tokenizer()
    assert special_ids(tokenizer).tolist() == [0, 1, 2, 3, 4]
    assert special_ids(tokenizer).dtype == np.int32
    assert vocabulary_size(tokenizer) == len(tokenizer)
    tokenizer.add_tokens(["kiwi"])
    assert vocabulary_size(tokenizer) == len(tokenizer)
    assert special_ids(tokenizer).tolist() == [0, 1, 2, 3, 4]


def test_great_vocabularies_need_more_bits() -> None:
    backend = Tokenizer(models.WordLevel({f"w{i}": i for i in range(70_000)}, unk_token="w0"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    made = tokenize(["w1 w69999"], backend)
    assert made.tokens.dtype == np.int32
    assert made[0].tolist() == [1, 69_999]


def test_what_cannot_be_tokenized() -> None:
    name: Any = "bert"
    with pytest.raises(InputError, match="is a str; one with a tokenizer.json"):
        tokenize(["x"], name)
    with pytest.raises(InputError, match="1 or more"):
        tokenize(["x"], tiny_tokenizer(), 0)
    with pytest.raises(InputError, match="half a surrogate pair"):
        tokenize(["a", "\ud800"], tiny_tokenizer())
