"""Figures of a model on a judged collection, beside what is computed the long way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lsr.datasets.beir import write_beir
from lsr.errors import DataError, InputError
from lsr.training.config.train import EncoderConfig, EvaluationConfig, Mlm, Table
from lsr.training.config.yaml_file import config_of
from lsr.training.loop.evaluator import EvaluationSet, evaluate_model, top_terms
from lsr.training.loop.metrics_log import read_metrics
from lsr.training.loop.run import train_model
from lsr.training.models.sparse_encoder import make_model
from lsr.types import Document, Query
from tests.support.tiny_models import WORDS, tiny_base

DOCUMENTS = [Document(f"d{n}", " ".join(WORDS[n : n + 6]), "the") for n in range(20, 80, 3)]
QUERIES = [Query(f"q{n}", " ".join(WORDS[n : n + 2])) for n in range(20, 50, 3)]
QRELS = {query.query_id: {f"d{query.query_id[1:]}": 2, "d20": 1} for query in QUERIES}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def given() -> EvaluationSet:
    return EvaluationSet("small", DOCUMENTS, QUERIES, QRELS, cut=False)


@pytest.mark.parametrize("query", [Table(), Mlm()])
def test_figures_are_those_of_whole_vectors(base: Path, given: EvaluationSet, query: Any) -> None:
    idf = np.linspace(0.5, 3, 183).astype(np.float32)
    model = make_model(EncoderConfig(base=str(base), query=query, shared=False), idf)
    model.train()
    found = evaluate_model(model, given, batch_size=4)
    assert model.training
    model.eval()
    queries = model.encode_query([each.text for each in QUERIES], convert_to_sparse_tensor=False)
    documents = model.encode_document(given.texts, convert_to_sparse_tensor=False)
    scores = queries @ documents.T
    gains = []
    for row, each in enumerate(QUERIES):
        relevant = QRELS[each.query_id]
        order = np.lexsort((np.arange(len(DOCUMENTS)), -scores[row].numpy()))[:10]
        grades = [relevant.get(DOCUMENTS[place].doc_id, 0) for place in order]
        ideal = sorted(relevant.values(), reverse=True)
        dcg, best = (
            sum(grade / np.log2(rank + 2) for rank, grade in enumerate(some))
            for some in (grades, ideal)
        )
        gains.append(dcg / best)
    assert found.metrics["nDCG@10"] == pytest.approx(np.mean(gains), abs=1e-6)
    assert found.terms == pytest.approx(float((documents > 0).sum(1).float().mean()))
    both = (queries > 0).float().mean(0) @ (documents > 0).float().mean(0)
    assert found.flops == pytest.approx(float(both), rel=1e-5)


def test_a_cut_set_keeps_the_judged_documents(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_beir(folder, DOCUMENTS, QUERIES, {"test": QRELS})
    whole = EvaluationSet.read(folder)
    assert (len(whole.documents), whole.cut) == (len(DOCUMENTS), False)
    few = EvaluationSet.read(folder, 12)
    assert len(few.documents) == 12
    assert few.cut
    judged = {doc_id for relevant in QRELS.values() for doc_id in relevant}
    assert judged <= {document.doc_id for document in few.documents}


def test_judged_queries_without_text_count_as_in_lsr_eval(base: Path, tmp_path: Path) -> None:
    """As 0, and named; where none has text there is nothing to measure."""
    without = [*QUERIES, Query("q90", " "), Query("q91", "")]
    judged = QRELS | {"q90": {"d20": 1}, "q91": {"d20": 1}, "q92": {"d20": 1}, "q93": {}}
    write_beir(tmp_path / "set", DOCUMENTS, without, {"test": judged})
    given = EvaluationSet.read(tmp_path / "set")
    (note,) = given.notes
    assert note == "set: 3 judged queries (q90, q91, q92) have no text: counted as 0"
    model = make_model(EncoderConfig(base=str(base)), np.ones(183, np.float32))
    whole = EvaluationSet("whole", DOCUMENTS, QUERIES, QRELS, cut=False)
    share = len(QUERIES) / (len(QUERIES) + 3)
    expected = evaluate_model(model, whole).metrics["nDCG@10"] * share
    assert evaluate_model(model, given).metrics["nDCG@10"] == pytest.approx(expected)
    write_beir(tmp_path / "none", DOCUMENTS, without[-2:], {"test": {"q90": {"d20": 1}}})
    with pytest.raises(InputError, match="no judged query has text"):
        EvaluationSet.read(tmp_path / "none")


def test_a_query_that_is_a_document_is_no_answer_to_itself(base: Path, tmp_path: Path) -> None:
    queries = [Query("d20", f"the {DOCUMENTS[0].text}")]
    write_beir(tmp_path / "set", DOCUMENTS, queries, {"test": {"d20": {"d23": 1}}})
    given = EvaluationSet.read(tmp_path / "set")
    assert given.itself == {"d20"}
    model = make_model(EncoderConfig(base=str(base)), np.ones(183, np.float32))
    counted = replace(given, itself=frozenset())
    found, with_itself = (evaluate_model(model, each) for each in (given, counted))
    assert found.metrics["nDCG@10"] > with_itself.metrics["nDCG@10"]


def test_terms_of_a_text_heaviest_first(base: Path) -> None:
    model = make_model(EncoderConfig(base=str(base)), np.ones(183, np.float32))
    found = top_terms(model, ["cat dog", "moon"], k=3)
    assert [len(each) for each in found] == [3, 3]
    for terms in found:
        assert [weight for _, weight in terms] == sorted((w for _, w in terms), reverse=True)
    vector = model.encode_document(["moon"], convert_to_sparse_tensor=False)[0]
    best = int(torch.argmax(vector))
    assert found[1][0][0] == model.tokenizer.convert_ids_to_tokens(best)


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A set of the catalogue of ir_datasets whose files are here."""
    import ir_datasets

    docs, queries, qrels = (tmp_path / name for name in ("docs.tsv", "queries.tsv", "qrels"))
    docs.write_text("".join(f"{each.doc_id}\t{each.text}\n" for each in DOCUMENTS))
    queries.write_text("".join(f"{each.query_id}\t{each.text}\n" for each in QUERIES))
    judged = [(q, d, grade) for q, grades in QRELS.items() for d, grade in grades.items()]
    qrels.write_text("".join(f"{q} 0 {d} {grade}\n" for q, d, grade in judged))
    made = ir_datasets.create_dataset(str(docs), str(queries), str(qrels))
    registry = ir_datasets.registry._registered
    monkeypatch.setitem(registry, "nano-beir/scifact", made)
    return "irds:nano-beir/scifact"


def test_a_set_of_the_catalogue_is_read(registered: str, tmp_path: Path) -> None:
    found = EvaluationSet.read(registered)
    assert (found.name, found.cut) == ("nano-beir-scifact", False)
    assert (found.queries, found.qrels) == (QUERIES, QRELS)
    assert [each.text for each in found.documents] == [each.text for each in DOCUMENTS]
    cut = EvaluationSet.read(registered, 12)
    assert (len(cut.documents), cut.cut) == (12, True)
    assert {f"d{each.query_id[1:]}" for each in QUERIES} <= {d.doc_id for d in cut.documents}
    with pytest.raises(DataError, match="no such id in ir_datasets"):
        EvaluationSet.read("irds:nano-beir/sciface")
    (tmp_path / "qrels").write_text("other 0 d20 1\n")
    with pytest.raises(InputError, match="irds:nano-beir/scifact: no judged query has text"):
        EvaluationSet.read(registered)


def test_nano_beir_is_measured_while_training(base: Path, registered: str, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"query": q.text, "positive": d.text} for q, d in zip(QUERIES, DOCUMENTS, strict=False)]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = {
        "output": str(tmp_path / "run"),
        "encoder": {"base": str(base)},
        "warm_start": "never",
        "guard": {"max_spread": 1e9, "min_terms": 0},
        "evaluation": {"nano_beir": ["scifact"], "every": 2},
        "stages": [
            {
                "data": {"sources": [{"path": str(pairs)}]},
                "losses": [{"kind": "infonce"}],
                "optim": {"steps": 4, "queries": 4},
            }
        ],
    }
    outcome = train_model(config_of(config, (), "test"))
    assert [each.name for each in outcome.figures] == ["nano-beir-scifact"]
    assert outcome.figures[0].metrics["nDCG@10"] > 0
    lines = read_metrics(tmp_path / "run/metrics.jsonl")
    assert [line["step"] for line in lines if "eval_nano-beir-scifact nDCG@10" in line] == [2, 4]
    assert "| nano-beir-scifact |" in (outcome.model / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"nano_beir": ["scifac"]}, "no set 'scifac'; did you mean 'scifact'"),
        ({"nano_beir": True, "sets": ["irds:nano-beir/nq"]}, "irds:nano-beir/nq is to be measured"),
        ({"sets": ["a", "a"]}, "a is to be measured twice"),
    ],
)
def test_sets_that_are_not_there_or_named_twice(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        EvaluationConfig.model_validate(given)


def test_all_sets_of_nano_beir() -> None:
    sources = EvaluationConfig(sets=("mine",), nano_beir=True).sources
    assert len(sources) == 14
    assert sources[:2] == ["mine", "irds:nano-beir/arguana"]
    assert EvaluationConfig().sources == []
