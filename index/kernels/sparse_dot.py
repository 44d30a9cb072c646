"""Inner products of short queries with heads, by comparing vectors of components.

Each of a query's terms is compared with 32 components of a document at once, which for few terms is
several times faster than looking up every component in a table. The code is written in vectors of
LLVM, which turns them into what the processor has.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic
from numpy.typing import NDArray

from lsr.index.jit import kernel

__all__ = ["FEW_TERMS", "LANES", "match_dot"]

FEW_TERMS = 12
"""Queries of at most this many terms are scored by comparing."""

COMPILED = not config.DISABLE_JIT

LANES = 32
"""Components compared at once; heads that are not a multiple of it are scored by the table."""


@intrinsic  # type: ignore[untyped-decorator]
def _match_dot(
    _context: Any,
    terms: Any,
    codes: Any,
    first_term: Any,
    first_code: Any,
    length: Any,
    query_terms: Any,
    query_codes: Any,
    n_query: Any,
) -> Any:
    """`match_dot` as vector code."""
    integers = (first_term, first_code, length, n_query)
    if not all(isinstance(kind, types.Integer) for kind in integers):
        return None
    if terms.dtype != query_terms.dtype or query_codes.dtype != types.uint16:
        return None
    words = (types.uint64,) * 3
    signature = types.uint32(terms, codes, *words, query_terms, query_codes, types.uint64)
    return signature, _generate


@kernel
def match_dot(
    terms: NDArray[np.uint16],
    codes: NDArray[np.uint8],
    first_term: int,
    first_code: int,
    length: int,
    query_terms: NDArray[np.uint16],
    query_codes: NDArray[np.uint16],
    n_query: int,
) -> np.uint32:
    """Sum of products of codes where terms are equal.

    Args:
        terms, codes: whole arrays of components, and of uint8 codes at most 255.
        first_term, first_code: where the document's begin in them.
        length: how many, a multiple of `LANES`.
        query_terms, query_codes: of the type of `terms`, and uint16, at most 255; `n_query` of
            each are looked at.

    Returns:
        uint32.
    """
    if not COMPILED:  # for those who look for an error with NUMBA_DISABLE_JIT
        total = np.uint32(0)
        for i in range(length):
            for j in range(n_query):
                if terms[first_term + i] == query_terms[j]:
                    total += np.uint32(codes[first_code + i]) * np.uint32(query_codes[j])
        return total
    found: np.uint32 = _match_dot(
        terms, codes, first_term, first_code, length, query_terms, query_codes, n_query
    )
    return found


def _generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    kinds = signature.args
    terms, codes, first_term, first_code, length, query_terms, query_codes, n_query = arguments

    def start(place: int, array: Any) -> Any:
        return context.make_array(kinds[place])(context, builder, array).data

    component = context.get_value_type(kinds[0].dtype)
    half, byte, word = ir.IntType(16), ir.IntType(8), ir.IntType(64)
    many = {kind: ir.VectorType(kind, LANES) for kind in (component, half, byte, ir.IntType(32))}
    terms = builder.gep(start(0, terms), [first_term])
    codes = builder.gep(start(1, codes), [first_code])
    query_terms, query_codes = start(5, query_terms), start(6, query_codes)
    total = cgutils.alloca_once_value(builder, ir.Constant(ir.IntType(32), 0))
    step = ir.Constant(word, LANES)
    with cgutils.for_range_slice(builder, ir.Constant(word, 0), length, step) as (place, _):
        components = _load(builder, builder.gep(terms, [place]), many[component])
        weights = cgutils.alloca_once(builder, many[half])
        builder.store(ir.Constant(many[half], None), weights)
        with cgutils.for_range(builder, n_query, intp=word) as loop:
            term = _splat(builder, builder.load(builder.gep(query_terms, [loop.index])))
            code = _splat(builder, builder.load(builder.gep(query_codes, [loop.index])))
            equal = builder.icmp_unsigned("==", components, term)
            found = builder.select(equal, code, ir.Constant(many[half], None))
            builder.store(builder.or_(builder.load(weights), found), weights)
        narrow = _load(builder, builder.gep(codes, [place]), many[byte])
        products = builder.mul(builder.zext(narrow, many[half]), builder.load(weights))
        wide = builder.zext(products, many[ir.IntType(32)])
        name = f"llvm.vector.reduce.add.v{LANES}i32"
        kind = ir.FunctionType(ir.IntType(32), [many[ir.IntType(32)]])
        added = builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [wide])
        builder.store(builder.add(builder.load(total), added), total)
    return builder.load(total)


def _load(builder: Any, pointer: Any, kind: Any) -> Any:
    """A vector from memory, at any place."""
    loaded = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    loaded.align = 1
    return loaded


def _splat(builder: Any, value: Any) -> Any:
    """A vector that has one value in all places."""
    kind = ir.VectorType(value.type, LANES)
    first = builder.insert_element(
        ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
    )
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
    return builder.shuffle_vector(first, first, zeros)
