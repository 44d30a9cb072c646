"""A hint to the processor: fetch this cache line now, it is read soon.

Misses are what block search spends its time on, so this is worth half of it. Where this version
of Numba or LLVM has no such instruction for us, `prefetch` does nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.errors import NumbaError
from numba.extending import intrinsic

__all__ = ["HAS_PREFETCH", "prefetch"]


@intrinsic  # type: ignore[untyped-decorator]
def _prefetch(_context: Any, array: Any, _place: Any) -> Any:
    """`llvm.prefetch` of `array[place]`: for reading, to be kept in all caches."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        held = context.make_array(kind)(context, builder, arguments[0])
        pointer = cgutils.get_item_pointer(
            context, builder, kind, held, [arguments[1]], wraparound=False
        )
        line = builder.bitcast(pointer, ir.IntType(8).as_pointer())
        word = ir.IntType(32)
        hint = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [line.type, word, word, word]),
            "llvm.prefetch.p0",
        )
        builder.call(hint, [line, word(0), word(3), word(1)])
        return context.get_dummy_value()

    if isinstance(array, types.Array) and array.ndim == 1:
        return types.void(array, types.intp), generate
    return None


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _try_prefetch(array: Any) -> None:
    _prefetch(array, 0)


def _works() -> bool:
    try:
        _try_prefetch(np.zeros(64, np.uint8))
    except (NumbaError, RuntimeError, AttributeError, TypeError):
        return False
    return True


HAS_PREFETCH = _works()


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _nothing(array: Any, place: int) -> None:
    """Stand-in for `prefetch` where there is no such instruction; does nothing."""


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _hint(array: Any, place: int) -> None:
    _prefetch(array, place)


prefetch = _hint if HAS_PREFETCH else _nothing
