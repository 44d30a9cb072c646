"""Arrays packed into one file: a header, then each array at a multiple of 64 bytes.

8 bytes      "lsrarray"
8 bytes      length of the header, little-endian
the header   JSON: name, dtype, shape and place of every array
the arrays   little-endian
"""

from __future__ import annotations

import io
import json
import math
import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bytes", "Opener", "mapped", "npy_array", "packed_arrays", "write_arrays"]

MAGIC = b"lsrarray"
ALIGNMENT = 64
_DTYPES = {each: np.dtype(each) for each in ("<i8", "<i4", "<f4", "|u1")}
NPY_HEADER_AT_MOST = 4_096

Bytes = NDArray[np.uint8]
Opener = Callable[[Path], Bytes]
"""Gives the bytes of a file: mapped, or a copy. Raises OSError, or IndexCorruptError."""


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays to a new file.

    Raises:
        OSError: the machine refuses.
    """
    places: list[dict[str, object]] = []
    begins, place = [], 0
    for name, array in arrays.items():
        kind = array.dtype.newbyteorder("<").str
        places.append({"name": name, "dtype": kind, "shape": array.shape, "begin": place})
        begins.append(place)
        place = _aligned(place + array.nbytes)
    header = json.dumps(places).encode()
    with path.open("wb") as stream:
        stream.write(MAGIC + len(header).to_bytes(8, "little") + header)
        first = _aligned(stream.tell())
        for begin, array in zip(begins, arrays.values(), strict=True):
            stream.write(bytes(first + begin - stream.tell()))
            stream.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)


def packed_arrays(content: Bytes) -> dict[str, NDArray[Any]]:
    """The arrays of such a file, by name, as views of its bytes.

    Raises:
        ValueError: these are not the bytes of such a file.
    """
    start = content[:16].tobytes()
    length = int.from_bytes(start[8:], "little")
    if start[:8] != MAGIC or not 0 < length <= len(content):
        raise ValueError("it is no file of arrays")
    first = _aligned(16 + length)
    arrays = {}
    try:
        for each in json.loads(content[16 : 16 + length].tobytes()):
            dtype, shape = _DTYPES[each["dtype"]], tuple(each["shape"])
            begin = first + each["begin"]
            part = content[begin : begin + dtype.itemsize * math.prod(shape)]
            arrays[each["name"]] = part.view(dtype).reshape(shape)
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"its header is damaged: {error}") from error
    return arrays


def npy_array(content: Bytes) -> NDArray[Any]:
    """The array of a `.npy` file, as a view of its bytes.

    Raises:
        ValueError: these are not the bytes of such a file.
    """
    stream = io.BytesIO(content[:NPY_HEADER_AT_MOST].tobytes())
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("another version of .npy")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if is_fortran and len(shape) > 1 and math.prod(shape) > 0:
        raise ValueError("its rows are not in C order")
    array: NDArray[Any] = content[stream.tell() :].view(dtype)
    return array.reshape(shape)


def mapped(path: Path) -> Bytes:
    """The bytes of a file, memory-mapped. Raises OSError."""
    with path.open("rb") as stream:
        if path.stat().st_size == 0:
            return np.zeros(0, np.uint8)
        return np.frombuffer(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)


def _aligned(place: int) -> int:
    return -(-place // ALIGNMENT) * ALIGNMENT
