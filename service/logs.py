"""The service's log: lines of JSON or text, one for each request, without what was asked."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import traceback
from datetime import UTC, datetime
from typing import Literal, TextIO

import orjson
from starlette.types import Scope

__all__ = ["AccessLog", "JsonFormatter", "configure_logging", "drop_doubles"]

_ACCESS = "lsr.access"
_ACCESS_TEXT = "%(method)s %(route)s %(status)d %(ms).1f ms"
_GATHERED_SECONDS = 0.05
"""Lines of requests are written together with those that come within this time."""

_INVALID = "Invalid HTTP request received."
_CROWDED = "Exceeded concurrency limit."


class AccessLog:
    """A line for each answered request: never the query, the body, the path or the key itself.

    Attributes of a line: time, id, client, method, route, status, ms, bytes, key (its name).
    """

    def __init__(self) -> None:
        self._logger = logging.getLogger(_ACCESS)
        self._first = self._made({})

    def write(
        self, scope: Scope, method: str, route: str, status: int, seconds: float, n_bytes: int
    ) -> None:
        """Log a request that was answered, `n_bytes` counting its answer's body."""
        if not self._logger.isEnabledFor(logging.INFO):
            return
        client = scope.get("client")
        fields = {
            "id": scope["state"]["request_id"],
            "client": client[0] if client else "",
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1e3, 2),
            "bytes": n_bytes,
            "key": scope["state"].get("key_name", ""),
        }
        self._logger.handle(self._record(fields))

    def _made(self, fields: dict[str, object]) -> logging.LogRecord:
        """A record as `info` makes it, without a search for the caller."""
        return self._logger.makeRecord(_ACCESS, logging.INFO, "", 0, _ACCESS_TEXT, (fields,), None)

    def _record(self, fields: dict[str, object]) -> logging.LogRecord:
        """The same made of the first one, as all that differs on this thread are fields and time.

        Where the application makes records of its own kind, or on another thread, it is made anew.
        """
        first = self._first
        is_plain = logging.getLogRecordFactory() is logging.LogRecord
        if not is_plain or first.thread != threading.get_ident() or first.process != os.getpid():
            self._first = self._made(fields)
            return self._first
        record = logging.LogRecord.__new__(logging.LogRecord)
        now = time.time()
        record.__dict__.update(first.__dict__)
        record.args, record.created = fields, now
        record.msecs = float(int((now - int(now)) * 1_000))
        if "taskName" in first.__dict__:  # from Python 3.12 on
            record.__dict__["taskName"] = _task_name()
        record.relativeCreated = first.relativeCreated + (now - first.created) * 1e3
        return record


def _task_name() -> str | None:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs here
        return None
    return None if task is None else task.get_name()


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON; a trace goes into its field `trace`."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if record.name == _ACCESS and isinstance(record.args, dict):
            fields |= record.args
        else:
            fields["message"] = record.getMessage()
        if record.exc_info:
            fields["trace"] = "".join(traceback.format_exception(*record.exc_info))
        return orjson.dumps(fields, default=str).decode()


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        if record.name == _ACCESS and isinstance(record.args, dict):
            fields = record.args
            text = " ".join(f"{name}={fields[name]}" for name in ("client", "id", "bytes", "key"))
            return f"{self.formatTime(record)} {record.getMessage()} {text}"
        return super().format(record)


class _Gathering(logging.StreamHandler[TextIO]):
    """Writes lines of requests together, by a thread of its own; all other lines at once."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []
        self._some = threading.Event()
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line of a request for a moment, or write another, in the order they came in."""
        if record.name != _ACCESS:
            self.flush()
            super().emit(record)
            return
        try:
            self._lines.append(self.format(record) + self.terminator)
        except Exception:  # noqa: BLE001
            self.handleError(record)
        if not self._some.is_set():
            self._some.set()

    def flush(self) -> None:
        """Write what is kept. Also called at the end of the process."""
        with self.lock or threading.Lock():
            lines, self._lines = self._lines, []
            try:
                if lines:
                    self.stream.write("".join(lines))
                super().flush()
            except (OSError, ValueError):  # nobody reads it any more
                return

    def _write(self) -> None:
        while True:
            self._some.wait()
            time.sleep(_GATHERED_SECONDS)
            self._some.clear()
            self.flush()


def configure_logging(form: Literal["json", "text"], access: bool) -> None:
    """Log warnings of this process, and its requests if wanted, to standard error."""
    handler = _Gathering()
    text = _TextFormatter("%(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if form == "json" else text)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(_ACCESS).setLevel(logging.INFO if access else logging.WARNING)


class _OurOwnWords(logging.Filter):
    """Drops lines of uvicorn that are logged here with more in them."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg not in (_INVALID, _CROWDED)


def drop_doubles() -> None:
    """Leave out those of uvicorn's lines that the service writes itself, with the address."""
    logger = logging.getLogger("uvicorn.error")
    if not any(isinstance(each, _OurOwnWords) for each in logger.filters):
        logger.addFilter(_OurOwnWords())
