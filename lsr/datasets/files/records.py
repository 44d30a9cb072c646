"""Records of a JSON array (.json) or a Parquet file, as one table of documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from lsr.datasets.encodings import decoded
from lsr.datasets.lines import open_binary
from lsr.datasets.reading import FILES_EXTRA, Reading, ReadOptions
from lsr.datasets.records import BadRecords, Columns, parse_json, record_document
from lsr.errors import DataError, UnavailableError
from lsr.types import Document

__all__ = ["JsonArray", "ParquetTable"]

_ROWS = 1_000  # of Parquet in memory at once


class JsonArray:
    """A file that is one JSON array of objects (`.json`, also `.gz` and `.zst`).

    Attributes:
        reading: the account of what `documents` read and passed over.
    """

    def __init__(
        self, path: Path, columns: Columns | None = None, options: ReadOptions | None = None
    ) -> None:
        self.path = path
        self.name = path.name.split(".")[0]
        self.reading = Reading()
        self._columns = columns or Columns()
        self._options = options or ReadOptions()

    def documents(self) -> Iterator[Document]:
        """Yield documents in file order; the whole file is in memory.

        Raises:
            DataError: it is no array of objects, or names the record that lacks an id or repeats
                one, where the options do not say to skip it.
        """
        self.reading = reading = Reading()
        return self._documents(reading)

    def _documents(self, reading: Reading) -> Iterator[Document]:
        with open_binary(self.path) as stream:
            data = stream.read()
        try:
            text, guessed = decoded(data, self._options.encoding)
        except ValueError as error:
            raise DataError(
                f"not text ({error}); name it with --encoding", path=self.path
            ) from error
        records = parse_json(text, self.path, None)
        if not isinstance(records, list):
            raise DataError(
                f"an array of objects is needed and this is a {type(records).__name__}; objects "
                "one a line are a .jsonl file",
                path=self.path,
            )
        if guessed is not None:
            reading.guess(guessed)
        yield from _documents(records, self.path, self._columns, self._options, reading)


class ParquetTable:
    """A Parquet file (`.parquet`); columns are fields.

    Attributes:
        reading: the account of what `documents` read and passed over.

    Raises:
        UnavailableError: the package pyarrow is not installed.
    """

    def __init__(
        self, path: Path, columns: Columns | None = None, options: ReadOptions | None = None
    ) -> None:
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise UnavailableError(f"pyarrow is not installed; run: {FILES_EXTRA}") from error
        self.path = path
        self.name = path.name.split(".")[0]
        self.reading = Reading()
        self._columns = columns or Columns()
        self._options = options or ReadOptions()

    def documents(self) -> Iterator[Document]:
        """Yield documents in file order, a thousand rows in memory.

        Raises:
            DataError: it is damaged, or names the record that lacks an id or repeats one, where
                the options do not say to skip it.
        """
        self.reading = reading = Reading()
        return _documents(self._rows(), self.path, self._columns, self._options, reading)

    def _rows(self) -> Iterator[object]:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile

        try:
            with ParquetFile(self.path) as table:
                for batch in table.iter_batches(_ROWS):
                    yield from batch.to_pylist()
        except (ArrowException, OSError, ValueError) as error:
            raise DataError(f"cannot be read as Parquet ({error})", path=self.path) from error


def _documents(
    records: Iterator[object] | list[object],
    path: Path,
    columns: Columns,
    options: ReadOptions,
    reading: Reading,
) -> Iterator[Document]:
    bad = BadRecords(reading, options.skip_bad)
    seen: dict[str, int] = {}
    reading.n_read = 1
    for number, record in enumerate(records, start=1):
        where = f"{path}, record {number}"
        try:
            if not isinstance(record, Mapping):
                raise DataError(
                    f"a JSON object is needed and this is a {type(record).__name__}", path=where
                )
            document = record_document(record, columns, seen, where, None)
        except DataError as error:
            bad.skip(error)
            continue
        seen[document.doc_id] = number
        reading.n_documents += 1
        yield document
