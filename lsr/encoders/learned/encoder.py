"""Learned sparse encoders: any sentence-transformers `SparseEncoder`, as an `Encoder`.

Queries of an inference-free model take a tokenizer and a table, which are kept with the index, so
searching loads no torch. Documents go through the network, in torch or in ONNX Runtime, which is
opened when the first document comes.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.learned.idf import document_frequencies, shrunk_idf
from lsr.encoders.learned.lexical_terms import LexicalTerms, side_by_side
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.model_source import (
    PRECISIONS,
    LearnedSource,
    Network,
    Precision,
    precision_of,
)
from lsr.encoders.learned.pruning import ActiveTerms
from lsr.encoders.learned.query_table import QueryTable, vocabulary_list
from lsr.encoders.learned.recommended import IdfSource
from lsr.encoders.learned.tokenizer import WordPieces
from lsr.errors import IndexCorruptError, InputError
from lsr.sparse import CSR
from lsr.types import EncoderIdentity

__all__ = ["PRECISIONS", "LearnedEncoder", "LearnedOptions"]

OWN_MARK = "own:"
"""Before the names of own terms."""


@dataclass(frozen=True)
class LearnedOptions:
    """How a model is used.

    Attributes:
        precision: of the network: "fp32" or "bf16" in torch, "int8" for the graph that a packed
            model brings along, or "auto" for what the machine is built for. An export to ONNX has
            its own.
        max_active: entries of a document's vector at most, own words not counted; None for what
            the model says, or all.
        prune_ratio: entries at or below this share of a document's heaviest are dropped.
        lexical_weight: of the score by BM25 that own words add
            (`lsr.encoders.learned.lexical_terms`); None for what the
            model says, 0 for none.
        idf: "model" for the table that the model came with; "corpus" for that of the collection,
            drawn towards the model's (`lsr.encoders.learned.idf.shrunk_idf`); None for what the
            model says.

    Raises:
        InputError: there is no such precision or source of the table.
    """

    precision: Precision = "auto"
    max_active: int | None = None
    prune_ratio: float = 0.0
    idf: IdfSource | None = None
    lexical_weight: float | None = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError(
                f"there is no precision {self.precision!r}; choose {', '.join(PRECISIONS)}"
            )
        if self.idf not in (None, "model", "corpus"):
            raise InputError(f"there is no idf of {self.idf!r}; choose model or corpus")


class LearnedEncoder:
    """A learned sparse model.

    Args:
        model: a folder that a `SparseEncoder` was saved in or `lsr export` wrote, or a hub id.
        options: how it is used.

    Raises:
        InputError: there is no such model, or an option does not fit it.
    """

    def __init__(self, model: str, options: LearnedOptions | None = None) -> None:
        options = options or LearnedOptions()
        folder = ModelFolder.open(model)
        place = folder.path.resolve()
        self._source = LearnedSource(
            name=model if not Path(model).is_dir() else place.name,
            place=str(place) if Path(model).is_dir() else model,
            sha256=folder.sha256(),
            precision=precision_of(place, options.precision),
            max_active=options.max_active or folder.max_active,
            prune_ratio=options.prune_ratio,
            idf=_idf(folder, options.idf),
            min_idf=folder.defaults.min_idf,
            lexical_terms=_lexical_terms(folder, options.lexical_weight),
        )
        self._tokenizer_json = folder.tokenizer_json()
        self._max_tokens, self._side = folder.truncation()
        self._prompt = folder.prompts.get("query", "")
        self._network: Network | None = None
        self._pieces = WordPieces(self._tokenizer_json, self._max_tokens, self._side)
        self._model_weights = None
        if folder.query is not None:
            self._model_weights = folder.query_weights(self._pieces.vocabulary)
        self._n_pieces = 0 if self._model_weights is None else len(self._model_weights)
        if self._model_weights is None and self._source.idf == "corpus":
            raise InputError(
                f"{model} encodes its queries by a network and has no table of idf; leave "
                "idf at model"
            )
        if self._model_weights is None and self._source.lexical_terms is not None:
            raise InputError(
                f"{model} encodes its queries by a network, whose scores are of another scale than "
                "own terms'; leave their weight at 0"
            )
        self._n_documents = 0
        self._own = self._new_own()
        self._df = np.zeros(self._n_pieces, np.int64)
        self._make_ready()
        if self._model_weights is None:
            self._set_width(self._opened().n_terms)

    @property
    def identity(self) -> EncoderIdentity:
        source = self._source
        digest = hashlib.sha256(json.dumps(source.to_dict()).encode())
        digest.update(f"{self._n_documents}".encode())
        digest.update(self._df.tobytes())
        if self._own is not None:
            digest.update(self._own.identity.sha256.encode())
        parameters: dict[str, str | int | float | bool] = {
            "n_terms": self.n_terms,
            "precision": source.precision,
            "idf": source.idf if self._table is not None else "none: queries by network",
        }
        if source.max_active is not None:
            parameters["max_active"] = source.max_active
        if source.prune_ratio:
            parameters["prune_ratio"] = source.prune_ratio
        if source.min_idf:
            parameters["min_idf"] = source.min_idf
        if source.lexical_terms is not None:
            parameters["lexical_weight"] = source.lexical_terms.weight
        return EncoderIdentity("learned", source.name, digest.hexdigest(), parameters)

    @property
    def n_terms(self) -> int:
        return self._n_pieces + (0 if self._own is None else self._own.n_terms)

    @property
    def vocabulary(self) -> list[str]:
        """The token of each of the model's terms, which own terms follow."""
        return list(self._tokens)

    @property
    def query_weights(self) -> NDArray[np.float32] | None:
        """The weight of each of the model's terms in queries, float32; None without a table."""
        return None if self._table is None else self._table.weights

    def use(self, wrapped: Callable[[Network, str], Network]) -> None:
        """Put something around the network, which is opened: `wrapped(network, key)`.

        The key is of the model and its precision: same key, same vectors.
        """
        self._network = wrapped(self._opened(), self._source.key)

    def term(self, term: int) -> str:
        """The token of a term; of an own one its stem, marked, as a token may be the same."""
        if term >= self._n_pieces and self._own is not None:
            return OWN_MARK + self._own.term(term - self._n_pieces)
        return self._tokens[term]

    def encode_corpus(self, batches: Iterable[Sequence[str]]) -> CSR:
        """Vectors of the texts, which are counted for the table and for own terms too.

        The table weighs queries alone. Own terms of documents that were encoded earlier keep the
        weights of their time.
        """
        parts: list[CSR] = []

        def encoded() -> Iterator[Sequence[str]]:
            for batch in batches:
                if self._source.idf == "corpus":
                    self._count(batch)
                parts.append(self._of_network(batch))
                yield batch

        if self._own is None:
            deque(encoded(), maxlen=0)
            return CSR.concatenate(parts)._replace(n_terms=self.n_terms)
        own = self._weighed(self._own.encode_corpus(encoded()))
        learned = CSR.concatenate(parts)._replace(n_terms=self._n_pieces)
        return side_by_side(learned, own)

    def encode_documents(self, texts: Sequence[str]) -> CSR:
        """Vectors of documents, one row per text; a blank text is an empty row.

        Own words that no document of the collection had so far are left out.

        Raises:
            InputError: the model is gone, or is another one now.
            ModelError: it gave numbers that are not finite.
        """
        learned = self._of_network(texts)
        if self._own is None:
            return learned
        return side_by_side(learned, self._weighed(self._own.encode_documents(texts)))

    def encode_queries(self, texts: Sequence[str]) -> CSR:
        """Vectors of queries; by the table where there is one."""
        if self._table is not None:
            if self._own is None:
                return self._table.encode(texts)
            if len(texts) == 1:
                own, first = self._own.counts_of(texts[0]), self._n_pieces
                weights = self._table.weights_of(texts[0])
                weights |= {first + term: float(count) for term, count in own.items()}
                return CSR.one_row(weights, self.n_terms)
            return side_by_side(self._table.encode(texts), self._own.encode_queries(texts))
        return self._opened().encode(texts, "query")._replace(n_terms=self.n_terms)

    def find_terms(self, texts: Sequence[str]) -> list[int | None]:
        """The terms of these tokens and marked stems, or None where there is none."""
        found = [self._numbers.get(text) for text in texts]
        if self._own is not None:
            for place, text in enumerate(texts):
                if found[place] is None and text.startswith(OWN_MARK):
                    (own,) = self._own.find_terms([text.removeprefix(OWN_MARK)])
                    found[place] = None if own is None else self._n_pieces + own
        return found

    def surface_terms(self, text: str) -> NDArray[np.int32] | None:
        """The tokens of the text, where a network makes the query; None where the table does."""
        if self._table is not None:
            return None
        ids = {number for number in self._pieces.encode_one(text) if number < self.n_terms}
        return np.array(sorted(ids), np.int32)

    def save(self, folder: Path) -> None:
        """Write what queries need, and what the model is, so that documents can be added later.

        `encoder.json`, `tokenizer.json`; with a table also `weights.npy` (the model's) and, with
        the idf of the corpus, `document_frequency.npy`; with own terms a BM25 encoder in `own/`.
        """
        state = {
            "kind": "learned",
            "source": asdict(self._source),
            "n_terms": self._n_pieces,
            "n_documents": self._n_documents,
            "max_tokens": self._max_tokens,
            "truncation_side": self._side,
            "prompt": self._prompt,
            "table": self._model_weights is not None,
        }
        (folder / "encoder.json").write_text(json.dumps(state, indent=2) + "\n", "utf-8")
        (folder / "tokenizer.json").write_bytes(self._tokenizer_json)
        if self._model_weights is not None:
            np.save(folder / "weights.npy", self._model_weights)
            if self._source.idf == "corpus":
                np.save(folder / "document_frequency.npy", self._df)
        if self._own is not None:
            (folder / "own").mkdir(exist_ok=True)
            self._own.save(folder / "own")

    @classmethod
    def load(cls, folder: Path) -> LearnedEncoder:
        """Read what `save` wrote; the model itself is not needed yet.

        Raises:
            IndexCorruptError: a file is missing, or the files do not fit together.
        """
        encoder = cls.__new__(cls)
        try:
            state = json.loads((folder / "encoder.json").read_text("utf-8"))
            encoder._source = LearnedSource.of(state["source"])
            encoder._tokenizer_json = (folder / "tokenizer.json").read_bytes()
            encoder._max_tokens, encoder._side = state["max_tokens"], state["truncation_side"]
            encoder._prompt, encoder._n_pieces = state["prompt"], int(state["n_terms"])
            encoder._n_documents = int(state["n_documents"])
            encoder._network, encoder._model_weights = None, None
            encoder._df = np.zeros(encoder._n_pieces, np.int64)
            if state["table"]:
                encoder._model_weights = np.load(folder / "weights.npy", allow_pickle=False)
                if encoder._source.idf == "corpus":
                    file = folder / "document_frequency.npy"
                    encoder._df = np.load(file, allow_pickle=False)
            tables = (encoder._df, encoder._model_weights)
            if any(t is not None and t.shape != (encoder._n_pieces,) for t in tables):
                raise ValueError(f"a table does not have {encoder._n_pieces:,} terms")
            encoder._pieces = WordPieces(
                encoder._tokenizer_json, encoder._max_tokens, encoder._side
            )
            encoder._make_ready()
            encoder._own = encoder._new_own()
            if encoder._own is not None:
                encoder._own = Bm25Encoder.load(folder / "own")
        except (OSError, EOFError, ValueError, KeyError, TypeError, InputError) as error:
            raise IndexCorruptError(
                f"{folder}: the learned sparse encoder cannot be read ({error}); "
                "build the index again"
            ) from error
        return encoder

    def _make_ready(self) -> None:
        """Make the vocabulary and the table from what was read."""
        self._table: QueryTable | None = None
        self._set_width(self._n_pieces)
        if self._model_weights is not None:
            self._make_table(self._model_weights)

    def _set_width(self, n_terms: int) -> None:
        self._n_pieces = n_terms
        self._tokens = vocabulary_list(self._pieces.vocabulary, n_terms)
        self._numbers = {token: term for term, token in enumerate(self._tokens)}
        self._df = self._df if len(self._df) == n_terms else np.zeros(n_terms, np.int64)

    def _make_table(self, model: NDArray[np.float32]) -> None:
        weights = model
        if self._source.idf == "corpus":
            weights = shrunk_idf(self._df, self._n_documents, model)
        weights = np.where(weights < self._source.min_idf, np.float32(0), weights)
        self._table = QueryTable(self._pieces, weights, prompt=self._prompt)

    def _count(self, texts: Sequence[str]) -> None:
        """Add texts to the document frequencies, whole ones: only queries are truncated."""
        assert self._model_weights is not None
        indptr, tokens = self._pieces.encode(texts, whole=True)
        tokens = np.minimum(tokens, self._n_pieces)
        self._df = self._df + document_frequencies(indptr, tokens, self._n_pieces + 1)[:-1]
        self._n_documents += len(texts)
        self._make_table(self._model_weights)

    def _new_own(self) -> Bm25Encoder | None:
        own = self._source.lexical_terms
        return None if own is None else Bm25Encoder(k1=own.k1, b=own.b, language=own.language)

    def _weighed(self, impacts: CSR) -> CSR:
        own = self._source.lexical_terms
        assert own is not None
        return impacts._replace(weights=(impacts.weights * own.weight).astype(np.float32))

    def _of_network(self, texts: Sequence[str]) -> CSR:
        vectors = self._opened().encode(texts, "document")
        kept = ActiveTerms(self._source.max_active, self._source.prune_ratio).of(vectors)
        return kept._replace(n_terms=self._n_pieces)

    def _opened(self) -> Network:
        if self._network is None:
            self._network = self._source.open()
        return self._network


def _idf(folder: ModelFolder, wanted: IdfSource | None) -> IdfSource:
    return wanted or (folder.defaults.idf if folder.query is not None else "model")


def _lexical_terms(folder: ModelFolder, weight: float | None) -> LexicalTerms | None:
    own = folder.defaults.lexical_terms
    if weight is not None:
        own = replace(own or LexicalTerms(), weight=weight)
    return own if own is not None and own.weight else None
