"""Checksums of rows of a segment's database, which are compared with each fetch.

SQLite knows of no damage inside a page; these find a flipped bit in any field, and a row that
stands under another's number.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

__all__ = ["document_checksum", "field_checksum", "vector_checksum"]


def document_checksum(
    row: int, doc_id: str, title: str, text: str, metadata: str, version: int
) -> int:
    """CRC-32 over all fields of a document.

    Raises:
        TypeError, UnicodeError: a field is not of its type, as in a damaged row.
    """
    if not isinstance(version, int):
        raise TypeError("version")
    lengths = f"{row} {version} {len(doc_id)} {len(title)} {len(text)} "
    return zlib.crc32((lengths + doc_id + title + text + metadata).encode())


def vector_checksum(row: int, *parts: bytes) -> int:
    """CRC-32 over the number of a row and the arrays of its vector.

    Raises:
        TypeError: a part is not bytes, as in a damaged row.
    """
    crc = zlib.crc32(" ".join([str(row), *(str(len(part)) for part in parts)]).encode())
    for part in parts:
        crc = zlib.crc32(part, crc)
    return crc


def field_checksum(field: str, lines: Iterable[tuple[str, str]]) -> int:
    """CRC-32 over the values of a metadata field and their rows, as `field_values` gives them.

    Raises:
        TypeError, UnicodeError: a part is not text, as in a damaged row.
    """
    crc = zlib.crc32(field.encode())
    for value, rows in lines:
        crc = zlib.crc32((value + "\0" + rows + "\n").encode(), crc)
    return crc
