"""Documents in, a published collection out: the stages of a build, one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

from lsr.encoders.protocols import DenseEncoder, Encoder
from lsr.errors import InputError, StorageError
from lsr.index.blocks.config import BlockSettings
from lsr.index.collection.encode import resumable, splitting
from lsr.index.collection.encoder_registry import save_encoder
from lsr.index.collection.segment_writer import SegmentWriter
from lsr.index.indexer.limits import BuildLimits
from lsr.index.storage.commit import commit
from lsr.index.storage.manifest import Manifest
from lsr.index.storage.staging import Staging
from lsr.passages.passage import PassageSettings
from lsr.progress import Progress, no_progress
from lsr.sparse import CSR
from lsr.types import Document

__all__ = ["build_collection"]


def build_collection(
    documents: Iterable[Document],
    target: Path,
    *,
    sparse: Encoder,
    dense: DenseEncoder | None = None,
    vectors: CSR | None = None,
    blocks: bool | BlockSettings | None = None,
    passages: PassageSettings | None = None,
    limits: BuildLimits | None = None,
    source: str = "",
    vector_cache: Path | None = None,
    versions: Iterable[int] | None = None,
    allow_empty: bool = False,
    learn: bool = True,
    progress: Progress = no_progress,
) -> Manifest:
    """Build a collection and publish it at `target`, replacing one that is there.

    Until the last moment nothing at `target` changes; an exception, an interrupt or a kill leaves
    it as it was. Vectors encoded by an interrupted build are used by the next: dense ones, and
    those of a learned model.

    Args:
        documents: read once; at least one, or see `allow_empty`.
        target: the collection's folder, or where it shall be.
        sparse: gives the vectors of the inverted lists; keeps its statistics in the collection.
        dense: gives dense vectors as well.
        vectors: the documents' sparse vectors, in their order, where they were made elsewhere;
            `sparse` then encodes queries only.
        blocks: whether to build a block index for approximate search; None for large collections.
            Settings stand for yes, and the collection keeps them through every change.
        passages: how long documents are split, which the collection keeps through every change;
            default: all stay whole.
        limits: of building it; default: those of `BuildLimits`.
        source: what the documents are, for people.
        vector_cache: a folder where such vectors stay after the build, for later builds.
        versions: of the documents, in their order, as in `add_documents`; default: 0.
        allow_empty: whether a collection without documents is made, to be added to later.
        learn: whether `sparse` adds the documents to its statistics; else it has those of a corpus
            of which they are a part (`lsr.encoders.corpus.statistics`).

    Raises:
        InputError: no documents, an id that is empty or repeated, vectors that do not fit, no model
            that reads passages, too little memory for blocks, or `target` is something else.
        StorageError: the disk is full, there is no permission, or another writer is at work.
    """
    settings = None
    how = None if passages is None else asdict(passages)
    if passages is not None and (vectors is not None or blocks):
        raise InputError(
            "documents are split into passages, which have neither vectors made elsewhere nor a "
            "block index; leave passages out, or these"
        )
    split = splitting(how, sparse, dense)
    if isinstance(blocks, BlockSettings):
        settings, blocks = blocks, True
    try:
        kept = resumable(sparse, target, vector_cache) if vectors is None else nullcontext()
        with Staging(target) as staging, SegmentWriter(staging, progress, split) as draft, kept:
            draft.read(documents, source, versions, allow_empty=allow_empty)
            draft.encode_sparse(sparse, vectors, learn=learn)
            encoder = save_encoder(sparse, staging.folder, staging.generation)
            if dense is not None:
                if vector_cache is not None:
                    vector_cache.mkdir(parents=True, exist_ok=True)
                draft.encode_dense(dense, vector_cache or staging.kept)
            segment = draft.finish(
                sparse,
                is_exact=True,
                blocks=blocks,
                settings=settings,
                limits=limits,
            )
            return commit(
                staging,
                [segment],
                sparse=sparse.identity,
                dense=dense.identity if dense is not None else None,
                encoder=encoder,
                source=source,
                forget_kept=True,
                progress=progress,
                blocks=None if settings is None else settings.to_dict(),
                passages=how,
            )
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written ({error.strerror or error}); nothing was changed, "
            "so free some space or choose another place and build again"
        ) from error
