"""Figures of a model on a judged collection, beside what is computed the long way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lsr.datasets.beir import write_beir
from lsr.errors import InputError
from lsr.training.config.train import EncoderConfig, Mlm, Table
from lsr.training.loop.evaluator import EvaluationSet, evaluate_model, top_terms
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
