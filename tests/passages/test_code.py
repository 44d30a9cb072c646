"""Source code is split along its definitions, in whatever language, by the names they have."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lsr
from lsr.cli.change import print_reading
from lsr.datasets.files.text import CODE_SUFFIXES
from lsr.datasets.open import open_corpus
from lsr.passages import grammars
from lsr.passages.definitions import Definition, Definitions
from lsr.passages.grammars import CODE, GRAMMARS, grammar_of
from lsr.passages.passage import PassageSettings
from lsr.passages.splitter import PassageSplitter
from tests.support.tiny_models import tiny_tokenizer

PYTHON = '''import os

# café of cats
@deco
class A(B):
    """Wolf."""

    x = 1

    # about b
    @p
    def b(self):
        cat = dog + dog + dog
        dog = cat + cat + cat
        return wolf

    def c(self):
        return cat

    def d(self): return dog


def f():
    cat = dog + dog + dog
    dog = cat + cat + cat
    cat = dog + dog + dog

    dog = cat + cat + cat
    return wolf
'''

NAMES = {
    ".py": ("class A:\n  def b(self):\n    return 1\nasync def f(): pass\n", "A(b) f"),
    ".js": (
        "/** d */\nexport class A {\n b(x) { return 1 }\n}\nconst g = (x) => { return x };\n",
        "A(b) g",
    ),
    ".ts": (
        "namespace N { interface I { a(): void }\n enum E {X} }\nclass A<T> { b() {} }",
        "N(I E) A(b)",
    ),
    ".tsx": ("export function F() { return <a href='x'>é</a> }", "F"),
    ".java": (
        "/** d */\npublic class A {\n @Override\n int b() { return 1; }\n A() {} }",
        "A(b A)",
    ),
    ".go": (
        "package a\n// F does\nfunc F() int { return 1 }\nfunc (r *R) M() {}\n"
        "type R struct {\n a int\n}\n",
        "F M R",
    ),
    ".rs": (
        "#[x]\npub struct S { a: i32 }\nimpl T for S { fn b(&self) {} }\nmod m { fn c() {} }",
        "S S(b) m(c)",
    ),
    ".c": ("static int *f(int a) {\n return 0;\n}\nstruct s { int a; };", "f s"),
    ".h": ("namespace n { template<class T> class A { void b() {} }; }", "n(A(b))"),
    ".cpp": ("int n::A::c(int x) { return 1; }\nA::~A() {}", "n::A::c A::~A"),
    ".cs": ("namespace N { class A { int B() { return 1; } } }", "N(A(B))"),
    ".rb": ("module M\n class A < B\n  def b(x)\n   1\n  end\n end\nend", "M(A(b))"),
    ".php": ("<?php\nclass A { function b() { return 1; } }\nfunction f() {}", "A(b) f"),
}


@pytest.fixture(scope="module")
def splitter() -> PassageSplitter:
    tokenizer = tiny_tokenizer().backend_tokenizer.to_str().encode()
    return PassageSplitter(tokenizer, PassageSettings(tokens=40, overlap=4, whole=40))


def code(text: str, suffix: str = ".py") -> lsr.Document:
    return lsr.Document("a", text, metadata={"suffix": suffix})


def definitions(text: str, suffix: str) -> Definitions:
    grammar = grammar_of(suffix)
    assert grammar is not None
    return Definitions(text, grammar)


def told(found: list[Definition]) -> str:
    return " ".join(each.name + (f"({told(each.inner)})" if each.inner else "") for each in found)


@pytest.mark.parametrize("suffix", NAMES)
def test_definitions_of_a_language(suffix: str) -> None:
    text, names = NAMES[suffix]
    assert told(definitions(text, suffix).outer) == names


def test_every_language_is_tried() -> None:
    assert {tuple(GRAMMARS[suffix]) for suffix in NAMES} == {*map(tuple, GRAMMARS.values())}
    assert set(CODE_SUFFIXES) == CODE


def test_what_stands_in_front_belongs_to_a_definition() -> None:
    (outer, _) = definitions(PYTHON, ".py").outer
    assert PYTHON[outer.start :].startswith("# café")
    assert PYTHON[outer.inner[0].start :].startswith("    # about b")
    text = "x = 1  # of x\ndef f():\n    pass\n\n# far\n\ndef g():\n    pass\n"
    starts = [text[each.start :].split("\n")[0] for each in definitions(text, ".py").outer]
    assert starts == ["def f():", "def g():"]
    text = "int a;\n/* T */\ntemplate <class T>\nclass A { };\n"
    assert text[definitions(text, ".cpp").outer[0].start :].startswith("/* T */")
    text = "f();\n// g\nexport const g = () => { return 1 };\n"
    (found,) = definitions(text, ".js").outer
    assert text[found.start : found.end] == "// g\nexport const g = () => { return 1 };"


def test_passages_are_definitions(splitter: PassageSplitter) -> None:
    """Short neighbours are together, within one class; a long function is cut by itself."""
    passages = splitter.passages(code(PYTHON))
    parts = [(PYTHON[each.start : each.end], each.heading) for each in passages]
    assert [heading for _, heading in parts] == ["", "A", "A > b", "A > b", "A", "f", "f"]
    assert parts[0][0] == "import os"
    assert parts[1][0].startswith("# café")
    assert parts[2][0].startswith("# about b\n    @p\n    def b(self):")
    assert parts[3][0].endswith("return wolf")
    assert parts[4][0].startswith("def c(self):")
    assert parts[4][0].endswith("def d(self): return dog")
    assert PYTHON.count("\n", 0, passages[2].start) + 1 == 10
    assert not splitter.passages(code("def f():\n    return 1\n"))


def test_comments_are_no_headings(splitter: PassageSplitter) -> None:
    """Of code without a grammar either, which is split as plain text."""
    text = "# cat dog\n\nwolf cat dog fish\n\n" * 12
    assert {each.heading for each in splitter.passages(lsr.Document("a", text))} == {"cat dog"}
    for suffix in (".py", ".sh", ".sql"):
        assert {each.heading for each in splitter.passages(code(text, suffix))} == {""}


LINES = [
    "def f():\n",
    "class É:\n",
    "    ",
    "x = '日😀'\n",
    "\n",
    "(",
    "#c\n",
    "\r\n",
    "return 1\n",
]


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(st.sampled_from(LINES), min_size=40, max_size=160),
    suffix=st.sampled_from([".py", ".js", ".cpp", ".php"]),
)
def test_passages_cover_what_may_be_no_code(
    splitter: PassageSplitter, lines: list[str], suffix: str
) -> None:
    text = "".join(lines)
    found = splitter.passages(code(text, suffix))
    covered = {place for each in found for place in range(each.start, each.end)}
    assert all(one.start < other.start for one, other in pairwise(found))
    assert all(text[i].isspace() for i in set(range(len(text))) - covered) or not found


def test_definitions_far_within_others() -> None:
    text = "".join(f"{' ' * i}class C{i}:\n" for i in range(300)) + " " * 300 + "pass\n"
    found = definitions(text, ".py")
    assert found.above(len(text) - 6, len(text) - 1).startswith("C0 > C1 > ")
    parts = list(found.sections(lambda spans: [end - start for start, end in spans], 10))
    assert [text[start:end] for start, end in parts] != [text]
    assert "".join(text[start:end] for start, end in parts) == text


def test_code_without_its_grammar_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.py", "b.py", "c.lua", "d.md"):
        (tmp_path / name).write_text("x = 1\n")
    corpus = open_corpus(str(tmp_path))
    assert len(list(corpus.documents())) == 4
    print_reading(corpus, is_split=True)
    assert "1 code file is split as plain text, if long: there is no grammar for .lua" in (
        capsys.readouterr().out
    )
    monkeypatch.setitem(grammars.GRAMMARS, ".py", ["no_such_grammar", "language"])
    grammar_of.cache_clear()
    print_reading(corpus, is_split=True)
    grammar_of.cache_clear()
    told = capsys.readouterr().out
    assert "3 code files are split as plain text" in told
    assert "lsr-search[files]' (.py)" in told
    print_reading(corpus)
    assert not capsys.readouterr().out


def test_files_of_a_folder_are_split_as_code(tmp_path: Path, splitter: PassageSplitter) -> None:
    body = "".join(f"    cat = dog + wolf + {i}\n" for i in range(20))
    (tmp_path / "a.py").write_text(f"# cat\ndef first():\n{body}\n\ndef second():\n{body}")
    (document,) = open_corpus(str(tmp_path)).documents()
    passages = splitter.passages(document)
    assert {each.heading for each in passages} == {"first", "second"}
    (start, *_) = (each.start for each in passages if each.heading == "second")
    assert document.text.count("\n", 0, start) + 1 == 25
