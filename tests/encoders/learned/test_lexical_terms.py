"""A document's own words beside a learned vector."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.learned.encoder import (
    AnyLearned,
    LearnedLexicalEncoder,
    LearnedOptions,
    load_learned,
    open_learned,
)
from lsr.encoders.learned.lexical_terms import (
    OWN_SATURATION,
    OWN_SHARE,
    LexicalTerms,
    _length,
    side_by_side,
    with_own_tokens,
)
from lsr.encoders.learned.recommended import DEFAULTS_FILE, SearchDefaults
from lsr.errors import DataError, InputError
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.passages.passage import PassagedText
from lsr.sparse import CSR
from lsr.types import Document
from tests.support.command_line import done
from tests.support.learned_models import inference_free, symmetric

FIRST = ["the cat cat dog", "the wolves of Zlatoust", ""]
LATER = ["dogs dog bear in the forest"]
QUERIES = ["zlatoust wolf", "cats", "the", ""]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inference_free(tmp_path_factory.mktemp("free"))


def _encoder(model: Path, weight: float | None, **options: Any) -> AnyLearned:
    return open_learned(str(model), LearnedOptions("fp32", lexical_weight=weight, **options))


def _version(encoder: AnyLearned) -> int:
    assert isinstance(encoder, LearnedLexicalEncoder)
    return encoder._words.analyzer.version


def _dense(vectors: CSR) -> Any:
    vectors.validate()
    return to_scipy(vectors).toarray()


def test_rows_side_by_side() -> None:
    rng = np.random.default_rng(0)
    for rows in (0, 1, 7):
        one, other = (
            CSR.from_rows(
                [
                    {int(t): 1.0 + t for t in rng.choice(width, rng.integers(0, width), False)}
                    for _ in range(rows)
                ],
                width,
            )
            for width in (5, 3)
        )
        found = side_by_side(one, other)
        assert found.n_terms == 8
        expected = np.hstack([to_scipy(one).toarray(), to_scipy(other).toarray()])
        assert np.array_equal(_dense(found), expected)


def test_scores_are_the_learned_ones_and_bm25(model: Path, tmp_path: Path) -> None:
    plain, own = _encoder(model, 0.0), _encoder(model, 2.5)
    bm25 = Bm25Encoder(k1=1.2, b=0.75)
    assert own.identity.parameters["lexical_weight"] == 2.5
    learned = _dense(plain.encode_corpus([FIRST]))
    impacts = _dense(bm25.encode_corpus([FIRST]))
    found = _dense(own.encode_corpus([FIRST[:1], FIRST[1:]]))
    assert np.allclose(found, np.hstack([learned, 2.5 * impacts]), atol=1e-6)
    queries = _dense(own.encode_queries(QUERIES))
    scores = queries @ found.T
    apart = _dense(plain.encode_queries(QUERIES)) @ learned.T
    assert np.allclose(scores, apart + 2.5 * _dense(bm25.encode_queries(QUERIES)) @ impacts.T)
    assert scores[0].argmax() == 1
    assert np.array_equal(_dense(own.encode_queries(QUERIES[:1])), queries[:1])
    assert own.term(own.n_terms - 1) in {"own:zlatoust", "own:wolv"}
    own.save(tmp_path)
    own.save(tmp_path)
    again = load_learned(tmp_path)
    assert again.identity.sha256 == own.identity.sha256
    assert np.allclose(_dense(again.encode_documents(FIRST)), found, atol=1e-6)
    assert np.array_equal(_dense(again.encode_queries(QUERIES)), queries)
    later = _dense(again.encode_corpus([LATER]))
    assert np.allclose(later[:, plain.n_terms :], 2.5 * _dense(bm25.encode_corpus([LATER])))
    assert again.identity.sha256 != own.identity.sha256
    assert again.n_terms == plain.n_terms + bm25.n_terms


def test_a_collection_is_searched_by_both(model: Path, tmp_path: Path) -> None:
    documents = [Document(f"d{n}", text) for n, text in enumerate([*FIRST[:2], *LATER])]
    build_collection(documents, tmp_path / "index", sparse=_encoder(model, 8.0))
    collection = CollectionReader.open(tmp_path / "index")
    assert [hit.document.doc_id for hit in collection.search("Zlatoust", k=1).hits] == ["d1"]
    long = Document("long", f"{'the cat ' * 400} quokka")
    build_collection([long, *documents], tmp_path / "long", sparse=_encoder(model, 8.0))
    assert (
        CollectionReader.open(tmp_path / "long").search("quokka", k=1).hits[0].document.doc_id
        == "long"
    )


def test_a_model_says_how(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    before = open_learned(str(folder)).identity.sha256
    SearchDefaults(
        "corpus", lexical_terms=LexicalTerms(weight=1.5, k1=0.5, language="german")
    ).write(folder)
    asked = _encoder(folder, None)
    assert asked.identity.sha256 != before
    assert asked.identity.parameters["lexical_weight"] == 1.5
    assert asked.identity.parameters["idf"] == "corpus"
    assert _encoder(folder, None, idf="model").identity.parameters["idf"] == "model"
    asked.encode_corpus([["Häuser und Katzen"]])
    own = {asked.term(term) for term in range(len(asked.vocabulary), asked.n_terms)}
    assert {"own:haus", "own:katz"} <= own
    silent = _encoder(folder, 0.0)
    assert "lexical_weight" not in silent.identity.parameters
    assert silent.encode_corpus([["Katzen"]]).n_terms == silent.n_terms == len(silent.vocabulary)
    wrongs: list[object] = [{"lexical_terms": {"weight": -1}}, {"idf": "none"}, {"other": 1}, []]
    for wrong in wrongs:
        (folder / DEFAULTS_FILE).write_text(json.dumps(wrong))
        with pytest.raises(DataError, match="does not say how the model is used"):
            open_learned(str(folder))


def test_the_version_of_the_analysis_is_kept(model: Path, tmp_path: Path) -> None:
    """The first is that of files without one, and leaves the hashes as they were."""
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    text = ["infor\u00admation"]
    hashes = set()
    for version, word in ((1, "own:infor"), (2, "own:inform")):
        SearchDefaults(lexical_terms=LexicalTerms(analysis=version)).write(folder)
        said = json.loads((folder / DEFAULTS_FILE).read_text())["lexical_terms"]
        assert said.get("analysis", 1) == version
        assert ("analysis" in said) == (version > 1)
        encoder = _encoder(folder, None)
        encoder.encode_corpus([text])
        assert encoder.find_terms([word]) != [None]
        hashes.add(encoder.identity.sha256)
        assert _version(_encoder(folder, 2.0)) == version
    assert len(hashes) == 2
    assert LexicalTerms().to_dict() == {"weight": 8.0, "k1": 1.2, "b": 0.75, "language": "english"}
    (folder / DEFAULTS_FILE).unlink()
    assert _version(_encoder(folder, 2.0)) == 2


def test_own_terms_have_names_of_their_own(model: Path, tmp_path: Path) -> None:
    encoder = _encoder(model, 2.0)
    texts = ["the cat and the wolves", "a cat"]
    documents = [Document(f"d{n}", text) for n, text in enumerate(texts)]
    build_collection(documents, tmp_path / "index", sparse=encoder)
    names = [encoder.term(term) for term in range(encoder.n_terms)]
    assert len(set(names)) == len(names)
    asked = ["cat", "own:cat", "own:wolv", "own:none", "wolv"]
    cat = encoder.vocabulary.index("cat")
    own = [names.index(name) for name in ("own:cat", "own:wolv")]
    assert encoder.find_terms(asked) == [cat, *own, None, None]
    done("index", "export", tmp_path / "index", tmp_path / "vectors.jsonl")
    lines = (tmp_path / "vectors.jsonl").read_text().splitlines()
    first = json.loads(lines[0])["vector"]
    assert {"own:cat", "own:wolv"} <= set(first)


def test_pruning_leaves_own_words(model: Path) -> None:
    plain, own = (_encoder(model, weight, max_active=2) for weight in (0.0, 8.0))
    text = ["cat wolf bear dog"]
    assert plain.encode_corpus([text]).nnz == 2
    assert own.encode_corpus([text]).nnz == 2 + 4


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    splade = symmetric(tmp_path)
    with pytest.raises(InputError, match="leave their weight at 0"):
        _encoder(splade, 1.0)
    assert _encoder(splade, 0.0).encode_documents(["cat"]).nnz
    wrongs: tuple[dict[str, Any], ...] = (
        {"weight": -1.0},
        {"k1": 0.0},
        {"b": 1.5},
        {"k1": float("nan")},
        {"analysis": 3},
    )
    for wrong in wrongs:
        with pytest.raises(InputError, match=f"own terms: {next(iter(wrong))} is"):
            LexicalTerms(**wrong)


def test_own_tokens_are_added_as_scipy_adds_them() -> None:
    """To the bit: counts, shares, sums and what is left out."""
    random = np.random.default_rng(0)
    n_terms, words = 40, [f"w{number}" for number in range(40)]
    texts = []
    for n_passages in (1, 3, 1, 9, 2):
        drawn = (random.integers(0, n_terms, random.integers(0, 30)) for _ in range(n_passages))
        passages = [" ".join(words[each] for each in one) for one in drawn]
        texts.append(PassagedText(" ".join(passages), tuple(passages)))

    class Pieces:
        def encode(self, split: list[str], *, whole: bool) -> tuple[Any, Any]:
            lines = [[int(word[1:]) for word in text.split()] for text in split]
            ends = np.cumsum([0, *map(len, lines)])
            return ends, np.array([each for line in lines for each in line], np.int32)

    n_rows = sum(len(text.passages) for text in texts)
    dense = random.random((n_rows, n_terms), np.float32) * (random.random((n_rows, n_terms)) < 0.2)
    vectors = CSR.from_scipy(csr_array(dense.astype(np.float32)))
    table = random.random(n_terms, np.float32)
    found = with_own_tokens(vectors, texts, Pieces(), table, 0.3, 14.0)  # type: ignore[arg-type]

    counts = [len(text.passages) for text in texts]
    ends, tokens = Pieces().encode(
        [part if len(text.passages) > 1 else "" for text in texts for part in text.passages],
        whole=True,
    )
    own = csr_array((np.ones(len(tokens), np.float32), tokens, ends), shape=(n_rows, n_terms))
    own.sum_duplicates()
    own.data = own.data / (own.data + np.float32(OWN_SATURATION))
    shares = np.repeat(_length(counts), counts) * np.float32(OWN_SHARE * 14.0)
    own.data = own.data * np.repeat(shares, np.diff(own.indptr))
    own.data *= table[own.indices] >= 0.3
    expected = CSR.from_scipy(to_scipy(vectors) + own)
    assert expected.nnz > vectors.nnz
    for name in ("indptr", "terms", "weights"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()
