"""`pull`: an index or a model from a repository of the hub, checked before it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lsr.encoders.learned.model_folder import ModelFolder
from lsr.errors import (
    DataError,
    ExistsError,
    IndexCorruptError,
    IndexStateError,
    InputError,
    StorageError,
)
from lsr.files import sha256_of
from lsr.hub.download_folder import DownloadFolder
from lsr.hub.held_files import MODEL_FILES, foreign_to_index, is_beside, is_needless, told, unsafe
from lsr.hub.parcel import Kind
from lsr.hub.pushed_listing import damaged, pushed_listing
from lsr.hub.repository import Head, Repository
from lsr.index.live.keeper import is_kept, keeper_address
from lsr.index.snapshots.listing import LISTING, Listing
from lsr.index.snapshots.restore import last_number, raise_numbers
from lsr.index.storage.manifest import MANIFEST, Manifest
from lsr.index.storage.staging import Staging
from lsr.progress import Progress, no_progress

__all__ = ["Pulled", "pull"]


@dataclass(frozen=True)
class Pulled:
    """A pull that is done.

    Attributes:
        path: the folder, to be opened.
        kind: "index" or "model".
        commit: of the repository.
        n_documents: of an index; None of a model.
        n_files, size_bytes: of what is in the folder.
        left_out: files of a model's repository that nothing here reads.
    """

    path: Path
    kind: Kind
    commit: str
    n_documents: int | None
    n_files: int
    size_bytes: int
    left_out: tuple[str, ...] = ()


def pull(
    repository: str,
    target: str | Path,
    *,
    revision: str | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Pulled:
    """Fetch an index or a model from a repository of the hub into a folder.

    The folder is there when all of it is, compared with its checksums. What was fetched before a
    stop is not fetched again. Code is not run.

    Args:
        repository: OWNER/NAME.
        target: the folder to write.
        revision: a branch, tag or commit. Default: the newest of main.
        overwrite: replace an index or model that is there. Default: refuse.
        progress: called with (stage, done, total or None); what is downloaded is in megabytes.

    Raises:
        ExistsError: something is there already.
        DataError: the repository holds neither an index nor a model, or a file beside it that does
            not belong there.
        IndexStateError: the index is damaged, or of a version that this one does not read.
        StorageError: there is no room or permission, or somebody is at work on the target.
        LsrError: as `lsr.hub.faults.telling_faults` says.

    Example:
        >>> import lsr
        >>> lsr.pull("nobody", "my-index")
        Traceback (most recent call last):
        lsr.errors.InputError: 'nobody' cannot be a repository of the hub; give OWNER/NAME
    """
    target = Path(target)
    place = Repository(repository)
    _check_target(target, overwrite)
    head = place.head(revision)
    unsafe(head.files, repository)
    if LISTING in head.files:
        return _pull_index(place, head, target, progress)
    if any(name in head.files for name in MODEL_FILES):
        return _pull_model(place, head, target, progress)
    held = told(name for name in sorted(head.files) if not is_beside(name)) or "nothing"
    raise DataError(
        f"it holds {held}, and neither an index that lsr push wrote ({LISTING}) nor a model "
        f"({', '.join(MODEL_FILES)}); check the name and the revision",
        path=repository,
    )


def _check_target(target: Path, overwrite: bool) -> None:
    """Raises ExistsError, InputError or StorageError where a pull could not end."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not overwrite:
        raise ExistsError(
            f"{target} is there already; give another folder, or --overwrite to replace it "
            "(overwrite=True)"
        )
    if not any((target / name).is_file() for name in (MANIFEST, *MODEL_FILES)):
        raise InputError(
            f"{target} is neither an index nor a model, and is not replaced; give another folder"
        )
    if is_kept(target):
        where = keeper_address(target) or "another process"
        raise StorageError(
            f"{target} is kept by {where}; stop that service first, or pull to another folder"
        )


def _pull_index(place: Repository, head: Head, target: Path, progress: Progress) -> Pulled:
    writer = Staging(target)
    listing = pushed_listing(place, head)
    _check_held(place, head, [*listing.files, LISTING])
    with DownloadFolder(target) as folder:
        names = list(listing.files)
        place.fetch(head, [MANIFEST], folder.path, progress)
        _check_manifest(place, folder.path, listing)
        place.fetch(head, names, folder.path, progress)
        progress("verify", 0, None)
        folder.keep_only(names)
        for name, record in listing.files.items():
            path = folder.path / name
            if path.stat().st_size != record.size_bytes or sha256_of(path) != record.sha256:
                path.unlink()
                raise damaged(place, name)
        with writer:
            raise_numbers(folder.path, last_number(target))
            folder.publish()
    return Pulled(target, "index", head.commit, listing.n_documents, len(names), listing.size_bytes)


def _check_held(place: Repository, head: Head, names: Sequence[str]) -> None:
    """Raises DataError or IndexCorruptError where files are not those of the listing."""
    if lacking := [name for name in names if name not in head.files]:
        raise IndexCorruptError(
            f"{place.name} lacks {told(lacking)}; nothing was changed, so pull another revision, "
            "or have its owner push again"
        )
    foreign = sorted(name for name in head.files.keys() - set(names) if not is_beside(name))
    if foreign:
        raise _foreign(place, foreign)


def _check_manifest(place: Repository, folder: Path, listing: Listing) -> None:
    try:
        manifest = Manifest.read(folder)
    except IndexStateError as error:
        (folder / MANIFEST).unlink(missing_ok=True)
        raise damaged(place, MANIFEST) from error
    if foreign := foreign_to_index(listing.files, manifest):
        raise _foreign(place, foreign)
    for name, record in manifest.files.items():
        if listing.files.get(name) != record:
            raise damaged(place, name)


def _foreign(place: Repository, names: Sequence[str]) -> DataError:
    return DataError(
        f"it holds {told(names)} beside the index, which is no part of it; nothing was changed, so "
        "have its owner take that out, or pull another revision",
        path=place.name,
    )


def _pull_model(place: Repository, head: Head, target: Path, progress: Progress) -> Pulled:
    if (target / MANIFEST).is_file():
        raise InputError(
            f"{target} is an index and {place.name} a model, so it is not replaced; give another "
            "folder"
        )
    left_out = sorted(filter(is_needless, head.files))
    names = sorted(head.files.keys() - set(left_out))
    with DownloadFolder(target) as folder:
        place.fetch(head, names, folder.path, progress)
        progress("verify", 0, None)
        folder.keep_only(names)
        for name in names:
            path = folder.path / name
            if not head.files[name].is_like(path):
                path.unlink()
                raise damaged(place, name)
        try:
            ModelFolder.open(str(folder.path))
        except InputError as error:
            raise DataError(
                f"it holds no model that lsr reads ({error}); check the name", path=place.name
            ) from error
        folder.publish()
    size = sum(head.files[name].size for name in names)
    hidden = tuple(name for name in left_out if name != ".gitattributes")
    return Pulled(target, "model", head.commit, None, len(names), size, hidden)
