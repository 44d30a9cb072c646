"""Files of sparse vectors made elsewhere: which formats there are, opening one, writing one.

    name              file                           components  ids, texts
    anserini          `.jsonl`, `.json`, a folder    tokens      yes
    seismic           `.jsonl`, `.tar.gz`            tokens      yes
    seismic-binary    `.bin`                         numbers     row numbers, no texts
    bigann            `.csr`                         numbers     row numbers, no texts
    scipy             `.npz`                         numbers     row numbers, no texts

All but `.npz` may be compressed (`.gz`, `.zst`). Files are read in chunks; of the whole file only
the vocabulary is kept (and for `.npz`, any matrix that is not CSR).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, cast, get_args

from lsr.datasets.lines import COMPRESSED, compressing, open_binary, plain_suffix
from lsr.datasets.vectors.binary import BigannVectors, SeismicVectors, write_bigann, write_seismic
from lsr.datasets.vectors.jsonl import LINE_SUFFIXES, JsonVectors, write_json_lines
from lsr.datasets.vectors.npz import NpzVectors, write_npz
from lsr.datasets.vectors.rows import CHUNK_ROWS, VectorChunk, VectorReader
from lsr.errors import DataError, InputError, StorageError
from lsr.files import writing
from lsr.sparse import CSR

__all__ = ["FORMATS", "VectorChunk", "VectorFile", "VectorFormat", "write_vectors"]

VectorFormat = Literal["anserini", "bigann", "scipy", "seismic", "seismic-binary"]
FORMATS: tuple[VectorFormat, ...] = get_args(VectorFormat)

_BY_SUFFIX: dict[str, VectorFormat] = {
    ".bin": "seismic-binary",
    ".csr": "bigann",
    ".npz": "scipy",
    ".tar": "seismic",
}
_TOKENS = ("anserini", "seismic")
_HEAD_BYTES = 2**16


class VectorFile:
    """A file of vectors, opened by `open`.

    Attributes:
        format: one of `FORMATS`.
    """

    def __init__(self, path: Path, format: VectorFormat, reader: VectorReader) -> None:  # noqa: A002
        self.path = path
        self.format = format
        self._reader = reader

    @classmethod
    def open(
        cls,
        path: Path,
        format: str | None = None,  # noqa: A002
        vocabulary: Sequence[str] = (),
    ) -> VectorFile:
        """Find out what a file is, and read its head.

        Args:
            format: one of `FORMATS`; by default told by name and first bytes.
            vocabulary: for formats with tokens, terms that have numbers already: the vocabulary
                of the collection that the vectors are added to.

        Raises:
            DataError: there is nothing, it is empty, of no known format, or damaged.
            InputError: there is no format of this name, or it has no tokens and `vocabulary` is
                given.
        """
        known = _recognised(path) if format is None else _known(format)
        if known in _TOKENS:
            return cls(path, known, JsonVectors(path, vocabulary))
        if vocabulary:
            raise InputError(f"{path}: components of {known} files are numbers, and have no tokens")
        readers = {"bigann": BigannVectors, "scipy": NpzVectors, "seismic-binary": SeismicVectors}
        _head(path)
        return cls(path, known, cast(VectorReader, readers[known](path)))

    @property
    def n_rows(self) -> int | None:
        """Number of vectors; None while the file has not told."""
        return self._reader.n_rows

    @property
    def n_terms(self) -> int | None:
        """The width of the matrix; None before a first whole pass, where no head tells it."""
        return self._reader.n_terms

    @property
    def vocabulary(self) -> list[str] | None:
        """The token of each term; None where components are numbers.

        Tokens are numbered as they are first seen, so this is complete after a whole pass, and
        is the same for the same file.
        """
        return self._reader.vocabulary

    @property
    def n_zeros(self) -> int:
        """Number of zero weights that the last pass over the chunks has dropped."""
        return self._reader.n_zeros

    def chunks(self, n_rows: int = CHUNK_ROWS) -> Iterator[VectorChunk]:
        """Yield all vectors in order, at most `n_rows` at a time. Can be called again.

        Raises:
            DataError: names the line or row that is wrong.
            InputError: `n_rows` is below 1.
        """
        if n_rows < 1:
            raise InputError(f"chunks of {n_rows} rows were asked for; ask for at least 1")
        return self._reader.chunks(n_rows)

    def read_all(self) -> VectorChunk:
        """All vectors at once. Raises as `chunks` does."""
        chunks = list(self.chunks())
        vectors = CSR.concatenate([chunk.vectors for chunk in chunks])
        return VectorChunk(
            [doc_id for chunk in chunks for doc_id in chunk.doc_ids],
            vectors._replace(n_terms=self.n_terms or 0),
            [text for chunk in chunks for text in chunk.texts or ()]
            if self.format in _TOKENS
            else None,
        )


def write_vectors(
    path: Path,
    format: str | None,  # noqa: A002
    doc_ids: Sequence[str],
    vectors: CSR,
    vocabulary: Sequence[str] | None = None,
    texts: Sequence[str] | None = None,
) -> None:
    """Write vectors to one file, compressed by its suffix. It is there whole, or not at all.

    Args:
        format: one of `FORMATS`; None means: by the suffix. Only those with tokens keep ids,
            vocabulary and texts. `anserini` writes weights without a fraction as whole numbers;
            Anserini's JsonVectorCollection cuts fractions off, so quantise first if it shall read
            the file.
        vocabulary: the token of each term. Without it tokens are the numbers of terms.

    Raises:
        InputError: ids, texts or vocabulary do not fit the vectors, or cannot be written.
        StorageError: the machine refuses to write.
    """
    known = _by_suffix(path) if format is None else _known(format)
    if known is None:
        raise InputError(f"{path}: the suffix says no format; name one of {', '.join(FORMATS)}")
    vectors.validate()
    _check_parts(doc_ids, vectors, vocabulary, texts)
    if plain_suffix(path) == ".tar":
        raise InputError(f"{path}: archives are read and not written; choose .jsonl")
    if known == "scipy" and path.suffix in COMPRESSED:
        raise InputError(f"{path}: .npz files are compressed already; leave {path.suffix} out")
    with _replacing(path) as stream:
        if known == "scipy":
            write_npz(stream, vectors)
        elif known == "bigann":
            write_bigann(stream, vectors)
        elif known == "seismic-binary":
            write_seismic(stream, vectors)
        else:
            is_anserini = known == "anserini"
            name = "contents" if is_anserini else "content"
            write_json_lines(stream, name, doc_ids, vectors, vocabulary, texts, whole=is_anserini)


def _known(name: str) -> VectorFormat:
    if name not in FORMATS:
        raise InputError(f"there is no vector format {name!r}; choose {', '.join(FORMATS)}")
    return name


def _by_suffix(path: Path) -> VectorFormat | None:
    suffix = plain_suffix(path)
    return "seismic" if suffix in LINE_SUFFIXES else _BY_SUFFIX.get(suffix)


def _recognised(path: Path) -> VectorFormat:
    if path.is_dir():
        return "anserini"
    head = _head(path)
    known = _by_suffix(path)
    if known == "seismic" or (known is None and head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"):
        return "anserini" if re.search(rb'"contents"\s*:', head) else "seismic"
    if known is None and head.startswith(b"PK"):
        known = "scipy"
    if known is None and len(head) >= 24 and path.suffix not in COMPRESSED:
        n_rows, _, n_entries = struct.unpack("<qqq", head[:24])
        if path.stat().st_size == 24 + 8 * (n_rows + 1 + n_entries):
            known = "bigann"
    if known is None:
        raise DataError(
            f"cannot tell its format; name it: {', '.join(FORMATS)}",
            path=path,
        )
    return known


def _head(path: Path) -> bytes:
    with open_binary(path) as stream:
        head = stream.read(_HEAD_BYTES)
    if not head:
        raise DataError("is empty; there are no vectors to read", path=path)
    return head


def _check_parts(
    doc_ids: Sequence[str],
    vectors: CSR,
    vocabulary: Sequence[str] | None,
    texts: Sequence[str] | None,
) -> None:
    for what, parts in (("ids", doc_ids), ("texts", texts)):
        if parts is not None and len(parts) != vectors.n_rows:
            raise InputError(f"{len(parts):,} {what} for {vectors.n_rows:,} vectors; give one each")
    if vocabulary is not None:
        if len(vocabulary) < vectors.n_terms:
            raise InputError(
                f"a vocabulary of {len(vocabulary):,} tokens for {vectors.n_terms:,} terms; "
                "give one each"
            )
        if len(set(vocabulary)) != len(vocabulary):
            raise InputError("the vocabulary has a token twice; every term needs its own")


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A stream to `path`, compressed by its suffix; see `lsr.files.writing`."""
    try:
        with writing(path) as raw, compressing(path, raw) as stream:
            yield stream
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written ({error.strerror or error}); nothing was changed, so free "
            "some space or choose another place"
        ) from error
