"""From staged files to the next generation: what is carried over, and the manifest that says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

from lsr.errors import InputError
from lsr.index.storage.manifest import FileRecord, Manifest, SegmentRecord, record_files
from lsr.index.storage.names import DELETED
from lsr.index.storage.segment import Segment
from lsr.index.storage.staging import Staging
from lsr.progress import Progress
from lsr.types import EncoderIdentity

__all__ = ["commit"]

MAX_ROWS = 2**31 - 1


def commit(
    staging: Staging,
    segments: Sequence[tuple[SegmentRecord, Segment]],
    *,
    sparse: EncoderIdentity,
    dense: EncoderIdentity | None,
    encoder: str,
    source: str,
    forget_kept: bool,
    progress: Progress,
    log_seq: int | None = None,
    blocks: dict[str, Any] | None = None,
    passages: dict[str, int] | None = None,
) -> Manifest:
    """Make a generation of segments visible, new ones and those of the generation before.

    Only new files are read for their checksums; the others are carried over with their records.

    Args:
        staging: holds the new files; its other parts are in the collection already.
        segments: in the order of their rows, with their arrays.
        encoder: the folder of the sparse encoder.
        forget_kept: as `Staging.commit`.
        log_seq: the last operation of the log that these segments hold; by default that of the
            generation before.
        blocks, passages: as in `Manifest`.

    Raises:
        InputError: more rows than fit.
    """
    records = tuple(record for record, _ in segments)
    n_rows = sum(record.n_rows for record in records)
    if n_rows > MAX_ROWS:
        raise InputError(
            f"{n_rows:,} rows, of which {sum(record.n_deleted for record in records):,} are "
            f"deleted, and a collection has at most {MAX_ROWS:,}; nothing was changed, so merge "
            "it first, or split it"
        )
    before = staging.before
    progress("checksum", 0, None)
    files: dict[str, FileRecord] = {}
    for record in records:
        old = before.files_below(record.name) if before is not None else {}
        files |= {name: old[name] for name in old if f"/{DELETED}-" not in name}
        if record.deleted in old:
            files[record.deleted] = old[record.deleted]
    if before is not None:
        files |= before.files_below(encoder)
    if log_seq is None:
        log_seq = 0 if before is None else before.log_seq
    manifest = Manifest(
        generation=staging.generation,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        lsr_version=_version(),
        source=source,
        sparse=sparse,
        dense=dense,
        encoder=encoder,
        segments=records,
        files=dict(sorted((files | record_files(staging.folder)).items())),
        log_seq=log_seq,
        blocks=blocks,
        passages=passages,
    )
    progress("publish", 0, None)
    staging.commit(manifest, forget_kept=forget_kept)
    return manifest


@cache
def _version() -> str:
    return version("lsr-search")
