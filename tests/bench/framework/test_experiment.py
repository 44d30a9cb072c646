"""The command over a toy collection: its page, what is kept, what fails, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.framework import experiment
from bench.framework.__main__ import main
from lsr.errors import ModelError
from lsr.training.loop.run import train_model
from tests.support.tiny_models import WORDS, tiny_base

METHODS = "tildev2,mlm-binary"
FIGURES = ("ndcg", "mrr", "query_terms", "document_terms", "flops", "ms", "ratio")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("models") / "base", spread=0.2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of twenty documents, ten queries to train on and ten to measure, one in both."""
    folder = tmp_path_factory.mktemp("data")
    toy = folder / "eval" / "toy"
    (toy / "qrels").mkdir(parents=True)
    texts = [" ".join(WORDS[n * 4 : n * 4 + 6]) for n in range(20)]
    asked = [" ".join(text.split()[1:3]) for text in texts] + [" ".join(texts[0].split()[1:3])]
    for name, lines in (("corpus", texts), ("queries", asked)):
        rows = [json.dumps({"_id": f"{name[0]}{n}", "text": text}) for n, text in enumerate(lines)]
        (toy / f"{name}.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    for split, numbers in (("test", range(10)), ("train", range(10, 21))):
        judged = [f"q{n}\tc{n % 20}\t1" for n in numbers]
        (toy / "qrels" / f"{split}.tsv").write_text(
            "\n".join(["query-id\tcorpus-id\tscore", *judged]) + "\n", "utf-8"
        )
    return folder


def words(data: Path, base: Path, work: Path, *more: str) -> list[str]:
    given = {"--data": data, "--base": base, "--layers": 0, "--work": work, "--steps": 3}
    given |= {"--queries": 4, "--document-tokens": 24, "--expansion-terms": 4}
    given |= {"--timed-queries": 12, "--dense": base, "--json": work / "page.json"}
    told = [text for name, value in given.items() for text in (name, str(value))]
    return [*told, "--teacher", "bm25", *more]


def page(work: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((work / "page.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def done(data: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("work")
    assert main(words(data, base, work, "--only", METHODS)) == 0
    return work


def test_the_page_has_every_method_with_all_figures(done: Path) -> None:
    found = page(done)
    rows = {row["name"]: row for row in found["methods"]}
    assert next(iter(rows)) == "BM25"
    for name in METHODS.split(","):
        assert set(rows[name]["figures"]) == {"toy"}
        assert all(rows[name]["mean"][figure] is not None for figure in FIGURES), name
        assert rows[name]["minutes"] > 0
    assert rows["tildev2"]["document"] == "mlp, expanded"
    assert rows["tildev2"]["loss"] == "infonce"
    assert (rows["mlm-binary"]["query"], rows["mlm-binary"]["document"]) == ("mlm", "binary")
    assert rows["tildev2"]["mean"]["query_terms"] == 2
    assert rows["BM25"]["mean"]["query_terms"] == 1, "without stop words"
    text = (done / "page.md").read_text("utf-8")
    assert "| tildev2 | 3 | binary | mlp, expanded | infonce |" in text
    assert "| document weighting | 1a | mlm-binary | mlm-mlp | not measured |" in text
    assert "toy: 1 training queries are evaluated, and left out" in text


def test_what_is_expanded_is_longer(done: Path) -> None:
    (cut,) = done.glob("data-*/test/toy/corpus.jsonl")
    (longer,) = done.glob("expanded-*/test/toy/corpus.jsonl")
    pairs = zip(cut.read_text().splitlines(), longer.read_text().splitlines(), strict=True)
    for plain, expanded in pairs:
        own = json.loads(plain)["text"].split()
        told = json.loads(expanded)["text"].split()
        assert told[: len(own)] == own
        assert len(told) == len(own) + 4


def test_a_second_call_trains_nothing(
    data: Path, base: Path, done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = page(done)
    trained: list[Any] = []
    monkeypatch.setattr(experiment, "train_model", lambda *given: trained.append(given))
    assert main(words(data, base, done, "--only", METHODS)) == 0
    assert trained == []
    assert page(done)["methods"] == before["methods"]
    assert main(words(data, base, done, "--only", METHODS, "--minutes", "0")) == 1
    assert all("not begun in the 0 minutes" in row["failure"] for row in page(done)["methods"][2:])


def test_an_interrupted_method_goes_on(
    data: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is begun again by the trainer, in the same folder, and its time is added up."""
    begun: list[str] = []

    def killed(config: Any, progress: Any, report: Any) -> Any:
        begun.append(config.output)

        def stops(stage: str, steps: int, total: int, figures: Any) -> None:
            report(stage, steps, total, figures)
            if len(begun) == 1 and steps == 2:
                raise KeyboardInterrupt

        return train_model(config, progress, stops)

    monkeypatch.setattr(experiment, "train_model", killed)
    monkeypatch.setattr(experiment, "SECONDS_BETWEEN_NOTES", 0.0)
    asked = words(data, base, tmp_path, "--only", "mlm-binary")
    assert main(asked) == 130
    (seconds,) = (tmp_path / "runs").glob("*.seconds")
    first = float(seconds.read_text())
    assert main(asked) == 0
    assert len(begun) == 2
    assert begun[0] == begun[1]
    assert page(tmp_path)["methods"][2]["minutes"] >= first / 60


def test_a_method_that_fails_is_a_row(
    data: Path, base: Path, done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: object) -> None:
        raise ModelError("its weights ran away\nat step 2")

    monkeypatch.setattr(experiment, "train_model", fails)
    assert main(words(data, base, done, "--only", "sparta,mlm-binary")) == 1
    rows = {row["name"]: row for row in page(done)["methods"]}
    assert rows["sparta"]["failure"] == "its weights ran away"
    assert rows["sparta"]["mean"] is None
    assert rows["mlm-binary"]["mean"]["ndcg"] >= 0, "the rest goes on"
    text = (done / "page.md").read_text("utf-8")
    assert "- sparta: its weights ran away" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("| ")}) <= 3


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--only", "splade-dok"], "there is no method splade-dok; choose from splade-doc, tilde"),
        (["--data", "nowhere"], "--data nowhere: no such folder; give one that has eval/NAME"),
        (["--eval", "scifakt"], "--eval scifakt: there is no such collection"),
        (["--teacher", "oracle"], "--teacher oracle: give one of bm25, dense"),
        (["--lr", "fast"], "--lr fast: give a number, or preset"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    data: Path, base: Path, tmp_path: Path, capsys: Any, more: list[str], said: str
) -> None:
    assert main(words(data, base, tmp_path, *more)) == 2
    told = capsys.readouterr().err.strip()
    assert told.startswith("error: ")
    assert said in told
    assert "\n" not in told
    assert not list(tmp_path.iterdir())


def test_a_folder_without_collections_is_refused(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "eval").mkdir()
    assert main(["--data", str(tmp_path), "--work", str(tmp_path / "work")]) == 2
    assert "there is no BEIR folder in" in capsys.readouterr().err
    assert main(["--train", "rows.jsonl"]) == 2
    assert "give --data FOLDER, or both --train" in capsys.readouterr().err
