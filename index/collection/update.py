"""Changes of a collection that is there: documents added, replaced, deleted; segments merged.

Nothing on disk is changed. A change writes at most one new segment, and a new file of tombstones
beside each segment that it deletes from, and publishes them as the next generation. Readers keep
the generation they opened.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lsr.encoders.protocols import CorpusEncoder, DenseEncoder, Encoder, TokenizedEncoder
from lsr.errors import InputError, NotFoundError
from lsr.index.collection.encode import resumable, splitting
from lsr.index.collection.encoder_registry import load_encoder, onnx_folder
from lsr.index.collection.merge_policy import MergePolicy
from lsr.index.collection.retrievers import open_model
from lsr.index.collection.segment_writer import SegmentWriter
from lsr.index.collection.transaction import Transaction, transaction
from lsr.index.indexer.limits import BuildLimits
from lsr.index.storage.known_documents import KnownDocuments
from lsr.index.storage.manifest import Manifest
from lsr.passages.passage import Split
from lsr.progress import Progress, no_progress
from lsr.sparse import CSR
from lsr.types import Document

__all__ = [
    "Change",
    "Difference",
    "add_documents",
    "delete_documents",
    "merge_segments",
    "sync_documents",
]


@dataclass(frozen=True)
class Difference:
    """Ids of the documents that a source and a collection differ in.

    Attributes:
        added: of the source alone, in its order.
        replaced: of both, with other content in the source.
        deleted: of the collection alone.
    """

    added: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Change:
    """Outcome of an update.

    Attributes:
        manifest: of the collection as it is now.
        n_added: documents that are new.
        n_replaced: documents that stand in place of an older version.
        n_deleted: documents that cannot be found any more.
        n_merged: segments whose documents were written into a new one.
        n_unchanged: documents that were given and are there already as they are.
        difference: of `sync_documents`: which documents these are.
    """

    manifest: Manifest
    n_added: int = 0
    n_replaced: int = 0
    n_deleted: int = 0
    n_merged: int = 0
    n_unchanged: int = 0
    difference: Difference = Difference()

    def __repr__(self) -> str:
        counts = [
            f"{value:,} {name.removeprefix('n_')}"
            for name, value in vars(self).items()
            if name.startswith("n_") and value
        ]
        return f"Change({', '.join(counts) or 'nothing'}; generation {self.manifest.generation})"


def add_documents(
    collection: Path,
    documents: Iterable[Document],
    *,
    versions: Iterable[int] | None = None,
    vectors: CSR | None = None,
    sparse: Encoder | None = None,
    dense: DenseEncoder | None = None,
    source: str = "",
    log_seq: int | None = None,
    policy: MergePolicy | None = None,
    limits: BuildLimits | None = None,
    progress: Progress = no_progress,
) -> Change:
    """Add documents; one whose doc_id is there replaces the older version.

    A document that is there with the same content is passed over; where all are, nothing is
    published. With `vectors` or `versions` all are written. They are encoded by the collection's
    own models; vectors that an interrupted addition had ready are used by the next. An encoder with
    corpus statistics learns from the documents first; those that are there keep their vectors,
    until `merge_segments`.

    Args:
        collection: the collection's folder.
        documents: read once; at least one, each doc_id once.
        versions: of the documents, in their order: the numbers of their operations in the log;
            default: 0.
        vectors: the documents' sparse vectors, in their order, where they were made elsewhere;
            these documents are not split.
        sparse: the collection's sparse encoder with terms added, where `vectors` need them.
        dense: the collection's dense model, where it is loaded already.
        source: what the documents are, for people.
        log_seq: the last operation of the log that is in the collection now; by default as before.
        policy: which segments are merged into the new one; default: that of `MergePolicy`.
        limits: of building blocks; default: those of `BuildLimits`.

    Raises:
        InputError: no documents, an id that is empty or repeated, vectors or models that do not
            fit the collection, or too little memory for blocks.
        IndexStateError: there is no index, it is damaged, or its dense model has changed.
        StorageError: the disk is full, there is no permission, or another writer is at work.
    """
    with (
        transaction(collection, progress) as change,
        SegmentWriter(
            change.staging,
            progress,
            _split(change, collection, dense) if vectors is None else None,
        ) as draft,
    ):
        known = _known(change)
        if vectors is None and versions is None:
            documents = known.changed(documents)
        draft.read(documents, source, versions, allow_empty=True)
        if draft.n_documents == 0 and known.n_unchanged:
            return Change(change.before, n_unchanged=known.n_unchanged)
        draft.refuse_empty(source)
        n_new = draft.n_documents
        new = _NewDocuments(draft, vectors, sparse, dense)
        manifest, replaced, merged = _publish(
            change, collection, new, [], policy=policy, limits=limits, log_seq=log_seq
        )
    n_replaced = len(replaced)
    return Change(
        manifest,
        n_new - n_replaced,
        n_replaced,
        n_merged=merged,
        n_unchanged=known.n_unchanged,
    )


def sync_documents(
    collection: Path,
    documents: Iterable[Document],
    *,
    allow_empty: bool = False,
    dry_run: bool = False,
    dense: DenseEncoder | None = None,
    source: str = "",
    policy: MergePolicy | None = None,
    limits: BuildLimits | None = None,
    progress: Progress = no_progress,
) -> Change:
    """Make a collection hold exactly these documents: some are added, replaced, deleted, in one.

    What is there with the same content is neither encoded nor written again; where all is as it
    should be, nothing is published. Otherwise as `add_documents`.

    Args:
        documents: read once; each doc_id once.
        allow_empty: no documents at all delete everything; otherwise they are refused, as a source
            that is empty is most often one that is not there.
        dry_run: say what would be done, and change nothing.

    Returns:
        With the ids of `Difference`.

    Raises:
        InputError: no documents, an id that is empty or repeated, a dense model that is not the
            collection's, or too little memory for blocks.
        IndexStateError: there is no index, it is damaged, or its dense model has changed.
        StorageError: the disk is full, there is no permission, or another writer is at work.
    """
    with (
        transaction(collection, progress) as change,
        SegmentWriter(change.staging, progress, _split(change, collection, dense)) as draft,
    ):
        known = _known(change)
        draft.read(known.changed(documents), source, allow_empty=True)
        if not known.n_read and not allow_empty:
            raise InputError(
                f"{source or 'the source'} holds no documents, and {collection.name} would lose "
                "all that it has; check the source, or allow an empty one"
            )
        missing = known.missing()
        difference = Difference(tuple(known.added), tuple(known.replaced), tuple(missing))
        manifest, merged = change.before, 0
        if draft.n_documents and not dry_run:
            new = _NewDocuments(draft, dense=dense)
            manifest, _, merged = _publish(
                change, collection, new, missing, policy=policy, limits=limits
            )
        elif missing and not dry_run:
            change.delete(missing)
            manifest = change.commit()
    return Change(
        manifest,
        len(difference.added),
        len(difference.replaced),
        len(missing),
        merged,
        known.n_unchanged,
        difference,
    )


def delete_documents(
    collection: Path,
    doc_ids: Iterable[str],
    *,
    ignore_missing: bool = False,
    log_seq: int | None = None,
    progress: Progress = no_progress,
) -> Change:
    """Delete documents by id. They take space until their segment is merged.

    Args:
        ignore_missing: ids that are not there are no error.
        log_seq: the last operation of the log that is in the collection now; by default as before.
            A new generation is published where this alone changes.

    Raises:
        NotFoundError: there is no document of one of the ids; nothing was deleted.
        IndexStateError: there is no index, or it is damaged.
        StorageError: the disk is full, there is no permission, or another writer is at work.
    """
    wanted = list(dict.fromkeys(doc_ids))
    with transaction(collection, progress) as change:
        found = change.delete(wanted)
        missing = [doc_id for doc_id in wanted if doc_id not in found]
        if missing and not ignore_missing:
            others = f", nor of {len(missing) - 1:,} other ids" if len(missing) > 1 else ""
            raise NotFoundError(
                f"there is no document {missing[0]!r} in {collection.name}{others}; nothing was "
                "deleted, so check the ids, or ask to ignore those that are missing"
            )
        is_changed = bool(found) or log_seq not in (None, change.before.log_seq)
        manifest = change.commit(log_seq=log_seq) if is_changed else change.before
    return Change(manifest, n_deleted=len(found))


def merge_segments(
    collection: Path, *, limits: BuildLimits | None = None, progress: Progress = no_progress
) -> Change:
    """Write all documents that are not deleted into one segment.

    An encoder with corpus statistics takes them anew from these documents and encodes all of them
    again, so the result is what a build from these documents would be. Other vectors are copied.
    Readers go on meanwhile. Where there is nothing to merge, nothing is done.

    Args:
        limits: of building blocks; default: those of `BuildLimits`.

    Raises:
        InputError: the memory allowed for blocks does not suffice.
        IndexStateError: there is no index, or it is damaged.
        StorageError: the disk is full, there is no permission, or another writer is at work.
    """
    with transaction(collection, progress) as change:
        before = change.before
        change.check(before.files_below(before.encoder))
        encoder = load_encoder(collection, before)
        learns = isinstance(encoder, CorpusEncoder)
        (first, *others) = before.segments
        if not others and not first.n_deleted and (first.is_exact or not learns):
            return Change(before)
        with SegmentWriter(change.staging, progress) as draft:
            change.merge(before.segments, draft, with_sparse=not learns)
            if isinstance(encoder, CorpusEncoder):
                encoder = encoder.fresh()
                draft.encode_sparse(encoder)
            folder = change.save_encoder(encoder)
            new = draft.finish(
                encoder,
                is_exact=True,
                blocks=change.had_blocks(),
                settings=change.block_settings(),
                limits=limits,
            )
            manifest = change.commit(new, (encoder, folder))
    return Change(manifest, n_merged=len(before.segments))


@dataclass(frozen=True)
class _NewDocuments:
    """Documents that were read into a draft, and what encodes them; see `add_documents`."""

    draft: SegmentWriter
    vectors: CSR | None = None
    sparse: Encoder | None = None
    dense: DenseEncoder | None = None


def _publish(
    change: Transaction,
    collection: Path,
    new: _NewDocuments,
    deleted: list[str],
    *,
    policy: MergePolicy | None,
    limits: BuildLimits | None,
    log_seq: int | None = None,
) -> tuple[Manifest, set[str], int]:
    """Encode new documents and publish them without their older versions, and those `deleted`.

    Returns:
        The manifest, the ids of older versions, and the number of segments merged.
    """
    draft = new.draft
    n_new = draft.n_documents
    change.check(change.before.files_below(change.before.encoder))
    encoder = load_encoder(collection, change.before)
    if new.sparse is not None:
        encoder = _extended(encoder, new.sparse)
    with ExitStack() as kept:
        if new.vectors is None:
            kept.enter_context(resumable(encoder, collection))
        draft.encode_sparse(encoder, new.vectors)
        folder = change.save_encoder(encoder)
        if change.before.dense is not None:
            draft.encode_dense(_model(collection, change, new.dense), change.staging.kept)
        replaced = change.delete(draft.doc_ids())
        change.delete(deleted)
        merged = (policy or MergePolicy()).chosen(change.records(), n_new)
        change.merge(merged, draft, with_sparse=True)
        segment = draft.finish(
            encoder,
            is_exact=False,
            blocks=change.had_blocks(),
            settings=change.block_settings(),
            limits=limits,
        )
        manifest = change.commit(segment, (encoder, folder), forget_kept=True, log_seq=log_seq)
    return manifest, replaced, len(merged)


def _split(change: Transaction, collection: Path, dense: DenseEncoder | None) -> Split | None:
    """What splits the documents of a collection; None where they stay whole."""
    if change.before.passages is None:
        return None
    encoder = load_encoder(collection, change.before)
    if not isinstance(encoder, TokenizedEncoder):
        dense = _model(collection, change, dense)
    return splitting(change.before.passages, encoder, dense)


def _known(change: Transaction) -> KnownDocuments:
    return KnownDocuments([(reader.store, reader.alive) for reader in change.readers])


def _extended(own: Encoder, other: Encoder) -> Encoder:
    """The other encoder, if it is the collection's own with terms added. Raises InputError."""
    if other.identity.sha256 != own.identity.sha256:
        terms = [own.term(term) for term in range(own.n_terms)]
        extends = other.identity.kind == own.identity.kind and other.n_terms >= own.n_terms
        if not extends or terms != [other.term(term) for term in range(own.n_terms)]:
            raise InputError(
                f"the encoder {other.identity.name!r} does not have the terms of this index in "
                "their order; take the index's own encoder and add terms at its end"
            )
    return other


def _model(collection: Path, change: Transaction, given: DenseEncoder | None) -> DenseEncoder:
    """The collection's dense model, given or opened. Raises InputError when it is another."""
    identity = change.before.dense
    assert identity is not None
    if given is None:
        return open_model(identity, onnx_folder(collection))
    if given.identity.sha256 != identity.sha256:
        raise InputError(
            f"the dense model {given.identity.name!r} is not {identity.name!r}, which made the "
            "vectors of this index; leave it out, or build the index again"
        )
    return given
