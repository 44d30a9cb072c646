"""Readers of files: what they make of good input, and where they say bad input is bad."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lsr.datasets.open import open_corpus, reading_of
from lsr.datasets.reading import ReadOptions
from lsr.datasets.records import Columns, JsonLines, Table
from lsr.datasets.text_folder import TextFolder
from lsr.errors import DataError, InputError
from lsr.types import Document
from tests.support.bad_files import refused, wrote

# JSON lines


def read_jsonl(path: Path, columns: Columns | None = None) -> list[Document]:
    return list(JsonLines(path, columns).documents())


def test_json_fields(tmp_path: Path) -> None:
    lines = [
        {"_id": "a", "title": "T", "text": "x", "year": 2001, "none": None, "tags": ["p", "q"]},
        {"doc_id": 7, "contents": "y", "metadata": {"lang": "de", "year": 1}, "year": 2},
        {"id": "c", "headline": "only a title"},
        {"docid": "d", "body": None, "title": None, "metadata": "odd"},
        {"_id": "e", "id": "inner", "text": "t", "body": "more"},
    ]
    text = "\n\n".join(json.dumps(line) for line in lines) + "\n  \n"
    path = wrote(tmp_path / "corpus.v2.jsonl", text)
    assert JsonLines(path).name == "corpus"
    assert read_jsonl(path) == [
        Document("a", "x", "T", {"year": 2001, "tags": ["p", "q"]}),
        Document("7", "y", "", {"lang": "de", "year": 1}),
        Document("c", "", "only a title"),
        Document("d", "", "", {"metadata": "odd"}),
        Document("e", "t", "", {"id": "inner", "body": "more"}),
    ]
    assert read_jsonl(path) == list(JsonLines(path).documents()), "it can be read again"


def test_json_columns(tmp_path: Path) -> None:
    path = wrote(tmp_path / "a.jsonl", '{"PMID": 5, "abstract": "x", "text": "y", "h": "T"}\n')
    columns = Columns.parse("doc_id=PMID, text=abstract,,title=h")
    assert columns == Columns("PMID", "abstract", "h")
    assert read_jsonl(path, columns) == [Document("5", "x", "T", {"text": "y"})]
    assert Columns.parse("") == Columns()


@pytest.mark.parametrize("text", ["doc_id", "doc_id=", "colour=x", "=x", "text=a,b"])
def test_bad_columns(text: str) -> None:
    with pytest.raises(InputError, match="is not a column; write doc_id=COLUMN"):
        Columns.parse(text)


GOOD = '{"_id": "a", "text": "x"}'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"_id": "b", "text": ', "not valid JSON"),
        ("not json", "not valid JSON"),
        ('{"_id": "b"} {}', "not valid JSON"),
        ("[" * 100_000, "JSON nested too deeply|not valid JSON"),
        ('["_id"]', "a JSON object is needed and this is a list"),
        ("3", "a JSON object is needed and this is a int"),
        ("null", "a JSON object is needed and this is a NoneType"),
        ('{"text": "x"}', "a document needs an id in field _id, doc_id, docid, id"),
        ('{"_id": "", "text": "x"}', "a document needs an id"),
        ('{"_id": null, "text": "x"}', "a document needs an id"),
        ('{"_id": true, "text": "x"}', "a document needs an id"),
        ('{"_id": 1.5, "text": "x"}', "a document needs an id"),
        ('{"_id": ["b"], "text": "x"}', "a document needs an id"),
        (GOOD, "doc_id 'a' was seen before, on line 2; ids must be unique"),
        ('{"_id": "b"}', "document 'b' has no field text, contents, content, body, abstract"),
        ('{"_id": "b", "text": 3}', "field text of document 'b' must be text and is a int"),
        ('{"_id": "b", "text": ["x"]}', "field text of document 'b' must be text and is a list"),
        ('{"_id": "b", "text": "x", "title": 1}', "field title of document 'b' must be text"),
    ],
)
def test_bad_json_lines(tmp_path: Path, line: str, message: str) -> None:
    path = wrote(tmp_path / "a.jsonl", f"\n{GOOD}\n\n{line}\n")
    refused(lambda: read_jsonl(path), path, 4, message)


def test_json_line_that_is_not_utf8(tmp_path: Path) -> None:
    path = wrote(tmp_path / "a.jsonl", GOOD.encode() + b'\n{"_id": "b", "text": "caf\xe9"}\n')
    refused(lambda: read_jsonl(path), path, 2, "byte 26 of the line is not UTF-8")


def test_json_missing_mapped_field(tmp_path: Path) -> None:
    path = wrote(tmp_path / "a.jsonl", GOOD)
    refused(lambda: read_jsonl(path, Columns(doc_id="PMID")), path, 1, "needs an id in field PMID")
    refused(lambda: read_jsonl(path, Columns(text="body")), path, 1, "'a' has no field body")


def test_ids_that_become_equal(tmp_path: Path) -> None:
    path = wrote(tmp_path / "a.jsonl", '{"_id": 1, "text": "x"}\n{"_id": "1", "text": "x"}\n')
    refused(lambda: read_jsonl(path), path, 2, "doc_id '1' was seen before, on line 1")


# CSV and TSV


def read_table(path: Path, columns: Columns | None = None) -> list[Document]:
    return list(Table(path, columns).documents())


def test_csv(tmp_path: Path) -> None:
    content = (
        '\ufeffid , title,text,year\r\n1,"A, ""quoted""",x,2001\r\n\r\n'
        '2,,"two\r\nlines",\r\n3,é,z,1999\r\n'
    )
    path = wrote(tmp_path / "a.csv", content)
    assert read_table(path) == [
        Document("1", "x", 'A, "quoted"', {"year": "2001"}),
        Document("2", "two\nlines", "", {"year": ""}),
        Document("3", "z", "é", {"year": "1999"}),
    ]


def test_tsv_has_no_quotes(tmp_path: Path) -> None:
    path = wrote(tmp_path / "a.tsv.gz", gzip.compress(b'id\ttext\n1\t"x, y\n2\tdon"t\n'))
    assert read_table(path) == [Document("1", '"x, y'), Document("2", 'don"t')]


def test_huge_field(tmp_path: Path) -> None:
    path = wrote(tmp_path / "a.csv", f"id,text\n1,{'x' * 300_000}\n")
    assert len(read_table(path)[0].text) == 300_000


def test_table_columns(tmp_path: Path) -> None:
    path = wrote(tmp_path / "a.csv", "PMID,abstract,h\n5,x,T\n")
    columns = Columns("PMID", "abstract", "h")
    assert read_table(path, columns) == [Document("5", "x", "T")]
    for wrong in (Columns(doc_id="nope"), Columns(text="nope"), Columns(title="nope")):
        refused(
            lambda wrong=wrong: read_table(path, wrong),  # type: ignore[misc]
            path,
            None,
            "no column 'nope'; the header has PMID, abstract, h",
        )


@pytest.mark.parametrize(
    ("name", "content", "line", "message"),
    [
        ("a.csv", "id,text\n1,x\n2\n", 3, "1 fields where the header has 2"),
        ("a.csv", "id,text\n1,x,y\n", 2, "3 fields where the header has 2"),
        ("a.csv", 'id,text\n1,"a\nb"\n2\n', 4, "1 fields where the header has 2"),
        ("a.csv", 'id,text\n1,"x" y\n', 2, "expected after"),
        ("a.csv", 'id,text\n1,x\n2,"never closed\n', 3, "unexpected end of data"),
        ("a.csv", "id,text\n1,x\n,y\n", 3, "a document needs an id"),
        ("a.csv", "id,text\n1,x\n1,y\n", 3, "doc_id '1' was seen before, on line 2"),
        ("a.csv", "id,colour\n1,x\n", 2, "document '1' has no field text"),
        ("a.csv", "name,text\n1,x\n", 2, "a document needs an id"),
        ("a.tsv", "id\ttext\n1\tx\ty\n", 2, "3 fields where the header has 2"),
        ("a.tsv", b"id\ttext\n1\tx\n2\t\xe9\n", 3, "byte 3 of the line is not UTF-8"),
    ],
)
def test_bad_tables(
    tmp_path: Path, name: str, content: str | bytes, line: int, message: str
) -> None:
    path = wrote(tmp_path / name, content)
    refused(lambda: read_table(path), path, line, message)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("id;title;text\n1;T;a, b\n", ReadOptions()),
        ("id\ttitle\ttext\n1\tT\ta, b\n", ReadOptions()),
        ("sep=;\nid;title;text\n1;T;a, b\n", ReadOptions()),
        ("sep=;\r\nid;title;text\r\n1;T;a, b\r\n", ReadOptions()),
        ("id#title#text\n1#T#a, b\n", ReadOptions(delimiter="#")),
        ("id\ttitle\ttext\n1\tT\ta, b\n", ReadOptions(delimiter="tab")),
        ('id,title,text\n1,T,"a, b"\n', ReadOptions()),
    ],
)
def test_delimiters(tmp_path: Path, content: str, options: ReadOptions) -> None:
    path = wrote(tmp_path / "a.csv", content)
    assert list(Table(path, None, options).documents()) == [Document("1", "a, b", "T")]


def test_a_table_without_id_shows_its_header(tmp_path: Path) -> None:
    path = wrote(tmp_path / "a.csv", "sep=;\nname;text\n1;x\n")
    refused(lambda: read_table(path), path, 3, "the fields are: name, text")
    path = wrote(tmp_path / "a.jsonl", '{"id": 1.0, "text": "x"}')
    refused(lambda: read_jsonl(path), path, 1, "id is 1.0")


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.tsv", "a.json"])
def test_bad_records_are_skipped_up_to_a_number(tmp_path: Path, name: str) -> None:
    contents = {
        "a.jsonl": b'{"id": 1, "text": "x"}\n{broken\n{"id": 2, "text": "\xe9"}\n'
        b'{"id": 3, "text": "y"}\n',
        "a.csv": b'id,text\n1,x\n2,"z" y\n2,\xe9\n3,y\n',
        "a.tsv": b"id\ttext\n1\tx\n2\n2\t\xe9\n3\ty\n",
        "a.json": b'[{"id": 1, "text": "x"}, 7, {"text": "z"}, {"id": 3, "text": "y"}]',
    }
    path = wrote(tmp_path / name, contents[name])
    corpus = open_corpus(str(path), None, ReadOptions(skip_bad=2))
    assert list(corpus.documents()) == [Document("1", "x"), Document("3", "y")]
    reading = reading_of(corpus)
    assert reading is not None
    (group,) = reading.passed.values()
    assert (group.unit, group.n, len(group.examples)) == ("record", 2, 2)
    assert (reading.n_documents, reading.n_files) == (2, 1)
    with pytest.raises(DataError, match="record 2 of those that are bad; at most 1"):
        list(open_corpus(str(path), None, ReadOptions(skip_bad=1)).documents())
    with pytest.raises(DataError):
        list(open_corpus(str(path)).documents())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252"])
def test_records_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    options = ReadOptions(encoding=None if encoding == "utf-16" else encoding)
    path = wrote(tmp_path / "a.csv", "id,text\r\n1,café\r\n".encode(encoding))
    assert list(Table(path, None, options).documents()) == [Document("1", "café")]
    path = wrote(tmp_path / "a.jsonl", '{"id": 1, "text": "café"}\n'.encode(encoding))
    assert list(JsonLines(path, None, options).documents()) == [Document("1", "café")]
    path = wrote(tmp_path / "b.csv", b"id,text\n1,\xff\xfe\xff")
    with pytest.raises(DataError, match="b.csv, line . *: this is not utf-8"):
        list(Table(path, None, ReadOptions(encoding="utf-8")).documents())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoding": "latin-99"}, "no encoding 'latin-99'"),
        ({"encoding": "base64"}, "no encoding 'base64'"),
        ({"delimiter": ";;"}, "cannot be between fields"),
        ({"skip_bad": -1}, "give 0 or more"),
    ],
)
def test_options_that_say_nothing(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ReadOptions(**options)


# folders of text


def test_text_folder(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    (folder / "sub" / ".git").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    wrote(folder / "b.md", "intro\n\n## The *title* ##\n\n# Later\n")
    wrote(folder / "a.txt", "# no heading here\r\nline\r\n")
    wrote(folder / "sub" / "c.MARKDOWN", "no heading\n#hashtag\n")
    wrote(folder / "sub" / "d.rst", "D\n=\n")
    wrote(folder / "e.pdf", b"%PDF\xff")
    wrote(folder / ".f.md", "# hidden")
    wrote(folder / ".hidden" / "g.md", "# hidden")
    wrote(folder / "sub" / ".git" / "h.md", "# hidden")
    (folder / "folder.md").mkdir()
    corpus = TextFolder(folder)
    corpus.check()
    assert corpus.name == "notes"
    assert list(corpus.documents()) == [
        Document("a.txt", "# no heading here\nline", "a", {"folder": ".", "suffix": ".txt"}),
        Document(
            "b.md",
            "intro\n\n## The *title* ##\n\n# Later",
            "The *title*",
            {"folder": ".", "suffix": ".md"},
        ),
        Document(
            "sub/c.MARKDOWN",
            "no heading\n#hashtag",
            "c",
            {"folder": "sub", "suffix": ".markdown"},
        ),
        Document("sub/d.rst", "D\n=", "D", {"folder": "sub", "suffix": ".rst"}),
    ]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# Plain", "Plain"),
        ("###### Six", "Six"),
        ("####### Seven", "name"),
        ("# Closed ##  ", "Closed"),
        ("# C#", "C#"),
        ("# F# and C#", "F# and C#"),
        ("#\n\nnot the heading", "name"),
        ("#   \n\n# Second", "Second"),
        ("#\tTab", "Tab"),
        ("text # not\n# Yes", "Yes"),
        ("Set in\ntwo lines\n===\n\ntext", "Set in two lines"),
        ("```sh\n# a comment\n```\n\n## Real", "Real"),
        ("> # quoted\n\n# Real", "Real"),
        ("    # code\n\n# Real", "Real"),
        ("---\ntitle: Front\n---\n# Heading", "Front"),
        ("---\ntags: [a]\n---\n# Heading", "Heading"),
    ],
)
def test_headings(tmp_path: Path, text: str, title: str) -> None:
    wrote(tmp_path / "name.md", text)
    (document,) = TextFolder(tmp_path).documents()
    assert document.title == title


def test_folder_without_text(tmp_path: Path) -> None:
    wrote(tmp_path / "a.pdf", "x")
    refused(TextFolder(tmp_path).check, tmp_path, None, "no text files .* and no corpus.jsonl")
    assert TextFolder(tmp_path).reading.n_files == 0


def test_text_file_that_is_not_utf8(tmp_path: Path) -> None:
    wrote(tmp_path / "a.txt", b"one\ncaf\xe9\n")
    folder = TextFolder(tmp_path)
    assert [document.text for document in folder.documents()] == ["one\ncafé"]
    assert folder.reading.encodings == {"cp1252": 1}
