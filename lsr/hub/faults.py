"""The hub's refusals, and those of the way to it, as errors of this package in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from lsr.errors import (
    AccessError,
    ConflictError,
    InputError,
    LsrError,
    NotFoundError,
    OverloadedError,
    ServiceError,
    StorageError,
)

__all__ = ["telling_faults"]

_FAULTS: tuple[type[Exception], ...] = (OSError, RuntimeError, ValueError)
_FAULTS += cast("tuple[type[Exception], ...]", HfHubHTTPError.__bases__)
"""Among them the error that all of the client's HTTP library are, whichever it goes by."""

_LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"
_REJECTED = (409, 412)


@contextmanager
def telling_faults(repository: str, *, writes: bool = False) -> Iterator[None]:
    """Raise what the client of the hub raises as an `LsrError` that says what to do.

    Args:
        repository: OWNER/NAME.
        writes: whether something is sent there, for what to do about a refusal.

    Raises:
        InputError: it cannot be the name of a repository, or the hub takes something for invalid.
        NotFoundError: there is no such repository or revision, or it is hidden from this user.
        AccessError: a token is missing, or does not allow it.
        ConflictError: somebody else pushed meanwhile.
        OverloadedError: there were too many requests.
        ServiceError: the hub cannot be reached, or failed.
        StorageError: this machine refuses, as when its disk is full.
    """
    try:
        yield
    except LsrError:
        raise
    except _FAULTS as error:
        raise _told(_cause(error), repository, writes) from error


def _cause(error: BaseException) -> BaseException:
    """The reason, where the client only says what it was about."""
    about = isinstance(error, LocalEntryNotFoundError) or type(error) is RuntimeError
    return error.__cause__ if about and error.__cause__ is not None else error


def _told(error: BaseException, repository: str, writes: bool) -> LsrError:
    place = f"{constants.ENDPOINT}/{repository}"
    if isinstance(error, HFValidationError):
        return InputError(f"{repository!r} cannot be a repository of the hub; give OWNER/NAME")
    if isinstance(error, GatedRepoError):
        return AccessError(
            f"{repository} is open to those alone whom its owner lets in; ask for that at {place}, "
            f"then {_LOG_IN}"
        )
    if isinstance(error, RevisionNotFoundError):
        return NotFoundError(f"{repository} has no such revision; see {place}/commits/main")
    if isinstance(error, RepositoryNotFoundError):
        return NotFoundError(
            f"there is no repository {repository} at {constants.ENDPOINT}, or you may not see it; "
            f"check the name, and {_LOG_IN}"
        )
    if isinstance(error, OfflineModeIsEnabled):
        return ServiceError(f"{repository} is not reached: HF_HUB_OFFLINE is set; unset it")
    if isinstance(error, HfHubHTTPError) and not isinstance(error, EntryNotFoundError):
        return _refused(error, repository, writes)
    if isinstance(error, PermissionError) and not error.errno:  # of the Xet storage
        return AccessError(f"your token does not do for {repository} ({_reason(error)}); {_LOG_IN}")
    if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
        return StorageError(
            f"{error.filename or 'the disk'} cannot be written or read ({error.strerror}); free "
            "some space or get permission, and run it again, which goes on"
        )
    return ServiceError(
        f"{constants.ENDPOINT} cannot be reached, or broke off ({_reason(error)}); check the "
        "network and HF_ENDPOINT, and run it again, which goes on"
    )


def _refused(error: HfHubHTTPError, repository: str, writes: bool) -> LsrError:
    """The error of a status, which the client has no class for."""
    status = error.response.status_code
    said = _first_line(error.server_message or str(error)) or f"status {status}"
    if status == 401:
        return AccessError(f"the hub does not know you ({said}); {_LOG_IN}")
    if status == 403:
        right = "write to" if writes else "read"
        return AccessError(
            f"your token may not {right} {repository} ({said}); take one that may, from "
            f"{constants.ENDPOINT}/settings/tokens, or another repository"
        )
    if status == 429:
        seconds = error.response.headers.get("retry-after")
        when = f"in {seconds} seconds" if seconds else "in some minutes"
        return OverloadedError(
            f"the hub takes no more requests of yours for now; run it again {when}, which goes on"
        )
    if status in _REJECTED:
        return ConflictError(
            f"{repository} was changed by somebody else meanwhile ({said}); nothing was changed, "
            "so look at it, and push again"
        )
    if status < 500:
        return InputError(f"the hub does not take this for {repository}: {said}")
    return ServiceError(f"the hub failed with status {status} ({said}); try again later")


def _reason(error: BaseException) -> str:
    return _first_line(str(error)) or type(error).__name__


def _first_line(text: str) -> str:
    return next((line.strip().rstrip(".") for line in text.splitlines() if line.strip()), "")
