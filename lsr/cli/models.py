"""Encoders by the names that the command line knows."""

from __future__ import annotations

from lsr.bm25 import Bm25Encoder
from lsr.encoder import VectorEncoder
from lsr.errors import InputError

__all__ = ["open_dense", "open_sparse"]


def open_sparse(
    name: str, *, k1: float = 0.9, b: float = 0.4, language: str = "english"
) -> Bm25Encoder:
    """The sparse encoder of that name. Raises InputError when there is none."""
    if name != "bm25":
        raise InputError(
            f"the sparse encoder {name!r} cannot be loaded: this version knows bm25 only"
        )
    return Bm25Encoder(k1=k1, b=b, language=language)


def open_dense(name: str) -> VectorEncoder | None:
    """The dense model of that name, or in that export's folder; None for "none"."""
    if name == "none":
        return None
    from lsr.dense import open_dense_encoder

    return open_dense_encoder(name)
