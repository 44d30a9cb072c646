"""A model's vectors for Anserini: documents in whole numbers, and the table of query weights.

Anserini's `JsonVectorCollection` reads impacts as whole numbers. A query's weight of a token is in
`query-weights.tsv`, a token and its weight a line, for tools that encode queries by a table.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lsr.encoders.corpus.encode_shards import EncodedShards, ShardPlan, encode_shards
from lsr.encoders.learned.encoder import AnyLearned
from lsr.errors import InputError, StorageError
from lsr.progress import Progress, no_progress
from lsr.types import Document

__all__ = ["DEFAULT_SCALE", "export_anserini"]

DEFAULT_SCALE = 100.0
"""Factor by which SPLADE's and uniCOIL's authors multiply weights before rounding."""


def export_anserini(
    encoder: AnyLearned,
    documents: Iterable[Document],
    folder: Path,
    *,
    scale: float = DEFAULT_SCALE,
    progress: Progress = no_progress,
) -> EncodedShards:
    """Write `collection/*.jsonl` and `query-weights.tsv` into a folder. Interrupted, it goes on.

    Args:
        encoder: a model whose queries are encoded by a table.
        scale: weights are multiplied by this and rounded.

    Raises:
        InputError: queries need the network, or the folder holds something else.
        StorageError: the folder cannot be written.
    """
    weights = encoder.query_weights
    if weights is None:
        raise InputError(
            f"{encoder.identity.name} encodes queries by a network, and Anserini cannot; write "
            "vectors of both sides with lsr encode and lsr encode --queries"
        )
    plan = ShardPlan(encoder.identity.sha256, scale=scale)
    done = encode_shards(
        documents,
        folder / "collection",
        encoder.encode_documents,
        encoder.vocabulary,
        plan,
        progress=progress,
    )
    lines = [
        f"{token}\t{weight:.6g}\n"
        for token, weight in zip(encoder.vocabulary, weights.tolist(), strict=True)
        if weight > 0
    ]
    try:
        (folder / "query-weights.tsv").write_text("".join(lines), "utf-8")
    except OSError as error:
        raise StorageError(f"{folder} cannot be written ({error.strerror or error})") from error
    return done
