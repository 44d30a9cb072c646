"""The encoder of vectors made elsewhere: queries in JSON, everything else refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.encoders.precomputed import PrecomputedEncoder
from lsr.encoders.protocols import Encoder
from lsr.errors import IndexCorruptError, InputError, QueryError
from lsr.index.search.exact_searcher import ExactSearcher
from lsr.index.storage.segment import Segment
from lsr.sparse import CSR
from tests.support.strategies import texts

WORDS = PrecomputedEncoder(3, ["cat", "dog", "##s"], "words.jsonl")
NUMBERS = PrecomputedEncoder(40)


def rows(encoder: PrecomputedEncoder, *queries: str) -> list[dict[int, float]]:
    vectors = encoder.encode_queries(queries)
    vectors.validate()
    assert vectors.n_terms == encoder.n_terms
    pairs = (vectors.row(i) for i in range(vectors.n_rows))
    return [dict(zip(p.terms.tolist(), p.weights.tolist(), strict=True)) for p in pairs]


def test_it_is_an_encoder() -> None:
    encoder: Encoder = WORDS
    assert isinstance(encoder, Encoder)
    assert WORDS.identity.kind == "precomputed"
    assert WORDS.identity.name == "words.jsonl"
    assert WORDS.identity.parameters == {"n_terms": 3, "vocabulary": True}
    assert encoder.surface_terms('{"cat": 1}') is None
    assert [WORDS.term(t) for t in range(3)] == WORDS.vocabulary == ["cat", "dog", "##s"]
    assert WORDS.find_terms(["dog", "owl", "0", ""]) == [1, None, None, None]
    assert NUMBERS.term(17) == "17"
    assert NUMBERS.vocabulary is None
    asked = ["17", "39", "40", "-1", "017", "0", "", "x", "٣", "9" * 99]
    assert NUMBERS.find_terms(asked) == [17, 39, None, None, None, 0, None, None, None, None]


def test_queries() -> None:
    assert rows(WORDS) == []
    assert rows(WORDS, '{"dog": 2, "cat": 0.5, "owl": 9}', ' {"##s": 1}\n', "{}", "", " \n") == [
        {0: 0.5, 1: 2.0},
        {2: 1.0},
        {},
        {},
        {},
    ]
    assert rows(WORDS, '{"dog": 0, "cat": -0.0, "##s": 1e-60}') == [{}]
    assert rows(NUMBERS, '{"17": 1.5, "3": 2, "40": 1}') == [{3: 2.0, 17: 1.5}]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("late books", r'write the query as JSON, like {"cat": 1.5}$'),
        ("1.5", r'like {"cat": 1.5}$'),
        ('["cat"]', r'like {"cat": 1.5}$'),
        ('{"cat": 1.5', "cannot be read: this is not valid JSON"),
        ('{"cat": NaN}', "NaN is not a JSON value"),
        ('{"cat": 1e999}', "not a number that float32 holds"),
        ('{"cat": 1e39}', "the weight of 'cat' must be finite and not below 0"),
        ('{"cat": -1}', "the weight of 'cat' must be finite and not below 0"),
        ('{"owl": -1}', "the weight of 'owl' must be finite and not below 0"),
        ('{"cat": "1"}', "the weight of 'cat' must be a number and is text"),
        ('{"cat": 1, "cat": 2}', "'cat' stands twice"),
        ('{"\ud800": 1}', "not UTF-8"),
    ],
)
def test_other_queries_are_refused(query: str, message: str) -> None:
    with pytest.raises(QueryError, match="built from vectors made elsewhere.*" + message) as caught:
        WORDS.encode_queries(["{}", query])
    assert "sparse_vector" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_want_numbers() -> None:
    with pytest.raises(QueryError, match=r'like {"17": 1.5}; \'cat\' is not the number'):
        NUMBERS.encode_queries(['{"cat": 1}'])
    with pytest.raises(QueryError, match="'-1' is not the number"):
        NUMBERS.encode_queries(['{"-1": 1}'])
    with pytest.raises(QueryError, match=r'like {"17": 1.5}$'):
        NUMBERS.encode_queries(["cat"])


def test_documents_are_refused() -> None:
    with pytest.raises(InputError, match="text cannot be encoded for it; give the documents' vec"):
        WORDS.encode_documents(["cat"])
    with pytest.raises(InputError, match="vectors made elsewhere"):
        WORDS.encode_corpus([["cat"]])


@given(st.lists(texts(12), unique=True, max_size=9), texts())
def test_saved_and_loaded(
    tmp_path_factory: pytest.TempPathFactory, tokens: list[str], name: str
) -> None:
    """Tokens may hold anything, line ends too."""
    for encoder in (
        PrecomputedEncoder(len(tokens), tokens, name),
        PrecomputedEncoder(len(tokens), None, name),
    ):
        folder = tmp_path_factory.mktemp("encoder")
        encoder.save(folder)
        loaded = PrecomputedEncoder.load(folder)
        assert loaded.identity == encoder.identity
        assert loaded.vocabulary == encoder.vocabulary
        query = json.dumps(dict.fromkeys(tokens if encoder.vocabulary else ["0"], 1.5))
        assert rows(loaded, query) == rows(encoder, query)


def test_what_the_hash_depends_on() -> None:
    different = [
        PrecomputedEncoder(2, ["a", "b"]),
        PrecomputedEncoder(2, ["b", "a"]),
        PrecomputedEncoder(2, ["", "ab"]),
        PrecomputedEncoder(2, ["1 a", "b"]),
        PrecomputedEncoder(2),
        PrecomputedEncoder(3),
    ]
    assert len({encoder.identity.sha256 for encoder in different}) == len(different)
    assert PrecomputedEncoder(2, name="x").identity.sha256 == PrecomputedEncoder(2).identity.sha256


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("encoder.json", None),
        ("encoder.json", "{"),
        ("encoder.json", "[]"),
        ("encoder.json", '{"kind": "precomputed", "name": "x", "n_terms": 3}'),
        (
            "encoder.json",
            '{"kind": "precomputed", "name": "x", "n_terms": -3, "vocabulary": false}',
        ),
        ("vocabulary.txt", None),
        ("vocabulary.txt", '"cat"\n"dog"\n'),
        ("vocabulary.txt", '"cat"\n"dog"\n"dog"\n'),
        ("vocabulary.txt", '"cat"\n"dog"\n##s\n'),
        ("vocabulary.txt", '"cat"\n"dog"\n7\n'),
        ("vocabulary.txt", '"cat"\n"dog"\n"\\ud800"\n'),
    ],
)
def test_damaged_files(tmp_path: Path, file: str, content: str | None) -> None:
    WORDS.save(tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_text(content)
    with pytest.raises(
        IndexCorruptError, match="encoder of precomputed vectors cannot be read.*build"
    ):
        PrecomputedEncoder.load(tmp_path)


def test_vocabularies_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="1 tokens for 2 terms"):
        PrecomputedEncoder(2, ["a"])
    with pytest.raises(InputError, match="a token twice"):
        PrecomputedEncoder(2, ["a", "a"])
    with pytest.raises(InputError, match="half a surrogate"):
        PrecomputedEncoder(1, ["\ud800"])
    with pytest.raises(InputError, match="terms; from 0 to"):
        PrecomputedEncoder(2**31)


def test_scores_are_the_dot_product() -> None:
    documents = CSR.from_rows([{0: 1.0, 2: 2.0}, {1: 4.0}, {}], 3)
    searcher = ExactSearcher(Segment.build(["a", "b", "c"], documents))
    found = searcher.search_batch(WORDS.encode_queries(['{"##s": 0.5, "dog": 2, "owl": 1}']), 3)
    assert found.rows[0].tolist() == [1, 0, -1]
    assert found.scores[0, :2].tolist() == [8.0, 1.0]
