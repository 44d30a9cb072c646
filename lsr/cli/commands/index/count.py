"""`lsr index count`: what an encoder counts in a part of a corpus, for builds of the parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.change import print_reading, reading_fields
from lsr.cli.console import print_json, shown_progress
from lsr.cli.encoder_options import (
    Bm25B,
    Bm25K1,
    Idf,
    Language,
    LexicalWeight,
    MaxActive,
    Precision,
    PruneRatio,
    SparseModel,
    SparseQuery,
    TrustRemoteCode,
)
from lsr.cli.index_options import AsJson, ColumnNames, Delimiter, Encoding, SkipBad, chosen_corpus
from lsr.encoders.corpus.statistics import CountingEncoder
from lsr.encoders.registry import learned_options, open_sparse
from lsr.errors import InputError, StorageError
from lsr.progress import Progress
from lsr.types import Document

__all__ = ["count"]

_BATCH = 1_000


def count(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A part of the corpus, as lsr index build.")
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    sparse: SparseModel = None,
    precision: Precision = "auto",
    max_active: MaxActive = None,
    prune_ratio: PruneRatio = 0.0,
    idf: Idf = None,
    lexical_terms: LexicalWeight = None,
    sparse_query: SparseQuery = None,
    trust_remote_code: TrustRemoteCode = False,
    columns: ColumnNames = "",
    encoding: Encoding = None,
    skip_bad: SkipBad = 0,
    delimiter: Delimiter = None,
    k1: Bm25K1 = None,
    b: Bm25B = None,
    language: Language = None,
    as_json: AsJson = False,
) -> None:
    """Count the words of a part of a corpus, and write them to a file; no model runs.

    Parts that are built with the counts of all parts, in one order, by --statistics of lsr index
    build, have the encoder and the vectors of one index of the whole.

    Example: lsr index count part-1.jsonl part-1.counts
    """
    options = learned_options(
        precision, max_active, prune_ratio, idf, lexical_terms, sparse_query, trust_remote_code
    )
    encoder = open_sparse(sparse, k1=k1, b=b, language=language, options=options)
    if not isinstance(encoder, CountingEncoder):
        raise InputError(f"{encoder.identity.name} keeps no statistics of a corpus to count")
    corpus = chosen_corpus(source, columns, encoding, skip_bad, delimiter)
    with shown_progress() as progress:
        counted = encoder.count(_texts(corpus.documents(), progress))
    if not counted.n_documents:
        raise InputError(f"{source} holds no documents; there is nothing to count")
    try:
        counted.save(file)
    except OSError as error:
        raise StorageError(
            f"{file} cannot be written ({error.strerror or error}); nothing was written"
        ) from error
    if as_json:
        fields = {"n_documents": counted.n_documents, "n_words": counted.n_words}
        print_json({"file": str(file), **fields, **reading_fields(corpus)})
        return
    typer.echo(
        f"{file}: {counted.n_documents:,} documents, {len(counted.words):,} words; "
        f"build with: lsr index build {source} INDEX --statistics {file}"
    )
    print_reading(corpus)


def _texts(documents: Iterable[Document], progress: Progress) -> Iterator[Sequence[str]]:
    stream, done = iter(documents), 0
    while batch := list(islice(stream, _BATCH)):
        yield [document.full_text for document in batch]
        done += len(batch)
        progress("count", done, None)
