"""Kinds of text that others stumbled over: found, ranked and marked, by whatever way words go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.learned.lexical_terms import LexicalTerms
from lsr.encoders.lexical import LexicalEncoder
from lsr.encoders.protocols import Encoder
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.update import add_documents
from lsr.retrieval.snippet import highlight
from lsr.service.terms import QueryTerms, WordMemory
from lsr.sparse import CSR
from lsr.types import Document, EncoderIdentity


class Silent:
    """An encoder that finds nothing, so that only the words beside it do."""

    identity = EncoderIdentity("silent", "silent", "0" * 64, {})
    n_terms = 1

    def encode_corpus(self, batches: Iterable[Sequence[str]]) -> CSR:
        return self.encode_documents([text for batch in batches for text in batch])

    def encode_documents(self, texts: Sequence[str]) -> CSR:
        return CSR.from_rows([{} for _ in texts], 1)

    encode_queries = encode_documents

    def find_terms(self, texts: Sequence[str]) -> list[int | None]:
        return [None for _ in texts]

    def surface_terms(self, text: str) -> None:
        return None

    def term(self, term: int) -> str:
        return "silence"

    def save(self, folder: Path) -> None:
        """Nothing of it is kept."""


def _bm25(language: str) -> Encoder:
    return Bm25Encoder(language=language)


def _lexical(language: str) -> Encoder:
    return LexicalEncoder(Silent(), LexicalTerms(language=language, analysis=2))


def _ranked(encoder: Encoder, texts: list[str], query: str) -> list[list[str]]:
    """The texts that are found, best first, those of one score together."""
    documents = encoder.encode_corpus([texts])
    (terms, weights), scores = encoder.encode_queries([query]).row(0), {}
    asked = dict(zip(terms.tolist(), weights.tolist(), strict=True))
    for row, text in enumerate(texts):
        found = documents.row(row)
        pairs = zip(found.terms.tolist(), found.weights.tolist(), strict=True)
        scores[text] = round(sum(asked.get(term, 0) * weight for term, weight in pairs), 6)
    levels = sorted({score for score in scores.values() if score > 0}, reverse=True)
    return [[text for text in texts if scores[text] == level] for level in levels]


KINDS = [
    ("hindi", ["दिन", "दान"], "दिन", [["दिन"]]),
    ("tamil", ["கல்", "கால்"], "கல்", [["கல்"]]),
    ("none", ["বল", "বিল"], "বল", [["বল"]]),
    ("none", ["ที่ดี", "ท่าดำ"], "ที่ดี", [["ที่ดี"]]),
    ("none", ["שָׁלוֹם", "שלום", "שלט"], "שלום", [["שָׁלוֹם", "שלום"]]),
    ("arabic", ["كِتَابٌ", "كتاب", "قلم"], "كِتاب", [["كِتَابٌ", "كتاب"]]),
    ("none", ["ọjọ́", "ojo", "ọ̀jọ̀"], "ọjọ́", [["ọjọ́"], ["ojo"], ["ọ̀jọ̀"]]),
    ("turkish", ["İstanbul", "Isparta"], "istanbul", [["İstanbul"]]),
    ("turkish", ["İstanbul", "Isparta"], "ısparta", [["Isparta"]]),
    ("turkish", ["İstanbul", "Isparta"], "ISPARTA", [["Isparta"]]),
    ("english", ["İstanbul", "Isparta"], "istanbul", [["İstanbul"]]),
    ("english", ["İstanbul", "Isparta"], "ısparta", [["Isparta"]]),
    ("english", ["infor\u00admation", "infor\u200bmation", "formation"], "information",
     [["infor\u00admation", "infor\u200bmation"]]),
    ("english", ["\ufeffheron", "her\u2060on", "crane"], "her\u200don",
     [["\ufeffheron", "her\u2060on"]]),
    ("english", ["ＡＢＣ", "ﬁnance", "office"], "abc finance", [["ＡＢＣ", "ﬁnance"]]),
    ("english", ["abc", "ＡＢＤ"], "ＡＢＣ", [["abc"]]),
    ("french", ["clé privée", "cle privee", "clou"], "cle privee",
     [["cle privee"], ["clé privée"]]),
    ("french", ["cle privee", "clé privée", "clou"], "clé privée",
     [["clé privée"], ["cle privee"]]),
    ("german", ["Äpfel", "Aepfel", "Opfer"], "Apfel", [["Äpfel", "Aepfel"]]),
    ("polish", ["łódź", "lodz", "las"], "lodz", [["lodz"], ["łódź"]]),
    ("swedish", ["får", "far"], "far", [["far"]]),
    ("english", ["parseMetrics", "parse metrics", "crane"], "parseMetrics",
     [["parseMetrics"], ["parse metrics"]]),
    ("english", ["OwnTerms", "own terms", "crane"], "own terms", [["own terms"], ["OwnTerms"]]),
    ("english", ["read_csv", "csv", "crane"], "read_csv", [["read_csv"], ["csv"]]),
    ("english", ["read_csv", "crane"], "readCSV", [["read_csv"]]),
    ("english", ["readCsv", "crane"], "read_csv", [["readCsv"]]),
    ("english", ["AB-1234", "AB1234", "AB 1234", "AC-99"], "AB1234",
     [["AB1234"], ["AB-1234"], ["AB 1234"]]),
    ("english", ["e-mail", "email", "mail"], "email", [["email"], ["e-mail"]]),
    ("english", ["C++", "C#", "C"], "C++", [["C++"]]),
    ("english", ["C++", "C#", "C"], "c#", [["C#"]]),
    ("english", ["C++", "C#", "C"], "c", [["C"]]),
    ("none", ["中文检索", "检文", "英文"], "检索", [["中文检索"], ["检文"]]),
    ("none", ["한국어를", "국수"], "한국어", [["한국어를"]]),
    ("none", ["カタカナ", "ｶﾀｶﾅ", "ナタ"], "カタカナ", [["カタカナ", "ｶﾀｶﾅ"]]),
]  # fmt: skip


@pytest.mark.parametrize("make", [_bm25, _lexical])
@pytest.mark.parametrize(("language", "texts", "query", "expected"), KINDS)
def test_found_and_ranked(
    make: Callable[[str], Encoder],
    language: str,
    texts: list[str],
    query: str,
    expected: list[list[str]],
) -> None:
    assert _ranked(make(language), texts, query) == expected


@pytest.mark.parametrize(("language", "texts", "query", "expected"), KINDS)
def test_what_is_found_is_marked_and_nothing_else(
    language: str, texts: list[str], query: str, expected: list[list[str]]
) -> None:
    encoder = Bm25Encoder(language=language)
    terms = QueryTerms(query, WordMemory(encoder))
    found = {text for level in expected for text in level}
    for text in texts:
        pieces = terms.highlight(f"So: {text}!")
        assert any(piece.is_match for piece in pieces) == (text in found)
        own = encoder.analyzer.terms(query)
        assert pieces == highlight(f"So: {text}!", own, encoder.analyzer)


@pytest.mark.parametrize(
    ("text", "query", "shown"),
    [
        ("an infor\u00admation desk", "information", "an [infor\u00admation] desk"),
        ("the cafe\u0301's menu", "cafe", "the [cafe\u0301's] menu"),
        ("call parseMetrics()", "parseMetrics", "call [parseMetrics]()"),
        ("call parseMetrics()", "metric", "call parse[Metrics]()"),
        ("call parseMetrics()", "parse the metrics", "call [parse][Metrics]()"),
        ("of C++, not C#", "c++", "of [C++], not C#"),
        ("one ﬁnance-desk", "finance", "one [ﬁnance]-desk"),
        ("中文检索系统", "检索系", "中文[检索][系]统"),
        ("part AB-1234/x", "AB1234", "part [AB-1234]/x"),
    ],
)
def test_marks_cover_what_was_written(text: str, query: str, shown: str) -> None:
    pieces = QueryTerms(query, WordMemory(Bm25Encoder())).highlight(text)
    marked = "".join(f"[{piece.text}]" if piece.is_match else piece.text for piece in pieces)
    assert marked == shown


@pytest.mark.parametrize(("version", "found"), [(1, []), (2, ["old", "new"])])
def test_a_collection_keeps_the_version_it_was_built_with(
    tmp_path: Path, version: int, found: list[str]
) -> None:
    path = tmp_path / "index"
    documents = [Document("old", "infor\u00admation"), Document("other", "crane")]
    build_collection(documents, path, sparse=Bm25Encoder(analysis=version))
    add_documents(path, [Document("new", "an infor\u00admation desk")])
    collection = CollectionReader.open(path)
    assert ("analysis" in collection.encoder.identity.parameters) == (version == 2)
    hits = collection.search("information", mode="sparse").hits
    assert [hit.document.doc_id for hit in hits] == found
    collection.close()
