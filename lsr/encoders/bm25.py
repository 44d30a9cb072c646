"""BM25 as a sparse encoder: impacts for documents, counts for queries.

The dot product of the two is the BM25 score as Lucene computes it (Robertson et al. 1994, without
the constant factor k1 + 1, which changes no ranking):

    impact(t, d) = ln(1 + (N - df + 0.5) / (df + 0.5)) * tf / (tf + k1 * (1 - b + b * |d| / avg|d|))

Lengths are exact here; Lucene stores them in eight bits. The vocabulary and the statistics are
part of the encoder: `encode_corpus` extends both, and identifiers of known terms never change.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.analysis import LATEST, Analyzer
from lsr.encoders.corpus.statistics import Statistics, merged
from lsr.errors import IndexCorruptError, InputError
from lsr.sparse import CSR
from lsr.types import EncoderIdentity

__all__ = ["Bm25Encoder", "Bm25Options"]

MAX_K1 = 1_000
_DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError)


class Bm25Options(TypedDict, total=False):
    """Options of `Bm25Encoder` that were given."""

    k1: float
    b: float
    language: str
    analysis: int


class Bm25Encoder:
    """BM25 over stemmed words.

    Args:
        k1: how slowly repeated words saturate; 0 to 1,000.
        b: how much long documents are held back; 0 to 1.
        language: the stemmer, as in `Analyzer`.
        analysis: the version of the rules that make terms of text, as in `Analyzer`.
        segmenter: name and version of the language's, as in `Analyzer`; default: what is here.

    The defaults of k1 and b are Anserini's.

    Raises:
        InputError: an option is out of its range.
        UnavailableError: the language's segmenter is not here.
    """

    def __init__(
        self,
        *,
        k1: float = 0.9,
        b: float = 0.4,
        language: str = "english",
        analysis: int = LATEST,
        segmenter: str | None = None,
    ) -> None:
        if not 0 <= k1 <= MAX_K1:
            raise InputError(f"k1 is {k1}; it must be from 0 to {MAX_K1}")
        if not 0 <= b <= 1:
            raise InputError(f"b is {b}; it must be from 0 to 1")
        self.k1 = float(k1)
        self.b = float(b)
        self.analyzer = Analyzer(language, analysis, segmenter)
        self._vocabulary: dict[str, int] = {}
        self._terms: list[str] = []
        self._document_frequency: NDArray[np.int64] = np.zeros(0, np.int64)
        self._n_documents = 0
        self._n_words = 0

    @property
    def identity(self) -> EncoderIdentity:
        parameters = self._parameters()
        digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
        digest.update(f"{self._n_documents} {self._n_words}\n".encode())
        digest.update("\n".join(self._terms).encode())
        digest.update(self._document_frequency.tobytes())
        return EncoderIdentity("bm25", "bm25", digest.hexdigest(), parameters)

    @property
    def n_terms(self) -> int:
        return len(self._terms)

    def term(self, term: int) -> str:
        return self._terms[term]

    def fresh(self) -> Bm25Encoder:
        """An encoder with the same options that has seen no corpus."""
        analyzer = self.analyzer
        return Bm25Encoder(
            k1=self.k1,
            b=self.b,
            language=analyzer.language,
            analysis=analyzer.version,
            segmenter=analyzer.segmenter,
        )

    def encode_corpus(self, batches: Iterable[Sequence[str]]) -> CSR:
        """Add the texts to the statistics, then return their impacts under them.

        On an encoder that has statistics already this appends: rows encoded earlier keep the
        impacts of their time, until they are encoded again by a `fresh` encoder.
        """
        return self._impacts(*self._learned(text for batch in batches for text in batch))

    def learn(self, texts: Iterable[str]) -> None:
        """Add the texts to vocabulary and statistics, as `encode_corpus` does."""
        self._learned(texts)

    def _learned(self, texts: Iterable[str]) -> tuple[CSR, NDArray[np.float64]]:
        """Counts and lengths of the texts, which the statistics hold from now on."""
        matrix, lengths = self._counts_growing(texts)
        grown = np.zeros(self.n_terms, np.int64)
        grown[: len(self._document_frequency)] = self._document_frequency
        grown += np.bincount(matrix.terms, minlength=self.n_terms)
        self._document_frequency = grown
        self._n_documents += matrix.n_rows
        self._n_words += int(lengths.sum())
        return matrix, lengths

    def count(self, batches: Iterable[Sequence[str]]) -> Statistics:
        """See `CountingEncoder`."""
        alone = self.fresh()
        for batch in batches:
            alone.learn(batch)
        return alone.statistics

    @property
    def statistics(self) -> Statistics:
        """Its counts of the corpus so far."""
        frequency = dict(zip(self._terms, self._document_frequency.tolist(), strict=True))
        counter = self.fresh().identity.sha256
        return Statistics(counter, self._n_documents, self._n_words, frequency)

    def learned_from(self, parts: Sequence[Statistics]) -> Bm25Encoder:
        """See `CountingEncoder`."""
        encoder = self.fresh()
        whole = merged(encoder.identity.sha256, parts)
        encoder._terms = list(whole.words)
        encoder._vocabulary = {stem: term for term, stem in enumerate(encoder._terms)}
        encoder._document_frequency = np.fromiter(whole.words.values(), np.int64, len(whole.words))
        encoder._n_documents, encoder._n_words = whole.n_documents, whole.n_words
        return encoder

    def encode_documents(self, texts: Sequence[str]) -> CSR:
        """Impacts under the present statistics; words outside the vocabulary are left out.

        They still count for the document's length, as they would in a full encoding.
        """
        weighed = [self.analyzer.document_weights(text) for text in texts]
        lengths = np.array([n_words for _, n_words in weighed], np.float64)
        return self._impacts(self._known_of([row for row, _ in weighed]), lengths)

    def encode_queries(self, texts: Sequence[str]) -> CSR:
        """Number of occurrences of each known term in each text; of other forms, a part."""
        if len(texts) == 1:
            return CSR.one_row(self.counts_of(texts[0]), self.n_terms)
        return self._known_of([self.analyzer.query_weights(text) for text in texts])

    def counts_of(self, text: str) -> dict[int, float]:
        """The known terms of one query, and how often each occurs; faster than `encode_queries`."""
        return self._known(self.analyzer.query_weights(text))

    def find_terms(self, texts: Sequence[str]) -> list[int | None]:
        """The stems' terms, or None where the vocabulary lacks one."""
        return [self._vocabulary.get(stem) for stem in texts]

    def surface_terms(self, text: str) -> None:  # noqa: ARG002
        """None: a query's vector has the terms of its text and no others."""
        return

    def _counts_growing(self, texts: Iterable[str]) -> tuple[CSR, NDArray[np.float64]]:
        """Counts of all terms, and numbers of words; words that are new become terms."""
        lengths, terms, counts = array("q"), array("q"), array("f")
        words = array("d")
        known, names = self._vocabulary, self._terms
        for text in texts:
            row, n_words = self.analyzer.document_weights(text)
            words.append(n_words)
            found = [known.get(stem, -1) for stem in row]
            if -1 in found:
                for place, stem in enumerate(row):
                    if found[place] < 0:
                        found[place] = len(names)
                        names.append(stem)
                        known[stem] = found[place]  # at last: others may encode queries meanwhile
            lengths.append(len(row))
            terms.extend(found)
            counts.extend(row.values())
        matrix = CSR.from_entries(lengths, terms, counts, len(names))
        return matrix, np.array(words, np.float64)

    def _known(self, row: Mapping[str, float]) -> dict[int, float]:
        known = self._vocabulary
        return {known[stem]: count for stem, count in row.items() if stem in known}

    def _known_of(self, rows: Sequence[Mapping[str, float]]) -> CSR:
        lengths, terms, counts = array("q"), array("q"), array("f")
        for row in map(self._known, rows):
            lengths.append(len(row))
            terms.extend(row)
            counts.extend(row.values())
        return CSR.from_entries(lengths, terms, counts, self.n_terms)

    def _impacts(self, counts: CSR, words: NDArray[np.float64]) -> CSR:
        """Impacts of counts of terms in texts of so many words."""
        if counts.nnz == 0:
            return counts
        average = self._n_words / self._n_documents
        held_back = self.k1 * (1 - self.b + self.b * words / average)
        tf = counts.weights.astype(np.float64)
        impacts = (
            self._idf_of(counts.terms) * tf / (tf + np.repeat(held_back, np.diff(counts.indptr)))
        )
        return counts._replace(weights=impacts.astype(np.float32))

    def _idf_of(self, terms: NDArray[np.int32]) -> NDArray[np.float64]:
        df = self._document_frequency
        if len(terms) < len(df):  # a few documents and many words: no work on all of these
            return _idf(df[terms], self._n_documents)
        return _idf(df, self._n_documents)[terms]

    def _parameters(self) -> dict[str, str | int | float | bool]:
        analyzer = self.analyzer
        found: dict[str, str | int | float | bool] = {"k1": self.k1, "b": self.b}
        found["language"] = analyzer.language
        if analyzer.version != 1:
            found["analysis"] = analyzer.version
        if analyzer.segmenter is not None:
            found["segmenter"] = analyzer.segmenter
        return found

    def save(self, folder: Path) -> None:
        """Write `encoder.json`, `vocabulary.txt` (a term a line) and `document_frequency.npy`."""
        state = {"kind": "bm25", **self._parameters()}
        state |= {"n_documents": self._n_documents, "n_words": self._n_words}
        (folder / "encoder.json").write_text(json.dumps(state, indent=2) + "\n")
        (folder / "vocabulary.txt").write_text("".join(f"{t}\n" for t in self._terms), "utf-8")
        np.save(folder / "document_frequency.npy", self._document_frequency)

    def save_file(self, path: Path) -> None:
        """Write all of it to one file: a line of JSON, the terms, a line each, and int64."""
        vocabulary = "\n".join([*self._terms, ""]).encode()
        state = {"kind": "bm25", **self._parameters()}
        state |= {"n_documents": self._n_documents, "n_words": self._n_words}
        state |= {"n_terms": self.n_terms, "vocabulary_bytes": len(vocabulary)}
        frequencies = self._document_frequency.astype("<i8").tobytes()
        path.write_bytes(json.dumps(state).encode() + b"\n" + vocabulary + frequencies)

    @classmethod
    def load(cls, path: Path) -> Bm25Encoder:
        """Read what `save` or `save_file` wrote.

        Raises:
            IndexCorruptError: a file is missing, or the files do not fit together.
            UnavailableError: the language's segmenter is not here.
        """
        try:
            state, vocabulary, frequencies = _read_file(path) if path.is_file() else _read(path)
            version = state.get("analysis", 1)
            encoder = cls(
                k1=state["k1"],
                b=state["b"],
                language=state["language"],
                analysis=version,
                segmenter=state.get("segmenter"),
            )
            encoder._terms = vocabulary.split("\n")[:-1]
            encoder._document_frequency = frequencies
            encoder._n_documents = state["n_documents"]
            encoder._n_words = state["n_words"]
        except (*_DAMAGE, InputError) as error:
            raise IndexCorruptError(
                f"{path}: the BM25 encoder cannot be read ({error}); build the index again"
            ) from error
        encoder._vocabulary = {stem: term for term, stem in enumerate(encoder._terms)}
        if len(encoder._vocabulary) != len(encoder._document_frequency):
            raise IndexCorruptError(
                f"{path}: {len(encoder._vocabulary):,} terms but "
                f"{len(encoder._document_frequency):,} frequencies; build the index again"
            )
        return encoder


def _read(folder: Path) -> tuple[dict[str, Any], str, NDArray[np.int64]]:
    return (
        json.loads((folder / "encoder.json").read_text("utf-8")),
        (folder / "vocabulary.txt").read_text("utf-8"),
        np.load(folder / "document_frequency.npy"),
    )


def _read_file(path: Path) -> tuple[dict[str, Any], str, NDArray[np.int64]]:
    first, _, rest = path.read_bytes().partition(b"\n")
    state: dict[str, Any] = json.loads(first)
    length, n_terms = state["vocabulary_bytes"], state["n_terms"]
    if not 0 <= length == len(rest) - 8 * n_terms:
        raise ValueError(f"{len(rest):,} bytes for {n_terms} terms")
    frequencies = np.frombuffer(rest, "<i8", offset=length).astype(np.int64)
    return state, rest[:length].decode(), frequencies


def _idf(df: NDArray[np.int64], n_documents: int) -> NDArray[np.float64]:
    return np.log1p((n_documents - df + 0.5) / (df + 0.5))
