"""`lsr index build`: build an index from documents or vectors."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.build_options import (
    Blocks,
    Centroids,
    MaxMemory,
    Neighbours,
    Passages,
    Postings,
    SummaryMass,
    Threads,
    build_limits,
    chosen_blocks,
    chosen_settings,
)
from lsr.cli.change import goes_on, print_reading, reading_fields
from lsr.cli.commands.index.info import described_index
from lsr.cli.commands.index.sharded import Shards, build_shards
from lsr.cli.console import print_json, shown_progress
from lsr.cli.dense_options import (
    Dimensions,
    DocumentPrompt,
    MaxTokens,
    Pooling,
    QueryPrompt,
    Similarity,
    dense_options,
)
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
    opened_for,
)
from lsr.cli.index_options import (
    AsJson,
    Backend,
    ColumnNames,
    Delimiter,
    Encoding,
    RayAddress,
    SkipBad,
    chosen_corpus,
)
from lsr.cli.vector_options import VectorFormat, VectorsPath, check_vector_format, given_vectors
from lsr.datasets.open import Corpus
from lsr.documents import chosen_passages
from lsr.encoders.corpus.statistics import CountingEncoder, Statistics, check_counter
from lsr.encoders.dense_recipe import DenseOptions
from lsr.encoders.learned.bundled_models import DEFAULT_MODEL
from lsr.encoders.protocols import DenseEncoder, Encoder
from lsr.encoders.registry import (
    coded_models,
    learned_options,
    open_dense,
    open_sparse,
)
from lsr.errors import InputError
from lsr.index.storage.manifest import Manifest

__all__ = ["build"]


def build(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A BEIR folder, a folder of files (text, Markdown, HTML, PDF and others), a "
            ".jsonl, .json, .csv, .tsv (also .gz, .zst) or .parquet file, or irds:ID of "
            "ir_datasets.",
        ),
    ],
    index: Annotated[
        Path | None, typer.Argument(metavar="INDEX", help="The folder to write.")
    ] = None,
    vectors: VectorsPath = None,
    vector_format: VectorFormat = None,
    passages: Passages = "auto",
    blocks: Blocks = "auto",
    postings: Postings = None,
    centroids: Centroids = None,
    summary: SummaryMass = None,
    neighbours: Neighbours = None,
    threads: Threads = None,
    max_memory: MaxMemory = None,
    sparse: SparseModel = None,
    precision: Precision = "auto",
    max_active: MaxActive = None,
    prune_ratio: PruneRatio = 0.0,
    idf: Idf = None,
    lexical_terms: LexicalWeight = None,
    sparse_query: SparseQuery = None,
    trust_remote_code: TrustRemoteCode = False,
    dense: Annotated[
        str, typer.Option(help="A sentence-transformers model for dense vectors, or none.")
    ] = "none",
    dense_similarity: Similarity = None,
    dense_pooling: Pooling = None,
    dense_query_prompt: QueryPrompt = None,
    dense_document_prompt: DocumentPrompt = None,
    dense_dimensions: Dimensions = None,
    dense_max_tokens: MaxTokens = None,
    columns: ColumnNames = "",
    encoding: Encoding = None,
    skip_bad: SkipBad = 0,
    delimiter: Delimiter = None,
    k1: Bm25K1 = None,
    b: Bm25B = None,
    language: Language = None,
    statistics: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Weigh words by what lsr index count found in all parts of a corpus, of which "
            "SOURCE is one; given once for each part, in one order.",
        ),
    ] = None,
    shards: Shards = None,
    backend: Backend = "local",
    ray_address: RayAddress = None,
    as_json: AsJson = False,
) -> None:
    """Build an index from documents; it replaces the one at INDEX when it is complete.

    Documents are encoded by the bundled model, about 20 a second on two cores; BM25, which needs no
    neural network, encodes thousands. An interrupted build changes nothing; run it again, and the
    vectors encoded so far are used.

    Example: lsr index build my-notes/ my-index
    """
    from lsr.index.collection.build import build_collection
    from lsr.index.live.settling import settle

    how = chosen_blocks(blocks, postings, centroids, summary, neighbours)
    learned = (sparse or DEFAULT_MODEL, sparse_query)
    trusts_sparse, trusts_dense = _trusted(learned, dense, trust_remote_code)
    asked = dense_options(
        dense_similarity,
        dense_pooling,
        dense_query_prompt,
        dense_document_prompt,
        dense_dimensions,
        dense_max_tokens,
        trust_remote_code=trusts_dense,
    )
    check_vector_format(vectors, vector_format)
    if index is None and vectors is None:
        raise InputError("the folder to write is missing: lsr index build SOURCE INDEX")
    target = index or Path(source)
    corpus: Corpus | None = None
    if index is not None:
        corpus = chosen_corpus(source, columns, encoding, skip_bad, delimiter)
    options = learned_options(
        precision, max_active, prune_ratio, idf, lexical_terms, sparse_query, trusts_sparse
    )
    sparse = "bm25" if vectors is not None and sparse is None else sparse
    opened = partial(open_sparse, sparse, k1=k1, b=b, options=options)
    encoder, documents = opened_for(corpus, language, opened, tells=vectors is None)
    encoder = _knowing(encoder, statistics, vectors)
    where = (shards, backend, ray_address)
    if where != (None, "local", None):
        splits, has_blocks = passages not in ("auto", "never"), blocks != "auto" or how
        unused = _given(vectors, statistics, threads, max_memory, splits, has_blocks)
        dense_model = None if dense == "none" else partial(_open_dense, dense, asked)
        of = (corpus, documents, target, where, encoder, dense_model)
        build_shards(*of, unused, source, as_json)
        return
    given = None
    if vectors is not None:
        by = None if sparse == "bm25" else encoder
        given = given_vectors(vectors, vector_format, documents, queries_by=by)
    model = open_dense(dense, asked)
    settings = chosen_settings(passages, may_split=vectors is None and not how)
    split = chosen_passages(corpus, settings, given.encoder if given else encoder, model)
    with goes_on(target), shown_progress() as progress:
        settle(target, progress)
        manifest = build_collection(
            given.documents if given else documents or (),
            target,
            sparse=given.encoder if given else encoder,
            dense=model,
            vectors=given.vectors if given else None,
            blocks=how,
            passages=split,
            limits=build_limits(threads, max_memory),
            learn=not statistics,
            source=source if corpus else str(vectors),
            progress=progress,
        )
    _print_built(target, manifest, corpus, as_json, is_split=split is not None)


def _print_built(
    target: Path, manifest: Manifest, corpus: Corpus | None, as_json: bool, *, is_split: bool
) -> None:
    if as_json:
        read = reading_fields(corpus)
        print_json({"index": str(target), **described_index(manifest), **read})
        return
    typer.echo(
        f"{target}: {manifest.n_documents:,} documents, {manifest.n_terms:,} terms, "
        f"{manifest.n_postings:,} postings, {manifest.size_bytes / 1e6:.1f} MB; "
        f'try: lsr search {target} "your words"'
    )
    print_reading(corpus, is_split=is_split)


def _given(*values: object) -> dict[str, object]:
    """Options that shards do not take, by name."""
    names = ("--vectors", "--statistics", "--threads", "--max-memory", "--passages", "--blocks")
    return dict(zip(names, values, strict=True))


def _open_dense(name: str, options: DenseOptions) -> DenseEncoder:
    """A dense model, for a task that may run elsewhere."""
    model = open_dense(name, options)
    assert model is not None
    return model


def _knowing(encoder: Encoder, files: list[Path] | None, vectors: Path | None) -> Encoder:
    """An encoder that knows the corpus whose parts were counted. Raises InputError."""
    if not files:
        return encoder
    if vectors is not None:
        raise InputError("--vectors are encoded already; leave --statistics out")
    if not isinstance(encoder, CountingEncoder):
        raise InputError(f"{encoder.identity.name} has no statistics; leave --statistics out")
    parts = [Statistics.load(file) for file in files]
    counter = encoder.learned_from(()).identity.sha256
    for file, part in zip(files, parts, strict=True):
        check_counter(counter, part, str(file))
    return encoder.learned_from(parts)


def _trusted(learned: tuple[str | None, ...], dense: str, is_given: bool) -> tuple[bool, bool]:
    """Whether code of the learned and of the dense model is trusted: that of those that bring any.

    Args:
        is_given: whether `--trust-remote-code` is.
    """
    if not is_given or dense == "none":
        return is_given, False
    coded = coded_models([model for model in (*learned, dense) if model])
    return not coded.isdisjoint(learned), dense in coded
