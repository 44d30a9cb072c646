"""`lsr expand`: append terms that queries may use to documents, for models of own terms."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.console import shown_progress
from lsr.datasets.open import open_corpus
from lsr.errors import InputError, StorageError
from lsr.files import writing
from lsr.progress import Progress
from lsr.types import Document

__all__ = ["expand"]

TEXTS_AT_ONCE = 256


def expand(
    corpus: Annotated[
        str, typer.Argument(metavar="CORPUS", help="Documents, as lsr index build reads them.")
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="The .jsonl file of expanded documents to write.")
    ],
    model: Annotated[
        str | None,
        typer.Option(help="A sequence-to-sequence checkpoint that generates queries (docT5query)."),
    ] = None,
    tilde: Annotated[
        str | None, typer.Option(help="A SparseEncoder whose likeliest terms are taken (TILDE).")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="Expansions made elsewhere: JSON lines of doc_id and queries."),
    ] = None,
    queries: Annotated[
        int, typer.Option(min=1, help="Queries that --model generates for each document.")
    ] = 20,
    terms: Annotated[
        int, typer.Option(min=1, help="Terms that --tilde adds to each document.")
    ] = 128,
) -> None:
    """Append queries or terms to documents, by one of --model, --tilde and --file.

    OUT is a collection like any other, to be indexed, encoded or trained on.

    Example: lsr expand corpus.jsonl expanded.jsonl --file queries.jsonl
    """
    if sum(each is not None for each in (model, tilde, file)) != 1:
        raise InputError("choose one of --model, --tilde and --file: what makes the expansions")
    documents = open_corpus(corpus).documents()
    written = 0
    with shown_progress() as progress:
        longer = (
            _from_file(documents, file)
            if file is not None
            else _from_model(documents, model, tilde, queries, terms, progress)
        )
        try:
            with writing(out) as stream:
                for document in longer:
                    record = {"_id": document.doc_id, "title": document.title}
                    line = json.dumps({**record, "text": document.text, **document.metadata})
                    stream.write(f"{line}\n".encode())
                    written += 1
        except OSError as error:
            raise StorageError(f"{out} cannot be written ({error.strerror or error})") from error
    typer.echo(f"{out}: {written:,} documents")


def _from_file(documents: Iterable[Document], file: Path) -> Iterable[Document]:
    from lsr.encoders.expansion import expanded, read_expansions

    found = read_expansions(file)
    used = 0
    for document in documents:
        used += document.doc_id in found
        text = expanded(document.text, found.get(document.doc_id, []))
        yield Document(document.doc_id, text, document.title, document.metadata)
    if not used:
        raise InputError(f"{file} has expansions of other documents: no doc_id is in the corpus")


def _from_model(
    documents: Iterable[Document],
    model: str | None,
    tilde: str | None,
    queries: int,
    terms: int,
    progress: Progress,
) -> Iterable[Document]:
    from lsr.encoders.expansion import Expander, Seq2SeqExpander, TildeExpander, expanded

    expander: Expander
    if model is not None:
        expander = Seq2SeqExpander(model, n_queries=queries)
    else:
        from lsr.training.models.sparse_encoder import open_model

        expander = TildeExpander(open_model(str(tilde)), n_terms=terms)
    done = 0
    for block in _blocks(documents):
        added = expander.expand([document.full_text for document in block])
        for document, more in zip(block, added, strict=True):
            text = expanded(document.text, more)
            yield Document(document.doc_id, text, document.title, document.metadata)
        done += len(block)
        progress("expand", done, None)


def _blocks(documents: Iterable[Document]) -> Iterable[list[Document]]:
    block: list[Document] = []
    for document in documents:
        block.append(document)
        if len(block) == TEXTS_AT_ONCE:
            yield block
            block = []
    if block:
        yield block
