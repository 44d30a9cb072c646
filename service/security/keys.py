"""`KeyFile`: API keys at rest, as hashes, in a file that only its owner reads."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lsr.errors import InputError, NotFoundError, StorageError
from lsr.files import put, sync
from lsr.locks import held
from lsr.retrieval.filter import parse_filter
from lsr.service.security.grant import SCOPES, Scope

__all__ = ["Key", "KeyFile", "digest", "is_same"]

_PREFIX = "lsr"
_SECRET_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9._ -]{1,64}")
_COLLECTION = re.compile(r"[a-z0-9_-]{1,64}")
_NO_DIGEST = "0" * 64


@dataclass(frozen=True)
class Key:
    """A key without its secret.

    Attributes:
        id: what it is listed and revoked by; stands in the key too, and is no secret.
        name: for people and the log.
        collections: names or aliases it is limited to; None for all.
        filter: what its documents must match; None for all.
        created: UTC, ISO 8601.
    """

    id: str
    name: str
    scope: Scope
    collections: tuple[str, ...] | None
    filter: Mapping[str, Any] | None
    created: str


class KeyFile:
    """Keys in a JSON file with mode 0600. All methods may be called from many threads.

    A change by another process is seen by the next call. A key is 32 random bytes, so a plain
    hash of it cannot be turned back.

    Args:
        path: need not be there before the first `create`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._rows: dict[str, tuple[Key, str]] = {}

    def create(
        self,
        name: str,
        scope: str,
        *,
        collections: Sequence[str] | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002
    ) -> tuple[Key, str]:
        """A new key, and its secret, which is shown this once.

        Raises:
            InputError: a name, scope, collection or filter is not one.
            StorageError: the file cannot be written.
        """
        if not _NAME.fullmatch(name):
            raise InputError(
                f"a key cannot be named {name[:64]!r}; use 1 to 64 of A-Z, a-z, 0-9, '.', '_', "
                "'-' and blanks"
            )
        if scope not in SCOPES:
            raise InputError(f"there is no scope {scope[:64]!r}; there are: {', '.join(SCOPES)}")
        for each in collections or ():
            if not _COLLECTION.fullmatch(each):
                raise InputError(f"{each[:64]!r} cannot be the name of a collection or an alias")
        if filter is not None:
            parse_filter(filter)
        key = Key(
            id=secrets.token_hex(8),
            name=name,
            scope=next(each for each in SCOPES if each == scope),
            collections=tuple(collections) if collections else None,
            filter=dict(filter) if filter else None,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        secret = f"{_PREFIX}_{key.id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        with self._changing() as rows:
            rows[key.id] = (key, digest(secret))
        return key, secret

    def list(self) -> list[Key]:
        """All keys, oldest first. Raises StorageError."""
        return sorted((key for key, _ in self._read().values()), key=lambda key: key.created)

    def revoke(self, key_id: str) -> Key:
        """Remove a key, from the next request on.

        Raises:
            NotFoundError: there is none of that id.
            StorageError: the file cannot be written.
        """
        with self._changing() as rows:
            if key_id not in rows:
                raise NotFoundError(f"there is no key {key_id[:64]!r}; list them to see their ids")
            return rows.pop(key_id)[0]

    def find(self, secret: str) -> Key | None:
        """The key that a client shows, or None. Raises StorageError."""
        _, _, rest = secret.partition("_")
        key_id, _, _ = rest.partition("_")
        key, stored = self._read().get(key_id, (None, _NO_DIGEST))
        return key if is_same(secret, stored) else None

    def _read(self) -> dict[str, tuple[Key, str]]:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StorageError(f"{self.path} cannot be read ({error.strerror})") from error
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen != self._seen:
            with self._lock:
                self._rows, self._seen = _load(self.path), seen
        return self._rows

    @contextmanager
    def _changing(self) -> Iterator[dict[str, tuple[Key, str]]]:
        """The rows as they are, written when the block ends; one process at a time."""
        try:
            with held(self.path.with_name(f".{self.path.name}.lock"), mode=0o600):
                self._seen = None
                rows = dict(self._read())
                yield rows
                _store(self.path, rows)
                self._seen = None
        except OSError as error:
            raise StorageError(f"{self.path} cannot be written ({error.strerror})") from error


def digest(secret: str) -> str:
    """The hash that is kept of a secret: SHA-256, in hexadecimal."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def is_same(secret: str, stored: str) -> bool:
    """Whether a secret has a digest, in time that does not depend on either."""
    return hmac.compare_digest(digest(secret), stored)


def _load(path: Path) -> dict[str, tuple[Key, str]]:
    try:
        rows = json.loads(path.read_bytes())["keys"]
        return {row["id"]: (_key(row), row["sha256"]) for row in rows}
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise StorageError(
            f"{path} is not a file of keys; restore it from a copy, or make a new one with "
            "lsr keys create"
        ) from error


def _key(row: dict[str, Any]) -> Key:
    scope = next(each for each in SCOPES if each == row["scope"])
    names = row["collections"]
    return Key(
        row["id"],
        row["name"],
        scope,
        tuple(names) if names is not None else None,
        row["filter"],
        row["created"],
    )


def _store(path: Path, rows: Mapping[str, tuple[Key, str]]) -> None:
    content = {
        "version": 1,
        "keys": [{**asdict(key), "sha256": stored} for key, stored in rows.values()],
    }
    beside = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(json.dumps(content, indent=1).encode())
            stream.flush()
            os.fsync(stream.fileno())
        put(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync(path.parent)
