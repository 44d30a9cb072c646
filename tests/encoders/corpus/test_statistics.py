"""Statistics counted in parts and merged are those of the whole corpus, to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.corpus.statistics import CountingEncoder, Statistics, merged
from lsr.encoders.learned.encoder import LearnedOptions, open_learned
from lsr.encoders.precomputed import PrecomputedEncoder
from lsr.errors import IndexVersionError, InputError
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.storage.manifest import Manifest
from lsr.passages.passage import PassageSettings
from lsr.sparse import CSR
from lsr.types import Document
from tests.support.command_line import done, refused
from tests.support.learned_models import inference_free, symmetric

WORDS = ["heron", "Herons", "river", "the", "naïve", "naive", "C++", "x-100", "日本語", ""]
texts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
corpora = st.lists(st.lists(texts, max_size=5), min_size=1, max_size=7)


def _batches(part: Sequence[str]) -> list[list[str]]:
    return [list(part[:2]), list(part[2:])]


def _equal(one: CSR, other: CSR) -> bool:
    return (
        one.n_terms == other.n_terms
        and np.array_equal(one.indptr, other.indptr)
        and np.array_equal(one.terms, other.terms)
        and np.array_equal(one.weights, other.weights)
    )


@given(corpora)
def test_parts_of_any_size_make_the_encoder_of_the_whole(parts: list[list[str]]) -> None:
    whole = Bm25Encoder(k1=1.1)
    vectors = whole.encode_corpus(list(parts))
    counting = Bm25Encoder(k1=1.1)
    assert isinstance(counting, CountingEncoder)
    counted = [counting.count(_batches(part)) for part in parts]
    assert counting.n_terms == 0
    encoder = counting.learned_from(counted)
    assert encoder.identity == whole.identity
    rows = [encoder.encode_documents(part) for part in parts if part]
    if rows:
        assert _equal(CSR.concatenate(rows), vectors)
    again = encoder.learned_from([counting.count(map(list, parts))])
    assert again.identity == whole.identity


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {"table": inference_free(folder / "free"), "network": symmetric(folder / "both")}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("table", LearnedOptions("fp32", lexical_weight=2.0)),
        ("table", LearnedOptions("fp32", lexical_weight=2.0, idf="corpus")),
        ("table", LearnedOptions("fp32", idf="corpus")),
        ("table", LearnedOptions("fp32")),
        ("network", LearnedOptions("fp32")),
    ],
)
def test_shards_of_a_learned_model(
    models: dict[str, Path], tmp_path: Path, name: str, options: LearnedOptions
) -> None:
    parts = [["the cat", "a Zlatoust wolf"], [], ["cat cat dog", "", "the zebra"], ["dogs"]]
    whole = open_learned(str(models[name]), options)
    vectors = whole.encode_corpus(parts)
    counting = open_learned(str(models[name]), options)
    before = counting.identity
    counted = [counting.count([part]) for part in parts]
    assert counting.identity == before
    for number, each in enumerate(counted):
        each.save(tmp_path / str(number))
    read = [Statistics.load(tmp_path / str(number)) for number in range(len(parts))]
    encoder = counting.learned_from(read)
    assert encoder.identity == whole.identity
    rows = [encoder.encode_documents(part) for part in parts if part]
    assert _equal(CSR.concatenate(rows), vectors)
    queries = ["zlatoust cats", "the dog"]
    assert _equal(encoder.encode_queries(queries), whole.encode_queries(queries))


def test_parts_of_long_documents(models: dict[str, Path], tmp_path: Path) -> None:
    options = LearnedOptions("fp32", lexical_weight=2.0, idf="corpus")
    long = ". ".join(["the cat and a wolf of Zlatoust", "a king by the lake"] * 9)
    documents = [Document(f"d{i}", f"{word} {long}" * (i % 2 + 1)) for i, word in enumerate("abcd")]
    settings = PassageSettings(tokens=16, overlap=4)
    one = open_learned(str(models["table"]), options)
    build_collection(documents, tmp_path / "one", sparse=one, passages=settings)
    counting = open_learned(str(models["table"]), options)
    slices = [documents[:1], documents[1:]]
    counted = [counting.count([[each.full_text for each in part]]) for part in slices]
    encoder = counting.learned_from(counted)
    for number, part in enumerate(slices):
        target = tmp_path / str(number)
        build_collection(part, target, sparse=encoder, passages=settings, learn=False)
        made, whole = CollectionReader.open(target), CollectionReader.open(tmp_path / "one")
        assert made.manifest.sparse == whole.manifest.sparse
        n = made.segment.n_passages
        first = whole.segment.n_passages - n if number else 0
        of_all = whole.store.sparse_vectors(list(range(first, first + n)), one.n_terms)
        assert _equal(made.store.sparse_vectors(list(range(n)), one.n_terms), of_all)


def test_what_is_counted_by_another_is_refused(tmp_path: Path) -> None:
    counted = Bm25Encoder(k1=1.0).count([["heron"]])
    with pytest.raises(InputError, match="part 1 of the statistics was counted by another encoder"):
        Bm25Encoder().learned_from([counted])
    with pytest.raises(InputError, match="part 2"):
        merged("x", [replace(counted, counter="x"), counted])
    assert not isinstance(PrecomputedEncoder(1), CountingEncoder)


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "counts"
    Bm25Encoder().count([["heron river", "heron"]]).save(path)
    good = path.read_bytes()
    bad = [b"", b"{}", good[:-1], good[:-8], good + b"12345678", good.replace(b"river", b"heron")]
    bad += [good.replace(b'"n_documents": 2', b'"n_documents": 1'), b"\xff" + good]
    for content in bad:
        path.write_bytes(content)
        with pytest.raises(InputError, match="statistics cannot be read .*count the documents"):
            Statistics.load(path)
    path.write_bytes(good.replace(b'"version": 1', b'"version": 2'))
    with pytest.raises(IndexVersionError, match="statistics of format 2"):
        Statistics.load(path)
    with pytest.raises(InputError, match="cannot be read"):
        Statistics.load(tmp_path / "none")


def test_at_the_terminal(tmp_path: Path) -> None:
    lines = [f'{{"_id": "d{i}", "text": "heron number {i} of {i % 3} rivers"}}' for i in range(7)]
    (tmp_path / "whole.jsonl").write_text("\n".join(lines))
    told = done("index", "build", tmp_path / "whole.jsonl", tmp_path / "one", "--sparse", "bm25")
    files = []
    for number, part in enumerate((lines[:3], lines[3:])):
        source, file = tmp_path / f"{number}.jsonl", tmp_path / f"{number}.counts"
        source.write_text("\n".join(part))
        told = done("index", "count", source, file, "--sparse", "bm25")
        assert f"{len(part)} documents" in told
        files += ["--statistics", file]
    for number in range(2):
        source, target = tmp_path / f"{number}.jsonl", tmp_path / str(number)
        done("index", "build", source, target, "--sparse", "bm25", *files)
        assert Manifest.read(target).sparse == Manifest.read(tmp_path / "one").sparse
    one = ["index", "build", tmp_path / "0.jsonl", tmp_path / "x"]
    assert "0.counts was counted by another" in refused(*one, *files, "--k1", "1")
    assert "leave --statistics out" in refused(*one, *files, "--vectors", tmp_path / "0.jsonl")
    assert "cannot be read" in refused(*one, "--statistics", tmp_path / "0.jsonl")
    assert not (tmp_path / "x").exists()
    (tmp_path / "empty").mkdir()
    assert "no text files" in refused("index", "count", tmp_path / "empty", tmp_path / "y")
    assert not (tmp_path / "y").exists()
