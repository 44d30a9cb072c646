"""Questions that the demo's page offers."""

from __future__ import annotations

from pathlib import Path

from lsr.datasets.docstrings import docstring_documents
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.service.examples import example_queries

PACKAGES = ("re", "difflib", "timeit", "statistics", "string", "glob", "shutil")


def test_the_demo_asks_questions_that_find_their_answer(tmp_path: Path) -> None:
    documents = [
        document
        for document in docstring_documents(("stdlib",))
        if document.doc_id.split(".")[0] in PACKAGES
    ]
    build_collection(documents, tmp_path / "demo", sparse=Bm25Encoder())
    collection = CollectionReader.open(tmp_path / "demo")
    examples = example_queries(collection)
    found = {text: collection.search(text, k=1).hits[0].document.doc_id for text in examples}
    collection.close()
    assert found == {
        "how do I replace a pattern in a string?": "re.sub",
        "which word is close to a misspelled one?": "difflib.get_close_matches",
        "how do I measure the time that code takes?": "timeit",
    }
