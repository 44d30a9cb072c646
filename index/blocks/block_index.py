"""The block index: built from document vectors, kept as one array of bytes, searched by kernels."""

from __future__ import annotations

import hashlib
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.errors import IndexCorruptError, IndexVersionError
from lsr.files import read_signed, signed
from lsr.index.blocks import layout as at
from lsr.index.blocks.config import BuildConfig
from lsr.index.blocks.forward_index import read_vectors
from lsr.index.blocks.layout import bytes_by_part, dtypes, view
from lsr.index.storage.arrays_file import Opener
from lsr.sparse import CSR

__all__ = ["BlockIndex"]

FORMAT_VERSION = 2
BYTES_FILE = "blocks.bin"
HEADER_FILE = "blocks.json"


@dataclass(frozen=True, eq=False)
class BlockIndex:
    """Forward index, blocks and summaries of some documents, by row.

    Attributes:
        blob: uint8, read-only: all parts, see `lsr.index.blocks.layout`.
        layout: int64, read-only: where each part is.
        config: what it was built by.
    """

    blob: NDArray[np.uint8]
    layout: NDArray[np.int64]
    config: BuildConfig

    @property
    def n_documents(self) -> int:
        return int(self.layout[at.N_DOCUMENTS])

    @property
    def n_terms(self) -> int:
        return int(self.layout[at.N_TERMS])

    @property
    def n_blocks(self) -> int:
        return len(self.array("block_postings")) - 1

    @property
    def n_postings(self) -> int:
        return len(self.array("postings"))

    @property
    def n_neighbours(self) -> int:
        return int(self.layout[at.N_NEIGHBOURS])

    @property
    def scale(self) -> float:
        """The weight of one code."""
        return float(self.layout[at.SCALE : at.SCALE + 1].view(np.float64)[0])

    @property
    def types(self) -> dict[str, type[np.generic]]:
        return dtypes(self.n_terms, self.config.values)

    def array(self, name: str) -> NDArray[Any]:
        """One of `lsr.index.blocks.layout.ARRAYS` as an array."""
        return view(self.blob, self.layout, at.ARRAYS.index(name), self.types[name])

    def stats(self) -> dict[str, Any]:
        """Counts, and bytes by part."""
        return {
            "n_documents": self.n_documents,
            "n_terms": self.n_terms,
            "n_blocks": self.n_blocks,
            "n_postings": self.n_postings,
            "n_summary_entries": len(self.array("entries")),
            "head_length": int(self.layout[at.HEAD_LENGTH]),
            "bytes": bytes_by_part(self.layout),
        }

    def documents(self) -> CSR:
        """All vectors as they are stored, a row for each document."""
        length = int(self.layout[at.HEAD_LENGTH])
        arrays = (
            self.array("head"),
            self.array("tail"),
            self.array("tail_start"),
            self.array("rest"),
        )
        term_type: NDArray[Any] = np.zeros(0, self.types["samples"])
        return read_vectors(*arrays, length, self.scale, term_type, self.n_terms)

    def _sha256(self, part: int) -> str:
        """Of the bytes of a part and of the gap after it."""
        begin = self.layout[2 * part]
        end = self.layout[2 * part + 2] if part + 1 < len(at.ARRAYS) else len(self.blob)
        return hashlib.sha256(self.blob[begin:end].data).hexdigest()

    def save(self, folder: Path) -> None:
        """Write the bytes and a header into `folder`, which exists."""
        (folder / BYTES_FILE).write_bytes(self.blob.data)
        header = {
            "format_version": FORMAT_VERSION,
            "config": self.config.to_dict(),
            "layout": self.layout.tolist(),
            "parts": {
                name: {
                    "dtype": np.dtype(self.types[name]).str,
                    "begin": int(self.layout[2 * i]),
                    "end": int(self.layout[2 * i + 1]),
                    "sha256": self._sha256(i),
                }
                for i, name in enumerate(at.ARRAYS)
            },
        }
        (folder / HEADER_FILE).write_text(signed(header), encoding="utf-8")

    @classmethod
    def exists(cls, folder: Path) -> bool:
        """Whether `folder` holds one."""
        return (folder / HEADER_FILE).exists()

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        resident: bool = False,
        verify: bool = False,
        read: Opener | None = None,
    ) -> BlockIndex:
        """Open what `save` wrote.

        Args:
            resident: read it into memory, in large pages where the system has them, instead of
                mapping the file. Searches are faster, opening is slower.
            verify: compare every byte with its checksum.
            read: gives the bytes of both files, in place of reading or mapping them here.

        Raises:
            IndexCorruptError: a file is missing, cut short or changed.
            IndexVersionError: another format version.
        """
        path = folder / HEADER_FILE
        try:
            header, is_intact = read_signed(
                path.read_text("utf-8") if read is None else read(path).tobytes()
            )
            version = header["format_version"]
        except (OSError, ValueError, KeyError) as error:
            raise IndexCorruptError(f"{path} cannot be read ({error}); build it again") from error
        if version != FORMAT_VERSION and isinstance(version, int):
            raise IndexVersionError(
                f"{path} has block format {version} and this lsr reads {FORMAT_VERSION}; build it "
                "again, or install the lsr that made it"
            )
        if not is_intact:
            raise IndexCorruptError(f"{path} is damaged; restore it from a copy, or build it again")
        layout = np.array(header["layout"], np.int64)
        layout.flags.writeable = False
        blob = _open(folder / BYTES_FILE, resident, _end(layout), read)
        index = cls(blob, layout, BuildConfig.from_dict(header["config"]))
        if verify:
            for i, name in enumerate(at.ARRAYS):
                if index._sha256(i) != header["parts"][name]["sha256"]:
                    raise IndexCorruptError(
                        f"{folder / BYTES_FILE}: the part {name!r} has changed since it was "
                        "written; restore it from a copy, or build it again"
                    )
        return index


def _end(layout: NDArray[np.int64]) -> int:
    end = int(layout[2 * len(at.ARRAYS) - 1])
    return -(-end // at.ALIGNMENT) * at.ALIGNMENT


def _open(
    path: Path, resident: bool, n_bytes: int, read: Opener | None = None
) -> NDArray[np.uint8]:
    try:
        if read is not None:
            blob = read(path)
            if len(blob) != n_bytes:
                raise IndexCorruptError(f"{path} does not fit its header; build it again")
            return blob
        with path.open("rb") as stream:
            size = path.stat().st_size
            if size != n_bytes:
                raise IndexCorruptError(
                    f"{path} has {size:,} bytes and should have {n_bytes:,}; restore it from a "
                    "copy, or build it again"
                )
            if resident or n_bytes == 0:
                blob = at.aligned(n_bytes)
                stream.readinto(blob.data)
                blob.flags.writeable = False
                return blob
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise IndexCorruptError(f"{path} cannot be read ({error}); build it again") from error
    if hasattr(mmap, "MADV_RANDOM"):
        mapped.madvise(mmap.MADV_RANDOM)
    return np.frombuffer(mapped, np.uint8)
