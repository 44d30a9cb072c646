"""`auto` is the language of the documents; an encoder that reads another one is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lsr
from lsr.cli.app import app
from lsr.cli.evaluation_systems import systems_asked_for
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.language import SAMPLE, chosen_language, listened, not_read, sampled
from lsr.encoders.learned.encoder import LearnedLexicalEncoder
from lsr.encoders.lexical import analyzer_of, words_language
from lsr.encoders.registry import learned_options, load_encoder, open_sparse
from lsr.errors import InputError
from lsr.evaluation.models import Models
from lsr.service.collections.creation import CollectionSpec, opened_encoders
from lsr.service.terms import WordMemory
from tests.support.command_line import done, refused
from tests.support.languages import TEXTS

GERMAN = [TEXTS["german"] * 4] * 3


def documents(language: str = "german") -> list[lsr.Document]:
    return [lsr.Document(f"d{i}", TEXTS[language] * 3) for i in range(4)]


def written(path: Path, language: str = "german") -> Path:
    lines = [f'{{"_id": "{each.doc_id}", "text": "{each.text}"}}' for each in documents(language)]
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize(
    ("texts", "language", "told"),
    [
        (GERMAN, "german", "in German (100% of 3 texts"),
        ([TEXTS["thai"]], "none", "in Thai (100% of 1 texts of a sample), which has no stemmer"),
        ([TEXTS["ukrainian"] * 3], "none", "in Ukrainian"),
        ([TEXTS["german"] * 4, TEXTS["french"] * 4], "none", "several languages (french, german)"),
        (["Keys rotate."], "none", "too few words"),
        ([], "none", "too few words"),
    ],
)
def test_the_language_that_auto_stands_for(texts: list[str], language: str, told: str) -> None:
    chosen = chosen_language(texts)
    assert chosen.language == language
    assert told in chosen.told
    Bm25Encoder(language=chosen.language)


def test_a_sample_takes_no_document_away() -> None:
    given = [lsr.Document(str(i), f"text {i}") for i in range(SAMPLE + 5)]
    texts, stream = sampled(iter(given))
    assert len(texts) == SAMPLE
    assert list(stream) == given
    told: list[list[str]] = []
    assert list(listened(iter(given), told.append)) == given
    assert told == [texts]


def test_what_an_encoder_does_not_read() -> None:
    ours = open_sparse("doc-mini")
    told = not_read(ours, GERMAN)
    assert "in German" in told
    assert "doc-mini reads English" in told
    assert "--sparse bm25 --language german" in told
    assert "--language none" in not_read(ours, [TEXTS["thai"]] * 3)
    assert not not_read(open_sparse("doc-mini", language="german"), GERMAN)
    assert not not_read(ours, [TEXTS["english"]] * 3)
    assert not not_read(ours, ["Schlüssel"])
    assert "--language german fits" in not_read(Bm25Encoder(), GERMAN)
    assert not not_read(Bm25Encoder(language="german"), GERMAN)
    assert not not_read(Bm25Encoder(language="none"), GERMAN)


def test_own_words_in_another_language() -> None:
    """They are read by the newest rules; English ones, asked for or not, stay as they were."""
    plain, asked = open_sparse("doc-mini"), open_sparse("doc-mini", language="english")
    german = open_sparse("doc-mini", language="german")
    assert asked.identity == plain.identity
    assert "language" not in plain.identity.parameters
    assert german.identity.parameters["language"] == "german"
    assert german.identity.sha256 != plain.identity.sha256
    assert isinstance(german, LearnedLexicalEncoder)
    assert german.words.analyzer.version == 2
    german.learn(["Die Häuser des Hafens"])
    assert german.find_terms(["own:haus", "own:haf", "own:des"]) == [
        german.n_terms - 2,
        german.n_terms - 1,
        None,
    ]


def test_a_language_without_own_words_is_refused() -> None:
    with pytest.raises(InputError, match="doc-mini has none beside its vectors"):
        open_sparse(
            "doc-mini",
            language="german",
            options=learned_options(lexical_weight=0.0),
        )
    with pytest.raises(InputError, match="no stemmer for 'klingon'"):
        open_sparse("doc-mini", language="klingon")
    with pytest.raises(InputError, match="none to read yet; name it"):
        open_sparse("bm25", language="auto")


def test_own_words_in_an_evaluation_and_a_service() -> None:
    """Models without own words have none to read, and are measured as they are."""
    assert words_language(Models().sparse("doc-mini", "german")) == "german"
    assert words_language(Models().sparse("doc-mini")) == "english"
    without = Models(learned_options(lexical_weight=0.0)).sparse("doc-mini", "german")
    assert words_language(without) is None
    (kind,) = systems_asked_for("learned", [], [], False, {"language": "german"})
    assert kind.sparse == "doc-mini"
    with pytest.raises(InputError, match="--language is of systems like bm25"):
        systems_asked_for("dense", [], [], False, {"language": "german"})
    opened = opened_encoders(CollectionSpec(sparse="doc-mini", language="german"))
    assert words_language(opened.sparse) == "german"
    assert opened_encoders(CollectionSpec(language="german")).sparse.identity.kind == "bm25"


def test_marks_follow_the_language_of_own_words() -> None:
    plain, german = open_sparse("doc-mini"), open_sparse("doc-mini", language="german")
    assert [words_language(each) for each in (plain, german, Bm25Encoder(language="none"))] == [
        "english",
        "german",
        "none",
    ]
    assert analyzer_of(german).terms("Häuser") == ["haus"]
    assert analyzer_of(plain).terms("houses") == ["hous"]
    memory = WordMemory(german)
    assert memory.suits(open_sparse("doc-mini", language="german"))
    assert not memory.suits(plain)
    assert not memory.suits(Bm25Encoder(language="german"))


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING, "lsr.documents"):
        yield caplog


def test_built_from_python(tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    with lsr.build(documents(), tmp_path / "a", language="auto") as index:
        assert index.reader.manifest.sparse.parameters["language"] == "german"
        assert index.search("Kindern der Städte").hits
    assert "in German" in logged.text
    logged.clear()
    lsr.build(documents(), tmp_path / "b", sparse="bm25").close()
    assert "--language german fits" in logged.text
    logged.clear()
    lsr.build(documents("english"), tmp_path / "c", sparse="bm25").close()
    lsr.build(documents(), tmp_path / "d", sparse="bm25", language="english").close()
    assert not logged.text
    with pytest.raises(InputError, match="cannot be chosen of an encoder that is open"):
        lsr.build(documents(), tmp_path / "e", sparse=load_encoder("bm25"), language="german")


def test_built_by_command(tmp_path: Path) -> None:
    source, index = written(tmp_path / "a.jsonl"), str(tmp_path / "ix")

    def told(*words: str) -> str:
        command = ["index", "build", str(source), index, "--sparse", "bm25", *words]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        return result.stderr

    assert "--language auto: the documents are in German" in told("--language", "auto")
    assert "language german" in done("index", "info", index)
    assert "--language german fits" in told()
    assert "in German" not in told("--language", "german")
    source.write_text("not JSON")
    name = ("--sparse", "no-model", "--language", "auto")
    assert "no-model" in refused("index", "build", source, index, *name)  # before it is read


def test_evaluated_by_command(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    written(tmp_path / "corpus.jsonl")
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "Kindern"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("q\td1\t1\n")
    words = ("eval", tmp_path, "--systems", "bm25", "--metrics", "R@100", "--json", "-")
    assert '"R@100": 0.0' in done(*words)
    for language in ("german", "auto"):
        report = done(*words, "--language", language)
        assert '"R@100": 1.0' in report
    assert "the documents are in German" in report
    assert "klingon" in refused(*words, "--language", "klingon")
