"""Each kind of file: its text and title, and what is said of bad ones. Files are made here."""

from __future__ import annotations

import io
import json
import zipfile
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from lsr.datasets.files.content import Content, Extracted, Unreadable
from lsr.datasets.files.kinds import extracted
from lsr.datasets.open import open_corpus
from lsr.datasets.reading import ReadOptions
from lsr.errors import DataError
from lsr.types import Document


def read(data: bytes | str, suffix: str) -> Extracted:
    (found,) = extracted(Content(data.encode() if isinstance(data, str) else data, suffix))
    return found


def zipped(members: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


# Markdown and reStructuredText


def test_front_matter_is_metadata() -> None:
    page = """---
title: Keys
tags: [ops, "2"]
date: 2024-05-06
draft: false
nested: {a: 1}
empty:
---

# Other

text
"""
    assert read(page, ".md") == Extracted(
        "# Other\n\ntext",
        "Keys",
        {"tags": ["ops", "2"], "date": "2024-05-06", "draft": False, "nested": {"a": 1}},
    )


@pytest.mark.parametrize(
    "page",
    [
        "---\nno mapping\n---\ntext",
        "---\na: [\n---\ntext",
        "--- \n\ntext after a rule",
        "---\n!!python/object/apply:os.getcwd []\n---\ntext",
        "---\na: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
        "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n---\ntext",
    ],
)
def test_what_is_no_front_matter_is_text(page: str) -> None:
    found = read(page, ".md")
    assert (found.text, found.metadata) == (page, {})


def test_comments_are_left_out_of_markdown_and_kept_in_code() -> None:
    page = "a <!-- x\n\ny --> b `<!-- c -->`\n\n```\n<!-- d -->\n```\n\n<!-- e -->"
    assert read(page, ".md").text == "a  b `<!-- c -->`\n\n```\n<!-- d -->\n```"


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("Title\n=====\n\ntext", "Title"),
        ("=====\n Title\n====\n", ""),
        ("=======\n Title\n=======\n", "Title"),
        ("intro\n\nLonger\n---\n\nReal\n----\n", "Real"),
        ("..\n\ntext\n", ""),
        ("====\n----\n", ""),
    ],
)
def test_titles_of_rest(page: str, title: str) -> None:
    assert read(page, ".rst").title == title


# HTML


def test_html() -> None:
    pytest.importorskip("lxml")
    page = """<!doctype html><html><head><title> A
    page</title><style>b{}</style><meta name=author content="Ann"></head>
    <body><nav>menu</nav><script>evil()</script><p>One <b>bold</b>&eacute;<br>two</p>
    <pre>  x = 1\n    y</pre><!-- note --><div role=navigation>side</div><div hidden>h</div>
    <table><tr><td>1<td>2</table>tail</body></html>"""
    assert read(page, ".html") == Extracted(
        "One boldé\ntwo\n  x = 1\n    y\n1 2\ntail", "A page", {"author": "Ann"}
    )
    main = "<body><div>around</div><main><h1>Top</h1>text<script>x</script></main></body>"
    assert read(main, ".htm") == Extracted("Top\ntext", "Top")
    assert read("", ".html") == Extracted("")
    latin = "<meta charset=iso-8859-2><p>\xb3\xf3d\xbc".encode("latin-1")
    assert read(latin, ".html").text == "łódź"
    with pytest.raises(Unreadable, match="nested too deeply"):
        read("<div>" * 3_000 + "deep", ".html")


# PDF


def pdf(text: str, password: str = "") -> bytes:
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    for words in (text, text and "second page"):
        page = writer.add_blank_page(200, 200)
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 10 100 Td ({words}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
        names = {"Type": "Font", "Subtype": "Type1", "BaseFont": "Helvetica"}
        font = DictionaryObject(
            {NameObject(f"/{name}"): NameObject(f"/{value}") for name, value in names.items()}
        )
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    writer.add_metadata({"/Title": "A report", "/Author": "Ann"})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def test_pdf() -> None:
    pytest.importorskip("pypdf")
    assert read(pdf("first page"), ".pdf") == Extracted(
        "first page\n\f\nsecond page", "A report", {"pages": 2, "author": "Ann"}
    )
    whole = pdf("first page")
    for data, message in (
        (pdf(""), "holds no text"),
        (pdf("first", "secret"), "is encrypted with a password"),
        (b"%PDF-1.4 nothing", "is damaged"),
        (b"", "is damaged"),
        (whole[: len(whole) // 3], "is damaged"),
    ):
        with pytest.raises(Unreadable, match=message):
            read(data, ".pdf")


# DOCX, PPTX, EPUB


def saved(document: Any) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def test_docx() -> None:
    docx = pytest.importorskip("docx")
    document = docx.Document()
    document.add_heading("Report", 0)
    document.add_paragraph("First.")
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "a", "b"
    document.add_paragraph("Last.")
    document.core_properties.author = "Ann"
    found = read(saved(document), ".docx")
    assert found == Extracted("Report\nFirst.\na | b\nLast.", "Report", {"author": "Ann"})
    document.core_properties.title = "Set"
    assert read(saved(document), ".docx").title == "Set"


def test_pptx() -> None:
    pptx = pytest.importorskip("pptx")
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "Plan"
    slide.placeholders[1].text = "Points"
    slide.notes_slide.notes_text_frame.text = "Say this."
    found = read(saved(show), ".pptx")
    assert (found.text, found.title) == ("Plan\nPoints\nSay this.", "Plan")


def book(chapters: dict[str, str], **more: str) -> bytes:
    items = "".join(
        f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml"/>'
        for name in ("two", "one")
    )
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        "<metadata><dc:title>Book</dc:title><dc:creator>Ann</dc:creator></metadata>"
        f"<manifest>{items}</manifest>"
        '<spine><itemref idref="one"/><itemref idref="two"/></spine></package>'
    )
    container = '<container><rootfiles><rootfile full-path="in/b.opf"/></rootfiles></container>'
    pages = {f"in/{name}.xhtml": text for name, text in chapters.items()}
    return zipped({"META-INF/container.xml": container, "in/b.opf": package, **pages, **more})


def test_epub() -> None:
    pytest.importorskip("lxml")
    content = Content(book({"one": "<p>First</p>", "two": "<p>Second</p>"}), ".epub")
    assert extracted(content) == [Extracted("First\n\nSecond", "Book", {"author": "Ann"})]
    content = Content(book({"one": "<p>First</p>"}), ".epub")
    assert extracted(content) == [Extracted("First", "Book", {"author": "Ann"})]
    assert content.left_out == [("in/two.xhtml", "the chapter is missing or damaged")]
    locked = {"META-INF/encryption.xml": "<e><EncryptionMethod Algorithm='aes'/></e>"}
    with pytest.raises(Unreadable, match="is encrypted"):
        read(book({"one": "x"}, **locked), ".epub")
    bomb = "<!DOCTYPE a [<!ENTITY a '" + "x" * 50 + "'>]><container>&a;</container>"
    with pytest.raises(Unreadable, match="no EPUB"):
        read(zipped({"META-INF/container.xml": bomb}), ".epub")


@pytest.mark.parametrize("suffix", [".docx", ".pptx", ".epub"])
def test_packed_kinds_that_are_damaged_or_grow(suffix: str) -> None:
    pytest.importorskip("pptx")
    for data in (b"", b"text", zipped({"a": "b"})):
        with pytest.raises(Unreadable, match="is damaged"):
            read(data, suffix)
    with pytest.raises(Unreadable, match="would grow more than 200 times"):
        read(zipped({"word/document.xml": b"\0" * 5_000_000}), suffix)


# notebooks and mail


def test_notebook() -> None:
    cells = [
        {"cell_type": "code", "source": "x = 1", "outputs": [{"text": ["1\n"] * 9_000}]},
        {"cell_type": "markdown", "source": ["# Study\n", "words"]},
        {"cell_type": "code", "source": "p", "outputs": [{"data": {"image/png": "A" * 9_999}}]},
        {"cell_type": "code", "source": "q", "outputs": [{"data": {"text/plain": "7"}}]},
    ]
    about = {"kernelspec": {"language": "python"}}
    content = Content(json.dumps({"cells": cells, "metadata": about}).encode(), ".ipynb")
    (found,) = extracted(content)
    assert (found.title, found.metadata) == ("Study", {"language": "python"})
    assert len(found.text) < 2_100
    assert found.text.endswith("# Study\nwords\n\np\n\nq\n\n7")
    assert content.left_out == [("1 outputs", "outputs are read up to 2,000 characters")]
    for data in ("", "[]", "{}", '{"cells": 3}', '{"cells": [3]}'):
        with pytest.raises(Unreadable, match="is no notebook"):
            read(data, ".ipynb")


def mail(subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = (
        subject,
        "ann@example.org",
        "bo@example.org",
    )
    message["Date"] = "Mon, 06 May 2024 10:00:00 +0200"
    message.set_content(text)
    return message


def test_mail() -> None:
    message = mail("Grüße", "Hällo.\n")
    message.add_alternative("<p>HTML</p>", subtype="html")
    message.add_attachment(b"x", maintype="image", subtype="png", filename="a.png")
    content = Content(message.as_bytes(), ".eml")
    assert extracted(content) == [
        Extracted(
            "Hällo.",
            "Grüße",
            {
                "from": "ann@example.org",
                "to": "bo@example.org",
                "date": "2024-05-06T10:00:00+02:00",
            },
        )
    ]
    assert content.left_out == [("a.png", "attachments are not read")]
    with pytest.raises(Unreadable, match="no headers"):
        read("", ".eml")


def test_box_of_mail() -> None:
    messages = [mail("One", "First.\n>From here\n"), mail("Two", "Second.\n")]
    box = b"\n".join(b"From ann Mon May  6\n" + each.as_bytes() for each in messages)
    found = list(extracted(Content(box, ".mbox")))
    assert [(each.part, each.title, each.text) for each in found] == [
        ("1", "One", "First.\nFrom here"),
        ("2", "Two", "Second."),
    ]
    with pytest.raises(Unreadable, match="no box of mail"):
        read("text", ".mbox")


# files of records


def test_json_array_and_parquet(tmp_path: Path) -> None:
    records = [{"id": "a", "title": "T", "text": "x", "n": 1}, {"id": "b", "text": "y", "n": 2}]
    wanted = [Document("a", "x", "T", {"n": 1}), Document("b", "y", "", {"n": 2})]
    (tmp_path / "a.json").write_text(json.dumps(records))
    assert list(open_corpus(str(tmp_path / "a.json")).documents()) == wanted
    (tmp_path / "nan.json").write_text('[{"id": 1, "text": "x", "n": NaN}]')
    with pytest.raises(DataError, match=r"nan.json: not valid JSON \(NaN is not a JSON value"):
        list(open_corpus(str(tmp_path / "nan.json")).documents())
    (tmp_path / "again.json").write_text(
        json.dumps([{"id": 1, "text": "x"}, 7, {"id": 2, "text": "y"}, {"id": 2, "text": "z"}])
    )
    options = ReadOptions(skip_bad=1)
    with pytest.raises(DataError, match="'2' was seen before, on record 3;"):
        list(open_corpus(str(tmp_path / "again.json"), options=options).documents())
    (tmp_path / "b.json").write_text('{"id": 1}')
    with pytest.raises(DataError, match="an array of objects is needed and this is a dict"):
        list(open_corpus(str(tmp_path / "b.json")).documents())
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(records), tmp_path / "a.parquet")
    assert list(open_corpus(str(tmp_path / "a.parquet")).documents()) == wanted
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        list(open_corpus(str(tmp_path / "b.parquet")).documents())
