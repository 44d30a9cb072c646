"""`Repository`: one repository of the hub, over the hub's own client."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
)
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils.tqdm import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from lsr.errors import InputError, StorageError
from lsr.files import sha256_of
from lsr.hub.faults import telling_faults
from lsr.progress import Progress, no_progress

__all__ = ["MAIN", "Content", "Head", "Repository", "StoredFile"]

MAIN = "main"
_MOST_FILES = 20_000
_BATCH_BYTES = 64_000_000
_CLIENT_FOLDER = ".cache"
"""Notes of the hub's client in a folder that it downloads to."""


@dataclass(frozen=True)
class StoredFile:
    """A file of a repository.

    Attributes:
        sha256: of a file in large storage.
        blob: of another one, the SHA-1 that git has for it.
    """

    size: int
    sha256: str | None
    blob: str

    def is_like(self, file: Path, sha256: str | None = None) -> bool:
        """Whether a file here has its bytes.

        Args:
            sha256: of that file, where it is known.
        """
        if file.stat().st_size != self.size:
            return False
        if self.sha256 is not None:
            return self.sha256 == (sha256 or sha256_of(file))
        content = file.read_bytes()
        return self.blob == hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest()


@dataclass(frozen=True)
class Content:
    """A file to send, with its SHA-256 where that is known."""

    path: Path
    sha256: str | None = None

    @property
    def size(self) -> int:
        """Bytes of it."""
        return self.path.stat().st_size


@dataclass(frozen=True)
class Head:
    """The newest commit of a branch, and its files by path.

    Attributes:
        has_branch: whether the branch is there; if not, this is the newest of the main branch.
    """

    commit: str
    files: Mapping[str, StoredFile]
    is_private: bool
    has_branch: bool = True


class Repository:
    """A repository of the hub; the token is the one that the hub's client finds.

    Args:
        name: OWNER/NAME.

    Raises:
        InputError: that cannot be its name.
        LsrError: each method, as `lsr.hub.faults.telling_faults` says.
    """

    def __init__(self, name: str) -> None:
        owner, _, rest = name.partition("/")
        if not owner or not rest or "/" in rest:
            raise InputError(f"{name!r} cannot be a repository of the hub; give OWNER/NAME")
        self.name = name
        self._api = HfApi(library_name="lsr", library_version=version("lsr-search"))

    def find(self, revision: str | None) -> Head | None:
        """The state of a branch to push to; None where there is no such repository."""
        with telling_faults(self.name, writes=True):
            try:
                return self._head(revision)
            except RevisionNotFoundError:
                found = self._head(None)
                return Head(found.commit, found.files, found.is_private, has_branch=False)
            except RepositoryNotFoundError as error:
                if error.response.status_code == 404:
                    return None
                raise

    def head(self, revision: str | None) -> Head:
        """The files of a branch, tag or commit."""
        with telling_faults(self.name):
            return self._head(revision)

    def _head(self, revision: str | None) -> Head:
        info = self._api.repo_info(self.name, revision=revision)
        commit = str(info.sha)
        tree = self._api.list_repo_tree(self.name, recursive=True, revision=commit)
        files = {
            each.path: StoredFile(each.size, each.lfs.sha256 if each.lfs else None, each.blob_id)
            for each in islice(tree, _MOST_FILES + 1)
            if isinstance(each, RepoFile)
        }
        if len(files) > _MOST_FILES:
            raise InputError(
                f"{self.name} has more than {_MOST_FILES:,} files, and no index or model has; "
                "check the name"
            )
        return Head(commit, files, bool(info.private))

    def create(self, *, private: bool) -> Head:
        """Make it."""
        with telling_faults(self.name, writes=True):
            self._api.create_repo(self.name, private=private, exist_ok=True)
            return self._head(None)

    def branch(self, revision: str) -> None:
        """Make a branch of the newest commit."""
        with telling_faults(self.name, writes=True):
            self._api.create_branch(self.name, branch=revision, exist_ok=True)

    def send(
        self,
        files: Mapping[str, Content],
        removed: Sequence[str],
        *,
        parent: str,
        revision: str | None,
        message: str,
        progress: Progress,
    ) -> str:
        """Send files and remove others, all in one commit, whose id is returned.

        Bytes are sent before the commit: the same call again sends those that are missing.

        Args:
            parent: the commit that this one must follow.
        """
        done, whole = 0, sum(each.size for each in files.values())
        with telling_faults(self.name, writes=True), _without_bars():
            additions = {
                name: CommitOperationAdd(name, str(each.path)) for name, each in files.items()
            }
            for batch in _batches(files):
                progress("upload", done // 1_000_000, whole // 1_000_000)
                self._api.preupload_lfs_files(
                    self.name,
                    [additions[name] for name in batch],
                    revision=revision or MAIN,
                    free_memory=False,
                )
                done += sum(files[name].size for name in batch)
            progress("upload", done // 1_000_000, whole // 1_000_000)
            commit = self._api.create_commit(
                self.name,
                [*additions.values(), *map(CommitOperationDelete, removed)],
                commit_message=message,
                revision=revision or MAIN,
                parent_commit=parent,
            )
        return str(commit.oid)

    def fetch(self, head: Head, names: Sequence[str], folder: Path, progress: Progress) -> None:
        """Download files below a folder; those that are there already, whole, are not fetched.

        Raises:
            StorageError: the disk has no room for them.
        """
        whole = sum(head.files[name].size for name in names)
        missing = sum(head.files[name].size for name in names if not (folder / name).exists())
        free = shutil.disk_usage(folder).free
        if missing > free:
            raise StorageError(
                f"{self.name} has {missing:,} bytes to fetch and {folder.parent} has room for "
                f"{free:,}; nothing was changed, so free some space and try again"
            )
        done = 0
        with telling_faults(self.name), _without_bars():
            for name in names:
                progress("download", done // 1_000_000, whole // 1_000_000)
                self._api.hf_hub_download(self.name, name, revision=head.commit, local_dir=folder)
                done += head.files[name].size
        progress("download", done // 1_000_000, whole // 1_000_000)

    def read(self, head: Head, name: str) -> bytes:
        """The content of a small file."""
        with TemporaryDirectory(prefix="lsr-hub-") as folder:
            self.fetch(head, [name], Path(folder), no_progress)
            return (Path(folder) / name).read_bytes()

    @staticmethod
    def forget(folder: Path) -> None:
        """Remove what the hub's client noted in a folder that was downloaded to."""
        shutil.rmtree(folder / _CLIENT_FOLDER, ignore_errors=True)

    @property
    def address(self) -> str:
        """Its page."""
        return f"{constants.ENDPOINT}/{self.name}"


def _batches(files: Mapping[str, Content]) -> list[list[str]]:
    """Names of files that are sent together: small ones with others, for fewer requests."""
    batches: list[list[str]] = []
    size = 0
    for name, content in files.items():
        if not batches or size + content.size > _BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(name)
        size += content.size
    return batches


@contextmanager
def _without_bars() -> Iterator[None]:
    """The client's own progress bars off for a while: there is one already."""
    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
