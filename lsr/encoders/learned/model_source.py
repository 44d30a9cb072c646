"""Source of a learned sparse model's vectors: its folder, and the network in it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from lsr.encoders.analysis import LATEST, Analyzer
from lsr.encoders.learned.lexical_terms import LexicalTerms
from lsr.encoders.learned.model_classes import has_own_code, is_trusted
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.onnx_network import OnnxNetwork, is_sparse_export, packaged_graph
from lsr.encoders.learned.packed_model import GRAPH_FOLDER
from lsr.encoders.learned.recommended import IdfSource
from lsr.encoders.learned.tokenizer import WordPieces
from lsr.errors import IndexCorruptError, InputError
from lsr.sparse import CSR

__all__ = [
    "MODEL_FOLDER",
    "PRECISIONS",
    "QUERY_MODEL_FOLDER",
    "LazyNetwork",
    "LearnedOptions",
    "LearnedSource",
    "Network",
    "Precision",
    "ResolvedPrecision",
    "check_one_vocabulary",
    "precision_of",
]

Precision = Literal["auto", "fp32", "bf16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
ResolvedPrecision = Literal["auto", "fp32", "bf16", "onnx-fp32", "onnx-int8"]
"""What a model is used in; "auto" only where torch is not there to say what that is."""

MODEL_FOLDER, QUERY_MODEL_FOLDER = "model", "query-model"
"""In a collection's folder, one that came from elsewhere: its models, where they went along."""

COMPUTED = "text by text"
"""How networks compute: vectors kept by version 0.1, which depend on their neighbours, are of
another key."""


@dataclass(frozen=True)
class LearnedOptions:
    """Options of how a model is used.

    Attributes:
        precision: of the network: "fp32" or "bf16" in torch, "int8" for the graph that a packed
            model brings along, or "auto" for what the machine is built for. An export to ONNX has
            its own.
        max_active: entries of a document's vector at most, own words not counted; None for what
            the model says, or all.
        prune_ratio: entries at or below this share of a document's heaviest are dropped.
        lexical_weight: of the score by BM25 that own words add
            (`lsr.encoders.learned.lexical_terms`); None for what the model says, 0 for none.
        language: of the words that own words are, as in `Analyzer`; None for what the model says.
        idf: "model" for the table that the model came with; "corpus" for that of the collection,
            drawn towards the model's (`lsr.encoders.corpus.idf.shrunk_idf`); None for what the
            model says.
        query_model: the model of queries, where it is another one of the same vocabulary.
        trust_remote_code: run the code that a model brings along.

    Raises:
        InputError: there is no such precision or source of the table.
    """

    precision: Precision = "auto"
    max_active: int | None = None
    prune_ratio: float = 0.0
    idf: IdfSource | None = None
    lexical_weight: float | None = None
    query_model: str | None = None
    trust_remote_code: bool = False
    language: str | None = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError(
                f"there is no precision {self.precision!r}; choose {', '.join(PRECISIONS)}"
            )
        if self.idf not in (None, "model", "corpus"):
            raise InputError(f"there is no idf of {self.idf!r}; choose model or corpus")


class Network(Protocol):
    """Encodes texts by a network: `torch_network.TorchNetwork`, or an export to ONNX."""

    @property
    def n_terms(self) -> int: ...

    def encode(self, texts: Sequence[str], side: Literal["query", "document"]) -> CSR:
        """Vectors, one row per text; a blank text is an empty row."""
        ...


@dataclass(frozen=True)
class LearnedSource:
    """The model that made the documents' vectors, and how.

    Attributes:
        name: what it is called. place: its folder, or hub id.
        sha256: of the files that its vectors depend on.
        precision, max_active, prune_ratio, idf: as in `LearnedOptions`, resolved.
        min_idf: see `lsr.encoders.learned.recommended.SearchDefaults`.
        lexical_terms: that stand beside the model's, or None.
        query: the model of queries, or None where it is this one.
        has_code: it runs code of its own, which the hash covers.
    """

    name: str
    place: str
    sha256: str
    precision: ResolvedPrecision
    max_active: int | None
    prune_ratio: float
    idf: IdfSource
    min_idf: float = 0.0
    lexical_terms: LexicalTerms | None = None
    query: LearnedSource | None = None
    has_code: bool = False

    @classmethod
    def resolved(
        cls, model: str, folder: ModelFolder, options: LearnedOptions, asked: ModelFolder
    ) -> LearnedSource:
        """A model that is there, by options, or by what it says itself where they say nothing.

        Args:
            model: what it was asked for by: a folder, or a name.
            folder: what that name led to.
            asked: likewise of the queries' model, or the same.

        Raises:
            InputError: the precision does not fit the model, or a language is given and it has no
                own words.
        """
        place = folder.path.resolve()
        is_folder = Path(model).is_dir()
        idf = asked.defaults.idf if asked.query is not None else "model"
        has_code = options.trust_remote_code and has_own_code(folder.modules)
        query = None
        if options.query_model is not None:
            query = cls.resolved(
                options.query_model, asked, replace(options, query_model=None, language=None), asked
            )
        return cls(
            name=place.name if is_folder else model,
            place=str(place) if is_folder else model,
            sha256=folder.sha256(with_code=has_code),
            precision=precision_of(place, options.precision),
            max_active=options.max_active or folder.max_active,
            prune_ratio=options.prune_ratio,
            idf=options.idf or idf,
            min_idf=asked.defaults.min_idf,
            lexical_terms=_lexical_terms(model, folder, options),
            query=query,
            has_code=has_code,
        )

    @classmethod
    def of(cls, state: dict[str, Any]) -> LearnedSource:
        """As `asdict` wrote it, or version 0.1, where lexical terms were called own ones."""
        terms = state.pop("own_terms", None) or state.get("lexical_terms")
        query = state.get("query")
        parts = {"lexical_terms": terms and LexicalTerms(**terms), "query": query and cls.of(query)}
        return cls(**(state | parts))

    @classmethod
    def read(cls, folder: Path) -> LearnedSource:
        """The source of an encoder in a collection's folder. Raises IndexCorruptError."""
        try:
            state = json.loads((folder / "encoder.json").read_text("utf-8"))
            return cls.of(state["source"]).or_beside(folder.parent.resolve())
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise IndexCorruptError(f"{folder} cannot be read ({error}); build again") from error

    def or_beside(self, collection: Path) -> LearnedSource:
        """The same, taken from the folder that goes along with a collection where it is gone."""
        query = self.query and self.query.or_beside_as(collection / QUERY_MODEL_FOLDER)
        return replace(self.or_beside_as(collection / MODEL_FOLDER), query=query)

    def or_beside_as(self, folder: Path) -> LearnedSource:
        """The same, at another place where its own is a folder that is gone."""
        is_there = not Path(self.place).is_absolute() or Path(self.place).exists()
        return self if is_there or not folder.is_dir() else replace(self, place=str(folder))

    def to_dict(self) -> dict[str, Any]:
        """Fields that vectors depend on, named as in version 0.1: their hash names encoders."""
        content = asdict(self) | {"place": "", "name": ""}
        del content["lexical_terms"]
        content["own_terms"] = self.lexical_terms and self.lexical_terms.to_dict()
        del content["has_code"]
        query = content.pop("query")
        return content if query is None else content | {"query": self.query and self.query.key}

    @property
    def key(self) -> str:
        """Of the network and how it computes: same key, same vectors."""
        return f"{self.sha256} {self.precision} {COMPUTED}"

    def open(self) -> Network:
        """The network. Raises InputError when the model is gone, or another one now."""
        again = "put it back, or build the index again with the model that is there now"
        try:
            folder = ModelFolder.open(self.place)
        except InputError as error:
            raise InputError(
                f"the sparse model {self.name!r} is not at {self.place} any more, and documents "
                f"cannot be encoded without it; {again}"
            ) from error
        if folder.sha256(with_code=self.has_code) != self.sha256:
            raise InputError(
                f"the sparse model at {self.place} is not the one it was, and vectors of two "
                f"models do not go together; {again}"
            )
        if self.has_code and not is_trusted(self.sha256):
            raise InputError(
                f"the sparse model at {self.place} runs code of its own, which you have not "
                "trusted on this machine; read it, then run once: lsr encode CORPUS "
                f"{self.place} OUT --trust-remote-code"
            )
        if is_sparse_export(folder.path):
            return OnnxNetwork(folder.path)
        if self.precision == "onnx-fp32" or self.precision == "onnx-int8":
            return OnnxNetwork(folder.path / GRAPH_FOLDER)
        from lsr.encoders.learned.torch_network import TorchNetwork

        return TorchNetwork(folder, self.precision, trust_remote_code=self.has_code)


def _lexical_terms(model: str, folder: ModelFolder, options: LearnedOptions) -> LexicalTerms | None:
    """Lexical terms by options, or by what the model says. In another language by newest rules."""
    terms = folder.defaults.lexical_terms
    if options.lexical_weight is not None:
        new = LexicalTerms(analysis=LATEST)
        terms = replace(terms or new, weight=options.lexical_weight)
    if terms is not None and not terms.weight:
        terms = None
    if options.language is None:
        return terms
    if terms is None:
        raise InputError(
            f"the language is of the documents' own words, and {model} has none beside its "
            "vectors; give --lexical-weight too, or leave --language out"
        )
    if options.language == terms.language:
        return terms
    return replace(terms, language=Analyzer(options.language).language, analysis=LATEST)


class LazyNetwork:
    """A source's network, opened when it is first needed. Raises as `LearnedSource.open`."""

    def __init__(self, source: LearnedSource) -> None:
        self._source = source

    @property
    def n_terms(self) -> int:
        return self._opened.n_terms

    def encode(self, texts: Sequence[str], side: Literal["query", "document"]) -> CSR:
        """See `Network`."""
        return self._opened.encode(texts, side)

    @cached_property
    def _opened(self) -> Network:
        return self._source.open()


def precision_of(folder: Path, precision: Precision) -> ResolvedPrecision:
    """Precision of the model in this folder that the requested one stands for.

    "auto" is bf16 in torch where torch and the machine have it, the graph in eight bits where the
    model brings one along, else fp32 in torch.

    Raises:
        InputError: the model is an export, which has a precision of its own, or brings no graph.
    """
    if is_sparse_export(folder):
        if precision != "auto":
            raise InputError(
                f"{folder} is an export to ONNX, which has a precision of its own; leave the "
                "precision at auto"
            )
        return OnnxNetwork.precision_of(folder)
    graph = packaged_graph(folder)
    if precision == "int8":
        if graph is None:
            raise InputError(
                f"{folder} brings no graph in eight bits along; for one export the model: "
                "lsr export MODEL OUT --format packed"
            )
        return OnnxNetwork.precision_of(graph)
    resolved: ResolvedPrecision = precision
    if importlib.util.find_spec("sentence_transformers") is not None:
        from lsr.encoders.learned.torch_network import resolved_precision

        resolved = resolved_precision(precision)
    faster = precision == "auto" and resolved != "bf16" and graph is not None
    if graph is not None and faster and importlib.util.find_spec("onnxruntime") is not None:
        return OnnxNetwork.precision_of(graph)
    return resolved  # good enough for queries without torch; documents are refused when they come


def check_one_vocabulary(
    source: LearnedSource,
    folder: ModelFolder,
    pieces: WordPieces,
    n_document_terms: int,
    n_query_terms: int,
) -> None:
    """Raises InputError when a term is not the same for documents and queries."""
    assert source.query is not None
    own, asked = WordPieces(folder.tokenizer_json()).vocabulary, pieces.vocabulary
    differing = sorted({*own.items()} ^ {*asked.items()}, key=lambda item: (item[1], item[0]))
    if differing or n_document_terms != n_query_terms:
        token = f"; the first that differs is {differing[0][0]!r}" if differing else ""
        raise InputError(
            f"{source.place} and {source.query.place} have two vocabularies ({n_document_terms:,} "
            f"and {n_query_terms:,} terms{token}); name a model of queries that was trained with "
            "that of the documents"
        )
