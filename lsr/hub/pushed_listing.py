"""The listing of an index in a repository: every file of it, with its checksum."""

from __future__ import annotations

from lsr.errors import IndexCorruptError
from lsr.hub.repository import Head, Repository
from lsr.index.snapshots.listing import LISTING, LISTING_BYTES, Listing

__all__ = ["damaged", "pushed_listing"]


def pushed_listing(place: Repository, head: Head) -> Listing:
    """Read and check it.

    Raises:
        IndexVersionError: a newer lsr pushed it.
        IndexCorruptError: it is not what was pushed, or names files that no index has.
        LsrError: as `lsr.hub.faults.telling_faults` says.
    """
    if head.files[LISTING].size > LISTING_BYTES:
        raise damaged(place, LISTING)
    try:
        return Listing.parse(place.read(head, LISTING), f"{place.name}/{LISTING}")
    except IndexCorruptError as error:
        raise damaged(place, LISTING) from error


def damaged(place: Repository, name: str) -> IndexCorruptError:
    """The error of a file that is not as it was pushed."""
    return IndexCorruptError(
        f"{name} of {place.name} is not as lsr push wrote it; nothing was changed, so pull another "
        "revision, or have its owner push again"
    )
