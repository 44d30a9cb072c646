"""Vectors in JSON lines: Seismic's files and Anserini's `JsonVectorCollection`.

Both have an object a line with an id, a vector of token to weight, and perhaps a text, which the
one calls `content` and the other `contents`; either name is read. Tokens are numbered in the order
in which they are first seen, and keep their numbers when a file is read again.
"""

from __future__ import annotations

import tarfile
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import IO, NoReturn

import numpy as np
import orjson
from numpy.typing import NDArray

from lsr.datasets.lines import open_binary, plain_suffix
from lsr.datasets.vectors.rows import CHUNK_ENTRIES, RawRows, VectorChunk, checked_rows
from lsr.datasets.vectors.token_weights import parse_object, token_weights
from lsr.errors import DataError, InputError
from lsr.files import is_text
from lsr.sparse import CSR

__all__ = ["LINE_SUFFIXES", "JsonVectors", "write_json_lines"]

LINE_SUFFIXES = (".jsonl", ".ndjson", ".json")
ID_NAMES = ("id", "_id", "docid", "doc_id")
TEXT_NAMES = ("contents", "content", "text")
MAX_WHOLE = 2**53


class JsonVectors:
    """A file of JSON lines (also `.gz`, `.zst`), a tar archive or a folder of such files.

    A folder is read with its sub-folders, in the order of paths; an archive in its own order
    (plain files in it only).

    Args:
        vocabulary: terms that have numbers already; new ones come after them.

    Raises:
        InputError: `vocabulary` repeats a term.
    """

    n_rows = None

    def __init__(self, path: Path, vocabulary: Sequence[str] = ()) -> None:
        self.path = path
        self.n_zeros = 0
        self._numbers = _Numbers(vocabulary)
        self._is_read = False

    @property
    def n_terms(self) -> int | None:
        return len(self._numbers) if self._is_read else None

    @property
    def vocabulary(self) -> list[str]:
        return list(self._numbers)

    def chunks(self, n_rows: int) -> Iterator[VectorChunk]:
        """Raises DataError, which names the line, also when there is not one vector."""
        self.n_zeros = 0
        pending = _Pending(self._numbers)
        is_empty = True
        for path, number, line in self._lines():
            if not line.strip():
                continue
            is_empty = False
            pending.add(path, number, line)
            if len(pending.doc_ids) >= n_rows or pending.n_entries >= CHUNK_ENTRIES:
                yield self._chunk(pending)
                pending = _Pending(self._numbers)
        if is_empty:
            raise DataError("is empty; there are no vectors to read", path=self.path)
        if pending.doc_ids:
            yield self._chunk(pending)
        self._is_read = True

    def _chunk(self, pending: _Pending) -> VectorChunk:
        vectors, n_zeros = pending.vectors()
        self.n_zeros += n_zeros
        return VectorChunk(pending.doc_ids, vectors, pending.texts)

    def _lines(self) -> Iterator[tuple[Path, int, bytes]]:
        for path in self._files():
            with open_binary(path) as stream:
                if plain_suffix(path) == ".tar":
                    yield from _tar_lines(path, stream)
                else:
                    for number, line in enumerate(stream, start=1):
                        yield path, number, line

    def _files(self) -> list[Path]:
        if not self.path.is_dir():
            return [self.path]
        files = [path for path in sorted(self.path.rglob("*")) if _is_lines(path)]
        if not files:
            raise DataError(
                f"has no files {', '.join(LINE_SUFFIXES)}; check the path", path=self.path
            )
        return files


def _is_lines(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return not hidden and plain_suffix(path) in LINE_SUFFIXES and path.is_file()


def _tar_lines(path: Path, stream: BufferedIOBase) -> Iterator[tuple[Path, int, bytes]]:
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                name = Path(member.name)
                if name.name.startswith(".") or name.suffix.lower() not in LINE_SUFFIXES:
                    continue
                lines = archive.extractfile(member)
                for number, line in enumerate(lines or (), start=1):
                    yield path / name, number, line
    except tarfile.TarError as error:
        raise DataError(f"cannot be unpacked ({error}); is it complete?", path=path) from error


class _Numbers(dict[str, int]):
    """Token to number; a token that is looked up for the first time gets the next one."""

    def __init__(self, terms: Sequence[str]) -> None:
        super().__init__((term, number) for number, term in enumerate(terms))
        if len(self) != len(terms):
            raise InputError("the vocabulary has a term twice; every term needs its own number")

    def __missing__(self, token: str) -> int:
        if not is_text(token):
            raise ValueError(
                f"the token {token[:64]!r} holds half a surrogate pair, which is not text"
            )
        self[token] = len(self)
        return len(self) - 1


class _Pending:
    """Lines read and not yet yielded."""

    def __init__(self, numbers: _Numbers) -> None:
        self.doc_ids: list[str] = []
        self.texts: list[str] = []
        self.n_entries = 0
        self._numbers = numbers
        self._terms: list[NDArray[np.int64]] = []
        self._weights: list[NDArray[np.float64]] = []
        self._places: list[tuple[Path, int]] = []

    def add(self, path: Path, number: int, line: bytes) -> None:
        try:
            record = parse_object(line.removeprefix(BOM_UTF8) if number == 1 else line)
            if "vector" not in record:
                raise ValueError("the object has no field 'vector'; each line needs one")
            vector = token_weights(record["vector"])
            self.doc_ids.append(_doc_id(record))
            self.texts.append(_text(record))
            numbers = map(self._numbers.__getitem__, vector)
            self._terms.append(np.fromiter(numbers, np.int64, len(vector)))
        except ValueError as error:
            raise DataError(str(error), path=path, line=number) from error
        self._weights.append(np.fromiter(vector.values(), np.float64, len(vector)))
        self.n_entries += len(vector)
        self._places.append((path, number))

    def vectors(self) -> tuple[CSR, int]:
        raw = RawRows(
            np.array([len(terms) for terms in self._terms], np.int64),
            np.concatenate(self._terms),
            np.concatenate(self._weights),
        )
        return checked_rows(raw, len(self._numbers), self._refuse, self._label)

    def _label(self, term: int) -> str:
        return f"token {list(self._numbers)[term]!r}"

    def _refuse(self, row: int, what: str) -> NoReturn:
        path, number = self._places[row]
        raise DataError(f"document {self.doc_ids[row]!r} has {what}", path=path, line=number)


def _doc_id(record: dict[str, object]) -> str:
    doc_id = next((record[name] for name in ID_NAMES if name in record), None)
    if isinstance(doc_id, bool) or not isinstance(doc_id, str | int) or doc_id == "":
        raise ValueError("a vector needs an id, text or a whole number, in the field 'id'")
    return str(doc_id)


def _text(record: dict[str, object]) -> str:
    name = next((name for name in TEXT_NAMES if name in record), "")
    text = record.get(name)
    if text is None:
        return ""
    if not isinstance(text, str):
        raise ValueError(f"the field {name!r} must be text")
    return text


def write_json_lines(
    stream: IO[bytes],
    text_name: str,
    doc_ids: Sequence[str],
    vectors: CSR,
    vocabulary: Sequence[str] | None,
    texts: Sequence[str] | None,
    *,
    whole: bool,
) -> None:
    """Write one object a line. Without a vocabulary, tokens are the numbers of terms.

    Args:
        text_name: the field for texts.
        whole: write weights without a fraction as whole numbers.

    Raises:
        InputError: an id, a text or a token holds half a surrogate pair.
    """
    for row, doc_id in enumerate(doc_ids):
        terms, weights = vectors.row(row)
        numbers: list[float] = weights.tolist()
        if whole:
            numbers = [int(w) if w < MAX_WHOLE and w.is_integer() else w for w in numbers]
        tokens = [str(t) if vocabulary is None else vocabulary[t] for t in terms.tolist()]
        record: dict[str, object] = {"id": doc_id, text_name: texts[row] if texts else ""}
        record["vector"] = dict(zip(tokens, numbers, strict=True))
        try:
            stream.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        except orjson.JSONEncodeError as error:
            raise InputError(
                f"document {doc_id!r} holds half a surrogate pair, which is not text"
            ) from error
