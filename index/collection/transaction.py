"""`Transaction`: one change of a collection, from the lock to the commit."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lsr.encoders.protocols import Encoder
from lsr.errors import StorageError
from lsr.index.blocks.config import BlockSettings
from lsr.index.collection.deletions import Deletions
from lsr.index.collection.encoder_registry import save_encoder
from lsr.index.collection.segment_writer import SegmentWriter
from lsr.index.collection.snapshot import open_readers
from lsr.index.storage.commit import commit
from lsr.index.storage.manifest import Manifest, SegmentRecord
from lsr.index.storage.segment import Segment
from lsr.index.storage.staging import Staging
from lsr.progress import Progress

__all__ = ["Transaction", "transaction"]


class Transaction:
    """The generation that is published, and what shall become of its segments.

    Attributes:
        staging: where new files go.
        before: the manifest that is published.
        readers: its segments.

    Raises:
        IndexStateError: the generation cannot be read.
    """

    def __init__(
        self, collection: Path, staging: Staging, opened: ExitStack, progress: Progress
    ) -> None:
        self.staging = staging
        self.before = staging.before or Manifest.read(collection)
        self.progress = progress
        self._collection = collection
        segments = self.before.segments
        self.check({record.deleted for record in segments if record.deleted is not None})
        self.readers = open_readers(collection, self.before)
        for reader in self.readers:
            opened.callback(reader.close)
        self._deletions = [Deletions(reader, staging.generation) for reader in self.readers]
        self._merged: set[str] = set()

    def check(self, names: Container[str]) -> None:
        """Compare files with their checksums before new ones are derived from them.

        Raises:
            IndexCorruptError: a file has changed.
        """
        self.before.check(self._collection, names)

    def delete(self, doc_ids: Sequence[str]) -> set[str]:
        """Mark these documents deleted. Returns which of them there were."""
        return {doc_id for each in self._deletions for doc_id in each.delete(doc_ids)}

    def records(self) -> list[SegmentRecord]:
        """The segments as they are after the deletions so far."""
        return [each.record for each in self._deletions]

    def merge(
        self, records: Sequence[SegmentRecord], draft: SegmentWriter, *, with_sparse: bool
    ) -> None:
        """Write the documents of these segments into the draft.

        Args:
            with_sparse: whether they keep their sparse vectors; if not, they are encoded later.
        """
        self._merged = {record.name for record in records}
        done, total = 0, sum(record.n_documents for record in records)
        for each in self._deletions:
            if each.record.name in self._merged:
                self.check(self.before.files_below(each.record.name))
                rows = each.live_rows()
                draft.take_over(
                    each.reader, rows, with_sparse=with_sparse, before=done, total=total
                )
                done += len(rows)

    def had_blocks(self) -> bool | None:
        """True when a segment that is merged has a block index, so that its successor has one."""
        with_blocks = {reader.record.name for reader in self.readers if reader.blocks is not None}
        return True if with_blocks & self._merged else None

    def block_settings(self) -> BlockSettings | None:
        """Choices of how blocks are built that the collection keeps, where it has any."""
        return None if self.before.blocks is None else BlockSettings(**self.before.blocks)

    def save_encoder(self, encoder: Encoder) -> str:
        """Write the encoder, if it has changed. Returns the name of its folder or file."""
        if encoder.identity.sha256 == self.before.sparse.sha256:
            return self.before.encoder
        return save_encoder(encoder, self.staging.folder, self.staging.generation)

    def commit(
        self,
        new: tuple[SegmentRecord, Segment] | None = None,
        encoder: tuple[Encoder, str] | None = None,
        *,
        forget_kept: bool = False,
        log_seq: int | None = None,
    ) -> Manifest:
        """Write tombstones, and make the change visible.

        Segments that were merged, or have no documents any more, go; the last one stays.

        Args:
            new: the segment that was drafted.
            encoder: the sparse encoder and its folder, where they may have changed.
            forget_kept: as `Staging.commit`.
            log_seq: as `commit`.
        """
        rest = [each for each in self._deletions if each.record.name not in self._merged]
        least = rest[-1:] if new is None else []
        rest = [each for each in rest if each.record.n_documents] or least
        for each in rest:
            each.save(self.staging.folder)
        segments = [(each.record, each.reader.segment) for each in rest]
        return commit(
            self.staging,
            segments if new is None else [*segments, new],
            sparse=encoder[0].identity if encoder else self.before.sparse,
            dense=self.before.dense,
            encoder=encoder[1] if encoder else self.before.encoder,
            source=self.before.source,
            forget_kept=forget_kept,
            progress=self.progress,
            log_seq=log_seq,
            blocks=self.before.blocks,
            passages=self.before.passages,
        )


@contextmanager
def transaction(collection: Path, progress: Progress) -> Iterator[Transaction]:
    """Lock a collection for one change.

    Raises:
        IndexStateError: there is no index, or it cannot be read.
        StorageError: another writer is at work, or the machine refuses to write.
    """
    Manifest.read(collection)  # where there is no index, nothing is made either
    try:
        with Staging(collection) as staging, ExitStack() as opened:
            yield Transaction(collection, staging, opened, progress)
    except OSError as error:
        raise StorageError(
            f"{collection} cannot be written ({error.strerror or error}); nothing was changed, so "
            "free some space or get permission, and try again"
        ) from error
