"""One rule of types for filters: from a shell and from Python, over tables and JSON lines."""

from __future__ import annotations

import json
from pathlib import Path

import lsr
from tests.cli.test_app import BM25, run


def test_one_rule_of_types_for_tables_and_lines(tmp_path: Path) -> None:
    """What a CSV file calls text and JSON a number is found alike, from a shell and from Python."""
    values = {"year": "2020", "zip": "01234", "version": "1.10", "big": "1e5", "open": "true"}
    line = {"_id": "line", "text": "heron", "year": 2020, "version": 1.1, "big": 1e5, "open": True}
    header, row = ",".join(values), ",".join(values.values())
    (tmp_path / "a.csv").write_text(f"id,text,{header}\ntable,heron,{row}\n")
    (tmp_path / "b.jsonl").write_text(json.dumps({**line, "zip": 1234}) + "\n")
    index = tmp_path / "index"
    assert run("index", "build", *BM25, tmp_path / "a.csv", index).exit_code == 0
    assert run("index", "add", index, tmp_path / "b.jsonl").exit_code == 0
    for text, expected in {
        "year=2020": ["line", "table"],
        "year=2020.0": ["line"],
        'year="2020"': ["line", "table"],
        '{"year": 2020}': ["line", "table"],
        "year>=2020": ["line", "table"],
        "year>2020": [],
        "zip=01234": ["table"],
        "zip=1234": ["line"],
        "version=1.10": ["line", "table"],
        "version=1.1": ["line"],
        '{"version": 1.1}': ["line", "table"],
        "big=1e5": ["line", "table"],
        "big=100000": ["line"],
        "open=true": ["line", "table"],
        '{"open": true}': ["line", "table"],
        "open=1": [],
        "!open": [],
        "zip=null": [],
        "zip!=1234": ["table"],
        "year=2020|2021": ["line", "table"],
    }.items():
        found = json.loads(run("search", index, "heron", "--filter", text, "--json").stdout)
        assert sorted(hit["doc_id"] for hit in found["hits"]) == expected, text
    with lsr.open(index) as opened:
        assert len(opened.search("heron", where={"year": 2020}).hits) == 2


def test_facets_order_and_groups(tmp_path: Path) -> None:
    rows = [
        "id,text,year,kind",
        "a,heron,2020,bird",
        "b,heron heron,2019,bird",
        "c,heron pike,,fish",
    ]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    index = tmp_path / "index"
    assert run("index", "build", *BM25, tmp_path / "a.csv", index).exit_code == 0
    words = ["search", index, "heron", "--facet", "kind", "--sort", "year:desc", "--count"]
    shown = run(*words, "--collapse", "kind").stdout
    assert "3 match\nkind: bird 2, fish 1; without: 0\n" in shown
    assert "and 1 more with 'bird'" in shown
    answer = json.loads(run(*words, "--json").stdout)
    assert [hit["doc_id"] for hit in answer["hits"]] == ["a", "b", "c"]
    assert answer["n_matches"] == 3
    assert answer["facets"][0]["values"][0] == {"value": "bird", "count": 2}
    least = str(answer["hits"][1]["score"])
    few = json.loads(run("search", index, "heron", "--min-score", least, "--json").stdout)
    assert [hit["doc_id"] for hit in few["hits"]] == ["b"]
    told = json.loads(run("index", "info", index, "--json").stdout)["fields"]
    assert told == {"kind": "text", "year": "text of numbers"}
    assert "fields         kind: text; year: text of numbers" in run("index", "info", index).stdout
    with lsr.open(index) as opened:
        assert opened.search("heron", facets=["kind"], sort="year", count=True).n_matches == 3
