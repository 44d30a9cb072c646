"""`push`: an index or a model to a repository of the hub, in one commit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lsr.errors import ConflictError
from lsr.hub.cards import WRITTEN
from lsr.hub.held_files import CARD, MODEL_FILES, is_beside, told
from lsr.hub.parcel import Kind, Parcel, card_file, kind_of, parcel
from lsr.hub.pushed_listing import pushed_listing
from lsr.hub.repository import MAIN, Content, Head, Repository
from lsr.index.live.keeper import is_kept
from lsr.index.live.settling import n_unpublished, settle
from lsr.index.snapshots.listing import LISTING
from lsr.progress import Progress, no_progress

__all__ = ["Pushed", "push"]


@dataclass(frozen=True)
class Pushed:
    """A push, done or, in a dry run, as it would be.

    Attributes:
        repository: OWNER/NAME.
        kind: "index" or "model".
        commit: the repository's newest now; None in a dry run of a repository that is not there.
        created: whether the repository was made.
        sent: paths of files that were sent; empty where all were there already.
        removed: paths of files that are no part of it any more.
        size_bytes: of the files that were sent.
        n_files: of all files that are in the repository by this push.
        left_out: files in the folder that are no part of the index or model.
        absent: models of an index that are folders of this machine, and did not go along.
        n_unpublished: writes that a service at work has acknowledged and not published yet.
        address: the page of the repository.
    """

    repository: str
    kind: Kind
    commit: str | None
    created: bool
    sent: tuple[str, ...]
    removed: tuple[str, ...]
    size_bytes: int
    n_files: int
    left_out: tuple[str, ...]
    absent: tuple[str, ...]
    n_unpublished: int
    address: str


def push(
    source: str | Path,
    repository: str,
    *,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
    dry_run: bool = False,
    progress: Progress = no_progress,
) -> Pushed:
    """Bring an index or a model to a repository of the hub, made if it is not there.

    Of an index the published generation goes, whoever writes meanwhile; what a service that was
    killed left unpublished is published first. Files that are there already are not sent again,
    and those that are no part of it any more go, all in one commit.

    Args:
        source: the folder, or the name of a model that comes with this package.
        repository: OWNER/NAME.
        private: make it private. Default: public.
        revision: a branch, made if it is not there. Default: main.
        message: of the commit. Default: generation and documents.
        dry_run: say what would be sent and send nothing.
        progress: called with (stage, done, total or None); what is uploaded is in megabytes.

    Raises:
        InputError: there is no index or model, or `private` of a repository that is public.
        ConflictError: the repository holds something else.
        IndexStateError, StorageError: the index cannot be read, or copied beside itself.
        LsrError: as `lsr.hub.faults.telling_faults` says.

    Example:
        >>> import lsr
        >>> lsr.push("no-index", "owner/name")
        Traceback (most recent call last):
        lsr.errors.InputError: there is no index or model at no-index; give its folder, or a name \
of lsr models
    """
    kind, folder = kind_of(source)
    place = Repository(repository)
    head = place.find(revision)
    if head is not None and private and not head.is_private:
        raise ConflictError(
            f"{repository} is there and public; leave private out, or make it private at "
            f"{place.address}/settings first"
        )
    waiting = 0
    if kind == "index":
        if not dry_run and not is_kept(folder):
            settle(folder, progress)
        waiting = n_unpublished(folder)
    with (
        parcel(kind, folder, repository, progress) as packed,
        card_file(packed.card or "") as card,
    ):
        files = dict(packed.files)
        if packed.card is not None and (head is None or _is_ours(place, head)):
            files[CARD] = Content(card)
        removed = [] if head is None else _removed(place, head, packed)
        sent = {
            name: content
            for name, content in files.items()
            if head is None
            or name not in head.files
            or not head.files[name].is_like(content.path, content.sha256)
        }
        commit = None if head is None else head.commit
        if not dry_run:
            base = _base(place, head, revision, private)
            commit = base.commit
            if sent or removed:
                commit = place.send(
                    sent,
                    removed,
                    parent=commit,
                    revision=revision,
                    message=message or packed.message,
                    progress=progress,
                )
        return Pushed(
            repository=repository,
            kind=kind,
            commit=commit,
            created=head is None,
            sent=tuple(sent),
            removed=tuple(removed),
            size_bytes=sum(content.size for content in sent.values()),
            n_files=len(files),
            left_out=packed.left_out,
            absent=packed.absent,
            n_unpublished=waiting,
            address=place.address,
        )


def _base(place: Repository, head: Head | None, revision: str | None, private: bool) -> Head:
    """The commit to go on from, in a repository and a branch that are there."""
    base = place.create(private=private) if head is None else head
    is_new = revision not in (None, MAIN) if head is None else not head.has_branch
    if is_new and revision is not None:
        place.branch(revision)
    return base


def _is_ours(place: Repository, head: Head) -> bool:
    """Whether the card that is there was written by a push, or there is none."""
    return CARD not in head.files or WRITTEN.encode() in place.read(head, CARD)


def _removed(place: Repository, head: Head, packed: Parcel) -> list[str]:
    """Files of the generation or model before that are no part of this one.

    Raises:
        ConflictError: the repository holds something else.
    """
    theirs = {name for name in head.files if not is_beside(name)}
    gone = sorted(theirs - packed.files.keys())
    if packed.kind == "model":
        if LISTING in theirs or (theirs and not theirs.intersection(MODEL_FILES)):
            raise _held(place, theirs, "a model")
        return gone
    if not theirs:
        return []
    if LISTING not in theirs:
        raise _held(place, theirs, "an index")
    known = pushed_listing(place, head).files
    if foreign := [name for name in gone if name not in known]:
        raise _held(place, foreign, "an index")
    return gone


def _held(
    place: Repository, names: Iterable[str], kind: Literal["an index", "a model"]
) -> ConflictError:
    listed = told(sorted(names))
    return ConflictError(
        f"{place.name} holds {listed}, which is no part of {kind}; nothing was changed, so push "
        "to another repository, or delete that one"
    )
