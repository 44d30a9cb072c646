"""Every error a user can cause or meet, and what each means.

    LsrError
    ├── InputError            what was asked for cannot be done as asked (exit code 2, HTTP 422)
    │   ├── DataError         a file or record to be read is wrong; names file and line
    │   ├── QueryError        a search request is wrong: empty text, k out of range, unknown field
    │   ├── NotFoundError     a named collection or document does not exist (HTTP 404)
    │   └── ConflictError     what is there stands against it (HTTP 409)
    │       ├── ExistsError           something of that name is there already
    │       └── VersionConflictError  a document has another version than the writer expects
    ├── IndexStateError       a collection folder cannot be used
    │   ├── IndexMissingError     no index there, or an unfinished one
    │   ├── IndexVersionError     written by another version of the format
    │   └── IndexCorruptError     bytes differ from what was written
    ├── StorageError          the machine said no: disk full, no permission, port in use, lock held
    ├── TaskCancelledError    long work was stopped before its end; nothing was changed (HTTP 409)
    ├── LateError             the time that was given is over (HTTP 504)
    ├── OverloadedError       more is waiting than can be kept; try again later (HTTP 503)
    ├── AccessError           a key is missing, unknown, or does not allow it (HTTP 401, 403)
    ├── ServiceError          a service cannot be reached, or answers other than expected
    ├── UnavailableError      an optional part is not installed; names the install line
    │   └── ShardsMissingError    parts of a collection do not answer (HTTP 503)
    ├── RetrieverError        one side of a search failed, for a reason that may pass (HTTP 503)
    └── ModelError            a model gave numbers that are not finite (HTTP 500)

Each message is one sentence or two: what is wrong, where, and what to do next. The command line
prints it after `error:`; the service returns it as the `detail` of an RFC 9457 problem, with the
class's `code`. No message holds a stack trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

__all__ = [
    "AccessError",
    "ConflictError",
    "DataError",
    "ExistsError",
    "IndexCorruptError",
    "IndexMissingError",
    "IndexStateError",
    "IndexVersionError",
    "InputError",
    "LateError",
    "LsrError",
    "ModelError",
    "NotFoundError",
    "OverloadedError",
    "QueryError",
    "RetrieverError",
    "ServiceError",
    "ShardsMissingError",
    "StorageError",
    "TaskCancelledError",
    "UnavailableError",
    "VersionConflictError",
]


class LsrError(Exception):
    """Root of the tree. `code` is stable: programs may rely on it.

    Attributes:
        problem: what a service answered, where the error came from one to a client of it.
    """

    code: ClassVar[str] = "error"
    problem: Mapping[str, Any] | None = None


class InputError(LsrError):
    """Invalid request: it cannot be done as asked."""

    code = "invalid_input"


class DataError(InputError):
    """A file or record is wrong. The message starts with the path and, if known, the line."""

    code = "invalid_data"

    def __init__(self, message: str, *, path: Path | str, line: int | None = None) -> None:
        where = f"{path}, line {line}" if line is not None else str(path)
        super().__init__(f"{where}: {message}")
        self.path = str(path)
        self.line = line
        self._message = message

    def __reduce__(self) -> tuple[Callable[[str], DataError], tuple[str]]:
        """As a copy in another process is made."""
        return partial(type(self), path=self.path, line=self.line), (self._message,)


class QueryError(InputError):
    """A search request is wrong."""

    code = "invalid_query"


class NotFoundError(InputError):
    """A named collection or document does not exist."""

    code = "not_found"


class ConflictError(InputError):
    """Something that is there stands against what was asked for."""

    code = "conflict"


class ExistsError(ConflictError):
    """Something of that name is there already."""

    code = "already_exists"


class VersionConflictError(ConflictError):
    """A document has another version than the writer expects."""

    code = "version_conflict"


class IndexStateError(LsrError):
    """A collection folder cannot be used."""

    code = "index_unusable"


class IndexMissingError(IndexStateError):
    """There is no index at the path, or only an unfinished one."""

    code = "index_missing"


class IndexVersionError(IndexStateError):
    """The index was written in a format this version does not read."""

    code = "index_version"


class IndexCorruptError(IndexStateError):
    """Bytes on disk differ from what was written."""

    code = "index_corrupt"


class StorageError(LsrError):
    """The machine refused: disk full, no permission, port in use, lock held."""

    code = "storage"


class TaskCancelledError(LsrError):
    """Long work was stopped before its end; nothing was changed."""

    code = "task_cancelled"


class LateError(LsrError):
    """The time that was given is over; more time may help, or a smaller request."""

    code = "timeout"


class OverloadedError(LsrError):
    """More is waiting than can be kept; the same request may succeed later."""

    code = "overloaded"


class AccessError(LsrError):
    """A key is missing, unknown, or does not allow what was asked for."""

    code = "forbidden"


class ServiceError(LsrError):
    """A service cannot be reached, gives no answer in time, or answers other than expected."""

    code = "unreachable"


class UnavailableError(LsrError):
    """An optional part is not installed. The message holds the install line."""

    code = "unavailable"


class ShardsMissingError(UnavailableError):
    """Parts of a collection do not answer, and the plan allows no partial answer."""

    code = "shards_missing"


class RetrieverError(LsrError):
    """One side of a search failed, for a reason that may pass."""

    code = "retriever_failed"


class ModelError(LsrError):
    """A model gave numbers that are not finite."""

    code = "model_failed"
