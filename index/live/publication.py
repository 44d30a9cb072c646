"""`publish_log`: operations of the log made into the next generation of the collection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lsr.encoders.protocols import Encoder
from lsr.errors import InputError
from lsr.index.collection.encoder_registry import load_encoder
from lsr.index.collection.merge_policy import MergePolicy
from lsr.index.collection.segment_writer import SegmentWriter
from lsr.index.collection.transaction import Transaction, transaction
from lsr.index.live.encoding import dense_of, learn, sparse_of
from lsr.index.live.log import LOG_FILE, Entry, OperationLog
from lsr.index.live.operation import document_of
from lsr.index.live.passaged import split_of
from lsr.index.storage.manifest import Manifest
from lsr.passages.passage import Passage
from lsr.progress import Progress, no_progress
from lsr.types import Document

__all__ = ["publish_log"]


def publish_log(
    collection: Path,
    *,
    encoder: Encoder | None = None,
    policy: MergePolicy | None = None,
    progress: Progress = no_progress,
) -> tuple[Manifest, Encoder | None]:
    """Publish all operations that have their vectors. The log keeps them; see `OperationLog.trim`.

    A new generation has the same documents, vectors and statistics as what was searched before it.

    Args:
        encoder: the collection's sparse encoder as the published generation has it, where it is
            open already; it learns from the operations.
        policy: which segments are merged into the new one; default: that of `MergePolicy`.

    Returns:
        The manifest, and the encoder of that generation; the one that was before, and None,
        where there is nothing to publish.

    Raises:
        StorageError: the disk is full, there is no permission, or another writer is at work.
        IndexStateError: there is no index, or it is damaged.
    """
    if not (collection / LOG_FILE).exists():
        return Manifest.read(collection), None
    with transaction(collection, progress) as change:
        before = change.before
        log = OperationLog(collection / LOG_FILE, before.log_seq)
        try:
            if not log.knows_encoder(before.log_seq, before.sparse.sha256):
                return before, None  # the keeper has to make the vectors first, or again
            entries = log.entries(before.log_seq, log.state().encoded)
            if not entries:
                return before, None
            if encoder is None or encoder.identity.sha256 != before.sparse.sha256:
                change.check(before.files_below(before.encoder))
                encoder = load_encoder(collection, before)
            learn(entries, encoder)
            log.note_encoder(entries[-1].seq, encoder.identity.sha256)
            return _published(change, entries, encoder, policy or MergePolicy()), encoder
        finally:
            log.close()


def _published(
    change: Transaction, entries: Sequence[Entry], encoder: Encoder, policy: MergePolicy
) -> Manifest:
    newest = {entry.doc_id: entry.seq for entry in entries}
    puts = [each for each in entries if each.body is not None and newest[each.doc_id] == each.seq]
    change.delete(list(newest))
    seq = entries[-1].seq
    folder = change.save_encoder(encoder)
    if not puts:
        return change.commit(encoder=(encoder, folder), log_seq=seq)
    if any(entry.terms is None for entry in puts):
        raise InputError("an operation of the log has no vectors yet; publish it later")
    passages = split_of(puts)

    def split(document: Document) -> tuple[Passage, ...]:
        return passages.get(document.doc_id, ())

    with SegmentWriter(change.staging, change.progress, split) as draft:
        documents = (document_of(entry.doc_id, entry.body or b"") for entry in puts)
        draft.read(documents, "the log", [entry.seq for entry in puts])
        draft.encode_sparse(encoder, sparse_of(puts, encoder.n_terms))
        if change.before.dense is not None:
            dimension = change.readers[0].segment.dimension
            draft.take_dense(dense_of(puts, dimension))
        merged = policy.chosen(change.records(), len(puts))
        change.merge(merged, draft, with_sparse=True)
        new = draft.finish(
            encoder,
            is_exact=False,
            blocks=change.had_blocks(),
            settings=change.block_settings(),
        )
        return change.commit(new, (encoder, folder), log_seq=seq)
