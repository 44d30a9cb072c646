"""Readers of files: what they make of good input, and where they say bad input is bad."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.beir import BeirFolder, write_beir
from lsr.errors import DataError, InputError
from lsr.lines import numbered_lines, plain_suffix
from lsr.records import Columns, JsonLines, Table
from lsr.textfolder import TextFolder
from lsr.types import Document, Query
from tests.strategies import texts


def refused(
    read: Callable[[], object], path: Path, line: int | None, message: str
) -> pytest.ExceptionInfo[DataError]:
    """The read fails, and the message starts with file and line."""
    where = f"{path}, line {line}: " if line is not None else f"{path}: "
    with pytest.raises(DataError, match=re.escape(where) + f".*{message}") as caught:
        read()
    assert caught.value.path == str(path)
    assert caught.value.line == line
    return caught


def wrote(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# lines


MANY = "".join(f"line {i} é\n" for i in range(60_000)).encode()


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_lines(tmp_path: Path, suffix: str) -> None:
    pack: dict[str, Callable[[bytes], bytes]] = {
        "": bytes,
        ".gz": gzip.compress,
        ".zst": zstandard.compress,
    }
    path = wrote(tmp_path / f"a.txt{suffix}", pack[suffix]("\ufeffone\r\n\n zwei é \n3".encode()))
    assert list(numbered_lines(path)) == [(1, "one"), (2, ""), (3, " zwei é "), (4, "3")]
    wrote(path, pack[suffix](b""))
    assert list(numbered_lines(path)) == []
    wrote(path, pack[suffix](MANY))
    assert sum(1 for _ in numbered_lines(path)) == 60_000
    wrote(path, pack[suffix](b"good\nalso\nb\xffd\nmore\n"))
    refused(lambda: list(numbered_lines(path)), path, 3, "byte 2 of the line is not UTF-8")


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
def test_many_frames(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    """Frames need not end where lines do; an empty one among them changes nothing."""
    frames = [b"one\ntw", b"", b"o\n", MANY, b"last"]
    path = wrote(tmp_path / f"a{suffix}", b"".join(pack(frame) for frame in frames))
    lines = [line for _, line in numbered_lines(path)]
    assert lines == b"".join(frames).decode().split("\n")


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
@pytest.mark.parametrize("kept", ["most", "half", "all but one", "header", "second frame"])
def test_truncated(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes], kept: str) -> None:
    """An incomplete download is an error: half a corpus would be half an index."""
    content = pack(MANY)
    end = {
        "most": len(content) - 9,
        "half": len(content) // 2,
        "all but one": len(content) - 1,
        "header": 5,
        "second frame": len(content) + 12,
    }[kept]
    path = wrote(tmp_path / f"a{suffix}", (content + content)[:end])
    refused(lambda: list(numbered_lines(path)), path, None, "is it complete?")


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_not_compressed_at_all(tmp_path: Path, suffix: str) -> None:
    path = wrote(tmp_path / f"a{suffix}", "plain text\n")
    refused(lambda: list(numbered_lines(path)), path, None, "cannot be decompressed")


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
def test_damaged(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    content = bytearray(pack(MANY))
    for i in range(2_000, 2_040):
        content[i] ^= 0xA5
    path = wrote(tmp_path / f"a{suffix}", bytes(content))
    with pytest.raises(DataError, match="cannot be decompressed|not UTF-8"):
        list(numbered_lines(path))


def test_not_there(tmp_path: Path) -> None:
    path = tmp_path / "absent.jsonl"
    refused(lambda: list(numbered_lines(path)), path, None, "there is no such file")
    refused(lambda: list(numbered_lines(tmp_path)), tmp_path, None, "this is a folder")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = wrote(tmp_path / "a.jsonl", "{}")
    monkeypatch.setattr(Path, "open", deny)
    refused(lambda: list(numbered_lines(path)), path, None, "no permission to read")


def test_plain_suffix() -> None:
    names = ["a.jsonl", "a.JSONL", "a.b.csv.gz", "a.tsv.zst", "a", "a.gz", ".gz"]
    found = [plain_suffix(Path(name)) for name in names]
    assert found == [".jsonl", ".jsonl", ".csv", ".tsv", "", "", ""]


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
        Document("sub/d.rst", "D\n=", "d", {"folder": "sub", "suffix": ".rst"}),
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
    ],
)
def test_headings(tmp_path: Path, text: str, title: str) -> None:
    wrote(tmp_path / "name.md", text)
    (document,) = TextFolder(tmp_path).documents()
    assert document.title == title


def test_folder_without_text(tmp_path: Path) -> None:
    wrote(tmp_path / "a.pdf", "x")
    refused(TextFolder(tmp_path).check, tmp_path, None, "no text files .* and no corpus.jsonl")


def test_text_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = wrote(tmp_path / "a.txt", b"one\ncaf\xe9\n")
    refused(lambda: list(TextFolder(tmp_path).documents()), path, 2, "byte 4")


# BEIR

DOCUMENTS = [
    Document("d1", "text\nof two lines", "T\t1", {"year": 2001, "tags": ["a", "é"], "x": None}),
    Document("d 2", "", "", {"metadata": 1, "_id": "other"}),
    Document("文😀", "\u2028 odd \u0085 separators \x0b\x0c\x1c"),
]
QUERIES = [Query("q1", "one?"), Query("q 2", "")]
QRELS = {"test": {"q1": {"d1": 2, "文😀": 0}, "q 2": {"d 2": 1}}, "dev": {"q1": {"d1": -1}}}


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_beir_round_trip(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "set"
    write_beir(folder, DOCUMENTS, QUERIES, QRELS)
    if suffix:
        pack = gzip.compress if suffix == ".gz" else zstandard.compress
        for path in [*folder.glob("*.jsonl"), *folder.glob("qrels/*.tsv")]:
            wrote(path.with_name(path.name + suffix), pack(path.read_bytes()))
            path.unlink()
    assert BeirFolder.recognises(folder)
    corpus = BeirFolder(folder)
    assert corpus.name == "set"
    assert list(corpus.documents()) == DOCUMENTS
    assert list(corpus.queries()) == QUERIES
    assert corpus.qrels("test") == QRELS["test"]
    assert corpus.qrels("dev") == QRELS["dev"]
    refused(
        lambda: corpus.qrels("train"),
        folder / "qrels",
        None,
        "no judgements for split 'train'; there are: dev, test",
    )


@settings(max_examples=50, deadline=None)
@given(
    documents=st.lists(
        st.builds(
            Document,
            texts(5).filter(bool),
            texts(),
            texts(),
            st.dictionaries(texts(5), st.none() | st.booleans() | st.integers() | texts(5)),
        ),
        unique_by=lambda document: document.doc_id,
    )
)
def test_any_document_round_trips(
    documents: list[Document], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("beir")
    write_beir(folder, documents, [], {})
    assert list(BeirFolder(folder).documents()) == documents


def beir(tmp_path: Path) -> Path:
    write_beir(tmp_path, DOCUMENTS, QUERIES, QRELS)
    return tmp_path


def test_beir_without_parts(tmp_path: Path) -> None:
    assert not BeirFolder.recognises(tmp_path)
    refused(lambda: BeirFolder(tmp_path), tmp_path, None, "no corpus.jsonl here")
    wrote(tmp_path / "corpus.jsonl", GOOD)
    corpus = BeirFolder(tmp_path)
    refused(lambda: list(corpus.queries()), tmp_path, None, "no queries.jsonl here")
    refused(lambda: corpus.qrels("test"), tmp_path / "qrels", None, "'test'; there are: none")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "x"}', "a query needs _id and text"),
        ('{"_id": "", "text": "x"}', "a query needs _id and text"),
        ('{"_id": true, "text": "x"}', "a query needs _id and text"),
        ('{"_id": "q2"}', "a query needs _id and text"),
        ('{"_id": "q2", "text": 5}', "a query needs _id and text"),
        ('{"_id": "q1", "text": "x"}', "query 'q1' was seen before"),
        ("[]", "a JSON object is needed"),
        ("{", "not valid JSON"),
    ],
)
def test_bad_queries(tmp_path: Path, line: str, message: str) -> None:
    folder = beir(tmp_path)
    path = wrote(folder / "queries.jsonl", f'\n{{"_id": "q1", "text": "x"}}\n{line}\n')
    refused(lambda: list(BeirFolder(folder).queries()), path, 3, message)


@pytest.mark.parametrize("line", ["q1\td1", "q1\td1\t1\t2", "q1\td1\tx", "q1\td1\t1.5", "q1 d1 1"])
def test_bad_qrels(tmp_path: Path, line: str) -> None:
    folder = beir(tmp_path)
    path = wrote(
        folder / "qrels" / "test.tsv", f"query-id\tcorpus-id\tscore\r\n\r\nq1\td1\t1\r\n{line}\r\n"
    )
    refused(lambda: BeirFolder(folder).qrels("test"), path, 4, "a judgement is query id")


def test_qrels_without_header(tmp_path: Path) -> None:
    folder = beir(tmp_path)
    wrote(folder / "qrels" / "test.tsv", "q1\td1\t1\nq1\td2\t0\n")
    assert BeirFolder(folder).qrels("test") == {"q1": {"d1": 1, "d2": 0}}


@pytest.mark.parametrize("bad", ["a\tb", "a\nb"])
def test_ids_that_qrels_cannot_hold_are_refused(tmp_path: Path, bad: str) -> None:
    """Otherwise the file is written, and cannot be read."""
    with pytest.raises(InputError, match="tab or a line end"):
        write_beir(tmp_path, DOCUMENTS, QUERIES, {"test": {"q1": {bad: 1}}})
    with pytest.raises(InputError, match="tab or a line end"):
        write_beir(tmp_path, DOCUMENTS, QUERIES, {"test": {bad: {"d1": 1}}})
