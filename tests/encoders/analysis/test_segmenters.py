"""A segmenter's words count one, two neighbours in part; an index opens by its version alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lsr
from lsr.encoders.analysis import Analyzer, segmenters
from lsr.encoders.analysis.segmenters import Morpheme, has_segmenter, segmenter_of
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.language import chosen_language
from lsr.encoders.learned.encoder import LearnedLexicalEncoder
from lsr.encoders.registry import open_sparse
from lsr.errors import InputError, UnavailableError
from tests.support.languages import TEXTS

WORDS = {
    "학교에서": [Morpheme(0, 2, "학교")],
    "공부했다": [Morpheme(0, 2, "공부"), Morpheme(2, 3, "하")],
}


@pytest.fixture
def kiwi(monkeypatch: pytest.MonkeyPatch) -> None:
    """A segmenter that knows two runs."""
    monkeypatch.setattr(segmenters, "_version", lambda language: "1.0")
    monkeypatch.setattr(segmenters, "_kiwi", lambda: lambda run: WORDS.get(run, []))


def test_words_and_neighbours(kiwi: None) -> None:
    analyzer = Analyzer("korean")
    text = "학교에서 공부했다, Cafés 中國"
    weights, n_words = analyzer.document_weights(text)
    assert weights == {
        "학교": 1, "교에": 0.5, "에서": 0.5, "공부": 1, "하": 1, "부했": 0.5, "했다": 0.5,
        "cafés": 1, "cafes": 0.5, "中國": 1, "中": 0.5, "國": 0.5,
    }  # fmt: skip
    assert n_words == 5
    assert analyzer.query_weights("학교에서") == {"학교": 1, "교에": 0.3, "에서": 0.3}
    assert sorted(analyzer.terms(text)) == sorted(weights)
    places = {token.term: text[token.start : token.end] for token in analyzer.tokens(text)}
    assert places["학교"] == "학교"
    assert places["하"] == "했"
    # what it does not know, and Hangul in letters, which is put together first
    assert Analyzer("korean").terms("등대는") == Analyzer("none").terms("등대는")
    assert "학교" in analyzer.terms("학교에서")


def test_the_segmenter_is_part_of_the_identity(
    kiwi: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Bm25Encoder(language="korean")
    encoder.learn(["학교에서"])
    assert encoder.identity.parameters["segmenter"] == "kiwipiepy 1.0"
    encoder.save(tmp_path)
    encoder.save_file(tmp_path / "file")
    for place in (tmp_path, tmp_path / "file"):
        again = Bm25Encoder.load(place)
        assert again.identity == encoder.identity
        vectors = [each.encode_queries(["학교에서"]) for each in (again, encoder)]
        assert np.array_equal(vectors[0].terms, vectors[1].terms)
    monkeypatch.setattr(segmenters, "_version", lambda language: "2.0")
    with pytest.raises(UnavailableError, match="made with kiwipiepy 1.0, and kiwipiepy 2.0 is"):
        Bm25Encoder.load(tmp_path)
    monkeypatch.setattr(segmenters, "_version", lambda language: None)
    with pytest.raises(UnavailableError, match=r"not installed; run: pip install 'lsr-search"):
        Bm25Encoder.load(tmp_path / "file")


def test_an_index_opens_by_its_segmenter(
    kiwi: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [lsr.Document("a", "학교에서"), lsr.Document("b", "공부했다")]
    with lsr.build(documents, tmp_path / "ix", language="korean") as index:
        assert [hit.document.doc_id for hit in index.search("공부했다").hits] == ["b"]
    monkeypatch.setattr(segmenters, "_version", lambda language: None)
    with pytest.raises(UnavailableError, match="not installed"):
        lsr.open(tmp_path / "ix")


def test_lexical_terms_by_a_segmenter(kiwi: None) -> None:
    encoder = open_sparse("doc-mini", language="korean")
    assert isinstance(encoder, LearnedLexicalEncoder)
    assert encoder.identity.parameters["language"] == "korean"
    before = open_sparse("doc-mini").n_terms
    encoder.learn(["학교에서"])
    assert encoder.find_terms(["own:학교"]) == [before]


def test_auto_takes_it_where_it_is(kiwi: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen_language([TEXTS["korean"]] * 3).language == "korean"
    monkeypatch.setattr(segmenters, "_version", lambda language: None)
    chosen = chosen_language([TEXTS["korean"]] * 3)
    assert chosen.language == "none"
    assert "kiwipiepy would find (pip install" in chosen.told


def test_other_languages_have_none() -> None:
    assert segmenter_of("german") is None
    assert not has_segmenter("chinese")
    with pytest.raises(InputError, match="no stemmer for 'korean'"):
        Analyzer("korean", version=1)


def test_korean_by_kiwipiepy() -> None:
    pytest.importorskip("kiwipiepy")
    analyzer = Analyzer("korean")
    words = [analyzer.document_weights(each)[0] for each in ("등대는", "등대를", "등대에서")]
    assert all(each["등대"] == 1 for each in words)
    text = "학교에서 공부했습니다"
    places = {token.term: text[token.start : token.end] for token in analyzer.tokens(text)}
    assert places["학교"] == "학교"
    assert places["공부"] == "공부"
