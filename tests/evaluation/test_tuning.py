"""Tuning: folds, values beside ranx, what is kept and what is not, and the command."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import lsr.evaluation.tuning
import lsr.index.collection.retrievers
from lsr.cli.app import app
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import InputError
from lsr.evaluation.tuning import WEIGHTS, Tuner, TuningResult, spread
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.tuned_plan import TUNED_PLAN_FILE
from lsr.retrieval.plan import plan_from
from lsr.types import Document, EncoderIdentity, Qrels, Query

N_TOPICS = 12
DOCUMENTS_A_TOPIC = 8
WORDS = "reed heron pike otter owl newt carp eel".split()


class TopicVectors:
    """A dense encoder that sees topics, which words hide: a text's number, a little blurred."""

    identity = EncoderIdentity("dense", "topics", "0" * 64)
    dimension = N_TOPICS

    def __init__(self) -> None:
        self.n_queries = 0

    def encode_documents(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), N_TOPICS), np.float32)
        for i, text in enumerate(texts):
            topic = int(re.findall(r"\d+", f"{text} 0")[0])
            vectors[i] = np.random.default_rng(crc32(text.encode())).normal(0, 0.25, N_TOPICS)
            vectors[i, topic % N_TOPICS] += 1
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.n_queries += len(texts)
        return self.encode_documents(texts)


def corpus() -> list[Document]:
    """Documents of a topic share a number, which is no word of a query; words are at random."""
    rng = np.random.default_rng(3)
    return [
        Document(f"{topic}-{i}", f"{topic} {' '.join(rng.choice(WORDS, 4 + i))}")
        for topic in range(N_TOPICS)
        for i in range(DOCUMENTS_A_TOPIC)
    ]


def judged() -> tuple[list[Query], Qrels]:
    """Three queries a topic; their words lead nowhere, and one of them has no known word."""
    rng = np.random.default_rng(4)
    queries, qrels = [], {}
    for topic in range(N_TOPICS):
        for i in range(3):
            name = f"q{topic}.{i}"
            words = " ".join(rng.choice(WORDS, 2)) if i else "unicorn"
            queries.append(Query(name, f"x{topic + N_TOPICS * i} {words}"))
            qrels[name] = {f"{topic}-{j}": 1 + j % 2 for j in range(DOCUMENTS_A_TOPIC)}
    return queries, qrels


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("tuning") / "topics"
    build_collection(corpus(), target, sparse=Bm25Encoder(), dense=TopicVectors())
    return target


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> TopicVectors:
    made = TopicVectors()
    monkeypatch.setattr(
        lsr.index.collection.retrievers, "open_dense_encoder", lambda name, **_: made
    )
    return made


@pytest.fixture
def collection(index: Path, encoder: TopicVectors) -> Iterator[CollectionReader]:
    opened = CollectionReader.open(index)
    yield opened
    opened.close()


@pytest.fixture
def few_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short coordinate search, where its result does not matter."""
    few = tuple(step._replace(choices=step.choices[:1]) for step in lsr.evaluation.tuning._STEPS)
    monkeypatch.setattr(lsr.evaluation.tuning, "_STEPS", few)


def tuner(collection: CollectionReader, **options: Any) -> Tuner:
    queries, qrels = judged()
    return Tuner(collection.hybrid, collection.segment.doc_ids, queries, qrels, **options)


def test_the_better_side_gets_the_weight(
    collection: CollectionReader, encoder: TopicVectors, few_choices: None
) -> None:
    made = tuner(collection)
    assert encoder.n_queries == len(judged()[0]), "each query is encoded once"
    tuned = made.tune()
    assert encoder.n_queries == len(judged()[0])
    assert tuned.chosen != "default"
    assert set(tuned.candidates) == {"default", "weight", "feedback"}
    default, weight = tuned.candidates["default"], tuned.candidates["weight"]
    assert default.plan.fusion.weight_sparse == 0.3
    assert weight.plan.fusion.weight_sparse is not None
    assert weight.plan.fusion.weight_sparse < 0.3
    assert weight.held_out > default.held_out + 0.005
    assert weight.dev >= weight.held_out
    assert default.against is None
    assert weight.against is not None
    assert weight.against.wins > weight.against.losses
    assert tuned.plan == tuned.candidates[tuned.chosen].plan
    assert tuned.plan_to_keep.mode is None
    assert tuned.plan_to_keep.fusion == tuned.plan.fusion


def test_values_are_those_of_ranx(collection: CollectionReader) -> None:
    """ranx fuses and measures every weight; searching with that weight gives the same values."""
    made = tuner(collection)
    made.tune(np.arange(12))
    by_weight = made._by_weight
    assert by_weight is not None
    assert by_weight.shape == (len(WEIGHTS), made.n_queries)
    for i in (0, 3, 6, 10, 20):
        plan = plan_from({"mode": "hybrid", "fusion": {"weight_sparse": WEIGHTS[i]}})
        mine = made.values(plan.resolved(collection.modes))
        if 0 < WEIGHTS[i] < 1:
            assert mine == pytest.approx(by_weight[i], abs=1e-9)
        else:  # a side alone adds no candidates, where ranx ranks those of both
            assert mine.mean() == pytest.approx(by_weight[i].mean(), abs=0.05)


def test_queries_that_find_nothing_count(collection: CollectionReader) -> None:
    sparse_only = plan_from({"mode": "sparse"}).resolved(collection.modes)
    values = tuner(collection).values(sparse_only)
    assert len(values) == len(judged()[0])
    assert (values[::3] == 0).all(), "every third query has no known word"


def test_feedback_that_does_not_pay_is_left_off(
    collection: CollectionReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With values that feedback makes worse, or leaves alone, on held-out queries."""
    made = tuner(collection)
    rng = np.random.default_rng(1)
    base = rng.random(made.n_queries)

    def values(plan: Any) -> NDArray[np.float64]:
        if plan.prf.interpolate == "none":
            return base
        # noise: some choice is always better on what it is chosen on, and not elsewhere
        seed = hash((plan.prf.depth, plan.prf.dense.beta, plan.prf.weight_sparse_pre)) % 2**32
        noise = np.random.default_rng(seed).normal(0, 0.02, made.n_queries)
        mixed: NDArray[np.float64] = base - 0.01 + noise
        return mixed

    monkeypatch.setattr(made, "values", values)
    monkeypatch.setattr(made, "_by_weight", np.full((len(WEIGHTS), made.n_queries), 0.5))
    tuned = made.tune()
    assert tuned.chosen == "default"
    assert tuned.candidates["weight"].plan.fusion.weight_sparse == 0.3, "ties stay where they are"
    assert tuned.candidates["feedback"].dev > tuned.candidates["feedback"].held_out
    assert tuned.plan.prf.interpolate == "none"


def test_sparse_feedback_only_when_asked(collection: CollectionReader, few_choices: None) -> None:
    assert not tuner(collection).tune().candidates["feedback"].plan.prf.sparse.enabled
    asked: list[bool] = []
    made = tuner(collection, sparse_feedback=True)
    values = made.values

    def watched(plan: Any) -> NDArray[np.float64]:
        asked.append(plan.prf.sparse.enabled)
        return values(plan)

    made.values = watched  # type: ignore[method-assign]
    made.tune(folds=2)
    assert any(asked)


def test_folds(collection: CollectionReader) -> None:
    made = tuner(collection)
    everything = np.arange(made.n_queries)
    pairs = made.folds(everything, 5)
    assert len(pairs) == 5
    assert sorted(np.concatenate([test for _, test in pairs]).tolist()) == everything.tolist()
    for train, test in pairs:
        assert not set(train) & set(test)
        assert len(train) + len(test) == made.n_queries
    again = tuner(collection).folds(everything, 5)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(pairs, again, strict=True))
    assert len(made.folds(everything[:3], 5)) == 3


def test_cost_is_measured_anew(collection: CollectionReader) -> None:
    made = tuner(collection)
    costs = made.cost_ms(plan_from({}).resolved(collection.modes))
    assert costs.shape == (made.n_queries,)
    assert (costs > 0).all()


def test_spread() -> None:
    assert spread(list(range(10)), 0) == spread(list(range(10)), 10) == list(range(10))
    assert spread(list(range(10)), 4) == [0, 3, 6, 9]
    assert len(set(spread(list(range(997)), 500))) == 500


def test_refusals(collection: CollectionReader, built: Path) -> None:
    queries, qrels = judged()
    doc_ids = collection.segment.doc_ids
    with pytest.raises(InputError, match="9 judged queries are too few to tune on; at least 10"):
        Tuner(collection.hybrid, doc_ids, queries[:9], qrels)
    with pytest.raises(InputError, match="the measure ERR@10 cannot be tuned for"):
        Tuner(collection.hybrid, doc_ids, queries, qrels, metric="ERR@10")
    sparse = CollectionReader.open(built)
    with pytest.raises(InputError, match="has no dense vectors"):
        Tuner(sparse.hybrid, doc_ids, queries, qrels)
    sparse.close()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The judged queries as BEIR writes them."""
    queries, qrels = judged()
    lines = [json.dumps({"_id": query.query_id, "text": query.text}) for query in queries]
    (tmp_path / "queries.jsonl").write_text("\n".join(lines), encoding="utf-8")
    judgements = [f"{q}\t{d}\t{g}" for q, grades in qrels.items() for d, g in grades.items()]
    (tmp_path / "dev.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(judgements))
    return tmp_path / "queries.jsonl", tmp_path / "dev.tsv"


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_command_stores_what_later_searches_use(
    tmp_path: Path, encoder: TopicVectors, files: tuple[Path, Path], few_choices: None
) -> None:
    index = tmp_path / "index"
    build_collection(corpus(), index, sparse=Bm25Encoder(), dense=TopicVectors())
    arguments = ("tune", index, "--queries", files[0], "--qrels", files[1])
    lost = tmp_path / "lost.qrels"
    lost.write_text(files[1].read_text() + "\ngone\td0\t1\n")
    dry = run(*arguments[:-1], lost, "--dry-run", "--json")
    assert dry.exit_code == 0, dry.output
    assert "warning: 1 judged query (gone) without text in" in dry.stderr
    assert not (index / TUNED_PLAN_FILE).exists()
    told = run(*arguments, "--json")
    found = json.loads(told.stdout)
    assert found["stored"] == str(index / TUNED_PLAN_FILE)
    assert found["chosen"] != "default"
    assert found["metric"] == "nDCG@10"
    assert found["n_queries"] == len(judged()[0])
    for figures in found["candidates"].values():
        assert figures["p95_ms"] >= figures["median_ms"] > 0
    assert json.loads(run("index", "info", index, "--json").stdout)["tuned_plan"]
    plan = json.loads(run("search", index, "x3 heron", "--json").stdout)["plan"]
    assert plan["fusion"] == found["plan"]["fusion"]
    assert plan["prf"] == found["plan"]["prf"]
    given = json.loads(run("search", index, "x3 heron", "--weight-sparse", "0.9", "--json").stdout)
    assert given["plan"]["fusion"]["weight_sparse"] == 0.9
    table = run(*arguments)
    assert "(kept)" in table.stdout
    assert "delete the file to go back to the defaults" in table.stderr


def test_the_command_refuses(
    index: Path, encoder: TopicVectors, files: tuple[Path, Path], tmp_path: Path
) -> None:
    other = tmp_path / "other.qrels"
    other.write_text("nobody 0 nothing 1\n")
    for arguments, sentence in [
        (("--queries", files[0], "--qrels", other), "has judgements in"),
        (("--queries", tmp_path / "no", "--qrels", files[1]), "no such file; check the path"),
        (("--queries", files[0], "--qrels", files[0]), "fields where 4 are needed"),
        (("--queries", files[0], "--qrels", files[1], "--metric", "nDGC@10"), "not a measure"),
        (("--queries", files[0], "--qrels", files[1], "--set", "window=0"), "window is 0"),
    ]:
        result = run("tune", index, *arguments)
        assert result.exit_code == 2
        assert sentence in result.stderr, result.stderr
        assert not (index / TUNED_PLAN_FILE).exists()


def test_an_interrupted_run_stores_nothing(
    index: Path,
    encoder: TopicVectors,
    files: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object, **__: object) -> TuningResult:
        raise KeyboardInterrupt

    monkeypatch.setattr(Tuner, "tune", interrupted)
    result = run("tune", index, "--queries", files[0], "--qrels", files[1])
    assert result.exit_code == 130
    assert not (index / TUNED_PLAN_FILE).exists()
