"""Options of encoders, shared by commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from lsr.cli.console import complain, shown_progress
from lsr.datasets.open import Corpus
from lsr.encoders.analysis.detection import AUTO
from lsr.encoders.learned.bundled_models import DEFAULT_MODEL
from lsr.types import Document

if TYPE_CHECKING:
    from lsr.encoders.protocols import Encoder

__all__ = [
    "Bm25B",
    "Bm25K1",
    "Idf",
    "Language",
    "LexicalWeight",
    "MaxActive",
    "Precision",
    "PruneRatio",
    "SparseModel",
    "SparseQuery",
    "TrustRemoteCode",
    "opened_for",
]

Precision = Annotated[
    str,
    typer.Option(
        help="Learned model: precision of its neural network: fp32 or bf16 in torch, int8 for the "
        "ONNX graph of a packed model, or auto: bf16 where the machine computes in it, otherwise "
        "int8 where the model has it, otherwise fp32."
    ),
]
MaxActive = Annotated[
    int | None,
    typer.Option(
        min=1, help="Learned model: terms kept of a document; default: as the model says."
    ),
]
PruneRatio = Annotated[
    float,
    typer.Option(
        help="Learned model: terms up to this share of a document's heaviest term are dropped."
    ),
]
Idf = Annotated[
    str | None,
    typer.Option(
        help="Learned model: query weights: model for the model's own, corpus for those of "
        "SOURCE, mixed with the model's while SOURCE is small; default: as the model says."
    ),
]
Language = Annotated[
    str | None,
    typer.Option(
        help="Of BM25's words, or of the documents' own words beside a learned model: a Snowball "
        "stemmer, korean, none, or auto: that of most documents; default: english, or as the model "
        "says."
    ),
]
LexicalWeight = Annotated[
    float | None,
    typer.Option(
        "--lexical-weight",
        help="Learned model: weight of the BM25 score of the document's own words; 0 for none; "
        "default: as the model says.",
    ),
]
SparseQuery = Annotated[
    str | None,
    typer.Option(
        "--sparse-query",
        metavar="MODEL",
        help="Learned model: another model for queries, of the same vocabulary; default: that of "
        "--sparse.",
    ),
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Learned or dense model: run the Python code that it brings along; read it first.",
    ),
]
SparseModel = Annotated[
    str | None,
    typer.Option(
        help="The sparse encoder: bm25, or a learned model: one of lsr models, a folder that a "
        "SparseEncoder was saved in or lsr export wrote, or a hub id; default: "
        f"{DEFAULT_MODEL}. With --vectors it encodes queries only.",
        show_default=False,
    ),
]
Bm25K1 = Annotated[
    float | None, typer.Option(help="BM25: k1, the saturation of repeated words; default: 0.9.")
]
Bm25B = Annotated[
    float | None, typer.Option(help="BM25: b, the normalisation by length; default: 0.4.")
]


def opened_for(
    corpus: Corpus | None,
    language: str | None,
    opened: Callable[..., Encoder],
    *,
    tells: bool = True,
) -> tuple[Encoder, Iterable[Document] | None]:
    """An encoder in the language asked for, or found in the documents; and all documents.

    A language that is found is told, and so is one that the encoder does not read, when the
    documents have been read.

    Args:
        opened: gives the encoder in a `language`, or, without one, in that of its default.
        tells: whether the documents' texts are what the encoder reads.
    """
    from lsr.encoders.language import chosen_language, listened, not_read, sampled

    documents: Iterable[Document] | None = corpus.documents() if corpus else None
    if language == AUTO and documents is not None:
        opened(language="none")  # what is refused is refused before anything is read
        with shown_progress() as progress:
            texts, documents = sampled(documents, progress)
        language, told = chosen_language(texts)
        complain(told)
        return opened(language=language), documents
    encoder = opened(language=language)
    if documents is None or language is not None or not tells:
        return encoder, documents

    def tell(texts: list[str]) -> None:
        if sentence := not_read(encoder, texts):
            complain(sentence)

    return encoder, listened(documents, tell)
